"""Observables: the definitions, and sums measured in compiled loops against NumPy on the field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.observables import OBSERVABLES, SmallestModes, SumObservable, defined_for, evaluate, find, sums
from pyqmc_art.testing.cases import ENUMERABLE, Case, legal_kernels

RANDOM = np.random.default_rng(3)


def random_field(action: Any, replicas: int = 3) -> Any:
    values = np.array(action.space.values, action.space.dtype)
    return RANDOM.choice(values, (replicas, *action.lattice.shape))


def value(name: str, action: Any, field: Any) -> float:
    return float(OBSERVABLES[name](action, np.asarray(field)[None])[0])


def test_ising_by_hand() -> None:
    """Two rows of a 2 x 3 torus; the axis of extent 2 has double bonds."""
    action = Ising(Lattice((2, 3)), beta=0.5, J=2.0, h=0.25)
    field = np.array([[1, 1, -1], [1, -1, -1]], np.int8)
    across = 2 * (1 - 1 + 1)  # each vertical pair twice
    along = (1 - 1 - 1) + (-1 + 1 - 1)
    hamiltonian = -2.0 * (across + along) - 0.25 * 0
    assert value("energy", action, field) == pytest.approx(hamiltonian / 6)
    assert value("action", action, field) == pytest.approx(0.5 * hamiltonian / 6)
    assert value("magnetization", action, field) == 0.0
    field[1, 1] = 1
    assert value("magnetization", action, -field) == pytest.approx(-1 / 3)
    assert value("abs_magnetization", action, -field) == pytest.approx(1 / 3)
    assert value("magnetization2", action, -field) == pytest.approx(1 / 9)
    assert value("magnetization4", action, -field) == pytest.approx(1 / 81)


def test_potts_by_hand() -> None:
    action = Potts(Lattice((2, 2), boundary="open"), q=3, beta=0.5, J=1.5)
    field = np.array([[0, 2], [2, 2]], np.int8)
    assert value("energy", action, field) == pytest.approx(-1.5 * 2 / 4)
    assert value("magnetization", action, field) == pytest.approx((3 * 3 / 4 - 1) / 2)
    assert value("magnetization", action, np.full((2, 2), 1, np.int8)) == 1.0


def test_smallest_modes() -> None:
    lattice = Lattice((8, 4))
    ising = Ising(lattice, 0.4)
    x = np.arange(8)[:, None] * np.ones((1, 4))
    stripes = np.where(x < 4, 1, -1).astype(np.int8)
    wave = np.abs((stripes[:, 0] * np.exp(2j * np.pi * np.arange(8) / 8)).mean()) ** 2
    assert value("kmin2", ising, stripes) == pytest.approx(wave / 2)
    assert value("kmin2", ising, np.ones((8, 4), np.int8)) == pytest.approx(0.0, abs=1e-30)
    shifted = np.roll(stripes, (3, 1), (0, 1))
    assert value("kmin2", ising, shifted) == pytest.approx(value("kmin2", ising, stripes))


def test_smallest_modes_are_those_of_the_fft() -> None:
    action = Ising(Lattice((5, 6, 4)), 0.2)
    field = random_field(action)
    spectrum = np.abs(np.fft.fftn(field, axes=(1, 2, 3)) / 120) ** 2
    wanted = (spectrum[:, 1, 0, 0] + spectrum[:, 0, 1, 0] + spectrum[:, 0, 0, 1]) / 3
    np.testing.assert_allclose(SmallestModes()(action, field), wanted, rtol=1e-12)


def test_potts_with_two_colours_is_ising() -> None:
    lattice = Lattice((4, 6))
    ising, potts = Ising(lattice, 0.4), Potts(lattice, 2, 0.8)
    field = random_field(ising)
    colours = ((field + 1) // 2).astype(np.int8)
    np.testing.assert_allclose(SmallestModes()(potts, colours), SmallestModes()(ising, field), rtol=1e-12)
    for name in ("abs_magnetization", "magnetization2", "magnetization4"):
        np.testing.assert_allclose(OBSERVABLES[name](potts, colours), OBSERVABLES[name](ising, field), rtol=1e-12)
    energy = 2 * OBSERVABLES["energy"](potts, colours) + lattice.bonds / lattice.sites
    np.testing.assert_allclose(energy, OBSERVABLES["energy"](ising, field), rtol=1e-12)


def test_energy_is_the_action_over_beta() -> None:
    for action in ENUMERABLE:
        field = random_field(action)
        energy = OBSERVABLES["energy"](action, field)
        np.testing.assert_allclose(action.beta * energy * action.lattice.sites, action(field), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", list_available())
def test_compiled_sums_are_those_of_numpy(backend: str) -> None:
    for action in ENUMERABLE:
        kernel: Any = Case(legal_kernels(action)[0], action).build(backend, threads=1)
        field = random_field(action)
        equal, magnetization = sums(action, field)
        for name, values in kernel.measure(field, defined_for(action.name)).items():
            observable = OBSERVABLES[name]
            np.testing.assert_array_equal(values, observable(action, field))
            if isinstance(observable, SumObservable):
                np.testing.assert_array_equal(values, observable.from_sums(action, equal, magnetization))


def test_each_rung_is_measured_by_its_own_action() -> None:
    rungs = tuple(Ising(Lattice((4, 4)), 0.4, J=j) for j in (1.0, 2.0))
    field = random_field(rungs[0], 6).reshape(3, 2, 4, 4)
    values = evaluate(OBSERVABLES["energy"], rungs, field)
    assert values.shape == (3, 2)
    np.testing.assert_array_equal(values[:, 1], OBSERVABLES["energy"](rungs[1], field[:, 1]))


def test_names() -> None:
    assert [o.name for o in find(["kmin2", "energy", SmallestModes("mine")])] == ["kmin2", "energy", "mine"]
    with pytest.raises(InputError, match="unknown observable 'enregy'; did you mean 'energy'"):
        find(["enregy"])
