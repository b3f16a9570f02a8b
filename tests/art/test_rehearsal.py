"""Verdicts on held-out works: the labels of tested works reach nothing that judges them."""

from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.art.rehearsal import Foresight, Rehearsal, calibrate_works, foresee, rehearse
from pyqmc_art.art.verdicts import HAND, OTHER
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

STREAM = Stream.from_seed(11)
N = 60
LABELS = np.arange(N) < 30
WORKS = [f"work {i // 2}" for i in range(N)]  # two pictures each
FOLDS = (np.arange(N) // 2) % 3
VALUES = np.where(LABELS, 1.0, -1.0) + np.repeat(np.random.default_rng(1).normal(0, 0.8, N // 2), 2)


def study(train, known):
    """Learns where the middle between the two classes lies."""

    def learn(pictures, labels, test):
        middle = (VALUES[pictures[labels]].mean() + VALUES[pictures[~labels]].mean()) / 2
        return VALUES[test] - middle

    return (lambda test: learn(train, known, test)), learn


def split(pictures):
    return (pictures // 2) % 4


def test_changing_test_labels_leaves_their_calibration_bit_identical():
    first = foresee(study, WORKS, LABELS, FOLDS, split, STREAM)
    for fold in range(3):
        changed = np.where((fold == FOLDS) & (np.arange(N) // 2 % 5 == fold), ~LABELS, LABELS)
        assert (changed != LABELS).any()
        again = foresee(study, WORKS, changed, FOLDS, split, STREAM)
        assert again.lines[fold].to_json() == first.lines[fold].to_json()
        np.testing.assert_array_equal(again.scores[fold == FOLDS], first.scores[fold == FOLDS])
        # The guard can fail: the calibrations of the other folds do move.
        others = [number for number in range(3) if number != fold]
        assert any(again.lines[n].to_json() != first.lines[n].to_json() for n in others)


def test_without_a_split_nothing_is_calibrated():
    seen = foresee(study, WORKS, LABELS, FOLDS, None, STREAM)
    assert seen.lines == {}
    assert np.isfinite(seen.scores).all()


def test_every_work_has_one_verdict():
    seen = foresee(study, WORKS, LABELS, FOLDS, split, STREAM)
    roles = ["original" if label else "proxy" for label in LABELS]
    told = rehearse(roles, LABELS, WORKS, seen, None)
    assert {role: sum(own.values()) for role, own in told.counts.items()} == {"original": 15, "proxy": 15}
    assert told.rate("original", HAND).n == 15
    assert told.counts["original"].get(HAND, 0) > told.counts["proxy"].get(HAND, 0)
    assert told.counts["proxy"].get(OTHER, 0) > told.counts["original"].get(OTHER, 0)
    assert told.wrong.n == 15
    assert Rehearsal.from_json(told.to_json()).to_json() == told.to_json()


def test_originals_of_other_hands_are_proxies():
    seen = foresee(study, WORKS, LABELS, FOLDS, split, STREAM)
    told = rehearse(["original"] * N, LABELS, WORKS, seen, None)
    assert {role: sum(own.values()) for role, own in told.counts.items()} == {"original": 15, "proxy": 15}


def test_machines_are_judged_where_they_were():
    seen = foresee(study, WORKS, LABELS, FOLDS, split, STREAM)
    nobody = Foresight(np.full(N, np.nan), np.full(N, -1), seen.lines)
    roles = ["original" if label else "photo" for label in LABELS]
    assert rehearse(roles, LABELS, WORKS, seen, nobody).counts == rehearse(roles, LABELS, WORKS, seen, None).counts


def test_pictures_of_one_work_count_once():
    line = calibrate_works([1.0, 3.0, -1.0, -2.0], ["a", "a", "b", "c"], np.array([True, True, False, False]), STREAM)
    assert (line.positives, line.negatives) == (1, 2)


def test_there_may_be_none():
    assert Rehearsal.from_json(None) is None
    with pytest.raises(InputError, match="held-out verdicts cannot be read"):
        Rehearsal.from_json({"original": 3})
