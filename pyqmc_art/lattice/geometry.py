"""Lattices of dimension 1 to 4: shape, boundary, bonds, neighbours and colourings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown

KINDS: Final = ("square", "triangular", "honeycomb", "hypercubic")
MAX_SITES: Final = 2**31 - 1

_Displacements = tuple[tuple[int, ...], ...]
_Scalar = TypeVar("_Scalar", bound=np.generic)


def _displacements(kind: str, dimension: int) -> _Displacements:
    """Forward bonds of a site; each bond of the lattice belongs to the site it starts from."""
    axes = tuple(tuple(int(i == mu) for i in range(dimension)) for mu in range(dimension))
    return (*axes, (1, -1)) if kind == "triangular" else axes


@dataclass(frozen=True)
class Lattice:
    """A regular lattice; sites are numbered in C order of their coordinates.

    Parameters
    ----------
    shape : extents, 1 to 4 integers of at least 2
    kind : ``"square"`` (2D), ``"triangular"`` (2D: the square plus one diagonal), ``"honeycomb"`` (2D brick wall: site
        ``(x, y)`` has bonds along y, and one along x, upwards when ``x + y`` is even) or ``"hypercubic"`` (any
        dimension). ``"square"`` in other dimensions than two means hypercubic.
    boundary : ``"periodic"`` or ``"open"``, one for all axes or one for each

    A periodic axis of extent 2 carries double bonds.

    Raises
    ------
    InputError
        For an unknown kind or boundary, an extent below 2, more than 4 dimensions, more than 2^31 - 1 sites, or a
        periodic honeycomb of odd extent.

    Examples
    --------
    >>> lattice = Lattice((4, 6))
    >>> lattice.sites, lattice.bonds, lattice.dimension
    (24, 48, 2)
    """

    shape: tuple[int, ...]
    kind: str = "square"
    boundary: str | tuple[str, ...] = "periodic"

    def __post_init__(self) -> None:
        shape = _checked_shape(self.shape)
        object.__setattr__(self, "shape", shape)
        if self.kind not in KINDS:
            raise unknown("lattice", self.kind, KINDS)
        dimension = len(shape)
        if self.kind in ("triangular", "honeycomb") and dimension != 2:
            raise InputError(f"a {self.kind} lattice has two dimensions, but the shape {shape} has {dimension}")
        if self.kind == "hypercubic" and dimension == 2:
            object.__setattr__(self, "kind", "square")
        if self.kind == "square" and dimension != 2:
            object.__setattr__(self, "kind", "hypercubic")
        object.__setattr__(self, "boundary", _checked_boundary(self.boundary, dimension))
        if self.kind == "honeycomb":
            odd = [n for n, wraps in zip(shape, self.periodic, strict=True) if wraps and n % 2]
            if odd:
                raise InputError(
                    f"a periodic honeycomb needs even extents, but {odd[0]} is odd (shape {shape}); "
                    "make it even or that axis open"
                )

    @property
    def dimension(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def sites(self) -> int:
        """Number of sites V."""
        return math.prod(self.shape)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis wraps around."""
        return tuple(b == "periodic" for b in self.boundary)

    @property
    def displacements(self) -> _Displacements:
        """Forward bonds as coordinate differences, one for each direction."""
        return _displacements(self.kind, self.dimension)

    @property
    def coordinates(self) -> NDArray[np.int64]:
        """Coordinates of all sites, shape ``(dimension, V)``."""
        return np.indices(self.shape).reshape(self.dimension, self.sites)

    def _shifted(self, displacement: Sequence[int], sign: int) -> NDArray[np.int32]:
        """Site reached from each site, or -1 where an open boundary is in the way."""
        there = self.coordinates + sign * np.array(displacement)[:, None]
        inside = np.ones(self.sites, bool)
        for axis, (n, wraps) in enumerate(zip(self.shape, self.periodic, strict=True)):
            if wraps:
                there[axis] %= n
            else:
                inside &= (there[axis] >= 0) & (there[axis] < n)
                there[axis] = np.clip(there[axis], 0, n - 1)
        target: NDArray[np.int32] = np.ravel_multi_index(tuple(there), self.shape).astype(np.int32)
        target[~inside] = -1
        return target

    @cached_property
    def forward(self) -> NDArray[np.int32]:
        """The bonds: site at the far end of each forward bond, shape ``(V, directions)``; -1 where there is none."""
        columns = [self._shifted(d, +1) for d in self.displacements]
        if self.kind == "honeycomb":
            columns[0][self.coordinates.sum(axis=0) % 2 == 1] = -1
        return _frozen(np.stack(columns, axis=1))

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """Neighbours of each site, shape ``(V, 2 * directions)``: forward, backward by direction; -1 where absent."""
        backward = [self._shifted(d, -1) for d in self.displacements]
        if self.kind == "honeycomb":
            backward[0][self.coordinates.sum(axis=0) % 2 == 0] = -1
        columns = [c for pair in zip(self.forward.T, backward, strict=True) for c in pair]
        return _frozen(np.stack(columns, axis=1))

    @property
    def bonds(self) -> int:
        """Number of bonds, counted without making the table of them."""
        total = 0
        for direction, displacement in enumerate(self.displacements):
            axes = zip(self.shape, self.periodic, displacement, strict=True)
            starts = [n if wraps else n - abs(step) for n, wraps, step in axes]
            if self.kind == "honeycomb" and direction == 0:
                rows, width = starts
                even_rows = (rows + 1) // 2
                total += even_rows * ((width + 1) // 2) + (rows - even_rows) * (width // 2)
            else:
                total += math.prod(starts)
        return total

    @property
    def coordination(self) -> int:
        """Largest number of neighbours of a site, double bonds counted twice."""
        return 3 if self.kind == "honeycomb" else 2 * len(self.displacements)

    @property
    def colours(self) -> int:
        """Number of colours such that no bond joins two sites of one colour.

        Raises
        ------
        InputError
            Where the colouring cannot close around a periodic axis.
        """
        count = 3 if self.kind == "triangular" else 2
        for n, wraps in zip(self.shape, self.periodic, strict=True):
            if wraps and n % count:
                raise InputError(
                    f"a {count}-colouring of the {self.kind} lattice cannot close around a periodic axis of extent {n} "
                    f"(shape {self.shape}); use extents divisible by {count}, an open boundary, or a cluster kernel "
                    "(swendsen-wang, wolff)"
                )
        return count

    @cached_property
    def colour(self) -> NDArray[np.int8]:
        """Colour of each site, shape ``(V,)``: parity of the coordinates, ``(x - y) mod 3`` if triangular."""
        x = self.coordinates
        index = x[0] - x[1] if self.kind == "triangular" else x.sum(axis=0)
        return _frozen((index % self.colours).astype(np.int8))

    def configuration(self) -> dict[str, object]:
        """The lattice by the names the command line uses."""
        boundaries = set(self.boundary)
        return {
            "shape": list(self.shape),
            "lattice": self.kind,
            "boundary": self.boundary[0] if len(boundaries) == 1 else list(self.boundary),
        }


def _frozen(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    array.setflags(write=False)
    return array


def _checked_shape(shape: object) -> tuple[int, ...]:
    try:
        extents: tuple[Any, ...] = tuple(shape)  # type: ignore[arg-type]
        whole = all(int(n) == n and not isinstance(n, bool) for n in extents)
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise InputError(f"shape is {shape!r}; expected 1 to 4 whole numbers of at least 2, for instance (64, 64)")
    if not 1 <= len(extents) <= 4:
        raise InputError(f"shape {extents} has {len(extents)} dimensions; expected 1 to 4")
    if min(extents) < 2:
        raise InputError(f"shape {extents} has an extent of {min(extents)}; every extent must be at least 2")
    if math.prod(extents) > MAX_SITES:
        raise InputError(f"shape {extents} has {math.prod(extents)} sites; at most {MAX_SITES} fit")
    return tuple(int(n) for n in extents)


def _checked_boundary(boundary: object, dimension: int) -> tuple[str, ...]:
    try:
        each = (boundary,) * dimension if isinstance(boundary, str) else tuple(boundary)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"boundary is {boundary!r}; expected 'periodic' or 'open', or one of them per axis") from None
    if len(each) == 1:
        each *= dimension
    if len(each) != dimension:
        raise InputError(f"boundary {boundary!r} names {len(each)} axes, but the lattice has {dimension}")
    for name in each:
        if name not in ("periodic", "open"):
            raise unknown("boundary", name, ("periodic", "open"))
    return each
