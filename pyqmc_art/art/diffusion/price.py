"""What training a diffusion model will cost, measured on a few steps before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.art.diffusion.codec import Codec
from pyqmc_art.art.diffusion.denoiser import Denoiser
from pyqmc_art.art.diffusion.models import CHUNK, make_synthesizer
from pyqmc_art.art.diffusion.training import DiffusionTraining, build_learner, give_batches
from pyqmc_art.art.synthesis.trial import TrainingCost, invent_pool, measure_rate
from pyqmc_art.learning.cost import estimate_cost
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.rng import Stream

_TRIED: Final = 4


@dataclass(frozen=True, kw_only=True)
class DiffusionCost(TrainingCost):
    """Price of training a diffusion model, with the averaged weights in the memory.

    Attributes
    ----------
    parameters : of the network
    gflop : of one look at one image; a multiplication and an addition are two
    made : pictures made in a second, measured likewise
    """

    parameters: int
    gflop: float
    made: float

    def __str__(self) -> str:
        return (
            f"{self.parameters / 1e6:.3g} M parameters, {self.gflop:.3g} GFLOP per image and look, three times that "
            f"in training; {self.pace}; {self.made:.3g} pictures/s are made"
        )


class _Look(nn.Module):
    """A denoiser as a function of the mixture alone."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x: Tensor) -> Tensor:
        """Answers at the middle of the path."""
        answer: Tensor = self.denoiser(x, torch.full((len(x),), 0.5))
        return answer


def price_diffusion(
    training: DiffusionTraining, codec: Codec, classes: int = 0, threads: int | None = None
) -> DiffusionCost:
    """Measure what a training costs on random pictures; nothing is kept.

    Parameters
    ----------
    training : how
    codec : what is denoised
    classes : that the network knows
    threads : of torch; None changes nothing
    """
    stream = Stream.from_seed(training.seed).fold("price")
    pool = invent_pool(training.batch, training.shape.size, stream)
    with limit_torch(threads), torch.random.fork_rng([]):
        learner = build_learner(training, codec, classes, stream)
        cost = estimate_cost(
            _Look(learner.denoiser), 1, shape=(codec.channels, codec.side, codec.side), batch=training.batch
        )
        batches = give_batches(pool, codec, np.zeros(len(pool), np.int64), training, stream)
        rate = measure_rate(learner, learner.turns(), batches, training, stream, _TRIED)
        known = {str(k): 1 for k in range(classes)}
        synthesizer = make_synthesizer(learner, training.shape, known, (), training.made)
        begun = time.perf_counter()
        synthesizer.draw(range(CHUNK))
        made = CHUNK / (time.perf_counter() - begun)
    weights = cost.parameters * 4 / 2**30
    return DiffusionCost(
        parameters=cost.parameters, gflop=cost.gflop, memory=cost.memory + weights,
        images=training.steps * training.batch, rate=rate, made=made,
    )  # fmt: skip
