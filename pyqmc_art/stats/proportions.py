"""Proportions of few works: a rate never travels without its counts and its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from scipy import special

from pyqmc_art.errors import InputError, unknown

METHODS: Final = ("wilson", "clopper-pearson")


def wilson_interval(k: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    ``(k + z^2/2 -+ z sqrt(k (n - k)/n + z^2/4)) / (n + z^2)``, z the normal quantile; [0, 1] for n = 0.

    Parameters
    ----------
    k, n : successes and trials, 0 <= k <= n
    confidence : coverage on average over k; between 0 and 1

    Returns
    -------
    lower and upper limit

    Raises
    ------
    InputError
        For counts or a confidence that make no sense.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    Examples
    --------
    >>> low, high = wilson_interval(3, 3)
    >>> round(low, 2), high
    (0.44, 1.0)
    """
    check_counts(k, n, confidence)
    if n == 0:
        return 0.0, 1.0
    z = float(special.ndtri(0.5 + confidence / 2))
    centre = k + z**2 / 2
    half = z * math.sqrt(k * (n - k) / n + z**2 / 4)
    # At the ends one limit is exact; rounding must not move it.
    low = 0.0 if k == 0 else (centre - half) / (n + z**2)
    high = 1.0 if k == n else (centre + half) / (n + z**2)
    return low, high


def clopper_pearson_interval(k: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval: covers at least as often as it says, whatever the true proportion.

    The limits solve ``P(K >= k | low) = P(K <= k | high) = (1 - confidence)/2``. Through the incomplete beta function
    they are defined for fractional k, too, which gives conservative limits for averages of dependent outcomes.

    Parameters
    ----------
    k, n : successes and trials, 0 <= k <= n
    confidence : least coverage; between 0 and 1

    Returns
    -------
    lower and upper limit

    Raises
    ------
    InputError
        For counts or a confidence that make no sense.

    References
    ----------
    C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.

    Examples
    --------
    >>> low, high = clopper_pearson_interval(0, 10)
    >>> low, round(high, 3)
    (0.0, 0.308)
    """
    check_counts(k, n, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1 - tail))
    return low, high


@dataclass(frozen=True)
class Rate:
    """A proportion with its counts and its interval; ``str`` prints all of them.

    Parameters
    ----------
    k, n : successes and trials
    low, high : limits of the interval
    confidence : of the interval

    Raises
    ------
    InputError
        If 0 <= k <= n or low <= k/n <= high does not hold.

    Examples
    --------
    >>> print(Rate.of(3, 3))
    3/3 = 1.00 [0.44, 1.00]
    >>> print(Rate.count([True, False, True, True]))
    3/4 = 0.75 [0.30, 0.95]
    >>> print(Rate.of(0, 0))
    0/0 = none [0.00, 1.00]
    """

    k: int
    n: int
    low: float
    high: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_counts(self.k, self.n, self.confidence)
        if self.n and not self.low <= self.k / self.n <= self.high:
            raise InputError(f"the interval [{self.low}, {self.high}] does not hold the rate {self.k}/{self.n}")

    @classmethod
    def of(cls, k: int, n: int, confidence: float = 0.95, method: str = "wilson") -> Rate:
        """Make a rate of its counts; ``method`` is ``"wilson"`` or ``"clopper-pearson"``."""
        if method not in METHODS:
            raise unknown("interval method", method, METHODS)
        interval = wilson_interval if method == "wilson" else clopper_pearson_interval
        low, high = interval(k, n, confidence)
        return cls(int(k), int(n), low, high, confidence)

    @classmethod
    def count(cls, outcomes: Iterable[object], confidence: float = 0.95, method: str = "wilson") -> Rate:
        """Make a rate of outcomes, one a work; what is true counts as a success."""
        flags = [bool(one) for one in outcomes]
        return cls.of(sum(flags), len(flags), confidence, method)

    @property
    def value(self) -> float:
        """k/n, nan without trials."""
        return self.k / self.n if self.n else math.nan

    def __str__(self) -> str:
        value = f"{self.value:.2f}" if self.n else "none"
        return f"{self.k}/{self.n} = {value} [{self.low:.2f}, {self.high:.2f}]"


def check_counts(k: float, n: float, confidence: float) -> None:
    """Refuse impossible counts and confidences with an InputError."""
    if not (0 <= k <= n and math.isfinite(n)):
        raise InputError(f"{k} successes in {n} trials are impossible; expected 0 <= k <= n")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; expected a number between 0 and 1, for instance 0.95")
