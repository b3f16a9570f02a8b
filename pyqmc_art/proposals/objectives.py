"""What a proposal is trained for: the reverse KL divergence, whose minimum is exactness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pyqmc_art.learning.fit import Batches, Loss
from pyqmc_art.proposals.flow import Flow
from pyqmc_art.rng import Stream


class _Action(torch.autograd.Function):
    """S and its gradient, both by the action itself: there is no second version of S for torch."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, action: Any) -> Tensor:
        values = field.detach().cpu().numpy()
        ctx.save_for_backward(torch.from_numpy(-action.force(values)).to(field.device))
        return torch.from_numpy(action(values)).to(field.device)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return slope * gradients[0].reshape(-1, *[1] * (slope.ndim - 1)), None


def evaluate_action(action: Any, field: Tensor) -> Tensor:
    """S of each field, shape (n,), differentiable once.

    Parameters
    ----------
    action : with a ``force``
    field : float64, shape (n, *lattice.shape)

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.lattice.scalar import Phi4
    >>> field = torch.full((1, 2, 2), 1.0, dtype=torch.float64, requires_grad=True)
    >>> evaluate_action(Phi4(Lattice((2, 2)), -4, 8), field).backward(torch.ones(1, dtype=torch.float64))
    >>> float(field.grad[0, 0, 0])
    24.0
    """
    value: Tensor = _Action.apply(field, action)
    return value


def reverse_kl(action: Any) -> Loss:
    r"""KL(q || p) - ln Z = E_q[S + ln q], whose minimum is -ln Z: the loss of a batch of (z, ln q_free(z)).

    It is the mean of minus the log weight, so that its negative never exceeds ln Z but for noise.
    """

    def loss(model: nn.Module, batch: Any) -> Tensor:
        z, log_base = batch
        field, log_det = model(z)
        mean: Tensor = (evaluate_action(action, field) + log_base - log_det).mean()
        return mean

    return loss


def base_batches(flow: Flow, size: int, stream: Stream) -> Batches:
    """Batches of ``size`` free fields with their log densities, each a pure function of its number."""

    def batch(number: int) -> tuple[Tensor, Tensor]:
        drawn = flow.base.draw(stream.fold("batch", number), size)
        return torch.from_numpy(drawn.field), torch.from_numpy(drawn.log_ratio)

    return batch


def density_kl(log_weight: Callable[[Tensor], Tensor]) -> Loss:
    """The reverse KL divergence of a flow of one variable, up to ln Z, for a batch of noise and its log density."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        x, log_noise = batch
        y, log_slope = model(x)
        mean: Tensor = (log_noise - log_slope - log_weight(y)).mean()
        return mean

    return loss
