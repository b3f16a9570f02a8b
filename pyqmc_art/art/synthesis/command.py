"""What the commands that train synthesizers share: their errand, how it is run, and what is said of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.metrics.vision import choose_vision
from pyqmc_art.art.synthesis.course import Plan, Terms
from pyqmc_art.art.synthesis.curves import FEWEST, make_measure, read_curves, read_memory
from pyqmc_art.art.synthesis.maker import Maker
from pyqmc_art.art.synthesis.pool import Pool, open_pool
from pyqmc_art.art.synthesis.snapshots import Measure
from pyqmc_art.art.wording import count
from pyqmc_art.errors import Interrupted
from pyqmc_art.learning.pretrained import check_target
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate


@dataclass(frozen=True)
class Choice:
    """Which pictures of a manifest are learned from; see :func:`pyqmc_art.art.synthesis.pool.open_pool`."""

    manifest: Path
    roles: Sequence[str] = ()
    hand: str | None = None
    levels: str | tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Metrics:
    """What is measured at each snapshot: by which vision (``"none"`` for nothing), at which side in pixels."""

    vision: str = "auto"
    size: int = 64


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What every command that trains a synthesizer is told beside how.

    Parameters
    ----------
    choice : the pictures
    out : model directory
    metrics : measured at each snapshot, against the pictures themselves
    announce : told what will be done and what it costs, before it starts
    dry_run : stop after the announcements
    monitor, resume, force, threads : see :class:`pyqmc_art.art.synthesis.course.Terms`
    """

    choice: Choice
    out: Path
    metrics: Metrics = Metrics()
    monitor: Monitor | None = None
    announce: Callable[[str], None] = print
    resume: bool = False
    force: bool = False
    dry_run: bool = False
    threads: int | None = None

    def terms(self, measure: Measure | None) -> Terms:
        """On what terms the training is done."""
        return {
            "measure": measure, "resume": self.resume, "force": self.force, "threads": self.threads,
            "monitor": self.monitor,
        }  # fmt: skip


@dataclass(frozen=True)
class Task:
    """An errand whose pictures are known.

    Attributes
    ----------
    introduction : what will be done
    price : measures what it will cost
    train : takes the terms and says what came of it
    """

    introduction: str
    price: Callable[[], object]
    train: Callable[[Terms], Outcome]


def run_errand(
    errand: Errand, plan: Plan, size: int, prepare: Callable[[Pool], Task], places: Iterable[Path] | None = None
) -> Outcome:
    """Look at the pictures, say what will be done and what it costs, and do it.

    Parameters
    ----------
    errand : what was asked for
    plan : of the training
    size : side of the pictures in pixels
    prepare : makes the task, given the pictures
    places : model directories that will be written; None for ``errand.out`` alone

    Raises
    ------
    InputError
        For pictures or options that cannot be used.
    Interrupted
        After Ctrl-C; the same command with ``--resume`` goes on.
    """
    for place in (errand.out,) if places is None else places:
        check_target(place, errand.force)
    choice = errand.choice
    pool = open_pool(choice.manifest, size, choice.roles, choice.hand, choice.levels, errand.monitor)
    task = prepare(pool)
    errand.announce(task.introduction)
    if errand.dry_run:
        errand.announce(str(task.price()))
        return Outcome("nothing was trained (dry run)")
    measure = prepare_measure(pool, plan, errand.metrics, errand.announce, errand.threads)
    with name_resume():
        return task.train(errand.terms(measure))


def prepare_measure(
    pool: Pool, plan: Plan, metrics: Metrics, announce: Callable[[str], None], threads: int | None
) -> Measure | None:
    """Prepare what is measured at each snapshot; None where nothing can be, or shall."""
    if metrics.vision == "none":
        return None
    if len(pool.names) < FEWEST:
        announce(f"nothing is measured: {count(len(pool.names), 'picture')}, fewer than {FEWEST}")
        return None
    with limit_torch(threads):
        vision = choose_vision(metrics.vision, metrics.size)
        return make_measure(pool, vision, Stream.from_seed(plan.seed).fold("metrics"), plan.mirror)


def describe_task(pool: Pool, plan: Plan, size: int) -> str:
    """Say on what is trained, and for how long."""
    cuts = "" if len(pool) == len(pool.names) else f", cut into {len(pool)}"
    short = "" if plan.precision == "no" else f" in {plan.precision}"
    return (
        f"at {size} x {size} on {count(len(pool.names), 'picture')}{cuts}: {plan.kimg:g} kimg in {plan.steps} steps "
        f"of {plan.batch}{short}"
    )


@contextmanager
def name_resume() -> Iterator[None]:
    """Let an interrupted training say how the command goes on."""
    try:
        yield
    except Interrupted as error:
        raise Interrupted(f"{str(error).partition(';')[0]}; the same command with --resume goes on") from None


def tell_training(
    synthesizer: Maker, images: int, seconds: float, out: str | os.PathLike[str], remark: str = ""
) -> Outcome:
    """Say what a training came to; that it copies is a problem.

    Parameters
    ----------
    synthesizer : that was trained
    images, seconds : of this training
    out : the model directory that was written
    remark : what else is said of the training
    """
    memory, copies = read_memory(out)
    rate = f", {images / seconds:.3g} images/s" if seconds else ""
    report = (
        f"{images / 1000:g} kimg shown, {synthesizer.kimg:g} in all trainings{rate}{remark}\n"
        f"wrote {out} (checkpoint {synthesizer.digest}); sheets of fixed seeds in {out}.snapshots"
        f"{_tell_numbers(out, memory)}"
    )
    return Outcome(report, (memory,) if copies else ())


def _tell_numbers(model: str | os.PathLike[str], memory: str) -> str:
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
