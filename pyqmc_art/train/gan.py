"""The command ``pyqmc-art train gan``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.data import tell
from pyqmc_art.errors import InputError

if TYPE_CHECKING:
    from pyqmc_art.art.gan.training import GanTraining

_Many = Parameter(consume_multiple=True)
_All = Parameter(name="*")


@dataclass(frozen=True)
class GanFlags:
    """What ``train gan`` takes.

    Parameters
    ----------
    manifest
        Manifest (.csv, .jsonl), or a folder whose sub-folders are named after roles.
    role
        Roles that are learned from; default: all.
    hand
        Only pictures by this hand; some words of the name are enough.
    levels
        Cells along each side for every level of the pyramid that a picture is cut into.
    out
        Model directory to write.
    kind
        dcgan, light or stylegan2; with --tune that of the model.
    resolution
        Side of the images in pixels, a power of two; default: 64, with --tune that of the model.
    width
        Channels at the largest size; default: 32.
    latent
        Length of a latent vector; default: 100.
    tune
        Model directory to start from.
    freeze
        Stages of the discriminator that keep their weights (Freeze-D).
    kimg
        Thousands of images shown in this training.
    train_batch_size
        Images of one step.
    learning_rate
        Of both players.
    loss
        non-saturating, minimax or hinge.
    augment
        none, diff (DiffAugment) or ada.
    r1
        Weight of the penalty on the discriminator's slope.
    path_length
        Weight of the path-length penalty (stylegan2).
    phases
        Steps of the discriminator alone, then of the generator alone; default: both in each step.
    balance
        off, warn, or hold a winning discriminator.
    average
        Half-life of the averaged generator in thousands of images.
    no_mirror
        Do not show half of the images mirrored.
    snapshot_kimg
        Thousands of images between sheets of fixed seeds.
    metrics
        What looks at the pictures of a sheet: auto, lite0, random, pixels, or none.
    metrics_size
        Side in pixels at which it looks.
    checkpoint_every
        Steps between checkpoints.
    device
        auto or cpu.
    seed
        Of everything random.
    threads
        Default: OMP_NUM_THREADS, or else all cores.
    resume
        Go on with an interrupted training of the same --out.
    force
        Replace the model that is there.
    dry_run
        Say what would be done and what it costs, and stop.
    """

    manifest: Path | None = None
    role: Annotated[tuple[str, ...] | None, _Many] = None
    hand: str | None = None
    levels: Annotated[tuple[int, ...], _Many, options.WHOLE] = (1,)
    out: Path | None = None
    kind: str | None = None
    resolution: Annotated[int | None, options.WHOLE] = None
    width: Annotated[int | None, options.WHOLE] = None
    latent: Annotated[int | None, options.WHOLE] = None
    tune: Path | None = None
    freeze: Annotated[int, options.WHOLE] = 0
    kimg: float = 50.0
    train_batch_size: Annotated[int | None, options.WHOLE] = None
    learning_rate: float | None = None
    loss: str | None = None
    augment: str | None = None
    r1: float | None = None
    path_length: float | None = None
    phases: Annotated[tuple[int, ...], _Many, options.WHOLE] = (0, 0)
    balance: str = "warn"
    average: float = 1.0
    no_mirror: bool = False
    snapshot_kimg: float = 5.0
    metrics: str = "auto"
    metrics_size: Annotated[int, options.WHOLE] = 64
    checkpoint_every: Annotated[int, options.WHOLE] = 200
    device: str = "auto"
    seed: Annotated[int, options.WHOLE] = 0
    threads: Annotated[int | None, options.WHOLE] = None
    resume: bool = False
    force: bool = False
    dry_run: bool = False


def gan(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[GanFlags, _All] = GanFlags(),
) -> int:
    """Train a GAN on pictures, or tune one on a few: a model directory for generate, and sheets on the way."""
    given, _ = options.settle(settings, config)
    chosen = dataclasses.replace(GanFlags(), **given)
    for key, example in {"manifest": "pictures/manifest.csv", "out": "model"}.items():
        if getattr(chosen, key) is None:
            raise InputError(f"no {key} was given; for instance --{key} {example}")
    if len(chosen.phases) != 2:
        raise InputError(f"phases has {len(chosen.phases)} numbers; expected two, for instance 100 100")
    if print_config:
        print(options.as_toml(dataclasses.asdict(chosen)))
        return 0
    return _train(chosen)


def _train(chosen: GanFlags) -> int:
    from pyqmc_art.backends import default_threads
    from pyqmc_art.monitor import choose_monitor

    try:
        from pyqmc_art.art.gan.command import train_command
        from pyqmc_art.art.synthesis.command import Choice, Metrics
    except ImportError as reason:
        raise InputError(f"train gan needs {reason.name}; pip install 'pyqmc-art[learn,art]'") from reason
    choice = Choice(Path(str(chosen.manifest)), chosen.role or (), chosen.hand, chosen.levels)
    outcome = train_command(
        choice, _plan(chosen), Path(str(chosen.out)), tune=chosen.tune,
        metrics=Metrics(chosen.metrics, chosen.metrics_size), monitor=choose_monitor(), announce=_announce,
        resume=chosen.resume, force=chosen.force, dry_run=chosen.dry_run, threads=chosen.threads or default_threads(),
    )  # fmt: skip
    return tell(outcome)


def _plan(chosen: GanFlags) -> GanTraining:
    """Options with the defaults of the kind."""
    from pyqmc_art.art.gan.catalogue import GanShape
    from pyqmc_art.art.gan.models import read_shape
    from pyqmc_art.art.gan.rules import Rules
    from pyqmc_art.art.gan.training import GanTraining

    start = GanShape() if chosen.tune is None else read_shape(chosen.tune)
    asked: dict[str, Any] = {
        "kind": chosen.kind,
        "size": chosen.resolution,
        "width": chosen.width,
        "latent": chosen.latent,
    }
    shape = dataclasses.replace(start, **{name: value for name, value in asked.items() if value is not None})
    habit = shape.habit
    phases = (chosen.phases[0], chosen.phases[1])
    rules = Rules(
        chosen.loss or habit.loss, chosen.augment or habit.augment, habit.slope if chosen.r1 is None else chosen.r1,
        path=habit.path if chosen.path_length is None else chosen.path_length, phases=phases, average=chosen.average,
        balance=chosen.balance, betas=habit.betas,
    )  # fmt: skip
    return GanTraining(
        shape, rules, chosen.freeze, kimg=chosen.kimg, batch=chosen.train_batch_size or habit.batch,
        learning_rate=chosen.learning_rate or habit.learning_rate, mirror=not chosen.no_mirror,
        snapshot_kimg=chosen.snapshot_kimg, seed=chosen.seed, checkpoint_every=chosen.checkpoint_every,
        device=chosen.device,
    )  # fmt: skip


def _announce(text: str) -> None:
    print(text, flush=True)
