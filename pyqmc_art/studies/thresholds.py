"""Thresholds chosen inside the training works, and on the works they are tested on: the second is a leak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.audit import audit_labels
from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.detectors.heads import assign_folds, count_works, make_learner
from pyqmc_art.rng import Stream
from pyqmc_art.stats.calibration import choose_threshold
from pyqmc_art.stats.crossvalidation import Learner, score_out_of_fold
from pyqmc_art.stats.ranking import Score, balanced_accuracy
from pyqmc_art.studies.leaks import STRENGTH, Noise, throw_coins

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Folds = NDArray[np.int64]

INNER_FOLDS: Final = 4
INSIDE, ON_TEST = "inside the training works", "on the tested works"


@dataclass(frozen=True)
class ThresholdResult:
    """Balanced accuracy with thresholds from one place.

    Parameters
    ----------
    place : where they were chosen
    leaking : folds whose threshold moves with the labels of their own tested works
    folds : in all
    real : with the real labels
    noise : with noise labels
    """

    place: str
    leaking: int
    folds: int
    real: Score
    noise: Noise


def score_with_thresholds(
    learn: Learner, labels: Flags, outer: Folds, stream: Stream, place: str = INSIDE
) -> tuple[Floats, Floats]:
    """Score works out of fold, and choose a threshold for each fold by its balanced accuracy.

    Parameters
    ----------
    learn : the detector
    labels : true for the hand, one a work
    outer : fold that tests each work
    stream : of the inner folds
    place : ``INSIDE``: on inner out-of-fold scores of the training works; ``ON_TEST``: on the scores of the fold itself

    Returns
    -------
    score and threshold of each work
    """
    scores, thresholds = np.empty(labels.size), np.zeros(labels.size)
    for number in np.unique(outer):
        test, train = np.flatnonzero(outer == number), np.flatnonzero(outer != number)
        known = labels[train]
        scores[test] = np.asarray(learn(train, known, test), np.float64)
        seen, truth = scores[test], labels[test]
        if place == INSIDE:
            names = [str(work) for work in train]
            parts = max(2, min(INNER_FOLDS, *count_works(names, known)))
            inner = assign_folds(names, known, stream.fold("inner", int(number)), parts)
            seen, truth = score_out_of_fold(learn, train, known, inner), known
        if truth.any() and not truth.all():
            thresholds[test] = choose_threshold(seen[truth], seen[~truth])
    return scores, thresholds


def measure_threshold(
    table: FeatureTable,
    labels: Flags,
    place: str,
    stream: Stream,
    *,
    folds: int,
    labellings: int,
    advance: Callable[[], None] = lambda: None,
) -> ThresholdResult:
    """Judge works with thresholds from one place, with the real labels and with noise labels.

    Parameters
    ----------
    table : features of pictures, one a work
    labels : true for the hand
    place : ``INSIDE`` or ``ON_TEST``
    stream : of folds and coins
    folds : of the cross-validation
    labellings : draws of noise labels
    advance : called after each cross-validation
    """
    learn = make_learner(table, stream.fold("head"), strengths=(STRENGTH,))

    def judge(known: Flags, outer: Folds, own: Stream) -> Score:
        scores, thresholds = score_with_thresholds(learn, known, outer, own, place)
        margins = scores - thresholds
        return balanced_accuracy(margins[known], margins[~known], 0.0)

    outer = assign_folds(table.works, labels, stream.fold("outer"), folds)
    real = judge(labels, outer, stream)
    leaking = audit_labels(
        lambda known: score_with_thresholds(learn, known, outer, stream, place)[1], labels, outer, stream.fold("audit")
    )
    advance()
    found = []
    for draw in range(labellings):
        own = stream.fold("noise", draw)
        blind = assign_folds(table.works, np.ones(labels.size, bool), own.fold("folds"), folds)
        found.append(judge(throw_coins(table.works, own.fold("coins")), blind, own).value)
        advance()
    noise = Noise.of(found, labels.size, stream.fold("mean"))
    return ThresholdResult(place, len(leaking), folds, real, noise)
