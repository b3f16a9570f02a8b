"""A training counted in images shown: its plan, snapshots and history, resumed bit for bit; whatever is trained."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypedDict

from torch import nn

from pyqmc_art.art.synthesis.maker import Maker
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.art.synthesis.snapshots import COLUMNS, ROWS, SUFFIX, Measure, Snapshots
from pyqmc_art.art.synthesis.weights import count_images
from pyqmc_art.errors import InputError, StoreError, unknown
from pyqmc_art.learning.fit import Batches, FitResult, fit
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.precision import multiplies_bf16
from pyqmc_art.learning.pretrained import open_workplace
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.learning.turns import Turn
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream

PRECISIONS: Final = ("auto", "no", "bf16")
_PLAN: Final = "plan.json"

History: TypeAlias = tuple[Mapping[str, Any], ...]
"""The trainings of a model, each with its images, options and the checksums of its pictures."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how to train; what is trained has options of its own.

    Parameters
    ----------
    kimg : thousands of real images shown
    batch : images of one step
    learning_rate : constant
    mirror : show half of the images mirrored
    snapshot_kimg : thousands of images between snapshots; 0 makes one, at the end
    first_kimg : thousands of images before one more snapshot, where learning is fastest; 0 makes none
    seed : of weights, order, noise
    checkpoint_every : steps
    device : ``"auto"`` or ``"cpu"``
    precision : ``"no"`` (float32); ``"bf16"``: convolutions and products of shortened numbers, faster where the
        processor has them; or ``"auto"``, which becomes one of both here: bf16 where the networks gain by it and the
        processor multiplies such numbers
    """

    kimg: float = 50.0
    batch: int = 32
    learning_rate: float = 2e-4
    mirror: bool = True
    snapshot_kimg: float = 5.0
    first_kimg: float = 0.0
    seed: int = 0
    checkpoint_every: int = 200
    device: str = "auto"
    precision: str = "no"

    def __post_init__(self) -> None:
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 2:
            raise InputError(f"batch is {self.batch!r}; expected at least 2 images, or nothing can be normalised")
        if not (math.isfinite(self.kimg) and self.kimg * 1000 >= self.batch):
            raise InputError(f"kimg is {self.kimg}; expected at least one batch, {self.batch / 1000}")
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        if self.precision == "auto":
            # What is kept of a training says what was used, whichever machine goes on with it.
            object.__setattr__(self, "precision", "bf16" if self.gains_by_bf16 and multiplies_bf16() else "no")
        for name in ("snapshot_kimg", "first_kimg"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise InputError(f"{name} is {value}; expected at least 0")
        _ = self.fit_options

    @property
    def gains_by_bf16(self) -> bool:
        """Whether shortened numbers are faster for these networks, as measured at their usual sizes."""
        return False

    @property
    def steps(self) -> int:
        """Steps in all."""
        return round(self.kimg * 1000 / self.batch)

    @property
    def snapshot_every(self) -> int:
        """Steps between snapshots."""
        return max(1, round(self.snapshot_kimg * 1000 / self.batch)) if self.snapshot_kimg else self.steps

    @property
    def sheet(self) -> int:
        """Pictures of a snapshot."""
        return COLUMNS * ROWS

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop."""
        return FitOptions(
            self.steps, self.learning_rate, "constant", clip=None, device=self.device,
            checkpoint_every=self.checkpoint_every, precision=self.precision,
        )  # fmt: skip

    def trajectory(self) -> dict[str, Any]:
        """What a resumed training must share, as JSON values; it may go on for longer than planned."""
        left_out = ("kimg", "snapshot_kimg", "first_kimg", "checkpoint_every", "device")
        plan = {name: value for name, value in dataclasses.asdict(self).items() if name not in left_out}
        kept: dict[str, Any] = json.loads(json.dumps(plan))
        return kept


class Terms(TypedDict, total=False):
    """On what terms anything is trained: keywords of every training of pictures, all of which may be left out.

    Parameters
    ----------
    measure : asked at each snapshot
    resume : go on with an interrupted training of the same ``out``, to the very weights of an uninterrupted one
    force : replace a model that is there
    threads : of torch; None changes nothing
    monitor : hears the progress
    until : leave after so many steps, as if stopped there; nothing but the checkpoint is written then
    """

    measure: Measure | None
    resume: bool
    force: bool
    threads: int | None
    monitor: Monitor | None
    until: int | None


@dataclass(frozen=True)
class Craft:
    """What is trained, as the course sees it.

    Parameters
    ----------
    label : in messages
    model : with a buffer ``images`` that counts all images shown
    turns : losses of a step
    batches : see :func:`pyqmc_art.learning.fit.fit`
    follow : told the steps done, after each: averages and steers; gives what is to be logged
    describe : what else a snapshot logs
    finish : makes the synthesizer, given the history
    save : writes the model directory, given history, folder, log and force
    """

    label: str
    model: nn.Module
    turns: Sequence[Turn]
    batches: Batches
    follow: Callable[[int], Mapping[str, float | str]]
    describe: Callable[[], Mapping[str, float | str]]
    finish: Callable[[History], Maker]
    save: Callable[[History, Path, str, bool], object]

    @property
    def images(self) -> int:
        """Images shown so far, earlier trainings included."""
        return int(self.model.images)  # type: ignore[arg-type]


def check_sides(pool: Pool, size: int, taker: str = "the networks take") -> None:
    """Refuse images of another side than what is trained takes.

    Raises
    ------
    InputError
        When they differ.
    """
    if pool.images.shape[1] != size:
        raise InputError(f"the images have {pool.images.shape[1]} pixels; {taker} {size}")


def follow_course(
    craft: Craft,
    plan: Plan,
    pool: Pool,
    out: str | os.PathLike[str] | None,
    *,
    stream: Stream,
    tune: str | os.PathLike[str] | None = None,
    history: History = (),
    measure: Measure | None = None,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    monitor: Monitor | None = None,
    until: int | None = None,
) -> tuple[FitResult, History]:
    """Train as planned; gives how it ended, and the history with this training in it.

    Parameters
    ----------
    out : model directory to write; checkpoints lie in ``OUT.training`` until it is complete, snapshots in
        ``OUT.snapshots``
    tune, history : where this training starts from, and the trainings before
    measure, resume, force, threads, monitor, until : see :class:`Terms`

    Raises
    ------
    InputError
        For another plan on resume, or an ``out`` in use.
    Interrupted
        After Ctrl-C.
    NumericalError
        When a loss stops being finite.
    """
    work, show = _prepare(out, resume, force)
    if work is not None:
        kept = {"tune": str(tune or ""), "pictures": sorted(pool.digests)}
        keep_plan(work, plan.trajectory() | kept, resume)
    begun = count_images(history)
    first = math.ceil(plan.first_kimg * 1000 / plan.batch)
    snapshots = Snapshots(show, plan.snapshot_every, plan.steps, plan.sheet, first)

    def after(_: nn.Module, step: int) -> dict[str, float | str]:
        facts = dict(craft.follow(step))
        if snapshots.due(step):
            synthesizer = craft.finish(_append(history, plan, pool, craft.images - begun))
            facts |= snapshots.take(synthesizer, craft.images / 1000, measure)
            facts |= craft.describe()
        return facts

    with limit_torch(threads):
        result = fit(
            craft.model, craft.turns, craft.batches, plan.fit_options, stream=stream.fold("fit"), out=work,
            resume=resume, after=after, monitor=monitor or Silent(), label=craft.label, until=until,
        )  # fmt: skip
    craft.model.cpu()
    whole = _append(history, plan, pool, craft.images - begun)
    if result.stopped == "steps" and out is not None and work is not None:
        craft.save(whole, Path(out), (work / "log.jsonl").read_text("utf-8"), force)
        shutil.rmtree(work, ignore_errors=True)
    return result, whole


def _append(history: History, plan: Plan, pool: Pool, images: int) -> History:
    stage = {
        "stage": "tune" if history else "pre-train",
        "images": images,
        "kimg": images / 1000,
        "pictures": len(pool.names),
        "cuts": len(pool),
        "sha256": list(pool.digests),
        "options": plan.trajectory(),
    }
    return (*history, stage)


def _prepare(out: str | os.PathLike[str] | None, resume: bool, force: bool) -> tuple[Path | None, Path | None]:
    """Folders of checkpoints and snapshots beside the model directory."""
    place, work = open_workplace(out, resume, force)
    if place is None:
        return None, None
    show = place.with_name(f"{place.name}.snapshots")
    if not resume:
        for sheet in show.glob(f"*{SUFFIX}"):
            sheet.unlink()
    return work, show


def keep_plan(work: Path, plan: Mapping[str, Any], resume: bool) -> None:
    """Keep what a resumed training must share, or compare with what is kept.

    Raises
    ------
    InputError
        When a resumed training has another plan.
    """
    place = work / _PLAN
    try:
        if resume and place.exists():
            kept = json.loads(place.read_text("utf-8"))
            changed = [_name_kept(name, kept.get(name)) for name in plan if kept.get(name) != plan[name]]
            if changed:
                raise InputError(
                    f"{work} holds a training with other {', '.join(changed)}; give the same again, or remove it"
                )
            return
        work.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(plan), "utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {place} ({error.strerror}); is there room?") from error


def _name_kept(name: str, value: object) -> str:
    """An option with what it was, where that is a word or a number."""
    return f"{name} ({value})" if isinstance(value, (int, float)) or (isinstance(value, str) and value) else name
