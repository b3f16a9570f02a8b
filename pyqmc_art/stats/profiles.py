"""Two sets of curves: bands around their means, and one p-value for the largest difference anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]

PERMUTATIONS: Final = 999
BOOTSTRAPS: Final = 400
FEWEST: Final = 4
_CHUNK: Final = 128


@dataclass(frozen=True, eq=False)
class Profiles:
    """What the comparison of two sets of curves gives.

    Attributes
    ----------
    a, b : means of the curves of each set, shape (places,)
    a_band, b_band : lower and upper ends of pointwise bands, shape (2, places)
    z : difference b - a at each place in units of its standard error
    critical : the modulus that z exceeds somewhere with a probability of 5 % (or whatever was asked for) by chance
    p_value : of the largest modulus of z
    units : independent curves of each set
    """

    a: Floats
    b: Floats
    a_band: Floats
    b_band: Floats
    z: Floats
    critical: float
    p_value: float
    units: tuple[int, int]


def find_peaks(a: Floats, b: Floats, critical: float) -> list[int]:
    """Find the peaks of falling curves b that the curves a do not have.

    A peak is the highest place behind a valley, the lowest place before it. The mean of b must rise from valley to peak
    by more than ``critical`` standard errors, both by itself and beside that of a.

    Parameters
    ----------
    a, b : curves, one a unit, shapes (n, places) and (m, places)
    critical : in standard errors

    Examples
    --------
    >>> falling = np.random.default_rng(1).normal(size=(20, 8)) * 0.1 - np.arange(8)
    >>> find_peaks(falling, falling + [0, 0, 0, 0, 0, 4, 0, 0], 3.0)
    [5]
    """
    mean = b.mean(axis=0)
    found: dict[int, int] = {}
    for peak in range(1, len(mean) - 1):
        valley = int(np.argmin(mean[:peak]))
        if mean[peak] <= mean[peak - 1] or mean[peak] < mean[peak + 1]:
            continue
        rises = [one[:, peak] - one[:, valley] for one in (a, b)]
        squares = [rise.var(ddof=1) / len(rise) for rise in rises]
        gain = float(rises[1].mean() - rises[0].mean())
        clear = rises[1].mean() > critical * squares[1] ** 0.5 and gain > critical * sum(squares) ** 0.5
        if clear and mean[peak] > mean[found.get(valley, valley)]:
            found[valley] = peak
    return sorted(found.values())


def average_units(rows: Floats, units: NDArray[Any]) -> Floats:
    """Average the rows of each unit, in the order of the units.

    Examples
    --------
    >>> average_units(np.array([[1.0], [3.0], [5.0]]), np.array([0, 0, 1])).tolist()
    [[2.0], [5.0]]
    """
    _, inverse, counts = np.unique(units, return_inverse=True, return_counts=True)
    sums = np.zeros((counts.size, rows.shape[1]))
    np.add.at(sums, inverse.reshape(-1), rows)
    return np.asarray(sums / counts[:, None], np.float64)


def compare_profiles(
    a: Floats, b: Floats, stream: Stream, level: float = 0.05, permutations: int = PERMUTATIONS
) -> Profiles:
    """Compare the means of two sets of independent curves.

    The p-value is that of the largest ``|z|`` among all places, under permutations of which curve is of which set:
    it is exact for equal distributions, however the places are correlated.

    Parameters
    ----------
    a, b : curves, one a unit (a work, a block of a chain), shapes (n, places) and (m, places)
    stream : of permutations and bootstrap
    level : of ``critical``
    permutations : at least 99

    Raises
    ------
    InputError
        For sets of fewer than four curves or other numbers of places, or too few permutations.

    References
    ----------
    T. E. Nichols, A. P. Holmes, Hum. Brain Mapp. 15 (2002) 1 (the largest statistic under permutations).

    Examples
    --------
    >>> rows = np.random.default_rng(1).normal(size=(60, 5))
    >>> found = compare_profiles(rows[:30], rows[30:] + [0, 0, 2.0, 0, 0], Stream.from_seed(1))
    >>> found.p_value, int(np.argmax(found.z)), bool(found.z[2] > found.critical)
    (0.001, 2, True)
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1:] != b.shape[1:] or min(len(a), len(b)) < FEWEST or not a.shape[1]:
        raise InputError(
            f"curves have shapes {a.shape} and {b.shape}; expected (n, places) and (m, places), at least {FEWEST} each"
        )
    if permutations < 99:
        raise InputError(f"permutations is {permutations}; expected at least 99")
    n, m = len(a), len(b)
    pooled = np.concatenate([a, b])
    centred = pooled - pooled.mean(axis=0)
    own = (a.var(axis=0) * n + b.var(axis=0) * m) / (n + m - 2)
    sigma = np.sqrt(own * (1 / n + 1 / m))
    sigma = np.where(sigma > 1e-12 * (1e-300 + np.abs(pooled).max(axis=0)), sigma, np.inf)
    scale = centred.std(axis=0)
    z = (b.mean(axis=0) - a.mean(axis=0)) / sigma
    # One scale for all permutations: the largest of the standardised differences.
    usable = np.isfinite(sigma)
    unit = np.where(usable, scale * np.sqrt((1 / n + 1 / m) * (n + m) / (n + m - 2)), np.inf)
    largest = _permute(centred / unit, n, m, stream.fold("permutations"), permutations)
    found = float(np.abs((b.mean(axis=0) - a.mean(axis=0)) / unit).max())
    p_value = (1 + int((largest >= found * (1 - 1e-9)).sum())) / (permutations + 1)
    critical = float(np.quantile(largest, 1 - level))
    bands = [_band(rows, stream.fold("band", k)) for k, rows in enumerate((a, b))]
    return Profiles(a.mean(axis=0), b.mean(axis=0), bands[0], bands[1], z, critical, p_value, (n, m))


def _permute(rows: Floats, n: int, m: int, stream: Stream, permutations: int) -> Floats:
    """Largest modulus of the difference of the means for each permutation."""
    generator = np.random.default_rng(stream.key)
    signs = np.repeat([-1 / n, 1 / m], [n, m])
    largest = np.empty(permutations)
    for first in range(0, permutations, _CHUNK):
        count = min(_CHUNK, permutations - first)
        shuffled = generator.permuted(np.broadcast_to(signs, (count, n + m)), axis=1)
        largest[first : first + count] = np.abs(shuffled @ rows).max(axis=1)
    return largest


def _band(rows: Floats, stream: Stream) -> Floats:
    """Percentiles of the mean under a bootstrap over the curves, widened for their number."""
    n = len(rows)
    drawn = np.random.default_rng(stream.key).multinomial(n, np.full(n, 1 / n), size=BOOTSTRAPS)
    mean = rows.mean(axis=0)
    means = mean + (drawn @ rows / n - mean) * np.sqrt(n / (n - 1))
    return np.asarray(np.quantile(means, [0.025, 0.975], axis=0), np.float64)
