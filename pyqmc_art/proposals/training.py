"""Training a flow by the reverse KL divergence, and what its weights say afterwards."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.kernels.independence import judge_proposal
from pyqmc_art.learning.fit import fit
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.pretrained import check_target
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.monitor import Silent
from pyqmc_art.proposals.flow import Flow, FlowShape
from pyqmc_art.proposals.models import digest_of, save_flow
from pyqmc_art.proposals.objectives import base_batches, reverse_kl
from pyqmc_art.proposals.targets import describe_action
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.importance import Weights

_EVALUATIONS: Final = 20
_HELD_OUT: Final = 2048


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
    """

    plan: FlowShape = field(default_factory=FlowShape)
    steps: int = 1000
    batch: int = 256
    learning_rate: float = 3e-3
    draws: int = 65_536
    seed: int = 0
    checkpoint_every: int = 500
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("draws", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
        _ = self.fit_options

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop."""
        every = max(1, self.steps // _EVALUATIONS) if isinstance(self.steps, int) else 1
        warmup = min(50, self.steps) if isinstance(self.steps, int) else 0
        return FitOptions(
            self.steps, self.learning_rate, warmup=warmup, clip=10.0, device=self.device,
            checkpoint_every=self.checkpoint_every, evaluate_every=every,
        )  # fmt: skip


@dataclass(frozen=True)
class TrainedFlow:
    """A flow and what the weights of independent draws say about it."""

    flow: Flow
    weights: Weights
    seconds: float


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
        When the loss stops being finite.
    """
    place = None if out is None else Path(out)
    if place is not None:
        check_target(place, force)
    work = None if place is None else place.with_name(f"{place.name}.training")
    if work is not None and work.exists() and not resume:
        raise InputError(f"{work} holds an interrupted training; go on with it by resume, or remove it")
    stream = Stream.from_seed(training.seed).fold("train flow")
    flow = Flow(action, training.plan, stream)
    with limit_torch(threads):
        result = fit(
            flow, reverse_kl(action), base_batches(flow, training.batch, stream), training.fit_options,
            stream=stream.fold("fit"), out=work, resume=resume, evaluate=_lower_bound(action, flow, stream),
            monitor=monitor or Silent(), label="flow",
        )  # fmt: skip
        flow.threads, flow.digest = threads, digest_of(flow)
        weights = judge_proposal(action, flow, training.draws, seed=training.seed)
    if place is not None and work is not None:
        facts = {
            "options": {k: v for k, v in dataclasses.asdict(training).items() if k != "plan"},
            "objective": "reverse KL",
            "target": describe_action(action),
            "seconds": round(result.seconds, 3),
            "best_step": result.best_step,
            "judged": summarise(weights),
        }
        save_flow(flow, place, facts, force)
        shutil.rmtree(work, ignore_errors=True)
    return TrainedFlow(flow, weights, result.seconds)


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


def _lower_bound(action: Any, flow: Flow, stream: Stream) -> Callable[[nn.Module], float]:
    """E_q[ln w] on draws that no step is trained on: what ln Z is not below."""
    z, log_base = base_batches(flow, _HELD_OUT, stream.fold("held out"))(0)
    loss = reverse_kl(action)

    def evaluate(model: nn.Module) -> float:
        device = next(model.parameters()).device
        with torch.no_grad():
            return -float(loss(model, (z.to(device), log_base.to(device))))

    return evaluate


__all__ = ["FlowTraining", "TrainedFlow", "summarise", "train_flow"]
