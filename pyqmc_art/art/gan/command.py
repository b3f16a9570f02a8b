"""What ``train gan`` does, as a function that neither prints nor exits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.gan.pool import Pool, open_pool
from pyqmc_art.art.gan.price import price_gan
from pyqmc_art.art.gan.training import GanTraining, TrainedGan, train_gan
from pyqmc_art.art.wording import count
from pyqmc_art.errors import Interrupted
from pyqmc_art.learning.pretrained import check_target
from pyqmc_art.protocols import Monitor

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


def train_command(
    choice: Choice,
    training: GanTraining,
    out: str | os.PathLike[str],
    *,
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
    try:
        trained = train_gan(
            pool, training, out, tune=tune, resume=resume, force=force, threads=threads, monitor=monitor
        )
    except Interrupted as error:
        raise Interrupted(f"{str(error).partition(';')[0]}; the same command with --resume goes on") from None
    return Outcome(_tell(trained, out), tuple(filter(None, [_WINNING.get(trained.balance)])))


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


def _state(trained: TrainedGan) -> str:
    real, made = (float(x) for x in trained.game.right)
    return f"{trained.balance} (of the last hundred steps {real:.0%} of real and {made:.0%} of made images were told)"
