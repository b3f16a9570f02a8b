"""phi^4: the action and its force, conversions between the four conventions, what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.field_exact import transfer_operator
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import CONVENTIONS, Phi4
from pyqmc_art.lattice.vector import ON

RANDOM = np.random.default_rng(5)
LATTICES = (
    Lattice((4, 6)),
    Lattice((2, 2)),
    Lattice((2, 3, 4)),
    Lattice((7,), boundary="open"),
    Lattice((2, 3, 2, 2), boundary=("open", "periodic", "periodic", "open")),
    Lattice((3, 3), kind="triangular"),
    Lattice((4, 4), kind="honeycomb"),
)


def slow_action(phi: Any, m2: float, lam: float) -> float:
    """Convention A on a periodic hypercubic lattice, site by site from the definition."""
    total = 0.0
    for x in itertools.product(*map(range, phi.shape)):
        for mu, extent in enumerate(phi.shape):
            beyond = tuple((c + 1) % extent if nu == mu else c for nu, c in enumerate(x))
            total += (phi[beyond] - phi[x]) ** 2
        total += m2 * phi[x] ** 2 + lam * phi[x] ** 4
    return total


@pytest.mark.parametrize("shape", [(5,), (2, 2), (3, 4), (2, 3, 4), (2, 2, 3, 2)])
def test_the_action_is_its_definition(shape: tuple[int, ...]) -> None:
    field = RANDOM.normal(size=(2, *shape))
    action = Phi4(Lattice(shape), m2=-1.3, lam=0.7)
    np.testing.assert_allclose(action(field), [slow_action(phi, -1.3, 0.7) for phi in field], rtol=1e-13)


def test_the_other_conventions_are_their_definitions() -> None:
    lattice = Lattice((4, 6))
    action = Phi4(lattice, m2=-1.5, lam=2.0)
    phi = RANDOM.normal(size=(3, 4, 6))
    pairs = sum((phi * np.roll(phi, -1, axis)).sum(axis=(1, 2)) for axis in (1, 2))
    differences = sum(((np.roll(phi, -1, axis) - phi) ** 2).sum(axis=(1, 2)) for axis in (1, 2))
    squares, quartics = (phi**2).sum(axis=(1, 2)), (phi**4).sum(axis=(1, 2))
    kappa, quartic = action.hopping
    hopping = -2 * kappa * pairs + (1 - 2 * quartic) * squares + quartic * quartics
    np.testing.assert_allclose(action.to("B")(phi), hopping, rtol=1e-12)
    shifted = -2 * kappa * pairs + squares + quartic * ((phi**2 - 1) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(action.to("C")(phi), shifted, rtol=1e-12)
    np.testing.assert_allclose(action.to("D")(phi), 0.5 * differences - 0.75 * squares + 0.5 * quartics, rtol=1e-12)


@pytest.mark.parametrize(("one", "other"), list(itertools.product(CONVENTIONS, CONVENTIONS)))
def test_conversions_keep_the_weight(one: str, other: str) -> None:
    action = Phi4(Lattice((3, 4)), m2=-4, lam=8, convention=one)
    field = RANDOM.normal(size=(4, 3, 4))
    converted = action.convert(field, other)
    target = action.to(other)
    np.testing.assert_allclose(target(converted) - target.shift, action(field) - action.shift, rtol=1e-12)
    np.testing.assert_allclose(target.convert(converted, one), field, rtol=1e-14)
    assert (target.m2, target.lam) == (action.m2, action.lam)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_ln_z_is_shifted_as_the_integral_is(convention: str) -> None:
    """ln Z of each convention by quadrature over its own field."""
    action = Phi4(Lattice((2,)), m2=0.3, lam=0.9)
    target = action.to(convention)
    grid = np.linspace(-6, 6, 601) * target.normalization
    pairs = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    integral = np.exp(-target(pairs)).sum() * (grid[1] - grid[0]) ** 2
    assert math.log(integral) == pytest.approx(transfer_operator(action).log_partition + target.log_partition_shift)
    assert math.log(integral) == pytest.approx(transfer_operator(target).log_partition)


@pytest.mark.parametrize("convention", ["B", "C"])
@pytest.mark.parametrize(("kappa", "quartic"), [(0.25, 0.5), (0.27088, 0.022), (0.1, 0.0), (2.0, 3.0)])
def test_hopping_parameters_there_and_back(convention: str, kappa: float, quartic: float) -> None:
    scale = 2.0 if convention == "C" else 1.0
    action = Phi4.from_hopping(Lattice((4, 4)), scale * kappa, quartic, convention)
    np.testing.assert_allclose(action.hopping, (kappa, quartic), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize("convention", ["A", "D"])
def test_force_is_minus_the_derivative(lattice: Lattice, convention: str) -> None:
    action = Phi4(lattice, m2=-0.4, lam=0.6, convention=convention)
    field = RANDOM.normal(size=(1, *lattice.shape))
    force = action.force(field)
    for x in np.ndindex(*lattice.shape):
        moved = np.concatenate([field, field])
        moved[(0, *x)] += 1e-5
        moved[(1, *x)] -= 1e-5
        up, down = action(moved)
        assert force[(0, *x)] == pytest.approx(-(up - down) / 2e-5, rel=1e-6, abs=1e-7)


def test_force_of_unit_vectors_is_minus_the_derivative() -> None:
    action = ON(Lattice((2, 3)), n=3, beta=0.8)
    field = RANDOM.normal(size=(1, 2, 3, 3))
    force = action.force(field)
    for x in np.ndindex(2, 3, 3):
        moved = np.concatenate([field, field])
        moved[(0, *x)] += 1e-5
        moved[(1, *x)] -= 1e-5
        up, down = action(moved)
        assert force[(0, *x)] == pytest.approx(-(up - down) / 2e-5, rel=1e-6, abs=1e-9)


def test_unit_vectors_by_hand() -> None:
    action = ON(Lattice((3,), boundary="open"), n=2, beta=2.0)
    field = np.array([[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]])
    assert action.hamiltonian(field)[0] == pytest.approx(-0.8)
    assert action(field)[0] == pytest.approx(-1.6)


@pytest.mark.parametrize(
    ("couplings", "message"),
    [
        ({"m2": 1, "lam": -0.1}, "bounded from below"),
        ({"m2": 0, "lam": 0}, "no finite integral"),
        ({"m2": -1, "lam": 0}, "no finite integral"),
        ({"m2": math.nan, "lam": 1}, "m2 is nan"),
        ({"m2": 1, "lam": math.inf}, "lam is inf"),
        ({"m2": 1, "lam": 1, "convention": "E"}, "unknown convention"),
    ],
)
def test_couplings_that_are_refused(couplings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Phi4(Lattice((4, 4)), **couplings)


def test_hopping_needs_one_number_of_neighbours() -> None:
    with pytest.raises(InputError, match="same number of neighbours"):
        Phi4(Lattice((4, 4), boundary="open"), 1, 1, convention="B")
    with pytest.raises(InputError, match="positive"):
        Phi4.from_hopping(Lattice((4, 4)), -0.1, 0.5)
    with pytest.raises(InputError, match=r"B .* C"):
        Phi4.from_hopping(Lattice((4, 4)), 0.1, 0.5, "A")


@pytest.mark.parametrize("n", [1, 2.5, 65, "many"])
def test_components_that_are_refused(n: Any) -> None:
    with pytest.raises(InputError, match="n is"):
        ON(Lattice((4, 4)), n=n, beta=1)


def test_spaces_check_fields() -> None:
    space = Phi4(Lattice((2, 2)), 1, 1).space
    space.check(np.zeros((3, 2, 2)), (2, 2))
    with pytest.raises(InputError, match="float32"):
        space.check(np.zeros((3, 2, 2), np.float32), (2, 2))
    with pytest.raises(NumericalError, match="1 values that are not finite"):
        space.check(np.array([[[0, np.nan], [0, 0]]]), (2, 2))
    vectors = ON(Lattice((2, 2)), n=3, beta=1).space
    field = np.zeros((1, 2, 2, 3))
    with pytest.raises(NumericalError, match="length 0 to 0"):
        vectors.check(field, (2, 2))
    field[..., 1] = 1
    vectors.check(field, (2, 2))
    with pytest.raises(InputError, match="shape"):
        vectors.check(field[..., :2].copy(), (2, 2))
