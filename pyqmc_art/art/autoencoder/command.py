"""What ``train autoencoder`` does, as functions that neither print nor exit."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pyqmc_art.art.autoencoder.learner import BOUND
from pyqmc_art.art.autoencoder.models import load_autoencoder
from pyqmc_art.art.autoencoder.price import price_autoencoder
from pyqmc_art.art.autoencoder.training import AutoencoderTraining, train_autoencoder
from pyqmc_art.art.commands import Outcome
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
from pyqmc_art.art.synthesis.curves import read_curves, read_memory
from pyqmc_art.art.synthesis.pool import Pool, open_pool
from pyqmc_art.art.synthesis.snapshots import Measure
from pyqmc_art.errors import InputError
from pyqmc_art.learning.pretrained import check_target
from pyqmc_art.protocols import Monitor
from pyqmc_art.stats.estimate import Estimate


def train_command(
    choice: Choice,
    training: AutoencoderTraining,
    out: str | os.PathLike[str],
    *,
    metrics: Metrics,
    weights: Sequence[float] = (),
    tune: Path | None = None,
    monitor: Monitor | None = None,
    announce: Callable[[str], None] = print,
    resume: bool = False,
    force: bool = False,
    dry_run: bool = False,
    threads: int | None = None,
) -> Outcome:
    """Train or tune an autoencoder, or one for each weight of the divergence, and say what came of it.

    Parameters
    ----------
    choice : the pictures
    training : how
    out : model directory; of a sweep the folder of model directories ``kl-WEIGHT``
    metrics : measured at each snapshot, against the pictures themselves
    weights : of the divergence; several make a sweep, none takes that of ``training``
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
    plans = {weight: replace(training, kl_weight=weight) for weight in weights or (training.kl_weight,)}
    if len(plans) < len(weights):
        raise InputError(f"kl_weight is {' '.join(f'{w:g}' for w in weights)}; expected none twice")
    places = {weight: Path(out) / f"kl-{weight:g}" if len(plans) > 1 else Path(out) for weight in plans}
    done = {weight for weight, place in places.items() if resume and len(plans) > 1 and place.exists()}
    for weight in plans.keys() - done:
        check_target(places[weight], force)
    pool = open_pool(choice.manifest, training.shape.size, choice.roles, choice.hand, choice.levels, monitor)
    announce(_introduce(pool, training, tune, list(plans)))
    if dry_run:
        announce(str(price_autoencoder(training, len(plans), threads)))
        return Outcome("nothing was trained (dry run)")
    measure = prepare_measure(pool, training, metrics, announce, threads)
    told, problems = [], []
    for weight, plan in plans.items():
        place = places[weight]
        if weight not in done:
            with name_resume():
                told.append(_train(pool, plan, place, tune, measure, resume, force, threads, monitor))
        memory, copies = read_memory(place)
        problems += [memory] if copies else []
    if len(plans) > 1:
        told.append(tell_sweep(places))
    return Outcome("\n".join(told), tuple(problems))


def _train(
    pool: Pool, plan: AutoencoderTraining, place: Path, tune: Path | None, measure: Measure | None, resume: bool,
    force: bool, threads: int | None, monitor: Monitor | None,
) -> str:  # fmt: skip
    trained = train_autoencoder(
        pool, plan, place, tune=tune, measure=measure, resume=resume, force=force, threads=threads, monitor=monitor
    )
    synthesizer = trained.synthesizer
    rate = tell_rate(synthesizer, int(synthesizer.history[-1]["images"]), trained.seconds)
    return f"{rate}\n{tell_place(synthesizer, place)}{tell_numbers(place, read_memory(place)[0])}"


def tell_sweep(places: dict[float, Path]) -> str:
    """Say what each weight came to, one line each: the terms of the bound, and what else was measured last."""
    lines = ["weight of the divergence -> what came of it"]
    for weight, place in places.items():
        last = {name: Estimate(s.values[-1], s.errors[-1]) for name, s in read_curves(place).items()}
        shown = [f"{name} {value}" for name, value in last.items() if name in BOUND or name.startswith(("FD", "KID"))]
        lines.append(f"{weight:g}: {', '.join(shown)} ({load_autoencoder(place).kimg:g} kimg)")
    return "\n".join(lines)


def _introduce(pool: Pool, training: AutoencoderTraining, tune: Path | None, weights: Sequence[float]) -> str:
    shape = training.shape
    what = "training an autoencoder" if tune is None else f"tuning {tune}, an autoencoder,"
    weighted = f"weight of the divergence {weights[0]:g}" if len(weights) == 1 else (
        f"one for each weight of the divergence: {', '.join(f'{w:g}' for w in weights)}"
    )  # fmt: skip
    return (
        f"{what} {describe_task(pool, training, shape.size)}; latent map {shape.latent} x {shape.side} x {shape.side}, "
        f"{weighted}"
    )
