"""Bugs planted into the device sources are noticed: the emulator's order of threads makes them visible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pyqmc_art

pytestmark = pytest.mark.slow

ORDERS = [str(seed) for seed in range(1, 7)]
BARRIER = "__syncthreads();"
CLOSE = "pass.packed.close(plane, w, w + 1)"
TRY = "if (atomicCAS(parent + a, a, b) == a) return;"
BUGS = {
    "colours do not wait for each other": ("small_sweeps", ("multispin.cu", BARRIER, "", 0)),
    "the first row's copy is stale": ("large_sweeps", ("multispin.cu", CLOSE, "(void)plane", 0)),
    "the copy is of the wrong word": (
        "small_sweeps",
        ("multispin.cu", CLOSE, CLOSE.replace("w, w + 1", "w + 1, w + 2"), 0),
    ),
    "all lanes share a generator": (
        "large_sweeps",
        ("multispin.cu", "static_cast<std::uint32_t>(number)", "static_cast<std::uint32_t>(unit)", 0),
    ),
    "runs are joined before they are named": ("clusters", ("swendsen_wang.cu", BARRIER, "", 0)),
    "labels are read before they are joined": ("clusters", ("swendsen_wang.cu", BARRIER, "", 1)),
    "tiles are not joined": ("clusters", ("swendsen_wang.cu", "ends &= ~bits::from", "ends = 0 & bits::from", 0)),
    "a lost race is not run again": ("clusters", ("clusters.hpp", TRY, "atomicCAS(parent + a, a, b); return;", 0)),
    "a sum is told before it is complete": ("clusters", ("launch.hpp", BARRIER, "", 1)),
    "a sum is cleared after it began": ("clusters", ("launch.hpp", BARRIER, "", 0)),
    "rows are read before they are there": ("shrunk", ("resample.cu", BARRIER, "", 0)),
    "rows are overwritten while they are read": ("shrunk", ("resample.cu", BARRIER, "", 1)),
    "a tile lacks its last rows": ("shrunk", ("resample.cu", "high > end ? high : end", "high > end ? low : end", 0)),
    "a map is written beyond its end": (
        "clusters",
        ("clusters.cu", "parent_(words() * 64)", "parent_(words() * 64 - 32)", 0),
    ),
}


def run_apart(library: Path, run: str) -> tuple[str, list[str]]:
    """The digest of the processor's kernels, and those of the module until it ended its process or its time was up."""
    words = [sys.executable, str(Path(__file__).with_name("emulated_runs.py")), str(library), run, *ORDERS]
    root = str(Path(pyqmc_art.__file__).parents[1])
    environment = {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "PATH": ""}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as child:
        try:
            out, _ = child.communicate(timeout=60)
        except subprocess.TimeoutExpired:  # a label that points at itself in a circle
            child.kill()
            out, _ = child.communicate()
    expected, *digests = out.split()
    return expected, digests


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_noticed(name: str, emulator: Any) -> None:
    run, change = BUGS[name]
    expected, digests = run_apart(emulator.link("".join(c if c.isalnum() else "_" for c in name), change), run)
    passed = sum(digest == expected for digest in digests)
    assert passed < len(ORDERS), "nobody noticed"


@pytest.mark.parametrize("run", ["small_sweeps", "large_sweeps", "clusters", "shrunk"])
def test_without_a_bug_nothing_is_noticed(run: str, emulator: Any) -> None:
    expected, digests = run_apart(emulator.link("intact"), run)
    assert digests == [expected] * len(ORDERS)
