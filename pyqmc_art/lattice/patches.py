"""Patches of a lattice in two colours: blocks of sites that touch no other block of their colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.ops.patches import Patches


def cut_patches(lattice: Lattice, block: Sequence[int]) -> Patches:
    """Cut a periodic hypercubic lattice into blocks, coloured like a checkerboard.

    Parameters
    ----------
    lattice : periodic, square or hypercubic
    block : extents of a block, one for each axis

    Raises
    ------
    InputError
        For another lattice, or extents that twice the block does not divide: two blocks of one colour would touch.

    Examples
    --------
    >>> patches = cut_patches(Lattice((4, 4)), (1, 1))
    >>> patches.members[0].ravel().tolist(), patches.around[0, 0].tolist()
    ([0, 2, 5, 7, 8, 10, 13, 15], [4, 12, 1, 3])
    """
    extents = check_block(lattice, block)
    shape, d = np.array(lattice.shape), lattice.dimension
    corners = np.indices(tuple(n // b for n, b in zip(lattice.shape, extents, strict=True))).reshape(d, -1)
    inside = np.indices(extents).reshape(d, -1)
    # Axis, block, site of it.
    coordinates = corners[:, :, None] * np.array(extents)[:, None, None] + inside[:, None, :]
    rim, outer, inner = [], [], []
    position = np.arange(inside.shape[1]).reshape(extents)
    for axis in range(d):
        for sign in (1, -1):
            there = inside[axis] + sign
            leaves = (there < 0) | (there >= extents[axis])
            outer.append(np.flatnonzero(leaves))
            moved = coordinates[:, :, leaves].copy()
            moved[axis] = (moved[axis] + sign) % shape[axis]
            rim.append(_sites(moved, lattice))
            if sign > 0 and not leaves.all():
                ends = inside[:, ~leaves].copy()
                ends[axis] += 1
                inner.append(np.stack([np.flatnonzero(~leaves), position[tuple(ends)]], axis=1))
    colour = corners.sum(axis=0) % 2
    members, around = _sites(coordinates, lattice), np.concatenate(rim, axis=1)
    return Patches(
        np.stack([members[colour == c] for c in (0, 1)]),
        np.stack([around[colour == c] for c in (0, 1)]),
        np.concatenate(inner or [np.zeros((0, 2))]).astype(np.int32),
        np.concatenate(outer).astype(np.int32),
    )


def check_block(lattice: Lattice, block: Sequence[int]) -> tuple[int, ...]:
    """Return the extents of a block as whole numbers, if the lattice can be cut into such blocks of two colours."""
    extents = tuple(block)
    if lattice.kind not in ("square", "hypercubic") or not all(lattice.periodic):
        raise InputError(
            f"learned local updates need a periodic square or hypercubic lattice, and this one is {lattice.kind} with "
            f"boundary {', '.join(lattice.boundary)}"
        )
    if len(extents) != lattice.dimension or any(isinstance(b, bool) or b != int(b) or b < 1 for b in extents):
        raise InputError(
            f"the block is {extents}; expected {lattice.dimension} whole numbers of at least 1, one for each axis"
        )
    for n, b in zip(lattice.shape, extents, strict=True):
        if n % (2 * b):
            raise InputError(
                f"two colours of blocks of extent {b} cannot close around a periodic axis of extent {n} (shape "
                f"{lattice.shape}); use extents divisible by {2 * b}, a smaller block, or hmc"
            )
    return tuple(int(b) for b in extents)


def count_rim(block: Sequence[int]) -> int:
    """Bonds that lead out of a block.

    Examples
    --------
    >>> count_rim((1, 1)), count_rim((2, 2)), count_rim((2, 2, 2))
    (4, 8, 24)
    """
    return sum(2 * math.prod(block) // b for b in block)


def _sites(coordinates: NDArray[np.int64], lattice: Lattice) -> NDArray[np.int32]:
    return np.asarray(np.ravel_multi_index(tuple(coordinates), lattice.shape), np.int32)
