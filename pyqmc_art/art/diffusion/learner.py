"""What is trained: a denoiser, its averaged weights, and the counter of images; a checkpoint holds all of it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from pyqmc_art.art.diffusion.codec import Codec
from pyqmc_art.art.diffusion.denoiser import Denoiser
from pyqmc_art.art.diffusion.path import NoisePath
from pyqmc_art.art.synthesis.weights import average_weights
from pyqmc_art.learning.turns import Turn


class Learner(nn.Module):
    """A denoiser in training.

    Parameters
    ----------
    denoiser : the network that learns
    codec : frozen; makes what is denoised
    path : with its objective
    drop : share of the examples whose class is hidden, so that guidance can be had

    Attributes
    ----------
    average : the denoiser with moving averages of its weights: what pictures are made with
    images : real images shown so far, earlier trainings included
    """

    images: Tensor

    def __init__(self, denoiser: Denoiser, codec: Codec, path: NoisePath, drop: float = 0.1) -> None:
        super().__init__()
        self.denoiser, self.path, self.drop = denoiser, path, drop
        self.average = copy.deepcopy(denoiser).requires_grad_(False)
        self.codec = codec.requires_grad_(False)
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))

    def turns(self) -> tuple[Turn, ...]:
        """The one loss."""
        return (Turn("", "denoiser", _loss),)

    def follow(self, batch: int, begun: int, half_life: float) -> None:
        """Count the images of a step and average the weights, with a half-life in images."""
        self.images += batch
        average_weights(self.average, self.denoiser, batch, int(self.images) - begun, half_life)


def _loss(learner: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean square of what the answer lacks, at random times, with some classes hidden."""
    x, labels = batch
    t = learner.path.draw_times(len(x)).to(x.device)
    e = torch.randn(x.shape).to(x.device)
    hidden = (torch.rand(len(x)) < learner.drop).to(x.device)
    denoiser = learner.denoiser
    shown = labels.masked_fill(hidden, denoiser.classes) if denoiser.classes else None
    answer = denoiser(learner.path.mix(x, e, t), t, shown)
    loss: Tensor = (answer - learner.path.target(x, e, t)).square().mean()
    return loss
