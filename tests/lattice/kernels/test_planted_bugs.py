"""Power: the judgements that kernels pass must fail on kernels that are broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang, Wolff
from pyqmc_art.lattice.kernels.compose import Composition
from pyqmc_art.lattice.kernels.constrained import Constrained
from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
from pyqmc_art.lattice.kernels.tempering import Tempering
from pyqmc_art.protocols import Info, State
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.trials import estimate_means, exact_start_p_value
from pyqmc_art.testing.verdict import BUDGET, compare, is_irreducible, kernel_step, sampled_transitions

N = 100_000
TORUS = Ising(Lattice((4, 4)), 0.44)
IN_FIELD = Ising(Lattice((4, 4)), 0.3, h=0.2)
THIN = Ising(Lattice((2, 6)), 0.3)
COLOURS = Potts(Lattice((2, 4)), 3, 0.6)


def p_value(kernel: Any, case: Case, steps: int = 10) -> float:
    return exact_start_p_value(case, kernel, N, Stream.from_seed(5).fold(case.name), steps)


def assert_caught(broken: Any, case: Case, steps: int = 10) -> None:
    """Caught, and by its own fault: the correct kernel passes with the same random numbers."""
    assert not BUDGET.passes(p_value(broken, case, steps))
    assert BUDGET.passes(p_value(case.build(threads=1), case, steps))


@pytest.mark.parametrize("name", ["metropolis", "heat-bath", "swendsen-wang", "wolff"])
@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_beta_off_by_one_percent(name: str, factor: float) -> None:
    wrong = replace(TORUS, beta=factor * TORUS.beta)
    assert_caught(Case(name, wrong).build(threads=1), Case(name, TORUS))


@pytest.mark.parametrize("name", ["metropolis", "heat-bath", "swendsen-wang"])
def test_potts_beta_off_by_two_percent(name: str) -> None:
    assert_caught(Case(name, replace(COLOURS, beta=1.02 * 0.6)).build(threads=1), Case(name, COLOURS))


def test_exchange_beta_off_by_three_percent() -> None:
    wrong = replace(TORUS, beta=1.03 * TORUS.beta)
    assert_caught(Case("constrained", wrong).build(threads=1), Case("constrained", TORUS))


class Identity(Metropolis):
    """Does nothing."""

    def _run(self, batch: Any) -> None:
        pass


class Frozen(Metropolis):
    """Never updates site 3; step by step, for it must not move in between either."""

    def advance(self, stream: Stream, state: State, n: int, every: int = 1, observables: Any = ()) -> Any:
        measured: dict[str, list[Any]] = {o.name: [] for o in observables}
        kept = state.field.reshape(-1, self.action.lattice.sites)[:, 3].copy()
        for _ in range(n):
            super().advance(stream, state, 1)
            state.field.reshape(-1, self.action.lattice.sites)[:, 3] = kept
            for name, values in self.measure(state.field, observables).items():
                measured[name].append(values)
        return state, {name: np.stack(values) for name, values in measured.items()}, {}


@pytest.mark.parametrize("broken", [Identity, Frozen])
def test_identity_and_frozen_site_are_stationary_but_never_arrive(broken: Callable[[Ising], Any]) -> None:
    small = Ising(Lattice((2, 3), boundary="open"), 0.4)
    assert BUDGET.passes(p_value(broken(small), Case("metropolis", small), steps=1))
    counts = sampled_transitions(small, kernel_step(broken(small), Stream.from_seed(1)), 500)
    assert not is_irreducible(counts)
    medium = Case("metropolis", Ising(Lattice((4, 6)), 0.35, h=-0.2))
    exact = medium.exact_values()
    means = estimate_means(broken(medium.action), Stream.from_seed(2), exact, 16, 200, 1000, "cold")
    assert not BUDGET.passes(compare(means["magnetization"][0], exact["magnetization"][0]).p_value)


@pytest.mark.parametrize("kind", [SwendsenWang, Wolff])
def test_ghost_spin_of_the_wrong_sign(kind: Any) -> None:
    broken = kind(IN_FIELD, threads=1)
    broken._ghost_spin = -broken._ghost_spin
    assert_caught(broken, Case(kind.name, IN_FIELD), steps=2)


@pytest.mark.parametrize("kind", [SwendsenWang, Wolff])
def test_no_ghost_spin_at_all(kind: Any) -> None:
    broken = kind(IN_FIELD, threads=1)
    broken._ghost = np.zeros_like(broken._ghost)
    assert_caught(broken, Case(kind.name, IN_FIELD), steps=2)


@pytest.mark.parametrize("kind", [SwendsenWang, Wolff])
def test_bonds_of_the_potts_normalization(kind: Any) -> None:
    """1 - exp(-beta J) instead of 1 - exp(-2 beta J)."""
    broken = kind(replace(TORUS, beta=TORUS.beta / 2), threads=1)
    assert_caught(broken, Case(kind.name, TORUS), steps=2)


@pytest.mark.parametrize("kind", [SwendsenWang, Wolff])
def test_bonds_between_the_wrong_spins(kind: Any) -> None:
    action = replace(TORUS, J=-1.0)
    broken = kind(action, threads=1)
    broken._unequal = False
    assert_caught(broken, Case(kind.name, action), steps=2)


class UntilTurned(Wolff):
    """Builds clusters until at least V spins have turned: favours large last clusters."""

    def advance(self, stream: Stream, state: State, n: int, *rest: Any) -> Any:
        for _ in range(n):
            turned = np.zeros(len(state.field), np.int64)
            while (going := turned < self.action.lattice.sites).any():
                before = state.field[going]
                part = State(before.copy(), state.step)
                super().advance(stream, part, 1)
                turned[going] += np.count_nonzero(part.field != before, axis=(1, 2))
                state.field[going] = part.field
                state.step += 1
        return state, {}, {}


def test_wolff_until_v_spins_turned() -> None:
    assert_caught(UntilTurned(TORUS, threads=1), Case("wolff", TORUS), steps=1)


def without_the_double_bond(kind: type[Any]) -> Any:
    """The axis of extent 2 treated as open has single bonds: exactly what forgetting the second one means."""

    class Broken(kind):  # type: ignore[misc]
        def _batch(self, *arguments: Any) -> Any:
            return replace(super()._batch(*arguments), geometry=Lattice((2, 6), boundary=("open", "periodic")))

    return Broken(THIN, threads=1)


@pytest.mark.parametrize("kind", [Metropolis, HeatBath, SwendsenWang, Wolff, Constrained])
def test_missing_double_bond_at_extent_two(kind: Any) -> None:
    assert_caught(without_the_double_bond(kind), Case(kind.name, THIN))


@pytest.mark.parametrize(
    "case",
    [
        *(Case(name, action) for name in ("metropolis", "heat-bath") for action in (TORUS, IN_FIELD, COLOURS)),
        *(Case("constrained", TORUS, {"exchange": e}) for e in ("local", "long-range", "mixed")),
    ],
    ids=lambda case: case.name,
)
@pytest.mark.parametrize("shift", [-1, 1])
def test_acceptance_table_off_by_one_entry(case: Case, shift: int) -> None:
    broken: Any = case.build(threads=1)
    broken._table = np.roll(broken._table, shift, axis=1)
    if shift == 1 and case.kernel != "heat-bath":
        broken._table[:, 0] = broken._table[:, 1]  # no leak from the other end
    assert_caught(broken, case, steps=4)


def test_exchange_without_the_common_bond_correction() -> None:
    """Left in, the bond between two neighbours counts -1 at either end: the sum is 2 lower."""
    case = Case("constrained", TORUS, {"exchange": "local"})
    broken: Any = case.build(threads=1)
    broken._table = np.concatenate([broken._table[:, :1]] * 2 + [broken._table[:, :-2]], axis=1)
    assert_caught(broken, case, steps=4)


class SharedKey(Composition):
    """All parts draw from one key."""

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        step = state.step
        for count, kernel in self.parts:
            for _ in range(count):
                state.step = step
                state, _ = kernel.step(stream, state)
        return state, {}


def test_two_sweeps_that_replay_the_same_numbers() -> None:
    for name in ("metropolis", "heat-bath"):
        part = Case(name, TORUS).build(threads=1)
        assert_caught(SharedKey([(2, part)]), Case(f"2*{name}", TORUS), steps=1)


class StandingStill(Metropolis):
    """Forgets to count the steps for its random numbers."""

    def _batch(self, stream: Stream, step: int, *arguments: Any) -> Any:
        return super()._batch(stream, 0, *arguments)

    def advance(self, stream: Stream, state: State, n: int, *rest: Any) -> Any:
        for _ in range(n):
            super().advance(stream, state, 1)
        return state, {}, {}


def test_steps_that_replay_the_same_numbers() -> None:
    assert_caught(StandingStill(TORUS, threads=1), Case("metropolis", TORUS), steps=2)


class WrongSign(Tempering):
    """Prefers the exchanges it should refuse."""

    def _thresholds(self, gain: Any) -> Any:
        return super()._thresholds(-gain)


class AlwaysSwapping(Tempering):
    """Exchanges whatever comes."""

    def _thresholds(self, gain: Any) -> Any:
        return super()._thresholds(np.zeros_like(gain))


@pytest.mark.parametrize("kind", [WrongSign, AlwaysSwapping])
def test_wrong_exchanges_of_a_ladder(kind: Any) -> None:
    action = Ising(Lattice((2, 2)), 0.2)
    case = Case("tempering", action, {"ladder": (0.1, 0.25), "inner": "heat-bath"})
    assert_caught(kind(action, (0.1, 0.25), HeatBath(action, threads=1)), case, steps=1)


def test_rungs_mixed_up() -> None:
    """The inner kernel takes the rungs in the wrong order."""
    action = Ising(Lattice((2, 2)), 0.2)
    case = Case("tempering", action, {"ladder": (0.1, 0.25), "inner": "heat-bath"})
    broken: Any = case.build(threads=1)
    broken.inner._table = broken.inner._table[::-1].copy()
    assert_caught(broken, case, steps=1)
