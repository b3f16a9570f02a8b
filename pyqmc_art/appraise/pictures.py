"""Two sets of pictures: read, brought to one size and coding, described, and kept together work by work."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.tables import FEWEST_UNITS, SEGMENTS, Table, check_units
from pyqmc_art.art.degrade import Equaliser
from pyqmc_art.art.detectors.baselines import SubjectExtractor
from pyqmc_art.art.duplicates import find_duplicates, take_fingerprint, unite
from pyqmc_art.art.equalising import choose_equaliser
from pyqmc_art.art.layouts import MANIFEST_NAMES, list_pictures, open_manifest
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Picture, UnreadablePicture, read_picture
from pyqmc_art.art.residuals import SMALLEST, residual_features
from pyqmc_art.art.rows import Problem, Row
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream

Pixels = NDArray[np.uint8]

LARGEST: Final = 256
"""Side in pixels of the squares that are compared; larger pictures are reduced."""
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")
_LOSSY: Final = ("JPEG", "WEBP")


@dataclass(frozen=True, eq=False)
class Files:
    """The pictures of one ensemble as they came.

    Attributes
    ----------
    name : of the ensemble
    rows : one a picture that could be read, measured
    root : folder that paths start from
    pictures : decoded
    problems : what could not be read
    """

    name: str
    rows: tuple[Row, ...]
    root: Path
    pictures: tuple[Picture, ...]
    problems: tuple[Problem, ...] = ()

    def path(self, number: int) -> Path:
        """Where a picture lies."""
        return self.root / self.rows[number].path


@dataclass(frozen=True, eq=False)
class PictureSet:
    """The pictures of one ensemble as judges see them.

    Attributes
    ----------
    files : as they came
    pixels : equalised, uint8 (n, side, side, 3)
    table : what judges look at, works and parts
    """

    files: Files
    pixels: Pixels
    table: Table

    def describe(self) -> str:
        """Say in a line what was looked at."""
        return f"{self.files.name}: {len(self.pixels)} pictures of {self.table.unit_count} works"


@dataclass(frozen=True, eq=False)
class Pair:
    """Both ensembles, the plan that made them comparable, and works that are in both."""

    a: PictureSet
    b: PictureSet
    plan: str
    shared: int


def open_pictures(path: Path, monitor: Monitor) -> Files:
    """Read all pictures of a folder or manifest; those that cannot be read are told and left out.

    Raises
    ------
    InputError
        When there are none, or fewer than can be compared.
    """
    rows, root, problems = _list_rows(path)
    good, pictures = [], []
    for row in rows:
        monitor.advance(1)
        try:
            picture = read_picture(root / row.path)
        except UnreadablePicture as error:
            problems.append(Problem(str(error.path), error.reason))
            continue
        good.append(
            dataclasses.replace(
                row, sha256=picture.sha256, width=picture.width, height=picture.height, format=picture.format,
                quality=picture.quality or 0,
            )
        )  # fmt: skip
        pictures.append(picture)
    if len(good) < FEWEST_UNITS:
        lost = f" ({len(problems)} could not be read)" if problems else ""
        raise InputError(f"{path} has {len(good)} pictures{lost}; at least {FEWEST_UNITS} are needed to tell anything")
    return Files(str(path), tuple(good), root, tuple(pictures), tuple(problems))


def _list_rows(path: Path) -> tuple[list[Row], Path, list[Problem]]:
    """Rows of a manifest, or of whatever lies in a folder: no labels are needed to compare two folders."""
    if path.is_dir() and not any((path / name).is_file() for name in MANIFEST_NAMES):
        root = path
        return [Row(one.relative_to(root).as_posix(), "") for one in list_pictures(path)], root, []
    manifest = open_manifest(path, strict=False)
    return list(manifest.rows), manifest.root, list(manifest.problems)


def prepare(a: Files, b: Files, stream: Stream, equalise: str = "auto") -> Pair:
    """Equalise two sets of pictures, describe them, find works of several pictures, and cut into parts.

    Parameters
    ----------
    a, b : the files
    stream : of JPEG qualities, and of the order of the works
    equalise : ``"auto"``, ``"none"``, or a side in pixels

    Raises
    ------
    InputError
        For pictures that are too small, or of several sizes with ``"none"``, or too few works.
    """
    plan, said = _choose_plan(a, b, equalise)
    pixels = [_apply(one, plan, stream.fold("equalise")) for one in (a, b)]
    works = _find_works(a, b, pixels)
    segments = _cut_parts(works, len(a.rows), stream.fold("order"))
    sets = []
    for one, shown, chosen in zip((a, b), pixels, (slice(0, len(a.rows)), slice(len(a.rows), None)), strict=True):
        units, parts = works[chosen], segments[chosen]
        table = Table(one.name, _describe(shown, one), units, parts, _choose_spokesmen(units, stream.fold("spoken")))
        sets.append(PictureSet(one, shown, check_units(table)))
    shared = int(np.intersect1d(sets[0].table.units, sets[1].table.units).size)
    return Pair(sets[0], sets[1], said, shared)


def _choose_plan(a: Files, b: Files, equalise: str) -> tuple[Equaliser | None, str]:
    rows = [*a.rows, *b.rows]
    sizes = {(row.width, row.height) for row in rows}
    least = min(min(size) for size in sizes)
    if least < SMALLEST:
        raise InputError(f"the smallest picture is {least} pixels; expected at least {SMALLEST}")
    formats = {row.format for row in rows}
    alike = len(sizes) == 1 and len(next(iter(sizes))) == 2 and len({*next(iter(sizes))}) == 1
    untouched = alike and least <= LARGEST and not formats & {*_LOSSY}
    if equalise == "none":
        if not alike:
            raise InputError(f"equalise is 'none', but the pictures have {len(sizes)} sizes; expected squares of one")
        return None, "the pictures are taken as they are"
    if equalise == "auto" and untouched:
        return None, "all pictures are squares of one size without lossy compression: they are taken as they are"
    # Numbered paths: two folders may hold files of one name.
    listed = Manifest(tuple(dataclasses.replace(row, path=f"{k}/{row.path}") for k, row in enumerate(rows)))
    choice = choose_equaliser(listed, str(min(least, LARGEST)) if equalise == "auto" else equalise)
    if not formats & {*_LOSSY} and choice.equaliser is not None:
        return dataclasses.replace(choice.equaliser, quality=None), choice.reason.replace("then one JPEG", "no JPEG")
    return choice.equaliser, choice.reason


def _apply(files: Files, plan: Equaliser | None, stream: Stream) -> Pixels:
    if plan is None:
        return np.stack([one.pixels for one in files.pictures])
    done = [plan.plan(p.width, p.height, p.sha256, stream).apply(p.pixels) for p in files.pictures]
    return np.stack(done)


def _find_works(a: Files, b: Files, pixels: Sequence[Pixels]) -> NDArray[np.int64]:
    """Number of the work of each picture, of both ensembles together."""
    rows = [*a.rows, *b.rows]
    prints = [take_fingerprint(image) for image in np.concatenate(pixels)]
    pairs = list(find_duplicates(prints))
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        # A group is a name within one ensemble; the same content is the same work anywhere.
        side = "a" if number < len(a.rows) else "b"
        for key in (f"content {row.sha256}", f"group of {side} {row.group}" if row.group else ""):
            if key and first.setdefault(key, number) != number:
                pairs.append((first[key], number))
    return unite(len(rows), pairs)


def _cut_parts(works: NDArray[np.int64], count: int, stream: Stream) -> NDArray[np.int64]:
    """Part of each picture: the works of A, and the further works of B, each in random order and evenly."""
    generator = np.random.default_rng(stream.key)
    part: dict[int, int] = {}
    own = np.unique(works[:count])
    for names in (own, np.setdiff1d(works[count:], own)):
        order = generator.permutation(names)
        part |= {int(name): int(place * SEGMENTS // len(order)) for place, name in enumerate(order)}
    return np.array([part[int(work)] for work in works], np.int64)


def _choose_spokesmen(works: NDArray[np.int64], stream: Stream) -> NDArray[np.bool_]:
    """Mark one picture of each work, at random."""
    order = np.random.default_rng(stream.key).permutation(len(works))
    _, first = np.unique(works[order], return_index=True)
    spoken = np.zeros(len(works), bool)
    spoken[order[first]] = True
    return spoken


def _describe(pixels: Pixels, files: Files) -> Mapping[str, NDArray[Any]]:
    extractor = SubjectExtractor()
    subjects = [
        extractor.extract(dataclasses.replace(picture, pixels=image))[0][0]
        for picture, image in zip(files.pictures, pixels, strict=True)
    ]
    return {
        "residuals": residual_features(pixels).astype(np.float64),
        "subject": np.stack(subjects).astype(np.float64),
        "files": np.array([_describe_file(picture) for picture in files.pictures]),
    }


def _describe_file(picture: Picture) -> list[float]:
    """Size, format and JPEG quality: what is known before a pixel is looked at."""
    quality = [float(picture.quality is None), (picture.quality or 0) / 100]
    formats = [float(picture.format == name) for name in _FORMATS]
    return [float(np.log(picture.width)), float(np.log(picture.height)), *quality, *formats]
