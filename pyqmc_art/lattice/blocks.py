"""The one sampling loop: ``chain`` runs a kernel and yields what it measured, block after block."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Field, Info, Observable, Series, State
from pyqmc_art.rng import Stream

BLOCK_SECONDS: Final = 0.1


@dataclass
class Pace:
    """About how long the compiled work between two yields takes, in seconds; may be changed while a chain runs."""

    seconds: float = BLOCK_SECONDS


@dataclass
class Block:
    """What one stretch of the chain produced.

    Attributes
    ----------
    step : steps done since the end of the warm-up (negative or zero within it)
    series : {name: (measurements, replica, ...)}
    fields : the saved ones, shape (saved, replica, ...), or None
    info : averages over the steps of the block
    seconds, cpu_seconds : spent in the kernel
    """

    step: int
    series: Series
    fields: Field | None
    info: Info
    seconds: float
    cpu_seconds: float


def chain(
    kernel: Any,
    stream: Stream,
    state: State,
    steps: int,
    *,
    warmup: int = 0,
    every: int = 1,
    observables: Sequence[Observable] = (),
    save_every: int | None = None,
    pace: Pace | None = None,
) -> Iterator[Block]:
    """Run a kernel until ``warmup + steps`` steps are done in all, and yield block after block.

    The state may be fresh or a checkpoint's: random numbers and measured steps depend only on ``state.step``, never on
    how the run is cut into blocks. ``state`` is brought up to date between the blocks.

    Parameters
    ----------
    every : measure after every ``every``-th step behind the warm-up
    save_every : yield the field after every ``save_every``-th step behind the warm-up, a multiple of ``every``
    pace : how long a block should take

    Raises
    ------
    InputError
        If the kernel loses count of its steps or changes the shape or type of the field.
    """
    pace = pace or Pace()
    per_step = 0.0
    while state.step < warmup + steps:
        warming = state.step < warmup
        left = (warmup if warming else warmup + steps) - state.step
        size = min(left, max(1, int(pace.seconds / per_step)) if per_step else 1)
        wall, cpu = time.perf_counter(), time.process_time()
        if warming:
            warm = kernel.warming() if hasattr(kernel, "warming") else kernel
            series, info = _advance(warm, stream, state, size)
            fields = None
        else:
            series, fields, info = _measured(
                kernel, stream, state, size, warmup, warmup + steps, every, observables, save_every
            )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        done = left - ((warmup if warming else warmup + steps) - state.step)
        # The first step may compile something: trust a faster pace gradually, a slower one at once.
        per_step = max(wall / done, per_step / 8)
        yield Block(state.step - warmup, series, fields, info, wall, cpu)


def _measured(
    kernel: Any,
    stream: Stream,
    state: State,
    size: int,
    origin: int,
    end: int,
    every: int,
    observables: Sequence[Observable],
    save_every: int | None,
) -> tuple[Series, Field | None, Info]:
    """Advance by ``size`` steps, cut where a field is saved."""
    collected: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    saved: list[Field] = []
    start, stop = state.step, min(end, state.step + size)
    totals: dict[str, float] = defaultdict(float)
    while state.step < stop:
        before, offset = state.step, (state.step - origin) % every
        until = stop
        if save_every is not None:
            until = min(stop, origin + ((state.step - origin) // save_every + 1) * save_every)
        if offset:
            # A resumed run may stand between two measured steps: first go to the next one.
            todo = min(every - offset, until - state.step)
            stride = todo if todo == every - offset else todo + 1
        else:
            todo, stride = until - state.step, every
        series, info = _advance(kernel, stream, state, todo, stride, observables)
        for name, values in series.items():
            collected[name].append(values)
        for name, value in info.items():
            totals[name] += value * (state.step - before)
        if save_every is not None and (state.step - origin) % save_every == 0:
            saved.append(state.field.copy())
    averages = {name: total / (stop - start) for name, total in totals.items()}
    return {k: np.concatenate(v) for k, v in collected.items()}, np.stack(saved) if saved else None, averages


def _advance(
    kernel: Any, stream: Stream, state: State, n: int, every: int = 1, observables: Sequence[Observable] = ()
) -> tuple[Series, Info]:
    """Advance and bring ``state`` up to date, whether the kernel changes it in place or returns another one.

    Raises
    ------
    InputError
        If the kernel lost count of its steps or changed the shape or type of the field.
    """
    expected, shape, dtype = state.step + n, state.field.shape, state.field.dtype
    new, series, info = kernel.advance(stream, state, n, every, observables)
    if new.step != expected:
        raise InputError(
            f"the kernel {kernel.name!r} did {n} steps up to step {expected}, but its state says {new.step}; "
            "each step must return a state whose step is one more"
        )
    if new.field.shape != shape or new.field.dtype != dtype:
        raise InputError(
            f"the kernel {kernel.name!r} made a field of shape {new.field.shape} and type {new.field.dtype} from one "
            f"of {shape} and {dtype}; it must keep both"
        )
    state.field, state.step, state.extra = new.field, new.step, new.extra
    return series, info
