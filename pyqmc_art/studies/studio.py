"""Galleries whose machine-made pictures come from synthesizers that were trained here, on works that are never judged.

Works are dealt into a studio and the rest. Synthesizers learn from the studio alone; a detector may learn from it, too,
but none of its works is tested. Every synthesizer remembers the checksums of what it saw, and a work with such a
checksum is refused as a test work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.degrade import Equaliser
from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.detectors.linear import Preparation
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Picture
from pyqmc_art.art.roles import MACHINE_ROLES, hand_key
from pyqmc_art.art.rows import Row
from pyqmc_art.art.synthesis.snapshots import lay_out
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies.cuttings import Cuttings
from pyqmc_art.studies.gallery import SMALLEST, Gallery, describe_pictures, make_extractors
from pyqmc_art.studies.pupils import Lesson, Pupil, teach
from pyqmc_art.studies.shelf import Shelf

STUDIED: Final = ("original", "proxy")
GENERATORS: Final = {"raw-gan": "trained raw GAN", "tuned-gan": "trained tuned GAN", "diffusion": "trained diffusion"}
SHOWN: Final = 24
_FEWEST: Final = 8


@dataclass(frozen=True)
class Course:
    """How the synthesizers of a gallery are trained.

    Parameters
    ----------
    gan : kind of the GAN
    size : side of the squares in pixels
    cells : squares along each side of a picture, and their square root in a machine-made work
    width, diffusion_width : channels of the networks at the largest size
    kimg : thousands of images in which the GAN learns from proxies
    tuned_kimg : in which it is then tuned on originals
    diffusion_kimg : in which the diffusion model learns from proxies; half as many are tuning on originals
    share : of the originals and proxies that are in the studio
    """

    gan: str = "dcgan"
    size: int = 64
    cells: int = 1
    width: int = 32
    diffusion_width: int = 16
    kimg: float = 20.0
    tuned_kimg: float = 8.0
    diffusion_kimg: float = 8.0
    share: float = 0.4


def train_makers(course: Course, studio: Cuttings, out: Path, monitor: Monitor | None = None) -> dict[str, Pupil]:
    """Train raw GAN, tuned GAN and diffusion model on the pictures of a studio.

    Parameters
    ----------
    course : how
    studio : works that are never judged
    out : where the models are kept

    Returns
    -------
    role of the pictures -> the pupil that makes them

    Raises
    ------
    InputError
        With too few originals or proxies in the studio.
    """
    pools = {role: studio.where([role]).pool for role in STUDIED}
    few = {role: len(pool.names) for role, pool in pools.items() if len(pool.names) < _FEWEST}
    if few:
        raise InputError(
            f"the studio has {few}, for synthesizers to learn from; expected {_FEWEST} of each: take more "
            "pictures, a larger share, or synthesizers = 'simulated'"
        )
    half = course.diffusion_kimg / 2

    def learn(kind: str, role: str, kimg: float, width: int, before: Pupil | None = None) -> Pupil:
        lesson = Lesson(kind, course.size, width, kimg, 1)
        return teach(lesson, pools[role], out, before=before, monitor=monitor)

    raw = learn(course.gan, "proxy", course.kimg, course.width)
    tuned = learn(course.gan, "original", course.tuned_kimg, course.width, raw)
    wide = learn("diffusion", "proxy", course.diffusion_kimg, course.diffusion_width)
    return {
        "raw-gan": raw,
        "tuned-gan": tuned,
        "diffusion": learn("diffusion", "original", half, course.diffusion_width, wide),
    }


def hang_gallery(
    pictures: Cuttings,
    hand: str,
    course: Course,
    machines: int,
    stream: Stream,
    out: Path,
    *,
    detectors: Sequence[str],
    cache: Path | None = None,
    monitor: Monitor | None = None,
) -> Gallery:
    """Train synthesizers on a studio, make their works, and describe all squares.

    Parameters
    ----------
    pictures : of people; an original by any other hand counts as a proxy
    hand : whose originals are the positive class
    course : how synthesizers are trained
    machines : works of each synthesizer
    stream : of the studio and the equalisation
    out : where the models are kept
    detectors : names of extractors
    cache : folder in which features are kept

    Raises
    ------
    InputError
        For squares that are too small to judge, too few works, or an unknown detector.
    """
    if course.size < SMALLEST // 2:
        raise InputError(f"resolution is {course.size}; below {SMALLEST // 2} pixels nothing is left to judge")
    people = _name_roles(pictures, hand)
    studio, _ = people.where(STUDIED).part(stream.fold("studio"), course.share)
    makers = train_makers(course, studio, out, monitor)
    made = {role: one.draw(0, machines * course.cells**2) for role, one in makers.items()}
    rows = (
        *_list_squares(people),
        *(row for role in made for row in _list_made(role, makers[role], made[role], course)),
    )
    images = np.concatenate([people.pool.images, *made.values()])
    reserved = frozenset(row.work for row in studio.manifest)
    # A machine's picture has no file of its own: it gets one like those of the studio's originals, so that the baseline
    # on files is silent about machines and as sharp as ever about people.
    lent = studio.where(["original"]).files
    seen = [people.files.take(people.pool.owners), lent.take(np.arange(len(images) - len(people.pool)) % len(lent))]
    gallery = _describe(rows, images, hand, course, stream, detectors, cache, monitor)
    return replace(
        gallery, files=_join(seen, gallery.manifest.works), simulated=pictures.simulated, reserved=reserved,
        learned=frozenset().union(*(one.seen for one in makers.values())),
        samples=(("originals, some of them learned from", lay_out(people.where(["original"]).pool.images[:SHOWN])),
                 *((f"{role}: {makers[role].synthesizer.name}", lay_out(made[role][:SHOWN])) for role in made)),
        notes=(*_explain(pictures, course, makers, reserved), *gallery.notes),
    )  # fmt: skip


def _describe(
    rows: Sequence[Row], images: NDArray[np.uint8], hand: str, course: Course, stream: Stream, detectors: Sequence[str],
    cache: Path | None, monitor: Monitor | None,
) -> Gallery:  # fmt: skip
    manifest = Manifest(tuple(rows))
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]

    def squares() -> Iterator[Picture]:
        for row, image, digest in zip(rows, images, digests, strict=True):
            yield Picture(image, Path(row.path), "PNG", digest)

    extractors, notes = make_extractors(detectors, course.size)
    preparation = Preparation(Equaliser(size=course.size), stream.fold("equalise").key)
    tables, files = describe_pictures(squares, extractors, preparation, digests, manifest.works, Shelf(cache), monitor)
    return Gallery(manifest, hand, tables, files, False, notes)


def _name_roles(pictures: Cuttings, hand: str) -> Cuttings:
    """People's pictures only; originals by other hands become proxies."""
    people = pictures.take(i for i, row in enumerate(pictures.manifest) if row.role not in MACHINE_ROLES)
    rows = (
        replace(row, role="proxy") if row.role == "original" and hand_key(row.hand) != hand_key(hand) else row
        for row in people.manifest
    )
    return replace(people, manifest=Manifest(tuple(rows), people.manifest.root))


def _list_squares(people: Cuttings) -> Iterator[Row]:
    """One row a square, of the work it was cut from."""
    for number, owner in enumerate(people.pool.owners):
        row = people.manifest.rows[int(owner)]
        height, width = people.pool.images.shape[1:3]
        yield replace(row, path=f"{row.path} square {number}", group=row.work, width=width, height=height, format="PNG")


def _list_made(role: str, pupil: Pupil, images: NDArray[np.uint8], course: Course) -> Iterator[Row]:
    """One row a made square; as many make a work as a picture has squares."""
    for seed, image in enumerate(images):
        yield Row(
            path=f"{role}/{seed:06d}", role=role, generator=GENERATORS[role], seed=str(seed),
            source="made by this package", sha256=hashlib.sha256(image.tobytes()).hexdigest(),
            group=f"{role} work {seed // course.cells**2}",
            basis="made by a machine: checkpoint and seed are known", width=course.size, height=course.size,
            format="PNG", extra=(("network", pupil.synthesizer.name), ("checkpoint", pupil.synthesizer.digest)),
        )  # fmt: skip


def _join(parts: Sequence[FeatureTable], works: Sequence[str]) -> FeatureTable:
    values = np.concatenate([part.values for part in parts])
    levels = np.concatenate([part.levels for part in parts])
    return FeatureTable(values, np.arange(len(values)), levels, tuple(works))


def _explain(
    pictures: Cuttings, course: Course, makers: Mapping[str, Pupil], reserved: frozenset[str]
) -> tuple[str, ...]:
    cut = "whole" if course.cells == 1 else f"cut into {course.cells**2} squares"
    trained = [
        f"{role}: {one.synthesizer.name} {one.synthesizer.digest}, {one.images / 1000:g} kimg shown of "
        f"{len(one.seen)} pictures"
        for role, one in makers.items()
    ]
    return (
        *(("All pictures are simulated; the machine-made ones were made by synthesizers that learned from them.",)
          if pictures.simulated else ()),
        f"Every picture is {cut} and reduced to {course.size} pixels, then one JPEG of random quality.",
        f"Trained synthesizers: {'; '.join(trained)}. They learned from {len(reserved)} works of a studio, which are "
        "in training and never judged.",
        "To the baseline on files machine-made pictures look like originals: they have no file of their own.",
    )  # fmt: skip
