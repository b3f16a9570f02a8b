"""Exact values of fields: two methods where there are two, and the literature's digits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.field_exact import (
    chain_energy,
    free_correlator,
    free_field,
    ring_energy,
    transfer_operator,
)
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import CONVENTIONS, Phi4
from pyqmc_art.lattice.vector import ON


@pytest.mark.parametrize(
    ("extent", "m2", "log_partition", "phi2"),
    [(8, 1.0, -11.62288526, 0.12708700), (16, 0.25, -17.48557877, 0.18847906)],
)
def test_free_fields(extent: int, m2: float, log_partition: float, phi2: float) -> None:
    exact = free_field(Phi4(Lattice((extent, extent)), m2, 0.0))
    assert exact.log_partition == pytest.approx(log_partition, abs=5e-9)
    assert exact.phi2 == pytest.approx(phi2, abs=5e-9)


@pytest.mark.parametrize("boundary", ["periodic", "open", ("open", "periodic"), ("periodic", "open")])
@pytest.mark.parametrize("shape", [(3, 4), (2, 2), (2, 5)])
def test_free_fields_by_dense_matrices(shape: tuple[int, ...], boundary: str) -> None:
    lattice = Lattice(shape, boundary=boundary)
    action = Phi4(lattice, 0.7, 0.0)
    basis = np.eye(lattice.sites).reshape(-1, *shape)
    quadratic = -action.force(basis).reshape(lattice.sites, -1)  # S = phi A phi / 2
    exact = free_field(action)
    assert exact.phi2 == pytest.approx(np.trace(np.linalg.inv(quadratic)) / lattice.sites)
    expected = 0.5 * lattice.sites * math.log(2 * math.pi) - 0.5 * np.linalg.slogdet(quadratic)[1]
    assert exact.log_partition == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(2,), (5,), (2, 2), (4, 2), (3, 2)])
@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_the_transfer_operator_knows_free_fields(shape: tuple[int, ...], boundary: str) -> None:
    action = Phi4(Lattice(shape, boundary=boundary), 1.0, 0.0)
    one, two = free_field(action), transfer_operator(action)
    assert two.log_partition == pytest.approx(one.log_partition, abs=1e-8)
    assert two.phi2 == pytest.approx(one.phi2, abs=1e-8)


def test_the_interacting_torus() -> None:
    exact = transfer_operator(Phi4(Lattice((2, 2)), -4.0, 8.0))
    assert exact.log_partition == pytest.approx(0.914433978, abs=1e-9)
    assert exact.phi2 == pytest.approx(0.1714344, abs=5e-8)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_conventions_agree(convention: str) -> None:
    action = Phi4(Lattice((4, 2)), -1.0, 1.5)
    one, two = transfer_operator(action), transfer_operator(action.to(convention))
    scale = action.to(convention).normalization
    assert two.phi2 == pytest.approx(one.phi2 * scale**2)
    assert two.phi4 == pytest.approx(one.phi4 * scale**4)
    assert two.log_partition == pytest.approx(one.log_partition + action.to(convention).log_partition_shift)
    assert two.action - action.to(convention).shift / 8 == pytest.approx(one.action)


def test_one_site_of_two_by_plain_quadrature() -> None:
    """A chain of two sites with free ends, by two nested one-dimensional integrals."""
    action = Phi4(Lattice((2,), boundary="open"), -1.0, 1.0)

    def weight(x: float, y: float) -> float:
        return math.exp(-float(action(np.array([[x, y]]))[0]))

    z = quad(lambda x: quad(lambda y: weight(x, y), -4, 4)[0], -4, 4)[0]
    square = quad(lambda x: x * x * quad(lambda y: weight(x, y), -4, 4)[0], -4, 4)[0] / z
    exact = transfer_operator(action)
    assert exact.log_partition == pytest.approx(math.log(z))
    assert exact.phi2 == pytest.approx(square)


def test_the_free_correlator_is_a_propagator() -> None:
    action = Phi4(Lattice((6, 4)), 0.5, 0.0)
    basis = np.eye(24).reshape(-1, 6, 4)
    inverse = np.linalg.inv(-action.force(basis).reshape(24, 24)).reshape(6, 4, 6, 4)
    expected = [inverse[0, 0, t].sum() for t in range(4)]
    np.testing.assert_allclose(free_correlator(action), expected, rtol=1e-10)


@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_vectors_on_a_chain(beta: float) -> None:
    """<s . s'> from its integral over the angle between two vectors."""
    for n in (2, 3, 5):

        def density(theta: float, n: int = n) -> float:
            return math.exp(beta * math.cos(theta)) * math.sin(theta) ** (n - 2)

        mean = quad(lambda t: math.cos(t) * density(t), 0, math.pi)[0] / quad(density, 0, math.pi)[0]
        action = ON(Lattice((6,), boundary="open"), n, beta)
        assert chain_energy(action) == pytest.approx(-mean * 5 / 6)
    for n in (2, 3):  # a long ring is a chain without ends
        assert ring_energy(ON(Lattice((400,)), n, beta)) == pytest.approx(
            chain_energy(ON(Lattice((400,), boundary="open"), n, beta)) * 400 / 399, rel=1e-6
        )


def test_a_ring_of_two_has_a_double_bond() -> None:
    """Two XY spins with two bonds: <cos> at twice the coupling."""
    assert ring_energy(ON(Lattice((2,)), 2, 0.6)) == pytest.approx(
        2 * chain_energy(ON(Lattice((2,), boundary="open"), 2, 1.2))
    )


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match="lam = 0"):
        free_field(Phi4(Lattice((4, 4)), 1.0, 1.0))
    with pytest.raises(InputError, match="slices of 3"):
        transfer_operator(Phi4(Lattice((4, 3)), 1.0, 1.0))
    with pytest.raises(InputError, match="triangular"):
        free_field(Phi4(Lattice((3, 3), kind="triangular"), 1.0, 0.0))
    with pytest.raises(InputError, match="n = 2 or 3"):
        ring_energy(ON(Lattice((4,)), 4, 1.0))
