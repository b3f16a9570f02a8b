"""Two photographs of each work: what a collection looks like in which a work can be on both sides of a split."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.collection import paint_all, plan_collection
from pyqmc_art.art.degrade import Degradation, Equaliser
from pyqmc_art.art.detectors.features import Extractor, FeatureTable, make_table
from pyqmc_art.art.detectors.linear import Preparation
from pyqmc_art.art.duplicates import Fingerprint, find_duplicates, take_fingerprint
from pyqmc_art.art.pictures import Picture, read_picture
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies.gallery import choose_equaliser
from pyqmc_art.studies.sources import GallerySource

SIDE: Final = 256
CROP: Final = 0.02
"""What a second photograph of a work loses along each side, as a share of it."""
QUALITIES: Final = (55, 95)
"""Least and largest JPEG quality of a second photograph."""
FEWEST: Final = 12
"""Works of each class that are needed."""


@dataclass(frozen=True)
class Collection:
    """Pictures of two classes, one a work; nothing is held in memory.

    Parameters
    ----------
    pictures : can be gone through once, in the order of the works
    works : their names
    labels : true for the hand
    equaliser : the plan for all of them
    simulated : whether they come from the procedural painter
    notes : what a reader must know
    """

    pictures: Iterator[Picture]
    works: tuple[str, ...]
    labels: NDArray[np.bool_]
    equaliser: Equaliser
    simulated: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """What the detector sees: the pictures in patches, then the same pictures and their twins.

    Parameters
    ----------
    patches : features of the pictures
    files : features of the pictures, then those of their second photographs; works are named as in the collection
    pairs : near-duplicates that were found among the files
    """

    patches: FeatureTable
    files: FeatureTable
    pairs: tuple[tuple[int, int], ...]


def paint_collection(role: str, works: int, proxy_gap: float, stream: Stream) -> Collection:
    """Plan as many originals as works of another role; they are painted when they are gone through."""
    plan = plan_collection(stream.fold("paint"), {"original": works, role: works}, SIDE, proxy_gap=proxy_gap)

    def pictures() -> Iterator[Picture]:
        for pixels, one in paint_all(plan):
            yield Picture(pixels, Path(one.title), "PNG", hashlib.sha256(pixels.tobytes()).hexdigest())

    labels = np.array([one.role == "original" for one in plan], bool)
    names = tuple(one.group for one in plan)
    return Collection(pictures(), names, labels, Equaliser(SIDE), True, ("All pictures are simulated.",))


def read_collection(
    source: GallerySource, role: str, works: int, out: Path, stream: Stream, monitor: Monitor
) -> Collection:
    """Choose works of somebody's pictures, one picture of each.

    Parameters
    ----------
    source : of the pictures
    role : of the works that the originals are told from
    works : most of each class, 0 for all
    out : where features are kept
    stream : of the choice, which does not depend on the order of the rows

    Raises
    ------
    InputError
        When a class has too few works.
    """
    gallery = source.open_gallery(out, monitor)
    first: dict[str, tuple[int, str]] = {}
    for number, row in enumerate(gallery.manifest):
        # A work with pictures of both roles is what its first picture is.
        first.setdefault(row.work, (number, gallery.roles[number]))
    chosen: list[int] = []
    counts = []
    for wanted in ("original", role):
        names = [name for name, (_, found) in first.items() if found == wanted]
        names = sorted(names, key=lambda name: stream.fold("choose").fold(name).key)[: works or None]
        if len(names) < FEWEST:
            raise InputError(f"{len(names)} works have the role {wanted}; expected at least {FEWEST} of each class")
        chosen += [first[name][0] for name in names]
        counts.append(len(names))
    manifest = gallery.manifest.keep(chosen)
    notes = (*gallery.notes, f"{counts[0]} originals by {gallery.hand} and {counts[1]} works of the role {role}.")
    plan = Equaliser() if source.factor == "whole" else choose_equaliser(gallery.manifest)
    labels = np.arange(sum(counts)) < counts[0]
    return Collection(map(read_picture, manifest.paths), manifest.works, labels, plan, False, notes)


def describe_photographs(collection: Collection, extractor: Extractor, stream: Stream, monitor: Monitor) -> Seen:
    """Go once through the pictures: equalise, cut and describe each and its second photograph."""
    preparation = Preparation(collection.equaliser, stream.fold("equalise").key)
    found: tuple[list[Any], list[Any]] = ([], [])
    prints: tuple[list[Fingerprint], list[Fingerprint]] = ([], [])
    monitor.start("patches", len(collection.works))
    try:
        for picture in collection.pictures:
            for part, one in enumerate((picture, photograph_again(picture, stream.fold("again")))):
                found[part].append(extractor.extract(preparation.apply(one)))
                prints[part].append(take_fingerprint(one.pixels))
            monitor.advance(1)
    finally:
        monitor.finish()
    pairs = find_duplicates([*prints[0], *prints[1]])
    works = collection.works
    return Seen(make_table(found[0], works), make_table([*found[0], *found[1]], works * 2), tuple(pairs))


def photograph_again(picture: Picture, stream: Stream) -> Picture:
    """Make another file of the same work: a little cropped, of the same size, another JPEG quality.

    What is drawn depends on the stream and the content of the picture.
    """
    width, height = picture.width, picture.height
    own = stream.fold(picture.sha256)
    draws = [float(own.fold(name).uniform("user", np.zeros(1, np.int64), 1)[0, 0]) for name in ("crop", "quality")]
    left, top = draws[0] * CROP * width, (1 - draws[0]) * CROP * height
    quality = QUALITIES[0] + math.floor(draws[1] * (QUALITIES[1] - QUALITIES[0] + 1))
    box = (left, top, width - CROP * width + left, height - CROP * height + top)
    pixels = Degradation(box, (width, height), quality=quality).apply(picture.pixels)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Picture(pixels, Path(f"{picture.path} (again)"), "JPEG", digest, quality)
