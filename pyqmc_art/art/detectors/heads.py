"""The head of a detector: standardise, then regularised logistic regression whose strength works alone decide.

The contrast is not one kind of picture: proxies may lie on one side of the hand and forgeries on the other, where no
single line helps. So the regression is multinomial, the hand against each kind, and the log-odds are those of the hand
against all of them together. With one kind it is the ordinary logistic regression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.splits import Works, split_folds
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.rng import Stream
from pyqmc_art.stats.crossvalidation import Learner

Floats = NDArray[np.float64]

STRENGTHS: Final = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Weights of the data against the penalty that are tried; the smallest is the strongest regularisation."""
FOLDS: Final = 5
BALANCES: Final = ("class", "kind")
_LARGEST_NEWTON: Final = 800


@dataclass(frozen=True)
class Head:
    """Log-odds of a vector x: of the hand against kind k they are ``m_k = z . coefficients_k + intercepts_k``.

    ``z = (x - mean) / scale``, and against all kinds together ``-log sum_k exp(-m_k)``.

    Attributes
    ----------
    mean, scale : shape (d,)
    coefficients : shape (kinds, d)
    intercepts : shape (kinds,)
    strength : weight of the data against the penalty
    """

    mean: Floats
    scale: Floats
    coefficients: Floats
    intercepts: Floats
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
        z = (given - self.mean) / self.scale
        # Sums of each row, no product of matrices: that rounds differently for another number of rows.
        kinds = zip(self.coefficients, self.intercepts, strict=True)
        margins = [(z * line).sum(axis=1) + start for line, start in kinds]
        return np.asarray(-logsumexp(-np.stack(margins), axis=0), np.float64)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays from which :meth:`from_tensors` makes the same head."""
        return {
            "mean": self.mean, "scale": self.scale, "coefficients": self.coefficients,
            "intercepts": self.intercepts, "strength": np.array(self.strength),
        }  # fmt: skip

    @classmethod
    def from_tensors(cls, tensors: Any) -> Head:
        """Undo :meth:`tensors`; InputError when something is missing."""
        try:
            names = ("mean", "scale", "coefficients", "intercepts")
            mean, scale, lines, starts = (np.asarray(tensors[name], np.float64) for name in names)
            if lines.shape != (starts.size, mean.size) or scale.shape != mean.shape:
                raise ValueError(f"arrays of the right shapes, given {lines.shape} for {starts.size} kinds")
            return cls(mean, scale, lines, starts, float(tensors["strength"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the stored head lacks {error}; copy or train the model again") from error


def balance_classes(
    labels: ArrayLike, works: Sequence[str], kinds: Sequence[str] | None = None, balance: str = "class"
) -> Floats:
    """Weight of each picture: every work of a class counts the same and both classes do, summing to the pictures.

    Parameters
    ----------
    labels : of the pictures, true for the hand
    works : of the pictures; the pictures of one work share its weight
    kinds, balance : with ``"kind"`` all kinds of a class count the same, however few their works

    Examples
    --------
    >>> balance_classes([True, False, False, False], ["a", "b", "c", "d"]).round(2).tolist()
    [2.0, 0.67, 0.67, 0.67]
    """
    truth = np.asarray(labels, bool)
    if truth.all() or not truth.any():
        raise InputError(f"all {truth.size} pictures are of one class; a detector needs the hand and something else")
    own = np.asarray(list(works))
    by_kind = kinds is not None and balance == "kind"
    sublabels = np.asarray(list(kinds or ()) if by_kind else [""] * truth.size)
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
    kinds: Sequence[str] | None = None,
    balance: str = "class",
    strengths: Sequence[float] = STRENGTHS,
    folds: int = FOLDS,
) -> Head:
    """Train a head; of several strengths the one with the smallest log-loss of held-out works is taken.

    Parameters
    ----------
    table : of the training pictures
    labels : of the pictures, true for the hand
    stream : of the inner folds
    kinds : of the pictures of the contrast, for instance their roles; None makes all of them one kind
    balance : ``"class"``: the works of the contrast count the same; ``"kind"``: its kinds do, however few their works
    strengths : to be tried; one alone is taken as it is
    folds : inner folds over works; fewer where a class has fewer works

    Raises
    ------
    InputError
        When the pictures are of one class, or for an unknown balance.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (Springer, 2006), equations 4.104 to 4.109 (multinomial).
    """
    if balance not in BALANCES:
        raise unknown("balance", balance, BALANCES)
    truth = np.asarray(labels, bool)
    own = [""] * truth.size if kinds is None else list(kinds)
    if not truth.size == len(own) == len(table):
        raise InputError(f"{truth.size} labels and {len(own)} kinds for {len(table)} pictures; expected one each")
    task = _Task(table, truth, np.where(truth, "", own), balance_classes(truth, table.works, own, balance))
    chosen = tuple(strengths)
    if len(chosen) > 1:
        chosen = (_choose_strength(task, stream, chosen, folds),)
    return task.solve(chosen)[0]


def make_learner(
    table: FeatureTable,
    stream: Stream,
    kinds: Sequence[str] | None = None,
    balance: str = "class",
    strengths: Sequence[float] = STRENGTHS,
) -> Learner:
    """Make the learner that :mod:`pyqmc_art.stats.crossvalidation` calls, with pictures of the table for its works."""

    def learn(train: NDArray[np.intp], labels: NDArray[np.bool_], test: NDArray[np.intp]) -> Floats:
        own = None if kinds is None else [kinds[i] for i in train]
        head = fit_head(table.take(train), labels, stream, kinds=own, balance=balance, strengths=strengths)
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
    own = np.asarray(list(works))
    return np.unique(own[truth]).size, np.unique(own[~truth]).size


@dataclass(frozen=True)
class _Task:
    """Pictures, which are the hand's, the kinds of the others (``""`` for the hand's own) and their weights."""

    table: FeatureTable
    truth: NDArray[np.bool_]
    kinds: NDArray[np.str_]
    weights: Floats

    def take(self, pictures: NDArray[np.intp]) -> _Task:
        return _Task(self.table.take(pictures), self.truth[pictures], self.kinds[pictures], self.weights[pictures])

    def solve(self, strengths: tuple[float, ...]) -> list[Head]:
        """Minimise ``-C sum_i w_i log p_i + |coefficients|^2 / 2`` for each strength C."""
        from threadpoolctl import threadpool_limits

        # One thread: these matrices are small, and the bits must not depend on the number of cores.
        with threadpool_limits(1):
            return self._solve(strengths)

    def _solve(self, strengths: tuple[float, ...]) -> list[Head]:
        from sklearn.linear_model import LogisticRegression

        owners = self.table.owners
        rows = self.table.row_weights() * self.weights[owners]
        share = rows / rows.sum()
        x = self.table.values.astype(np.float64)
        mean = share @ x
        scale = np.sqrt(share @ (x - mean) ** 2)
        scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, 1.0)
        z, axes = _rotate((x - mean) / scale)
        # The hand is class 0, its contrast 1, 2, ... in the order of their names.
        names = np.unique(self.kinds[~self.truth])
        classes = np.where(self.truth, 0, 1 + np.searchsorted(names, self.kinds))[owners]
        newton = names.size == 1 and z.shape[1] <= _LARGEST_NEWTON
        heads = []
        for strength in strengths:
            model = LogisticRegression(
                C=strength, solver="newton-cholesky" if newton else "lbfgs", tol=1e-6, max_iter=5000
            )
            model.fit(z, classes, sample_weight=rows)
            # Of two classes scikit-learn keeps the log-odds of the second, of more a score of each.
            two = names.size == 1
            lines = -model.coef_ if two else model.coef_[:1] - model.coef_[1:]
            starts = -model.intercept_ if two else model.intercept_[:1] - model.intercept_[1:]
            heads.append(Head(mean, scale, lines if axes is None else lines @ axes.T, np.asarray(starts), strength))
        return heads


def _choose_strength(task: _Task, stream: Stream, strengths: tuple[float, ...], folds: int) -> float:
    """Take the strength with the smallest log-loss of held-out works, hand against contrast."""
    works = task.table.works
    parts = min(folds, *count_works(works, task.truth))
    if parts < 2:
        # Nothing can be held out: the middle of the range.
        return strengths[len(strengths) // 2]
    numbers = assign_folds(works, task.truth, stream.fold("strength"), parts, task.kinds.tolist())
    losses = np.zeros(len(strengths))
    for number in range(parts):
        train, test = np.flatnonzero(numbers != number), np.flatnonzero(numbers == number)
        held = task.take(test)
        for i, head in enumerate(task.take(train).solve(strengths)):
            margins = np.where(held.truth, 1, -1) * held.table.pool(head.logits(held.table.values))
            losses[i] += held.weights @ np.logaddexp(0, -margins)
    return strengths[int(np.argmin(losses))]


def _rotate(z: Floats) -> tuple[Floats, Floats | None]:
    """Coordinates in the span of the rows, in which the penalised solution lies, where that is smaller."""
    if len(z) >= z.shape[1]:
        return z, None
    values, vectors = np.linalg.eigh(z @ z.T)
    kept = values > values[-1] * 1e-10
    roots = np.sqrt(values[kept])
    return vectors[:, kept] * roots, z.T @ vectors[:, kept] / roots
