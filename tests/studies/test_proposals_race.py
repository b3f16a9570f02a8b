"""The two studies of kernels of phi^4 from configuration to page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.report import page
from pyqmc_art.rng import Stream
from pyqmc_art.studies.contestants import CONTESTANTS
from pyqmc_art.studies.critical_slowing import CriticalSlowingDown
from pyqmc_art.studies.proposals_race import ProposalsRace

LESSONS = {"flow_training": 2, "block_training": 2, "local_training": 2}


def run(study: Any, folder: Path) -> Any:
    findings = study.run(folder, stream=Stream.from_seed(2), monitor=Silent())
    assert page.write(folder / "index.html", study.name, [findings], provenance={}).exists()
    return findings


@pytest.mark.slow
def test_a_small_race_on_both_sides(tmp_path: Path) -> None:
    study = ProposalsRace(sizes=(6,), flow_sizes=(6,), broken_sizes=(6,), updates=1e6, length=100.0, **LESSONS)
    findings = run(study, tmp_path)
    labels = {c.label for c in CONTESTANTS}
    assert [t.name for t in findings.tables] == [
        "race-diagonal-6",
        "race-broken-6",
        "needs-diagonal-6",
        "needs-broken-6",
    ]
    for table in findings.tables:
        assert {row[0 if table.name.startswith("needs") else 1] for row in table.rows} == labels
    assert "HMC" in findings.answer.split("\n")[0]
    assert not any("Contradiction" in note for note in findings.notes)
    # Two steps of training pay for nothing in the way of clusters and HMC.
    assert "Training pays in none" in findings.answer


@pytest.mark.slow
def test_the_same_seed_gives_the_same_times(tmp_path: Path) -> None:
    study = CriticalSlowingDown(sizes=(6, 8), dear_sizes=(), updates=2e5, length=50.0, **LESSONS)
    one, two = run(study, tmp_path / "one"), run(study, tmp_path / "two")
    taus = [[str(row[3]) for row in findings.tables[1].rows] for findings in (one, two)]
    assert taus[0] == taus[1]
    assert one.tables[0].rows == two.tables[0].rows


def test_slowing_down_of_what_needs_no_flow(tmp_path: Path) -> None:
    study = CriticalSlowingDown(sizes=(6, 8), dear_sizes=(), updates=2e5, length=50.0, **LESSONS)
    findings = run(study, tmp_path)
    fits, times = findings.tables
    assert {row[0] for row in times.rows} == {"Metropolis", "heat bath", "clusters", "HMC", "VAE-local"}
    assert all(row[1] == "M²" for row in fits.rows if row[0] == "clusters")
    assert all(math.isfinite(row[3].value) and row[3].error > 0 for row in fits.rows)
    assert "HMC, in force evaluations" in {row[0] for row in fits.rows}
    (figure,) = findings.figures
    assert len(figure.panels) == 3


@pytest.mark.parametrize(
    ("study", "settings", "message"),
    [
        (ProposalsRace, {"sizes": (), "broken_sizes": ()}, "at least one lattice size"),
        (ProposalsRace, {"sizes": (7,)}, "not known for L = 7"),
        (ProposalsRace, {"broken_sizes": (5,)}, "even lattice sizes"),
        (ProposalsRace, {"broken_lam": 5.0}, "below 4.2"),
        (ProposalsRace, {"updates": 0.0}, "positive numbers"),
        (ProposalsRace, {"block_training": 0}, "at least one step"),
        (CriticalSlowingDown, {"sizes": (6,)}, "at least two lattice sizes"),
        (CriticalSlowingDown, {"dear_sizes": (12,)}, "expected some of sizes"),
        (CriticalSlowingDown, {"length": -1.0}, "positive numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(study: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        study(**settings)
