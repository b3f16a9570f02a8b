"""What training a GAN will cost, measured on a few steps before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pyqmc_art.art.gan.catalogue import build_players
from pyqmc_art.art.gan.game import Game
from pyqmc_art.art.gan.training import GanTraining
from pyqmc_art.art.synthesis.trial import TrainingCost, invent_pool, measure_rate
from pyqmc_art.learning.cost import estimate_cost
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.rng import Stream


@dataclass(frozen=True, kw_only=True)
class GanCost(TrainingCost):
    """Price of training a GAN, with the averaged weights in the memory.

    Attributes
    ----------
    generator, critic : parameters
    gflop : of making one image and judging one, forward; a multiplication and an addition are two
    """

    generator: int
    critic: int
    gflop: tuple[float, float]

    def __str__(self) -> str:
        return (
            f"generator {self.generator / 1e6:.3g} M parameters, {self.gflop[0]:.3g} GFLOP per image forward; "
            f"discriminator {self.critic / 1e6:.3g} M, {self.gflop[1]:.3g} GFLOP; {self.pace}"
        )


def price_gan(training: GanTraining, threads: int | None = None) -> GanCost:
    """Measure what a training costs on random pictures; nothing is kept.

    Parameters
    ----------
    training : how
    threads : of torch; None changes nothing
    """
    stream, size = Stream.from_seed(training.seed).fold("price"), training.shape.size
    pool = invent_pool(training.batch, size, stream)
    with limit_torch(threads), torch.random.fork_rng([]):
        game = Game(*build_players(training.shape, stream), training.rules)
        game.critic.freeze(training.freeze)
        made = estimate_cost(game.generator, 1, shape=(training.shape.latent,), batch=training.batch)
        judged = estimate_cost(game.critic, 1, shape=(3, size, size), batch=training.batch)
        rate = measure_rate(game, game.turns(), pool.batches(training.batch, training.mirror, stream), training, stream)
    weights = sum(p.numel() for p in game.average.parameters()) * 4 / 2**30
    images = training.steps * training.batch
    # The discriminator keeps a real and a made batch.
    memory = made.memory + 2 * judged.memory + weights
    return GanCost(
        generator=made.parameters, critic=judged.parameters, gflop=(made.gflop, judged.gflop), memory=memory,
        images=images, rate=rate,
    )  # fmt: skip
