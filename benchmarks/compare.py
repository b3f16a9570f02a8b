"""Two records side by side: ``python -m benchmarks.compare BEFORE AFTER`` gives each ratio of costs with its interval.

BEFORE and AFTER are names of records or files. The status is 1 if something certainly became slower.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from scipy.stats import norm as normal

from benchmarks.record import Measurement, Record, path_of, read
from pyqmc_art.errors import InputError

CONFIDENCE: Final = 0.95
TOLERANCE: Final = 1.1
"""A machine that is shared moves by this much on its own; less is never called slower or faster."""

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Ratio:
    """Cost after over cost before: below 1 is faster.

    Parameters
    ----------
    section, case, contender : what was timed
    value : median of the ratios of all pairs of rounds; of effective samples the ratio of the estimates
    low, high : limits of the interval that inverts Wilcoxon's rank sum test; of effective samples that of the ratio of
        two normal estimates; what was counted has none and gives its value twice
    """

    section: str
    case: str
    contender: str
    value: float
    low: float
    high: float

    def change(self, tolerance: float = TOLERANCE) -> str:
        """``"slower"`` or ``"faster"`` when the whole interval lies beyond the tolerance, else ``"same"``."""
        if self.low > tolerance:
            return "slower"
        return "faster" if self.high < 1 / tolerance else "same"


def compare(before: Record, after: Record, confidence: float = CONFIDENCE) -> tuple[list[Ratio], list[str]]:
    """Compare what both records timed; give the ratios, and what only one of them has, or has without its rounds.

    Raises
    ------
    InputError
        When they have nothing in common.
    """
    old, new = _by_key(before), _by_key(after)
    both = [key for key in new if key in old]
    if not both:
        raise InputError("the two records have no timing in common; record the same benchmarks twice")
    pairs = {key: ratio for key in both if (ratio := _ratio_of(old[key], new[key], confidence)) is not None}
    ratios = [Ratio(*key, *pairs[key]) for key in pairs]
    left = [f"{' / '.join(key)}: in one record only" for key in chain(old, new) if (key in old) != (key in new)]
    left += [f"{' / '.join(key)}: recorded without its rounds; run it again" for key in both if key not in pairs]
    return ratios, left


def _ratio_of(before: Measurement, after: Measurement, confidence: float) -> tuple[float, float, float] | None:
    """Ratio with its interval: of rounds, of estimates with errors, or of what was counted; None for lack of those."""
    if len(before.costs) > 1 and len(after.costs) > 1:
        return estimate_ratio(before.costs, after.costs, confidence)
    if not before.median or not after.median:
        return None
    value = after.median / before.median
    if before.error is not None and after.error is not None:
        spread = math.hypot(before.error / before.median, after.error / after.median)
        factor = math.exp(float(normal.ppf((1 + confidence) / 2)) * spread)
        return value, value / factor, value * factor
    return (value, value, value) if before.quantity == after.quantity != "ns" else None


def estimate_ratio(
    before: Sequence[float], after: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Hodges-Lehmann ratio of two sets of rounds with an exact, distribution-free interval.

    Parameters
    ----------
    before, after : cost of each round, above 0
    confidence : of the interval; with too few rounds for it the interval spans all pairs

    References
    ----------
    J. L. Hodges, E. L. Lehmann, Ann. Math. Stat. 34 (1963) 598.

    Examples
    --------
    >>> value, low, high = estimate_ratio([1.0, 1.1, 0.9, 1.0, 1.05], [2.0, 2.1, 1.9, 2.0, 2.2])
    >>> round(value, 1), low < 2 < high, low > 1.5
    (2.0, True, True)
    """
    x, y = np.asarray(before, float), np.asarray(after, float)
    pairs = np.sort((y[:, None] / x[None, :]).ravel())
    k = max(0, _rejected(x.size, y.size, (1 - confidence) / 2) - 1)
    return float(np.median(pairs)), float(pairs[k]), float(pairs[-1 - k])


def _rejected(m: int, n: int, tail: float) -> int:
    """How many values of U at each end the rank sum test of m and n rejects: the limits are the last pair of these.

    The number of orders in which U pairs are the wrong way round has the generating function
    ``prod_i (1 - q^(n+i)) / (1 - q^i)``, i = 1 ... m.
    """
    orders = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            orders[u] -= orders[u - n - i]
        for u in range(i, m * n + 1):
            orders[u] += orders[u - i]
    below = np.cumsum(np.array(orders, float)) / math.comb(m + n, m)
    return int(np.sum(below <= tail))


def show(ratios: Sequence[Ratio], left: Sequence[str], tolerance: float) -> str:
    """Table of the ratios, changes first."""
    order = {"slower": 0, "faster": 1, "same": 2}
    rows = sorted(ratios, key=lambda one: (order[one.change(tolerance)], -abs(np.log(one.value))))
    lines = [
        f"{one.change(tolerance):7} {one.value:6.3f} [{one.low:.3f}, {one.high:.3f}]  "
        f"{one.section} / {one.case} / {one.contender}"
        for one in rows
    ]
    counts = {name: sum(one.change(tolerance) == name for one in ratios) for name in order}
    return "\n".join([*lines, *left, ", ".join(f"{n} {name}" for name, n in counts.items())])


def main(words: Sequence[str]) -> int:
    """Print the comparison; 1 if something became slower, 2 for records that cannot be compared."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.splitlines()[0])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="ratio that counts as no change")
    given = parser.parse_args(words)
    try:
        ratios, left = compare(_open(given.before), _open(given.after))
    except (InputError, OSError) as error:
        print(f"benchmarks.compare: {error}", file=sys.stderr)
        return 2
    print(show(ratios, left, given.tolerance))
    return int(any(one.change(given.tolerance) == "slower" for one in ratios))


def _open(word: str) -> Record:
    path = Path(word)
    return read(path if path.suffix == ".json" else path_of(word))


def _by_key(record: Record) -> dict[Key, Measurement]:
    return {(m.section, m.case, m.contender): m for m in record.measurements if m.median is not None}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
