"""The kernel state beside a run file: plain arrays and counts, replaced atomically, checked when read.

A state file is ``magic | length of the header | header (JSON) | bytes of the arrays | BLAKE2b of all before``.
There is nothing in it that could be executed, and no generator state: the streams are counter-based.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, StoreError

_MAGIC: Final = b"pyqmc_art state\n1"
_LENGTH: Final = struct.Struct("<Q")
_DIGEST_SIZE: Final = 32
_DTYPE: Final = re.compile(r"[<>|][biufc]\d+")
"""What a state may hold: booleans, integers, floats and complex numbers, in numpy's spelling."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on: the kernel state as plain arrays, and how much is stored already.

    Parameters
    ----------
    step : steps done since the start of the run
    arrays : name -> array of booleans, integers, floats or complex numbers, any shape
    measurements : number of measurements that ``/series`` holds with this state
    saved : number of fields that ``/fields`` holds with this state
    facts : small JSON facts; ``seconds`` is the computing time so far
    """

    step: int
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    measurements: int = 0
    saved: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """Computing time so far, if the facts tell."""
        value = self.facts.get("seconds")
        return None if value is None else float(value)


def state_path(path: Path) -> Path:
    """Where the state of a run file lies.

    Examples
    --------
    >>> state_path(Path("run.h5")).name
    'run.h5.state'
    """
    return path.with_name(path.name + ".state")


def write_checkpoint(path: Path, checkpoint: Checkpoint, run: str) -> None:
    """Replace a state file atomically: after a kill there is the old state or the new one, never a part.

    Parameters
    ----------
    path : the state file
    checkpoint : what to write
    run : identity of the run the state belongs to

    Raises
    ------
    InputError
        If an array or a fact cannot be stored.
    OSError
        If the disk refuses; the old state is untouched.
    """
    header, arrays = _describe(checkpoint, run)
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            _write(file, header, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_checkpoint(path: Path) -> tuple[Checkpoint, str]:
    """Read a state file and the identity of the run it belongs to.

    Raises
    ------
    StoreError
        If it is missing, truncated or damaged.
    """
    try:
        with path.open("rb") as file:
            header, arrays = _read(file, path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreError(
            f"the kernel state {path} cannot be read ({reason}); without it the run cannot go on"
        ) from error
    try:
        checkpoint = Checkpoint(
            int(header["step"]), arrays, int(header["measurements"]), int(header["saved"]), dict(header["facts"])
        )
        return checkpoint, str(header["run"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its header lacks an entry") from error


def partial_path(path: Path) -> Path:
    """Temporary name beside a file, under which a new version of it is written."""
    return path.with_name(f".{path.name}.partial-{os.getpid()}")


def _describe(checkpoint: Checkpoint, run: str) -> tuple[bytes, list[NDArray[Any]]]:
    """Header as JSON, and the arrays in C order."""
    arrays = [np.asarray(array, order="C") for array in checkpoint.arrays.values()]
    for name, array in zip(checkpoint.arrays, arrays, strict=True):
        if not _DTYPE.fullmatch(array.dtype.str):
            raise InputError(f"state array {name!r} has dtype {array.dtype}; expected booleans or numbers")
    header = {
        "run": run,
        "step": int(checkpoint.step),
        "measurements": int(checkpoint.measurements),
        "saved": int(checkpoint.saved),
        "facts": dict(checkpoint.facts),
        "arrays": [[n, a.dtype.str, list(a.shape)] for n, a in zip(checkpoint.arrays, arrays, strict=True)],
    }
    try:
        return json.dumps(header).encode(), arrays
    except (TypeError, ValueError) as error:
        raise InputError(f"the facts of a checkpoint must be JSON values: {error}") from error


def _write(file: BinaryIO, header: bytes, arrays: list[NDArray[Any]]) -> None:
    digest = hashlib.blake2b(digest_size=_DIGEST_SIZE)
    parts: list[bytes | memoryview] = [_MAGIC, _LENGTH.pack(len(header)), header, *map(_as_bytes, arrays)]
    for part in parts:
        digest.update(part)
        file.write(part)
    file.write(digest.digest())


def _read(file: BinaryIO, path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Parse a state file; sizes are checked before memory is asked for, and everything by the digest at the end."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(len(_MAGIC) + _LENGTH.size)
    if len(start) < len(_MAGIC) + _LENGTH.size or not start.startswith(_MAGIC):
        raise _damaged(path, "it does not begin like one")
    (length,) = _LENGTH.unpack(start[len(_MAGIC) :])
    text = file.read(length) if length <= size else b""
    try:
        header = json.loads(text)
        arrays = {str(n): _allocate(d, s, size) for n, d, s in header["arrays"]}
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its header is not readable") from error
    expected = len(start) + length + sum(array.nbytes for array in arrays.values()) + _DIGEST_SIZE
    if size != expected:
        raise _damaged(path, f"it has {size} bytes instead of {expected}")
    digest = hashlib.blake2b(start + text, digest_size=_DIGEST_SIZE)
    for part in _filled(file, arrays):
        digest.update(part)
    if file.read() != digest.digest():
        raise _damaged(path, "its checksum does not match")
    return header, arrays


def _allocate(dtype: object, shape: object, limit: int) -> NDArray[Any]:
    """Make an array a header describes, unless the file is too short to hold it."""
    if not _DTYPE.fullmatch(str(dtype)):
        raise ValueError(f"no such dtype: {dtype}")
    kind = np.dtype(str(dtype))
    extents = [int(n) for n in shape]  # type: ignore[attr-defined]
    if min(extents, default=0) < 0 or math.prod(extents) * kind.itemsize > limit:
        raise ValueError(f"no such shape: {shape}")
    return np.empty(extents, kind)


def _filled(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> Iterator[memoryview]:
    for array in arrays.values():
        view = _as_bytes(array)
        file.readinto(view)  # type: ignore[attr-defined]
        yield view


def _as_bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is not an intact kernel state: {why}. The measurements beside it can still be analyzed, "
        "but the run cannot go on; restore the file or start anew"
    )
