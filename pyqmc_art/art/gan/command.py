"""What ``train gan`` does, as a function that neither prints nor exits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.gan.curves import FEWEST, make_measure, read_curves, read_memory
from pyqmc_art.art.gan.pool import Pool, open_pool
from pyqmc_art.art.gan.price import price_gan
from pyqmc_art.art.gan.training import GanTraining, Measure, TrainedGan, train_gan
from pyqmc_art.art.metrics.vision import choose_vision
from pyqmc_art.art.wording import count
from pyqmc_art.errors import Interrupted
from pyqmc_art.learning.pretrained import check_target
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

_WINNING = {
    "discriminator": "the discriminator tells more than 95 % of both sides: the generator hardly learns from it; "
    "take --augment diff or ada, --balance hold, or more pictures",
    "generator": "the discriminator tells less than 40 %: it teaches nothing; take more --width, or a lower rate",
}


@dataclass(frozen=True)
class Choice:
    """Which pictures of a manifest are learned from; see :func:`pyqmc_art.art.gan.pool.open_pool`."""

    manifest: Path
    roles: Sequence[str] = ()
    hand: str | None = None
    levels: str | tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Metrics:
    """What is measured at each snapshot: by which vision (``"none"`` for nothing), at which side in pixels."""

    vision: str = "auto"
    size: int = 64


def train_command(
    choice: Choice,
    training: GanTraining,
    out: str | os.PathLike[str],
    *,
    tune: Path | None = None,
    metrics: Metrics = Metrics(),
    monitor: Monitor | None = None,
    announce: Callable[[str], None] = print,
    resume: bool = False,
    force: bool = False,
    dry_run: bool = False,
    threads: int | None = None,
) -> Outcome:
    """Train or tune a GAN and say what came of it.

    Parameters
    ----------
    choice : the pictures
    training : how
    out : model directory
    tune : model directory to start from
    metrics : measured at each snapshot, against the pictures themselves
    announce : told what will be done and what it costs, before it starts
    dry_run : stop after the announcements

    Raises
    ------
    InputError
        For pictures or options that cannot be used.
    Interrupted
        After Ctrl-C; the same command with ``--resume`` goes on.
    """
    check_target(Path(out), force)
    pool = open_pool(choice.manifest, training.shape.size, choice.roles, choice.hand, choice.levels, monitor)
    announce(_introduce(pool, training, tune))
    if dry_run:
        announce(str(price_gan(training, threads)))
        return Outcome("nothing was trained (dry run)")
    measure = _prepare_measure(pool, training, metrics, announce, threads)
    try:
        trained = train_gan(
            pool,
            training,
            out,
            tune=tune,
            measure=measure,
            resume=resume,
            force=force,
            threads=threads,
            monitor=monitor,
        )
    except Interrupted as error:
        raise Interrupted(f"{str(error).partition(';')[0]}; the same command with --resume goes on") from None
    memory, copies = read_memory(out)
    problems = (_WINNING.get(trained.balance), memory if copies else None)
    return Outcome(_tell(trained, out) + _tell_numbers(Path(out), memory), tuple(filter(None, problems)))


def _prepare_measure(
    pool: Pool, training: GanTraining, metrics: Metrics, announce: Callable[[str], None], threads: int | None
) -> Measure | None:
    if metrics.vision == "none":
        return None
    if len(pool.names) < FEWEST:
        announce(f"nothing is measured: {count(len(pool.names), 'picture')}, fewer than {FEWEST}")
        return None
    with limit_torch(threads):
        vision = choose_vision(metrics.vision, metrics.size)
        stream = Stream.from_seed(training.seed).fold("metrics")
        return make_measure(pool, vision, stream, training.mirror)


def _introduce(pool: Pool, training: GanTraining, tune: Path | None) -> str:
    shape = training.shape
    cuts = "" if len(pool) == len(pool.names) else f", cut into {len(pool)}"
    what = f"training a {shape.kind}" if tune is None else f"tuning {tune}, a {shape.kind},"
    return (
        f"{what} at {shape.size} x {shape.size} on {count(len(pool.names), 'picture')}{cuts}: {training.kimg:g} kimg "
        f"in {training.steps} steps of {training.batch}; {training.rules.loss} loss, augmentation "
        f"{training.rules.augment}"
    )


def _tell(trained: TrainedGan, out: str | os.PathLike[str]) -> str:
    synthesizer = trained.synthesizer
    last = int(synthesizer.history[-1]["images"])
    rate = f", {last / trained.seconds:.3g} images/s" if trained.seconds else ""
    return (
        f"{last / 1000:g} kimg shown, {synthesizer.kimg:g} in all trainings{rate}; the game is {_state(trained)}\n"
        f"wrote {out} (checkpoint {synthesizer.digest}); sheets of fixed seeds in {out}.snapshots"
    )


def _tell_numbers(model: Path, memory: str) -> str:
    """The last numbers, each with its error, beside the first, and what is said of copying."""
    curves = read_curves(model)
    lines = [
        f"{name}: {Estimate(series.values[-1], series.errors[-1])}"
        + (
            f", at {series.kimg[0]:g} kimg {Estimate(series.values[0], series.errors[0])}"
            if len(series.kimg) > 1
            else ""
        )
        for name, series in curves.items()
    ]
    if not lines:
        return ""
    return "\nagainst the pictures it learned from:\n" + "\n".join([*lines, memory])


def _state(trained: TrainedGan) -> str:
    real, made = (float(x) for x in trained.game.right)
    return f"{trained.balance} (of the last hundred steps {real:.0%} of real and {made:.0%} of made images were told)"
