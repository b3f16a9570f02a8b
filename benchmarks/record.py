"""What one run of the benchmarks leaves behind: a small JSON file with the machine, the versions and the figures."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.catalogue import list_isas, usable_cores
from benchmarks.judgement import Verdict
from benchmarks.peers import PEERS, find_version
from benchmarks.pillow_simd import PillowSimd
from pyqmc_art import backends
from pyqmc_art.errors import InputError
from pyqmc_art.store import provenance

SCHEMA: Final = 1
LIBRARIES: Final = (
    "scipy", "scikit-learn", "torch", "torchvision", "pillow", "opencv-python-headless", "pyvips-binary", "pyvips",
)  # fmt: skip
"""Distributions that pictures and their statistics are measured beside."""

RESULTS: Final = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Measurement:
    """Cost of one unit of work, over the rounds of one benchmark; no costs where the answer was wrong.

    What is counted instead of timed (bytes, instructions) has one round and no clock.

    Parameters
    ----------
    section : the table it belongs to
    case : the row, what was computed
    contender : the column, who computed it
    unit : what one unit of work is
    clock : ``"cpu"`` (time of all threads), ``"wall"``, or ``"none"`` where nothing is timed
    median, minimum, maximum : ns for each unit of work, or what ``quantity`` says
    rounds : how many times it was measured
    costs : of all rounds, in the order they were timed; older records lack them
    verdict : what was judged before the clock started
    quantity : what a unit of work costs: ``"ns"``, ``"bytes"`` or ``"instructions"``
    error : standard error of the cost where it is an estimate, such as that of an effective sample
    tau_int, tau_int_error : integrated autocorrelation time in steps where one was estimated
    """

    section: str
    case: str
    contender: str
    unit: str
    clock: str
    verdict: Verdict
    median: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    rounds: int = 0
    costs: tuple[float, ...] = ()
    quantity: str = "ns"
    error: float | None = None
    tau_int: float | None = None
    tau_int_error: float | None = None


@dataclass(frozen=True)
class Record:
    """One run on one machine."""

    machine: dict[str, Any]
    versions: dict[str, str]
    date: str
    commit: str
    measurements: tuple[Measurement, ...]


def path_of(name: str) -> Path:
    """File of a record.

    Raises
    ------
    InputError
        For a name that is no plain file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"the record is named {name!r}; expected letters, digits, dots and dashes, such as zen5-2025")
    return RESULTS / f"{name}.json"


def describe_machine() -> dict[str, Any]:
    """Processor, architecture, system, usable cores and instruction set."""
    *system, processor = provenance.describe_machine().split(", ")
    isa = list_isas()
    return {
        "processor": processor,
        "architecture": platform.machine(),
        "system": system[0],
        "cores": usable_cores(),
        "backend": backends.resolve(),
        "isa": isa[0] if isa else "none",
        "compiler": find_compiler(),
    }


def read_load() -> float | None:
    """Mean number of running processes over the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def collect(measurements: Sequence[Measurement], load_before: float | None = None) -> Record:
    """Put a run together with its circumstances, the load of the machine before and after it among them."""
    origin = provenance.collect()
    machine = {**describe_machine(), "load": [load_before, read_load()]}
    return Record(machine, list_versions(), str(origin["date"]), str(origin["commit"]), tuple(measurements))


def list_versions() -> dict[str, str]:
    """Versions of this package and of every library that is measured beside it."""
    origin = provenance.collect()
    versions = {"pyqmc_art": origin["version"], "python": origin["python"], "numpy": origin["numpy"]}
    versions |= {p.name: v for p in PEERS if (v := find_version(p)) is not None}
    for name in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    if (version := PillowSimd.find_version()) is not None:
        versions[PillowSimd.name] = version
    return {name: str(version) for name, version in versions.items()}


def find_compiler() -> str:
    """The compiler of this machine in one line, which built the compiled module if it was built here."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return "none"
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    return (said.splitlines() or ["unknown"])[0]


def write(record: Record, path: Path) -> None:
    """Write a record; one measurement to a line, so that two runs can be compared by eye."""
    head = {k: v for k, v in dataclasses.asdict(record).items() if k != "measurements"}
    lines = [json.dumps(rounded(dataclasses.asdict(m))) for m in record.measurements]
    text = json.dumps({"schema": SCHEMA, **head}, indent=1)[: -len("\n}")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + ',\n "measurements": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """Six digits of every float are more than any of them is good for; JSON has no infinity."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items() if v is not None and v != ()}
    if isinstance(value, tuple):
        return [rounded(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    return value


def read(path: Path) -> Record:
    """Read a record.

    Raises
    ------
    InputError
        If it has another schema.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.pop("schema", None) != SCHEMA:
        raise InputError(f"{path} is no benchmark record of schema {SCHEMA}; run python -m benchmarks again")
    rows = tuple(restore(row) for row in content.pop("measurements"))
    return Record(**content, measurements=rows)


def restore(row: Mapping[str, Any]) -> Measurement:
    """Make a measurement of what JSON kept of it."""
    return Measurement(**{**row, "verdict": Verdict(**row["verdict"]), "costs": tuple(row.get("costs", ()))})


def read_all(folder: Path = RESULTS) -> dict[str, Record]:
    """Read every record of a folder, by name."""
    return {path.stem: read(path) for path in sorted(folder.glob("*.json"))}
