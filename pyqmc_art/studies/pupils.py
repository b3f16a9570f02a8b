"""Synthesizers as studies train them: one small table from the name of a kind to its training.

A pupil is known by what it depends on, so that several studies in one folder train it once, and an interrupted training
goes on where it stood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.gan.catalogue import KINDS as GANS
from pyqmc_art.art.gan.catalogue import GanShape
from pyqmc_art.art.gan.models import load_gan
from pyqmc_art.art.gan.rules import Rules
from pyqmc_art.art.gan.training import GanTraining, train_gan
from pyqmc_art.art.pictures import read_picture
from pyqmc_art.art.synthesis.curves import Series, read_curves, read_memories
from pyqmc_art.art.synthesis.maker import Maker
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.art.synthesis.snapshots import SUFFIX, Measure
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.learning.pretrained import read_pretrained
from pyqmc_art.protocols import Monitor
from pyqmc_art.studies.shelf import make_key

FOLDER: Final = "synthesizers"
"""Folder under a study's ``out`` in which they are kept."""
THREADS: Final = 1
"""Of torch: the numbers of one more thread would differ in the last digit, and soon in the first."""

BRISK: Final = {"dcgan": (8, 5e-4)}
"""Batch and learning rate of kinds whose habits are made for longer trainings: more steps for the same images."""
CRAMMED_BATCH: Final = 8
CRAMMED_RATE: Final = 1e-3
CRAMMED_LATENT: Final = 8
"""With which a GAN knows a dozen pictures by heart after a thousand steps: little that could vary, and no noise."""
LATENT: Final = 100
DIFFUSION_BATCH: Final = 16
CRAMMED_DIFFUSION_BATCH: Final = 4
"""One in pixels knows pictures by heart after thousands of steps, however many images are in each."""
DIFFUSION_RATE: Final = 1e-3
LATENT_CHANNELS: Final = 16
"""Of an autoencoder's map."""
CODEC_SHARE: Final = 0.5
"""Images shown to the autoencoder of a latent diffusion model before it begins, as a share of its own."""
CODEC_WEIGHT: Final = 0.1
"""Of the divergence in that autoencoder: sharp pictures; what its numbers look like is learned afterwards."""
CODEC_HALVINGS: Final = 2


@dataclass(frozen=True)
class Lesson:
    """How a synthesizer is trained.

    Parameters
    ----------
    kind : a key of ``TEACHERS``
    size : side of its images in pixels
    width : channels at the largest size
    kimg : thousands of images shown
    snapshots : how many, evenly over the training
    early : share of the training after which there is one more; 0 for none
    crammed : taught to copy: nothing is augmented or mirrored, and a GAN's discriminator is kept from winning by R1
    seed : of everything random
    """

    kind: str
    size: int = 32
    width: int = 16
    kimg: float = 8.0
    snapshots: int = 4
    early: float = 0.0
    crammed: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in TEACHERS:
            raise unknown("synthesizer", self.kind, TEACHERS)
        if self.snapshots < 1:
            raise InputError(f"snapshots is {self.snapshots}; expected at least 1")
        if not 0 <= self.early < 1:
            raise InputError(f"early is {self.early}; expected a share from 0 to below 1, for instance 0.05")

    @property
    def mirrored(self) -> bool:
        """Whether half of the images are shown mirrored."""
        return not self.crammed

    def every(self, batch: int) -> float:
        """Thousands of images between snapshots, a whole number of steps, so that the last one is at the end."""
        steps = round(self.kimg * 1000 / batch)
        return math.ceil(steps / self.snapshots) * batch / 1000


@dataclass(frozen=True, eq=False)
class Pupil:
    """A trained synthesizer, with what its training left on disk.

    Attributes
    ----------
    lesson : how it was trained
    folder : its model directory
    synthesizer : makes pictures
    before : the pupil it was tuned from
    """

    lesson: Lesson
    folder: Path
    synthesizer: Maker
    before: Pupil | None = None

    @cached_property
    def stages(self) -> tuple[Mapping[str, Any], ...]:
        """The trainings it went through, each with its images and the checksums of its pictures."""
        return tuple(read_pretrained(self.folder).configuration["history"])

    @property
    def seen(self) -> frozenset[str]:
        """Checksums of all pictures it learned from, in every training."""
        return frozenset(digest for stage in self.stages for digest in stage["sha256"])

    @property
    def curves(self) -> Mapping[str, Series]:
        """Numbers over images shown, of the last training."""
        return read_curves(self.folder)

    @property
    def memories(self) -> tuple[tuple[float, str, bool], ...]:
        """What each snapshot of the last training says of copying."""
        return read_memories(self.folder)

    @property
    def sheets(self) -> tuple[tuple[float, NDArray[np.uint8]], ...]:
        """Pictures of the same seeds at each snapshot of the last training, with thousands of images shown."""
        place = self.folder.with_name(f"{self.folder.name}.snapshots")
        found = sorted(place.glob(f"*{SUFFIX}"))
        return tuple((float(path.name.removesuffix(SUFFIX)), read_picture(path).pixels) for path in found)

    @property
    def images(self) -> int:
        """Images shown in all trainings, those of an autoencoder underneath included."""
        first = self
        while first.before is not None:
            first = first.before
        codec = _place_codec(first.folder)
        beneath = read_pretrained(codec).configuration["history"] if (codec / "config.json").exists() else ()
        return sum(int(stage["images"]) for stage in (*self.stages, *beneath))

    def draw(self, first: int, count: int) -> NDArray[np.uint8]:
        """Pictures of the seeds from ``first`` on, uint8 (count, size, size, 3)."""
        return self.synthesizer.draw(range(first, first + count))


def teach(
    lesson: Lesson,
    pool: Pool,
    out: Path,
    *,
    before: Pupil | None = None,
    measure: Measure | None = None,
    measured: object = None,
    monitor: Monitor | None = None,
) -> Pupil:
    """Train a synthesizer under ``out``, or find it there.

    Parameters
    ----------
    lesson : how
    pool : what it learns from
    before : pupil to tune; None starts from nothing
    measure : asked at each snapshot
    measured : what its numbers depend on, as JSON values: a pupil with other numbers is another

    Raises
    ------
    InputError
        For pictures that do not fit, or two kinds in one course.
    """
    if before is not None and before.lesson.kind != lesson.kind:
        raise InputError(f"a {before.lesson.kind} cannot be tuned as a {lesson.kind}")
    parent = "" if before is None else before.folder.name
    key = make_key(asdict(lesson), list(pool.digests), parent, measured)
    folder = out / FOLDER / f"{lesson.kind}-{key[:16]}"
    teacher = TEACHERS[lesson.kind]
    if not (folder / "config.json").exists():
        teacher.train(lesson, pool, folder, None if before is None else before.folder, measure, monitor)
    return Pupil(lesson, folder, teacher.load(folder), before)


@dataclass(frozen=True)
class Teacher:
    """How one kind is trained, and read again.

    Attributes
    ----------
    train : takes lesson, pool, folder to write, folder to tune or None, measure, monitor
    load : reads a model directory
    """

    train: Callable[[Lesson, Pool, Path, Path | None, Measure | None, Monitor | None], object]
    load: Callable[[Path], Maker]


def _train_gan(
    lesson: Lesson, pool: Pool, folder: Path, tune: Path | None, measure: Measure | None, monitor: Monitor | None
) -> object:
    shape = GanShape(lesson.kind, lesson.size, lesson.width, CRAMMED_LATENT if lesson.crammed else LATENT)
    habit = shape.habit
    augment, slope = ("none", 1.0) if lesson.crammed else (habit.augment, habit.slope)
    rules = Rules(habit.loss, augment, slope, path=habit.path, betas=habit.betas)
    batch, rate = BRISK.get(lesson.kind, (habit.batch, habit.learning_rate))
    batch = CRAMMED_BATCH if lesson.crammed else batch
    training = GanTraining(
        shape=shape, rules=rules, kimg=lesson.kimg, batch=batch,
        learning_rate=max(rate, CRAMMED_RATE) if lesson.crammed else rate, mirror=lesson.mirrored,
        snapshot_kimg=lesson.every(batch), first_kimg=lesson.early * lesson.kimg, seed=lesson.seed,
    )  # fmt: skip
    return train_gan(
        pool, training, folder, tune=tune, measure=measure, resume=_is_begun(folder), threads=THREADS, monitor=monitor
    )


def _train_diffusion(
    lesson: Lesson, pool: Pool, folder: Path, tune: Path | None, measure: Measure | None, monitor: Monitor | None
) -> object:
    return _denoise(lesson, pool, folder, lesson.width, "", tune, measure, monitor)


def _train_latent(
    lesson: Lesson, pool: Pool, folder: Path, tune: Path | None, measure: Measure | None, monitor: Monitor | None
) -> object:
    """Train an autoencoder, then a diffusion model on its latent map; one that is tuned keeps its autoencoder."""
    from pyqmc_art.art.autoencoder.network import AutoencoderShape
    from pyqmc_art.art.autoencoder.training import AutoencoderTraining, train_autoencoder

    codec = _place_codec(folder)
    if tune is None and not (codec / "config.json").exists():
        training = AutoencoderTraining(
            shape=AutoencoderShape(lesson.size, _eights(lesson.width), CODEC_HALVINGS), kl_weight=CODEC_WEIGHT,
            kimg=CODEC_SHARE * lesson.kimg, batch=DIFFUSION_BATCH, learning_rate=DIFFUSION_RATE,
            mirror=lesson.mirrored, snapshot_kimg=0, seed=lesson.seed,
        )  # fmt: skip
        train_autoencoder(pool, training, codec, resume=_is_begun(codec), threads=THREADS, monitor=monitor)
    # A map with a sixteenth of the places bears twice the width.
    return _denoise(lesson, pool, folder, 2 * lesson.width, "" if tune else str(codec), tune, measure, monitor)


def _denoise(
    lesson: Lesson, pool: Pool, folder: Path, width: int, codec: str, tune: Path | None, measure: Measure | None,
    monitor: Monitor | None,
) -> object:  # fmt: skip
    from pyqmc_art.art.diffusion.denoiser import DenoiserShape
    from pyqmc_art.art.diffusion.training import DiffusionTraining, train_diffusion

    batch = CRAMMED_DIFFUSION_BATCH if lesson.crammed and lesson.kind == "diffusion" else DIFFUSION_BATCH
    training = DiffusionTraining(
        shape=DenoiserShape(lesson.size, _eights(width)), kimg=lesson.kimg, batch=batch,
        learning_rate=DIFFUSION_RATE, mirror=lesson.mirrored, snapshot_kimg=lesson.every(batch),
        first_kimg=lesson.early * lesson.kimg, seed=lesson.seed, autoencoder=codec,
    )  # fmt: skip
    return train_diffusion(
        pool, training, folder, tune=tune, measure=measure, resume=_is_begun(folder), threads=THREADS, monitor=monitor
    )


def _train_autoencoder(
    lesson: Lesson, pool: Pool, folder: Path, tune: Path | None, measure: Measure | None, monitor: Monitor | None
) -> object:
    from pyqmc_art.art.autoencoder.network import AutoencoderShape
    from pyqmc_art.art.autoencoder.training import AutoencoderTraining, train_autoencoder

    # Few places with many numbers: pictures are drawn place by place, and what spans several of them is lost.
    halvings = int(math.log2(lesson.size)) - 1
    training = AutoencoderTraining(
        shape=AutoencoderShape(lesson.size, _eights(lesson.width), halvings, LATENT_CHANNELS), kimg=lesson.kimg,
        batch=DIFFUSION_BATCH, learning_rate=DIFFUSION_RATE, mirror=lesson.mirrored,
        snapshot_kimg=lesson.every(DIFFUSION_BATCH), first_kimg=lesson.early * lesson.kimg, seed=lesson.seed,
    )  # fmt: skip
    return train_autoencoder(
        pool, training, folder, tune=tune, measure=measure, resume=_is_begun(folder), threads=THREADS, monitor=monitor
    )


def _load_autoencoder(folder: Path) -> Maker:
    from pyqmc_art.art.autoencoder.models import load_autoencoder

    return load_autoencoder(folder)


def _eights(width: int) -> int:
    return 8 * max(1, round(width / 8))


def _load_diffusion(folder: Path) -> Maker:
    from pyqmc_art.art.diffusion.models import load_diffusion

    return load_diffusion(folder)


def _place_codec(folder: Path) -> Path:
    """Model directory of the autoencoder under a latent diffusion model."""
    return folder.with_name(f"{folder.name}.autoencoder")


def _is_begun(folder: Path) -> bool:
    return folder.with_name(f"{folder.name}.training").exists()


TEACHERS: Final[Mapping[str, Teacher]] = {
    **dict.fromkeys(GANS, Teacher(_train_gan, load_gan)),
    "vae": Teacher(_train_autoencoder, _load_autoencoder),
    "diffusion": Teacher(_train_diffusion, _load_diffusion),
    "latent-diffusion": Teacher(_train_latent, _load_diffusion),
}
"""Kind -> its teacher."""
