"""One-class scores of works: no label of a forgery enters, the null gives one half, and a baseline can refuse them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pyqmc_art import options
from pyqmc_art.art.claims import STATUSES
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.ranking import auc

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.studies import catalogue
from pyqmc_art.studies.familiarities import (
    CEILING,
    PROXIES_ONLY,
    Familiarities,
    judge_familiarities,
    score_by_originals,
)
from pyqmc_art.studies.gallery import Gallery
from pyqmc_art.studies.unsupervised import Unsupervised

STREAM = Stream.from_seed(81)
COUNTS = {"original": 40, "proxy": 20, "forgery": 15, "diffusion": 12}


def make_gallery(spread: dict[str, float] | None = None, seed: int = 1, biased: str = "") -> Gallery:
    """Features of works: as wide as said for each role; a ``biased`` role has files of another format."""
    wide = spread or {}
    generator = np.random.default_rng(seed)
    rows = [
        Row(f"{role} {i}.png", role, "The Master" if role == "original" else "Somebody", group=f"{role} {i}")
        for role, count in COUNTS.items()
        for i in range(count)
    ]
    factor = np.array([wide.get(row.role, 1.0) for row in rows])[:, None]
    offset = np.array([9.0 * (row.role == biased) for row in rows])[:, None]

    def table(values: np.ndarray) -> FeatureTable:
        count = len(rows)
        works = tuple(row.work for row in rows)
        return FeatureTable(values.astype(np.float32), np.arange(count), np.ones(count, np.int64), works)

    tables = {
        "residual": table(generator.normal(size=(len(rows), 8)) * factor + offset),
        "metadata": table(generator.normal(size=(len(rows), 3)) + offset),
        "subject": table(generator.normal(size=(len(rows), 3))),
    }
    files = table(generator.normal(size=(len(rows), 3)) + offset)
    return Gallery(Manifest(tuple(rows)), "The Master", tables, files, True, ("All pictures are simulated.",))


@pytest.mark.parametrize("method", ["mahalanobis", "neighbours", "reconstruction", "one-class SVM"])
def test_no_label_of_another_work_enters(method: str) -> None:
    """Forgeries called proxies, proxies called diffusion: every score keeps every bit."""
    gallery = make_gallery()
    renamed = {"forgery": "proxy", "proxy": "diffusion", "diffusion": "forgery"}
    rows = tuple(
        dataclasses.replace(row, role=renamed.get(row.role, row.role), hand=row.hand) for row in gallery.manifest
    )
    other = dataclasses.replace(gallery, manifest=Manifest(rows))
    first, second = (
        score_by_originals(one, "residual", method, STREAM, folds=4, repeats=2) for one in (gallery, other)
    )
    assert first.tobytes() == second.tobytes()
    # That an original is one does enter.
    fewer = tuple(dataclasses.replace(row, role="proxy") if i < 5 else row for i, row in enumerate(gallery.manifest))
    third = score_by_originals(
        dataclasses.replace(gallery, manifest=Manifest(fewer)), "residual", method, STREAM, folds=4, repeats=2
    )
    assert first.tobytes() != third.tobytes()


def test_the_order_of_the_rows_does_not_matter() -> None:
    gallery = make_gallery()
    order = np.random.default_rng(2).permutation(len(gallery))
    plain = score_by_originals(gallery, "residual", "neighbours", STREAM, folds=4)
    turned = score_by_originals(gallery.keep(order), "residual", "neighbours", STREAM, folds=4)
    np.testing.assert_allclose(turned, plain[order], rtol=1e-6)


def test_works_from_the_distribution_of_the_originals_score_one_half() -> None:
    """A held-out original is exchangeable with a forgery at gap 0; scored by itself it would look familiar."""
    areas = []
    for seed in range(20):
        gallery = make_gallery(seed=seed)
        found = score_by_originals(gallery, "residual", "mahalanobis", STREAM, folds=4)
        areas.append(auc(found[gallery.labels], found[np.array(gallery.roles) == "forgery"]))
    assert abs(np.mean(areas) - 0.5) < 4 * np.std(areas, ddof=1) / len(areas) ** 0.5


def judge(gallery: Gallery, methods: tuple[str, ...] = ("mahalanobis", "neighbours")) -> Familiarities:
    return judge_familiarities(gallery, methods, STREAM, folds=4, repeats=1, strengths=(0.01,), monitor=Silent())


def test_what_is_unlike_is_seen_without_a_label_and_claimed() -> None:
    found = judge(make_gallery({"forgery": 3.0}))
    claim = found.claim("residual", "mahalanobis", "forgery")
    assert claim.score.low > 0.8
    assert claim.status == "supported"
    assert found.claim("residual", "mahalanobis", "diffusion").status != "supported"
    assert found.roles == ("proxy", "forgery", "diffusion")
    assert {way for _, way in found.scores} == {"mahalanobis", "neighbours", PROXIES_ONLY, CEILING}


def test_planted_format_bias_is_refused() -> None:
    """The diffusion pictures differ in everything a file is: the detector sees it, and so do the baselines."""
    claim = judge(make_gallery(biased="diffusion")).claim("residual", "mahalanobis", "diffusion")
    assert claim.score.value > 0.95
    assert claim.status == "refused"


@dataclasses.dataclass(frozen=True)
class Prepared(Unsupervised):
    """The study on works that are described already."""

    def open_gallery(self, out: Path, monitor: Monitor) -> Gallery:
        return make_gallery({"forgery": 2.0})


def test_the_report_states_n_and_intervals(tmp_path: Path) -> None:
    findings = Prepared(folds=4, strengths=(0.01,)).run(tmp_path, stream=STREAM, monitor=Silent())
    areas, baselines, claims = findings.tables
    assert areas.columns[2:] == ("v proxy (40 v 20)", "v forgery (40 v 15)", "v diffusion (40 v 12)")
    assert len(areas.rows) == 6
    assert len(baselines.rows) == 3 * 4
    for row in (*areas.rows, *baselines.rows):
        assert all("[" in str(cell) for cell in row[2:])
    assert {str(cell).split(":")[0] for row in claims.rows for cell in row[2:]} <= set(STATUSES)
    assert "Simulated" in findings.figures[0].caption
    assert "originals v forgery" in findings.answer


def test_it_is_in_the_catalogue_and_refuses_unknown_methods() -> None:
    study = catalogue.configure("unsupervised", "quick", {"methods": ["neighbours"], "folds": 5}, options.parse)
    assert (study.methods, study.folds) == (("neighbours",), 5)
    with pytest.raises(InputError, match="unknown method"):
        Unsupervised(methods=("mahalonobis",))


def test_too_few_works() -> None:
    gallery = make_gallery()
    originals = [i for i, own in enumerate(gallery.labels) if own]
    with pytest.raises(InputError, match="only originals and proxies"):
        judge(gallery.keep(originals))
    with pytest.raises(InputError, match="3 works are originals"):
        score_by_originals(gallery.keep([*originals[:3], 50]), "residual", "neighbours", STREAM, folds=4)
