"""Do synthesizers learn a hand, and when do they begin to copy? Trained for long on many pictures, and on few."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pyqmc_art.art.collection import plan_collection
from pyqmc_art.art.metrics.vision import VISIONS, PixelVision, Vision, choose_vision
from pyqmc_art.art.roles import resolve_role
from pyqmc_art.art.synthesis.curves import FEWEST, make_measure
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies import synthesis_report as report
from pyqmc_art.studies.cuttings import Cuttings, paint_cuttings, read_cuttings
from pyqmc_art.studies.pupils import TEACHERS, Lesson, Pupil, teach
from pyqmc_art.studies.synthesis_report import Course

FEWEST_WORKS: Final = 8
"""With fewer learned works even copies of all of them could be chance at the flag's level."""
LIKENESS: Final = PixelVision()
"""What looks for copies: colours in cells. Networks see the noise of small pictures before they see the picture."""
PACE: Final = {"vae": 0.3, "diffusion": 0.3, "latent-diffusion": 0.4}
"""Images shown to kinds that learn more from each, as a share of those shown to a GAN."""
CRAMMED_PACE: Final = {**PACE, "diffusion": 0.6}
"""The same for trainings that last too long."""
HELD_OUT: Final = 0.35
"""Share of the works that no synthesizer learns from."""


@dataclass(frozen=True)
class Synthesis:
    """Synthesizers trained on many pictures, and on few for too long; each measured against pictures it never saw.

    Parameters
    ----------
    kinds
        Synthesizers: dcgan, light, stylegan2, vae, diffusion, latent-diffusion.
    manifest
        Manifest or folder of pictures; without one, simulated originals are painted.
    hand
        Whose pictures; empty takes all of the role.
    role
        Of the pictures.
    pictures
        Simulated pictures, held-out ones included.
    cells
        Squares along each side of a picture.
    resolution
        Side of a square in pixels.
    width
        Channels of the networks at the largest size.
    kimg
        Thousands of images shown to a GAN in the healthy training; others see 0.3 of them, latent-diffusion 0.4.
    snapshots
        Measurements during each training.
    early
        Share of each training after which there is one more, where learning is fastest; 0 for none.
    few
        Pictures of the training that lasts too long; at least 8.
    few_kimg
        Thousands of images shown to a GAN in it; vae sees 0.3, diffusion 0.6, latent-diffusion 0.4.
    made
        Pictures made for every measurement.
    vision
        What looks at the pictures: auto, lite0, random or pixels.
    sight
        Side in pixels to which the vision enlarges them.
    collection
        Number of the simulated collection, and of the choice of held-out works.
    """

    kinds: tuple[str, ...] = ("dcgan",)
    manifest: str | None = None
    hand: str = ""
    role: str = "original"
    pictures: int = 240
    cells: int = 1
    resolution: int = 32
    width: int = 16
    kimg: float = 8.0
    snapshots: int = 3
    early: float = 0.0
    few: int = 10
    few_kimg: float = 10.0
    made: int = 200
    vision: str = "auto"
    sight: int = 32
    collection: int = 1

    name: ClassVar[str] = "synthesis"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {
            "kinds": ("dcgan", "vae", "diffusion", "latent-diffusion"), "pictures": 480, "kimg": 30.0,
            "few_kimg": 16.0, "snapshots": 4, "early": 0.05,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse what would only fail after a training."""
        if not self.kinds:
            raise InputError(f"kinds is empty; name at least one of {', '.join(TEACHERS)}")
        for kind in self.kinds:
            self.lesson(kind, self.kimg)
        if self.made < FEWEST:
            raise InputError(f"made is {self.made}; expected at least {FEWEST} pictures")
        if self.few < FEWEST_WORKS or self.few_kimg <= 0:
            raise InputError(
                f"few is {self.few} and few_kimg {self.few_kimg}; expected at least {FEWEST_WORKS} pictures, or the "
                "flag could never be raised, and more than 0"
            )
        if self.vision not in VISIONS:
            raise unknown("vision", self.vision, VISIONS)
        if self.hand and self.manifest is None:
            raise InputError(f"hand is {self.hand!r}, but there is no manifest; give manifest = FILE or FOLDER")

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Train, measure, and say what was learned and what was copied."""
        begun = time.perf_counter()
        pictures = self.open_pictures(monitor)
        held_out, training = pictures.part(Stream.from_seed(self.collection).fold("held out"), HELD_OUT)
        if len(held_out.manifest) < FEWEST or len(training.manifest) < self.few:
            raise InputError(
                f"{len(training.manifest)} pictures to learn from and {len(held_out.manifest)} held out; expected at "
                f"least {self.few} and {FEWEST}"
            )
        few = training.take(range(self.few))
        vision = choose_vision(self.vision, self.sight)
        courses = tuple(self._teach_all(out, training.pool, few.pool, held_out.pool, vision, stream, monitor))
        story = report.Story(
            courses, training.pool, few.pool, held_out.pool, vision, LIKENESS, pictures.simulated, self.made
        )
        return Findings(
            study=self.name,
            question=report.QUESTION,
            answer=report.answer(story),
            tables=report.tables(story),
            figures=report.figures(story),
            configuration=dataclasses.asdict(self),
            notes=report.notes(story),
            seconds=time.perf_counter() - begun,
        )

    def open_pictures(self, monitor: Monitor) -> Cuttings:
        """Read or paint the pictures."""
        role = resolve_role(self.role)
        if self.manifest is not None:
            return read_cuttings(self.manifest, (role,), self.resolution, self.cells, self.hand, monitor)
        stream = Stream.from_seed(self.collection).fold("collection")
        planned = plan_collection(stream, {role: self.pictures}, self.resolution * self.cells)
        return paint_cuttings(planned, self.resolution, self.cells)

    def lesson(self, kind: str, kimg: float, *, crammed: bool = False) -> Lesson:
        """How a kind is trained: as is its habit, or crammed: wider, small batches, nothing changed."""
        width = self.width + self.width // 2 if crammed else self.width
        shown = (CRAMMED_PACE if crammed else PACE).get(kind, 1.0) * kimg
        return Lesson(kind, self.resolution, width, shown, self.snapshots, self.early, crammed)

    def _teach_all(
        self, out: Path, training: Pool, few: Pool, held_out: Pool, vision: Vision, stream: Stream, monitor: Monitor
    ) -> Iterator[Course]:
        for kind in self.kinds:
            pupils: list[Pupil] = []
            for pool, kimg, crammed in ((training, self.kimg, False), (few, self.few_kimg, True)):
                lesson = self.lesson(kind, kimg, crammed=crammed)
                measure = make_measure(pool, vision, stream.fold("measure"), lesson.mirrored, self.made, held_out,
                                       likeness=LIKENESS)  # fmt: skip
                by = [vision.name, LIKENESS.name, self.made, list(held_out.digests), stream.key]
                pupils.append(teach(lesson, pool, out, measure=measure, measured=by, monitor=monitor))
            yield Course(*pupils)
