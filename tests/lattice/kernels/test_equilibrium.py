"""Start in equilibrium, stay in equilibrium; reach everything from anywhere; find exact means from hot and cold."""

from __future__ import annotations

import pytest

from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import ENERGIES, EXACT, IRREDUCIBLE, LADDERS, Case, draw_cases
from pyqmc_art.testing.trials import estimate_means, exact_start_p_value
from pyqmc_art.testing.verdict import BUDGET, ChainStructure, chain_structure, compare, kernel_step, sampled_transitions

N = 100_000


@pytest.mark.parametrize("case", [*EXACT, *LADDERS], ids=lambda case: case.name)
def test_exact_starts_stay_exact(case: Case) -> None:
    assert case.configurations <= 2**16
    stream = Stream.from_seed(1).fold(case.name)
    assert BUDGET.passes(exact_start_p_value(case, case.build(threads=1), N, stream, steps=3))


@pytest.mark.parametrize("case", IRREDUCIBLE, ids=lambda case: case.name)
def test_everything_is_reached_from_anywhere_without_a_period(case: Case) -> None:
    step = kernel_step(case.build(threads=1), Stream.from_seed(2).fold(case.name))
    counts = sampled_transitions(case.action, step, 1000, case.spin_sum)
    assert chain_structure(counts) == ChainStructure(1, 1)


def judge_means(case: Case, start: str, replicas: int, warmup: int, steps: int) -> None:
    exact = case.exact_values()
    stream = Stream.from_seed(3).fold(case.name)
    means = estimate_means(case.build(), stream, exact, replicas, warmup, steps, start)
    for name, estimates in means.items():
        for estimate, value in zip(estimates, exact[name], strict=True):
            assert estimate.ess is not None and estimate.ess > 500
            assert BUDGET.passes(compare(estimate, value).p_value), f"{name} = {estimate}, exactly {value}"


@pytest.mark.parametrize("start", ["hot", "cold"])
@pytest.mark.parametrize("case", ENERGIES, ids=lambda case: case.name)
def test_hot_and_cold_starts_reach_exact_means(case: Case, start: str) -> None:
    steps = 500 if case.kernel == "tempering" else 2000
    judge_means(case, start, replicas=16, warmup=500, steps=steps)


@pytest.mark.parametrize("case", draw_cases(Stream.from_seed(20), 4), ids=lambda case: case.name)
def test_lattices_nobody_chose(case: Case) -> None:
    judge_means(case, "both", replicas=16, warmup=500, steps=2000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        Case("metropolis", Ising(Lattice((10, 24)), 0.43)),
        Case("heat-bath", Ising(Lattice((40, 48)), 0.39)),
        Case("swendsen-wang", Ising(Lattice((64, 64)), ISING_CRITICAL_BETA)),
        Case("wolff", Ising(Lattice((33, 48)), ISING_CRITICAL_BETA), {"clusters": 5}),
        Case("swendsen-wang", Ising(Lattice((3, 3, 15)), 0.2)),
        Case("metropolis", Ising(Lattice((2, 4, 9), boundary=("periodic", "periodic", "open")), 0.2, h=-0.1)),
        Case("heat-bath", Potts(Lattice((6, 30)), 3, 1.0)),
        Case("wolff", Potts(Lattice((4, 40)), 6, 1.2), {"clusters": 4}),
        Case("metropolis", Ising(Lattice((100,), boundary="open"), 0.9, J=-1.0, h=0.4)),
    ],
    ids=lambda case: case.name,
)
def test_larger_lattices_with_smaller_errors(case: Case) -> None:
    judge_means(case, "both", replicas=16, warmup=1000, steps=6000)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(("case", "steps", "most"), [
    (Case("metropolis", Ising(Lattice((1024, 1024)), 0.40)), 3000, 2e-4),
    (Case("metropolis", Ising(Lattice((640, 1300)), 0.46, J=-1.0)), 3000, 2e-4),
    (Case("heat-bath", Ising(Lattice((1024, 1024)), 0.40)), 3000, 2e-4),
    pytest.param(Case("metropolis", Ising(Lattice((4096, 4096)), 0.40)), 1000, 2e-4, marks=SLOW),
    pytest.param(Case("swendsen-wang", Ising(Lattice((1024, 1024)), ISING_CRITICAL_BETA)), 1000, 5e-4, marks=SLOW),
], ids=str)  # fmt: skip
def test_large_lattices_within_four_standard_errors_of_kaufman(case: Case, steps: int, most: float) -> None:
    stream = Stream.from_seed(4).fold(case.name)
    exact = case.exact_values()
    (energy,) = estimate_means(case.build(), stream, exact, 2, 1000, steps, "cold")["energy"]
    assert energy.error < most
    assert abs(compare(energy, exact["energy"][0]).deviation) < 4
