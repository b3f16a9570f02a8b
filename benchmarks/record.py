"""What one run of the benchmarks leaves behind: a small JSON file with the machine, the versions and the figures."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.catalogue import list_isas, usable_cores
from benchmarks.judgement import Verdict
from benchmarks.peers import PEERS, find_version
from pyqmc_art import backends
from pyqmc_art.errors import InputError
from pyqmc_art.store import provenance

SCHEMA: Final = 1
RESULTS: Final = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Measurement:
    """Cost of one unit of work, over the rounds of one benchmark; no costs where the answer was wrong.

    Parameters
    ----------
    section : the table it belongs to
    case : the row, what was computed
    contender : the column, who computed it
    unit : what one unit of work is
    clock : ``"cpu"`` (time of all threads) or ``"wall"``
    median, minimum, maximum : ns for each unit of work
    rounds : how many times it was measured
    costs : of all rounds, in the order they were timed; older records lack them
    verdict : what was judged before the clock started
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
    }


def read_load() -> float | None:
    """Mean number of running processes over the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def collect(measurements: Sequence[Measurement], load_before: float | None = None) -> Record:
    """Put a run together with its circumstances, the load of the machine before and after it among them."""
    origin = provenance.collect()
    versions = {"pyqmc_art": origin["version"], "python": origin["python"], "numpy": origin["numpy"]}
    versions |= {p.name: v for p in PEERS if (v := find_version(p)) is not None}
    return Record(
        {**describe_machine(), "load": [load_before, read_load()]},
        {name: str(version) for name, version in versions.items()},
        str(origin["date"]),
        str(origin["commit"]),
        tuple(measurements),
    )


def write(record: Record, path: Path) -> None:
    """Write a record; one measurement to a line, so that two runs can be compared by eye."""
    head = {k: v for k, v in dataclasses.asdict(record).items() if k != "measurements"}
    lines = [json.dumps(_rounded(dataclasses.asdict(m))) for m in record.measurements]
    text = json.dumps({"schema": SCHEMA, **head}, indent=1)[: -len("\n}")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + ',\n "measurements": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    """Six digits of every float are more than any of them is good for; JSON has no infinity."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items() if v is not None and v != ()}
    if isinstance(value, tuple):
        return [_rounded(v) for v in value]
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
    rows = [
        Measurement(**{**row, "verdict": Verdict(**row["verdict"]), "costs": tuple(row.get("costs", ()))})
        for row in content.pop("measurements")
    ]
    return Record(**content, measurements=tuple(rows))


def read_all(folder: Path = RESULTS) -> dict[str, Record]:
    """Read every record of a folder, by name."""
    return {path.stem: read(path) for path in sorted(folder.glob("*.json"))}
