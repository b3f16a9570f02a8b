"""The HDF5 file of a run: its datasets, how rows are appended so that a kill loses none, how damage is found.

A file is written in SWMR mode (single writer, multiple readers): HDF5 then orders its writes such that the file on
disk is readable at any moment, also after a kill. Chunks are neither compressed nor checksummed: a partial chunk is
written again in place, and a kill in between then only repeats bytes that are there already.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.store.snapshot import Snapshot, release_superblock

FORMAT: Final = "pyqmc_art ensemble 1"
FIELDS: Final = "fields"
_SECONDS: Final = "seconds"
_SERIES: Final = "series/"
_CHUNK_BYTES: Final = 2**15
_LARGEST_CHUNK_BYTES: Final = 2**20
_COPY_BYTES: Final = 2**23
HDF5_ERRORS: Final = (OSError, RuntimeError, KeyError, ValueError)
"""What h5py raises for a file that is damaged or cannot be written."""


@dataclass(frozen=True)
class Layout:
    """What a run file holds: shapes and types of one row of each dataset.

    Parameters
    ----------
    series : observable -> shape of one measurement, ``(replicas, ...)``
    fields : shape ``(replicas, *field shape)`` and dtype of one saved field; None if fields are not saved
    """

    series: Mapping[str, tuple[int, ...]]
    fields: tuple[tuple[int, ...], DTypeLike] | None = None

    def __post_init__(self) -> None:
        for name, shape in self.series.items():
            if not name or "/" in name or name in (".", ".."):
                raise InputError(f"observable {name!r} cannot be stored; expected a name without '/'")
            _check_row(name, shape)
        if self.fields is not None:
            _check_row(FIELDS, self.fields[0])

    def datasets(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Dataset -> shape and dtype of one row."""
        rows: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
            _SERIES + name: (tuple(shape), np.dtype(np.float64)) for name, shape in self.series.items()
        }
        if self.fields is not None:
            rows[FIELDS] = tuple(self.fields[0]), np.dtype(self.fields[1])
        return rows


def _check_row(name: str, shape: tuple[int, ...]) -> None:
    if not shape or min(shape) < 1:
        raise InputError(f"{name!r} has rows of shape {tuple(shape)}; expected (replicas, ...), each at least 1")


def choose_chunk(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Shape of a chunk: about 32 KiB of whole rows, or a part of one row of at most 1 MiB.

    Examples
    --------
    >>> choose_chunk((4,), 8), choose_chunk((16, 1024, 1024), 1)
    ((1024, 4), (1, 1, 1024, 1024))
    """
    rows = max(1, _CHUNK_BYTES // (math.prod(shape) * itemsize))
    extents = list(shape)
    for axis, extent in enumerate(shape):
        inner = math.prod(extents[axis + 1 :]) * itemsize
        extents[axis] = min(extent, max(1, _LARGEST_CHUNK_BYTES // inner))
    return (rows, *extents)


@dataclass
class SwmrFile:
    """A run file open for appending.

    The datasets stay open all the time: HDF5 must be able to let go of them without touching a disk that has failed.
    """

    file: h5py.File
    datasets: dict[str, h5py.Dataset]
    seconds: h5py.Dataset

    @classmethod
    def create(cls, path: Path, layout: Layout, attributes: Mapping[str, Any]) -> SwmrFile:
        """Create a file with all its datasets and attributes and start SWMR; one of HDF5_ERRORS if the disk refuses."""
        with path.open("wb") as plain:
            plain.write(_empty_image(layout, attributes))
        # No locks of HDF5: a writer never opens a file that another one has (see lock.py).
        file = h5py.File(path, "r+", libver="latest", locking=False)
        opened = cls(file, {name: file[name] for name in layout.datasets()}, file[_SECONDS])
        try:
            file.swmr_mode = True
            opened.flush()
        except HDF5_ERRORS:
            opened.abandon()
            raise
        return opened

    def write(self, name: str, start: int, rows: NDArray[Any]) -> None:
        """Put rows behind the first ``start`` rows of a dataset."""
        dataset = self.datasets[name]
        dataset.resize(start + len(rows), axis=0)
        if len(rows):
            dataset[start:] = rows

    def write_seconds(self, seconds: float | None) -> None:
        """Note the computing time so far."""
        if seconds is not None:
            self.seconds[()] = seconds

    def copy_rows(self, source: h5py.File, name: str, rows: int) -> None:
        """Copy the first rows of a dataset of another file in bounded memory."""
        target = self.datasets[name]
        row_bytes = max(1, math.prod(target.shape[1:]) * target.dtype.itemsize)
        step = target.chunks[0] * max(1, _COPY_BYTES // (row_bytes * target.chunks[0]))
        for start in range(0, rows, step):
            self.write(name, start, source[name][start : min(start + step, rows)])

    def flush(self) -> None:
        """Hand everything to the disk; OSError or RuntimeError if it refuses."""
        self.file.flush()
        os.fsync(self.file.id.get_vfd_handle())

    def close(self) -> None:
        """Close the file; OSError or RuntimeError if the disk refuses."""
        try:
            if self.file:
                self.flush()
            self.file.close()
        except HDF5_ERRORS:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Let go of a file whose disk has failed, leaving the file as it is.

        HDF5 would try again to write what it has cached, fail again while closing, and bring the process down at its
        end. So its writes are sent to the null device.
        """
        if not self.file:
            return
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, self.file.id.get_vfd_handle(), inheritable=False)
        os.close(null)
        self.file.close()


def _empty_image(layout: Layout, attributes: Mapping[str, Any]) -> bytes:
    """Bytes of a file with everything but rows, made in memory: HDF5 cannot cope with a full disk while it creates."""
    with h5py.File("image", "w", driver="core", backing_store=False, libver="latest") as file:
        file.attrs["format"] = FORMAT
        for name, value in attributes.items():
            file.attrs[name] = value
        for name, (shape, dtype) in layout.datasets().items():
            file.create_dataset(
                name,
                shape=(0, *shape),
                maxshape=(None, *shape),
                chunks=choose_chunk(shape, dtype.itemsize),
                dtype=dtype,
                # A measurement that was never written reads as nan and not as 0.
                fillvalue=np.nan if dtype.kind == "f" else None,
            )
        file.require_group(_SERIES)
        file.create_dataset(_SECONDS, data=np.nan)
        file.flush()
        return bytes(file.id.get_file_image())


def open_for_reading(path: Path) -> h5py.File:
    """Open a run file, whether its writer is alive, dead or done.

    Raises
    ------
    InputError
        If there is no such file, or it is not a run file.
    StoreError
        If it is damaged.
    """
    try:
        with path.open("rb") as file:
            signature = file.read(8)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; expected a run file (.h5)") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r} is no path: {error}") from error
    if signature != b"\x89HDF\r\n\x1a\n":
        raise InputError(f"{path} is not an HDF5 file; expected a run file written by pyqmc-art sample")
    with damage_reported(path):
        superblock = release_superblock(path)
        source = path if superblock is None else Snapshot(path, superblock)
        file = h5py.File(source, "r", locking=False)
    try:
        with damage_reported(path):
            form = file.attrs["format"] if "format" in list(file.attrs) else None
        if form != FORMAT:
            what = "has no such mark" if form is None else f"has format {form!r}"
            raise InputError(f"{path} is not a run file of this program: expected format {FORMAT!r}, but it {what}")
    except (InputError, StoreError):
        file.close()
        raise
    return file


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Turn whatever h5py raises for a damaged file into a StoreError that names the file."""
    try:
        yield
    except HDF5_ERRORS as error:
        raise StoreError(
            f"{path} is truncated or damaged ({explain(error)}); restore it from a copy. It was not changed"
        ) from error


def read_layout(file: h5py.File, path: Path) -> Layout:
    """Find out what a file holds."""
    with damage_reported(path):
        # Names by iteration: "in" takes a damaged dataset for one that is not there.
        series = {name: file[_SERIES + name].shape[1:] for name in list(file[_SERIES])}
        fields = (file[FIELDS].shape[1:], file[FIELDS].dtype) if FIELDS in list(file) else None
        return Layout(series, fields)


def read_attributes(file: h5py.File, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and all other attributes as plain Python values."""
    with damage_reported(path):
        found = {name: _plain(value) for name, value in file.attrs.items()}
        configuration = json.loads(found.pop("configuration"))
    del found["format"]
    return configuration, found


def read_seconds(file: h5py.File, path: Path) -> float | None:
    """Computing time noted in a file, None if unknown."""
    with damage_reported(path):
        seconds = float(file[_SECONDS][()])
    return seconds if math.isfinite(seconds) else None


def count_rows(file: h5py.File, names: list[str], path: Path) -> int:
    """Number of rows that all of some datasets have; 0 for no datasets."""
    with damage_reported(path):
        return min((len(file[name]) for name in names), default=0)


def check_rows(file: h5py.File, name: str, rows: int, path: Path) -> None:
    """Make sure that the first rows of a dataset are really there.

    HDF5 reads what lies behind the end of a truncated file as zeros, so that nobody would notice.

    Raises
    ------
    StoreError
        If the dataset is shorter, a chunk was never written, or the file ends before it.
    """
    size = path.stat().st_size
    found = 0

    def look(chunk: Any) -> None:
        nonlocal found
        if chunk.chunk_offset[0] < rows:
            if chunk.byte_offset + chunk.size > size:
                raise ValueError(f"it ends at byte {size}, amid /{name}")
            found += 1

    with damage_reported(path):
        dataset = file[name]
        if len(dataset) < rows:
            raise ValueError(f"/{name} has {len(dataset)} rows instead of {rows}")
        if rows:
            dataset.id.chunk_iter(look)
        extents = zip((rows, *dataset.shape[1:]), dataset.chunks, strict=True)
        if found != math.prod(-(-extent // chunk) for extent, chunk in extents):
            raise ValueError(f"a part of /{name} was never written")


def series_name(observable: str) -> str:
    """Dataset of an observable."""
    return _SERIES + observable


def explain(error: BaseException) -> str:
    """Reason of an h5py or system error in a few words.

    Examples
    --------
    >>> explain(RuntimeError("flush (file write failed: errno = 28, error message = 'No space left on device', buf)"))
    'No space left on device'
    """
    quoted = re.search(r"error message = '([^']*)'", str(error))
    if quoted:
        return quoted[1]
    if isinstance(error, OSError) and error.errno and error.strerror:
        return os.strerror(error.errno)
    text = (str(error) or type(error).__name__).splitlines()[0]
    inner = re.search(r"\((.+?)\)?$", text)
    if "truncated file" in text:
        return "it is shorter than when it was written"
    return inner[1] if inner and text.startswith("Unable to") else text


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
