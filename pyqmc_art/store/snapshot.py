"""A readable view of an HDF5 file whose writer is alive or was killed.

HDF5 refuses to open such a file plainly, because its superblock says that a writer has it. Its own way out, SWMR
reading, waits practically for ever when it meets damaged metadata. So this view shows the bytes of the file with that
mark taken away: an intact file then opens, and a damaged one fails at once. Besides, a writer notes the length of the
file before the file has it; after a kill or on a full disk the real length counts.
"""

from __future__ import annotations

import os
import struct
import weakref
from pathlib import Path
from typing import Final

_VERSION_AT: Final = 8
_OFFSET_SIZE_AT: Final = 9
_FLAGS_AT: Final = 11
_END_AT: Final = 28
_CHECKSUM_AT: Final = 44
_SUPERBLOCK_SIZE: Final = 48
_MASK: Final = 0xFFFFFFFF


class Snapshot:
    """File-like object over a file as long as it is now, for the file-object driver of h5py."""

    def __init__(self, path: Path, superblock: bytes) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.close = weakref.finalize(self, os.close, descriptor)
        self._descriptor = descriptor
        self._superblock = superblock
        self._size = os.fstat(descriptor).st_size
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, counted from the start, from here or from the end."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        """Tell the position."""
        return self._position

    def read(self, size: int) -> bytes:
        """Read some bytes."""
        buffer = bytearray(size)
        self.readinto(memoryview(buffer))
        return bytes(buffer)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer from the position on; what lies behind the end is an error, not zeros."""
        view = memoryview(buffer).cast("B")
        if self._position + len(view) > self._size:
            raise OSError(f"the file ends at byte {self._size}")
        done = 0
        while done < len(view):
            count = os.preadv(self._descriptor, [view[done:]], self._position + done)
            if count == 0:
                raise OSError(f"the file ends at byte {self._position + done}")
            done += count
        covered = self._superblock[self._position : self._position + len(view)]
        view[: len(covered)] = covered
        self._position += len(view)
        return len(view)

    def flush(self) -> None:
        """Do nothing: nothing is ever written."""

    def write(self, data: bytes) -> int:
        """Refuse: a file whose writer is alive or dead is never written."""
        raise OSError("this view is only for reading")

    def truncate(self, size: int | None = None) -> int:
        """Refuse, for the same reason."""
        raise OSError("this view is only for reading")


def release_superblock(path: Path) -> bytes | None:
    """Superblock of a file with the writer's mark taken away and its real length; None if it bears no mark.

    Raises
    ------
    OSError
        If the superblock is damaged.
    """
    with path.open("rb") as file:
        block = bytearray(file.read(_SUPERBLOCK_SIZE))
        size = os.fstat(file.fileno()).st_size
    if len(block) < _SUPERBLOCK_SIZE:
        raise OSError(f"the file ends at byte {len(block)}")
    if block[_VERSION_AT] not in (2, 3) or block[_OFFSET_SIZE_AT] != 8 or not block[_FLAGS_AT]:
        return None
    (stored,) = struct.unpack_from("<I", block, _CHECKSUM_AT)
    if hash_lookup3(bytes(block[:_CHECKSUM_AT])) != stored:
        raise OSError("the checksum of its superblock does not match")
    block[_FLAGS_AT] = 0
    (end,) = struct.unpack_from("<Q", block, _END_AT)
    struct.pack_into("<Q", block, _END_AT, min(end, size))
    struct.pack_into("<I", block, _CHECKSUM_AT, hash_lookup3(bytes(block[:_CHECKSUM_AT])))
    return bytes(block)


def hash_lookup3(data: bytes) -> int:
    """Checksum of HDF5's metadata: Bob Jenkins' lookup3, ``hashlittle`` with initial value 0.

    Examples
    --------
    The known answer of its author for a text of 30 letters:

    >>> hex(hash_lookup3(b"Four score and seven years ago"))
    '0x17770551'
    """
    a: int
    b: int
    c: int
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    padded = data + bytes(-len(data) % 12)
    words = struct.unpack(f"<{len(padded) // 4}I", padded)
    for i in range(0, len(words) - 3, 3):
        a, b, c = _mix((a + words[i]) & _MASK, (b + words[i + 1]) & _MASK, (c + words[i + 2]) & _MASK)
    if not words:
        return c
    a, b, c = ((x + y) & _MASK for x, y in zip((a, b, c), words[-3:], strict=True))
    for rotation in (14, 11, 25, 16, 4, 14, 24):
        # final() of lookup3: c ^= b; c -= rot(b, 14); then the same with the roles of a, b, c turned on.
        c = ((c ^ b) - _rotated(b, rotation)) & _MASK
        a, b, c = b, c, a
    return b


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for rotation in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _MASK) ^ _rotated(c, rotation)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & _MASK
