"""Distances to nearest neighbours in feature space: found by one product of matrices, then measured exactly.

``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` in single precision is fast and inexact: equal features seem to be apart. Its
error is bounded, so that it only says which pairs can matter; these few are measured by their differences, in double
precision. What comes out does not depend on how the product was summed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.errors import InputError, NumericalError

Floats = NDArray[np.float64]

PANEL: Final = 2**22
"""Pairs that are looked at together: 16 MiB of products."""
MEASURED: Final = 2**15
"""Features that are subtracted at once: they stay in a core's own cache."""
LARGEST: Final = 1e18
"""Squares of larger features leave the range of float32."""


def nearest_distances(queries: ArrayLike, references: ArrayLike, k: int = 1) -> Floats:
    """Distances from each query to its ``k`` nearest references.

    Parameters
    ----------
    queries : shape (n, d), float32 or float64
    references : shape (m, d)
    k : from 1 to m

    Returns
    -------
    Euclidean distances, shape (n, k), ascending

    Raises
    ------
    InputError
        For features of other shapes, or ``k`` larger than the number of references.
    NumericalError
        If a feature is not finite, or larger than 1e18.

    Examples
    --------
    >>> nearest_distances([[0.0, 0.0]], [[3.0, 4.0], [0.0, 2.0], [5.0, 12.0]], k=2)
    array([[2., 5.]])
    """
    x, y = _checked(queries, "queries"), _checked(references, "references")
    _check_count(k, len(y), "references")
    return _nearest(_Pairs.of(x, y), k, alone=False)


def neighbour_radii(features: ArrayLike, k: int) -> Floats:
    """Distance from each point to its ``k``-th nearest other point: the radii of precision, recall and coverage.

    A point is not its own neighbour, but its duplicates are: ``k`` duplicates make a radius of exactly 0.

    Parameters
    ----------
    features : shape (n, d), float32 or float64
    k : from 1 to n - 1

    Returns
    -------
    shape (n,)

    Raises
    ------
    InputError
        For features of another shape, or too few of them.
    NumericalError
        If a feature is not finite, or larger than 1e18.

    References
    ----------
    T. Kynkaanniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila, arXiv:1904.06991, section 3.

    Examples
    --------
    >>> neighbour_radii([[0.0], [1.0], [3.0], [3.0]], k=2)
    array([3., 2., 2., 2.])
    """
    x = _checked(features, "features")
    _check_count(k, len(x) - 1, "others")
    return np.ascontiguousarray(_nearest(_Pairs.of(x, x), k, alone=True)[:, -1])


def count_balls(queries: ArrayLike, centres: ArrayLike, radii: ArrayLike) -> NDArray[np.int64]:
    """Count the balls that each query lies in: ``|query - centre| <= radius``, surface included.

    With balls around the works of one set and the queries from another, the fraction of queries in any ball is
    precision or recall, the mean count over ``k`` is density.

    Parameters
    ----------
    queries : shape (n, d)
    centres : shape (m, d)
    radii : shape (m,), none negative

    Returns
    -------
    int64, shape (n,)

    Raises
    ------
    InputError
        For features or radii of other shapes, or a negative radius.
    NumericalError
        If a feature or a radius is not finite, or a feature larger than 1e18.

    References
    ----------
    M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo, arXiv:2002.09797, equations 1, 3 and 4.

    Examples
    --------
    >>> count_balls([[0.0], [2.0], [9.0]], [[0.0], [3.0]], [2.0, 1.0])
    array([1, 2, 0])
    """
    x, y = _checked(queries, "queries"), _checked(centres, "centres")
    reach = np.asarray(radii, np.float64)
    if reach.shape != (len(y),):
        raise InputError(f"radii have shape {reach.shape}; expected {(len(y),)}, one for each centre")
    if not np.all(np.isfinite(reach)):
        raise NumericalError("some radii are nan or inf")
    if np.any(reach < 0):
        raise InputError(f"the smallest radius is {reach.min():g}; expected none below 0")
    pairs = _Pairs.of(x, y)
    counts = np.zeros(len(x), np.int64)
    # Compared as distances, not as squares, so that a point on the surface of its own radius lies inside.
    squares = np.minimum(reach / pairs.scale, 1e6 * x.shape[1]) ** 2
    for rows, near, error in pairs.panels():
        slack = error + 1e-12 * squares
        inside = near <= squares - slack
        row, column = np.nonzero((near <= squares + slack) & ~inside)
        close = pairs.measure(rows.start + row, column) <= reach[column]
        counts[rows] = np.count_nonzero(inside, axis=1) + np.bincount(row[close], minlength=len(near))
    return counts


@dataclass(frozen=True)
class _Rounded:
    """Features centred, scaled and rounded to float32, and the squares of their lengths."""

    features: NDArray[np.float32]
    squares: NDArray[np.float32]

    @classmethod
    def of(cls, centred: NDArray[Any], scale: float) -> _Rounded:
        features = np.empty(centred.shape, np.float32)
        np.divide(centred, scale, out=features, casting="same_kind")
        return cls(features, np.einsum("ij,ij->i", features, features, dtype=np.float64).astype(np.float32))


@dataclass(frozen=True)
class _Pairs:
    """Two sets of features as they are, and rounded; ``bound`` is that of the error of a product."""

    x: NDArray[Any]
    y: NDArray[Any]
    scale: float
    left: _Rounded
    right: _Rounded
    bound: float

    @classmethod
    def of(cls, x: NDArray[Any], y: NDArray[Any]) -> _Pairs:
        if x.shape[1] != y.shape[1]:
            raise InputError(f"the two sets have {x.shape[1]} and {y.shape[1]} features; expected equally many")
        # Any centre serves; one near the middle keeps the products small beside the distances.
        centre = y.mean(axis=0, dtype=np.float64).astype(y.dtype)
        apart = [np.subtract(each, centre) for each in ((y,) if x is y else (y, x))]
        scale = max(max(float(each.max()), -float(each.min())) for each in apart) or 1.0
        right, *left = (_Rounded.of(each, scale) for each in apart)
        # Half of it covers three roundings of each feature, a product summed in any order, and the two additions.
        bound = float(np.spacing(np.float32(1))) * (x.shape[1] + 24)
        return cls(x, y, scale, left[0] if left else right, right, bound)

    def panels(self) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
        """Yield rows, the squares of their distances from all references in units of ``scale``, and their error."""
        farthest = np.sqrt(float(self.right.squares.max()))
        step = max(1, PANEL // len(self.y))
        for begin in range(0, len(self.x), step):
            rows = slice(begin, min(begin + step, len(self.x)))
            squares = self.left.squares[rows, None]
            near = self.left.features[rows] @ self.right.features.T
            near *= np.float32(-2)
            near += self.right.squares
            near += squares
            error = self.bound * (np.sqrt(squares, dtype=np.float64) + farthest) ** 2
            yield rows, near, error + self.x.shape[1] * float(np.finfo(np.float32).tiny)

    def measure(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> Floats:
        """Distances of chosen pairs, from their differences."""
        distances = np.empty(len(row))
        step = max(1, MEASURED // self.x.shape[1])
        for begin in range(0, len(row), step):
            part = slice(begin, begin + step)
            apart = self.x[row[part]].astype(np.float64)
            apart -= self.y[column[part]]
            distances[part] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
        return distances


def _nearest(pairs: _Pairs, k: int, alone: bool) -> Floats:
    """The ``k`` smallest distances of each row, ascending; ``alone`` leaves out the pairs of a point with itself."""
    found = np.empty((len(pairs.x), k))
    for rows, near, error in pairs.panels():
        if alone:
            near[np.arange(len(near)), np.arange(rows.start, rows.stop)] = np.inf
        limit = np.partition(near, k - 1, axis=1)[:, k - 1 : k] + 2 * error
        above = np.nextafter(limit.astype(np.float32), np.float32(np.inf))
        row, column = np.divmod(np.flatnonzero(near <= above), near.shape[1])
        counts = np.bincount(row, minlength=len(near))
        table = np.full((len(near), int(counts.max())), np.inf)
        table[row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)] = pairs.measure(
            rows.start + row, column
        )
        found[rows] = np.sort(table, axis=1)[:, :k]
    return found


def _checked(features: ArrayLike, name: str) -> NDArray[Any]:
    given = np.asarray(features)
    if given.dtype.kind in "iu":
        given = given.astype(np.float64)
    if given.dtype not in (np.float32, np.float64) or given.ndim != 2 or 0 in given.shape:
        raise InputError(f"{name} are {given.dtype} of shape {given.shape}; expected real numbers, (works, features)")
    if not max(float(given.max()), -float(given.min())) <= LARGEST:
        raise NumericalError(f"some {name} are nan, inf or beyond {LARGEST:g}: the network failed on a picture")
    return np.ascontiguousarray(given)


def _check_count(k: int, most: int, what: str) -> None:
    if k != int(k) or not 1 <= k <= most:
        raise InputError(f"k is {k}, and there are {most} {what}; expected a whole number from 1 to {most}")
