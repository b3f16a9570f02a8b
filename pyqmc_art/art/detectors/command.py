"""What ``train detector`` does, as a function that neither prints nor exits."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.detectors.catalogue import PLAIN
from pyqmc_art.art.detectors.selection import Selection, prepare_rows
from pyqmc_art.art.detectors.summary import summarise
from pyqmc_art.art.detectors.training import DetectorOptions, check_place, price_training, train_detector
from pyqmc_art.art.equalising import QUALITY, Choice, choose_equaliser
from pyqmc_art.art.wording import count
from pyqmc_art.backends import use_threads
from pyqmc_art.errors import Interrupted
from pyqmc_art.protocols import Monitor


@dataclass(frozen=True)
class EqualiseOptions:
    """How pictures are equalised; see :func:`pyqmc_art.art.equalising.choose_equaliser`."""

    size: str = "auto"
    downscale: str = "auto"
    quality: tuple[int, int] = QUALITY


def train_command(
    manifest: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: DetectorOptions,
    equalise: EqualiseOptions = EqualiseOptions(),
    *,
    monitor: Monitor | None = None,
    announce: Callable[[str], None] = print,
    resume: bool = False,
    force: bool = False,
    dry_run: bool = False,
    threads: int | None = None,
) -> Outcome:
    """Train a detector on the rows of a manifest and say what held-out works show.

    Parameters
    ----------
    manifest : file, or folder whose sub-folders are named after roles
    out : model directory
    options : what to train; their equaliser is chosen here
    equalise : how
    monitor : what a person sees
    announce : told what will be done and what it costs, before it starts
    resume : take up what an interrupted training left beside ``out``
    force : replace a model that is there
    dry_run : stop after the announcements
    threads : None takes the default

    Raises
    ------
    InputError
        For rows or options that cannot be used.
    Interrupted
        After Ctrl-C; the same command with ``--resume`` goes on.
    """
    place = Path(out)
    check_place(place, force)
    with use_threads(threads), _limit_torch(threads, options):
        selection = prepare_rows(manifest, options.hand, options.contrast)
        if selection.problems:
            return _refuse(manifest, selection)
        choice = choose_equaliser(selection.rows, equalise.size, equalise.downscale, equalise.quality)
        _introduce(selection, choice, announce)
        chosen = replace(options, hand=selection.hand, equaliser=choice.equaliser)
        if dry_run:
            price_training(selection.rows, chosen, announce)
            return Outcome("nothing was trained (dry run)")
        try:
            training = train_detector(
                selection.rows, chosen, place, monitor=monitor, announce=announce, resume=resume, force=force
            )
        except Interrupted as error:
            raise Interrupted(f"{str(error).partition(';')[0]}; {_HOW}") from None
        except KeyboardInterrupt:
            raise Interrupted(f"the training was stopped; {_HOW}") from None
    return Outcome(f"{summarise(training)}\nwrote {place}")


_HOW = "the same command with --resume goes on from there"


def _refuse(manifest: str | os.PathLike[str], selection: Selection) -> Outcome:
    number = len(selection.problems)
    last = f"{count(number, 'problem')} in {manifest}: nothing was trained; mend them, or let data scan leave them out"
    return Outcome("", (*map(str, selection.problems), last), 2)


def _introduce(selection: Selection, choice: Choice, announce: Callable[[str], None]) -> None:
    announce(selection.rows.summary())
    merged = selection.merged
    if merged is not None and merged.pairs:
        announce(
            f"{count(len(merged.pairs), 'pair')} of near-duplicates were merged: they stay on one side of every split"
        )
    for members in merged.mixed if merged is not None else ():
        said = ", ".join(f"{row.path} ({row.role} of {row.maker or 'unknown'})" for row in members)
        announce(f"one work with different labels, look at it: {said}")
    announce(f"equalised: {choice.reason}" if choice.equaliser else f"not equalised: {choice.reason}")


def _limit_torch(threads: int | None, options: DetectorOptions) -> AbstractContextManager[None]:
    """Bound the threads of a network; the plain detectors need no torch."""
    if threads is None or options.backbone in PLAIN:
        return nullcontext()
    from pyqmc_art.learning.threads import limit_torch

    return limit_torch(threads)
