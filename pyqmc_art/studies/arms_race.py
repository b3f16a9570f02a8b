"""Detector k against generator k + 1, which is tuned against it; each detector learns from all generators before."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.collection import plan_collection
from pyqmc_art.art.gan.catalogue import KINDS, GanShape
from pyqmc_art.art.gan.models import GanSynthesizer
from pyqmc_art.art.gan.rivals import Rival, RivalTraining, train_rival
from pyqmc_art.art.gan.rules import Rules
from pyqmc_art.art.gan.training import GanTraining, train_gan
from pyqmc_art.art.metrics.distances import estimate_frechet_distance
from pyqmc_art.art.metrics.vision import choose_vision
from pyqmc_art.art.roles import resolve_role
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.studies import arms_race_report as report
from pyqmc_art.studies.arms_race_report import Generation, Judge, Race
from pyqmc_art.studies.cuttings import Cuttings, paint_cuttings, read_cuttings

HELD_OUT: Final = 0.4
"""Share of the works that neither generators nor detectors learn from; half of them set the thresholds."""
FRESH: Final = 1_000_000
"""First seed of the pictures that are judged; those of the trainings start from 0."""
FEWEST: Final = 20
SIGHT: Final = 32
"""Least side in pixels that a vision looks at."""


@dataclass(frozen=True)
class ArmsRace:
    """A race of generators and detectors of their pictures.

    Parameters
    ----------
    manifest
        Manifest or folder of pictures; without one, simulated originals are painted.
    hand
        Whose pictures; empty takes all of the role.
    role
        Of the pictures.
    pictures
        Simulated pictures.
    gan
        Kind of the generators: dcgan, light or stylegan2.
    resolution
        Side of the pictures in pixels.
    width
        Channels of the generators at the largest size.
    detector_width
        And of the detectors.
    kimg
        Thousands of images shown to the first generator.
    tuned_kimg
        And to every later one, beside those before.
    rounds
        Detectors; there is one generator more.
    rivalry
        Weight of the detector in a generator's loss, that of its own discriminator being 1.
    steps
        Of a detector's training.
    made
        Pictures of each generation that detectors learn from.
    judged
        Fresh pictures of each generation that are judged.
    alarm
        Share of held-out originals below the threshold of a detector.
    collection
        Number of the simulated collection, and of the choice of held-out works.
    """

    manifest: str | None = None
    hand: str = ""
    role: str = "original"
    pictures: int = 360
    gan: str = "dcgan"
    resolution: int = 32
    width: int = 16
    detector_width: int = 8
    kimg: float = 8.0
    tuned_kimg: float = 2.0
    rounds: int = 3
    rivalry: float = 1.0
    steps: int = 200
    made: int = 300
    judged: int = 200
    alarm: float = 0.05
    collection: int = 1

    name: ClassVar[str] = "arms-race"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {
            "pictures": 600, "detector_width": 16, "kimg": 24.0, "tuned_kimg": 4.0, "rounds": 4, "steps": 400,
            "made": 600, "judged": 400,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse what would only fail after a training."""
        if self.gan not in KINDS:
            raise unknown("kind of GAN", self.gan, KINDS)
        if min(self.rounds, self.made, self.judged) < 1 or self.rivalry < 0 or not 0 < self.alarm < 1:
            raise InputError(
                f"rounds, made and judged are {self.rounds}, {self.made} and {self.judged}, rivalry {self.rivalry} and "
                f"alarm {self.alarm}; expected at least 1 of each, a weight from 0, and a share between 0 and 1"
            )
        if self.hand and self.manifest is None:
            raise InputError(f"hand is {self.hand!r}, but there is no manifest; give manifest = FILE or FOLDER")
        _ = self.rival_training, self.lesson(self.kimg, 0), self.lesson(self.tuned_kimg, 1)

    @property
    def rival_training(self) -> RivalTraining:
        """How detectors are trained."""
        return RivalTraining(self.detector_width, self.steps)

    def lesson(self, kimg: float, number: int) -> GanTraining:
        """How generator ``number`` is trained."""
        shape = GanShape(self.gan, self.resolution, self.width)
        habit = shape.habit
        rules = Rules(habit.loss, habit.augment, habit.slope, path=habit.path, betas=habit.betas)
        return GanTraining(
            shape=shape, rules=rules, kimg=kimg, batch=habit.batch, learning_rate=habit.learning_rate,
            snapshot_kimg=0, seed=number,
        )  # fmt: skip

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Run the race, and judge every generation by every detector."""
        begun = time.perf_counter()
        pictures = self.open_pictures(monitor)
        chosen = Stream.from_seed(self.collection).fold("held out")
        held_out, learned = pictures.part(chosen, HELD_OUT)
        tested, tuning = held_out.part(chosen.fold("threshold"), 0.5)
        fewest = min(len(part.manifest) for part in (learned, tested, tuning))
        if fewest < FEWEST:
            raise InputError(
                f"{len(pictures.manifest)} pictures make parts of {fewest}; expected at least {FEWEST} each"
            )
        parts = Parts(learned.pool, tuning.pool, tested.pool)
        race = run_race(self, parts, out, stream, monitor, pictures.simulated)
        return Findings(
            study=self.name,
            question=report.QUESTION,
            answer=report.answer(race),
            tables=report.tables(race),
            figures=report.figures(race),
            configuration=dataclasses.asdict(self),
            notes=report.notes(race),
            seconds=time.perf_counter() - begun,
        )

    def open_pictures(self, monitor: Monitor) -> Cuttings:
        """Read or paint the pictures."""
        role = resolve_role(self.role)
        if self.manifest is not None:
            return read_cuttings(self.manifest, (role,), self.resolution, 1, self.hand, monitor)
        stream = Stream.from_seed(self.collection).fold("collection")
        return paint_cuttings(
            plan_collection(stream, {role: self.pictures}, self.resolution), self.resolution, 1, monitor
        )


@dataclass(frozen=True, eq=False)
class Parts:
    """Originals that are learned from, that set thresholds, and that are judged: no work in two of them."""

    learned: Pool
    tuning: Pool
    tested: Pool


def run_race(
    study: ArmsRace, parts: Parts, out: Path, stream: Stream, monitor: Monitor, simulated: bool = False
) -> Race:
    """Train generator 0, detector 0, generator 1 against it, detector 1 on both, and so on; then judge all by all."""
    folder = out / study.name
    makers = [_train(study, parts, folder / "generator-0", 0, None, None, monitor)]
    controls: list[GanSynthesizer] = []
    rivals: list[Rival] = []
    for number in range(study.rounds):
        known = [one.draw(range(study.made)) for one in makers]
        rivals.append(
            train_rival(
                parts.learned.images, known, study.rival_training, stream.fold("detector", number), threads=1,
                monitor=monitor,
            )
        )  # fmt: skip
        before = folder / f"generator-{number}"
        after = folder / f"generator-{number + 1}"
        makers.append(_train(study, parts, after, number + 1, before, rivals[-1], monitor))
        controls.append(_train(study, parts, None, number + 1, before, None, monitor))
    vision = choose_vision("auto", max(SIGHT, study.resolution))
    real = vision.features(parts.tested.images)

    def describe(maker: GanSynthesizer, number: int) -> Generation:
        images = maker.draw(range(FRESH, FRESH + study.judged))
        distance = estimate_frechet_distance(vision.features(images), real, stream.fold("FD", number), samples=20)
        return Generation(number, images, distance, maker.kimg)

    judges = tuple(_settle(rival, number, parts, study.alarm) for number, rival in enumerate(rivals))
    return Race(
        tuple(describe(maker, k) for k, maker in enumerate(makers)),
        tuple(describe(maker, k + 1) for k, maker in enumerate(controls)),
        judges, vision.name, study.alarm, len(parts.learned.names), len(parts.tuning.names), simulated,
    )  # fmt: skip


def _train(
    study: ArmsRace, parts: Parts, folder: Path | None, number: int, before: Path | None, rival: Rival | None,
    monitor: Monitor,
) -> GanSynthesizer:  # fmt: skip
    lesson = study.lesson(study.kimg if before is None else study.tuned_kimg, number)
    penalty = None if rival is None else (lambda made: study.rivalry * rival.blame(made))
    return train_gan(
        parts.learned, lesson, folder, tune=before, rival=penalty, force=True, threads=1, monitor=monitor
    ).synthesizer  # fmt: skip


def _settle(rival: Rival, number: int, parts: Parts, alarm: float) -> Judge:
    """Choose a detector's threshold by held-out originals, and count false alarms on others."""
    threshold = float(np.quantile(rival.judge(parts.tuning.images), alarm))

    def catch(images: NDArray[np.uint8]) -> Rate:
        return Rate.count(rival.judge(images) < threshold)

    return Judge(number, catch, catch(parts.tested.images))
