"""Profiles of the hot loops: ``python -m benchmarks.profile`` counts, times, and writes docs/profiles.md.

Instructions are counted by :mod:`benchmarks.stepped`, which takes a few minutes; ``--page`` writes the page again from
what was counted before.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import profile_page
from benchmarks.catalogue import list_isas
from benchmarks.contenders import Ours
from benchmarks.hot_loops import HOT_LOOPS, HotLoop, leave
from benchmarks.machine import INSTRUCTIONS_A_TURN, Stream, find_loop
from benchmarks.record import RESULTS, collect, rounded
from benchmarks.stepped import count_instructions
from pyqmc_art.errors import BackendUnavailable

FILE: Final = RESULTS.parent / "profile.json"
ROUNDS: Final = 7
SECONDS: Final = 0.03


@dataclass(frozen=True)
class Profile:
    """One hot loop with one instruction set.

    Parameters
    ----------
    name, isa, unit : which
    instructions : for each unit, exact
    ns : CPU time of each unit, median
    moved : bytes that must move for each unit
    bandwidth : bytes per ns that a copy through the working set reaches
    """

    name: str
    isa: str
    unit: str
    instructions: float
    ns: float
    moved: float
    bandwidth: float


def measure(name: str, isa: str) -> Profile | None:
    """Count and time a loop; None where instructions cannot be counted."""
    loop = HOT_LOOPS[name]
    instructions = count_instructions(name, isa)
    if instructions is None:
        return None
    with Ours(isa=isa).chosen():
        ns = time_loop(loop)
    return Profile(name, isa, loop.unit, instructions, ns, loop.moved, copy_rate(loop.working_set))


def time_loop(loop: HotLoop) -> float:
    """ns of CPU time for each unit of work."""
    work = loop.make(leave, loop.rows)
    done = [0.0]

    def run(n: int) -> None:
        done[0] = sum(work(loop.timed) for _ in range(n)) if loop.timed else work(n)

    return per_call(run, lambda: done[0])


def copy_rate(size: int) -> float:
    """Bytes per ns of copies through so many bytes, reads and writes counted."""
    stream = Stream("copy", max(size, 1024))
    calls = [0]

    def run(n: int) -> None:
        calls[0] = n
        stream.run(0, n)

    return 1 / per_call(run, lambda: float(calls[0] * stream.bytes))


def instruction_time(operation: str, isa: str) -> float:
    """ns for each instruction of a loop that holds no other."""
    loop = find_loop(operation, isa)
    if loop is None:
        raise BackendUnavailable(f"this machine has no loop of {operation!r} for {isa}; profiles need an x86-64")
    turns = [0]

    def run(n: int) -> None:
        turns[0] = n
        loop(1000 * n)

    return per_call(run, lambda: 1000.0 * turns[0] * INSTRUCTIONS_A_TURN)


def per_call(run: Callable[[int], None], units: Callable[[], float]) -> float:
    """Median over rounds of the CPU time for each unit, in ns."""
    run(1)
    n = 1
    while True:
        before = time.process_time()
        run(n)
        if (seconds := time.process_time() - before) > SECONDS / 4:
            break
        n *= 2
    n = max(1, round(n * SECONDS / seconds))
    costs = []
    for _ in range(ROUNDS):
        before = time.process_time()
        run(n)
        costs.append(1e9 * (time.process_time() - before) / units())
    return float(np.median(costs))


def main(words: Sequence[str]) -> int:
    """Profile, keep the figures, write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--page", action="store_true", help="write the page from the figures that are there")
    parser.add_argument("--only", action="append", choices=list(HOT_LOOPS), help="profile these again, keep the others")
    given = parser.parse_args(words)
    if not given.page:
        write(given.only or list(HOT_LOOPS), keep=given.only is not None)
    profile_page.write(FILE)
    return 0


def write(names: Sequence[str], keep: bool) -> None:
    """Profile the loops with the widest instruction set and put them into the file."""
    isa = list_isas()[0]
    record = collect(())
    rows: dict[str, Any] = {row["name"]: row for row in read()["loops"]} if keep and FILE.is_file() else {}
    for name in names:
        found = measure(name, isa)
        if found is None:
            print(f"{name}: processes cannot be stepped here (ptrace)", file=sys.stderr)
            continue
        rows[name] = rounded(dataclasses.asdict(found))
        print(f"{name}: {found.instructions:.3g} instructions and {found.ns:.3g} ns per {found.unit}", file=sys.stderr)
    content = {
        "machine": record.machine,
        "date": record.date,
        "commit": record.commit,
        "cycle": rounded(instruction_time("chain", "scalar")),
        "vector": rounded(instruction_time("add", isa)),
        "scalar": rounded(instruction_time("add", "scalar")),
        "loops": [rows[name] for name in HOT_LOOPS if name in rows],
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read(path: Path = FILE) -> dict[str, Any]:
    """What was counted before."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
