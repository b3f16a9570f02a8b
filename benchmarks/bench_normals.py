"""Normal numbers of the kernels of fields, for each instruction set: checked against the distribution, then timed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from benchmarks.catalogue import list_isas
from benchmarks.judgement import Verdict
from benchmarks.race import ROUNDS, note

NUMBERS = 2**16
REPEATS = 20
SMALLEST_P = 1e-6


@pytest.mark.parametrize("isa", list_isas())
def test_normals(benchmark, paddock, monkeypatch, isa):
    from pyqmc_art import _core

    monkeypatch.setenv("PYQMC_ISA", isa)
    out = np.zeros(NUMBERS)
    _core.normals(7, 0, 0, 0, out)
    p = float(kstest(out, "norm").pvalue)
    assert p > SMALLEST_P

    def run():
        for step in range(REPEATS):
            _core.normals(7, 0, step, 0, out)

    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1, iterations=1)
    if not benchmark.disabled:
        cost = 1e9 * np.array(benchmark.stats.stats.data) / (REPEATS * out.size)
        verdict = Verdict(True, f"Kolmogorov's test of {NUMBERS} numbers, p = {p:.2g}")
        note(paddock, benchmark, "random", f"{NUMBERS} normal numbers", isa, "number", cost, verdict)
