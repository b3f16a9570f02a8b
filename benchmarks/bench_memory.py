"""Memory: what a kernel needs beyond the field it works on, at a size where nothing else counts."""

from __future__ import annotations

import sys

import pytest

from benchmarks.catalogue import list_isas
from benchmarks.footprint import FOOTPRINTS, measure
from benchmarks.judgement import Verdict
from benchmarks.record import Measurement

pytestmark = pytest.mark.skipif(not list_isas() or sys.platform != "linux", reason="compiled kernels, on Linux")

UNITS = {"resampling": "source pixel"}


@pytest.mark.parametrize("name", FOOTPRINTS)
def test_footprint(benchmark, paddock, name):
    found = benchmark.pedantic(measure, (name,), rounds=1, iterations=1)
    assert found >= 0
    verdict = Verdict(True, "a process of its own")
    row = Measurement("memory", name, "pyqmc_art", UNITS.get(name, "site"), "none", verdict, found, found, found, 1)
    paddock.measurements.append(Measurement(**{**vars(row), "quantity": "bytes"}))
