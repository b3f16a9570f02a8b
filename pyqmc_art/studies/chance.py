"""What held-out scores reach when the labels mean nothing.

Scores of a cross-validation are not independent: every model shares works with every other. Where labels mean nothing
their AUC scatters about 1/2 more widely than an interval over works says. So it is measured: labels are shuffled among
the works of each fold, and a ridge regression, whose scores are linear in the labels, is held out for all shufflings at
once, ``scores = K_test,train (K_train + lambda)^-1 labels``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]
PENALTIES: Final = (0.01, 0.1, 1.0, 10.0)
"""Ridge penalties in units of the mean of the diagonal; the one that reaches most counts."""
SHUFFLES: Final = 400
LEVEL: Final = 0.975


def shuffle_labels(labels: NDArray[np.bool_], folds: NDArray[np.int64], count: int, stream: Stream) -> Floats:
    """Shuffle labels within each fold; shape (works, count) of 0 and 1."""
    generator = np.random.Generator(np.random.Philox(key=stream.fold("shuffle").key))
    shuffled = np.empty((labels.size, count))
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        own = np.repeat(labels[rows].astype(np.float64)[:, None], count, axis=1)
        shuffled[rows] = generator.permuted(own, axis=0)
    return shuffled


def areas_of_chance(
    features: Floats, labels: NDArray[np.bool_], folds: NDArray[np.int64], stream: Stream, count: int = SHUFFLES
) -> Floats:
    """AUC of held-out works for each shuffling, by the penalty that gives the largest upper limit.

    Parameters
    ----------
    features : of the works, shape (works, d)
    labels : of the works; each fold keeps its numbers of both
    folds : of the works
    stream : of the shufflings
    count : shufflings

    Returns
    -------
    shape (count,)
    """
    spread = features.std(axis=0)
    z = (features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    kernel = z @ z.T
    kernel /= max(float(np.mean(np.diag(kernel))), 1e-12)
    shuffled = shuffle_labels(labels, folds, count, stream)
    reached = [_rank(_hold_out(kernel, shuffled, folds, penalty), shuffled) for penalty in PENALTIES]
    return max(reached, key=lambda areas: float(np.quantile(areas, LEVEL)))


def _hold_out(kernel: Floats, targets: Floats, folds: NDArray[np.int64], penalty: float) -> Floats:
    """Held-out ridge scores, standardised in each fold, of every column of the targets."""
    scores = np.empty_like(targets)
    for fold in np.unique(folds):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        known = targets[train] - targets[train].mean(axis=0)
        inner = kernel[np.ix_(train, train)] + penalty * np.eye(train.size)
        own = kernel[np.ix_(test, train)] @ np.linalg.solve(inner, known)
        own -= own.mean(axis=0)
        spread = own.std(axis=0)
        scores[test] = np.divide(own, spread, out=np.zeros_like(own), where=spread > 1e-12)
    return scores


def _rank(scores: Floats, labels: Floats) -> Floats:
    """AUC of each column (Mann-Whitney; a fold of one work gives ties, which the order of the works breaks)."""
    ranks = np.argsort(np.argsort(scores, axis=0, kind="stable"), axis=0) + 1.0
    positives = labels.sum(axis=0)
    negatives = len(labels) - positives
    return np.asarray(
        ((ranks * labels).sum(axis=0) - positives * (positives + 1) / 2) / (positives * negatives), np.float64
    )
