"""Local kernels on one thread, beside the peers."""

from __future__ import annotations

import pytest

from benchmarks.catalogue import name_of, pair_up
from benchmarks.race import race


@pytest.mark.parametrize(("case", "contender"), pair_up("metropolis", "heat-bath", "constrained"), ids=name_of)
def test_local(benchmark, paddock, case, contender):
    race(paddock, benchmark, case.kernel, contender, case)
