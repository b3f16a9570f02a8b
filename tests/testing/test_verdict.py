"""The judgements are calibrated, and they fail on planted bugs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.enumeration import exact_moments, sample_exactly
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.protocols import Field, State
from pyqmc_art.rng import Stream
from pyqmc_art.testing.verdict import (
    BUDGET,
    AlphaBudget,
    ChainStructure,
    bonferroni,
    chain_structure,
    chi_square,
    compare,
    equilibrium_p_value,
    is_irreducible,
    kernel_step,
    sample_p_value,
    sampled_transitions,
)

TORUS = Ising(Lattice((4, 4)), beta=0.44)
N = 100_000


@dataclass
class Metropolis:
    """A reference in a few lines: sites one by one or colour by colour, all replicas at once."""

    action: Ising
    checkerboard: bool = False
    at_zero: float = 1.0
    ceiling: float = 1.0
    frozen: int = -1
    seed: int = 0

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def __call__(self, fields: Field) -> Field:
        s = fields.reshape(len(fields), -1).copy()
        lattice = self.action.lattice
        if self.checkerboard:
            groups = [np.flatnonzero(lattice.colour == c) for c in range(lattice.colours)]
        else:
            groups = [np.array([x]) for x in range(lattice.sites)]
        for group in groups:
            there = lattice.neighbours[group]
            local = (s[:, there] * (there >= 0)).sum(axis=-1)
            change = 2 * self.action.beta * s[:, group] * (self.action.J * local + self.action.h)
            accept = np.where(change == 0, self.at_zero, np.minimum(self.ceiling, np.exp(-change)))
            flip = self.random.random(change.shape) < accept
            flip &= group != self.frozen
            s[:, group] = np.where(flip, -s[:, group], s[:, group])
        return s.reshape(fields.shape)


def exchange(action: Ising, seed: int) -> Callable[[Field], Field]:
    """Exchange two random sites, accepted by Metropolis: the spin sum never changes."""
    random = np.random.default_rng(seed)

    def step(fields: Field) -> Field:
        replica = np.arange(len(fields))
        flat = fields.reshape(len(fields), -1)
        x, y = random.integers(0, flat.shape[1], (2, len(fields)))
        proposal = flat.copy()
        proposal[replica, x], proposal[replica, y] = flat[replica, y], flat[replica, x]
        fresh = proposal.reshape(fields.shape)
        accept = random.random(len(fields)) < np.exp(np.minimum(0, action(fields) - action(fresh)))
        return np.where(accept[:, None, None], fresh, fields)

    return step


def test_a_correct_kernel_stays_in_equilibrium() -> None:
    assert BUDGET.passes(equilibrium_p_value(TORUS, Metropolis(TORUS), N, Stream.from_seed(1), k=6))


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_one_percent_in_beta_is_seen(factor: float) -> None:
    wrong = Metropolis(replace(TORUS, beta=factor * TORUS.beta))
    assert not BUDGET.passes(equilibrium_p_value(TORUS, wrong, N, Stream.from_seed(2), k=12))


def test_a_small_field_is_seen() -> None:
    wrong = Metropolis(replace(TORUS, h=0.01))
    assert not BUDGET.passes(equilibrium_p_value(TORUS, wrong, N, Stream.from_seed(3), k=12))


def test_power_is_above_three_nines() -> None:
    """Exact draws at a beta off by 1 % for the 1e5 replicas that the judgement asks for."""
    wrong = replace(TORUS, beta=1.01 * TORUS.beta)
    seen = [sample_p_value(TORUS, sample_exactly(wrong, N, Stream.from_seed(s))) for s in range(10)]
    assert max(seen) < BUDGET.alpha
    # The shift of the mean energy in standard errors, against the level after Bonferroni and three more for the power.
    variance = exact_moments(TORUS).specific_heat * TORUS.lattice.sites / TORUS.beta**2
    assert 0.01 * TORUS.beta * math.sqrt(N * variance) > 5.2 + 3.1


def test_p_values_of_exact_draws_are_not_too_small() -> None:
    """Conservative by Bonferroni: P(p < 0.25) is at most 0.25, checked at 200 seeds on both kinds of bins."""
    for action, n in ((Ising(Lattice((3, 2)), 0.3), 4000), (Ising(Lattice((3, 3)), 0.3), 4000)):
        p = np.array([sample_p_value(action, sample_exactly(action, n, Stream.from_seed(s))) for s in range(200)])
        below = int(np.count_nonzero(p < 0.25))
        assert below <= 50 + 5 * math.sqrt(200 * 0.25 * 0.75)
        assert p.min() > 1e-5


def test_the_identity_is_stationary_but_not_irreducible() -> None:
    action = Ising(Lattice((2, 3)), 0.4)
    assert BUDGET.passes(equilibrium_p_value(action, lambda fields: fields, 20_000, Stream.from_seed(4)))
    counts = sampled_transitions(action, lambda fields: fields, 4)
    assert chain_structure(counts) == ChainStructure(64, 0)
    assert not is_irreducible(counts)


def test_a_frozen_site_is_stationary_but_not_irreducible() -> None:
    action = Ising(Lattice((2, 3)), 0.4)
    frozen = Metropolis(action, frozen=4)
    assert BUDGET.passes(equilibrium_p_value(action, frozen, 20_000, Stream.from_seed(5)))
    assert not is_irreducible(sampled_transitions(action, frozen, 500))
    assert is_irreducible(sampled_transitions(action, Metropolis(action), 500))


def test_checkerboard_updates_that_always_accept_zero_cost_are_reducible() -> None:
    """On the ring of 4 the states ++-- have no local field: flipped with certainty, they only chase themselves."""
    ring = Ising(Lattice((4,)), beta=0.4)
    certain = Metropolis(ring, checkerboard=True)
    assert BUDGET.passes(equilibrium_p_value(ring, certain, 20_000, Stream.from_seed(6)))
    structure = chain_structure(sampled_transitions(ring, certain, 2000))
    assert structure.classes > 1
    hesitant = Metropolis(ring, checkerboard=True, at_zero=15 / 16)
    assert BUDGET.passes(equilibrium_p_value(ring, hesitant, 20_000, Stream.from_seed(7)))
    assert is_irreducible(sampled_transitions(ring, hesitant, 2000))


def test_capping_every_acceptance_breaks_detailed_balance() -> None:
    """min(15/16, exp(-dS)) looks like a remedy, but the ratio of there and back is no longer exp(-dS)."""
    ring = Ising(Lattice((4,)), beta=0.4)
    capped = Metropolis(ring, checkerboard=True, at_zero=15 / 16, ceiling=15 / 16)
    assert is_irreducible(sampled_transitions(ring, capped, 2000))
    assert not BUDGET.passes(equilibrium_p_value(ring, capped, N, Stream.from_seed(7), k=3))


def test_parallel_flips_at_infinite_temperature_have_period_two() -> None:
    free = Ising(Lattice((4,)), beta=0.0)
    counts = sampled_transitions(free, Metropolis(free, checkerboard=True), 4)
    assert chain_structure(counts) == ChainStructure(8, 0)
    assert chain_structure([[0, 1, 0], [0, 0, 1], [1, 0, 0]]) == ChainStructure(1, 3)
    assert chain_structure([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]).period == 2
    assert is_irreducible([[1, 1, 0], [0, 0, 1], [1, 0, 0]])


def test_kernels_at_fixed_spin_sum() -> None:
    action = Ising(Lattice((4, 4)), 0.44)
    good = exchange(action, 1)
    assert BUDGET.passes(equilibrium_p_value(action, good, N, Stream.from_seed(9), k=30, spin_sum=4))
    warm = exchange(replace(action, beta=0.42), 2)
    assert not BUDGET.passes(equilibrium_p_value(action, warm, N, Stream.from_seed(9), k=60, spin_sum=4))
    leaves = equilibrium_p_value(action, Metropolis(action), 20_000, Stream.from_seed(9), spin_sum=4)
    assert leaves == 0.0
    small = Ising(Lattice((2, 3)), 0.4)
    assert is_irreducible(sampled_transitions(small, exchange(small, 3), 500, spin_sum=0))
    with pytest.raises(InputError, match="left the ensemble of spin sum 0"):
        sampled_transitions(small, Metropolis(small), 10, spin_sum=0)


def test_potts_fields_are_judged_too() -> None:
    action = Potts(Lattice((3, 3)), 3, 0.8)
    fields = sample_exactly(action, N, Stream.from_seed(10))
    assert BUDGET.passes(sample_p_value(action, ((fields + 1) % 3).astype(np.int8)))
    assert not BUDGET.passes(sample_p_value(replace(action, beta=0.81), fields))


def test_a_single_wrong_configuration_is_seen_by_the_finest_bins() -> None:
    """Same bonds and same order, but always the same representative: only bins of configurations see that."""
    action = Ising(Lattice((2, 2)), 0.3)

    def favour(fields: Field) -> Field:
        fields = fields.copy()
        one_up = fields.reshape(len(fields), 4).sum(axis=1) == -2
        fields[one_up] = np.array([[1, -1], [-1, -1]], np.int8)
        return fields

    assert not BUDGET.passes(equilibrium_p_value(action, favour, 5000, Stream.from_seed(13)))


class CountingKernel:
    """Counts where in the stream it was asked to go on."""

    name, rungs, action = "counting", 1, TORUS

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def init(self, field: Field) -> State:
        return State(field.copy())

    def advance(self, stream: Stream, state: State, n: int, every: int = 1, observables: Any = ()) -> Any:
        self.seen.append((state.step, n))
        return State(-state.field, state.step + n), {}, {}


def test_kernel_steps_never_replay_random_numbers() -> None:
    kernel: Any = CountingKernel()
    step = kernel_step(kernel, Stream.from_seed(1), steps=3)
    fields = np.ones((2, 4, 4), np.int8)
    np.testing.assert_array_equal(step(step(step(fields))), -fields)
    assert kernel.seen == [(0, 3), (3, 3), (6, 3)]


def test_chi_square_without_merging_is_pearson() -> None:
    random = np.random.default_rng(4)
    p = random.dirichlet(np.full(12, 5.0))
    counts = random.multinomial(10_000, p)
    assert chi_square(counts, p) == pytest.approx(chisquare(counts, counts.sum() * p).pvalue, rel=1e-10)


def test_chi_square_is_uniform_with_many_rare_bins() -> None:
    random = np.random.default_rng(5)
    p = np.sort(random.dirichlet(np.full(300, 0.2)))
    p_values = np.array([chi_square(counts, p) for counts in random.multinomial(2000, p, 2000)])
    for level in (0.01, 0.1, 0.5, 0.9):
        spread = math.sqrt(level * (1 - level) / len(p_values))
        assert abs(np.mean(p_values < level) - level) < 5 * spread


def test_chi_square_refuses_what_it_cannot_judge() -> None:
    assert chi_square([10, 10, 1], [0.5, 0.5, 0.0]) == 0.0
    assert chi_square([10, 10, 0], [0.5, 0.5, 0.0]) == 1.0
    for counts, p, message in (
        ([1, 2], [0.5, 0.25, 0.25], "differ in shape"),
        ([[1, 2]], [[0.5, 0.5]], "differ in shape"),
        ([10, 10], [0.5, 0.4], "add up to"),
        ([-1, 10], [0.5, 0.5], "counts >= 0"),
        ([10, 10], [1.5, -0.5], "probabilities >= 0"),
        ([10.0, math.nan], [0.5, 0.5], "counts >= 0"),
        ([3, 3], [0.5, 0.5], "single bin"),
        ([0, 0], [0.5, 0.5], "single bin"),
        ([100], [1.0], "single bin"),
    ):
        with pytest.raises(InputError, match=message):
            chi_square(counts, p)


@dataclass
class Number:
    value: float
    error: float


def test_compare() -> None:
    near = compare(Number(1.03, 0.01), 1.0)
    assert near.deviation == pytest.approx(3.0)
    assert near.p_value == pytest.approx(0.0026998, rel=1e-4)
    assert compare(Number(0.97, 0.01), 1.0).deviation == pytest.approx(-3.0)
    assert compare(Number(1.0, 0.0), 1.0).p_value == 1.0
    assert compare(Number(1.0 + 1e-14, 0.0), 1.0).p_value == 1.0
    for value, error in ((1.1, 0.0), (math.nan, 0.1), (1.0, math.nan), (1.0, math.inf), (1.0, -1.0)):
        assert compare(Number(value, error), 1.0).p_value == 0.0


def test_budget() -> None:
    assert pytest.approx(1e-6) == BUDGET.alpha
    assert BUDGET.passes(2e-6)
    assert not BUDGET.passes(5e-7)
    assert not BUDGET.passes(math.nan)
    assert AlphaBudget(0.05, 10).alpha == pytest.approx(0.005)


def test_bonferroni() -> None:
    assert bonferroni([0.9, 0.8]) == 1.0
    assert bonferroni([0.01, 0.5, 0.5]) == pytest.approx(0.03)
    assert bonferroni([0.5, math.nan]) == 0.0
    with pytest.raises(InputError, match="no p-values"):
        bonferroni([])


def test_transition_matrices_stay_small() -> None:
    with pytest.raises(InputError, match="at most 4096"):
        sampled_transitions(TORUS, lambda fields: fields, 1)
    with pytest.raises(InputError, match="configurations, configurations"):
        chain_structure([[1, 2]])
