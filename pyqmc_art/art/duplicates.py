"""Near-duplicates: several scans, crops or encodings of one work, put into one group before anything is split.

Three steps, each coarser than the one after it: equal metadata (sha256, group, hand and title), a perceptual hash that
chooses which pairs are looked at, and a correlation of the aligned pictures that decides.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, irfft2, rfft2
from scipy.ndimage import gaussian_filter

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import Pixels, read_picture
from pyqmc_art.art.roles import hand_key
from pyqmc_art.art.rows import Row

DEFAULT_DISTANCE: Final = 16
"""Bits, of 63, by which two pictures may differ and still be compared: half of what unrelated ones differ by.

The hashes of independent pictures differ in 31 bits on average. This number only bounds the work; what is a duplicate
is decided by ``DEFAULT_SIMILARITY``.
"""

DEFAULT_SIMILARITY: Final = math.sqrt(0.5)
"""Correlation from which on two pictures are one work: more than half of the variance of their structure is shared."""

FeatureDistance: TypeAlias = Callable[[int, int], bool]
"""Whether two rows, by number, are one work: a second opinion, for instance by a network's features."""

_LARGEST: Final = 256
_SIDE: Final = 64
_TEMPLATE: Final = 40
_SCALES: Final = (56, 60, 64, 68, 72)
"""Shorter sides at which the second picture is searched: crops of up to an eighth on either side."""
_BLOCK: Final = 256
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a picture: hashes of its windows, uint64 (the whole first), and a small grey copy (h, w)."""

    hashes: NDArray[np.uint64]
    grey: NDArray[np.uint8]


@dataclass(frozen=True)
class Merged:
    """The manifest with its new groups, and the pairs of rows that were found to be one work."""

    manifest: Manifest
    pairs: tuple[tuple[int, int], ...]

    @property
    def mixed(self) -> tuple[tuple[Row, ...], ...]:
        """Works whose rows bear different roles or makers: copies of one motif, or a wrong label."""
        members: dict[str, list[Row]] = {}
        for row in self.manifest:
            members.setdefault(row.work, []).append(row)
        return tuple(tuple(rows) for rows in members.values() if len({row.stratum for row in rows}) > 1)

    def summary(self) -> str:
        """Say in words what was merged."""
        rows = self.manifest.rows
        lines = [f"{len(rows)} pictures are {len(set(self.manifest.works))} works"]
        lines += [f"  one work: {rows[i].path} and {rows[j].path}" for i, j in self.pairs]
        for members in self.mixed:
            said = ", ".join(f"{row.path} ({row.role} of {row.maker or 'unknown'})" for row in members)
            lines.append(f"  one work with different labels: {said}")
        return "\n".join(lines)


def _windows(width: int, height: int) -> list[tuple[float, float, float, float]]:
    """The whole, its middle (three crops), and squares along the longer side, whole and cropped."""
    boxes = []
    for share in (1.0, 0.95, 0.9, 0.85):
        dx, dy = width * (1 - share) / 2, height * (1 - share) / 2
        boxes.append((dx, dy, width - dx, height - dy))
    side = min(width, height)
    for place in (0.0, 0.25, 0.5, 0.75, 1.0):
        left, top = (width - side) * place, (height - side) * place
        for margin in (0.0, 0.05 * side):
            boxes.append((left + margin, top + margin, left + side - margin, top + side - margin))
    return boxes


def _perceptual_hash(grey: NDArray[np.uint8], box: tuple[float, float, float, float]) -> np.uint64:
    """One bit for each of the 63 lowest AC coefficients of the 32 x 32 DCT-II: whether it is above their median."""
    thumb = resample(grey, (32, 32), box=box, filter="box", threads=1)
    low = dctn(thumb.astype(np.float64), norm="ortho")[:8, :8].ravel()[1:]
    bits = np.append(low > np.median(low), False)
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def take_fingerprint(pixels: Pixels) -> Fingerprint:
    """Reduce a picture, shape ``(H, W, 3)``, to its fingerprint.

    References
    ----------
    The hash is the usual "pHash" of 32 x 32 cosine coefficients; taken of several windows it survives crops.
    """
    height, width = pixels.shape[:2]
    shrink = min(1.0, _LARGEST / max(width, height))
    size = (max(8, round(width * shrink)), max(8, round(height * shrink)))
    small = resample(pixels, size, filter="box")
    grey = np.rint(small.astype(np.float32) @ _LUMA).astype(np.uint8)
    return Fingerprint(np.array([_perceptual_hash(grey, box) for box in _windows(*size)], np.uint64), grey)


def hash_distance(a: Fingerprint, b: Fingerprint) -> int:
    """Least number of differing bits between a window of one picture and the whole of the other."""
    there = np.bitwise_count(a.hashes ^ b.hashes[0]).min()
    back = np.bitwise_count(b.hashes ^ a.hashes[0]).min()
    return int(min(there, back))


def _structure(grey: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Edges and strokes at one scale: light and slow shading, which unrelated pictures share, are filtered out."""
    height, width = grey.shape
    grow = side / min(height, width)
    size = (min(_LARGEST, round(width * grow)), min(_LARGEST, round(height * grow)))
    thumb = resample(grey, size, threads=1).astype(np.float64)
    return np.asarray(gaussian_filter(thumb, 1.0) - gaussian_filter(thumb, 4.0), np.float64)


def _best_match(template: NDArray[np.float64], scene: NDArray[np.float64]) -> float:
    """Largest correlation coefficient of the template over all its places in the scene."""
    t = template - template.mean()
    norm = math.sqrt(float((t * t).sum()))
    rows, columns = scene.shape[0] - _TEMPLATE + 1, scene.shape[1] - _TEMPLATE + 1
    spectrum = rfft2(scene) * np.conj(rfft2(t, scene.shape))
    covariance = irfft2(spectrum, scene.shape)[:rows, :columns]
    area = _TEMPLATE**2
    variance = _window_sums(scene * scene) - _window_sums(scene) ** 2 / area
    # A flat place, or a flat template, has no structure to agree on.
    floor = 1e-3 * area
    if norm * norm < floor:
        return 0.0
    return float((covariance / np.sqrt(np.maximum(variance, floor))).max() / norm)


def _window_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    t = _TEMPLATE
    return np.asarray(total[t:, t:] - total[:-t, t:] - total[t:, :-t] + total[:-t, :-t], np.float64)


def _middle(scene: NDArray[np.float64]) -> NDArray[np.float64]:
    top, left = (scene.shape[0] - _TEMPLATE) // 2, (scene.shape[1] - _TEMPLATE) // 2
    return scene[top : top + _TEMPLATE, left : left + _TEMPLATE]


@dataclass(frozen=True)
class _Views:
    """The structure of a picture at all scales, and its middle at the first size."""

    scenes: tuple[NDArray[np.float64], ...]
    middle: NDArray[np.float64]

    @classmethod
    def of(cls, print_: Fingerprint) -> _Views:
        scenes = tuple(_structure(print_.grey, side) for side in _SCALES)
        return cls(scenes, _middle(scenes[_SCALES.index(_SIDE)]))

    def similarity(self, other: _Views) -> float:
        there = max(_best_match(self.middle, scene) for scene in other.scenes)
        return max(there, *(_best_match(other.middle, scene) for scene in self.scenes))


def measure_similarity(a: Fingerprint, b: Fingerprint) -> float:
    """Correlation of the structure of two pictures where they fit best, over places and scales.

    The middle of one is searched in the other and the reverse; the larger value counts.
    """
    return _Views.of(a).similarity(_Views.of(b))


def find_candidates(prints: Sequence[Fingerprint], max_distance: int = DEFAULT_DISTANCE) -> list[tuple[int, int]]:
    """Pairs ``i < j`` whose hash distance is at most ``max_distance``."""
    if len(prints) < 2:
        return []
    hashes = np.stack([p.hashes for p in prints])
    found: set[tuple[int, int]] = set()
    for start in range(0, len(prints), _BLOCK):
        block = hashes[start : start + _BLOCK]
        nearest = np.full((len(block), len(prints)), 64, np.uint8)
        for window in range(hashes.shape[1]):
            np.minimum(nearest, np.bitwise_count(block[:, window, None] ^ hashes[None, :, 0]), out=nearest)
        for i, j in np.argwhere(nearest <= max_distance).tolist():
            if i + start != j:
                found.add((min(i + start, j), max(i + start, j)))
    return sorted(found)


def find_duplicates(
    prints: Sequence[Fingerprint],
    max_distance: int = DEFAULT_DISTANCE,
    min_similarity: float = DEFAULT_SIMILARITY,
    same_features: FeatureDistance | None = None,
) -> list[tuple[int, int]]:
    """Pairs ``i < j`` of pictures of one work.

    Parameters
    ----------
    prints : one fingerprint a picture
    max_distance : bits, of 63, up to which pairs are compared at all
    min_similarity : correlation, -1 to 1, from which on they are one work
    same_features : asked about the pairs that the correlation does not decide
    """
    pairs = []
    views: dict[int, _Views] = {}
    for i, j in find_candidates(prints, max_distance):
        for k in {i, j} - views.keys():
            views[k] = _Views.of(prints[k])
        same = views[i].similarity(views[j]) >= min_similarity
        if same or (same_features is not None and same_features(i, j)):
            pairs.append((i, j))
    return pairs


def unite(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Smallest number of the connected component of each of ``count`` items (union-find with path halving).

    Examples
    --------
    >>> unite(5, [(3, 1), (4, 3)]).tolist()
    [0, 1, 2, 1, 1]
    """
    parent = list(range(count))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in pairs:
        a, b = sorted((find(i), find(j)))
        parent[b] = a
    return np.array([find(i) for i in range(count)], np.int64)


def _known_twins(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Pairs that the manifest itself declares: one content, one group, or one title of one hand.

    What stands in brackets is no part of a title ("another impression"). Different works of one title are kept together
    needlessly by this, which costs nothing but a little freedom of the split.
    """
    first: dict[tuple[str, ...], int] = {}
    pairs = []
    for number, row in enumerate(rows):
        title = hand_key(re.sub(r"[(\[].*?[)\]]", " ", row.title))
        keys = [("content", row.sha256), ("group", row.group), ("path", row.path)]
        if title and hand_key(row.hand):
            keys.append((f"title of {hand_key(row.hand)}", title))
        for key in keys:
            if key[1] and first.setdefault(key, number) != number:
                pairs.append((first[key], number))
    return pairs


def merge_duplicates(
    manifest: Manifest,
    max_distance: int = DEFAULT_DISTANCE,
    min_similarity: float = DEFAULT_SIMILARITY,
    same_features: FeatureDistance | None = None,
) -> Merged:
    """Give all pictures of one work one group; the groups do not depend on the order of the rows.

    Raises
    ------
    UnreadablePicture
        When a file cannot be read; ``Manifest.check`` names all of them.
    """
    prints = [take_fingerprint(read_picture(path).pixels) for path in manifest.paths]
    seen = find_duplicates(prints, max_distance, min_similarity, same_features)
    pairs = sorted({*_known_twins(manifest.rows), *seen})
    roots = unite(len(manifest), pairs).tolist()
    given = {row.group for row in manifest}
    names: dict[int, str] = {}
    for root, row in zip(roots, manifest.rows, strict=True):
        # A group that somebody named keeps its name; else the first of the works in alphabetical order lends its own.
        names[root] = min(names.get(root, row.work), row.work, key=lambda work: (work not in given, work))
    alone = {root for root, count in Counter(roots).items() if count == 1}
    groups = (row.group if root in alone else names[root] for root, row in zip(roots, manifest, strict=True))
    return Merged(manifest.merged(groups), tuple(pairs))
