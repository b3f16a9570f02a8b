from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyqmc_art import options
from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.rng import Stream
from pyqmc_art.studies import catalogue, unseen_report
from pyqmc_art.studies.gallery import Gallery
from pyqmc_art.studies.grids import judge_grid
from pyqmc_art.studies.unseen_generators import find_makers, plan_regimes
from pyqmc_art.studies.unseen_report import FORGERS, MACHINES, NOBODY, Matrix, without

PLACES = {"original": (0, 0, 0), "proxy": (5, 0, 0), "SDXL": (0, 5, 0), "Flux": (0, 0, 5), "Wacker": (0, 5, 5)}


def hang(*makers: tuple[str, str, int]) -> Gallery:
    """Works of (role, maker, number), each maker at a place of his own; unknown ones at the originals'."""
    rows, places = [], []
    for role, maker, count in (("original", "master", 24), ("proxy", "painter", 24), *makers):
        machine = role in ("diffusion", "other-machine", "tuned-gan")
        rows += [Row(f"{role} {maker} {k}.png", role, "" if machine else maker, generator=maker if machine else "")
                 for k in range(count)]  # fmt: skip
        places += [PLACES.get(maker, PLACES.get(role, (0, 0, 0)))] * count
    manifest = Manifest(tuple(rows))
    noise = np.random.default_rng(1).standard_normal((len(rows), 3))
    seen, blind = (
        FeatureTable(np.asarray(x, np.float32), np.arange(len(rows)), np.ones(len(rows), np.int64), manifest.works)
        for x in (np.array(places) + noise, 0 * noise)
    )
    return Gallery(manifest, "master", {"residual": seen, "metadata": blind, "subject": blind}, blind, False)


def judge(gallery: Gallery) -> Matrix:
    makers = find_makers(gallery)
    stream = Stream.from_seed(3)
    planned = plan_regimes(makers, 4)
    return Matrix(judge_grid(gallery, planned, stream, folds=4, repeats=1, strengths=(1e-2,), monitor=Silent()), makers)


TWO = (("other-machine", "SDXL", 16), ("other-machine", "Flux", 16))


def test_every_maker_is_left_out_in_turn() -> None:
    makers = find_makers(hang(*TWO, ("forgery", "Wacker", 8), ("forgery", "Myatt", 8), ("forgery", "", 3)))
    assert [one.title for one in makers] == ["SDXL", "Flux", "Wacker", "Myatt", "unknown forgers"]
    planned = {regime.name: regime for regime in plan_regimes(makers, 4)}
    assert list(planned) == [NOBODY, "only SDXL", "only Flux", "all but SDXL", "all but Flux", MACHINES,
                             "all but Wacker", "all but Myatt", FORGERS]  # fmt: skip
    assert planned["only SDXL"].without == ("other-machine|flux",)
    assert planned["all but SDXL"].without == ("other-machine|sdxl",)
    # Forgeries by unknown hands may be Wacker's, and leave with him.
    assert set(planned["all but Wacker"].without) == {"forgery|wacker", "forgery|"}
    assert planned[FORGERS].without == ()


def test_generators_of_two_roles() -> None:
    makers = find_makers(hang(("diffusion", "", 8), ("tuned-gan", "", 8), ("other-machine", "Flux", 2)))
    planned = {regime.name: regime for regime in plan_regimes(makers, 4)}
    # Two pictures are too few to train on in every fold, not too few to be tested.
    assert "only Flux" not in planned and "all but Flux" in planned
    assert planned["all but Flux"].roles == ("diffusion", "tuned-gan")
    assert planned["only diffusion"].roles == ("diffusion",)


def test_one_maker_cannot_be_left_out() -> None:
    planned = [regime.name for regime in plan_regimes(find_makers(hang(("diffusion", "", 8))), 4)]
    assert planned == [NOBODY, MACHINES]
    matrix = judge(hang(("diffusion", "SDXL", 8)))
    assert "too few makers" in unseen_report.answer(matrix)
    assert [table.name for table in unseen_report.tables(matrix)] == ["matrix-areas", "matrix-recalls"]


def test_what_is_needed() -> None:
    with pytest.raises(InputError, match="no picture was made by a machine"):
        find_makers(hang(("forgery", "Wacker", 8)))
    gallery = hang(*TWO)
    with pytest.raises(InputError, match="originals and proxies"):
        find_makers(gallery.keep([i for i, role in enumerate(gallery.roles) if role != "proxy"]))


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return judge(hang(*TWO))


def test_a_generator_of_its_own_kind_is_seen_and_not_unseen(matrix: Matrix) -> None:
    """Planted: what one generator does says nothing of the other."""
    sdxl = matrix.makers[0]
    area = matrix.grid.area
    assert area("residual", MACHINES, sdxl.label).low > 0.8
    assert area("residual", "only SDXL", sdxl.label).low > 0.8
    for regime in (without(sdxl), "only Flux", NOBODY):
        assert area("residual", regime, sdxl.label).low < 0.6
    change = matrix.grid.gain("residual", MACHINES, without(sdxl), sdxl.label)
    assert change.high < 0


def test_the_matrix_marks_who_was_in_training(matrix: Matrix) -> None:
    table = next(t for t in unseen_report.tables(matrix) if t.name == "matrix-areas")
    assert table.columns == ("judge", "trained on", "SDXL (n = 16)", "Flux (n = 16)")
    stars = {row[1]: [str(cell).endswith("*") for cell in row[2:]] for row in table.rows}
    assert stars == {NOBODY: [False, False], "only SDXL": [True, False], "only Flux": [False, True],
                     "all but SDXL": [False, True], "all but Flux": [True, False], MACHINES: [True, True]}  # fmt: skip
    assert all("[" in str(cell) for row in table.rows for cell in row[2:])
    left = next(t for t in unseen_report.tables(matrix) if t.name == "left-out-generators")
    assert {row[1]: row[2] for row in left.rows} == {"SDXL": 16, "Flux": 16}
    assert {row[0] for row in left.rows} == {"residual statistics", "equalised metadata", "subject", "file metadata"}
    assert "Pictures of Master" in unseen_report.answer(matrix) and "decide little" in unseen_report.answer(matrix)


def test_it_runs_on_the_painter(tmp_path: Path) -> None:
    small = {"detectors": ["residual"], "originals": 12, "proxies": 12, "forgeries": 8, "machines": 6, "pixels": 64,
             "forgers": 2, "folds": 3, "strengths": [0.01]}  # fmt: skip
    study = catalogue.configure("unseen-generators", "quick", small, options.parse)
    found = catalogue.answer(study, tmp_path, seed=1, monitor=Silent())
    assert found.answer.startswith("Simulated pictures")
    assert [table.name for table in found.tables] == [
        "left-out-generators", "left-out-forgers", "matrix-areas", "matrix-recalls",
    ]  # fmt: skip
    assert [figure.name for figure in found.figures] == ["generators", "forgers"]
    assert (tmp_path / "features").is_dir()
