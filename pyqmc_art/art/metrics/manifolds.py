"""Quality and variety by nearest neighbours: precision and recall, density and coverage, never one without the other.

Precision alone calls noise near one picture perfect; so all four come together, in one object.

References
----------
T. Kynkaanniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila, NeurIPS 2019 (arXiv:1904.06991), equations 1 and 2.
M. Naeem, S. Oh, Y. Uh, Y. Choi, J. Yoo, ICML 2020 (arXiv:2002.09797), equations 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pyqmc_art.art.metrics.distances import check_features
from pyqmc_art.art.metrics.halves import SAMPLES, estimate_by_halves
from pyqmc_art.art.metrics.vision import Floats
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

NEIGHBOURS: Final = 5


@dataclass(frozen=True)
class Manifolds:
    """What share of one set lies where the other is.

    Attributes
    ----------
    precision : share of made pictures within reach of a real one
    recall : share of real pictures within reach of a made one
    density : how many real pictures' reach a made one lies in, over the expected k; may exceed 1
    coverage : share of real pictures with a made one within their reach
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def find_radii(distances: Floats, k: int) -> Floats:
    """Distance of each member to its k-th nearest other one, from the distances within a set.

    Examples
    --------
    >>> find_radii(np.abs(np.subtract.outer([0.0, 1.0, 3.0], [0.0, 1.0, 3.0])), 1).tolist()
    [1.0, 1.0, 2.0]
    """
    apart = distances + np.diag(np.full(len(distances), np.inf))
    return np.asarray(np.partition(apart, k - 1, axis=1)[:, k - 1], np.float64)


def find_shares(made: Floats, real: Floats, between: Floats, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage from distances within and between two sets, (made, real)."""
    reach_made, reach_real = find_radii(made, k), find_radii(real, k)
    in_real = between <= reach_real[None, :]
    precision = in_real.any(axis=1).mean()
    recall = (between <= reach_made[:, None]).any(axis=0).mean()
    return float(precision), float(recall), float(in_real.sum() / (k * len(made))), float(in_real.any(axis=0).mean())


def compare_manifolds(
    made: Floats,
    real: Floats,
    stream: Stream,
    k: int = NEIGHBOURS,
    groups: NDArray[Any] | None = None,
    samples: int = SAMPLES,
) -> Manifolds:
    """Estimate precision, recall, density and coverage; compare them at equal numbers of pictures only.

    An error is never below the share of one picture.

    Parameters
    ----------
    made, real : features (n, d) and (m, d)
    stream : of the halves
    k : neighbours
    groups : work of each real picture

    Raises
    ------
    InputError
        When a half has no more than k pictures.
    """
    x, y = check_features(made, real)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k < min(len(x), len(y)) // 2:
        raise InputError(
            f"k is {k!r} for {len(x)} made and {len(y)} real pictures; expected a whole number from 1 to below half of "
            "their number"
        )
    own, other, between = cdist(x, x), cdist(y, y), cdist(x, y)

    def find(a: NDArray[np.int64], b: NDArray[np.int64], which: int) -> float:
        key = (a.tobytes(), b.tobytes())
        if key not in known:
            known[key] = find_shares(own[np.ix_(a, a)], other[np.ix_(b, b)], between[np.ix_(a, b)], k)
        return known[key][which]

    # All halves may agree, on 0 above all; less than one picture's share is known of nothing.
    least = 1 / min(len(x), len(y))
    known: dict[tuple[bytes, bytes], tuple[float, float, float, float]] = {}
    found = [
        estimate_by_halves(
            lambda a, b, which=which: find(a, b, which), [len(x), len(y)], stream, groups=[None, groups],
            samples=samples,
        )
        for which in range(4)
    ]  # fmt: skip
    return Manifolds(*(replace(one, error=max(one.error, least)) for one in found))
