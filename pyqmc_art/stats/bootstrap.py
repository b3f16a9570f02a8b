"""Bootstrap over works: whole works are drawn, stratum by stratum, and BCa limits corrected for few works."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.rng import Stream

Floats: TypeAlias = NDArray[np.float64]

Statistic: TypeAlias = Callable[[Floats], Floats]
"""Takes how often each work is drawn, shape ``(samples, works)``, and returns one number a sample."""

SAMPLES: Final = 2000
SMALL_STRATUM: Final = 5
"""Strata of fewer works are merged: within them a bootstrap hardly varies anything."""


@dataclass(frozen=True)
class WorkBootstrap:
    """The bootstrap distribution of a statistic of works, with what BCa limits need.

    Parameters
    ----------
    value : the statistic of the works as they are
    replicates : the statistic of each bootstrap sample, sorted, shape (samples,)
    bias : z0, the normal quantile of the fraction of replicates below the value
    acceleration : a, from the jackknife over works
    inflation : ratio of the unbiased standard error to the one of drawing with replacement, at least 1
    freedom : degrees of freedom of that error (Welch and Satterthwaite over the strata)
    """

    value: float
    replicates: Floats
    bias: float
    acceleration: float
    inflation: float
    freedom: float

    @property
    def error(self) -> float:
        """Standard error, corrected for the number of works."""
        return float(self.replicates.std(ddof=1)) * self.inflation

    @property
    def degenerate(self) -> bool:
        """Whether no sample differs from another, so that the bootstrap knows nothing of the error."""
        return bool(np.ptp(self.replicates) <= 1e-12)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """BCa limits, their normal quantiles replaced by inflated Student ones.

        ``alpha' = Phi(z0 + (z0 + z)/(1 - a (z0 + z)))`` with ``z = inflation t(alpha; freedom)``.

        References
        ----------
        B. Efron, J. Am. Stat. Assoc. 82 (1987) 171, equation 2.3; T. Hesterberg, Am. Stat. 69 (2015) 371, section 4.2
        (the expanded percentiles).
        """
        if not 0 < confidence < 1:
            raise InputError(f"confidence is {confidence}; expected a number between 0 and 1, for instance 0.95")
        levels = []
        for alpha in ((1 - confidence) / 2, (1 + confidence) / 2):
            z = self.bias + self.inflation * float(special.stdtrit(self.freedom, alpha))
            stretch = 1 - self.acceleration * z
            level = special.ndtr(self.bias + z / stretch) if stretch > 0 else float(z > 0)
            levels.append(float(level))
        low, high = np.quantile(self.replicates, levels)
        return float(low), float(high)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p-value of a null value: the confidence at which the interval just reaches it, from 1."""
        below = float(np.mean(self.replicates < null) + 0.5 * np.mean(self.replicates == null))
        count = len(self.replicates)
        shifted = float(special.ndtri((below * count + 0.5) / (count + 1))) - self.bias
        stretch = 1 + self.acceleration * shifted
        z = shifted / stretch - self.bias if stretch > 0 else math.copysign(math.inf, shifted)
        tail = float(special.stdtr(self.freedom, -abs(z) / self.inflation))
        return min(1.0, 2 * tail)


def bootstrap_works(
    statistic: Statistic, strata: Sequence[Hashable] | NDArray[Any], stream: Stream, samples: int = SAMPLES
) -> WorkBootstrap:
    """Draw works with replacement within each stratum and evaluate a statistic.

    Parameters
    ----------
    statistic : how often each work is drawn, shape (samples, works) -> one number a sample
    strata : the stratum of each work, for instance its class and sublabel; see :func:`merge_small_strata`
    stream : source of the draws
    samples : bootstrap samples, at least 100

    Returns
    -------
    WorkBootstrap

    Raises
    ------
    InputError
        Without works or with too few samples.
    NumericalError
        If the statistic is not finite.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=50)
    >>> mean = bootstrap_works(lambda c: c @ x / c.sum(axis=1), [0] * 50, Stream.from_seed(1))
    >>> low, high = mean.interval()
    >>> bool(low < x.mean() < high), bool(np.isclose(mean.error, x.std(ddof=1) / 50**0.5, rtol=0.1))
    (True, True)
    """
    if not len(strata):
        raise InputError("there are no works to draw from; expected at least one")
    if samples < 100:
        raise InputError(f"samples is {samples}; expected at least 100 bootstrap samples (2000 is usual)")
    members = _members(strata)
    works = len(strata)
    value = _evaluate(statistic, np.ones((1, works)))[0]
    generator = np.random.default_rng(stream.key)
    replicates = np.sort(_evaluate(statistic, _draw(members, works, samples, generator)))
    below = float(np.mean(replicates < value - 1e-12) + 0.5 * np.mean(np.abs(replicates - value) <= 1e-12))
    bias = float(special.ndtri(np.clip(below, 0.5 / samples, 1 - 0.5 / samples)))
    acceleration, inflation, freedom = _jackknife(statistic, members, works)
    return WorkBootstrap(float(value), replicates, bias, acceleration, inflation, freedom)


def merge_small_strata(
    classes: Sequence[Hashable] | NDArray[Any], sublabels: Sequence[Hashable] | NDArray[Any] | None = None
) -> list[tuple[Hashable, Hashable]]:
    """Name the stratum of each work: its class and sublabel, small sublabels merged within their class.

    Sublabels with fewer than ``SMALL_STRATUM`` works make one stratum; should that be small, too, it joins the smallest
    of the others.

    Examples
    --------
    >>> strata = merge_small_strata([0] * 8 + [1] * 5, ["a"] * 6 + ["b", "c"] + ["d"] * 5)
    >>> sorted(set(strata))
    [(0, 'a'), (1, 'd')]
    """
    if sublabels is None:
        return [(_plain(one), "") for one in classes]
    if len(sublabels) != len(classes):
        raise InputError(f"{len(sublabels)} sublabels were given for {len(classes)} works; expected one for each")
    strata = [(_plain(one), _plain(name)) for one, name in zip(classes, sublabels, strict=True)]
    counts = Counter(strata)
    target: dict[tuple[Hashable, Hashable], tuple[Hashable, Hashable]] = {}
    for one in {stratum[0] for stratum in counts}:
        own = {stratum: count for stratum, count in counts.items() if stratum[0] == one}
        small = [stratum for stratum, count in own.items() if count < SMALL_STRATUM]
        large = [stratum for stratum in own if stratum not in small]
        pooled: tuple[Hashable, Hashable] = (one, "others")
        if large and sum(own[stratum] for stratum in small) < SMALL_STRATUM:
            pooled = min(large, key=lambda stratum: (counts[stratum], str(stratum)))
        target.update(dict.fromkeys(small, pooled))
    return [target.get(stratum, stratum) for stratum in strata]


def _plain(name: Hashable) -> Hashable:
    """Numpy scalars compare like Python's but print differently."""
    return name.item() if isinstance(name, np.generic) else name


def _members(strata: Sequence[Hashable] | NDArray[Any]) -> list[NDArray[np.intp]]:
    found: dict[Hashable, list[int]] = {}
    for index, stratum in enumerate(strata):
        found.setdefault(stratum, []).append(index)
    return [np.array(indices, np.intp) for indices in found.values()]


def _evaluate(statistic: Statistic, counts: Floats) -> Floats:
    values = np.asarray(statistic(counts), np.float64)
    if not np.all(np.isfinite(values)):
        raise NumericalError("the statistic is not finite for some bootstrap sample; check the scores for nan or inf")
    return values


def _draw(members: list[NDArray[np.intp]], works: int, samples: int, generator: np.random.Generator) -> Floats:
    """How often each work is drawn, shape (samples, works)."""
    counts = np.empty((samples, works))
    for indices in members:
        n = len(indices)
        drawn = generator.integers(0, n, size=(samples, n)) + n * np.arange(samples)[:, None]
        counts[:, indices] = np.bincount(drawn.reshape(-1), minlength=n * samples).reshape(samples, n)
    return counts


def _jackknife(statistic: Statistic, members: list[NDArray[np.intp]], works: int) -> tuple[float, float, float]:
    """Acceleration, inflation and degrees of freedom from leaving out one work at a time.

    The others of its stratum take over its weight, so that the strata keep theirs.
    """
    cubes = plug_in = unbiased = squares = 0.0
    for indices in members:
        n = len(indices)
        if n < 2:
            continue
        weights = np.ones((n, works))
        weights[:, indices] = n / (n - 1)
        weights[np.arange(n), indices] = 0.0
        values = _evaluate(statistic, weights)
        influence = (n - 1) * (values.mean() - values)
        own = float(influence @ influence) / (n * (n - 1))
        cubes += float(np.sum(influence**3)) / n**3
        plug_in += own * (n - 1) / n
        unbiased += own
        squares += own**2 / (n - 1)
    if plug_in <= 1e-24:
        return 0.0, 1.0, math.inf
    return cubes / (6 * plug_in**1.5), math.sqrt(unbiased / plug_in), unbiased**2 / squares
