"""What lives on a site: the set of values of one degree of freedom and how an array stores it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, NumericalError


@dataclass(frozen=True)
class Space:
    """A discrete set of values.

    Attributes
    ----------
    name : ``"spin"`` (-1, +1) or ``"colour"`` (0 .. q-1)
    values : the allowed values in increasing order
    dtype : how an array stores them
    shape : extents of one degree of freedom, ``()`` for a number
    """

    name: str
    values: range
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()

    def check(self, field: NDArray[Any], lattice_shape: tuple[int, ...]) -> None:
        """Raise unless ``field`` has shape ``(replica, *lattice_shape, *self.shape)``, the dtype and allowed values.

        Raises
        ------
        InputError
            For a wrong shape or dtype.
        NumericalError
            For a value outside the set.
        """
        _check_memory(field, (*lattice_shape, *self.shape), self.dtype)
        offsets = field.astype(np.int64) - self.values.start
        if offsets.size and (
            offsets.min() < 0 or field.max() >= self.values.stop or np.any(offsets % self.values.step)
        ):
            raise NumericalError(f"field holds values that are no {self.name}; allowed are {_listed(self.values)}")


@dataclass(frozen=True)
class Reals:
    """The real numbers, float64."""

    name: str = "real"
    shape: tuple[int, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """How an array stores them."""
        return np.dtype(np.float64)

    def check(self, field: NDArray[Any], lattice_shape: tuple[int, ...]) -> None:
        """Raise unless ``field`` has shape ``(replica, *lattice_shape)``, the dtype, and finite values.

        Raises
        ------
        InputError
            For a wrong shape or dtype.
        NumericalError
            For a value that is not finite.
        """
        _check_memory(field, (*lattice_shape, *self.shape), self.dtype)
        bad = int(np.count_nonzero(~np.isfinite(field)))
        if bad:
            raise NumericalError(f"field holds {bad} values that are not finite; start from finite ones")


@dataclass(frozen=True)
class Sphere(Reals):
    """Unit vectors, float64; their length may be off by 1e-6."""

    name: str = "unit vector"

    def check(self, field: NDArray[Any], lattice_shape: tuple[int, ...]) -> None:
        """Raise unless ``field`` has shape ``(replica, *lattice_shape, n)``, the dtype, and unit vectors.

        Raises
        ------
        InputError
            For a wrong shape or dtype.
        NumericalError
            For a vector that is not finite or not of length 1.
        """
        super().check(field, lattice_shape)
        length = np.sqrt((field * field).sum(axis=-1))
        if np.any(np.abs(length - 1) > 1e-6):
            raise NumericalError(
                f"field holds vectors of length {length.min():.6g} to {length.max():.6g}; divide each by its length"
            )


def reals() -> Reals:
    """Real numbers."""
    return Reals()


def sphere(n: int) -> Sphere:
    """Unit vectors of n components."""
    return Sphere(shape=(n,))


def _check_memory(field: NDArray[Any], expected: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if field.ndim != len(expected) + 1 or field.shape[1:] != expected:
        raise InputError(f"field has shape {field.shape}; expected (replicas, {', '.join(map(str, expected))})")
    if field.dtype != dtype:
        raise InputError(f"field has dtype {field.dtype}; expected {dtype}")


def spins() -> Space:
    """Ising spins, int8."""
    return Space("spin", range(-1, 2, 2), np.dtype(np.int8))


def colours(q: int) -> Space:
    """Potts colours 0 .. q-1; int8 up to q = 127, int16 above."""
    return Space("colour", range(q), np.dtype(np.int8 if q <= 127 else np.int16))


def _listed(values: range) -> str:
    return ", ".join(map(str, values)) if len(values) <= 4 else f"{values[0]} to {values[-1]}"
