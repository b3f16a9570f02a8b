"""Actions against an obvious slow double loop, spaces, and bad couplings."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.spaces import colours, spins

LATTICES = [
    Lattice((2,)),
    Lattice((7,), boundary="open"),
    Lattice((4, 3)),
    Lattice((2, 5), boundary=("periodic", "open")),
    Lattice((3, 4), "triangular"),
    Lattice((2, 2), "triangular"),
    Lattice((4, 6), "honeycomb"),
    Lattice((3, 5), "honeycomb", "open"),
    Lattice((2, 3, 4)),
    Lattice((2, 3, 2, 3), boundary=("open", "periodic", "periodic", "open")),
]


def joined(lattice: Lattice, x: int, y: int) -> int:
    """Number of bonds between two sites."""
    return int(np.count_nonzero(lattice.neighbours[x] == y))


def slow_ising(action: Ising, spins_of_one: NDArray[np.int8]) -> float:
    s = [int(v) for v in spins_of_one.reshape(-1)]
    energy = -action.h * sum(s)
    for x in range(len(s)):
        for y in range(x):
            energy -= action.J * joined(action.lattice, x, y) * s[x] * s[y]
    return action.beta * energy


def slow_potts(action: Potts, colours_of_one: NDArray[np.int8]) -> float:
    s = [int(v) for v in colours_of_one.reshape(-1)]
    pairs = [(x, y) for x in range(len(s)) for y in range(x) if s[x] == s[y]]
    return -action.beta * action.J * sum(joined(action.lattice, x, y) for x, y in pairs)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize(("J", "h"), [(1.0, 0.0), (-0.7, 0.3), (0.0, -1.2)])
def test_ising_is_the_slow_double_loop(lattice: Lattice, J: float, h: float) -> None:
    action = Ising(lattice, beta=0.37, J=J, h=h)
    field = np.random.default_rng(3).choice(np.array([-1, 1], np.int8), (6, *lattice.shape))
    np.testing.assert_allclose(action(field), [slow_ising(action, s) for s in field], rtol=0, atol=1e-12)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize(("q", "J"), [(2, 1.0), (3, -0.7), (5, 1.3), (200, 1.0)])
def test_potts_is_the_slow_double_loop(lattice: Lattice, q: int, J: float) -> None:
    action = Potts(lattice, q=q, beta=0.81, J=J)
    field = np.random.default_rng(5).integers(0, min(q, 4), (6, *lattice.shape)).astype(action.space.dtype)
    np.testing.assert_allclose(action(field), [slow_potts(action, s) for s in field], rtol=0, atol=1e-12)


def test_flipping_a_coupling_flips_its_share_of_the_action() -> None:
    lattice = Lattice((4, 5))
    field = np.random.default_rng(7).choice(np.array([-1, 1], np.int8), (8, 4, 5))
    bonds, rest = Ising(lattice, 0.5, J=1.0)(field), Ising(lattice, 0.5, J=0.0, h=1.0)(field)
    np.testing.assert_allclose(Ising(lattice, 0.5, J=-1.0)(field), -bonds)
    np.testing.assert_allclose(Ising(lattice, 0.5, J=2.0, h=-3.0)(field), 2 * bonds - 3 * rest)
    np.testing.assert_allclose(Ising(lattice, 0.5, h=1.0)(-field), bonds - rest)
    np.testing.assert_array_equal(Ising(lattice, 0.0, h=1.0)(field), np.zeros(8))


def test_two_state_potts_is_ising() -> None:
    lattice = Lattice((3, 4), "triangular")
    field = np.random.default_rng(9).integers(0, 2, (8, 3, 4)).astype(np.int8)
    shifted = Ising(lattice, 0.25)((2 * field - 1).astype(np.int8)) - Potts(lattice, 2, 0.5)(field)
    np.testing.assert_allclose(shifted, 0.25 * lattice.bonds)


@pytest.mark.parametrize("beta", [-0.1, float("nan"), float("inf"), "warm", None, True, [0.4]])
def test_bad_beta(beta: object) -> None:
    for build in (lambda: Ising(Lattice((4, 4)), beta), lambda: Potts(Lattice((4, 4)), 3, beta)):  # type: ignore[arg-type]
        with pytest.raises(InputError, match="beta is"):
            build()


@pytest.mark.parametrize(("name", "value"), [("J", float("nan")), ("h", float("-inf")), ("h", "up"), ("J", None)])
def test_bad_couplings_are_named(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} is"):
        Ising(Lattice((4, 4)), 0.4, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("q", [1, 0, -3, 2.5, float("nan"), 32768, "three", True])
def test_bad_q(q: object) -> None:
    with pytest.raises(InputError, match="q is"):
        Potts(Lattice((4, 4)), q, 1.0)  # type: ignore[arg-type]


def test_couplings_and_native_parameters() -> None:
    ising = Ising(Lattice((4, 4)), 0.4, J=-1, h=0.5)
    assert ising.couplings() == {"beta": 0.4, "J": -1.0, "h": 0.5}
    assert ising.native() == ("ising", (0.4, -1.0, 0.5))
    potts = Potts(Lattice((4, 4)), 3, 0.9)
    assert potts.couplings() == {"q": 3, "beta": 0.9, "J": 1.0}
    assert potts.native() == ("potts", (3.0, 0.9, 1.0))


def test_spaces_check_shape_dtype_and_values() -> None:
    good = np.ones((2, 3, 4), np.int8)
    spins().check(good, (3, 4))
    spins().check(np.empty((0, 3, 4), np.int8), (3, 4))
    with pytest.raises(InputError, match="shape"):
        spins().check(good, (4, 3))
    with pytest.raises(InputError, match="shape"):
        spins().check(good[0], (3, 4))
    with pytest.raises(InputError, match="dtype"):
        spins().check(good.astype(np.int64), (3, 4))
    for bad in (0, 2, -3, 127):
        with pytest.raises(NumericalError, match="allowed are -1, 1"):
            spins().check(np.full((1, 2), bad, np.int8), (2,))


def test_colours_are_stored_in_the_smallest_integers() -> None:
    assert colours(127).dtype == np.int8
    assert colours(128).dtype == np.int16
    assert Potts(Lattice((2,)), 32767, 1.0).space.dtype == np.int16
    with pytest.raises(NumericalError, match="0 to 199"):
        colours(200).check(np.full((1, 2), 200, np.int16), (2,))


@pytest.mark.parametrize(
    "couplings", [{"beta": 1e308, "J": 10.0}, {"beta": 1.0, "J": 1e308}, {"beta": 2.0, "h": 1e308}]
)
def test_couplings_whose_action_overflows_are_refused(couplings):
    with pytest.raises(InputError, match="overflows"):
        Ising(Lattice((4, 4)), **couplings)
