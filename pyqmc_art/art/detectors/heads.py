"""The head of a detector: standardise, then regularised logistic regression whose strength works alone decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.detectors.features import Features, FeatureTable
from pyqmc_art.art.splits import Works, split_folds
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.crossvalidation import Learner

Floats = NDArray[np.float64]

STRENGTHS: Final = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Weights of the data against the penalty that are tried; the smallest is the strongest regularisation."""
FOLDS: Final = 5
_LARGEST_NEWTON: Final = 800


@dataclass(frozen=True)
class Head:
    """Log-odds of a vector: ``((x - mean) / scale) . coefficients + intercept``; both classes count equally.

    Attributes
    ----------
    mean, scale, coefficients : shape (d,)
    intercept : log-odds at the mean
    strength : weight of the data against the penalty
    """

    mean: Floats
    scale: Floats
    coefficients: Floats
    intercept: float
    strength: float

    def logits(self, features: ArrayLike) -> Floats:
        """Log-odds of rows of features, shape (n,).

        Raises
        ------
        InputError
            For features of another length.
        """
        given = np.asarray(features, np.float64)
        if given.ndim != 2 or given.shape[1] != self.mean.size:
            raise InputError(f"features have shape {given.shape}; this head expects (n, {self.mean.size})")
        # Row by row: a product of matrices rounds differently for another number of rows.
        return np.asarray(((given - self.mean) / self.scale * self.coefficients).sum(axis=1) + self.intercept)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays from which :meth:`from_tensors` makes the same head."""
        return {
            "mean": self.mean, "scale": self.scale, "coefficients": self.coefficients,
            "intercept": np.array(self.intercept), "strength": np.array(self.strength),
        }  # fmt: skip

    @classmethod
    def from_tensors(cls, tensors: Any) -> Head:
        """Undo :meth:`tensors`; InputError when something is missing."""
        try:
            mean, scale, line = (np.asarray(tensors[name], np.float64) for name in ("mean", "scale", "coefficients"))
            return cls(mean, scale, line, float(tensors["intercept"]), float(tensors["strength"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the stored head lacks {error}; copy or train the model again") from error


def balance_classes(labels: ArrayLike, works: Sequence[str], groups: Sequence[str] | None = None) -> Floats:
    """Weight of each picture: every work of a class counts the same and both classes do, summing to the pictures.

    Parameters
    ----------
    labels : of the pictures, true for the hand
    works : of the pictures; the pictures of one work share its weight
    groups : sublabel of each picture; if given, all sublabels of a class count the same, however few their works

    Examples
    --------
    >>> balance_classes([True, False, False, False], ["a", "b", "c", "d"]).round(2).tolist()
    [2.0, 0.67, 0.67, 0.67]
    """
    truth = np.asarray(labels, bool)
    if truth.all() or not truth.any():
        raise InputError(f"all {truth.size} pictures are of one class; a detector needs the hand and something else")
    own = np.asarray(works)
    sublabels = np.asarray(groups if groups is not None else [""] * truth.size)
    weights = np.empty(truth.size)
    for label in (True, False):
        names = np.unique(sublabels[truth == label])
        for name in names:
            chosen = np.flatnonzero((truth == label) & (sublabels == name))
            _, inverse, counts = np.unique(own[chosen], return_inverse=True, return_counts=True)
            weights[chosen] = truth.size / 2 / names.size / counts.size / counts[inverse]
    return weights


def fit_head(
    table: FeatureTable,
    labels: ArrayLike,
    stream: Stream,
    *,
    groups: Sequence[str] | None = None,
    strengths: Sequence[float] = STRENGTHS,
    folds: int = FOLDS,
) -> Head:
    """Train a head; of several strengths the one with the smallest log-loss of held-out works is taken.

    Parameters
    ----------
    table : of the training pictures
    labels : of the pictures, true for the hand
    stream : of the inner folds
    groups : see :func:`balance_classes`
    strengths : to be tried; one alone is taken as it is
    folds : inner folds over works; fewer where a class has fewer works

    Raises
    ------
    InputError
        When the pictures are of one class.
    """
    truth = np.asarray(labels, bool)
    if truth.shape != (len(table),):
        raise InputError(f"{truth.size} labels for {len(table)} pictures; expected one each")
    weights = balance_classes(truth, table.works, groups)
    chosen = tuple(strengths)
    if len(chosen) > 1:
        chosen = (_choose_strength(table, truth, weights, groups, stream, chosen, folds),)
    return _solve(table, truth, weights, chosen)[0]


def make_learner(
    table: FeatureTable, stream: Stream, groups: Sequence[str] | None = None, strengths: Sequence[float] = STRENGTHS
) -> Learner:
    """Make the learner that :mod:`pyqmc_art.stats.crossvalidation` calls, with pictures of the table for its works."""

    def learn(train: NDArray[np.intp], labels: NDArray[np.bool_], test: NDArray[np.intp]) -> Floats:
        sublabels = None if groups is None else [groups[i] for i in train]
        head = fit_head(table.take(train), labels, stream, groups=sublabels, strengths=strengths)
        rest = table.take(test)
        return rest.pool(head.logits(rest.values))

    return learn


def assign_folds(
    works: Sequence[str], labels: ArrayLike, stream: Stream, folds: int, groups: Sequence[str] | None = None
) -> NDArray[np.int64]:
    """Fold of each picture: grouped by work, each class and sublabel spread evenly, independent of the order.

    Raises
    ------
    InputError
        When a class has fewer works than folds.
    """
    truth = np.asarray(labels, bool)
    strata = list(groups) if groups is not None else [""] * truth.size
    collected = Works.of(works, strata, ["the hand" if one else "contrast" for one in truth])
    numbers = np.empty(truth.size, np.int64)
    for number, split in enumerate(split_folds(collected, stream, folds, repeats=1, validation=Fraction(0))):
        numbers[split.test] = number
    return numbers


def count_works(works: Sequence[str], labels: ArrayLike) -> tuple[int, int]:
    """Works of the hand and works of the contrast."""
    truth = np.asarray(labels, bool)
    own = np.asarray(works)
    return np.unique(own[truth]).size, np.unique(own[~truth]).size


def _choose_strength(
    table: FeatureTable, truth: NDArray[np.bool_], weights: Floats, groups: Sequence[str] | None, stream: Stream,
    strengths: tuple[float, ...], folds: int,
) -> float:  # fmt: skip
    parts = min(folds, *count_works(table.works, truth))
    if parts < 2:
        # Nothing can be held out: the middle of the range.
        return strengths[len(strengths) // 2]
    numbers = assign_folds(table.works, truth, stream.fold("strength"), parts, groups)
    losses = np.zeros(len(strengths))
    for number in range(parts):
        train, test = np.flatnonzero(numbers != number), np.flatnonzero(numbers == number)
        held = table.take(test)
        for i, head in enumerate(_solve(table.take(train), truth[train], weights[train], strengths)):
            margins = np.where(truth[test], 1, -1) * held.pool(head.logits(held.values))
            losses[i] += weights[test] @ np.logaddexp(0, -margins)
    return strengths[int(np.argmin(losses))]


def _solve(
    table: FeatureTable, truth: NDArray[np.bool_], weights: Floats, strengths: tuple[float, ...]
) -> list[Head]:
    """Minimise ``C sum_i w_i log(1 + exp(-y_i f_i)) + |coefficients|^2 / 2`` for each strength C."""
    from sklearn.linear_model import LogisticRegression

    rows = table.row_weights() * weights[table.owners]
    share = rows / rows.sum()
    x = table.values.astype(np.float64)
    mean = share @ x
    scale = np.sqrt(share @ (x - mean) ** 2)
    scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, 1.0)
    z, axes = _rotate((x - mean) / scale)
    solver = "newton-cholesky" if z.shape[1] <= _LARGEST_NEWTON else "lbfgs"
    labels = truth[table.owners]
    heads = []
    for strength in strengths:
        model = LogisticRegression(C=strength, solver=solver, tol=1e-8, max_iter=5000)
        model.fit(z, labels, sample_weight=rows)
        coefficients = model.coef_[0] if axes is None else axes @ model.coef_[0]
        heads.append(Head(mean, scale, np.asarray(coefficients), float(model.intercept_[0]), float(strength)))
    return heads


def _rotate(z: Features | Floats) -> tuple[Floats, Floats | None]:
    """Coordinates in the span of the rows, in which the penalised solution lies, where that is smaller."""
    if len(z) >= z.shape[1]:
        return np.asarray(z), None
    values, vectors = np.linalg.eigh(z @ z.T)
    kept = values > values[-1] * 1e-10
    roots = np.sqrt(values[kept])
    return vectors[:, kept] * roots, z.T @ vectors[:, kept] / roots
