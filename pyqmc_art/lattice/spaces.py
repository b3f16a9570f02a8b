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
        expected = (*lattice_shape, *self.shape)
        if field.ndim != len(expected) + 1 or field.shape[1:] != expected:
            raise InputError(f"field has shape {field.shape}; expected (replicas, {', '.join(map(str, expected))})")
        if field.dtype != self.dtype:
            raise InputError(f"field has dtype {field.dtype}; expected {self.dtype}")
        offsets = field.astype(np.int64) - self.values.start
        if offsets.size and (
            offsets.min() < 0 or field.max() >= self.values.stop or np.any(offsets % self.values.step)
        ):
            raise NumericalError(f"field holds values that are no {self.name}; allowed are {_listed(self.values)}")


def spins() -> Space:
    """Ising spins, int8."""
    return Space("spin", range(-1, 2, 2), np.dtype(np.int8))


def colours(q: int) -> Space:
    """Potts colours 0 .. q-1; int8 up to q = 127, int16 above."""
    return Space("colour", range(q), np.dtype(np.int8 if q <= 127 else np.int16))


def _listed(values: range) -> str:
    return ", ".join(map(str, values)) if len(values) <= 4 else f"{values[0]} to {values[-1]}"
