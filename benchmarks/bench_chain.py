"""What the sampling loop costs: measuring every step, keeping the series, writing the file."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from benchmarks.catalogue import find_case, name_of
from benchmarks.contenders import UNITS, Ours
from benchmarks.judgement import Verdict, exact_reference
from benchmarks.race import ROUNDS, note, race_variants
from pyqmc_art.lattice.chain import sample
from pyqmc_art.stats import gamma_method
from pyqmc_art.testing.verdict import BUDGET, compare

CASES = (find_case("metropolis", 64, 64), find_case("swendsen-wang", 64, 64))
STEPS, WARMUP = {"metropolis": 10_000, "swendsen-wang": 2_000}, 500


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_kernel_alone(benchmark, paddock, case):
    race_variants(paddock, benchmark, "chain", {"kernel alone": Ours()}, case)


@pytest.mark.parametrize("to_file", [False, True], ids=["in-memory", "to-a-file"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_sample(benchmark, paddock, case, to_file, tmp_path):
    steps, names = STEPS[case.kernel], count()
    kernel = case.build(threads=1)
    energies = []

    def run():
        out = tmp_path / f"{next(names)}.h5" if to_file else None
        ensemble = sample(
            case.action, kernel, steps=steps, warmup=WARMUP, measure=("energy", "magnetization"), out=out,
            seed=next(names),
        )  # fmt: skip
        energies.append(ensemble.series["energy"])
        ensemble.close()

    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1, iterations=1)
    # The answer of the very runs that were timed, each from another seed.
    reference = exact_reference(case)
    assert reference is not None
    estimate = gamma_method(np.concatenate(energies, axis=1))
    found = compare(estimate, reference.value)
    right = BUDGET.passes(found.p_value)
    energy = (reference.value, found.value, found.error, found.deviation, found.p_value)
    verdict = Verdict(right, reference.source, *energy)
    assert verdict.passed, verdict.summary
    if not benchmark.disabled:
        work = (steps + WARMUP) * case.action.lattice.sites
        cost = 1e9 * np.array(benchmark.stats.stats.data) / work
        column = "sample() to a file" if to_file else "sample() in memory"
        note(paddock, benchmark, "chain", case.name, column, UNITS[case.kernel], cost, verdict)
