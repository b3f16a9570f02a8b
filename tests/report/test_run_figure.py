from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Panel
from pyqmc_art.report.figures import draw, draw_file
from pyqmc_art.report.run import MOST_OBSERVABLES, describe_run
from pyqmc_art.store.ensemble import Ensemble


def panel(run: Ensemble, title: str) -> Panel:
    found = [p for p in describe_run(run).panels if isinstance(p, Panel) and p.title == title]
    assert len(found) == 1, [p.title for p in describe_run(run).panels]
    return found[0]


@pytest.fixture(scope="module")
def run() -> Ensemble:
    action = qa.Ising(qa.Lattice((8, 8)), beta=0.44)
    names = ("energy", "magnetization", "abs_magnetization", "magnetization2")
    return qa.sample(action, qa.SwendsenWang(action), steps=1000, warmup=50, replicas=4, every=2, seed=3, measure=names)


def test_four_panels_for_each_of_three_observables(run: Ensemble, tmp_path: Path) -> None:
    figure = describe_run(run)
    assert len(figure.panels) == 4 * MOST_OBSERVABLES
    assert "swendsen-wang" in figure.title and "4 replicas" in figure.title
    assert draw_file(figure, tmp_path / "run.png").stat().st_size > 10_000


def test_the_window_and_tau_stand_in_the_autocorrelation(run: Ensemble) -> None:
    estimate = run.analyze()["energy"]
    drawn = panel(run, "energy: autocorrelation")
    assert estimate.window is not None and estimate.tau_int is not None
    assert drawn.marks[0][0] == estimate.window * 2  # measured every second step
    assert f"τ = {estimate.tau_int:.3g}" in drawn.marks[0][1]
    assert drawn.curves[0].y[0] == 1.0 and drawn.curves[0].x[1] == 2


def test_histogram_and_history_keep_what_was_measured(run: Ensemble) -> None:
    assert sum(panel(run, "energy: histogram").curves[0].y) == pytest.approx(1.0)
    history = panel(run, "energy: history").curves[0]
    assert np.mean(history.y) == pytest.approx(run.series["energy"][:, 0].mean(), abs=0.02)
    assert history.x[0] > 0 and history.x[-1] < 1000


def test_bars_of_the_parts_cover_the_mean() -> None:
    noise = np.random.default_rng(5).normal(size=(400, 60))
    parts = panel(Ensemble.in_memory({"every": 1}, {}, {"x": noise}), "x: means of replicas").curves[1]
    assert parts.error is not None
    touched = np.mean(np.abs(np.array(parts.y) - noise.mean()) < np.array(parts.error))
    assert 0.5 < touched < 0.85


def test_one_replica_is_split_in_parts() -> None:
    noise = np.random.default_rng(6).normal(size=(400, 1))
    assert len(panel(Ensemble.in_memory({}, {}, {"x": noise}), "x: means of parts").curves[1].x) == 8


def test_a_series_that_stands_still_has_only_a_history() -> None:
    figure = describe_run(Ensemble.in_memory({"every": 1}, {}, {"m": np.ones((50, 2))}))
    assert [p.title for p in figure.panels] == ["m: history"]
    assert draw(figure).startswith("<svg")


def test_components_of_a_ladder_are_drawn_one_by_one() -> None:
    ladder = np.random.default_rng(7).normal(size=(100, 2, 5))
    titles = [p.title for p in describe_run(Ensemble.in_memory({"every": 1}, {}, {"energy": ladder})).panels]
    assert "energy[2]: history" in titles and "energy[3]: history" not in titles


def test_a_run_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match="run longer"):
        describe_run(Ensemble.in_memory({"every": 1}, {}, {"m": np.zeros((3, 1))}))
