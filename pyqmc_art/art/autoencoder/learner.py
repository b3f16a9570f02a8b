"""What is trained: an autoencoder, its averaged weights, and the counter of images; and how good its bound is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.art.autoencoder.network import Autoencoder
from pyqmc_art.art.synthesis.pool import Pool, as_tensor
from pyqmc_art.art.synthesis.weights import average_weights
from pyqmc_art.learning.turns import Turn
from pyqmc_art.rng import Stream

BOUND: Final = ("reconstruction (nats)", "divergence (nats)", "bound (nats)")
"""Names of minus E ln p(x|z), of KL(q(z|x) | p(z)) and of the evidence lower bound, which is minus their sum."""
_JUDGED: Final = 256
_CHUNK: Final = 64


class AutoencoderLearner(nn.Module):
    """An autoencoder in training.

    Parameters
    ----------
    network : that learns
    kl_weight : of the divergence in the loss; 1 for the bound itself

    Attributes
    ----------
    average : the network with moving averages of its weights: what pictures are made with
    images : real images shown so far, earlier trainings included
    """

    images: Tensor

    def __init__(self, network: Autoencoder, kl_weight: float = 1.0) -> None:
        super().__init__()
        self.network, self.kl_weight = network, kl_weight
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))

    def turns(self) -> tuple[Turn, ...]:
        """The one loss."""
        return (Turn("", "network", _loss),)

    def follow(self, batch: int, begun: int, half_life: float) -> None:
        """Count the images of a step and average the weights, with a half-life in images."""
        self.images += batch
        average_weights(self.average, self.network, batch, int(self.images) - begun, half_life)


def _loss(learner: Any, images: Tensor) -> Tensor:
    """Minus the bound in nats per colour value, with the divergence weighted."""
    shape = learner.network.shape
    e = torch.randn(len(images), shape.latent, shape.side, shape.side).to(images.device)
    fitted, divergence = learner.network(images, e)
    loss: Tensor = (learner.kl_weight * divergence - fitted).mean() / images[0].numel()
    return loss


def judge_bound(pool: Pool, stream: Stream) -> Callable[[Autoencoder], dict[str, float | str]]:
    """Prepare to measure the bound and its two terms on pictures, in nats per image, with standard errors over works.

    Parameters
    ----------
    pool : pictures; of many, 256 are looked at
    stream : of their choice and of the latent numbers, the same at each call
    """
    chosen = np.sort(np.random.default_rng(stream.fold("judged").key).permutation(len(pool))[:_JUDGED])
    owners = pool.owners[chosen]

    def judge(network: Autoencoder) -> dict[str, float | str]:
        shape, terms = network.shape, []
        network.eval()
        for begin in range(0, len(chosen), _CHUNK):
            images = as_tensor(pool.images[chosen[begin : begin + _CHUNK]])
            drawn = stream.fold("latent").shifted(begin).normal("user", shape.latent * shape.side**2, len(images))
            e = torch.from_numpy(drawn.astype(np.float32)).view(-1, shape.latent, shape.side, shape.side)
            device = network.log_width.device
            with torch.no_grad():
                terms.append(torch.stack(network(images.to(device), e.to(device))).cpu().double().numpy())
        fitted, divergence = np.concatenate(terms, axis=1)
        named = dict(zip(BOUND, (-fitted, divergence, fitted - divergence), strict=True))
        facts: dict[str, float | str] = {}
        for name, values in named.items():
            works = np.array([values[owners == owner].mean() for owner in np.unique(owners)])
            error = works.std(ddof=1) / len(works) ** 0.5 if len(works) > 1 else 0.0
            facts |= {name: float(works.mean()), f"{name} error": float(error)}
        return facts

    return judge
