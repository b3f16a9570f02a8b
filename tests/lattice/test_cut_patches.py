"""Blocks of sites in two colours: every site once, nothing of a colour touching, every bond counted once."""

from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.patches import count_rim, cut_patches

CASES = [
    ((2, 2), (1, 1)),
    ((4, 2), (2, 1)),
    ((8, 4), (2, 2)),
    ((6,), (3,)),
    ((4, 4, 2), (2, 1, 1)),
    ((2,) * 4, (1,) * 4),
]


@pytest.mark.parametrize(("shape", "block"), CASES)
def test_patches_are_a_colouring(shape: tuple[int, ...], block: tuple[int, ...]) -> None:
    lattice = Lattice(shape)
    patches = cut_patches(lattice, block)
    assert sorted(patches.members.ravel().tolist()) == list(range(lattice.sites))
    assert patches.around.shape[2] == count_rim(block) == len(patches.outer)
    for colour in (0, 1):
        assert not np.isin(patches.around[colour], patches.members[colour]).any()


@pytest.mark.parametrize(("shape", "block"), CASES)
def test_inner_and_outer_bonds_are_those_of_the_lattice(shape: tuple[int, ...], block: tuple[int, ...]) -> None:
    lattice = Lattice(shape)
    patches = cut_patches(lattice, block)
    table = lattice.neighbours
    for colour in (0, 1):
        for members, around in zip(patches.members[colour], patches.around[colour], strict=True):
            found = [(members[i], members[j]) for i, j in patches.inner] + [
                (members[i], j) for i, j in zip(patches.outer, around, strict=True)
            ]
            found += [(members[j], members[i]) for i, j in patches.inner]
            assert sorted((int(a), int(b)) for a, b in found) == sorted(
                (int(i), int(j)) for i in members for j in table[i]
            )


@pytest.mark.parametrize(
    ("lattice", "block", "message"),
    [
        (Lattice((3, 4)), (1, 1), "extent 3"),
        (Lattice((4, 6)), (2, 2), "extent 6"),
        (Lattice((2, 2)), (2, 1), "divisible by 4"),
        (Lattice((4, 4), boundary="open"), (1, 1), "periodic"),
        (Lattice((6, 6), kind="triangular"), (1, 1), "triangular"),
        (Lattice((4, 4)), (1,), "2 whole numbers"),
        (Lattice((4, 4)), (0, 1), "at least 1"),
    ],
)
def test_what_cannot_be_cut(lattice: Lattice, block: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cut_patches(lattice, block)
