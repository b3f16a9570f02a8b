"""Fingerprints of training pictures, kept with a model: they tell whether it was trained on a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter

from pyqmc_art.art.duplicates import (
    DEFAULT_DISTANCE,
    DEFAULT_SIMILARITY,
    Fingerprint,
    hash_distance,
    measure_similarity,
)
from pyqmc_art.art.patches import resample
from pyqmc_art.errors import InputError

SAME_CAPTURE: Final = math.sqrt(0.9)
"""Correlation of the fine structure from which on two files are encodings of one photograph: 90 % of its variance is
shared. A copy of the motif, stroke by stroke and by the same hand, shares about half; a crop does not lie on it."""

CLOSE: Final = math.sqrt(0.75)
"""Correlation of the coarse structure from which on a picture is a crop, another photograph or a copy of a work."""

_SIDE: Final = 96
"""Shorter side in pixels of the grey copies that are kept."""


@dataclass(frozen=True)
class Match:
    """The training picture that a picture resembles most.

    Attributes
    ----------
    number : of the training picture
    similarity : correlation of their coarse structure where they fit best, see
        :func:`pyqmc_art.art.duplicates.measure_similarity`
    fine : correlation of their fine structure, one laid upon the other
    """

    number: int
    similarity: float
    fine: float

    @property
    def same_capture(self) -> bool:
        """Whether both are encodings of one photograph."""
        return self.fine >= SAME_CAPTURE

    @property
    def close(self) -> bool:
        """Whether one is a crop, another photograph or a copy of the other."""
        return self.similarity >= CLOSE


@dataclass(frozen=True)
class Prints:
    """Fingerprints with small grey copies.

    Attributes
    ----------
    items : one a training picture
    """

    items: tuple[Fingerprint, ...]

    @classmethod
    def of(cls, prints: Iterable[Fingerprint]) -> Prints:
        """Keep fingerprints, their grey copies reduced."""
        return cls(tuple(Fingerprint(one.hashes, _reduce(one.grey)) for one in prints))

    def find(self, one: Fingerprint) -> Match | None:
        """Find the most similar training picture, if one shares more than half of its structure.

        Parameters
        ----------
        one : fingerprint of a picture, from :func:`pyqmc_art.art.duplicates.take_fingerprint`
        """
        near = [k for k, other in enumerate(self.items) if hash_distance(one, other) <= DEFAULT_DISTANCE]
        found = [
            Match(k, measure_similarity(one, self.items[k]), compare_details(one.grey, self.items[k].grey))
            for k in near
        ]
        best = max(found, key=lambda match: (match.fine, match.similarity), default=None)
        return best if best is not None and best.similarity >= DEFAULT_SIMILARITY else None

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays from which :meth:`from_tensors` makes the same prints."""
        return {
            "hashes": np.stack([one.hashes for one in self.items]),
            "shapes": np.array([one.grey.shape for one in self.items], np.int64),
            "grey": np.concatenate([one.grey.ravel() for one in self.items]),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Prints:
        """Undo :meth:`tensors`; InputError when they do not fit together."""
        try:
            hashes, shapes, grey = (tensors[name] for name in ("hashes", "shapes", "grey"))
            ends = np.cumsum([int(h) * int(w) for h, w in shapes])
            if len(hashes) != len(shapes) or not len(ends) or ends[-1] != grey.size:
                raise ValueError(f"{len(hashes)} hashes and {len(shapes)} pictures of {grey.size} pixels")
            parts = np.split(grey, ends[:-1])
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"the stored fingerprints cannot be read ({error}); train the model again") from error
        pairs = zip(hashes, parts, shapes, strict=True)
        return cls(tuple(Fingerprint(h, part.reshape(int(s[0]), int(s[1]))) for h, part, s in pairs))


def compare_details(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlate the fine structure of two grey pictures (h, w), one laid upon the other and shifted as fits best.

    Examples
    --------
    >>> noise = np.random.default_rng(1).integers(0, 256, (96, 120), dtype=np.uint8)
    >>> round(compare_details(noise, noise), 6), compare_details(noise, noise[::-1]) < 0.2
    (1.0, True)
    """
    height, width = other.shape
    grow = _SIDE / min(height, width)
    size = (round(width * grow), round(height * grow))
    a, b = (_find_details(resample(grey, size, threads=1)) for grey in (one, other))
    norm = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float(irfft2(rfft2(a) * np.conj(rfft2(b)), a.shape).max()) / norm if norm else 0.0


def _find_details(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What is smaller than about two pixels and larger than noise."""
    values = grey.astype(np.float64)
    details = gaussian_filter(values, 0.7) - gaussian_filter(values, 1.6)
    return np.asarray(details - details.mean(), np.float64)


def _reduce(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = grey.shape
    shrink = _SIDE / min(height, width)
    if shrink >= 1:
        return grey
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return resample(grey, size, filter="box", threads=1)
