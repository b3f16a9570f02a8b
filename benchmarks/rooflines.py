"""Rooflines: what a record's kernels take of this machine's memory bandwidth and instruction throughput."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.record import Measurement, Record
from benchmarks.targets import find

PROFILE: Final = Path(__file__).resolve().parent / "profile.json"
STREAMED: Final = {"16 KiB": 2**14, "1 MiB": 2**20, "256 MiB": 2**28}
"""Sizes that copies are timed at."""

HEADS: Final = ("", "ns", "bytes", "GB/s", "copy GB/s", "traffic", "instructions", "a ns", "issue")


@dataclass(frozen=True)
class Roof:
    """A row of a record with what it must move.

    Parameters
    ----------
    words : the row of the table
    section, case, contender : where its cost stands
    moved : bytes that must be read or written for each unit of work, whatever the implementation
    working_set : bytes that are touched over and over
    loop : the hot loop whose instructions it executes
    """

    words: str
    section: str
    case: str
    moved: float
    working_set: float
    loop: str
    contender: str = "pyqmc_art"


def _square(kernel: str, size: int, moved: float, site: float) -> Roof:
    section = kernel if size in (64, 256, 1024) else "size"
    case = f"{kernel} on ising(beta=0.440687) square {size}x{size}"
    return Roof(f"{kernel}, {size} x {size}", section, case, moved, site * size**2, kernel)


ROOFS: Final = (
    *(_square("metropolis", size, 3 / 8, 1 / 8) for size in (64, 1024, 4096)),
    *(_square("heat-bath", size, 3 / 8, 1 / 8) for size in (64, 1024)),
    *(_square("swendsen-wang", size, 2.0, 6.0) for size in (64, 1024, 4096)),
    *(_square("wolff", size, 2.0, 18.0) for size in (64, 1024, 4096)),
    Roof("HMC, 64 x 64", "force", "square 64x64", 40.0, 32.0 * 64**2, "hmc", "1 thread"),
    Roof("HMC, 512 x 512", "force", "square 512x512", 40.0, 32.0 * 512**2, "hmc", "1 thread"),
    Roof("Philox in bulk", "random", "Philox", 1.0, 2.0**20, "philox", "in bulk"),
    Roof("patches, three levels", "resampling", "4000 x 3000 RGB to 1 + 4 + 16 of 224", 1.0, 3.6e7, "resampling"),
)
"""A source pixel of a picture counts once for each of three levels, but must be read only once."""


def render(record: Record, profile: Path = PROFILE) -> list[list[str]]:
    """Cells of the table; instructions are those of the profile if it is of the same instruction set."""
    counted = _counted(profile, record.machine["isa"])
    peak = find(record.measurements, "machine", "integer addition", "scalar")
    body = []
    for roof in ROOFS:
        ns = find(record.measurements, roof.section, roof.case, roof.contender)
        if ns is None:
            continue
        rate, copy = roof.moved / ns, copy_rate(record.measurements, roof.working_set)
        cells = [roof.words, f"{ns:.3g}", f"{roof.moved:.3g}", f"{rate:.3g}"]
        cells += ["-", "-"] if copy is None else [f"{copy:.3g}", f"{rate / copy:.0%}"]
        instructions = counted.get(roof.loop)
        cells += ["-"] if instructions is None else [f"{instructions:.3g}"]
        cells += ["-"] if instructions is None else [f"{instructions / ns:.3g}"]
        cells += ["-"] if instructions is None or peak is None else [f"{instructions / ns * peak:.0%}"]
        body.append(cells)
    return body if any(cells[4] != "-" or cells[6] != "-" for cells in body) else []


def copy_rate(rows: Iterable[Measurement], working_set: float) -> float | None:
    """Bytes per ns of a copy through about so many bytes, None where the record has none."""
    rows = list(rows)
    near = min(STREAMED, key=lambda name: abs(math.log(STREAMED[name] / max(working_set, 1.0))))
    cost = find(rows, "bandwidth", f"copy {near}", "1 thread")
    return None if cost is None else 1 / cost


def _counted(profile: Path, isa: str) -> dict[str, float]:
    if not profile.is_file():
        return {}
    loops: Sequence[dict[str, Any]] = json.loads(profile.read_text(encoding="utf-8"))["loops"]
    return {row["name"]: row["instructions"] for row in loops if row["isa"] == isa}
