"""One run: the blocks of a chain counted, checked and stored, with checkpoints, progress and Ctrl-C."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from pyqmc_art.errors import InputError, Interrupted
from pyqmc_art.interrupts import StopRequest
from pyqmc_art.lattice.blocks import BLOCK_SECONDS, Block, Pace, chain
from pyqmc_art.protocols import Monitor, Observable, State
from pyqmc_art.rng import Stream, find_stream_version
from pyqmc_art.store.checkpoint import Checkpoint
from pyqmc_art.store.ensemble import Ensemble, open_ensemble
from pyqmc_art.store.provenance import collect
from pyqmc_art.store.writer import EnsembleWriter, check_finite

MAX_BLOCK_SECONDS: Final = 20.0


class Run:
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
        c = self.configuration
        version = find_stream_version(c["kernel"], c.get("inner", ""))
        return {**collect(), "stream_version": version, "backend": self.kernel.backend, "seed": c["seed"]}

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

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Observable -> shape of one measurement, ``(replicas, [rungs,] ...)``.

        Raises
        ------
        InputError
            If an observable gives anything but real numbers, at least one for each replica (and rung).
        """
        one = self.kernel.measure(self.state.field, self.observables)
        ladder = (self.kernel.rungs,) if self.kernel.ladder else ()
        expected = (len(self.state.field), *ladder)
        for name, values in one.items():
            array = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
            if not array or values.shape[: len(expected)] != expected:
                got = f"an array of {values.dtype} {values.shape}" if isinstance(values, np.ndarray) else repr(values)
                raise InputError(
                    f"the observable {name!r} gave {got}; expected an array of real numbers of shape "
                    f"({', '.join(map(str, expected))}, ...), one for each replica"
                )
        return {name: values.shape for name, values in one.items()}

    def checkpoint(self) -> Checkpoint:
        """Everything needed to go on."""
        arrays = {"field": self.state.field, **self.state.extra}
        return Checkpoint(self.state.step, arrays, self.measurements, self.saved, dict(self.facts))

    def in_memory(self, monitor: Monitor) -> Ensemble:
        """Run and keep everything."""
        series = {name: [np.empty((0, *shape))] for name, shape in self.shapes().items()}
        field = self.state.field
        fields = [np.empty((0, *field.shape), field.dtype)] if self.configuration["save_every"] else []
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
        field = self.state.field
        writer = EnsembleWriter.create(
            path,
            configuration=self.configuration,
            provenance=self.provenance(),
            series=self.shapes(),
            fields=(field.shape, field.dtype) if self.configuration["save_every"] else None,
            state=self.checkpoint(),
            force=force,
        )
        return self.continue_file(path, writer, monitor)

    def continue_file(self, path: Path, writer: EnsembleWriter, monitor: Monitor) -> Ensemble:
        """Run on, appending block after block.

        Raises
        ------
        Interrupted
            After Ctrl-C or SIGTERM, between two blocks; at a second Ctrl-C at once.
        """
        pace = Pace(BLOCK_SECONDS)
        with writer, StopRequest() as stop:
            try:
                for block in self.blocks(monitor, pace):
                    begun = time.perf_counter()
                    writer.append(block.series if block.step > 0 else {}, block.fields, self.checkpoint())
                    # A slow disk gets longer blocks: writing takes at most about a tenth of the time.
                    pace.seconds = min(MAX_BLOCK_SECONDS, max(BLOCK_SECONDS, 10 * (time.perf_counter() - begun)))
                    if stop.requested and self.state.step < self._end:
                        raise self._interrupted(path, writer)
            except KeyboardInterrupt:
                raise self._interrupted(path, writer) from None
        return open_ensemble(path)

    @property
    def _end(self) -> int:
        return int(self.configuration["warmup"] + self.configuration["steps"])

    def _interrupted(self, path: Path, writer: EnsembleWriter) -> Interrupted:
        done = max(0, writer.checkpoint.step - self.configuration["warmup"])
        return Interrupted(
            f"stopped at step {done} of {self.configuration['steps']}; everything up to there is in {path}. "
            f"Carry on with: pyqmc-art sample --resume {shlex.quote(str(path))}"
        )
