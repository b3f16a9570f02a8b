"""Writing a run file: create, append block by block, resume; whatever happens, the last block is safe."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyqmc_art.errors import InputError, NumericalError, StoreError
from pyqmc_art.store.checkpoint import Checkpoint, partial_path, read_checkpoint, state_path, write_checkpoint
from pyqmc_art.store.configuration import check_stream_version, describe_run, note_resumption
from pyqmc_art.store.hdf5 import (
    FIELDS,
    HDF5_ERRORS,
    Layout,
    SwmrFile,
    check_rows,
    explain,
    open_for_reading,
    read_attributes,
    read_layout,
    series_name,
)
from pyqmc_art.store.lock import Lock


class EnsembleWriter:
    """The one writer of a run file; made by :meth:`create` or :meth:`resume`, used as a context manager.

    Attributes
    ----------
    path : the run file
    configuration : what was asked for, as it stands in the file
    checkpoint : the state stored last; what it counts is safe
    """

    def __init__(
        self, path: Path, file: SwmrFile, layout: Layout, lock: Lock, run: str, checkpoint: Checkpoint
    ) -> None:
        self.path = path
        self.checkpoint = checkpoint
        self.configuration: dict[str, Any] = {}
        self._file = file
        self._layout = layout
        self._lock = lock
        self._run = run
        self._failure: str | None = None

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        configuration: Mapping[str, Any],
        provenance: Mapping[str, Any],
        series: Mapping[str, tuple[int, ...]],
        fields: tuple[tuple[int, ...], DTypeLike] | None,
        state: Checkpoint,
        force: bool = False,
    ) -> EnsembleWriter:
        """Begin a run file; it appears under its name only when it is complete and can be resumed.

        Parameters
        ----------
        path : the file; its folder must exist
        configuration : flat dictionary of JSON values
        provenance : further attributes, for instance from :func:`pyqmc_art.store.provenance.collect`
        series : observable -> shape of one measurement, ``(replicas, ...)``
        fields : shape ``(replicas, *field shape)`` and dtype of one saved field; None if fields are not saved
        state : the state before the first measurement
        force : replace an existing file, when the new one is ready

        Raises
        ------
        InputError
            If the path exists (without ``force``), cannot be written, or another writer has it.
        StoreError
            If the disk is full.
        """
        target = check_output(path, force)
        if state.measurements or state.saved:
            raise InputError(f"a new run has no measurements yet, but its state counts {state.measurements}")
        layout = Layout(dict(series), fields)
        run = secrets.token_hex(8)
        attributes = describe_run(configuration, provenance, run)
        with _locked(target) as lock:
            check_output(path, force)
            writer = cls(target, _begun(target, layout, attributes), layout, lock, run, state)
            with writer._prepared("created"):
                # The state first: the moment the file appears under its name it can be resumed.
                writer._file.write_seconds(state.seconds)
                writer._file.flush()
                write_checkpoint(state_path(target), state, run)
                os.replace(partial_path(target), target)
        writer.configuration = dict(configuration)
        return writer

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        *,
        configuration: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> tuple[EnsembleWriter, Checkpoint]:
        """Go on with a run file: what its state counts is copied to a new file, which replaces it atomically.

        Parameters
        ----------
        path : the run file; its state lies beside it
        configuration : what is asked for now (for instance more steps); None keeps what stands in the file.
            Compare it first: :func:`~pyqmc_art.store.configuration.check_same_configuration`.
        provenance : attributes of the program that goes on; kept as a list under ``resumed``

        Returns
        -------
        The writer, and the state to go on from.

        Raises
        ------
        InputError
            If there is no such run, another writer has it, or its random numbers were used in another way.
        StoreError
            If the file or the state is damaged or the disk is full; the file is left as it was.
        """
        target = resolve(path)
        if not target.is_file():
            raise InputError(f"{target} does not exist or is no file; expected a run file to resume")
        with _locked(target) as lock, open_for_reading(target) as source:
            stored, attributes = read_attributes(source, target)
            check_stream_version(target, attributes)
            state, run = read_checkpoint(state_path(target))
            if run != attributes.get("run"):
                raise StoreError(f"{state_path(target)} is the state of another run than {target}; bring the right one")
            layout = read_layout(source, target)
            rows = {n: state.saved if n == FIELDS else state.measurements for n in layout.datasets()}
            for name, count in rows.items():
                check_rows(source, name, count, target)
            wanted = stored if configuration is None else dict(configuration)
            renewed = describe_run(wanted, note_resumption(stored, attributes, provenance), run)
            writer = cls(target, _begun(target, layout, renewed), layout, lock, run, state)
            with writer._prepared("resumed"):
                for name, count in rows.items():
                    writer._file.copy_rows(source, name, count)
                writer._file.write_seconds(state.seconds)
                writer._file.flush()
                os.replace(partial_path(target), target)
        writer.configuration = wanted
        return writer, state

    def append(self, series: Mapping[str, NDArray[np.float64]], fields: NDArray[Any] | None, state: Checkpoint) -> None:
        """Store one block: measurements, fields, then the state behind them; after that the block is safe.

        Parameters
        ----------
        series : observable -> measurements of this block, shape ``(n, replicas, ...)``; empty if there are none
        fields : fields saved in this block, shape ``(m, replicas, *field shape)``, or None
        state : the state after the block; it counts everything stored including this block

        Raises
        ------
        NumericalError
            If a measurement is not finite; nothing of the block is stored.
        InputError
            If names, shapes or counts do not fit the file.
        StoreError
            If the disk refuses; everything up to the block before is safe.
        """
        if self._failure is not None:
            raise StoreError(self._failure)
        if not self._file.file:
            raise StoreError(f"{self.path} is closed; resume it to go on")
        blocks = self._checked(series, fields, state)
        try:
            for name, (start, rows) in blocks.items():
                self._file.write(name, start, rows)
            self._file.write_seconds(state.seconds)
            self._file.flush()
            write_checkpoint(state_path(self.path), state, self._run)
        except InputError:
            raise
        except HDF5_ERRORS as error:
            raise self._failed(error) from error
        self.checkpoint = state

    def close(self) -> None:
        """Close the file and let others write it; a second time does nothing."""
        try:
            self._file.close()
        except HDF5_ERRORS as error:
            raise self._failed(error) from error
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _checked(
        self, series: Mapping[str, NDArray[np.float64]], fields: NDArray[Any] | None, state: Checkpoint
    ) -> dict[str, tuple[int, NDArray[Any]]]:
        """Dataset -> its rows so far and the new ones."""
        done = self.checkpoint
        if series and set(series) != set(self._layout.series):
            raise InputError(f"{self.path} stores {sorted(self._layout.series)}, but a block has {sorted(series)}")
        if fields is not None and self._layout.fields is None:
            raise InputError(f"{self.path} has no place for fields; say so when it is created")
        blocks = {series_name(name): (done.measurements, np.asarray(rows)) for name, rows in series.items()}
        measurements = {len(rows) for _, rows in blocks.values()} or {0}
        for name, rows in series.items():
            check_finite(name, rows, done.measurements)
        saved = 0
        if fields is not None:
            blocks[FIELDS] = (done.saved, fields)
            saved = len(fields)
        for name, (_, rows) in blocks.items():
            shape, dtype = self._layout.datasets()[name]
            if rows.shape[1:] != shape or not np.can_cast(rows.dtype, dtype, "safe"):
                raise InputError(f"/{name} takes rows of {shape} {dtype}, but got {rows.shape[1:]} {rows.dtype}")
        counted = (state.measurements - done.measurements, state.saved - done.saved)
        if measurements != {counted[0]} or saved != counted[1] or state.step < done.step:
            raise InputError(
                f"a block of {sorted(measurements)} measurements and {saved} fields does not lead from "
                f"{done.measurements} and {done.saved} at step {done.step} to "
                f"{state.measurements} and {state.saved} at step {state.step}"
            )
        return blocks

    def _failed(self, error: Exception) -> StoreError:
        """Give the file up and say what is safe."""
        self._file.abandon()
        done = self.checkpoint
        self._failure = (
            f"{self.path} could not be written any further ({explain(error)}). The {done.measurements} measurements up "
            f"to step {done.step} are safe and can be read; make room and go on with: "
            f"pyqmc-art sample --resume {self.path} --steps N"
        )
        return StoreError(self._failure)

    @contextmanager
    def _prepared(self, action: str) -> Iterator[None]:
        """Fill the new file under its temporary name; if that fails nothing is left of it."""
        try:
            yield
        except BaseException as error:
            self._file.abandon()
            partial_path(self.path).unlink(missing_ok=True)
            if isinstance(error, HDF5_ERRORS) and not isinstance(error, InputError):
                raise StoreError(
                    f"{self.path} could not be {action} ({explain(error)}); nothing was replaced"
                ) from error
            raise


def check_output(path: str | os.PathLike[str], force: bool = False) -> Path:
    """Say early whether a new run file may be made here; creates nothing.

    Returns
    -------
    The file with symbolic links resolved.

    Raises
    ------
    InputError
        If the path exists (without ``force``) or its folder does not, or a state without its run lies there.
    """
    target = resolve(path)
    exists = os.path.exists(target)
    if exists and not target.is_file():
        raise InputError(f"{target} is not a file; give the path of a file to write, for instance run.h5")
    if not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: {target.parent} is not an existing folder; make it first")
    if force:
        return target
    if exists:
        raise InputError(
            f"{target} exists already; give another path, --force to replace it, or --resume {target} to go on with it"
        )
    state = state_path(target)
    if os.path.exists(state) and not _is_empty(state):
        raise InputError(
            f"{state} is the state of a run whose file {target.name} is not there; bring it back, "
            "give another path, or --force to replace it"
        )
    return target


def check_finite(name: str, values: NDArray[Any], first: int = 0) -> None:
    """Refuse measurements that are not finite.

    Parameters
    ----------
    name : the observable
    values : measurements, shape ``(n, replicas, ...)``
    first : index of the first of them in the whole run

    Raises
    ------
    NumericalError
        Naming the observable, the measurement and the place in it.
    """
    finite = np.isfinite(values)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        place = f", replica {index[1]}" if len(index) > 1 else ""
        raise NumericalError(
            f"{name} is {values[index]} at measurement {first + index[0]}{place}; expected finite numbers. "
            "Nothing of this block was stored; look at the couplings and at the step size of the kernel"
        )


def resolve(path: str | os.PathLike[str]) -> Path:
    """Return the path with symbolic links resolved: a file is replaced where it lies, not where a link to it lies."""
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise InputError(f"{os.fspath(path)!r} is no path: {error}") from error


def _begun(target: Path, layout: Layout, attributes: Mapping[str, Any]) -> SwmrFile:
    """Start a new file under its temporary name."""
    partial = partial_path(target)
    try:
        return SwmrFile.create(partial, layout, attributes)
    except HDF5_ERRORS as error:
        partial.unlink(missing_ok=True)
        raise StoreError(f"{target} could not be created ({explain(error)}); nothing was replaced") from error


@contextmanager
def _locked(target: Path) -> Iterator[Lock]:
    """Hold the lock of a run file, for good if all goes well."""
    lock = Lock.acquire(target)
    try:
        # Whoever has the lock knows that the writers of all partial files are dead.
        for name in (target.name, state_path(target).name):
            for stale in target.parent.glob(f".{glob.escape(name)}.partial-*"):
                stale.unlink(missing_ok=True)
        yield lock
    except BaseException:
        lock.release()
        raise


def _is_empty(state: Path) -> bool:
    """Whether a state was left by a run that was killed before its file appeared."""
    try:
        return read_checkpoint(state)[0].measurements == 0
    except StoreError:
        return False
