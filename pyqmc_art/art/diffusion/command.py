"""What ``train diffusion`` does, as a function that neither prints nor exits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.diffusion.codec import Codec, LatentCodec
from pyqmc_art.art.diffusion.price import price_diffusion
from pyqmc_art.art.diffusion.training import DiffusionTraining, choose_codec, find_classes, train_diffusion
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


def train_command(
    choice: Choice,
    training: DiffusionTraining,
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
    """Train or tune a diffusion model and say what came of it.

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
    classes, _ = find_classes(pool, training.classes, tune)
    training.made.settle(training.shape, classes)
    codec = choose_codec(pool, training, tune)
    announce(_introduce(pool, training, tune, classes, codec))
    if dry_run:
        announce(str(price_diffusion(training, codec, len(classes), threads)))
        return Outcome("nothing was trained (dry run)")
    measure = prepare_measure(pool, training, metrics, announce, threads)
    with name_resume():
        trained = train_diffusion(
            pool, training, out, tune=tune, measure=measure, resume=resume, force=force, threads=threads,
            monitor=monitor,
        )  # fmt: skip
    synthesizer = trained.synthesizer
    memory, copies = read_memory(out)
    rate = tell_rate(synthesizer, int(synthesizer.history[-1]["images"]), trained.seconds)
    return Outcome(
        f"{rate}\n{tell_place(synthesizer, out)}{tell_numbers(out, memory)}", (memory,) if copies else ()
    )  # fmt: skip


def _introduce(
    pool: Pool, training: DiffusionTraining, tune: Path | None, classes: dict[str, int], codec: Codec
) -> str:
    what = "training a diffusion model" if tune is None else f"tuning {tune}, a diffusion model,"
    known = ", ".join(f"{name} {n}" for name, n in classes.items())
    inside = (
        f" on a latent map {codec.channels} x {codec.side} x {codec.side}" if isinstance(codec, LatentCodec) else ""
    )
    return (
        f"{what} {describe_task(pool, training, training.shape.size)}; objective {training.shape.objective}{inside}"
        + (f"; classes {known}" if known else "")
    )
