"""Observables of fields against slow, obvious versions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.field_exact import free_correlator, free_field
from pyqmc_art.lattice.field_observables import (
    binder_cumulant,
    effective_masses,
    exponential_length,
    pole_mass,
    second_moment_length,
)
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.observables import OBSERVABLES, defined_for, find
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON

RANDOM = np.random.default_rng(11)
LATTICE = Lattice((4, 6))
SCALAR = Phi4(LATTICE, m2=-1.0, lam=0.8, convention="C")
PHI = RANDOM.normal(size=(3, 4, 6))
XY = ON(LATTICE, n=2, beta=0.7)
ANGLES = RANDOM.uniform(0, 2 * math.pi, size=(3, 4, 6))
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
SITES = [(x, y) for x in range(4) for y in range(6)]
BONDS = [((x, y), ((x + 1) % 4, y), 0) for x, y in SITES] + [((x, y), (x, (y + 1) % 6), 1) for x, y in SITES]


def value(name: str, action: Any, field: Any) -> Any:
    return OBSERVABLES[name](action, field[None])[0]


@pytest.mark.parametrize("phi", PHI)
def test_scalar_observables_site_by_site(phi: Any) -> None:
    total = sum(phi[x] for x in SITES)
    expected = {
        "phi": total / 24,
        "abs_phi": abs(total) / 24,
        "magnetization": total / 24,
        "magnetization2": (total / 24) ** 2,
        "magnetization4": (total / 24) ** 4,
        "phi2": sum(phi[x] ** 2 for x in SITES) / 24,
        "phi4": sum(phi[x] ** 4 for x in SITES) / 24,
        "susceptibility": total**2 / 24,
        "ising_energy": sum(phi[a] * phi[b] for a, b, _ in BONDS) / 48,
        "action": SCALAR(phi[None])[0] / 24,
        "virial": -(phi * SCALAR.force(phi[None])[0]).sum() / 24,
    }
    for name, number in expected.items():
        assert value(name, SCALAR, phi) == pytest.approx(number, rel=1e-12), name


@pytest.mark.parametrize("replica", range(3))
def test_vector_observables_site_by_site(replica: int) -> None:
    angle, field = ANGLES[replica], VECTORS[replica]
    moment = math.hypot(sum(math.cos(angle[x]) for x in SITES), sum(math.sin(angle[x]) for x in SITES))
    cosines = sum(math.cos(angle[a] - angle[b]) for a, b, _ in BONDS)
    assert value("energy", XY, field) == pytest.approx(-cosines / 24)
    assert value("action", XY, field) == pytest.approx(-0.7 * cosines / 24)
    assert value("magnetization", XY, field) == pytest.approx(moment / 24)
    assert value("susceptibility", XY, field) == pytest.approx(moment**2 / 24)
    currents = [sum(math.sin(angle[a] - angle[b]) for a, b, mu in BONDS if mu == axis) for axis in (0, 1)]
    helicity = (cosines - 0.7 * (currents[0] ** 2 + currents[1] ** 2)) / 48
    assert value("helicity", XY, field) == pytest.approx(helicity)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_correlator_site_by_site(boundary: str) -> None:
    action = Phi4(Lattice((4, 6), boundary=(boundary, "periodic")), 1.0, 0.5)
    for t in range(3):
        pairs = [t0 for t0 in range(4) if boundary == "periodic" or t0 + t < 4]
        total = sum(PHI[0, t0, x] * PHI[0, (t0 + t) % 4, y] for t0 in pairs for x in range(6) for y in range(6))
        assert value("correlator", action, PHI[0])[t] == pytest.approx(total / len(pairs) / 6)


def test_correlator_of_vectors_is_the_sum_over_components() -> None:
    parts = [OBSERVABLES["correlator"](SCALAR, np.ascontiguousarray(VECTORS[..., a])) for a in (0, 1)]
    np.testing.assert_allclose(OBSERVABLES["correlator"](XY, VECTORS), sum(parts), rtol=1e-12)


def test_smallest_modes_of_fields_are_those_of_the_fft() -> None:
    spectrum = np.abs(np.fft.fftn(PHI, axes=(1, 2)) / 24) ** 2
    np.testing.assert_allclose(OBSERVABLES["kmin2"](SCALAR, PHI), (spectrum[:, 1, 0] + spectrum[:, 0, 1]) / 2)
    parts = [np.abs(np.fft.fftn(VECTORS[..., a], axes=(1, 2)) / 24) ** 2 for a in (0, 1)]
    both = sum((s[:, 1, 0] + s[:, 0, 1]) / 2 for s in parts)
    np.testing.assert_allclose(OBSERVABLES["kmin2"](XY, VECTORS), both)


def test_lengths_of_a_free_field() -> None:
    """The propagator of a free field has its pole at 2 sinh(m/2) = sqrt(m2), and its second moment says 1/sqrt(m2)."""
    action = Phi4(Lattice((16, 16)), m2=0.25, lam=0.0)
    correlator = free_correlator(action)
    mass = 2 * math.asinh(math.sqrt(0.25) / 2)
    np.testing.assert_allclose(effective_masses(correlator), mass, rtol=1e-10)
    assert pole_mass(correlator) == pytest.approx(mass)
    assert exponential_length(correlator) == pytest.approx(1 / mass)
    k2 = 4 * math.sin(math.pi / 16) ** 2
    assert second_moment_length(1 / 0.25, 1 / (k2 + 0.25), 16) == pytest.approx(2.0)
    assert math.isnan(second_moment_length(1.0, 2.0, 16))
    assert correlator[0] > free_field(action).phi2  # a sum over a slice of positive correlations
    with pytest.raises(InputError, match="three values"):
        effective_masses([1.0, 0.5])


def test_binder_cumulant_of_two_points_and_of_a_gaussian() -> None:
    assert binder_cumulant(1.0, 1.0) == pytest.approx(2 / 3)
    assert binder_cumulant(2.0, 12.0) == pytest.approx(0.0)


@pytest.mark.parametrize("backend", list_available())
@pytest.mark.parametrize("lattice", [LATTICE, Lattice((3, 5), boundary="open"), Lattice((3, 3), kind="triangular")])
def test_compiled_sums_are_those_of_numpy(backend: str, lattice: Lattice) -> None:
    for convention in ("A", "D"):
        action = Phi4(lattice, -1.0, 0.8, convention)
        field = RANDOM.normal(size=(3, *lattice.shape))
        measured = HMC(action, backend=backend, threads=1).measure(field, defined_for("phi4"))
        for name, values in measured.items():
            np.testing.assert_allclose(values, OBSERVABLES[name](action, field), rtol=1e-12, atol=1e-13)


def test_an_observable_of_another_action_is_refused() -> None:
    with pytest.raises(InputError, match=r"'energy' is not defined for phi4; it has .*phi2"):
        find(["energy"], SCALAR)
    with pytest.raises(InputError, match="'phi2' is not defined for on"):
        find(["phi2"], XY)
    with pytest.raises(InputError, match="expected n = 2"):
        OBSERVABLES["helicity"](ON(LATTICE, n=3, beta=1.0), np.zeros((1, 4, 6, 3)))
