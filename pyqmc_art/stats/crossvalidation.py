"""Nested cross-validation over works: the labels of test works are handed to nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import Floats
from pyqmc_art.stats.calibration import Calibration, calibrate

Indices: TypeAlias = NDArray[np.intp]

Learner: TypeAlias = Callable[[Indices, NDArray[np.bool_], Indices], ArrayLike]
"""Takes training works, *their* labels, and the works to score; returns one score for each of the latter."""


@dataclass(frozen=True)
class NestedScores:
    """What a nested cross-validation gives: for every work the score and the judgement of a model that never saw it.

    Parameters
    ----------
    scores : outer out-of-fold score of each work
    log_ratios : the same, calibrated by the inner scores of the fold's training works
    thresholds : for each work the threshold of its fold, on the scale of the scores
    folds : fold -> its Calibration
    """

    scores: Floats
    log_ratios: Floats
    thresholds: Floats
    folds: dict[int, Calibration]


def calibrate_nested(
    learn: Learner,
    labels: ArrayLike,
    outer: ArrayLike,
    split: Callable[[Indices], ArrayLike],
    stream: Stream,
    method: str = "logistic",
    samples: int = 400,
) -> NestedScores:
    """Score, threshold and calibrate by nested cross-validation over works.

    For every outer fold the other works are split again; their inner out-of-fold scores alone give threshold and
    calibration. The labels of the outer test works are never handed to anything.

    Parameters
    ----------
    learn : trains on works with their labels and scores other works
    labels : 1 (or true) for the positive class, one a work
    outer : number of the outer fold that tests each work
    split : gives training works their inner fold numbers; it must keep groups together
    stream : source of the bootstraps
    method : of the calibration
    samples : bootstrap samples of each calibration

    Returns
    -------
    NestedScores

    Raises
    ------
    InputError
        If the folds do not correspond to the works, or training works of a fold lack a class.
    """
    truth = np.asarray(labels).astype(bool)
    fold = np.asarray(outer)
    if truth.ndim != 1 or fold.shape != truth.shape:
        raise InputError(f"outer folds have shape {fold.shape} for labels of shape {truth.shape}; expected one a work")
    scores, ratios, thresholds = np.empty(truth.size), np.empty(truth.size), np.empty(truth.size)
    folds: dict[int, Calibration] = {}
    for number in np.unique(fold):
        test, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        known = truth[train]
        if known.all() or not known.any():
            raise InputError(f"without outer fold {number} the training works are of one class; use other folds")
        inner = score_out_of_fold(learn, train, known, np.asarray(split(train)))
        line = calibrate(inner[known], inner[~known], stream.fold("outer fold", int(number)), method, samples=samples)
        scores[test] = np.asarray(learn(train, known, test), np.float64)
        ratios[test] = [line.log_ratio(float(score)).value for score in scores[test]]
        thresholds[test] = line.threshold
        folds[int(number)] = line
    return NestedScores(scores, ratios, thresholds, folds)


def score_out_of_fold(learn: Learner, works: Indices, labels: NDArray[np.bool_], folds: NDArray[Any]) -> Floats:
    """Score each work by a model that learned from the works of the other folds.

    Parameters
    ----------
    learn : trains on works with their labels and scores other works
    works : the works, as ``learn`` knows them
    labels : their labels
    folds : their fold numbers, at least two different ones
    """
    if folds.shape != works.shape or np.unique(folds).size < 2:
        raise InputError(f"folds of shape {folds.shape} for {works.size} works; expected one each, at least two folds")
    scores = np.empty(works.size)
    for number in np.unique(folds):
        test = folds == number
        scores[test] = np.asarray(learn(works[~test], labels[~test], works[test]), np.float64)
    return scores
