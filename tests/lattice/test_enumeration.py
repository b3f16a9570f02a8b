"""Enumeration against slow sums, counting identities, and exact draws against their probabilities."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.enumeration import (
    SpinAction,
    boltzmann_probabilities,
    configuration_codes,
    configuration_count,
    decode,
    density_of_states,
    encode,
    enumerate_fields,
    exact_moments,
    macrostates,
    sample_exactly,
)
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.rng import Stream
from pyqmc_art.testing.verdict import BUDGET, chi_square, sample_p_value

ACTIONS: list[SpinAction] = [
    Ising(Lattice((3, 3)), 0.4, h=0.2),
    Ising(Lattice((2, 4), "honeycomb"), 0.5, J=-1.0),
    Ising(Lattice((3, 3), "triangular", ("open", "periodic")), 0.3),
    Ising(Lattice((2, 2, 2)), 0.2, J=0.7, h=-0.4),
    Potts(Lattice((2, 3)), 3, 0.9),
    Potts(Lattice((5,), boundary="open"), 4, 1.1, J=-1.0),
]


@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_moments_are_slow_sums_over_all_configurations(action: SpinAction) -> None:
    sites = action.lattice.sites
    total, energies, magnetizations = 0.0, [], []
    for values in itertools.product(action.space.values, repeat=sites):
        field = np.array(values, action.space.dtype).reshape(1, *action.lattice.shape)
        weight = math.exp(-float(action(field)[0]))
        total += weight
        energies.append((weight, float(action(field)[0]) / action.beta))
        if isinstance(action, Ising):
            m = sum(values) / sites
        else:
            m = (action.q * max(values.count(a) for a in range(action.q)) / sites - 1) / (action.q - 1)
        magnetizations.append((weight, m))
    mean = sum(w * e for w, e in energies) / total
    exact = exact_moments(action)
    assert exact.log_partition == pytest.approx(math.log(total), rel=1e-13)
    assert exact.energy == pytest.approx(mean / sites, rel=1e-12)
    spread = sum(w * (e - mean) ** 2 for w, e in energies) / total
    assert exact.specific_heat == pytest.approx(action.beta**2 * spread / sites, rel=1e-11)
    for power, given in ((1, exact.magnetization), (2, exact.magnetization2), (4, exact.magnetization4)):
        assert given == pytest.approx(sum(w * m**power for w, m in magnetizations) / total, abs=1e-13)
    assert exact.abs_magnetization == pytest.approx(sum(w * abs(m) for w, m in magnetizations) / total, abs=1e-13)


@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_probabilities_are_those_of_the_action(action: SpinAction) -> None:
    fields = enumerate_fields(action)
    p = boltzmann_probabilities(action)
    assert len(p) == len(fields) == configuration_count(action) == len(np.unique(fields.reshape(len(p), -1), axis=0))
    np.testing.assert_allclose(np.log(p), -action(fields) - exact_moments(action).log_partition, atol=1e-12)
    np.testing.assert_array_equal(encode(action, fields), np.arange(len(fields)))


@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_densities_count_every_configuration_once(action: SpinAction) -> None:
    density = density_of_states(action)
    assert density.count.dtype == np.int64
    assert density.count.sum() == configuration_count(action)
    states, counts = np.unique(macrostates(action, enumerate_fields(action)), axis=0, return_counts=True)
    np.testing.assert_array_equal(np.stack([density.bonds, density.order], axis=1), states)
    np.testing.assert_array_equal(density.count, counts)
    fields = enumerate_fields(action)
    energies = [np.unique(np.round(e, 9)) for e in (density.hamiltonian(action), action(fields) / action.beta)]
    np.testing.assert_allclose(energies[0], energies[1], atol=2e-9)


def test_the_four_by_four_torus() -> None:
    """The density of states of the 4 x 4 torus by energy, as printed in textbooks."""
    density = density_of_states(Ising(Lattice((4, 4)), 1.0))
    by_energy = {int(b): int(density.count[density.bonds == b].sum()) for b in np.unique(density.bonds)}
    assert [by_energy[b] for b in (32, 24, 20, 16, 12, 8, 4, 0)] == [2, 32, 64, 424, 1728, 6688, 13568, 20524]
    assert by_energy == {-b: n for b, n in by_energy.items()}


@pytest.mark.parametrize("spin_sum", [-9, -5, 1, 7, 9])
def test_fixed_spin_sum_is_the_conditioned_ensemble(spin_sum: int) -> None:
    action = Ising(Lattice((3, 3)), 0.4, h=0.3)
    everything = enumerate_fields(action)
    chosen = everything.reshape(512, 9).sum(axis=1) == spin_sum
    np.testing.assert_array_equal(enumerate_fields(action, spin_sum), everything[chosen])
    p = boltzmann_probabilities(action)[chosen]
    np.testing.assert_allclose(boltzmann_probabilities(action, spin_sum), p / p.sum(), rtol=1e-12)
    exact = exact_moments(action, spin_sum)
    assert exact.magnetization == pytest.approx(spin_sum / 9, rel=1e-14)
    assert exact.log_partition == pytest.approx(exact_moments(action).log_partition + math.log(p.sum()), rel=1e-12)


def test_fixed_spin_sum_reaches_larger_lattices() -> None:
    action = Ising(Lattice((6, 6)), 0.4)
    assert configuration_count(action, 28) == math.comb(36, 4)
    assert np.all(enumerate_fields(action, 28).reshape(-1, 36).sum(axis=1) == 28)


@pytest.mark.parametrize("action", [ACTIONS[0], ACTIONS[4]], ids=str)
def test_exact_draws_have_the_exact_probabilities(action: SpinAction) -> None:
    fields = sample_exactly(action, 50_000, Stream.from_seed(11))
    assert fields.shape == (50_000, *action.lattice.shape)
    assert fields.dtype == action.space.dtype
    p = boltzmann_probabilities(action)
    assert BUDGET.passes(chi_square(np.bincount(encode(action, fields), minlength=len(p)), p))
    warmer = type(action)(**{**vars(action), "beta": 0.95 * action.beta})
    assert not BUDGET.passes(sample_p_value(warmer, fields))


def test_exact_draws_at_fixed_spin_sum() -> None:
    action = Ising(Lattice((3, 3)), 0.4)
    fields = sample_exactly(action, 50_000, Stream.from_seed(12), spin_sum=3)
    assert np.all(fields.reshape(50_000, 9).sum(axis=1) == 3)
    assert BUDGET.passes(sample_p_value(action, fields, spin_sum=3))
    assert not BUDGET.passes(sample_p_value(Ising(action.lattice, 0.38), fields, spin_sum=3))


def test_a_draw_depends_on_its_replica_and_the_stream_only() -> None:
    action, stream = ACTIONS[0], Stream.from_seed(3)
    all_at_once = sample_exactly(action, 100, stream)
    np.testing.assert_array_equal(all_at_once[60:], sample_exactly(action, 40, stream.shifted(60)))
    assert not np.array_equal(all_at_once, sample_exactly(action, 100, stream.fold("other")))


def test_cold_weights_do_not_overflow() -> None:
    action = Ising(Lattice((3, 3)), 1e4, h=1.0)
    assert boltzmann_probabilities(action)[-1] == 1.0
    assert exact_moments(action).log_partition == pytest.approx(1e4 * (18 + 9), rel=1e-14)


def test_encode_inverts_decode() -> None:
    action = Potts(Lattice((3, 4)), 5, 1.0)
    codes = np.random.default_rng(1).integers(0, 5**12, 1000)
    np.testing.assert_array_equal(encode(action, decode(action, codes)), codes)
    with pytest.raises(NumericalError):
        encode(action, np.full((1, 3, 4), 5, np.int8))
    with pytest.raises(InputError, match="63-bit"):
        encode(Ising(Lattice((8, 8)), 1.0), np.ones((1, 8, 8), np.int8))


@pytest.mark.parametrize(
    ("action", "spin_sum", "message"),
    [
        (Ising(Lattice((5, 5)), 1.0), None, "33554432 configurations; at most 4194304"),
        (Ising(Lattice((512, 512)), 1.0), None, r"about 10\^78913 configurations"),
        (Potts(Lattice((4, 4)), 3, 1.0), None, "43046721 configurations"),
        (Ising(Lattice((6, 6)), 1.0), 0, "9075135300 configurations"),
        (Ising(Lattice((3, 3)), 1.0), 0, "spin sum 0 cannot occur on 9 sites"),
        (Ising(Lattice((3, 3)), 1.0), 11, "spin sum 11 cannot occur"),
        (Potts(Lattice((3, 3)), 3, 1.0), 1, "only Ising spins"),
    ],
)
def test_what_cannot_be_enumerated_is_refused(action: SpinAction, spin_sum: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        configuration_codes(action, spin_sum)
