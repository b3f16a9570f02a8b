"""The study of leaks: what it plants is found, coins are fair, and it runs on the painter and on somebody's folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyqmc_art import options
from pyqmc_art.art.collection import plan_collection, write_collection
from pyqmc_art.art.duplicates import find_duplicates, take_fingerprint
from pyqmc_art.art.pictures import Picture
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Findings
from pyqmc_art.rng import Stream

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.studies import catalogue
from pyqmc_art.studies.leakage import Leakage
from pyqmc_art.studies.leaks import Noise, Samples, count_shared, throw_coins
from pyqmc_art.studies.photographs import photograph_again
from pyqmc_art.studies.thresholds import INSIDE, ON_TEST, measure_threshold

STREAM = Stream.from_seed(71)
TINY = {"works": 14, "cells": 2, "patch": 48, "folds": 3, "repeats": 1, "labellings": 6}
NUMBER = r"\d\.\d\d \[\d\.\d\d, \d\.\d\d\]"


def test_coins_are_fair_and_do_not_depend_on_the_order() -> None:
    names = [f"w{i}" for i in range(30)]
    coins = throw_coins(names, STREAM)
    assert throw_coins(names[::-1], STREAM).tolist() == coins[::-1].tolist()
    heads = sum(throw_coins(names, STREAM.fold("again", i)).sum() for i in range(200))
    # Binomial(6000, 1/2) has the standard deviation 39.
    assert abs(heads - 3000) < 4 * 39
    assert 0 < throw_coins(["a", "b"], STREAM).sum() < 2


def test_shared_works_are_counted() -> None:
    fold = np.array([0, 0, 1, 1, 1])
    assert count_shared(list("aabbb"), fold) == 0
    assert count_shared(list("ababc"), fold) == 2


def test_the_mean_over_labellings_has_an_interval_that_covers() -> None:
    generator = np.random.default_rng(1)
    found = [Noise.of(generator.normal(0.5, 0.1, 16), 40, STREAM.fold("mean", i)) for i in range(100)]
    covered = sum(one.low <= 0.5 <= one.high for one in found)
    # Binomial(100, 0.95): fewer than 86 has a probability below 1e-3.
    assert covered >= 86


def test_a_second_photograph_is_another_file_of_the_same_work() -> None:
    pixels = [one.paint() for one in plan_collection(STREAM, {"original": 6}, 128)]
    pictures = [Picture(one, Path(f"{i}.png"), "PNG", f"{i:064x}") for i, one in enumerate(pixels)]
    again = [photograph_again(one, STREAM) for one in pictures]
    assert [one.pixels.shape for one in again] == [one.shape for one in pixels]
    assert all(one.format == "JPEG" and 55 <= (one.quality or 0) <= 95 for one in again)
    assert not any(np.array_equal(one.pixels, other) for one, other in zip(again, pixels, strict=True))
    np.testing.assert_array_equal(photograph_again(pictures[0], STREAM).pixels, again[0].pixels)
    pairs = find_duplicates([take_fingerprint(one) for one in [*pixels, *(one.pixels for one in again)]])
    assert {(i, i + 6) for i in range(6)} <= set(pairs)


def test_thresholds_on_test_are_caught_and_flatter() -> None:
    """Noise: inside the training works 1/2 within its interval, on the tested works clearly more."""
    values = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32)
    table = FeatureTable(values, np.arange(40), np.ones(40, np.int64), tuple(f"w{i}" for i in range(40)))
    labels = np.arange(40) < 20
    inside, on_test = (
        measure_threshold(table, labels, place, STREAM, folds=4, labellings=8) for place in (INSIDE, ON_TEST)
    )
    assert (inside.leaking, on_test.leaking) == (0, 4)
    assert abs(inside.noise.value - 0.5) < 2 * (inside.noise.high - inside.noise.low)
    assert on_test.noise.low > max(0.5, inside.noise.value)


def check(findings: Findings, works: str) -> None:
    splits, additions, thresholds = findings.tables
    assert [row[2] for row in splits.rows] == ["sound", "leaky"] * 2
    assert [float(str(row[3])) > 0 for row in splits.rows] == [False, True] * 2
    for row in (*(row[4:] for row in splits.rows), *(row[2:] for row in thresholds.rows)):
        assert all(re.fullmatch(NUMBER, str(cell)) for cell in row)
    assert works in splits.caption
    assert all(works in str(row[2]) for row in additions.rows)
    assert [str(row[1]).startswith("0 of") for row in thresholds.rows] == [True, False]
    assert findings.figures[0].panels[0].categories[0] == "patches, real"


def test_on_the_painter(tmp_path: Path) -> None:
    study = catalogue.configure("leakage", "quick", TINY, options.parse)
    assert isinstance(study, Leakage)
    findings = study.run(tmp_path, stream=STREAM, monitor=Silent())
    check(findings, "14 v 14")
    assert "All pictures are simulated." in findings.notes
    assert "Simulated" in findings.figures[0].caption


def test_on_a_folder(tmp_path: Path) -> None:
    plan = plan_collection(STREAM, {"original": 15, "proxy": 13, "forgery": 3}, 96)
    write_collection(tmp_path / "pictures", plan)
    study = catalogue.configure("leakage", "quick", {**TINY, "manifest": str(tmp_path / "pictures")}, options.parse)
    findings = study.run(tmp_path / "out", stream=STREAM, monitor=Silent())
    check(findings, "14 v 13")
    assert "Simulated" not in findings.figures[0].caption
    with pytest.raises(InputError, match="3 works have the role forgery; expected at least 12"):
        Leakage(manifest=str(tmp_path / "pictures"), contrast="forgery").run(
            tmp_path / "out", stream=STREAM, monitor=Silent()
        )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"works": 3}, "at least 12"),
        ({"works": 0}, "0 for all works of a manifest"),
        ({"cells": 1}, "at least 2 cells"),
        ({"labellings": 1}, "1 and 4"),
        ({"contrast": "proxi"}, "unknown role"),
        ({"contrast": "original"}, "contrast is original"),
        ({"factor": "some"}, "unknown factor"),
    ],
)
def test_bad_input(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Leakage(**wrong)


def test_samples_need_a_work_each() -> None:
    with pytest.raises(InputError, match="samples of each work"):
        Samples(np.zeros((2, 1), np.float32), ("a", "b"), ("a",), np.array([True]))
