"""From inner out-of-fold scores to thresholds, log-likelihood ratios and a zone of no verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import Floats
from pyqmc_art.stats.ranking import check_scores

METHODS: Final = ("logistic", "gaussian")
MINIMUM_WORKS: Final = 20
"""With fewer works in a class an error rate of one in twenty is expected to show no error at all."""


@dataclass(frozen=True)
class Zone:
    """Scores that get no verdict: between them, neither class can be ruled out (or both are) at level alpha.

    Parameters
    ----------
    low, high : below ``low`` the negative class is called, above ``high`` the positive one; a limit is infinite where a
        class has too few works to be ever ruled out
    alpha : a work of either class is called the other with at most this probability

    Examples
    --------
    >>> Zone(-1.0, 0.5, 0.1).contains(0.0)
    True
    """

    low: float
    high: float
    alpha: float

    def contains(self, score: float) -> bool:
        """Whether the score gets no verdict."""
        return self.low <= score <= self.high


def abstention_zone(positive: ArrayLike, negative: ArrayLike, alpha: float = 0.1) -> Zone:
    """Set a conformal zone of no verdict from out-of-fold scores of each class.

    A class is ruled out if at most ``floor(alpha (n + 1)) - 1`` of its n works score as extremely; for a new work that
    is exchangeable with them this errs with probability at most alpha, class by class, whatever the distribution.

    Parameters
    ----------
    positive, negative : inner out-of-fold scores, one a work
    alpha : error that is accepted; a class of fewer than 1/alpha - 1 works is never ruled out

    Returns
    -------
    Zone

    References
    ----------
    V. Vovk, Machine Learning 92 (2013) 349, section 3 (label-conditional conformal predictors).

    Examples
    --------
    >>> abstention_zone([1.0, 2.0, 3.0, 4.0], [-2.0, -1.0, 0.0, 1.5], alpha=0.4)
    Zone(low=0.0, high=2.0, alpha=0.4)
    >>> abstention_zone([1.0, 2.0], [-2.0, -1.0], alpha=0.1).high
    inf
    """
    x, y = check_scores(positive, negative)
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; expected a number between 0 and 1, for instance 0.1")
    # Above `over` the negative class is ruled out, below `under` the positive one.
    over, under = -_ruled_out(-y, alpha), _ruled_out(x, alpha)
    return Zone(min(over, under), max(over, under), alpha)


@dataclass(frozen=True)
class LogRatio:
    """A natural logarithm of a ratio (likelihoods or odds) with its interval.

    Examples
    --------
    >>> print(LogRatio(1.25, 0.4, 2.0).shifted(-0.25))
    +1.00 [+0.15, +1.75]
    """

    value: float
    low: float
    high: float

    def shifted(self, log_odds: float) -> LogRatio:
        """Turn a likelihood ratio into posterior odds by adding prior log-odds."""
        return LogRatio(self.value + log_odds, self.low + log_odds, self.high + log_odds)

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


@dataclass(frozen=True)
class Calibration:
    """A line from scores to log-likelihood ratios, with bootstrap replicates over works.

    ``LLR(s) = slope s + intercept``, cut at ``-log(positives + 1)`` and ``log(negatives + 1)``: so many works of a
    class support no stronger statement against it.

    Parameters
    ----------
    slope, intercept : of the line; the slope is never negative
    replicates : slope and intercept of each bootstrap sample, shape (samples, 2)
    threshold : the score at which the ratio is 1
    zone : scores without a verdict
    positives, negatives : works of each class that it was learned from
    supported : whether there is enough to call the ratios calibrated
    reason : why not; empty if supported

    References
    ----------
    P. Vergeer et al., Science & Justice 56 (2016) 482 (limits of likelihood ratios from few data).
    """

    slope: float
    intercept: float
    replicates: Floats
    threshold: float
    zone: Zone
    positives: int
    negatives: int
    supported: bool = True
    reason: str = ""

    def log_ratio(self, score: float, confidence: float = 0.95) -> LogRatio:
        """Log-likelihood ratio of a work's score, positive in favour of the positive class, always finite."""
        if not math.isfinite(score):
            raise InputError(f"the score is {score}; expected a finite number")
        value = float(self._cut(np.asarray(self.slope * score + self.intercept)))
        replicates = self._cut(self.replicates[:, 0] * score + self.replicates[:, 1])
        low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
        return LogRatio(value, min(value, float(low)), max(value, float(high)))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for a model's ``config.json``; infinite limits of the zone become None."""
        limits = [value if math.isfinite(value) else None for value in (self.zone.low, self.zone.high)]
        return {
            "slope": self.slope,
            "intercept": self.intercept,
            "replicates": self.replicates.tolist(),
            "threshold": self.threshold,
            "zone": {"low": limits[0], "high": limits[1], "alpha": self.zone.alpha},
            "positives": self.positives,
            "negatives": self.negatives,
            "supported": self.supported,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Calibration:
        """Rebuild what :meth:`to_json` wrote; InputError if something is missing."""
        try:
            facts = dict(given)
            zone = facts.pop("zone")
            low = -math.inf if zone["low"] is None else float(zone["low"])
            high = math.inf if zone["high"] is None else float(zone["high"])
            replicates = np.asarray(facts.pop("replicates"), np.float64)
            return cls(**facts, replicates=replicates, zone=Zone(low, high, float(zone["alpha"])))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"this is no stored calibration ({error}); train the model again") from error

    def _cut(self, ratios: Floats) -> Floats:
        limits = -math.log(self.positives + 1), math.log(self.negatives + 1)
        return np.asarray(np.clip(ratios, *limits), np.float64)


def calibrate(
    positive: ArrayLike,
    negative: ArrayLike,
    stream: Stream,
    method: str = "logistic",
    alpha: float = 0.1,
    samples: int = 400,
) -> Calibration:
    """Learn log-likelihood ratios from inner out-of-fold scores of works.

    ``"logistic"``: Platt's logistic regression, both classes weighted equally (so that the odds are the likelihood
    ratio) and with the targets (n + 1)/(n + 2) and 1/(n + 2), n the works of the smaller class, which keep the line
    finite for separated classes. ``"gaussian"``: two normal distributions of common variance.

    The calibration is *supported* if each class has at least ``MINIMUM_WORKS`` works and 95 % of the bootstrap samples
    rank the classes in the right order; otherwise it is returned with the reason, and with slope 0 (every ratio 1) if
    the scores rank no better than chance.

    Parameters
    ----------
    positive, negative : inner out-of-fold scores, one a work, of training works only
    stream : source of the bootstrap over works
    method : ``"logistic"`` or ``"gaussian"``
    alpha : error accepted by the zone of no verdict
    samples : bootstrap samples, at least 100

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        For an empty class, scores that are not finite, an unknown method or too few samples.

    References
    ----------
    J. Platt, in Advances in Large Margin Classifiers (MIT Press, 2000), section 2; N. Bruemmer, J. du Preez, Computer
    Speech & Language 20 (2006) 230 (equal weights).

    Examples
    --------
    >>> generator = np.random.default_rng(1)
    >>> line = calibrate(generator.normal(1, 1, 400), generator.normal(-1, 1, 400), Stream.from_seed(1))
    >>> print(line.log_ratio(1.0), line.supported)
    +2.08 [+1.81, +2.39] True
    """
    x, y = check_scores(positive, negative)
    if method not in METHODS:
        raise unknown("calibration method", method, METHODS)
    if samples < 100:
        raise InputError(f"samples is {samples}; expected at least 100 bootstrap samples (400 is usual)")
    zone = abstention_zone(x, y, alpha)
    counts = np.concatenate([np.ones((1, x.size + y.size)), _draws(x.size, y.size, samples, stream)])
    fit = _fit_logistic if method == "logistic" else _fit_gaussian
    lines = fit(x, y, counts)
    slope, intercept = float(lines[0, 0]), float(lines[0, 1])
    replicates = lines[1:]
    right = float(np.mean(replicates[:, 0] > 0))
    reason = _reason(x.size, y.size, slope, right)
    if slope <= 0:
        middle = float(x.mean() + y.mean()) / 2
        return Calibration(0.0, 0.0, 0 * replicates, middle, zone, x.size, y.size, False, reason)
    threshold = -intercept / slope
    return Calibration(slope, intercept, replicates, threshold, zone, x.size, y.size, not reason, reason)


def choose_threshold(positive: ArrayLike, negative: ArrayLike, false_alarms: float | None = None) -> float:
    """Choose a threshold on inner out-of-fold scores.

    Without ``false_alarms``: the greatest balanced accuracy; of several best gaps between scores the middle one. With
    it: the lowest threshold that at most this fraction of the negatives exceeds.

    Parameters
    ----------
    positive, negative : inner out-of-fold scores, one a work, of training works only
    false_alarms : fraction of negatives that may be called positive

    Returns
    -------
    threshold; a work counts as positive above it

    Examples
    --------
    >>> choose_threshold([1.0, 2.0, 3.0], [-2.0, 0.0])
    0.5
    >>> choose_threshold([1.0, 2.0, 3.0], [-2.0, 0.0, 5.0], false_alarms=0.4)
    0.0
    """
    x, y = check_scores(positive, negative)
    if false_alarms is not None:
        if not 0 <= false_alarms < 1:
            raise InputError(f"false_alarms is {false_alarms}; expected a fraction from 0 to below 1")
        return float(np.sort(y)[y.size - 1 - math.floor(false_alarms * y.size)])
    scores = np.unique(np.concatenate([x, y]))
    if scores.size == 1:
        return float(scores[0])
    candidates = (scores[1:] + scores[:-1]) / 2
    hits = 1 - np.searchsorted(np.sort(x), candidates, "right") / x.size
    rejections = np.searchsorted(np.sort(y), candidates, "right") / y.size
    best = np.flatnonzero(hits + rejections >= np.max(hits + rejections) - 1e-12)
    return float(candidates[best[(best.size - 1) // 2]])


def prior_log_odds(prior: float) -> float:
    """Log-odds of a prior probability; InputError unless it lies between 0 and 1.

    Examples
    --------
    >>> prior_log_odds(0.5)
    0.0
    """
    if not 0 < prior < 1:
        raise InputError(f"prior is {prior}; expected a probability between 0 and 1, both excluded")
    return math.log(prior / (1 - prior))


def log_ratio_cost(positive: ArrayLike, negative: ArrayLike) -> float:
    """Cost of log-likelihood ratios in bits: 0 is perfect, 1 is what a judge that always says "1 : 1" pays.

    ``C_llr = (mean log2(1 + e^-l) over positives + mean log2(1 + e^l) over negatives) / 2``

    References
    ----------
    N. Bruemmer, J. du Preez, Computer Speech & Language 20 (2006) 230, equation 35.

    Examples
    --------
    >>> log_ratio_cost([0.0, 0.0], [0.0])
    1.0
    """
    x, y = check_scores(positive, negative)
    return float(np.mean(np.logaddexp(0, -x)) + np.mean(np.logaddexp(0, y))) / (2 * math.log(2))


def _ruled_out(scores: Floats, alpha: float) -> float:
    """The score below which the class is ruled out: its p-value, (1 + works as low)/(n + 1), is at most alpha there."""
    rank = math.floor(alpha * (scores.size + 1) + 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank else -math.inf


def _reason(positives: int, negatives: int, slope: float, right: float) -> str:
    if slope <= 0:
        return "calibration not supported: the inner scores rank the two classes no better than chance"
    if min(positives, negatives) < MINIMUM_WORKS:
        return (
            f"calibration not supported: {positives} v {negatives} works; {MINIMUM_WORKS} of each class are needed, "
            "fewer are expected to show no error even at an error rate of one in twenty"
        )
    if right < 0.95:
        return f"calibration not supported: only {right:.0%} of bootstrap samples rank the classes in the right order"
    return ""


def _draws(positives: int, negatives: int, samples: int, stream: Stream) -> Floats:
    """How often each work is drawn, class by class."""
    generator = np.random.default_rng(stream.key)
    parts = [generator.multinomial(n, np.full(n, 1 / n), size=samples) for n in (positives, negatives)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def _fit_gaussian(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Slope and intercept for each row of counts: ``(mu - nu)/v`` and ``-slope (mu + nu)/2``."""
    a, b = counts[:, : x.size], counts[:, x.size :]
    mu, nu = a @ x / x.size, b @ y / y.size
    spread = [(a @ x**2 / x.size - mu**2), (b @ y**2 / y.size - nu**2)]
    # Unbiased variances, both classes equally; the floor keeps a sample of one repeated work finite.
    variance = sum(one * n / max(1, n - 1) for one, n in zip(spread, (x.size, y.size), strict=True)) / 2
    variance = np.maximum(variance, 1e-6 * max(float(np.var(np.concatenate([x, y]))), 1e-300))
    slope = (mu - nu) / variance
    return np.stack([slope, -slope * (mu + nu) / 2], axis=1)


def _fit_logistic(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Slope and intercept for each row of counts by Newton's method with bounded steps on standardised scores."""
    scores = np.concatenate([x, y])
    centre, scale = (float(x.mean()) + float(y.mean())) / 2, float(scores.std()) or 1.0
    z = (scores - centre) / scale
    fewest = min(x.size, y.size)
    target = np.where(np.arange(z.size) < x.size, fewest + 1, 1) / (fewest + 2)
    weight = counts * np.where(np.arange(z.size) < x.size, 0.5 / x.size, 0.5 / y.size)
    line = np.zeros((len(counts), 2))
    for _ in range(100):
        p = special.expit(line[:, :1] * z + line[:, 1:])
        residual, curvature = weight * (target - p), weight * p * (1 - p)
        gradient = np.stack([residual @ z, residual.sum(axis=1)], axis=1)
        h0, h1, h2 = curvature.sum(axis=1), curvature @ z, curvature @ z**2
        # A sample of one repeated score has no slope; the tiny ridge leaves it at zero.
        a, d = h2 + 1e-9, h0 + 1e-9
        determinant = a * d - h1**2
        step = np.stack([d * gradient[:, 0] - h1 * gradient[:, 1], a * gradient[:, 1] - h1 * gradient[:, 0]], axis=1)
        step = np.clip(step / determinant[:, None], -1.0, 1.0)
        line += step
        if float(np.max(np.abs(step))) < 1e-10:
            break
    slope = line[:, 0] / scale
    return np.stack([slope, line[:, 1] - slope * centre], axis=1)
