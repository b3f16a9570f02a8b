r"""Distances between two sets of features: Frechet's, and the kernel distance.

.. math:: FD = |\mu - \nu|^2 + \mathrm{tr}(C + D - 2 (C D)^{1/2})

A description of these systems prints the distance of the means without its square; the formula here is the standard
one, which is the squared Wasserstein-2 distance of two Gaussians.

References
----------
M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter, NIPS 2017 (arXiv:1706.08500), equation 6.
M. Binkowski, D. Sutherland, M. Arbel, A. Gretton, ICLR 2018 (arXiv:1801.01401), equations 3 and 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.metrics.halves import SAMPLES, estimate_by_halves
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

if TYPE_CHECKING:
    from pyqmc_art.art.metrics.vision import Floats


def find_frechet_distance(x: Floats, y: Floats) -> float:
    r"""Frechet distance of two sets of features.

    :math:`\mathrm{tr}(C D)^{1/2}` is the sum of the singular values of :math:`X Y^T/\sqrt{(n-1)(m-1)}` with the centred
    features as rows, or of any square roots of C and D: no square root of a matrix that is not symmetric is taken.

    Parameters
    ----------
    x, y : shapes (n, d) and (m, d)

    Examples
    --------
    >>> x = np.array([[0.0], [2.0]])
    >>> find_frechet_distance(x, x + 3)
    9.0
    """
    u, v = x - x.mean(axis=0), y - y.mean(axis=0)
    shift = float(np.square(x.mean(axis=0) - y.mean(axis=0)).sum())
    n, m = len(x) - 1, len(y) - 1
    spread = float(np.square(u).sum()) / n + float(np.square(v).sum()) / m
    left, right = _shorten(u), _shorten(v)
    overlap = float(np.linalg.svd(left @ right.T, compute_uv=False).sum()) / float(np.sqrt(n * m))
    return max(0.0, shift + spread - 2 * overlap)


def _shorten(u: Floats) -> Floats:
    """A matrix with the same u^T u and no more rows than columns."""
    return np.asarray(np.linalg.qr(u, mode="r"), np.float64) if u.shape[0] > u.shape[1] else u


def find_kernel_distance(kernel: Floats, n: int) -> float:
    """Unbiased squared MMD of the first ``n`` members of a joint kernel matrix and the others.

    Examples
    --------
    >>> find_kernel_distance(np.ones((6, 6)), 3)
    0.0
    """
    own, other, between = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
    m = len(kernel) - n
    within = (own.sum() - np.trace(own)) / (n * (n - 1)) + (other.sum() - np.trace(other)) / (m * (m - 1))
    return float(within - 2 * between.mean())


def make_kernel(features: Floats) -> Floats:
    """Matrix of the cubic kernel ``(x.y/d + 1)^3``."""
    return np.asarray((features @ features.T / features.shape[1] + 1) ** 3, np.float64)


def estimate_frechet_distance(
    made: Floats, real: Floats, stream: Stream, groups: NDArray[Any] | None = None, samples: int = SAMPLES
) -> Estimate:
    """Frechet distance with its error; it is biased upwards, the more the fewer pictures: compare equal numbers only.

    Parameters
    ----------
    made, real : features (n, d) and (m, d)
    stream : of the halves
    groups : work of each real picture
    """
    x, y = check_features(made, real)
    few = min(len(x), len(y))
    warnings = (f"{few} pictures for {x.shape[1]} features: biased upwards",) if few <= x.shape[1] else ()
    return estimate_by_halves(
        lambda a, b: find_frechet_distance(x[a], y[b]), [len(x), len(y)], stream, groups=[None, groups],
        samples=samples, warnings=warnings,
    )  # fmt: skip


def estimate_kernel_distance(
    made: Floats, real: Floats, stream: Stream, groups: NDArray[Any] | None = None, samples: int = SAMPLES
) -> Estimate:
    """Kernel distance (KID) with its error: unbiased at any number of pictures, negative values included."""
    x, y = check_features(made, real)
    kernel = make_kernel(np.concatenate([x, y]))

    def find(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
        chosen = np.concatenate([a, len(x) + b])
        return find_kernel_distance(kernel[np.ix_(chosen, chosen)], len(a))

    return estimate_by_halves(find, [len(x), len(y)], stream, groups=[None, groups], samples=samples)


def check_features(x: Any, y: Any) -> tuple[Floats, Floats]:
    """Check two sets of features.

    Raises
    ------
    InputError
        When they are no tables of equal width with at least two rows.
    NumericalError
        When one is not finite.
    """
    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise InputError(
            f"features have shapes {first.shape} and {second.shape}; expected (n, d) and (m, d), at least two of each"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise NumericalError("a feature is not finite; check the pictures")
    return first, second
