"""What extractors see in pictures, as one table: rows of patches, owned by pictures, which belong to works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.patches import make_patches
from pyqmc_art.art.pictures import Picture
from pyqmc_art.art.verdicts import average_patches, level_weights
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor, PatchSpec

Features = NDArray[np.float32]
Floats = NDArray[np.float64]
Levels = NDArray[np.int64]


class Extractor(Protocol):
    """Turns a picture into one or more vectors."""

    @property
    def kind(self) -> str:
        """Its name in a model's ``config.json``."""
        ...

    def extract(self, picture: Picture) -> tuple[Features, Levels]:
        """Vectors of a picture, shape (k, d), and their levels of the pyramid, shape (k,)."""
        ...

    def configuration(self) -> dict[str, Any]:
        """What :func:`pyqmc_art.art.detectors.catalogue.rebuild_extractor` needs, as JSON values."""
        ...

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Its weights, if it has any."""
        ...


class PatchExtractor(Extractor, Protocol):
    """An extractor that looks at patches."""

    @property
    def spec(self) -> PatchSpec:
        """How its patches are made."""
        ...

    def features(self, patches: NDArray[np.uint8]) -> Features:
        """Vectors of patches (n, size, size, 3), shape (n, d)."""
        ...


@dataclass(frozen=True)
class Pixels:
    """Sees the patches themselves: what a network that is trained as a whole looks at."""

    spec: PatchSpec
    kind: str = "pixel"

    def features(self, patches: NDArray[np.uint8]) -> NDArray[Any]:
        """Give the patches."""
        return patches

    def extract(self, picture: Picture) -> tuple[NDArray[Any], Levels]:
        """Patches of a picture and their levels."""
        return extract_patches(self, picture)

    def configuration(self) -> dict[str, Any]:
        """Nothing that would be stored."""
        return {}

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """No weights."""
        return {}


def extract_patches(extractor: PatchExtractor, picture: Picture) -> tuple[Features, Levels]:
    """Cut a picture into patches as the extractor wants them, and describe each."""
    spec = extractor.spec
    patches = make_patches(picture.pixels, spec.size, spec.levels, square=spec.square, filter=spec.filter)
    return extractor.features(patches.pixels), patches.levels


@dataclass(frozen=True)
class FeatureTable:
    """Vectors of many pictures.

    Attributes
    ----------
    values : one row a patch: float32 vectors of shape (n, d), or the patches themselves, uint8 (n, size, size, 3)
    owners : shape (n,), number of the picture of each row, ascending from 0
    levels : shape (n,), level of the pyramid of each row
    works : work of each picture; no split may divide it
    """

    values: NDArray[Any]
    owners: NDArray[np.int64]
    levels: Levels
    works: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.works)

    def take(self, pictures: ArrayLike) -> FeatureTable:
        """Keep these pictures, in this order."""
        chosen = np.asarray(pictures, np.int64)
        bounds = np.searchsorted(self.owners, np.arange(len(self) + 1))
        rows = [np.arange(bounds[i], bounds[i + 1]) for i in chosen]
        index = np.concatenate(rows) if rows else np.empty(0, np.int64)
        owners = np.repeat(np.arange(len(chosen)), [len(one) for one in rows])
        return FeatureTable(self.values[index], owners, self.levels[index], tuple(self.works[i] for i in chosen))

    def row_weights(self) -> Floats:
        """Weights that sum to 1 over the rows of each picture, every level of its pyramid counting equally."""
        bounds = np.searchsorted(self.owners, np.arange(len(self) + 1))
        parts = [level_weights(self.levels[a:b]) for a, b in pairwise(bounds)]
        return np.concatenate(parts) if parts else np.empty(0)

    def pool(self, values: ArrayLike) -> Floats:
        """Average what belongs to rows (scores or features) to pictures, as a verdict does."""
        given = np.asarray(values)
        bounds = np.searchsorted(self.owners, np.arange(len(self) + 1))
        spans = pairwise(bounds)
        return np.array([average_patches(given[a:b], self.levels[a:b]) for a, b in spans], np.float64)


def collect_features(
    extractor: Extractor, pictures: Iterable[Picture], works: Sequence[str], monitor: Monitor | None = None
) -> FeatureTable:
    """Describe pictures by one extractor; see :func:`collect_tables`."""
    return collect_tables((extractor,), pictures, works, monitor)[0]


def collect_tables(
    extractors: Sequence[Extractor], pictures: Iterable[Picture], works: Sequence[str], monitor: Monitor | None = None
) -> list[FeatureTable]:
    """Describe pictures one after the other by several extractors; no more than one picture is held in memory.

    Raises
    ------
    InputError
        When pictures and works do not correspond or there are none.
    NumericalError
        When a feature is not finite, naming the picture.
    """
    watch = monitor or Silent()
    seen: list[list[tuple[NDArray[Any], Levels]]] = [[] for _ in extractors]
    watch.start("features", len(works))
    try:
        for picture in pictures:
            for extractor, found in zip(extractors, seen, strict=True):
                found.append(extractor.extract(picture))
                if not np.all(np.isfinite(found[-1][0])):
                    raise NumericalError(f"{picture.path}: a {extractor.kind} feature is not finite; check the picture")
            watch.advance(1)
    finally:
        watch.finish()
    return [make_table(found, works) for found in seen]


def make_table(seen: Sequence[tuple[NDArray[Any], Levels]], works: Sequence[str]) -> FeatureTable:
    """Join what was seen in each picture: vectors and their levels.

    Raises
    ------
    InputError
        When pictures and works do not correspond or there are none.
    """
    if not seen or len(seen) != len(works):
        raise InputError(f"{len(seen)} pictures and {len(works)} works; expected as many, and at least one")
    owners = np.repeat(np.arange(len(seen)), [len(values) for values, _ in seen])
    values, levels = np.concatenate([v for v, _ in seen]), np.concatenate([level for _, level in seen])
    return FeatureTable(values, owners, levels, tuple(works))


def average_works(values: ArrayLike, works: Sequence[str]) -> tuple[Floats, tuple[str, ...]]:
    """Average what belongs to pictures to their works; gives the averages and the works, in order of appearance.

    Examples
    --------
    >>> average_works([1.0, 2.0, 4.0], ["a", "b", "b"])
    (array([1., 3.]), ('a', 'b'))
    """
    names = tuple(dict.fromkeys(works))
    given, own = np.asarray(values, np.float64), np.asarray(list(works))
    return np.array([given[own == name].mean(axis=0) for name in names]), names
