r"""What the two players want: minimax, non-saturating and hinge losses, and the penalty on the slope at real images.

The value of the game is :math:`V = E_p \ln D + E_q \ln(1 - D)` with :math:`D = \sigma(l)` of the logit l. Its maximum
over D is reached at :math:`D = p/(p+q)`, where it is :math:`-\ln 4 + 2 JS(p, q)`: -ln 4 when the two agree.

References
----------
I. Goodfellow et al., NIPS 2014 (arXiv:1406.2661), equation 1, proposition 1, theorem 1. L. Mescheder, A. Geiger,
S. Nowozin, ICML 2018 (arXiv:1801.04406), equation 9 (R1).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from pyqmc_art.art.gan.network import Critic
from pyqmc_art.errors import unknown

LOSSES: Final = ("non-saturating", "minimax", "hinge")


def find_value(real: Tensor, made: Tensor) -> Tensor:
    """Value of the game for logits of real and made images.

    Examples
    --------
    >>> round(find_value(torch.zeros(3), torch.zeros(3)).item(), 6)  # -ln 4
    -1.386294
    """
    return -(softplus(-real).mean() + softplus(made).mean())


def discriminate(kind: str, real: Tensor, made: Tensor) -> Tensor:
    """Loss of the discriminator.

    Raises
    ------
    InputError
        For an unknown kind.
    """
    if kind not in LOSSES:
        raise unknown("loss", kind, LOSSES)
    real, made = real.float(), made.float()
    if kind == "hinge":
        return relu(1 - real).mean() + relu(1 + made).mean()
    return -find_value(real, made)


def generate(kind: str, made: Tensor) -> Tensor:
    """Loss of the generator; the minimax one, ``ln(1 - D)``, is flat where the discriminator is sure.

    Raises
    ------
    InputError
        For an unknown kind.
    """
    if kind not in LOSSES:
        raise unknown("loss", kind, LOSSES)
    made = made.float()
    if kind == "hinge":
        return -made.mean()
    return softplus(-made).mean() if kind == "non-saturating" else -softplus(made).mean()


def penalise_slope(critic: Critic, images: Tensor) -> Tensor:
    r"""R1 without its weight: :math:`E |\nabla_x l(x)|^2 / 2` at these images."""
    seen = images.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(seen).float().sum(), seen, create_graph=True)
    return slope.square().sum(dim=(1, 2, 3)).mean() / 2
