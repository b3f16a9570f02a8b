"""Is one regime better than another on the same works? Exact McNemar, paired bootstrap of AUC, Holm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import SAMPLES, Floats, bootstrap_works, merge_small_strata
from pyqmc_art.stats.proportions import clopper_pearson_interval
from pyqmc_art.stats.ranking import Sublabels, auc_statistic, check_scores


@dataclass(frozen=True)
class McNemar:
    """Works that two regimes judge differently; ``str`` prints the counts and the p-value.

    Parameters
    ----------
    first_only, second_only : works that only the first, only the second regime got right
    n : works in all
    p_value : two-sided, exact

    Examples
    --------
    >>> print(McNemar(2, 9, 145, 0.0654))
    2 v 9 of 145 works, p = 0.065
    """

    first_only: int
    second_only: int
    n: int
    p_value: float

    def __str__(self) -> str:
        return f"{self.first_only} v {self.second_only} of {self.n} works, p = {self.p_value:.2g}"


def mcnemar(first_correct: ArrayLike, second_correct: ArrayLike) -> McNemar:
    """Exact McNemar test that two regimes err equally often on the same works.

    Given b + c works judged differently, b is binomial with probability 1/2:
    ``p = min(1, 2 P(B <= min(b, c)))``. It rejects at most as often as it says.

    Parameters
    ----------
    first_correct, second_correct : whether each regime got each work right, one verdict a work, in the same order

    Returns
    -------
    McNemar

    Raises
    ------
    InputError
        If the works do not correspond, or an outcome is neither true nor false.

    References
    ----------
    Q. McNemar, Psychometrika 12 (1947) 153.

    Examples
    --------
    >>> mcnemar([1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1]).p_value
    0.125
    """
    first, second = _outcomes(first_correct), _outcomes(second_correct)
    if first.shape != second.shape:
        raise InputError(f"{first.size} and {second.size} outcomes; expected both regimes judged on the same works")
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    different = only_first + only_second
    tail = float(special.bdtr(min(only_first, only_second), different, 0.5)) if different else 1.0
    return McNemar(only_first, only_second, first.size, min(1.0, 2 * tail))


@dataclass(frozen=True)
class Difference:
    """Difference of two AUCs on the same works, with interval and p-value.

    Parameters
    ----------
    value : AUC of the second minus AUC of the first
    low, high : limits of the interval
    p_value : two-sided
    positives, negatives : works of each class

    Examples
    --------
    >>> print(Difference(0.051, -0.012, 0.11, 0.12, 19, 126))
    +0.051 [-0.012, +0.110], p = 0.12, 19 v 126
    """

    value: float
    low: float
    high: float
    p_value: float
    positives: int
    negatives: int

    def __str__(self) -> str:
        interval = f"[{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.value:+.3f} {interval}, p = {self.p_value:.2g}, {self.positives} v {self.negatives}"


def compare_auc(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    stream: Stream,
    sublabels: Sublabels = None,
    confidence: float = 0.95,
    samples: int = SAMPLES,
) -> Difference:
    """Paired bootstrap of the difference of two AUCs: each sample draws the same works for both regimes.

    Parameters
    ----------
    first, second : score of each work under both regimes, one averaged out-of-fold score a work
    labels : 1 (or true) for the positive class, one a work
    stream : source of the draws
    sublabels : strata within the classes
    confidence : of the interval
    samples : bootstrap samples

    Returns
    -------
    Difference of second minus first with BCa limits. Where no sample shows a difference (both separate perfectly, or
    rank alike) p is 1 and the limits are those of a difference of two rates of min(m, n) works that agree.

    Raises
    ------
    InputError
        If the works do not correspond or one class is missing.

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> labels = np.arange(80) < 30
    >>> score = labels + generator.normal(0, 0.5, 80)
    >>> compare_auc(score + generator.normal(0, 2, 80), score, labels, Stream.from_seed(1)).p_value < 0.05
    True
    """
    truth = _outcomes(labels)
    scores = [np.asarray(one, np.float64) for one in (first, second)]
    if any(one.shape != truth.shape for one in scores):
        raise InputError(f"scores of shapes {scores[0].shape}, {scores[1].shape} for {truth.size} labels: one for each")
    pairs = [check_scores(one[truth], one[~truth]) for one in scores]
    order = np.concatenate([np.flatnonzero(truth), np.flatnonzero(~truth)])
    names = None if sublabels is None else np.asarray(sublabels, object)
    if names is not None and names.shape != truth.shape:
        raise InputError(f"{names.size} sublabels were given for {truth.size} works; expected one for each")
    strata = merge_small_strata(truth[order], None if names is None else names[order])
    statistics = [auc_statistic(*pair) for pair in pairs]

    def difference(counts: Floats) -> Floats:
        return statistics[1](counts) - statistics[0](counts)

    bootstrap = bootstrap_works(difference, strata, stream, samples)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    fewest = min(positives, negatives)
    if bootstrap.degenerate or fewest < 2:
        room = 1 - clopper_pearson_interval(fewest, fewest, confidence)[0]
        low, high = max(-1.0, bootstrap.value - room), min(1.0, bootstrap.value + room)
        return Difference(bootstrap.value, low, high, 1.0, positives, negatives)
    low, high = bootstrap.interval(confidence)
    return Difference(bootstrap.value, low, high, bootstrap.p_value(), positives, negatives)


def average_out_of_fold(scores: ArrayLike) -> Floats:
    """Average the out-of-fold scores of repeated cross-validation: one verdict a work.

    Parameters
    ----------
    scores : shape (repeats, works), nan where a work was not tested

    Returns
    -------
    mean over the repeats in which the work was tested, shape (works,)

    Raises
    ------
    InputError
        If a work was never tested.

    Examples
    --------
    >>> average_out_of_fold([[1.0, np.nan], [3.0, 5.0]])
    array([2., 5.])
    """
    table = np.asarray(scores, np.float64)
    if table.ndim != 2 or not table.size:
        raise InputError(f"scores have shape {table.shape}; expected (repeats, works)")
    if np.any(np.isinf(table)):
        raise InputError("some scores are infinite; expected numbers, and nan where a work was not tested")
    tested = np.isfinite(table)
    times = tested.sum(axis=0)
    if not np.all(times):
        missing = ", ".join(str(i) for i in np.flatnonzero(times == 0)[:5])
        raise InputError(f"works {missing} were tested in no repeat; use splits that test every work, or more repeats")
    return np.asarray(np.where(tested, table, 0.0).sum(axis=0) / times, np.float64)


def adjust_holm(p_values: ArrayLike) -> Floats:
    """Holm's adjusted p-values: rejecting those below alpha errs at all with probability at most alpha.

    ``p~_(k) = max_(j <= k) min(1, (m - j + 1) p_(j))`` for the ordered p-values of m tests, dependent or not.

    Parameters
    ----------
    p_values : one a test, 0 to 1

    Returns
    -------
    adjusted p-values in the order given

    Raises
    ------
    InputError
        If one is not between 0 and 1.

    References
    ----------
    S. Holm, Scand. J. Stat. 6 (1979) 65.

    Examples
    --------
    >>> adjust_holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise InputError(f"p-values are {p_values!r}; expected a list of numbers between 0 and 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(np.minimum(1.0, (p.size - np.arange(p.size)) * p[order]))
    result = np.empty_like(p)
    result[order] = adjusted
    return result


@dataclass(frozen=True)
class RegimeComparison:
    """One regime against the reference: verdicts by McNemar, rankings by AUC, p-values also adjusted by Holm.

    Parameters
    ----------
    regime, reference : their names
    verdicts : exact McNemar test; ``first`` is the reference
    ranking : difference of AUC, regime minus reference
    verdicts_adjusted, ranking_adjusted : p-values adjusted over all regimes that were compared
    """

    regime: str
    reference: str
    verdicts: McNemar
    ranking: Difference
    verdicts_adjusted: float = math.nan
    ranking_adjusted: float = math.nan


def compare_regimes(
    scores: Mapping[str, ArrayLike],
    reference: str,
    labels: ArrayLike,
    stream: Stream,
    thresholds: Mapping[str, ArrayLike | float] | None = None,
    sublabels: Sublabels = None,
    samples: int = SAMPLES,
) -> tuple[RegimeComparison, ...]:
    """Compare every regime with a reference on the same works, Holm-adjusted over the regimes.

    Parameters
    ----------
    scores : regime -> one averaged out-of-fold score a work, all in the same order of works
    reference : name of the regime that the others are compared with
    labels : 1 (or true) for the positive class, one a work
    stream : source of the draws; the same works are drawn for every pair
    thresholds : regime -> threshold of its scores, one for all works or one a work; 0 if not given
    sublabels : strata of the bootstrap within the classes
    samples : bootstrap samples

    Returns
    -------
    one RegimeComparison for each other regime, in the order given

    Raises
    ------
    InputError
        If the reference is not among the regimes or the works do not correspond.
    """
    if reference not in scores:
        raise unknown("reference regime", reference, scores)
    truth = _outcomes(labels)
    limits: Mapping[str, Any] = thresholds or {}
    if limits and set(limits) != set(scores):
        raise InputError(f"thresholds are for {sorted(limits)}; expected one for each of {sorted(scores)}")
    correct = {name: (np.asarray(one, np.float64) > limits.get(name, 0.0)) == truth for name, one in scores.items()}
    others = [name for name in scores if name != reference]
    base = scores[reference]
    found = [
        RegimeComparison(
            name,
            reference,
            mcnemar(correct[reference], correct[name]),
            compare_auc(base, scores[name], truth, stream, sublabels, samples=samples),
        )
        for name in others
    ]
    verdicts = adjust_holm([one.verdicts.p_value for one in found])
    ranking = adjust_holm([one.ranking.p_value for one in found])
    return tuple(
        replace(one, verdicts_adjusted=float(p), ranking_adjusted=float(q))
        for one, p, q in zip(found, verdicts, ranking, strict=True)
    )


def _outcomes(given: ArrayLike) -> NDArray[np.bool_]:
    values = np.asarray(given)
    if values.ndim != 1 or not values.size or not np.all((values == 0) | (values == 1)):
        raise InputError(f"outcomes or labels of shape {values.shape} hold more than true and false; one a work")
    return values.astype(bool)
