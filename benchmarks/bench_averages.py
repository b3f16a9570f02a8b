"""What it costs to average over the orientations of clusters after every step."""

from __future__ import annotations

import pytest

from benchmarks.catalogue import find_case, name_of
from benchmarks.contenders import Ours
from benchmarks.race import race_variants

CASES = (find_case("swendsen-wang", 256, 256), find_case("swendsen-wang", 1024, 1024), find_case("wolff", 256, 256))
MOMENTS = ("improved_magnetization2", "improved_magnetization4")
COLUMNS = {
    "step alone": (),
    "energy": ("energy",),
    "moments": MOMENTS,
    "correlation": (*MOMENTS, "improved_correlation"),
    "modes": (*MOMENTS, "improved_kmin2"),
}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_averages(benchmark, paddock, case):
    columns = COLUMNS
    if case.kernel == "wolff":
        # It measures M^2 only.
        columns = {"step alone": (), "energy": ("energy",), "moments": MOMENTS[:1]}
    variants = {column: Ours(measure=measure) for column, measure in columns.items()}
    race_variants(paddock, benchmark, "averages", variants, case)
