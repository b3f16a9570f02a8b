"""Training flows of blocks on fields of a chain, their directories, and what they are worth."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.kernels.blocked import Blocked
from pyqmc_art.learning.fit import Batches, Loss, fit
from pyqmc_art.learning.pretrained import Pretrained, open_workplace, read_pretrained, write_pretrained
from pyqmc_art.learning.schedules import Shuffled
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.monitor import Silent
from pyqmc_art.proposals.block_flow import BlockFlow, BlockShape
from pyqmc_art.proposals.patch_data import PatchData, make_fields, split_patches
from pyqmc_art.proposals.patch_training import PatchTraining
from pyqmc_art.proposals.targets import check_same_target, describe_action, rebuild_action
from pyqmc_art.proposals.vae_models import BLOCK_FLOW, digest_of
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

_JUDGED: Final = 64
_JUDGED_STEPS: Final = 5


@dataclass(frozen=True)
class BlockTraining(PatchTraining):
    """How to train a flow of blocks.

    Parameters
    ----------
    plan : block and layers; the others are those of :class:`PatchTraining`
    """

    plan: BlockShape


@dataclass(frozen=True)
class TrainedBlocks:
    """A flow of blocks and what it is worth.

    Attributes
    ----------
    flow : with the weights of the best evaluation
    acceptance : of blocks in equilibrium, its error from the scatter of independent fields
    seconds : of the training
    """

    flow: BlockFlow
    acceptance: Estimate
    seconds: float


def train_block_flow(
    action: Any,
    training: BlockTraining,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    monitor: Monitor | None = None,
) -> TrainedBlocks:
    """Train a flow of blocks by the reverse KL divergence given boundaries, which a heat-bath chain provides.

    Parameters
    ----------
    action : phi^4 on a periodic square or hypercubic lattice; what is learnt serves other extents too
    out : model directory to write; checkpoints lie in ``OUT.training`` beside it until it is complete
    resume : go on with an interrupted training of the same ``out``
    force : replace a model that is there
    threads : of torch and of the chain; None changes nothing

    Raises
    ------
    InputError
        For an action, lattice or block that does not fit, or an ``out`` that is in use.
    Interrupted
        After Ctrl-C.
    NumericalError
        When the loss stops being finite.
    """
    place, work = open_workplace(out, resume, force)
    stream = Stream.from_seed(training.seed).fold("train block flow")
    flow = BlockFlow(action, training.plan, stream)
    chain = make_fields(action, training.fields, stream, threads)
    seen, kept = split_patches(action, flow.block, chain, stream, threads)
    with limit_torch(threads):
        result = fit(
            flow, conditional_kl(), block_batches(flow, seen, training.batch, stream), training.fit_options,
            stream=stream.fold("fit"), out=work, resume=resume, evaluate=_bound(flow, kept, stream),
            monitor=monitor or Silent(), label="block flow",
        )  # fmt: skip
    flow.threads, flow.digest = threads, digest_of(_arrays(flow))
    found = TrainedBlocks(flow, judge_blocks(action, flow, chain[:_JUDGED], stream), result.seconds)
    if place is not None and work is not None:
        facts = {
            "options": {k: v for k, v in dataclasses.asdict(training).items() if k != "plan"},
            "objective": "reverse KL given boundaries",
            "target": describe_action(action),
            "seconds": round(result.seconds, 3),
            "best_step": result.best_step,
            "acceptance": found.acceptance.to_dict(),
        }
        save_block_flow(flow, place, facts, force)
        shutil.rmtree(work, ignore_errors=True)
    return found


def conditional_kl() -> Loss:
    """Return E[S(x | boundary) + log q(x | boundary)] over noise and boundaries: least where q is the conditional."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        flow: Any = model
        mean: Tensor = flow.lack(*batch).mean()
        return mean

    return loss


def block_batches(flow: BlockFlow, data: PatchData, size: int, stream: Stream) -> Batches:
    """Batches of boundaries in a shuffled order with noise, each a pure function of its number."""
    order = Shuffled(len(data.values), size, stream.fold("order"))

    def batch(number: int) -> tuple[Tensor, Tensor, Tensor]:
        return _tensors(flow, data.around[order(number)], stream.fold("noise", number))

    return batch


def judge_blocks(action: Any, flow: BlockFlow, fields: NDArray[np.float64], stream: Stream) -> Estimate:
    """Acceptance of blocks in equilibrium, by steps that start from independent fields."""
    kernel = Blocked(action, flow)
    rates = []
    for k in range(len(fields)):
        state = kernel.init(fields[k : k + 1])
        _, _, info = kernel.advance(stream.fold("judge").shifted(k), state, _JUDGED_STEPS)
        rates.append(info["acceptance"])
    error = float(np.std(rates, ddof=1)) / math.sqrt(len(rates)) if len(rates) > 1 else math.nan
    return Estimate(float(np.mean(rates)), error, n=len(rates) * _JUDGED_STEPS * action.lattice.sites // flow.free.size)


def save_block_flow(
    flow: BlockFlow, folder: str | os.PathLike[str], facts: Mapping[str, Any], force: bool = False
) -> Path:
    """Write a flow of blocks as a directory of ``config.json`` and ``flow.safetensors``."""
    configuration = {"target": describe_action(flow.action), "plan": flow.plan.configuration(), "training": dict(facts)}
    return write_pretrained(folder, Pretrained(BLOCK_FLOW, configuration, {"flow": _arrays(flow)}), force)


def load_block_flow(folder: str | os.PathLike[str], action: Any = None, threads: int | None = None) -> BlockFlow:
    """Read a flow of blocks; its ``digest`` names the weights.

    Parameters
    ----------
    action : what will be sampled, on a lattice of any extents; None takes the one it was trained for
    threads : of torch while it draws; None changes nothing

    Raises
    ------
    InputError
        When it was trained for another action, convention or kind of lattice, or the directory is damaged.
    """
    stored = read_pretrained(folder, (BLOCK_FLOW,))
    try:
        plan = dict(stored.configuration["plan"])
        shape = BlockShape(**{**plan, "hidden": tuple(plan["hidden"]), "block": tuple(plan["block"])})
        flow = BlockFlow(rebuild_action(stored.configuration["target"]), shape)
        flow.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in stored.tensors["flow"].items()})
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{folder} holds no complete flow ({' '.join(str(error).split())}); train it again") from None
    if action is not None:
        check_same_target(action, flow.action, "flow", folder, free=("shape",), dimension=True)
    flow.eval()
    flow.threads, flow.digest = threads, digest_of(_arrays(flow))
    return flow


def _arrays(flow: BlockFlow) -> dict[str, NDArray[Any]]:
    return {name: value.detach().cpu().numpy().copy() for name, value in flow.state_dict().items()}


def _tensors(flow: BlockFlow, around: NDArray[np.float64], stream: Stream) -> tuple[Tensor, Tensor, Tensor]:
    boundary = np.ascontiguousarray(around[..., 0])
    noise = stream.normal("user", flow.free.size, len(boundary))
    return tuple(map(torch.from_numpy, (noise, boundary, flow.free.mean(boundary))))  # type: ignore[return-value]


def _bound(flow: BlockFlow, data: PatchData, stream: Stream) -> Callable[[nn.Module], float]:
    """E[log weight] for boundaries that no step is trained on."""

    def evaluate(model: nn.Module) -> float:
        with torch.no_grad():
            batch = (part.to(flow.device) for part in _tensors(flow, data.around, stream.fold("held out")))
            return -float(flow.lack(*batch).mean())

    return evaluate
