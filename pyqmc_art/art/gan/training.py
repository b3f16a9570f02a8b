"""Training a GAN from nothing, or tuning one on a few pictures: counted in images shown, resumed bit for bit."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pyqmc_art.art.gan.catalogue import GanShape, build_players
from pyqmc_art.art.gan.game import Game
from pyqmc_art.art.gan.models import GanSynthesizer, load_players, make_synthesizer, save_gan
from pyqmc_art.art.gan.pool import Pool
from pyqmc_art.art.gan.rules import Rules
from pyqmc_art.art.gan.snapshots import SUFFIX, Snapshots
from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.learning.fit import fit
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.pretrained import open_workplace
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream

WARN_EVERY: Final = 100
"""Steps after which an uneven game is reported again."""
_PLAN: Final = "plan.json"

Measure = Callable[[GanSynthesizer], Mapping[str, float | str]]
"""Numbers about a synthesizer, for the curve over the images shown."""


@dataclass(frozen=True)
class GanTraining:
    """How to train a GAN.

    Parameters
    ----------
    shape : the networks
    rules : of the game
    kimg : thousands of real images shown
    batch : images of one step
    learning_rate : of both players, constant
    mirror : show half of the images mirrored
    freeze : stages of the discriminator that keep their weights (Freeze-D)
    snapshot_kimg : thousands of images between snapshots; 0 makes one, at the end
    seed : of weights, order, noise
    checkpoint_every : steps
    device : ``"auto"`` or ``"cpu"``
    """

    shape: GanShape = field(default_factory=GanShape)
    rules: Rules = field(default_factory=Rules)
    kimg: float = 50.0
    batch: int = 32
    learning_rate: float = 2e-4
    mirror: bool = True
    freeze: int = 0
    snapshot_kimg: float = 5.0
    seed: int = 0
    checkpoint_every: int = 200
    device: str = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 2:
            raise InputError(f"batch is {self.batch!r}; expected at least 2 images, or nothing can be normalised")
        if not (math.isfinite(self.kimg) and self.kimg * 1000 >= self.batch):
            raise InputError(f"kimg is {self.kimg}; expected at least one batch, {self.batch / 1000}")
        if not (math.isfinite(self.snapshot_kimg) and self.snapshot_kimg >= 0):
            raise InputError(f"snapshot_kimg is {self.snapshot_kimg}; expected at least 0")
        _ = self.fit_options

    @property
    def steps(self) -> int:
        """Steps in all."""
        return round(self.kimg * 1000 / self.batch)

    @property
    def snapshot_every(self) -> int:
        """Steps between snapshots."""
        return max(1, round(self.snapshot_kimg * 1000 / self.batch)) if self.snapshot_kimg else self.steps

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop."""
        return FitOptions(
            self.steps, self.learning_rate, "constant", clip=None, device=self.device,
            checkpoint_every=self.checkpoint_every,
        )  # fmt: skip

    def trajectory(self) -> dict[str, Any]:
        """What a resumed training must share, as JSON values; it may go on for longer than planned."""
        left_out = ("kimg", "snapshot_kimg", "checkpoint_every", "device")
        plan = {name: value for name, value in dataclasses.asdict(self).items() if name not in left_out}
        kept: dict[str, Any] = json.loads(json.dumps(plan))
        return kept


@dataclass(frozen=True)
class TrainedGan:
    """What a training gave: pictures of the averaged generator, and the game it came from."""

    synthesizer: GanSynthesizer
    game: Game
    balance: str
    seconds: float


def train_gan(
    pool: Pool,
    training: GanTraining,
    out: str | os.PathLike[str] | None = None,
    *,
    tune: str | os.PathLike[str] | None = None,
    measure: Measure | None = None,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    monitor: Monitor | None = None,
    until: int | None = None,
) -> TrainedGan:
    """Train a GAN, or tune one.

    Parameters
    ----------
    pool : training images of ``training.shape.size``
    training : how
    out : model directory to write; checkpoints lie in ``OUT.training`` until it is complete, snapshots in
        ``OUT.snapshots``
    tune : model directory to start from; its images go on being counted
    measure : asked at each snapshot
    resume : go on with an interrupted training of the same ``out``, to the very weights of an uninterrupted one
    force : replace a model that is there
    threads : of torch; None changes nothing
    until : leave after so many steps, as if stopped there; nothing but the checkpoint is written then

    Raises
    ------
    InputError
        For images of another size, another plan on resume, or an ``out`` in use.
    Interrupted
        After Ctrl-C.
    NumericalError
        When a loss stops being finite.
    """
    if pool.images.shape[1] != training.shape.size:
        raise InputError(f"the images have {pool.images.shape[1]} pixels; the networks take {training.shape.size}")
    work, show = _prepare(out, resume, force)
    stream = Stream.from_seed(training.seed).fold("train gan")
    game = Game(*build_players(training.shape, stream), training.rules)
    history = () if tune is None else load_players(game, tune, training.shape)
    game.critic.freeze(training.freeze)
    if work is not None:
        _check_plan(work, training.trajectory() | {"tune": str(tune or ""), "pictures": sorted(pool.digests)}, resume)
    snapshots = Snapshots(show, training.snapshot_every, training.steps)
    course = _Course(training, pool, history, int(game.images), snapshots, measure)
    with limit_torch(threads):
        result = fit(
            game, game.turns(), pool.batches(training.batch, training.mirror, stream), training.fit_options,
            stream=stream.fold("fit"), out=work, resume=resume, after=course.follow, monitor=monitor, label="gan",
            until=until,
        )  # fmt: skip
        game.cpu()
        synthesizer = make_synthesizer(game, training.shape, course.describe(game))
        if result.stopped == "steps" and out is not None and work is not None:
            log = (work / "log.jsonl").read_text("utf-8")
            save_gan(game, training.shape, synthesizer.history, out, log, force)
            shutil.rmtree(work, ignore_errors=True)
    return TrainedGan(synthesizer, game, game.balance(), result.seconds)


@dataclass(frozen=True)
class _Course:
    """What belongs to the steps of one training and is no loss; ``begun`` is how many images were shown before."""

    training: GanTraining
    pool: Pool
    history: tuple[Mapping[str, Any], ...]
    begun: int
    snapshots: Snapshots
    measure: Measure | None

    def follow(self, game: Any, step: int) -> dict[str, float | str]:
        """Count, average and steer; say who wins; take a snapshot."""
        game.follow(self.training.batch, self.begun)
        facts: dict[str, float | str] = {}
        if self.training.rules.balance != "off" and step % WARN_EVERY == 0 and game.balance() != "even":
            facts["winning"] = game.balance()
        if self.snapshots.due(step):
            synthesizer = make_synthesizer(game, self.training.shape, self.describe(game))
            facts |= self.snapshots.take(synthesizer, self.measure)
            facts |= {"probability": float(game.probability), "right_real": float(game.right[0]),
                      "right_made": float(game.right[1])}  # fmt: skip
        return facts

    def describe(self, game: Game) -> tuple[Mapping[str, Any], ...]:
        """The trainings so far, this one included."""
        images = int(game.images) - self.begun
        stage = {
            "stage": "tune" if self.history else "pre-train",
            "images": images,
            "kimg": images / 1000,
            "pictures": len(self.pool.names),
            "cuts": len(self.pool),
            "sha256": list(self.pool.digests),
            "options": self.training.trajectory(),
        }
        return (*self.history, stage)


def _prepare(out: str | os.PathLike[str] | None, resume: bool, force: bool) -> tuple[Path | None, Path | None]:
    """Folders of checkpoints and snapshots beside the model directory."""
    place, work = open_workplace(out, resume, force)
    if place is None:
        return None, None
    show = place.with_name(f"{place.name}.snapshots")
    if not resume:
        for sheet in show.glob(f"*{SUFFIX}"):
            sheet.unlink()
    return work, show


def _check_plan(work: Path, plan: Mapping[str, Any], resume: bool) -> None:
    """Keep what a resumed training must share, or compare with what is kept.

    Raises
    ------
    InputError
        When a resumed training has another plan.
    """
    place = work / _PLAN
    try:
        if resume and place.exists():
            kept = json.loads(place.read_text("utf-8"))
            changed = [name for name in plan if kept.get(name) != plan[name]]
            if changed:
                raise InputError(
                    f"{work} holds a training with other {', '.join(changed)}; give the same again, or remove it"
                )
            return
        work.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(plan), "utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {place} ({error.strerror}); is there room?") from error
