"""What the commands that train synthesizers share: which pictures, which numbers, and what is said of both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyqmc_art.art.metrics.vision import choose_vision
from pyqmc_art.art.synthesis.course import Plan
from pyqmc_art.art.synthesis.curves import FEWEST, make_measure, read_curves
from pyqmc_art.art.synthesis.maker import Maker
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.art.synthesis.snapshots import Measure
from pyqmc_art.art.wording import count
from pyqmc_art.errors import Interrupted
from pyqmc_art.learning.threads import limit_torch
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
    return (
        f"at {size} x {size} on {count(len(pool.names), 'picture')}{cuts}: {plan.kimg:g} kimg in {plan.steps} steps "
        f"of {plan.batch}"
    )


@contextmanager
def name_resume() -> Iterator[None]:
    """Let an interrupted training say how the command goes on."""
    try:
        yield
    except Interrupted as error:
        raise Interrupted(f"{str(error).partition(';')[0]}; the same command with --resume goes on") from None


def tell_rate(synthesizer: Maker, images: int, seconds: float) -> str:
    """Say how much was shown, and how fast."""
    rate = f", {images / seconds:.3g} images/s" if seconds else ""
    return f"{images / 1000:g} kimg shown, {synthesizer.kimg:g} in all trainings{rate}"


def tell_place(synthesizer: Maker, out: str | os.PathLike[str]) -> str:
    """Say what was written."""
    return f"wrote {out} (checkpoint {synthesizer.digest}); sheets of fixed seeds in {out}.snapshots"


def tell_numbers(model: str | os.PathLike[str], memory: str) -> str:
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
