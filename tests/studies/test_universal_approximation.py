"""The study of flows of one variable: what it measures is what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Panel
from pyqmc_art.report import page
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.universal_approximation import UniversalApproximation


def test_a_small_study(tmp_path: Path) -> None:
    study = UniversalApproximation(nodes=(2, 12), noises=("normal",), training=60)
    findings = study.run(tmp_path, stream=Stream.from_seed(1), monitor=Silent())
    (table,) = findings.tables
    assert len(table.rows) == 6
    for few, many in zip(table.rows[::2], table.rows[1::2], strict=True):
        placed_few, placed_many, warm = few[3], many[3], many[5]
        assert isinstance(placed_few, Estimate)
        assert isinstance(placed_many, Estimate)
        assert isinstance(warm, Estimate)
        assert warm.value < placed_many.value < placed_few.value
        # A divergence is never negative but for its noise.
        assert warm.value > -5 * warm.error
    assert "in 3 of 3 cases" in findings.answer
    divergences, densities = findings.figures
    for panel in densities.panels:
        assert isinstance(panel, Panel)
        target = panel.curves[0]
        step = target.x[1] - target.x[0]
        assert sum(target.y) * step == pytest.approx(1, abs=0.01)
    assert len(divergences.panels) == 3
    assert page.write(tmp_path / "index.html", study.name, [findings], provenance={}).exists()


def test_bad_input() -> None:
    with pytest.raises(InputError, match="at least two different"):
        UniversalApproximation(nodes=(4,))
    with pytest.raises(InputError, match="expected normal, uniform or both"):
        UniversalApproximation(noises=("normals",))
    with pytest.raises(InputError, match="training is 0"):
        UniversalApproximation(training=0)
