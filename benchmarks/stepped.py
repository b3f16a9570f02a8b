"""Count the instructions of a hot loop, exactly and for any instruction set, by stepping through another process.

No counters of the processor are needed, and none of a virtual machine would do. The other process stops itself before
and after every call of compiled code; in between it is stepped one instruction at a time. Two amounts of work are
counted, and the instructions of a unit are the difference, so that what comes with each call cancels.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.hot_loops import HOT_LOOPS, isa_environment
from benchmarks.machine import load


def count_instructions(name: str, isa: str) -> float | None:
    """Instructions for each unit of work of a hot loop; None where processes cannot be stepped."""
    library: Any = load("steps")
    library.count_steps.restype = ctypes.c_longlong
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stepped", name, str(library._name)],
        env=isa_environment(isa),
        stdout=subprocess.PIPE,
        text=True,
    )
    counts: list[int] = []
    assert child.stdout is not None
    _, status = os.waitpid(child.pid, 0)
    while os.WIFSTOPPED(status):
        counts.append(int(library.count_steps(child.pid)))
        if counts[-1] < 0 or library.run_on(child.pid) != 0:
            break
    said = child.stdout.read()
    child.stdout.close()
    child.wait()
    if not said or not counts or counts[-1] < 0:
        return None
    first, second = json.loads(said)
    calls = first["calls"]
    return float((sum(counts[calls:]) - sum(counts[:calls])) / (second["work"] - first["work"]))


def main(name: str, library: str) -> None:
    """Be the other process: warm up, ask to be traced, work twice, say how much it was."""
    steps = ctypes.CDLL(library)
    traced, calls = False, 0

    def stop() -> None:
        if traced:
            os.kill(os.getpid(), signal.SIGSTOP)

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal calls
            calls += traced
            stop()
            result = function(*arguments)
            stop()
            return result

        return call

    loop = HOT_LOOPS[name]
    work = loop.make(wrap, loop.rows)
    for amount in loop.amounts:
        work(amount)
    if steps.let_me_be_traced() != 0:
        return
    traced = True
    said = []
    for amount in loop.amounts:
        before = calls
        done = work(amount)
        said.append({"work": done, "calls": calls - before})
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
