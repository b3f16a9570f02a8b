"""Counter-based random streams: a number depends on what it is for, never on who asks first.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC'11) maps a 128-bit counter and a 64-bit key to 128 random bits.
The counter words are::

    word 0  index of the site, bond or block
    word 1  replica (times rungs)
    word 2  step
    word 3  purpose in the upper 8 bits, number of the draw in the lower 24

so that any thread, rank or backend computes the same number for the same purpose without asking anybody.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError

STREAM_VERSION: Final = 1
"""Raised when all kernels change their use of random numbers; files of another version refuse to resume."""

KERNEL_STREAM_VERSIONS: Final = {"metropolis": 4, "heat-bath": 4, "swendsen-wang": 3, "wolff": 3, "hmc": 3}
"""Kernel -> the version in which it alone last changed its use of random numbers: one more than the largest before."""

PURPOSES: Final = {
    "site": 0,
    "bond": 1,
    "flip": 2,
    "seed": 3,
    "exchange": 4,
    "swap": 5,
    "start": 6,
    "fold": 7,
    "user": 8,
}
"""What a draw is for; the same table stands in ``csrc/core/philox.hpp`` and a test holds the two together."""

_MULTIPLIER_0: Final = np.uint64(0xD2511F53)
_MULTIPLIER_1: Final = np.uint64(0xCD9E8D57)
_WEYL_0: Final = 0x9E3779B9
_WEYL_1: Final = 0xBB67AE85
_LOW: Final = np.uint64(0xFFFFFFFF)
_SHIFT: Final = np.uint64(32)


def find_stream_version(*kernels: str) -> int:
    """Return the version of a run's use of random numbers: the largest among the kernels it is composed of.

    Parameters
    ----------
    kernels : names or compositions as ``--kernel`` and ``--inner`` take them

    Examples
    --------
    >>> find_stream_version("constrained"), find_stream_version("2*metropolis+swendsen-wang")
    (1, 4)
    """
    names = re.split(r"[+*\s]", "+".join(kernels))
    return max(STREAM_VERSION, *(KERNEL_STREAM_VERSIONS.get(name, 0) for name in names))


def philox(counter: NDArray[np.uint32], key: int) -> NDArray[np.uint32]:
    """Philox4x32-10 of many counters under one key.

    Parameters
    ----------
    counter : uint32 array of shape (..., 4)
    key : 64-bit integer; its low half is the first key word

    Returns
    -------
    uint32 array of shape (..., 4)

    Examples
    --------
    The known answer of Random123 for a counter and a key of zeros:

    >>> [hex(w) for w in philox(np.zeros(4, np.uint32), 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    words = [np.asarray(counter)[..., i].astype(np.uint64) for i in range(4)]
    k0, k1 = key & 0xFFFFFFFF, (key >> 32) & 0xFFFFFFFF
    for _ in range(10):
        p0 = words[0] * _MULTIPLIER_0
        p1 = words[2] * _MULTIPLIER_1
        words = [
            (p1 >> _SHIFT) ^ words[1] ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ words[3] ^ np.uint64(k1),
            p0 & _LOW,
        ]
        k0, k1 = (k0 + _WEYL_0) & 0xFFFFFFFF, (k1 + _WEYL_1) & 0xFFFFFFFF
    return np.stack(words, axis=-1).astype(np.uint32)


@lru_cache(maxsize=4096)
def _child_key(key: int, name: str, index: int) -> int:
    digest = hashlib.blake2b(f"{name}\0{index}".encode(), digest_size=12).digest()
    words = np.zeros(4, np.uint32)
    words[:3] = np.frombuffer(digest, dtype="<u4")
    words[3] = PURPOSES["fold"] << 24
    child = philox(words, key)
    return int(child[0]) | int(child[1]) << 32


@dataclass(frozen=True)
class Stream:
    """A named source of random numbers: a 64-bit key, the step, and the first replica.

    Examples
    --------
    >>> root = Stream.from_seed(7)
    >>> root.fold("hmc", 3) == root.fold("hmc", 3)
    True
    >>> root.fold("hmc", 3).key == root.fold("hmc", 4).key
    False
    """

    key: int
    step: int = 0
    replica: int = 0

    @classmethod
    def from_seed(cls, seed: int) -> Stream:
        """Make the root stream of a run.

        Raises
        ------
        InputError
            If the seed is not an integer in [0, 2^63).
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
            raise InputError(f"seed is {seed!r}; expected an integer from 0 to 2^63 - 1")
        return cls(int(seed)).fold("root")

    def fold(self, name: str, index: int = 0) -> Stream:
        """Derive an independent child stream by name; the same name and index always give the same child."""
        return Stream(_child_key(self.key, name, index), self.step, self.replica)

    def at(self, step: int) -> Stream:
        """Return the same stream at another step."""
        return replace(self, step=step)

    def shifted(self, replica: int) -> Stream:
        """Return the same stream for a batch whose first replica is ``replica`` further on."""
        return replace(self, replica=self.replica + replica)

    def bits(self, purpose: str, index: NDArray[np.integer], replicas: int, draw: int = 0) -> NDArray[np.uint32]:
        """128 random bits for each replica and index, shape ``(replicas, len(index), 4)``."""
        counter = np.empty((replicas, len(index), 4), np.uint32)
        counter[..., 0] = index
        counter[..., 1] = (self.replica + np.arange(replicas))[:, None]
        counter[..., 2] = self.step
        counter[..., 3] = PURPOSES[purpose] << 24 | draw
        return philox(counter, self.key)

    def integers(self, purpose: str, index: NDArray[np.integer], replicas: int, draw: int = 0) -> NDArray[np.uint64]:
        """Uniform integers below 2^63, shape ``(replicas, len(index))``: what acceptance tables are compared with."""
        words = self.bits(purpose, index, replicas, draw).astype(np.uint64)
        return (words[..., 0] | words[..., 1] << _SHIFT) >> np.uint64(1)

    def uniform(self, purpose: str, index: NDArray[np.integer], replicas: int, draw: int = 0) -> NDArray[np.float64]:
        """Uniform numbers in [0, 1) with 53 bits, shape ``(replicas, len(index))``."""
        return np.asarray((self.integers(purpose, index, replicas, draw) >> np.uint64(10)) * 2.0**-53, np.float64)

    def normal(self, purpose: str, count: int, replicas: int) -> NDArray[np.float64]:
        """Independent standard normal numbers, two for each block (Box and Muller), shape ``(replicas, count)``.

        Examples
        --------
        >>> Stream.from_seed(1).normal("user", 5, 2).shape
        (2, 5)
        """
        words = self.bits(purpose, np.arange((count + 1) // 2), replicas).astype(np.uint64)
        one, two = ((words[..., i] | words[..., i + 1] << _SHIFT) * 2.0**-64 for i in (0, 2))
        radius = np.sqrt(-2 * np.log1p(-np.minimum(one, 1 - 2.0**-53)))
        pairs = np.stack([radius * np.cos(2 * math.pi * two), radius * np.sin(2 * math.pi * two)], axis=-1)
        return np.asarray(pairs.reshape(replicas, -1)[:, :count], np.float64)
