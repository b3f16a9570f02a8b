"""Lattices: every bond once, neighbours symmetric, colourings proper, bad shapes refused."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import MAX_SITES, Lattice


@st.composite
def lattices(draw: st.DrawFn) -> Lattice:
    kind = draw(st.sampled_from(("square", "triangular", "honeycomb", "hypercubic")))
    dimension = draw(st.integers(1, 4)) if kind == "hypercubic" else 2
    shape = [draw(st.integers(2, 8 if dimension < 3 else 4)) for _ in range(dimension)]
    boundary = tuple(draw(st.sampled_from(("periodic", "open"))) for _ in range(dimension))
    if kind == "honeycomb":
        shape = [n + n % 2 if b == "periodic" else n for n, b in zip(shape, boundary, strict=True)]
    return Lattice(tuple(shape), kind, boundary)


def slow_bonds(lattice: Lattice) -> Counter[tuple[int, int]]:
    """Unordered pairs of joined sites with their multiplicity, from coordinates and nothing else."""
    pairs: Counter[tuple[int, int]] = Counter()
    for here in itertools.product(*map(range, lattice.shape)):
        steps = [tuple(int(i == axis) for i in range(lattice.dimension)) for axis in range(lattice.dimension)]
        if lattice.kind == "triangular":
            steps.append((1, -1))
        if lattice.kind == "honeycomb" and sum(here) % 2:
            steps.remove((1, 0))
        for step in steps:
            there = [x + d for x, d in zip(here, step, strict=True)]
            for axis, n in enumerate(lattice.shape):
                if lattice.periodic[axis]:
                    there[axis] %= n
            if all(0 <= x < n for x, n in zip(there, lattice.shape, strict=True)):
                ends = [int(np.ravel_multi_index(tuple(x), lattice.shape)) for x in (here, there)]
                pairs[min(ends), max(ends)] += 1
    return pairs


def forward_bonds(lattice: Lattice) -> Counter[tuple[int, int]]:
    return Counter((min(x, int(y)), max(x, int(y))) for x, row in enumerate(lattice.forward) for y in row if y >= 0)


@given(lattices())
def test_forward_bonds_are_those_of_the_definition(lattice: Lattice) -> None:
    assert forward_bonds(lattice) == slow_bonds(lattice)
    assert lattice.bonds == sum(slow_bonds(lattice).values())


@given(lattices())
def test_neighbours_are_both_ends_of_every_bond(lattice: Lattice) -> None:
    seen: Counter[tuple[int, int]] = Counter()
    for x, row in enumerate(lattice.neighbours):
        seen.update((x, int(y)) for y in row if y >= 0)
    wanted: Counter[tuple[int, int]] = Counter()
    for (x, y), times in slow_bonds(lattice).items():
        wanted[x, y] += times
        wanted[y, x] += times
    assert seen == wanted
    assert np.all(np.count_nonzero(lattice.neighbours >= 0, axis=1) <= lattice.coordination)


@given(lattices())
def test_neighbours_pair_forward_with_backward(lattice: Lattice) -> None:
    table = lattice.neighbours
    np.testing.assert_array_equal(table[:, 0::2], lattice.forward)
    for direction in range(lattice.forward.shape[1]):
        here = np.flatnonzero(lattice.forward[:, direction] >= 0)
        np.testing.assert_array_equal(table[lattice.forward[here, direction], 2 * direction + 1], here)


@given(lattices())
def test_a_colouring_is_proper_or_refused(lattice: Lattice) -> None:
    count = 3 if lattice.kind == "triangular" else 2
    closes = all(n % count == 0 for n, wraps in zip(lattice.shape, lattice.periodic, strict=True) if wraps)
    if not closes:
        with pytest.raises(InputError, match=f"{count}-colouring.*extents divisible by {count}"):
            _ = lattice.colours
        with pytest.raises(InputError, match="cannot close"):
            _ = lattice.colour
        return
    assert lattice.colours == count
    assert set(lattice.colour) <= set(range(count))
    assert all(lattice.colour[x] != lattice.colour[y] for x, y in slow_bonds(lattice))


@pytest.mark.parametrize(
    ("shape", "kind", "degree"),
    [
        ((5,), "hypercubic", 2),
        ((4, 5), "square", 4),
        ((4, 5), "triangular", 6),
        ((4, 6), "honeycomb", 3),
        ((2, 2), "honeycomb", 3),
        ((3, 4, 5), "hypercubic", 6),
        ((2, 3, 2, 3), "hypercubic", 8),
    ],
)
def test_every_site_of_a_periodic_lattice_has_its_degree(shape: tuple[int, ...], kind: str, degree: int) -> None:
    lattice = Lattice(shape, kind)
    assert np.all(np.count_nonzero(lattice.neighbours >= 0, axis=1) == degree)
    assert lattice.coordination == degree
    assert lattice.bonds == degree * math.prod(shape) // 2


def test_a_periodic_axis_of_extent_two_has_double_bonds() -> None:
    assert forward_bonds(Lattice((2,))) == {(0, 1): 2}
    assert forward_bonds(Lattice((2,), boundary="open")) == {(0, 1): 1}
    assert forward_bonds(Lattice((2, 3), boundary=("periodic", "open")))[0, 3] == 2


def test_open_boundaries_lose_their_bonds() -> None:
    assert Lattice((4, 5), boundary="open").bonds == 3 * 5 + 4 * 4
    assert Lattice((4, 5), boundary=("periodic", "open")).bonds == 4 * 5 + 4 * 4
    assert Lattice((3, 3), "triangular", "open").bonds == 6 + 6 + 4


def test_sites_are_in_c_order() -> None:
    lattice = Lattice((3, 4, 5))
    np.testing.assert_array_equal(np.ravel_multi_index(tuple(lattice.coordinates), lattice.shape), np.arange(60))


def test_square_and_hypercubic_are_one_family() -> None:
    assert Lattice((4, 4), "hypercubic") == Lattice((4, 4), "square")
    assert Lattice((4,), "square") == Lattice((4,), "hypercubic")
    assert Lattice((4, 4), boundary=("open",)) == Lattice((4, 4), boundary="open")


def test_tables_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Lattice((4, 4)).neighbours[0, 0] = 3


def test_configuration_gives_the_lattice_back() -> None:
    lattice = Lattice((4, 6), "triangular", ("open", "periodic"))
    given_back = lattice.configuration()
    assert given_back == {"shape": [4, 6], "lattice": "triangular", "boundary": ["open", "periodic"]}
    assert Lattice((4, 6)).configuration()["boundary"] == "periodic"


@pytest.mark.parametrize(
    "shape",
    [
        (-4, 4),
        (0,),
        (1, 4),
        (4.5, 4),
        (float("nan"), 4),
        (float("inf"),),
        ("4", "4"),
        "44",
        (True, 4),
        (2, 2, 2, 2, 2),
        (),
        4,
        None,
        (None, 4),
        ((4, 4),),
        (2**16, 2**16),
        (10**30,),
    ],
)
def test_bad_shapes_are_input_errors(shape: object) -> None:
    with pytest.raises(InputError, match="shape"):
        Lattice(shape)  # type: ignore[arg-type]


def test_sizes_are_bounded_by_32_bit_indices() -> None:
    assert Lattice((MAX_SITES,)).sites == MAX_SITES
    with pytest.raises(InputError, match="at most 2147483647"):
        Lattice((MAX_SITES + 1,))


@pytest.mark.parametrize(
    ("shape", "kind", "boundary", "message"),
    [
        ((4, 4), "squared", "periodic", "did you mean 'square'"),
        ((4, 4), "square", "periodical", "did you mean 'periodic'"),
        ((4, 4), "square", ("open", "open", "open"), "names 3 axes"),
        ((4, 4), "square", 3, "boundary is 3"),
        ((4, 4), "square", None, "boundary is None"),
        ((4, 4), "square", ("open", 7), "unknown boundary 7"),
        ((4, 4, 4), "triangular", "periodic", "two dimensions"),
        ((4,), "honeycomb", "open", "two dimensions"),
        ((4, 5), "honeycomb", "periodic", "even extents, but 5 is odd"),
    ],
)
def test_bad_kinds_and_boundaries_are_input_errors(
    shape: tuple[int, ...], kind: str, boundary: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Lattice(shape, kind, boundary)  # type: ignore[arg-type]
