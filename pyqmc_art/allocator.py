"""The C library's memory: what a step of a training frees, the next one wants again."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD, _MAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3) in glibc's malloc.h."""
_LARGEST_HEAP_BLOCK: Final = 32 * 2**20
"""Glibc takes no greater threshold on 64 bits; blocks above it are mapped anew each time."""
_NEVER: Final = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, up to its peak, and say whether it does.

    By default glibc gives the top of the heap back to the system whenever a layer's maps are freed, and the next layer
    touches every page for the first time again: that is a seventh of a DC-GAN's training step. For a process of our
    own, the command line; a library leaves the process that it is called in as it is. Without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MAP_THRESHOLD, _LARGEST_HEAP_BLOCK) and mallopt(_TRIM_THRESHOLD, _NEVER))
