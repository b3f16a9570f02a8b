"""Training local updates on fields of a chain, and what they are worth afterwards."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyqmc_art.lattice.kernels.field_vae import VaeLocal
from pyqmc_art.learning.fit import Batches, Loss, fit
from pyqmc_art.learning.pretrained import open_workplace
from pyqmc_art.learning.schedules import Shuffled
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.monitor import Silent
from pyqmc_art.proposals.patch_data import PatchData, check_fields, make_fields, split_patches
from pyqmc_art.proposals.patch_training import PatchTraining
from pyqmc_art.proposals.targets import describe_action
from pyqmc_art.proposals.vae import LocalVae, VaeShape
from pyqmc_art.proposals.vae_models import export_network, save_vae
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

_JUDGED: Final = 64
_JUDGED_SWEEPS: Final = 20


@dataclass(frozen=True)
class VaeTraining(PatchTraining):
    """How to train local updates.

    Parameters
    ----------
    plan : patch and layers; the others are those of :class:`PatchTraining`
    """

    plan: VaeShape = field(default_factory=VaeShape)
    _: KW_ONLY
    steps: int = 2000
    batch: int = 512
    learning_rate: float = 1e-2


@dataclass(frozen=True)
class TrainedVae:
    """Local updates and what they are worth.

    Attributes
    ----------
    vae : with the weights of the best evaluation
    acceptance : of patches along exact chains, its error from the scatter of independent ones
    bound : -E[log p(y | z, around)] - KL, per patch, on fields that were not trained on: the ELBO
    divergence : the KL term of it
    seconds : of the training
    """

    vae: LocalVae
    acceptance: Estimate
    bound: float
    divergence: float
    seconds: float


def train_vae(
    action: Any,
    training: VaeTraining,
    out: str | os.PathLike[str] | None = None,
    *,
    fields: NDArray[np.float64] | None = None,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    monitor: Monitor | None = None,
) -> TrainedVae:
    """Train local updates for an action on fields of a chain; a heat bath makes them where none are given.

    Parameters
    ----------
    action : phi^4 or O(2) on a periodic square or hypercubic lattice; what is learnt serves other extents too
    out : model directory to write; checkpoints lie in ``OUT.training`` beside it until it is complete
    fields : in equilibrium, shape (n, *lattice.shape, ...)
    resume : go on with an interrupted training of the same ``out``, to the very weights of an uninterrupted one
    force : replace a model that is there
    threads : of torch and of the chain; None changes nothing

    Raises
    ------
    InputError
        For an action or lattice without local updates, options that cannot be used, or an ``out`` that is in use.
    Interrupted
        After Ctrl-C.
    NumericalError
        When the loss stops being finite.
    """
    place, work = open_workplace(out, resume, force)
    stream = Stream.from_seed(training.seed).fold("train vae")
    vae = LocalVae(action, training.plan, stream)
    chain = make_fields(action, training.fields, stream, threads) if fields is None else check_fields(action, fields)
    seen, kept = split_patches(action, vae.block, chain, stream, threads)
    with limit_torch(threads):
        result = fit(
            vae, elbo(), patch_batches(vae, seen, training.batch, stream), training.fit_options,
            stream=stream.fold("fit"), out=work, resume=resume, evaluate=_bound(vae, kept, stream),
            monitor=monitor or Silent(), label="local updates",
        )  # fmt: skip
        bound, divergence = _terms(vae, kept, stream)
    acceptance = judge_acceptance(action, vae, chain[:_JUDGED], stream, threads)
    found = TrainedVae(vae, acceptance, bound, divergence, result.seconds)
    if place is not None and work is not None:
        save_vae(vae, place, {**_facts(training, found), "best_step": result.best_step}, force)
        shutil.rmtree(work, ignore_errors=True)
    return found


def elbo() -> Loss:
    """Return minus the evidence lower bound, E[-log p(y | z, around)] + KL(r(z | y, around) || p(z)), of a batch."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        surprise, divergence = model(*batch)
        mean: Tensor = (surprise + divergence).mean()
        return mean

    return loss


def patch_batches(vae: LocalVae, data: PatchData, size: int, stream: Stream) -> Batches:
    """Batches of patches in a shuffled order with their noise, each a pure function of its number."""
    order = Shuffled(len(data.values), size, stream.fold("order"))

    def batch(number: int) -> tuple[Tensor, Tensor, Tensor]:
        chosen = order(number)
        return _tensors(vae, data.around[chosen], data.values[chosen], stream.fold("noise", number))

    return batch


def judge_acceptance(
    action: Any, vae: LocalVae, fields: NDArray[np.float64], stream: Stream, threads: int | None = None
) -> Estimate:
    """Acceptance of patches in equilibrium: the chains that start from ``fields`` are taken as independent."""
    kernel = VaeLocal(action, network=export_network(vae), block=vae.block, threads=threads)
    rates = []
    for k in range(len(fields)):
        state = kernel.init(fields[k : k + 1])
        _, _, info = kernel.advance(stream.fold("judge").shifted(k), state, _JUDGED_SWEEPS)
        rates.append(info["acceptance"])
    error = float(np.std(rates, ddof=1)) / math.sqrt(len(rates)) if len(rates) > 1 else math.nan
    return Estimate(float(np.mean(rates)), error, n=len(rates) * _JUDGED_SWEEPS * action.lattice.sites // vae.size)


def _tensors(vae: LocalVae, around: Any, values: Any, stream: Stream) -> tuple[Tensor, Tensor, Tensor]:
    count, latents = len(values), vae.plan.latents
    noise = stream.normal("user", max(latents, 1), count)[:, :latents]
    return torch.from_numpy(around), torch.from_numpy(values), torch.from_numpy(np.ascontiguousarray(noise))


def _terms(vae: LocalVae, data: PatchData, stream: Stream) -> tuple[float, float]:
    """The bound and its KL term, per patch."""
    device = next(vae.parameters()).device
    with torch.no_grad():
        batch = _tensors(vae, data.around, data.values, stream.fold("held out"))
        surprise, divergence = vae(*(part.to(device) for part in batch))
    return -float((surprise + divergence).mean()), float(divergence.mean())


def _bound(vae: LocalVae, data: PatchData, stream: Stream) -> Callable[[nn.Module], float]:
    """The evidence lower bound on fields that no step is trained on."""
    return lambda model: _terms(vae, data, stream)[0]


def _facts(training: VaeTraining, found: TrainedVae) -> dict[str, Any]:
    return {
        "options": {k: v for k, v in dataclasses.asdict(training).items() if k != "plan"},
        "objective": "evidence lower bound",
        "target": describe_action(found.vae.action),
        "seconds": round(found.seconds, 3),
        "acceptance": found.acceptance.to_dict(),
        "bound": found.bound,
        "divergence": found.divergence,
    }
