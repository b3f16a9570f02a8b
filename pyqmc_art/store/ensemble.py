"""Reading a run: series, fields, provenance, and the errors of everything measured."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.stats.autocorrelation import gamma_method
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.store.checkpoint import Checkpoint, read_checkpoint, state_path
from pyqmc_art.store.configuration import check_same_configuration
from pyqmc_art.store.hdf5 import (
    FIELDS,
    check_rows,
    count_rows,
    damage_reported,
    open_for_reading,
    read_attributes,
    read_layout,
    read_seconds,
    series_name,
)
from pyqmc_art.store.writer import EnsembleWriter, check_finite, check_output, resolve

__all__ = [
    "Ensemble",
    "EnsembleWriter",
    "Fields",
    "Series",
    "check_finite",
    "check_output",
    "check_same_configuration",
    "open_ensemble",
]

_ATTEMPTS: Final = 5
_PAUSE: Final = 0.05
"""Seconds to wait before a file is read again that a live writer may have changed meanwhile."""


class Series(Mapping[str, NDArray[np.float64]]):
    """Observable -> measurements of shape ``(measurements, replicas, ...)``, each read when it is first asked for."""

    def __init__(self, names: Mapping[str, Any], measurements: int, path: Path | None = None) -> None:
        self._sources = dict(names)
        self._measurements = measurements
        self._path = path
        self._read: dict[str, NDArray[np.float64]] = {}

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if name not in self._read:
            source = self._sources[name]
            with damage_reported(self._path or Path("the series")):
                self._read[name] = np.asarray(source[: self._measurements], np.float64)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class Fields:
    """Saved fields of shape ``(saved, replicas, *field shape)``, read piece by piece: indexing gives arrays."""

    def __init__(self, source: Any, saved: int, path: Path | None = None) -> None:
        self._source = source
        self._path = path
        self.shape: tuple[int, ...] = (saved, *source.shape[1:])
        self.dtype: np.dtype[Any] = source.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | tuple[Any, ...]) -> NDArray[Any]:
        """Fields by number (negative ones count from the end) or slice of positive step; further axes may follow."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        saved = range(len(self))
        rows: int | slice
        if isinstance(first, slice):
            chosen = saved[first]
            if chosen.step < 1:
                raise InputError(f"fields were asked for by {first}; expected a slice of positive step")
            rows = slice(chosen.start, chosen.stop, chosen.step)
        else:
            rows = saved[first]
        with damage_reported(self._path or Path("the fields")):
            return np.asarray(self._source[(rows, *rest)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)

    def blocks(self, n: int) -> Iterator[NDArray[Any]]:
        """Yield all fields in blocks of at most ``n``."""
        if n < 1:
            raise InputError(f"blocks of {n} fields were asked for; expected at least 1")
        for start in range(0, len(self), n):
            yield self[start : start + n]


class Ensemble:
    """What a run gave, in a file or in memory.

    Attributes
    ----------
    path : the file, None in memory
    configuration : what was asked for
    attributes : what made it: version, stream_version, commit, backend, machine, seed, ...
    series : observable -> measurements, shape ``(measurements, replicas, ...)``
    fields : saved fields, shape ``(saved, replicas, *field shape)``; None if none were to be saved
    measurements : number of measurements in each replica
    replicas : number of replicas
    seconds : computing time, None if unknown
    facts : what the run noted about itself, for instance averages such as ``acceptance``
    """

    def __init__(
        self,
        path: Path | None,
        configuration: Mapping[str, Any],
        attributes: Mapping[str, Any],
        series: Series,
        fields: Fields | None,
        measurements: int,
        replicas: int,
        seconds: float | None,
        file: h5py.File | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.configuration = dict(configuration)
        self.attributes = dict(attributes)
        self.series = series
        self.fields = fields
        self.measurements = measurements
        self.replicas = replicas
        self.seconds = seconds
        self.facts = dict(facts or {})
        self._file = file

    @classmethod
    def in_memory(
        cls,
        configuration: Mapping[str, Any],
        attributes: Mapping[str, Any],
        series: Mapping[str, NDArray[np.float64]],
        fields: NDArray[Any] | None = None,
        seconds: float | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Ensemble:
        """Make an ensemble of arrays.

        Raises
        ------
        InputError
            If the series differ in their numbers of measurements or replicas.

        Examples
        --------
        >>> run = Ensemble.in_memory({"every": 1}, {}, {"energy": np.zeros((100, 4))})
        >>> run.measurements, run.replicas
        (100, 4)
        """
        shapes = {array.shape[:2] for array in series.values()}
        if len(shapes) > 1 or any(len(shape) < 2 for shape in shapes):
            raise InputError(f"the series begin with shapes {sorted(shapes)}; expected one (measurements, replicas)")
        saved = None if fields is None else Fields(fields, len(fields))
        measurements, replicas = next(iter(shapes), (0, 0 if saved is None else saved.shape[1]))
        table = Series(series, measurements)
        return cls(None, configuration, attributes, table, saved, measurements, replicas, seconds, None, facts)

    @property
    def every(self) -> int:
        """Steps from one measurement to the next."""
        return int(self.configuration.get("every", 1))

    def analyze(self) -> dict[str, Estimate]:
        """Mean, error and autocorrelation time of each observable by the Gamma method.

        Returns
        -------
        Observable -> Estimate, tau_int in steps; a series with further axes (the rungs of tempering) gives one
        entry for each place, named ``energy[0]``, ``energy[1]``, ...

        Raises
        ------
        InputError
            If there are too few measurements.
        """
        return {name: gamma_method(series, every=self.every) for name, series in self.components()}

    def components(self) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Yield each series of shape ``(measurements, replicas)`` with its name; further axes are taken apart."""
        for name, series in self.series.items():
            for index in np.ndindex(series.shape[2:]):
                suffix = f"[{','.join(map(str, index))}]" if index else ""
                yield name + suffix, series[(slice(None), slice(None), *index)]

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Observable -> ``value, error, tau_int, tau_int_error, n, ess, ess_per_second``, null where unknown."""
        return {
            name: estimate.to_dict() | {"ess_per_second": self._per_second(estimate.ess)}
            for name, estimate in self.analyze().items()
        }

    def summary(self) -> str:
        """Table of all observables: value(error), tau_int in steps, effective sample size, and that per second."""
        estimates = self.analyze()
        rows = [("observable", "value(error)", "tau_int", "ESS", "ESS/s")]
        for name, estimate in estimates.items():
            speed = self._per_second(estimate.ess)
            rows.append((name, str(estimate), _time(estimate), _short(estimate.ess), _short(speed)))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        table = [
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        ]
        notes = [f"{name}: {warning}" for name, estimate in estimates.items() for warning in estimate.warnings]
        return "\n".join([self._title(), *table, *self._remarks(estimates), *notes])

    def _remarks(self, estimates: Mapping[str, Estimate]) -> list[str]:
        """What the kernel noted, on a line; for Wolff also tau_int in units of V turned sites."""
        noted = {k: v for k, v in self.facts.items() if isinstance(v, float) and not k.endswith("seconds")}
        lines = ["; ".join(f"{key} {value:.3g}" for key, value in noted.items())] if noted else []
        turned = noted.get("turned")
        if turned:
            scaled = {
                name: Estimate(e.tau_int * turned, (e.tau_int_error or math.nan) * turned)
                for name, e in estimates.items()
                if e.tau_int is not None
            }
            lines.append("tau_int in units of V turned sites: " + ", ".join(f"{k} {v}" for k, v in scaled.items()))
        return lines

    def close(self) -> None:
        """Close the file; what was not read yet cannot be read any more."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Ensemble {self._title()}>"

    def _title(self) -> str:
        where = "in memory" if self.path is None else self.path.name
        clock = "" if self.seconds is None else f", {self.seconds:.3g} s"
        return f"{where}: {self.measurements} measurements x {self.replicas} replicas{clock}"

    def _per_second(self, ess: float | None) -> float | None:
        if ess is None or not self.seconds or not math.isfinite(ess):
            return None
        return ess / self.seconds


def open_ensemble(path: str | os.PathLike[str]) -> Ensemble:
    """Open a run file to read, whether its writer is at work, was killed, or is done.

    What is shown is what was safe at this moment; open it again to see more.

    Raises
    ------
    InputError
        If there is no such file or it is not a run file.
    StoreError
        If it is damaged.
    """
    target = resolve(path)
    for _ in range(_ATTEMPTS - 1):
        try:
            return _opened(target)
        except StoreError:
            # A live writer may have changed the file between two reads; damage does not go away.
            time.sleep(_PAUSE)
    return _opened(target)


def _opened(path: Path) -> Ensemble:
    # The state before the file: the file never has less than the state counts.
    counted = _read_state(path)
    file = open_for_reading(path)
    try:
        configuration, attributes = read_attributes(file, path)
        layout = read_layout(file, path)
        names = [series_name(name) for name in layout.series]
        facts: Mapping[str, Any] = {}
        if counted is not None and counted[1] == attributes.get("run"):
            state = counted[0]
            measurements, saved, facts = state.measurements, state.saved, state.facts
        else:
            measurements = count_rows(file, names, path)
            saved = count_rows(file, [FIELDS] if layout.fields else [], path)
        for name in layout.datasets():
            check_rows(file, name, saved if name == FIELDS else measurements, path)
        asked_for = list(configuration.get("measure") or ())
        order = sorted(layout.series, key=lambda n: asked_for.index(n) if n in asked_for else len(asked_for))
        series = Series({name: file[series_name(name)] for name in order}, measurements, path)
        fields = Fields(file[FIELDS], saved, path) if layout.fields else None
        replicas = next((shape[0] for shape in (*layout.series.values(), *(layout.fields or ())[:1])), 0)
        seconds = read_seconds(file, path)
    except (InputError, StoreError):
        file.close()
        raise
    return Ensemble(
        path, configuration, attributes, series, fields, measurements, cast(int, replicas), seconds, file, facts
    )


def _read_state(path: Path) -> tuple[Checkpoint, str] | None:
    """The state beside a file and the run it belongs to; None if there is no intact state."""
    try:
        return read_checkpoint(state_path(path))
    except StoreError:
        return None


def _time(estimate: Estimate) -> str:
    if estimate.tau_int is None:
        return "-"
    return str(Estimate(estimate.tau_int, estimate.tau_int_error or math.nan))


def _short(number: float | None) -> str:
    return "-" if number is None else f"{number:.4g}"
