"""What ``train lora`` does, as a function that neither prints nor exits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.diffusion.lora import LoraTraining, train_lora
from pyqmc_art.art.diffusion.lora_price import price_lora
from pyqmc_art.art.diffusion.stable_folder import open_folder
from pyqmc_art.art.synthesis.command import Choice, Metrics, describe_task, name_resume, prepare_measure
from pyqmc_art.art.synthesis.pool import open_pool
from pyqmc_art.learning.pretrained import check_target
from pyqmc_art.protocols import Monitor


def train_command(
    base: Path,
    choice: Choice,
    training: LoraTraining,
    out: str | os.PathLike[str],
    *,
    metrics: Metrics,
    monitor: Monitor | None = None,
    announce: Callable[[str], None] = print,
    resume: bool = False,
    force: bool = False,
    dry_run: bool = False,
    threads: int | None = None,
) -> Outcome:
    """Train a LoRA and say what came of it.

    Parameters
    ----------
    base : local directory of a pipeline
    choice : the pictures
    training : how
    out : model directory
    metrics : measured at each snapshot, against the pictures themselves
    announce : told what will be done, before it starts
    dry_run : stop after the announcement

    Raises
    ------
    InputError
        For a pipeline, pictures or options that cannot be used.
    Interrupted
        After Ctrl-C; the same command with ``--resume`` goes on.
    """
    check_target(Path(out), force)
    found = open_folder(base)
    pool = open_pool(choice.manifest, training.size, choice.roles, choice.hand, choice.levels, monitor)
    task = describe_task(pool, training, training.size)
    announce(f"training a LoRA of rank {training.rank} for {base}, a {found.kind}, {task}")
    if dry_run:
        announce(str(price_lora(base, training, threads)))
        return Outcome("nothing was trained (dry run)")
    measure = prepare_measure(pool, training, metrics, announce, threads)
    with name_resume():
        trained = train_lora(
            base, pool, training, out, measure=measure, resume=resume, force=force, threads=threads, monitor=monitor
        )
    shown = training.steps * training.batch
    return Outcome(
        f"{shown / 1000:g} kimg shown, {shown / trained.seconds:.3g} images/s\nwrote {out}; take it with generate "
        f"{base} --lora {out}; sheets of fixed seeds in {out}.snapshots"
    )
