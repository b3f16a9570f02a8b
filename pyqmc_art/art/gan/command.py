"""What ``train gan`` does, as a function that neither prints nor exits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.gan.price import price_gan
from pyqmc_art.art.gan.training import GanTraining, TrainedGan, train_gan
from pyqmc_art.art.synthesis.command import (
    Choice,
    Metrics,
    describe_task,
    name_resume,
    prepare_measure,
    tell_numbers,
    tell_place,
    tell_rate,
)
from pyqmc_art.art.synthesis.curves import read_memory
from pyqmc_art.art.synthesis.pool import Pool, open_pool
from pyqmc_art.learning.pretrained import check_target
from pyqmc_art.protocols import Monitor

_WINNING = {
    "discriminator": "the discriminator tells more than 95 % of both sides: the generator hardly learns from it; "
    "take --augment diff or ada, --balance hold, or more pictures",
    "generator": "the discriminator tells less than 40 %: it teaches nothing; take more --width, or a lower rate",
}


def train_command(
    choice: Choice,
    training: GanTraining,
    out: str | os.PathLike[str],
    *,
    metrics: Metrics,
    tune: Path | None = None,
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
    metrics : measured at each snapshot, against the pictures themselves
    tune : model directory to start from
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
    measure = prepare_measure(pool, training, metrics, announce, threads)
    with name_resume():
        trained = train_gan(
            pool, training, out, tune=tune, measure=measure, resume=resume, force=force, threads=threads,
            monitor=monitor,
        )  # fmt: skip
    memory, copies = read_memory(out)
    problems = (_WINNING.get(trained.balance), memory if copies else None)
    return Outcome(_tell(trained, out) + tell_numbers(out, memory), tuple(filter(None, problems)))


def _introduce(pool: Pool, training: GanTraining, tune: Path | None) -> str:
    shape, rules = training.shape, training.rules
    what = f"training a {shape.kind}" if tune is None else f"tuning {tune}, a {shape.kind},"
    return f"{what} {describe_task(pool, training, shape.size)}; {rules.loss} loss, augmentation {rules.augment}"


def _tell(trained: TrainedGan, out: str | os.PathLike[str]) -> str:
    synthesizer = trained.synthesizer
    rate = tell_rate(synthesizer, int(synthesizer.history[-1]["images"]), trained.seconds)
    return f"{rate}; the game is {_state(trained)}\n{tell_place(synthesizer, out)}"


def _state(trained: TrainedGan) -> str:
    real, made = (float(x) for x in trained.game.right)
    return f"{trained.balance} (of the last hundred steps {real:.0%} of real and {made:.0%} of made images were told)"
