"""What a proposal is trained for: divergences whose minimum is exactness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyqmc_art.learning.fit import Batches, Loss
from pyqmc_art.proposals.curriculum import Curriculum
from pyqmc_art.proposals.energy import evaluate_action
from pyqmc_art.proposals.flow import Flow
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream


def reverse_kl(action: Any) -> Loss:
    r"""KL(q || p) - ln Z = E_q[S + ln q], whose minimum is -ln Z: the loss of a batch of (z, ln q_free(z)).

    It is the mean of minus the log weight, so that its negative never exceeds ln Z but for noise.
    """

    def loss(model: nn.Module, batch: Any) -> Tensor:
        z, log_base = batch
        return push_kl(model, action, z, log_base, None)

    return loss


def push_kl(model: Any, action: Any, z: Tensor, log_base: Tensor, condition: Tensor | None) -> Tensor:
    """E_q[S + ln q] over free fields, with its gradient by reparametrisation."""
    field, log_q = model.push(z, log_base, condition)
    mean: Tensor = (evaluate_action(action, field) + log_q).mean()
    return mean


def path_kl(model: Any, action: Any, z: Tensor, log_base: Tensor, condition: Tensor | None) -> Tensor:
    """E_q[S + ln q] with its gradient along the paths of the draws alone.

    The derivative of ln q at a fixed field has the average zero. Leaving it out leaves less noise, and none at all
    where q is already the target. It costs an inversion.

    References
    ----------
    Roeder, Wu, Duvenaud, NeurIPS 2017 (arXiv:1703.09194); Vaitl, Nicoli, Nakajima, Kessel, Mach. Learn.: Sci. Technol.
    3 (2022) 045006 (arXiv:2206.09016).
    """
    field, _ = model(z, condition)
    fixed = field.detach().requires_grad_()
    with _frozen(model):
        excess = evaluate_action(action, fixed) + model.log_density(fixed, condition)
    (slope,) = torch.autograd.grad(excess.sum(), fixed)
    path = (field * slope).sum() / len(field)
    mean: Tensor = excess.detach().mean() + path - path.detach()
    return mean


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Take no gradient with respect to the weights for a while."""
    free = [p for p in model.parameters() if p.requires_grad]
    for parameter in free:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in free:
            parameter.requires_grad_(True)


@dataclass(frozen=True)
class FlowObjective:
    """(1 - forward) E_q[S + ln q] - forward E_p[ln q] for batches of :func:`flow_batches`.

    Parameters
    ----------
    curriculum : the action of each step
    forward : share of the forward divergence, over fields of the target; 0 to 1
    path : whether the gradient of the first part is that of the paths alone
    """

    curriculum: Curriculum
    forward: float = 0.0
    path: bool = False

    def __call__(self, model: Any, batch: Any) -> Tensor:
        """Loss of a batch (number, z, ln q_free(z), fields)."""
        number, z, log_base, fields = batch
        action = self.curriculum.at(number)
        place = model.plan.place(action.couplings()) if model.plan.condition is not None else ()
        condition = torch.tensor(place, dtype=torch.float64, device=z.device) if place else None
        total: Tensor = z.new_zeros(())
        if self.forward < 1:
            reverse = path_kl if self.path else push_kl
            total = total + (1 - self.forward) * reverse(model, action, z, log_base, condition)
        if self.forward > 0:
            total = total - self.forward * model.log_density(fields, condition).mean()
        return total


def base_batches(flow: Flow, size: int, stream: Stream) -> Batches:
    """Batches of ``size`` free fields with their log densities, each a pure function of its number."""

    def batch(number: int) -> tuple[Tensor, Tensor]:
        drawn = flow.base.draw(stream.fold("batch", number), size)
        return torch.from_numpy(drawn.field), torch.from_numpy(drawn.log_ratio)

    return batch


def flow_batches(flow: Flow, size: int, stream: Stream, fields: Field | None = None) -> Batches:
    """Batches of :func:`base_batches` with their number before them, and behind them fields of the target.

    Parameters
    ----------
    fields : of the target, shape (count, *lattice.shape), from which each batch draws ``size``, half of them mirrored
    """
    base = base_batches(flow, size, stream)

    def batch(number: int) -> tuple[int, Tensor, Tensor, Tensor]:
        z, log_base = base(number)
        if fields is None:
            return number, z, log_base, z[:0]
        own = stream.fold("fields", number)
        chance = own.uniform("user", torch.arange(2 * size).numpy(), 1)[0]
        chosen = fields[(chance[:size] * len(fields)).astype(int)].copy()
        chosen[chance[size:] < 0.5] *= -1
        return number, z, log_base, torch.from_numpy(chosen)

    return batch


def density_kl(log_weight: Callable[[Tensor], Tensor]) -> Loss:
    """The reverse KL divergence of a flow of one variable, up to ln Z, for a batch of noise and its log density."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        x, log_noise = batch
        y, log_slope = model(x)
        mean: Tensor = (log_noise - log_slope - log_weight(y)).mean()
        return mean

    return loss


__all__ = [
    "FlowObjective",
    "base_batches",
    "density_kl",
    "evaluate_action",
    "flow_batches",
    "path_kl",
    "push_kl",
    "reverse_kl",
]
