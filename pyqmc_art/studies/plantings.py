"""A simulated collection with planted biases: what a control has to find, and one true difference of hands.

One painter under several names. Beside the master's works lie those of a rival, whose strokes differ, and of four
twins: the same hand as the master's, with one bias each in how the works were collected, and without any. A claim that
tells a twin from the master is wrong by construction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from pyqmc_art.art.claims import REFUSED, SUPPORTED, UNDECIDED
from pyqmc_art.art.collection import MASTER
from pyqmc_art.art.degrade import Degradation
from pyqmc_art.art.hands import HABITS, Hand, draw_uniforms
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.motifs import Motif
from pyqmc_art.art.painter import paint
from pyqmc_art.art.pictures import Picture, Pixels, decode_picture, encode_jpeg
from pyqmc_art.art.rows import Row
from pyqmc_art.rng import Stream
from pyqmc_art.studies.contrasts import Contrast, parse_contrast

SIDE: Final = 288
"""Side of the pictures in pixels: a little more than what equalisation leaves, so that all are resampled."""
MUSEUM, ARCHIVE = "simulated museum", "simulated archive"
BLUR: Final = 0.9
CAST: Final = (1.05, 1.0, 0.90)
"""What the archive's camera does: blur in pixels, and factors of red, green and blue."""
STROKES: Final = ("length", "width", "curvature", "taper", "pressure", "dryness", "bristle", "streak", "coherence",
                  "slant", "swirl", "fineness", "order", "impasto", "correction")  # fmt: skip
"""Habits in which the rival differs from the master; palette, detail and outlines are the same."""
KINDS: Final = ("village", "harbour", "portrait")


@dataclass(frozen=True)
class Planting:
    """Works of one name, set against the master's.

    Parameters
    ----------
    name : under which they go
    label : what is planted
    expected : verdicts that are right
    rival : whether the hand is really another one
    archive : share of works from the archive
    portraits : share of works that are portraits
    quality : of the JPEG files; 0 saves half as PNG and half as JPEG of quality 80 to 95
    """

    name: str
    label: str
    expected: tuple[str, ...]
    rival: bool = False
    archive: float = 0.25
    portraits: float = 0.25
    quality: int = 0


PLANTINGS: Final = (
    Planting("Simulated Rival", "another hand (true)", (SUPPORTED,), rival=True),
    Planting("Simulated Twin, saved anew", "file format", (REFUSED,), quality=45),
    Planting("Simulated Twin, archived", "source", (REFUSED,), archive=0.8),
    Planting("Simulated Twin, portraitist", "subject", (REFUSED,), portraits=0.9),
    Planting("Simulated Twin", "nothing", (REFUSED, UNDECIDED)),
)
"""What is planted; every one but the first is no difference of hands."""


@dataclass(frozen=True)
class Planted:
    """Rows of the simulated collection, what is to be painted for each, and the contrasts with their right answers."""

    manifest: Manifest
    jobs: tuple[_Job, ...]
    expected: Mapping[Contrast, tuple[str, ...]]

    def pictures(self) -> Iterator[Picture]:
        """Paint, photograph and save one picture after the other."""
        return (job.make() for job in self.jobs)


@dataclass(frozen=True)
class _Job:
    motif: Motif
    hand: Hand
    stream: Stream
    archived: bool
    quality: int
    name: str

    def make(self) -> Picture:
        pixels = paint(self.motif, self.hand, (SIDE, SIDE), self.stream)
        if self.archived:
            pixels = capture(pixels)
        path = Path(self.name)
        if self.quality:
            return decode_picture(encode_jpeg(pixels, self.quality), path)
        return Picture(pixels, path, "PNG", hashlib.sha256(pixels.tobytes()).hexdigest())


def capture(pixels: Pixels) -> Pixels:
    """Photograph a picture with the archive's camera: a little blurred, and yellowish."""
    height, width = pixels.shape[:2]
    seen = Degradation((0.0, 0.0, float(width), float(height)), (width, height), blur=BLUR).apply(pixels)
    return np.asarray(np.clip(np.rint(seen * np.array(CAST)), 0, 255), np.uint8)


def plant(stream: Stream, works: int) -> Planted:
    """Plan the collection: so many works by the master and by each other name.

    Parameters
    ----------
    stream : of hands, motifs and pictures
    works : of each name
    """
    master = Hand.draw(stream.fold("master"))
    rival = replace(master, **{habit: _opposite(habit, getattr(master, habit)) for habit in STROKES})
    names = (Planting(MASTER, "", ()), *PLANTINGS)
    rows: list[Row] = []
    jobs: list[_Job] = []
    for one in names:
        for number in range(works):
            job = _plan(one, rival if one.rival else master, number, works, stream.fold(one.name, number))
            jobs.append(job)
            rows.append(Row(
                path=job.name, role="original", hand=one.name, sha256=f"{job.stream.key:016x}",
                title=f"{job.motif.title}, no. {number + 1} (simulated)", style="simulated", genre=job.motif.kind,
                source=ARCHIVE if job.archived else MUSEUM, basis="simulated: the maker is known", width=SIDE,
                height=SIDE, format="JPEG" if job.quality else "PNG", quality=job.quality,
            ))  # fmt: skip
    expected = {parse_contrast(f"{one.label}: hand={MASTER} v hand={one.name}"): one.expected for one in PLANTINGS}
    return Planted(Manifest(tuple(rows)), tuple(jobs), expected)


def _opposite(habit: str, value: float) -> float:
    """The end of a habit's range that is farther away."""
    low, high = HABITS[habit][:2]
    return high if value - low < high - value else low


def _plan(one: Planting, hand: Hand, number: int, works: int, stream: Stream) -> _Job:
    """Plan one picture: shares are kept exactly, and which work is which follows from independent orders."""
    portrait = number < round(one.portraits * works)
    # Every second, third, ... work, so that the archive has its share of portraits.
    archived = (number * round(one.archive * works)) % works < round(one.archive * works)
    draws = draw_uniforms(stream.fold("file"), 2)
    kind = KINDS[-1] if portrait else KINDS[number % (len(KINDS) - 1)]
    quality = one.quality or (0 if number % 2 else 80 + int(16 * draws[0]))
    name = f"{one.name.lower().replace(', ', '-').replace(' ', '-')}-{number + 1:03d}.{'jpg' if quality else 'png'}"
    return _Job(Motif.draw(stream.fold("motif"), kind), hand, stream.fold("picture"), archived, quality, name)
