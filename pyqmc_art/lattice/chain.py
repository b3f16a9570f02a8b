"""The one sampling loop: ``chain`` yields blocks, ``sample`` adds a file, checkpoints, progress and Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, Interrupted
from pyqmc_art.lattice import actions
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.observables import find
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Field, Info, Monitor, Observable, Series, State
from pyqmc_art.rng import Stream
from pyqmc_art.store.checkpoint import Checkpoint
from pyqmc_art.store.configuration import check_stream_version
from pyqmc_art.store.ensemble import Ensemble, open_ensemble
from pyqmc_art.store.provenance import collect
from pyqmc_art.store.writer import EnsembleWriter, check_finite, check_output

BLOCK_SECONDS: Final = 0.1
MAX_BLOCK_SECONDS: Final = 20.0
_KEYS_OF_LATTICE: Final = ("shape", "lattice", "boundary")
_KEYS_OF_CHAIN: Final = (
    "action",
    "kernel",
    "steps",
    "warmup",
    "every",
    "save_every",
    "replicas",
    "seed",
    "start",
    "measure",
)


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
    how the run is cut into blocks. ``state`` is updated in place between the blocks.

    Parameters
    ----------
    every : measure after every ``every``-th step behind the warm-up
    save_every : yield the field after every ``save_every``-th step behind the warm-up, a multiple of ``every``
    pace : how long a block should take
    """
    pace = pace or Pace()
    per_step = 0.0
    while state.step < warmup + steps:
        warming = state.step < warmup
        left = (warmup if warming else warmup + steps) - state.step
        size = min(left, max(1, int(pace.seconds / per_step)) if per_step else 1)
        wall, cpu = time.perf_counter(), time.process_time()
        if warming:
            state, series, info = kernel.advance(stream, state, size)
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
    stop = min(end, state.step + size)
    info: Info = {}
    while state.step < stop:
        offset = (state.step - origin) % every
        until = stop
        if save_every is not None:
            until = min(stop, origin + ((state.step - origin) // save_every + 1) * save_every)
        if offset:
            # A resumed run may stand between two measured steps: first go to the next one.
            todo = min(every - offset, until - state.step)
            state, series, info = kernel.advance(
                stream, state, todo, todo if todo == every - offset else todo + 1, observables
            )
        else:
            state, series, info = kernel.advance(stream, state, until - state.step, every, observables)
        for name, values in series.items():
            collected[name].append(values)
        if save_every is not None and (state.step - origin) % save_every == 0:
            saved.append(state.field.copy())
    return {k: np.concatenate(v) for k, v in collected.items()}, np.stack(saved) if saved else None, info


def sample(
    action: Any,
    kernel: Any,
    *,
    steps: int,
    warmup: int = 1000,
    replicas: int = 1,
    seed: int = 0,
    every: int = 1,
    measure: Sequence[str | Observable] = ("energy",),
    out: str | Path | None = None,
    save_every: int | None = None,
    start: str = "hot",
    threads: int | None = None,
    force: bool = False,
    monitor: Monitor | None = None,
) -> Ensemble:
    """Sample exp(-S) with a kernel and return the ensemble, in memory or as a file.

    Parameters
    ----------
    action : the target; the kernel must have been built for it
    kernel : for instance ``SwendsenWang(action)``
    steps, warmup : steps behind the warm-up, and the warm-up, which is not stored
    replicas : independent chains, the first axis of every field
    seed : 0 to 2^63 - 1
    every : measure after every ``every``-th step
    measure : names of observables, or observables
    out : HDF5 file to write; None keeps the series (and saved fields) in memory
    save_every : keep the field after every ``save_every``-th step, a multiple of ``every``
    start : ``"hot"`` or ``"cold"``
    threads : overrides the kernel's
    force : replace an existing file
    monitor : hears the progress

    Raises
    ------
    InputError
        For arguments that cannot be used, or an existing ``out`` without ``force``.
    Interrupted
        After Ctrl-C or SIGTERM; the file can be resumed.
    StoreError
        If the file cannot be written any further; what it holds stays readable.

    Examples
    --------
    >>> import pyqmc_art as qa
    >>> action = qa.Ising(qa.Lattice((8, 8)), beta=0.3)
    >>> run = qa.sample(action, qa.SwendsenWang(action), steps=200, warmup=50, replicas=2, seed=7)
    >>> run.series["energy"].shape
    (200, 2)
    """
    if kernel.action != action:
        raise InputError(f"the kernel {kernel.name!r} was built for another action than the one given")
    counts = {"steps": steps, "replicas": replicas, "every": every, "warmup": warmup}
    if save_every is not None:
        counts["save_every"] = save_every
    _check_counts(counts)
    if start not in ("hot", "cold"):
        raise InputError(f"start is {start!r}; expected 'hot' or 'cold'")
    observables = find(measure)
    stream = Stream.from_seed(seed)
    configuration = {
        "action": action.name,
        **action.lattice.configuration(),
        **action.couplings(),
        **kernel.configuration(),
        **counts,
        "save_every": save_every,
        "seed": int(seed),
        "start": start,
        "measure": [o.name for o in observables],
    }
    kernel = kernel.using(threads) if threads is not None else kernel
    state = kernel.init(kernel.start(stream.fold("start"), replicas, start))
    target = check_output(out, force) if out is not None else None
    run = _Run(kernel, stream, state, observables, configuration)
    return run.to_file(target, force, monitor or Silent()) if target else run.in_memory(monitor or Silent())


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    kernel: Any = None,
    threads: int | None = None,
    backend: str | None = None,
    monitor: Monitor | None = None,
) -> Ensemble:
    """Carry on with a file to a total of ``steps``: bit for bit what one uninterrupted run would have given.

    Parameters
    ----------
    steps : total number of steps behind the warm-up; None means the number the file was started with
    kernel : needed only if the file was sampled with a kernel of your own

    Raises
    ------
    InputError
        If the file is no ensemble, was written with another use of random numbers, is already longer than ``steps``,
        or has no kernel this version can rebuild.
    """
    path = Path(path)
    stored = open_ensemble(path)
    configuration = dict(stored.configuration)
    check_stream_version(path, stored.attributes)
    total = int(configuration["steps"]) if steps is None else steps
    _check_counts({"steps": total})
    configuration["steps"] = total
    if total < stored.measurements * int(configuration["every"]):
        raise InputError(
            f"{path} already holds {stored.measurements} measurements, one every {configuration['every']} steps, "
            f"more than {total} steps give; ask for a larger total"
        )
    kernel = kernel or rebuild_kernel(configuration, backend=backend, threads=threads)
    observables = find(configuration["measure"])
    stream = Stream.from_seed(int(configuration["seed"]))
    stored.close()
    origin = {**collect(), "backend": kernel.backend}
    writer, checkpoint = EnsembleWriter.resume(path, configuration=configuration, provenance=origin)
    state = State(checkpoint.arrays["field"], checkpoint.step, _without_field(checkpoint.arrays))
    run = _Run(kernel, stream, state, observables, configuration, checkpoint)
    return run.continue_file(path, writer, monitor or Silent())


def rebuild_kernel(configuration: Mapping[str, Any], *, backend: str | None = None, threads: int | None = None) -> Any:
    """Build the kernel, its action and its lattice from a stored or written configuration."""
    lattice = Lattice(
        tuple(configuration["shape"]),
        configuration.get("lattice") or "square",
        _boundary(configuration.get("boundary") or "periodic"),
    )
    rest = {k: v for k, v in configuration.items() if k not in (*_KEYS_OF_LATTICE, *_KEYS_OF_CHAIN) and v is not None}
    options = {k: rest.pop(k) for k in list(rest) if any(k in cls.options for cls in compose.KERNELS.values())}
    action = actions.build(configuration["action"], lattice, rest)
    return compose.build(configuration["kernel"], action, options, backend=backend, threads=threads)


class _Run:
    """One run of a chain: where its blocks go and what its checkpoints hold."""

    def __init__(
        self,
        kernel: Any,
        stream: Stream,
        state: State,
        observables: tuple[Observable, ...],
        configuration: dict[str, Any],
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.kernel, self.stream, self.state = kernel, stream, state
        self.observables, self.configuration = observables, configuration
        self.measurements = checkpoint.measurements if checkpoint else 0
        self.saved = checkpoint.saved if checkpoint else 0
        self.facts: dict[str, Any] = (
            dict(checkpoint.facts) if checkpoint else {"steps": 0, "seconds": 0.0, "cpu_seconds": 0.0}
        )

    def provenance(self) -> dict[str, Any]:
        """What the file says about its origin beside the configuration."""
        return {**collect(), "backend": self.kernel.backend, "seed": self.configuration["seed"]}

    def blocks(self, monitor: Monitor, pace: Pace | None = None) -> Iterator[Block]:
        """Iterate the chain, count, and tell the monitor."""
        c = self.configuration
        total = c["warmup"] + c["steps"]
        before = self.state.step
        monitor.start(f"{c['kernel']} on {c['action']} {'x'.join(map(str, c['shape']))}", total, before)
        try:
            for block in chain(
                self.kernel,
                self.stream,
                self.state,
                c["steps"],
                warmup=c["warmup"],
                every=c["every"],
                observables=self.observables,
                save_every=c["save_every"],
                pace=pace,
            ):
                self._count(block)
                monitor.advance(self.state.step - before, **block.info)
                before = self.state.step
                yield block
        finally:
            monitor.finish()

    def _count(self, block: Block) -> None:
        if block.step <= 0:
            return
        for name, values in block.series.items():
            check_finite(name, values, self.measurements)
        self.measurements += len(next(iter(block.series.values()), ()))
        self.saved += 0 if block.fields is None else len(block.fields)
        self.facts["seconds"] += block.seconds
        self.facts["cpu_seconds"] += block.cpu_seconds
        weight = (block.step - self.facts["steps"]) / block.step
        for name, value in block.info.items():
            mean = self.facts.get(name, value)
            self.facts[name] = mean + weight * (value - mean)
        self.facts["steps"] = block.step

    def checkpoint(self) -> Checkpoint:
        """Everything needed to go on."""
        arrays = {"field": self.state.field, **self.state.extra}
        return Checkpoint(self.state.step, arrays, self.measurements, self.saved, dict(self.facts))

    def in_memory(self, monitor: Monitor) -> Ensemble:
        """Run and keep everything."""
        now = self.kernel.measure(self.state.field, self.observables)
        series = {name: [np.empty((0, *values.shape))] for name, values in now.items()}
        fields: list[Field] = []
        for block in self.blocks(monitor):
            for name, values in block.series.items():
                series[name].append(values)
            if block.fields is not None:
                fields.append(block.fields)
        return Ensemble.in_memory(
            configuration=self.configuration,
            attributes=self.provenance(),
            series={name: np.concatenate(parts) for name, parts in series.items()},
            fields=np.concatenate(fields) if fields else None,
            seconds=self.facts["seconds"],
            facts=self.facts,
        )

    def to_file(self, path: Path, force: bool, monitor: Monitor) -> Ensemble:
        """Run from the beginning into a new file."""
        one = self.kernel.measure(self.state.field, self.observables)
        field = self.state.field
        writer = EnsembleWriter.create(
            path,
            configuration=self.configuration,
            provenance=self.provenance(),
            series={name: values.shape for name, values in one.items()},
            fields=(field.shape, field.dtype) if self.configuration["save_every"] else None,
            state=self.checkpoint(),
            force=force,
        )
        return self.continue_file(path, writer, monitor)

    def continue_file(self, path: Path, writer: EnsembleWriter, monitor: Monitor) -> Ensemble:
        """Run on, appending block after block."""
        pace = Pace()
        with writer, _StopRequest() as stop:
            for block in self.blocks(monitor, pace):
                begun = time.perf_counter()
                writer.append(block.series if block.step > 0 else {}, block.fields, self.checkpoint())
                # A slow disk gets longer blocks: writing takes at most about a tenth of the time.
                pace.seconds = min(MAX_BLOCK_SECONDS, max(BLOCK_SECONDS, 10 * (time.perf_counter() - begun)))
                if stop.requested and self.state.step < self.configuration["warmup"] + self.configuration["steps"]:
                    raise Interrupted(
                        f"stopped at step {max(0, block.step)} of {self.configuration['steps']}; everything up to there "
                        f"is in {path}. Carry on with: pyqmc-art sample --resume {path}"
                    )
        return open_ensemble(path)


class _StopRequest(AbstractContextManager["_StopRequest"]):
    """Turns the first Ctrl-C or SIGTERM into a request that is honoured between two blocks; the second acts at once."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _StopRequest:
        # Only the main thread may set handlers; elsewhere whoever owns the thread decides.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, self._before[number])


def _check_counts(counts: Mapping[str, Any]) -> None:
    for name, value in counts.items():
        least = 0 if name in ("steps", "warmup") else 1
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"{name.replace('_', '-')} is {value!r}; expected a whole number of at least {least}")
    if "save_every" in counts and counts["save_every"] % counts["every"]:
        raise InputError(
            f"save-every is {counts['save_every']}, which is no multiple of every ({counts['every']}); "
            "fields are saved together with a measurement"
        )


def _without_field(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: array for name, array in arrays.items() if name != "field"}


def _boundary(boundary: Any) -> str | tuple[str, ...]:
    return boundary if isinstance(boundary, str) else tuple(boundary)


__all__ = ["BLOCK_SECONDS", "Block", "chain", "rebuild_kernel", "resume", "sample"]
