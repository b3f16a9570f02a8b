"""One writer for each run file: an advisory lock that vanishes with its process."""

from __future__ import annotations

import errno
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pyqmc_art.errors import InputError, StoreError

_NO_LOCKS_HERE: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Lock:
    """An exclusive ``flock`` on ``.<name>.lock`` beside a file; a stale lock file of a dead process means nothing."""

    path: Path
    handle: BinaryIO

    @classmethod
    def acquire(cls, target: Path) -> Lock:
        """Take the lock of a run file.

        Raises
        ------
        InputError
            If another writer has it, or the folder does not exist or cannot be written.
        StoreError
            If the disk is full.
        """
        path = target.with_name(f".{target.name}.lock")
        while True:
            handle = _opened(path, target)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                raise InputError(
                    f"{target} is being written by another process; wait for it, stop it, or give another --out"
                ) from None
            except OSError as error:
                # Some network file systems have no locks; there the user keeps writers apart.
                if error.errno not in _NO_LOCKS_HERE:
                    handle.close()
                    raise StoreError(f"{target} cannot be locked: {error.strerror}") from error
            if _is_still_at(path, handle):
                return cls(path, handle)
            handle.close()

    def release(self) -> None:
        """Give the lock back and remove its file; does nothing the second time."""
        if not self.handle.closed:
            # Removed while still locked: whoever opened this file meanwhile sees that it is gone and tries again.
            self.path.unlink(missing_ok=True)
            self.handle.close()


def _opened(path: Path, target: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b", buffering=0)
    except OSError as error:
        kind = StoreError if error.errno in _DISK_FULL else InputError
        raise kind(
            f"{target} cannot be written: {error.strerror}; give a path in a folder that exists and is writable"
        ) from error


def _is_still_at(path: Path, handle: BinaryIO) -> bool:
    """Whether the locked file still bears its name, or its last owner removed it in between."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
