"""The game as one model: both players, the averaged generator, and everything a resumed training must find again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn

from pyqmc_art.art.gan.augment import augment
from pyqmc_art.art.gan.network import Critic, Generator
from pyqmc_art.art.gan.objectives import discriminate, generate, penalise_slope
from pyqmc_art.art.gan.rules import Rules
from pyqmc_art.art.synthesis.weights import average_weights
from pyqmc_art.learning.turns import Turn, call_frozen

WINS: Final = 0.95
"""Fraction of images that a discriminator tells apart, on both sides, when it has won."""
FOOLED: Final = 0.4
"""And below which it tells nothing any more."""
_MEMORY: Final = 0.99
_STEER: Final = 4

Penalty: TypeAlias = Callable[[Tensor], Tensor]
"""Takes made images from -1 to 1, gives a scalar that a generator shall make small."""


class Game(nn.Module):
    """Generator, discriminator and their history; counters and moving averages are buffers, so checkpoints hold them.

    Attributes
    ----------
    generator, critic : the players
    average : the generator with moving averages of its weights: what pictures are made with
    rival : what else the generator pays for its images, a frozen detector for instance; None for nothing
    images : real images shown so far, earlier trainings included
    probability : of each change of ADA
    """

    images: Tensor
    probability: Tensor
    signs: Tensor
    right: Tensor
    lengths: Tensor

    def __init__(self, generator: Generator, critic: Critic, rules: Rules, rival: Penalty | None = None) -> None:
        super().__init__()
        self.rival = rival
        self.generator, self.critic, self.rules = generator, critic, rules
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))
        self.register_buffer("probability", torch.zeros(()))
        # Sum of the signs of real logits since ADA was last steered, and their number.
        self.register_buffer("signs", torch.zeros(2))
        # Fractions of real and of made images that the discriminator tells, averaged over the last hundred steps.
        self.register_buffer("right", torch.full((2,), 0.5))
        self.register_buffer("lengths", torch.zeros(()))

    def turns(self) -> tuple[Turn, ...]:
        """The losses in their order within a step."""
        rules = self.rules
        found = [Turn("critic", "critic", _critic_loss, _critic_moves, betas=rules.betas)]
        if rules.slope:
            found.append(_lazy("slope", "critic", _slope_loss, rules.slope_every, rules))
        found.append(Turn("generator", "generator", _generator_loss, _generator_moves, betas=rules.betas))
        if rules.path:
            found.append(_lazy("path", "generator", _path_loss, rules.path_every, rules))
        return tuple(found)

    def make(self, n: int) -> Tensor:
        """Images of the generator as it is now, in training; nothing of it is moved."""
        z = torch.randn(n, self.generator.latent).to(self.images.device)
        images: Tensor = call_frozen(self.generator, z)
        return images

    def change(self, images: Tensor) -> Tensor:
        """Augment images as the rules say."""
        return augment(images, self.rules.augment, float(self.probability))

    def balance(self) -> str:
        """Say who is winning: ``"even"``, ``"discriminator"`` or ``"generator"``."""
        real, made = (float(x) for x in self.right)
        if min(real, made) > WINS:
            return "discriminator"
        return "generator" if (real + made) / 2 < FOOLED else "even"

    def follow(self, batch: int, begun: int) -> None:
        """Count the images of a step, average the weights, steer ADA.

        Parameters
        ----------
        batch : real images of the step
        begun : ``images`` when this training began
        """
        self.images += batch
        shown = int(self.images) - begun
        average_weights(self.average, self.generator, batch, shown, self.rules.average * 1000)
        with torch.no_grad():
            count = float(self.signs[1])
            if self.rules.augment == "ada" and count >= _STEER * batch:
                direction = 1 if float(self.signs[0]) / count > self.rules.target else -1
                self.probability += direction * count / (self.rules.pace * 1000)
                self.probability.clamp_(0, 1)
                self.signs.zero_()


def _lazy(name: str, part: str, loss: Any, every: int, rules: Rules) -> Turn:
    """A penalty once in ``every`` steps; Adam's memory is shortened to match, as appendix B of StyleGAN2 has it."""
    share = every / (every + 1)
    moves = _critic_moves if part == "critic" else _generator_moves
    first, second = rules.betas
    return Turn(
        name, part, loss, lambda model, step: step % every == 0 and moves(model, step), share,
        (first**share, second**share),
    )  # fmt: skip


def _critic_moves(model: Any, step: int) -> bool:
    held = model.rules.balance == "hold" and model.balance() == "discriminator"
    return bool(model.rules.moves_critic(step)) and not held


def _generator_moves(model: Any, step: int) -> bool:
    return bool(model.rules.moves_generator(step))


def _critic_loss(game: Any, real: Tensor) -> Tensor:
    with torch.no_grad():
        made = game.make(len(real))
    logits, taught = game.critic.examine(game.change(real))
    other = game.critic(game.change(made))
    with torch.no_grad():
        game.signs += torch.stack([logits.sign().sum(), logits.new_tensor(float(len(logits)))])
        game.right[0].lerp_((logits > 0).float().mean(), 1 - _MEMORY)
        game.right[1].lerp_((other < 0).float().mean(), 1 - _MEMORY)
    loss: Tensor = discriminate(game.rules.loss, logits, other) + taught
    return loss


def _slope_loss(game: Any, real: Tensor) -> Tensor:
    loss: Tensor = penalise_slope(game.critic, game.change(real)) * (game.rules.slope * game.rules.slope_every)
    return loss


def _generator_loss(game: Any, real: Tensor) -> Tensor:
    z = torch.randn(len(real), game.generator.latent).to(real.device)
    made = game.generator(z)
    logits = call_frozen(game.critic, game.change(made))
    with torch.no_grad():
        game.right[1].lerp_((logits < 0).float().mean(), 1 - _MEMORY)
    loss = generate(game.rules.loss, logits)
    return loss if game.rival is None else loss + game.rival(made)


def _path_loss(game: Any, real: Tensor) -> Tensor:
    penalty, mean = game.generator.penalise(max(1, len(real) // 2), game.lengths)
    with torch.no_grad():
        game.lengths.copy_(mean)
    loss: Tensor = penalty * (game.rules.path * game.rules.path_every)
    return loss
