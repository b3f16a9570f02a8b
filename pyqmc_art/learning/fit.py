"""The one training loop: any model, any loss; resumed bit for bit, stopped politely, logged always.

Everything random in step k (order of the examples, dropout, noise) is a function of the stream and k. So a checkpoint
holds no generator and no sampler, and N steps, a resume and N steps give the very numbers of 2 N steps on one machine.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError, Interrupted, NumericalError
from pyqmc_art.interrupts import StopRequest
from pyqmc_art.learning.checkpoints import (
    TrainingState,
    list_checkpoints,
    named,
    optimizer_tensors,
    read_state,
    restore_model,
    restore_optimizer,
    write_state,
)
from pyqmc_art.learning.journal import Journal
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.turns import Loss as Loss
from pyqmc_art.learning.turns import Turn, find_parts, make_optimizer, set_rate
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream

Batches: TypeAlias = Callable[[int], Any]
"""Gives batch 0, 1, ..., a pure function of its number (see :class:`pyqmc_art.learning.schedules.Shuffled`)."""

After: TypeAlias = Callable[[nn.Module, int], Mapping[str, float | str]]
"""Told the model and the steps done after each step; may change buffers and gives what is to be logged."""


@dataclass(frozen=True)
class Score:
    """An evaluation with ``facts`` that are logged and kept in the history; the bar shows ``shown`` until the next."""

    value: float
    facts: Mapping[str, float] = field(default_factory=dict)
    shown: Mapping[str, float] = field(default_factory=dict)


Watch: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], None]
"""Sees the history of all evaluations after each, resumed or not, and may raise."""


@dataclass(frozen=True)
class FitResult:
    """What a training came to.

    Attributes
    ----------
    step : steps done in all
    loss : of the last step
    best : greatest evaluation; None without any
    best_step : where it was found
    stopped : ``"steps"`` (all done), ``"patience"`` or ``"until"``
    seconds : spent in this call
    history : of all evaluations: step, loss, score and the facts of each
    """

    step: int
    loss: float
    best: float | None
    best_step: int
    stopped: str
    seconds: float
    history: tuple[Mapping[str, Any], ...] = ()


def fit(
    model: nn.Module,
    loss: Loss | Sequence[Turn],
    batches: Batches,
    options: FitOptions,
    *,
    stream: Stream,
    out: Path | None = None,
    resume: bool = False,
    evaluate: Callable[[nn.Module], float | Score] | None = None,
    watch: Watch | None = None,
    after: After | None = None,
    monitor: Monitor | None = None,
    label: str = "training",
    until: int | None = None,
) -> FitResult:
    """Train a model in place.

    At the end it holds the weights of the best evaluation, else the moving average, else those of the last step.

    Parameters
    ----------
    model : those parameters are trained that require a gradient
    loss, batches : see the type aliases; of several turns each moves its own part of the model
    options : how
    stream : of everything random
    out : folder for ``checkpoint-*`` and ``log.jsonl``; None keeps nothing
    resume : go on from the newest checkpoint in ``out``; without one, start
    evaluate : score of the model, greater is better, on examples whose works are not trained on
    watch : sees every evaluation so far and may stop the training with an error
    after : see the type alias; what it changes must be buffers of the model, which checkpoints hold
    monitor, label : what a person sees
    until : leave after so many steps in all, as if stopped there

    Raises
    ------
    InputError
        When ``out`` holds a training that is not to be resumed, or one with other options.
    Interrupted
        After Ctrl-C; a checkpoint was written if there is an ``out``.
    NumericalError
        When the loss stops being finite.
    StoreError
        When a checkpoint cannot be written or read.

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> batch = torch.ones(4, 1)
    >>> options = FitOptions(200, learning_rate=0.1, schedule="constant", device="cpu")
    >>> result = fit(model, lambda m, x: (m(x) - 3).square().mean(), lambda k: batch, options,
    ...              stream=Stream.from_seed(1))
    >>> result.step, round(model.weight.item(), 2)
    (200, 3.0)
    """
    turns = (Turn("", "", loss),) if callable(loss) else tuple(loss)
    session = _Session(model, turns, options, stream, out, label)
    session.begin(resume)
    started = session.step
    monitor = monitor or Silent()
    begun = time.perf_counter()
    last = options.steps if until is None else min(until, options.steps)
    devices = [session.device] if session.device.type == "cuda" else []
    with torch.random.fork_rng(devices), StopRequest() as stop:
        monitor.start(label, options.steps, session.step)
        try:
            while session.step < last and not session.impatient:
                facts = session.advance(batches)
                if after is not None:
                    facts |= session.look_after(after)
                monitor.advance(1, **facts, **session.shown)
                if evaluate is not None and options.evaluate_every and session.step % options.evaluate_every == 0:
                    session.evaluate(evaluate)
                    if watch is not None:
                        watch(session.history)
                if options.checkpoint_every and session.step % options.checkpoint_every == 0:
                    session.save()
                if stop.requested and session.step < last:
                    raise session.interrupted()
        except KeyboardInterrupt:
            # A second Ctrl-C may come in the middle of a step: the checkpoint on disk is the state to trust.
            raise session.interrupted(save=False) from None
        finally:
            monitor.finish()
    if session.step > started:
        session.save()
    stopped = "patience" if session.impatient else "steps" if session.step >= options.steps else "until"
    session.finish()
    return FitResult(
        session.step, session.loss, session.best_score, session.best_step, stopped, time.perf_counter() - begun,
        tuple(session.history),
    )  # fmt: skip


class _Session:
    """Model, optimiser and counters of one training."""

    def __init__(
        self, model: nn.Module, turns: tuple[Turn, ...], options: FitOptions, stream: Stream, out: Path | None,
        label: str,
    ) -> None:  # fmt: skip
        self.turns, self.options, self.stream, self.out, self.label = turns, options, stream, out, label
        self.accelerator = _make_accelerator(options)
        self.device: torch.device = self.accelerator.device
        model.to(self.device)
        self.plain, self.trained = model, find_parts(model, turns)
        made = [make_optimizer(trained, options) for trained in self.trained.values()]
        self.model, *prepared = self.accelerator.prepare(model, *made)
        self.optimizers = dict(zip(self.trained, prepared, strict=True))
        self.step, self.loss = 0, math.nan
        self.best_score: float | None = None
        self.best_step, self.worse = 0, 0
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, Any]] = []
        self.shown: dict[str, float] = {}
        self.ema: dict[str, Tensor] = _copy(model) if options.ema is not None else {}
        self.journal = Journal(None if out is None else out / "log.jsonl", label)

    @property
    def impatient(self) -> bool:
        return 0 < self.options.patience <= self.worse

    def begin(self, resume: bool) -> None:
        """Take up the newest checkpoint, or make sure that there is none."""
        if self.out is None:
            return
        there = list_checkpoints(self.out)
        if there and not resume:
            raise InputError(f"{self.out} already holds {there[-1].name}; resume it, or choose another folder")
        if there:
            self._restore(there[-1])
        else:
            self.out.mkdir(parents=True, exist_ok=True)
        self.journal.cut(self.step)

    def advance(self, batches: Batches) -> dict[str, float | str]:
        """Do one step: each turn that is due, one after the other."""
        options = self.options
        rate = options.rates(self.step)
        self.model.train()
        torch.manual_seed(self.stream.fold("torch", self.step).key)
        losses: dict[str, float] = {}
        norm = 0.0
        for turn in self.turns:
            if turn.when(self.plain, self.step):
                losses[turn.name], reached = self._take(turn, batches, rate)
                norm = max(norm, reached)
        total = sum(losses.values())
        self.step, self.loss = self.step + 1, total
        self._average()
        facts: dict[str, float | str] = {f"loss_{name}": value for name, value in losses.items() if name}
        if options.log_every and self.step % options.log_every == 0:
            finite = norm if math.isfinite(norm) else None
            self.journal.write(self.step, loss=total, **facts, learning_rate=rate, gradient_norm=finite)
        return facts | {"loss": total, "rate": rate}

    def _take(self, turn: Turn, batches: Batches, rate: float) -> tuple[float, float]:
        """Do one step of one optimiser; give the loss and the norm of its gradient."""
        from accelerate.utils import send_to_device

        options, optimizer = self.options, self.optimizers[turn.part]
        set_rate(optimizer, turn, rate)
        total = 0.0
        for part in range(options.accumulate):
            batch = send_to_device(batches(self.step * options.accumulate + part), self.device)
            last = part == options.accumulate - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                # Accelerate lowers the precision of the whole model only; a turn calls its parts.
                with self.accelerator.autocast() if turn.part else contextlib.nullcontext():
                    value = turn.loss(self.model, batch) / options.accumulate
                total += float(value.detach())
                if not math.isfinite(total):
                    raise NumericalError(self._not_finite(total, rate * turn.rate))
                self.accelerator.backward(value)
        limit = math.inf if options.clip is None else options.clip
        norm = float(self.accelerator.clip_grad_norm_(self.trained[turn.part], limit))
        optimizer.step()
        for one in self.optimizers.values():
            one.zero_grad()
        return total, norm

    def look_after(self, after: After) -> dict[str, float | str]:
        """Let the caller do what belongs to a step and is no loss."""
        facts = dict(after(self.plain, self.step))
        if facts:
            self.journal.write(self.step, **facts)
        return facts

    def evaluate(self, evaluate: Callable[[nn.Module], float | Score]) -> None:
        """Score the weights that would be the result now, and keep the best."""
        with self._shown() as shown, torch.no_grad():
            found = evaluate(shown)
            told = found if isinstance(found, Score) else Score(float(found))
            score = told.value
            if not math.isfinite(score):
                raise NumericalError(f"the evaluation at step {self.step} is {score}; expected a finite number")
            if self.best_score is None or score > self.best_score:
                self.best_score, self.best_step, self.worse = score, self.step, 0
                self.best = _copy(shown)
            else:
                self.worse += 1
        self.history.append({"step": self.step, "loss": self.loss, "score": score, **told.facts})
        self.shown = dict(told.shown)
        self.journal.write(self.step, evaluation=score, best=self.best_score, **told.facts)

    def save(self) -> None:
        """Write a checkpoint."""
        if self.out is None:
            return
        scaler = self.accelerator.scaler
        facts = {
            "trajectory": self.options.trajectory(),
            "key": self.stream.key,
            "loss": self.loss if math.isfinite(self.loss) else None,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "worse": self.worse,
            "history": self.history,
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        tensors = named("model", self.plain.state_dict())
        for part, optimizer in self.optimizers.items():
            tensors |= named(_group(part), optimizer_tensors(optimizer))
        tensors |= named("ema", self.ema) | named("best", self.best)
        write_state(self.out, TrainingState(self.step, tensors, facts))

    def interrupted(self, save: bool = True) -> Interrupted:
        """Save what there is and say how to go on."""
        if save:
            self.save()
        there = list_checkpoints(self.out) if self.out is not None else []
        where = f"go on with --resume latest from {there[-1]}" if there else "no checkpoint was kept"
        return Interrupted(f"{self.label} stopped at step {self.step} of {self.options.steps}; {where}")

    def finish(self) -> None:
        """Leave the result in the model."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        result = self.best or self.ema
        if result:
            self.plain.load_state_dict(result)
        self.plain.eval()

    def _restore(self, place: Path) -> None:
        state = read_state(place)
        given, stored = self.options.trajectory(), dict(state.facts.get("trajectory", {}))
        changed = [name for name in sorted({*given, *stored}) if given.get(name) != stored.get(name)]
        if changed or state.facts.get("key") != self.stream.key:
            what = ", ".join(f"{n} {stored.get(n)} -> {given.get(n)}" for n in changed) or "another seed"
            raise InputError(f"{place} is of a training with other options ({what}); use those, or another folder")
        restore_model(self.plain, state.group("model"), str(place))
        for part, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, state.group(_group(part)))
        self.ema = {name: value.to(self.device) for name, value in state.group("ema").items()}
        self.best = {name: value.to(self.device) for name, value in state.group("best").items()}
        facts = state.facts
        self.step, self.best_score, self.best_step = state.step, facts["best_score"], int(facts["best_step"])
        self.worse, self.loss = int(facts["worse"]), math.nan if facts["loss"] is None else float(facts["loss"])
        self.history = list(facts.get("history", []))
        if self.accelerator.scaler is not None and facts["scaler"]:
            self.accelerator.scaler.load_state_dict(facts["scaler"])

    def _average(self) -> None:
        if self.options.ema is None:
            return
        with torch.no_grad():
            for name, value in self.plain.state_dict().items():
                if value.is_floating_point():
                    self.ema[name].lerp_(value, 1 - self.options.ema)
                else:
                    self.ema[name].copy_(value)

    @contextlib.contextmanager
    def _shown(self) -> Iterator[nn.Module]:
        """Lend the model with the weights that would be the result now."""
        current = _copy(self.plain) if self.ema else {}
        if self.ema:
            self.plain.load_state_dict(self.ema)
        self.plain.eval()
        try:
            yield self.plain
        finally:
            if current:
                self.plain.load_state_dict(current)

    def _not_finite(self, value: float, rate: float) -> str:
        kept = list_checkpoints(self.out) if self.out is not None else []
        return (
            f"the loss of {self.label} became {value} in step {self.step + 1} at learning rate {rate:.3g}; take a "
            "lower learning rate, a longer warm-up or precision 'no'"
            + (f". The last good state is {kept[-1]}" if kept else "")
        )


def _make_accelerator(options: FitOptions) -> Any:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # Accelerate keeps the precision of the first training of a process; each training here has its own.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision=options.precision, cpu=options.device == "cpu")


def _group(part: str) -> str:
    """Name of a part's optimiser in a checkpoint."""
    return f"optimizer {part}" if part else "optimizer"


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
