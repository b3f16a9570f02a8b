"""What training a LoRA will cost, measured on a few steps before it starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from pyqmc_art.art.diffusion.lora import LatentBatches, LoraLearner, LoraTraining, answer_with, open_base
from pyqmc_art.art.synthesis.trial import TrainingCost, invent_pool, measure_rate
from pyqmc_art.learning.cost import estimate_cost
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.rng import Stream

_TRIED: Final = 2


@dataclass(frozen=True, kw_only=True)
class LoraCost(TrainingCost):
    """Price of training a LoRA, with all networks of the pipeline in the memory.

    The first look of the autoencoder at each picture is not counted.

    Attributes
    ----------
    parameters, trained : of the network, and of the changes to it
    gflop : of one look at one image; a multiplication and an addition are two
    """

    parameters: int
    trained: int
    gflop: float

    def __str__(self) -> str:
        return (
            f"{self.parameters / 1e6:.3g} M parameters, {self.trained / 1e6:.3g} M of them trained; {self.gflop:.3g} "
            f"GFLOP per image and look, about twice that in training; {self.pace}"
        )


class _Look(nn.Module):
    """A changed network as a function of the mixture alone."""

    def __init__(self, learner: LoraLearner) -> None:
        super().__init__()
        self.unet = learner.outside["pipeline"].unet
        self.learner = learner

    def forward(self, x: Tensor) -> Tensor:
        """Answers in the middle of the noise."""
        middle = self.learner.scheduler.config.num_train_timesteps // 2
        return answer_with(self.learner, x, torch.full((len(x),), middle))


def price_lora(base: str | os.PathLike[str], training: LoraTraining, threads: int | None = None) -> LoraCost:
    """Measure what a training costs on random pictures; nothing is kept.

    Parameters
    ----------
    base : local directory of a Stable Diffusion pipeline
    training : how
    threads : of torch; None changes nothing

    Raises
    ------
    InputError
        For a pipeline that cannot be used.
    """
    stream = Stream.from_seed(training.seed).fold("price")
    pool = invent_pool(training.batch, training.size, stream)
    with limit_torch(threads), torch.random.fork_rng([]):
        pipeline = open_base(base, training).pipeline
        learner = LoraLearner(pipeline, training.rank, training.prompt, stream)
        latents = LatentBatches(pipeline, pool, training, stream)
        cost = estimate_cost(_Look(learner), 1, shape=tuple(latents.plain.shape[1:]), batch=training.batch)
        rate = measure_rate(learner, learner.turns(), latents, training, stream, _TRIED)
    others = _count_weights(pipeline) - cost.parameters
    images = training.steps * training.batch
    return LoraCost(
        parameters=cost.parameters, trained=cost.trained, gflop=cost.gflop, memory=cost.memory + others * 4 / 2**30,
        images=images, rate=rate,
    )  # fmt: skip


def _count_weights(pipeline: Any) -> int:
    """Of all networks of a pipeline together."""
    parts = (part for part in pipeline.components.values() if isinstance(part, nn.Module))
    return sum(p.numel() for part in parts for p in part.parameters())
