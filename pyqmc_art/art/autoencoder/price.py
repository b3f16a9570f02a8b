"""What training an autoencoder will cost, measured on a few steps before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from pyqmc_art.art.autoencoder.learner import AutoencoderLearner
from pyqmc_art.art.autoencoder.network import Autoencoder, build_autoencoder
from pyqmc_art.art.autoencoder.training import AutoencoderTraining
from pyqmc_art.art.synthesis.trial import TrainingCost, invent_pool, measure_rate
from pyqmc_art.learning.cost import estimate_cost
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.rng import Stream

_TRIED: Final = 4


@dataclass(frozen=True, kw_only=True)
class AutoencoderCost(TrainingCost):
    """Price of training an autoencoder, of a sweep in all its trainings; with the averaged weights in the memory.

    Attributes
    ----------
    parameters : of the networks
    gflop : of one image there and back; a multiplication and an addition are two
    """

    parameters: int
    gflop: float

    def __str__(self) -> str:
        return (
            f"{self.parameters / 1e6:.3g} M parameters, {self.gflop:.3g} GFLOP per image there and back, three times "
            f"that in training; {self.pace}"
        )


class _Round(nn.Module):
    """An autoencoder as a function of the picture alone."""

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """What is decoded from the means."""
        return self.network.decode(self.network.encode(images)[0])


def price_autoencoder(training: AutoencoderTraining, trainings: int = 1, threads: int | None = None) -> AutoencoderCost:
    """Measure what a training costs on random pictures; nothing is kept.

    Parameters
    ----------
    training : how
    trainings : of a sweep
    threads : of torch; None changes nothing
    """
    stream, shape = Stream.from_seed(training.seed).fold("price"), training.shape
    pool = invent_pool(training.batch, shape.size, stream)
    with limit_torch(threads), torch.random.fork_rng([]):
        learner = AutoencoderLearner(build_autoencoder(shape, stream), training.kl_weight)
        cost = estimate_cost(_Round(learner.network), 1, shape=(3, shape.size, shape.size), batch=training.batch)
        batches = pool.batches(training.batch, training.mirror, stream)
        rate = measure_rate(learner, learner.turns(), batches, training, stream, _TRIED)
    weights = cost.parameters * 4 / 2**30
    images = training.steps * training.batch * trainings
    return AutoencoderCost(
        parameters=cost.parameters, gflop=cost.gflop, memory=cost.memory + weights, images=images, rate=rate
    )
