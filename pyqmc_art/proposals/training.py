"""Training a flow for an action, and what its weights say afterwards."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.kernels.independence import judge_proposal
from pyqmc_art.learning.fit import FitResult, fit
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.pretrained import open_workplace, write_durably
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.monitor import Silent
from pyqmc_art.proposals.curriculum import Curriculum
from pyqmc_art.proposals.examination import Examiner, stop_contradictions
from pyqmc_art.proposals.flow import Flow, FlowShape
from pyqmc_art.proposals.models import digest_of, load_flow, save_flow
from pyqmc_art.proposals.objectives import FlowObjective, flow_batches
from pyqmc_art.proposals.samples import CHAINS, draw_samples, read_samples
from pyqmc_art.proposals.targets import describe_action
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.importance import Weights

_EVALUATIONS: Final = 20
_HELD_OUT_EACH: Final = 8
_OPTIONS: Final = "options.json"
_MAY_CHANGE: Final = ("draws", "checkpoint_every", "device")


@dataclass(frozen=True)
class FlowTraining:
    """How to train a flow.

    Parameters
    ----------
    plan : the layers
    steps, batch, learning_rate : of the optimiser (Adam, cosine); draws of one step
    draws : by which the result is judged; an ESS of few is flattering
    seed : of first weights, noise and judgement
    checkpoint_every : steps
    device : ``"auto"`` or ``"cpu"``
    ema : decay of averaged weights, which are then the result; None for none
    forward : share of the forward divergence, over fields of the target, 0 to 1; the rest is the reverse one
    samples : how many fields of the target hybrid Monte Carlo makes for the forward part
    data : a run with saved fields to take in their place
    path_gradient : the gradient of the reverse part is that of the paths of the draws alone
    begin : couplings of the first step, from which a ramp leads to the action (adiabatic retraining)
    ramp : share of the steps that the ramp takes
    model : a flow of the same layers and lattice whose weights are the first ones
    """

    plan: FlowShape = field(default_factory=FlowShape)
    steps: int = 1000
    batch: int = 256
    learning_rate: float = 3e-3
    draws: int = 65_536
    seed: int = 0
    checkpoint_every: int = 500
    device: str = "auto"
    ema: float | None = None
    forward: float = 0.0
    samples: int = 8192
    data: str | None = None
    path_gradient: bool = False
    begin: Mapping[str, float] = field(default_factory=dict)
    ramp: float = 0.5
    model: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("draws", 2), ("samples", CHAINS)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
        for name in ("forward", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected a share from 0 to 1")
        if self.forward and self.plan.condition is not None:
            raise InputError("the forward divergence needs fields of every target; a flow for a range has too many")
        if self.data is not None and not self.forward:
            raise InputError("data is for the forward divergence; give it a share, for instance forward 0.5")
        _ = self.fit_options

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop."""
        every = max(1, self.steps // _EVALUATIONS) if isinstance(self.steps, int) else 1
        warmup = min(50, self.steps) if isinstance(self.steps, int) else 0
        return FitOptions(
            self.steps, self.learning_rate, warmup=warmup, clip=10.0, device=self.device, ema=self.ema,
            checkpoint_every=self.checkpoint_every, evaluate_every=every,
        )  # fmt: skip

    def configuration(self) -> dict[str, Any]:
        """All but the layers, as JSON can hold it."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "plan"}


@dataclass(frozen=True)
class TrainedFlow:
    """A flow, what the weights of independent draws say about it, and the evaluations on its way."""

    flow: Flow
    weights: Weights
    seconds: float
    history: tuple[Mapping[str, Any], ...] = ()


def train_flow(
    action: Any,
    training: FlowTraining,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    monitor: Monitor | None = None,
) -> TrainedFlow:
    """Train a flow for an action; the weights of the best evaluation on draws it was not trained on are kept.

    Parameters
    ----------
    action : phi^4 on a periodic hypercubic lattice
    out : model directory to write; checkpoints lie in ``OUT.training`` beside it until it is complete
    resume : go on with an interrupted training of the same ``out``, to the very weights of an uninterrupted one
    force : replace a model that is there
    threads : of torch; None changes nothing

    Raises
    ------
    InputError
        For an action without free fields, options that cannot be used, or an ``out`` that is in use.
    Interrupted
        After Ctrl-C.
    NumericalError
        When the loss stops being finite, or log q contradicts itself (:func:`stop_contradictions`).
    """
    place, work = open_workplace(out, resume, force)
    if work is not None:
        _open_work(work, training, action)
    stream = Stream.from_seed(training.seed).fold("train flow")
    flow = _first_flow(action, training, stream)
    with limit_torch(threads):
        result = _fit(flow, training, stream, work, resume, threads, monitor or Silent())
        flow.threads, flow.digest = threads, digest_of(flow)
        weights = judge_proposal(action, flow, training.draws, seed=training.seed)
    if place is not None and work is not None:
        save_flow(flow, place, _tell(action, training, result, weights), force)
        shutil.rmtree(work, ignore_errors=True)
    return TrainedFlow(flow, weights, result.seconds, result.history)


def _open_work(work: Path, training: FlowTraining, action: Any) -> None:
    """Make the folder of the checkpoints, or make sure that what lies there is this training."""
    asked = {**training.configuration(), "plan": training.plan.configuration(), "target": describe_action(action)}
    known = work / _OPTIONS
    if known.exists():
        stored = json.loads(known.read_text("utf-8"))
        wanted = json.loads(json.dumps(asked))
        differs = [k for k in {**stored, **wanted} if k not in _MAY_CHANGE and stored.get(k) != wanted.get(k)]
        if differs:
            what = ", ".join(f"{key} {stored.get(key)} -> {wanted.get(key)}" for key in differs)
            raise InputError(f"{work} is of a training with other options ({what}); use those, or remove it")
        return
    work.mkdir(parents=True, exist_ok=True)
    write_durably(known, json.dumps(asked).encode())


def _first_flow(action: Any, training: FlowTraining, stream: Stream) -> Flow:
    flow = Flow(action, training.plan, stream)
    if training.model is None:
        return flow
    given = load_flow(training.model)
    if given.plan != flow.plan or given.action.lattice != action.lattice:
        raise InputError(
            f"the flow in {training.model} has other layers or another lattice ({given.plan} on "
            f"{given.action.lattice.shape}); its weights fit the same ones only"
        )
    flow.load_state_dict(given.state_dict())
    return flow


def _fit(
    flow: Flow, training: FlowTraining, stream: Stream, work: Path | None, resume: bool, threads: int | None,
    monitor: Monitor,
) -> FitResult:  # fmt: skip
    action = flow.action
    ramp = round(training.ramp * training.steps)
    curriculum = Curriculum(action, dict(training.begin), ramp, training.plan, stream.fold("targets"))
    held_out = draw_samples(action, _HELD_OUT_EACH, stream.fold("held out fields"), threads)
    fields: NDArray[np.float64] | None = None
    if training.forward and training.data is not None:
        fields = read_samples(training.data, action)
    elif training.forward:
        fields = draw_samples(action, training.samples // CHAINS, stream.fold("fields"), threads)
    flat = None if fields is None else fields.reshape(-1, *action.lattice.shape)
    return fit(
        flow, FlowObjective(curriculum, training.forward, training.path_gradient),
        flow_batches(flow, training.batch, stream, flat), training.fit_options, stream=stream.fold("fit"), out=work,
        resume=resume, evaluate=Examiner(flow, held_out, training.forward, stream), watch=stop_contradictions,
        monitor=monitor, label="flow",
    )  # fmt: skip


def _tell(action: Any, training: FlowTraining, result: FitResult, weights: Weights) -> dict[str, Any]:
    """Facts about a training for its model directory."""
    shares = ((1 - training.forward, "reverse KL"), (training.forward, "forward KL"))
    return {
        "options": training.configuration(),
        "objective": " + ".join(name if share == 1 else f"{share:g} {name}" for share, name in shares if share),
        "target": describe_action(action),
        "seconds": round(result.seconds, 3),
        "best_step": result.best_step,
        "history": [{k: v if math.isfinite(v) else None for k, v in one.items()} for one in result.history],
        "judged": summarise(weights),
    }


def summarise(weights: Weights) -> dict[str, Any]:
    """What is told of a proposal, as JSON can hold it; never an ESS without the rest."""
    return {
        "n": weights.count,
        "ess": weights.effective / weights.count,
        "longest_rejection": weights.longest_rejection,
        "largest_share": weights.largest_share,
        "pareto_k": weights.pareto_k,
        "acceptance": weights.acceptance,
        "log_partition": weights.log_partition.to_dict(),
        "lower_bound": weights.lower_bound.to_dict(),
    }


__all__ = ["FlowTraining", "TrainedFlow", "summarise", "train_flow"]
