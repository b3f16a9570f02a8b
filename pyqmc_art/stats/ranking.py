"""How well scores of works rank two classes: AUC, average precision, balanced accuracy, with intervals over works."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import SAMPLES, Floats, Statistic, bootstrap_works, merge_small_strata
from pyqmc_art.stats.proportions import check_counts, clopper_pearson_interval, wilson_interval

Sublabels = Sequence[Hashable] | NDArray[Any] | None

RARE_ERRORS: Final = 2.0
"""Below ``min(m, n) A (1 - A)`` of this, too few pairs are misranked to learn the error of A from them."""


@dataclass(frozen=True)
class Score:
    """A measure of ranking with its interval and the numbers of works; ``str`` prints all of them.

    Parameters
    ----------
    name : of the measure
    value : the measure, 0 to 1
    low, high : limits of the interval
    positives, negatives : works of each class
    confidence : of the interval
    method : how the interval was made

    Examples
    --------
    >>> print(Score("AUC", 0.8734, 0.83, 0.91, 152, 186))
    AUC 0.873 [0.830, 0.910], 152 v 186
    """

    name: str
    value: float
    low: float
    high: float
    positives: int
    negatives: int
    confidence: float = 0.95
    method: str = ""

    def __str__(self) -> str:
        interval = f"[{self.low:.3f}, {self.high:.3f}]"
        return f"{self.name} {self.value:.3f} {interval}, {self.positives} v {self.negatives}"


def auc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Area under the ROC curve: the Mann-Whitney probability ``P(x > y) + P(x = y)/2``.

    Parameters
    ----------
    positive, negative : scores of the works of each class, one a work, finite

    Returns
    -------
    AUC, 0 to 1

    Raises
    ------
    InputError
        If a class is empty or a score is not finite.

    References
    ----------
    J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29.

    Examples
    --------
    >>> auc([2, 3, 3], [1, 3])
    0.6666666666666666
    """
    x, y = check_scores(positive, negative)
    return float(auc_statistic(x, y)(np.ones((1, x.size + y.size)))[0])


def average_precision(positive: ArrayLike, negative: ArrayLike) -> float:
    """Average precision ``sum_k (R_k - R_(k-1)) P_k`` over the distinct scores, from the highest down.

    It depends on the ratio of the classes: state both numbers of works beside it.

    Parameters
    ----------
    positive, negative : scores of the works of each class, as in :func:`auc`

    Returns
    -------
    average precision, 0 to 1; without information it is the fraction of positives

    Examples
    --------
    >>> average_precision([3.0, 1.0], [2.0])
    0.8333333333333333
    """
    x, y = check_scores(positive, negative)
    return float(average_precision_statistic(x, y)(np.ones((1, x.size + y.size)))[0])


def balanced_accuracy(positive: ArrayLike, negative: ArrayLike, threshold: float, confidence: float = 0.95) -> Score:
    """Mean of the recalls of both classes at a threshold that was chosen on other works.

    The interval combines Wilson's limits l, u of the recalls r and s (MOVER):
    ``low = (r + s)/2 - sqrt((r - l_r)^2 + (s - l_s)^2)/2``, and likewise above.

    Parameters
    ----------
    positive, negative : scores of the works of each class, as in :func:`auc`
    threshold : a work counts as positive above it
    confidence : of the interval

    Returns
    -------
    Score

    References
    ----------
    G. Y. Zou, A. Donner, Stat. Med. 27 (2008) 1693, equation 3.

    Examples
    --------
    >>> print(balanced_accuracy([1.0, 2.0, -1.0], [-1.0, -2.0], 0.0))
    balanced accuracy 0.833 [0.432, 0.969], 3 v 2
    """
    x, y = check_scores(positive, negative)
    counts = ((int(np.sum(x > threshold)), x.size), (int(np.sum(y <= threshold)), y.size))
    rates = [k / n for k, n in counts]
    limits = [wilson_interval(k, n, confidence) for k, n in counts]
    value = sum(rates) / 2
    low = value - math.hypot(*(rate - limit[0] for rate, limit in zip(rates, limits, strict=True))) / 2
    high = value + math.hypot(*(limit[1] - rate for rate, limit in zip(rates, limits, strict=True))) / 2
    return Score("balanced accuracy", value, max(0.0, low), min(1.0, high), x.size, y.size, confidence, "MOVER-Wilson")


def delong_interval(positive: ArrayLike, negative: ArrayLike, confidence: float = 0.95) -> Score:
    """AUC with DeLong's error on the logit scale.

    ``logit A -+ t sqrt(S10/m + S01/n) / (A (1 - A))``, where S10 and S01 are the variances of the placements of each
    class among the other, and t is Student's quantile at Welch and Satterthwaite's degrees of freedom.

    Near A = 0 and A = 1, where min(m, n) A (1 - A) < ``RARE_ERRORS``, the few misranked pairs say too little about S10
    and S01 (19 v 126 works of A = 0.95 would be covered to 0.87 to 0.94 only): the interval is then widened to Hanley
    and McNeil's score interval, ``(A - A0)^2 <= z^2 V(A0)``, where that is wider.

    The logit is infinite at A = 0 and A = 1, and the error unknown with a single work in a class or no variance; the
    interval is then Clopper and Pearson's for ``k = A s`` of ``s = min(m, n)``. For A = 1 that is exactly conservative:
    s disjoint pairs are independent, hence ``P(no pair misranked) <= A^s``.

    Parameters
    ----------
    positive, negative : scores of the works of each class, as in :func:`auc`
    confidence : of the interval

    Returns
    -------
    Score

    Raises
    ------
    InputError
        As :func:`auc`.

    References
    ----------
    E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44 (1988) 837, equations 4 to 6; M. S. Pepe, The
    Statistical Evaluation of Medical Tests (Oxford, 2003), section 5.2.4 (the logit); R. G. Newcombe, Stat. Med. 25
    (2006) 559 (score intervals).

    Examples
    --------
    >>> print(delong_interval([1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 1.5, 2.5]))
    AUC 0.812 [0.222, 0.985], 4 v 4
    >>> print(delong_interval([1.0, 2.0, 3.0], [0.0, 0.5]))
    AUC 1.000 [0.158, 1.000], 3 v 2
    """
    x, y = check_scores(positive, negative)
    value = auc(x, y)
    check_counts(0, 1, confidence)
    placements = _placements(x, y), _placements(-y, -x)
    own = [float(one.var(ddof=1)) / one.size if one.size > 1 else math.inf for one in placements]
    variance = sum(own)
    if not 0 < value < 1 or variance <= 0 or not math.isfinite(variance):
        return _pairs_interval(value, x.size, y.size, confidence)
    freedom = variance**2 / sum(v**2 / (one.size - 1) for v, one in zip(own, placements, strict=True))
    half = float(special.stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(variance) / (value * (1 - value))
    centre = float(special.logit(value))
    low, high = float(special.expit(centre - half)), float(special.expit(centre + half))
    return _widen(Score("AUC", value, low, high, x.size, y.size, confidence, "logit-DeLong"))


def bootstrap_auc(
    positive: ArrayLike,
    negative: ArrayLike,
    stream: Stream,
    positive_sublabels: Sublabels = None,
    negative_sublabels: Sublabels = None,
    confidence: float = 0.95,
    samples: int = SAMPLES,
) -> Score:
    """AUC with BCa limits of a bootstrap over works, stratified by sublabel.

    Parameters
    ----------
    positive, negative : scores, one a work (never one a patch), as in :func:`auc`
    stream : source of the draws
    positive_sublabels, negative_sublabels : sublabel of each work; strata with few works are merged
    confidence : of the interval
    samples : bootstrap samples

    Returns
    -------
    Score; near 0 and 1, and where no sample differs from another, the interval is made as in :func:`delong_interval`

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> print(bootstrap_auc(generator.normal(1, 1, 19), generator.normal(0, 1, 126), Stream.from_seed(1)))
    AUC 0.858 [0.738, 0.926], 19 v 126
    """
    x, y = check_scores(positive, negative)
    strata = _strata(x, y, positive_sublabels, negative_sublabels)
    return _widen(_bootstrap("AUC", auc_statistic(x, y), x, y, strata, stream, confidence, samples))


def bootstrap_average_precision(
    positive: ArrayLike,
    negative: ArrayLike,
    stream: Stream,
    positive_sublabels: Sublabels = None,
    negative_sublabels: Sublabels = None,
    confidence: float = 0.95,
    samples: int = SAMPLES,
) -> Score:
    """Average precision with BCa limits of a bootstrap over works; the parameters are :func:`bootstrap_auc`'s."""
    x, y = check_scores(positive, negative)
    strata = _strata(x, y, positive_sublabels, negative_sublabels)
    statistic = average_precision_statistic(x, y)
    return _bootstrap("average precision", statistic, x, y, strata, stream, confidence, samples)


def auc_statistic(positive: Floats, negative: Floats) -> Statistic:
    """Make the AUC a function of how often each work counts, positives first."""
    levels = _Levels(positive, negative)

    def evaluate(counts: Floats) -> Floats:
        x, y = levels.sums(counts)
        # A pair of equal scores counts one half.
        below = np.cumsum(y, axis=1) - y / 2
        return np.asarray(np.sum(x * below, axis=1) / (x.sum(axis=1) * y.sum(axis=1)), np.float64)

    return evaluate


def average_precision_statistic(positive: Floats, negative: Floats) -> Statistic:
    """Make the average precision a function of how often each work counts, positives first."""
    levels = _Levels(positive, negative)

    def evaluate(counts: Floats) -> Floats:
        x, y = (one[:, ::-1] for one in levels.sums(counts))
        found, called = np.cumsum(x, axis=1), np.cumsum(x + y, axis=1)
        precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        return np.asarray(np.sum(x * precision, axis=1) / found[:, -1], np.float64)

    return evaluate


class _Levels:
    """The distinct scores in ascending order; sums the counts of each class at every one."""

    def __init__(self, positive: Floats, negative: Floats) -> None:
        scores = np.concatenate([positive, negative])
        self.order = np.argsort(scores, kind="stable")
        ordered = scores[self.order]
        self.starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) > 0]))
        self.is_positive = (self.order < positive.size).astype(np.float64)

    def sums(self, counts: Floats) -> tuple[Floats, Floats]:
        ordered = counts[:, self.order]
        every = np.add.reduceat(ordered, self.starts, axis=1)
        positive = np.add.reduceat(ordered * self.is_positive, self.starts, axis=1)
        return positive, every - positive


def check_scores(positive: ArrayLike, negative: ArrayLike) -> tuple[Floats, Floats]:
    """Return both classes' scores as float64 vectors; InputError if one is empty or not finite."""
    checked = []
    for name, given in (("positive", positive), ("negative", negative)):
        scores = np.asarray(given, np.float64)
        if scores.ndim != 1 or not scores.size:
            raise InputError(f"the {name} scores have shape {scores.shape}; expected a vector, one score a work")
        if not np.all(np.isfinite(scores)):
            raise InputError(f"{int(np.sum(~np.isfinite(scores)))} {name} scores are not finite; expected numbers")
        checked.append(scores)
    return checked[0], checked[1]


def _placements(x: Floats, y: Floats) -> Floats:
    """For each x the fraction of y below it, ties half."""
    ordered = np.sort(y)
    return np.asarray(
        (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / (2 * y.size), np.float64
    )


def _pairs_interval(value: float, positives: int, negatives: int, confidence: float) -> Score:
    pairs = min(positives, negatives)
    low, high = clopper_pearson_interval(value * pairs, pairs, confidence)
    return Score("AUC", value, low, high, positives, negatives, confidence, "Clopper-Pearson of disjoint pairs")


def _widen(score: Score) -> Score:
    """Widen the interval of an AUC near 0 or 1 to Hanley and McNeil's score interval."""
    m, n = score.positives, score.negatives
    if min(m, n) * score.value * (1 - score.value) >= RARE_ERRORS or not 0 < score.value < 1:
        return score
    z = float(special.ndtri(0.5 + score.confidence / 2))
    # Reflected where A < 1/2, so that exchanging the sign of all scores reflects the interval.
    reflected = score.value < 0.5
    value = 1 - score.value if reflected else score.value
    low, high = _score_limit(value, 0.0, m, n, z), _score_limit(value, 1.0, m, n, z)
    if reflected:
        low, high = 1 - high, 1 - low
    if low >= score.low and high <= score.high:
        return score
    method = f"{score.method} widened to Hanley-McNeil's score interval"
    return replace(score, low=min(low, score.low), high=max(high, score.high), method=method)


def _score_limit(value: float, end: float, m: int, n: int, z: float) -> float:
    """Bisect ``|value - A| = z sqrt(V(A))`` between the value and one end."""
    inside, outside = value, end
    for _ in range(60):
        middle = (inside + outside) / 2
        if abs(value - middle) <= z * math.sqrt(_hanley_mcneil_variance(middle, m, n)):
            inside = middle
        else:
            outside = middle
    return inside


def _hanley_mcneil_variance(value: float, m: int, n: int) -> float:
    """Variance of an AUC of exponential scores; Hanley and McNeil (1982), equation 1."""
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    pairs = value * (1 - value) + (m - 1) * (q1 - value**2) + (n - 1) * (q2 - value**2)
    return max(0.0, pairs) / (m * n)


def _strata(x: Floats, y: Floats, positive: Sublabels, negative: Sublabels) -> list[tuple[Hashable, Hashable]]:
    for name, scores, sublabels in (("positive", x, positive), ("negative", y, negative)):
        if sublabels is not None and len(sublabels) != scores.size:
            raise InputError(f"{len(sublabels)} {name} sublabels for {scores.size} works; expected one for each")
    names = [*(positive if positive is not None else [""] * x.size)]
    names += [*(negative if negative is not None else [""] * y.size)]
    return merge_small_strata([1] * x.size + [0] * y.size, names)


def _bootstrap(
    name: str,
    statistic: Statistic,
    x: Floats,
    y: Floats,
    strata: list[tuple[Hashable, Hashable]],
    stream: Stream,
    confidence: float,
    samples: int,
) -> Score:
    bootstrap = bootstrap_works(statistic, strata, stream, samples)
    # A single work of a class is never exchanged for another: its part of the error is unknown.
    if bootstrap.degenerate or min(x.size, y.size) < 2:
        pairs = _pairs_interval(bootstrap.value, x.size, y.size, confidence)
        return Score(name, pairs.value, pairs.low, pairs.high, x.size, y.size, confidence, pairs.method)
    low, high = bootstrap.interval(confidence)
    return Score(name, bootstrap.value, low, high, x.size, y.size, confidence, "BCa over works")
