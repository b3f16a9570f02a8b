"""The action and the free field as torch sees them: values and gradients, both by the lattice wing itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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
