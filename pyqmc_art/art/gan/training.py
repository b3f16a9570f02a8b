"""Training a GAN from nothing, or tuning one on a few pictures: counted in images shown, resumed bit for bit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Unpack

from pyqmc_art.art.gan.catalogue import GanShape, build_players
from pyqmc_art.art.gan.game import Game, Penalty
from pyqmc_art.art.gan.models import GanSynthesizer, load_players, make_synthesizer, save_gan
from pyqmc_art.art.gan.rules import Rules
from pyqmc_art.art.synthesis.course import Craft, Plan, Terms, check_sides, follow_course
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

WARN_EVERY: Final = 100
"""Steps after which an uneven game is reported again."""


@dataclass(frozen=True)
class GanTraining(Plan):
    """How to train a GAN; the other fields are those of :class:`pyqmc_art.art.synthesis.course.Plan`.

    Parameters
    ----------
    shape : the networks
    rules : of the game
    freeze : stages of the discriminator that keep their weights (Freeze-D)
    """

    shape: GanShape = field(default_factory=GanShape)
    rules: Rules = field(default_factory=Rules)
    freeze: int = 0

    @property
    def gains_by_bf16(self) -> bool:
        """Whether shortened numbers are faster for this kind."""
        return self.shape.habit.short


@dataclass(frozen=True)
class TrainedGan:
    """What a training gave: pictures of the averaged generator, and the game it came from."""

    synthesizer: GanSynthesizer
    game: Game
    balance: str
    seconds: float


def train_gan(
    pool: Pool,
    training: GanTraining,
    out: str | os.PathLike[str] | None = None,
    *,
    tune: str | os.PathLike[str] | None = None,
    rival: Penalty | None = None,
    **terms: Unpack[Terms],
) -> TrainedGan:
    """Train a GAN, or tune one.

    Parameters
    ----------
    pool : training images of ``training.shape.size``
    training : how
    out : model directory to write; checkpoints lie in ``OUT.training`` until it is complete, snapshots in
        ``OUT.snapshots``
    tune : model directory to start from; its images go on being counted
    rival : what else the generator pays for its images; such a training is not resumed
    terms : see :class:`pyqmc_art.art.synthesis.course.Terms`

    Raises
    ------
    InputError
        For images of another size, another plan on resume, a resumed training with a rival, or an ``out`` in use.
    Interrupted
        After Ctrl-C.
    NumericalError
        When a loss stops being finite.
    """
    shape = training.shape
    check_sides(pool, shape.size)
    if rival is not None and terms.get("resume"):
        raise InputError("a training against a rival is not resumed: nothing says that it is the same; start it anew")
    stream = Stream.from_seed(training.seed).fold("train gan")
    game = Game(*build_players(shape, stream), training.rules, rival)
    history = () if tune is None else load_players(game, tune, shape)
    game.critic.freeze(training.freeze)
    begun = int(game.images)
    craft = Craft(
        "gan", game, game.turns(), pool.batches(training.batch, training.mirror, stream),
        lambda step: _follow(game, training, begun, step), lambda: _describe(game),
        lambda whole: make_synthesizer(game, shape, whole),
        lambda whole, folder, log, replace: save_gan(game, shape, whole, folder, log, replace),
    )  # fmt: skip
    result, history = follow_course(craft, training, pool, out, stream=stream, tune=tune, history=history, **terms)
    return TrainedGan(make_synthesizer(game, shape, history), game, game.balance(), result.seconds)


def _follow(game: Game, training: GanTraining, begun: int, step: int) -> Mapping[str, float | str]:
    """Count, average and steer; say who wins."""
    game.follow(training.batch, begun)
    told = training.rules.balance != "off" and step % WARN_EVERY == 0 and game.balance() != "even"
    return {"winning": game.balance()} if told else {}


def _describe(game: Game) -> Mapping[str, float | str]:
    return {
        "probability": float(game.probability), "right_real": float(game.right[0]), "right_made": float(game.right[1]),
    }  # fmt: skip
