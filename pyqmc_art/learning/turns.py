"""Losses that take turns within one step, each moving one part of a model while the others are frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pyqmc_art.errors import InputError
from pyqmc_art.learning.options import FitOptions

Loss: TypeAlias = Callable[[nn.Module, Any], Tensor]
"""Takes the model and a batch; gives a scalar."""


def _always(model: nn.Module, step: int) -> bool:
    return True


@dataclass(frozen=True)
class Turn:
    """One loss of several, and the part of the model that it moves.

    Turns of one step follow each other, so that the second sees what the first has changed. Turns of one part share its
    optimiser. A loss calls parts that are not its own by :func:`call_frozen`.

    Parameters
    ----------
    name : in the log
    part : name of a sub-module; empty for the whole model
    loss : takes the model and a batch
    when : takes the model and the steps done; whether it is this turn's step. It may look at nothing else, or a resumed
        training would differ
    rate : factor on the learning rate
    betas : of Adam; None keeps torch's
    """

    name: str
    part: str
    loss: Loss
    when: Callable[[nn.Module, int], bool] = _always
    rate: float = 1.0
    betas: tuple[float, float] | None = None


def call_frozen(module: nn.Module, *args: Any, **more: Any) -> Any:
    """Call a module without moving it: no gradient reaches a parameter, and no buffer changes.

    Gradients with respect to what it is given still flow, as a generator needs them from a frozen discriminator.

    Examples
    --------
    >>> net, x = nn.BatchNorm1d(2), torch.ones(4, 2, requires_grad=True)
    >>> call_frozen(net, x).square().sum().backward()
    >>> net.weight.grad is None, x.grad is None, int(net.num_batches_tracked)
    (True, False, 0)
    """
    state = {name: value.detach() for name, value in module.named_parameters()}
    state |= {name: value.clone() for name, value in module.named_buffers()}
    return functional_call(module, state, args, more)


def find_parts(model: nn.Module, turns: tuple[Turn, ...]) -> dict[str, list[nn.Parameter]]:
    """Name the parameters that the turns of each part move: those that require a gradient.

    Raises
    ------
    InputError
        When there is no such part, or nothing in it to train.
    """
    known = dict(model.named_modules())
    found: dict[str, list[nn.Parameter]] = {}
    for part in dict.fromkeys(turn.part for turn in turns):
        if part not in known:
            raise InputError(f"the model has no part {part!r}; it has {', '.join(filter(None, known))}")
        found[part] = [p for p in known[part].parameters() if p.requires_grad]
        if not found[part]:
            where = f"the part {part!r} of the model" if part else "the model"
            raise InputError(f"no parameter of {where} requires a gradient; nothing can be trained")
    return found


def make_optimizer(parameters: list[nn.Parameter], options: FitOptions) -> torch.optim.Optimizer:
    """Make the optimiser that the options name."""
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay)
    kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, weight_decay=decay)


def set_rate(optimizer: Any, turn: Turn, rate: float) -> None:
    """Prepare an optimiser for a turn."""
    for group in optimizer.param_groups:
        group["lr"] = rate * turn.rate
        if turn.betas is not None and "betas" in group:
            group["betas"] = turn.betas
