"""Normal numbers of the kernels of fields, for each instruction set: checked against the distribution, then timed."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from scipy.stats import kstest

from benchmarks.catalogue import list_isas
from benchmarks.contenders import Ours
from benchmarks.judgement import Verdict
from benchmarks.race import Repeated, time_in_turn

NUMBERS = 2**16
CALLS = 10
"""At each choice of an instruction set, which takes microseconds."""
SMALLEST_P = 1e-6


def draw(isa, steps, out, calls=CALLS):
    from pyqmc_art import _core

    with Ours(isa=isa).chosen():
        for _ in range(calls):
            _core.normals(7, 0, next(steps), 0, out)
    return calls * out.size


def load(isa):
    """Calls that draw one step after the other, and whether the numbers are normal."""
    out, steps = np.zeros(NUMBERS), count()
    draw(isa, steps, out, calls=1)
    p = float(kstest(out, "norm").pvalue)
    assert p > SMALLEST_P
    return Repeated(lambda: draw(isa, steps, out)), Verdict(True, f"Kolmogorov's test of {NUMBERS}, p = {p:.2g}")


@pytest.mark.skipif(not list_isas(), reason="the compiled module is not installed")
def test_normals(benchmark, paddock):
    runners = {isa: load(isa) for isa in list_isas()}
    time_in_turn(paddock, benchmark, "random", f"{NUMBERS} normal numbers", "number", runners)
