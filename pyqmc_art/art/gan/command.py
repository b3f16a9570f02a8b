"""What ``train gan`` does, as a function that neither prints nor exits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.gan.price import price_gan
from pyqmc_art.art.gan.training import GanTraining, TrainedGan, train_gan
from pyqmc_art.art.synthesis.command import Errand, Task, describe_task, run_errand, tell_training
from pyqmc_art.art.synthesis.course import Terms
from pyqmc_art.art.synthesis.pool import Pool

_WINNING = {
    "discriminator": "the discriminator tells more than 95 % of both sides: the generator hardly learns from it; "
    "take --augment diff or ada, --balance hold, or more pictures",
    "generator": "the discriminator tells less than 40 %: it teaches nothing; take more --width, or a lower rate",
}


def train_command(errand: Errand, training: GanTraining, tune: Path | None = None) -> Outcome:
    """Train or tune a GAN and say what came of it.

    Parameters
    ----------
    errand : what was asked for
    training : how
    tune : model directory to start from

    Raises
    ------
    InputError, Interrupted
        As :func:`pyqmc_art.art.synthesis.command.run_errand`.
    """

    def prepare(pool: Pool) -> Task:
        def train(terms: Terms) -> Outcome:
            return _tell(train_gan(pool, training, errand.out, tune=tune, **terms), errand.out)

        return Task(_introduce(pool, training, tune), lambda: price_gan(training, errand.threads), train)

    return run_errand(errand, training, training.shape.size, prepare)


def _introduce(pool: Pool, training: GanTraining, tune: Path | None) -> str:
    shape, rules = training.shape, training.rules
    what = f"training a {shape.kind}" if tune is None else f"tuning {tune}, a {shape.kind},"
    return f"{what} {describe_task(pool, training, shape.size)}; {rules.loss} loss, augmentation {rules.augment}"


def _tell(trained: TrainedGan, out: Path) -> Outcome:
    synthesizer = trained.synthesizer
    images = int(synthesizer.history[-1]["images"])
    told = tell_training(synthesizer, images, trained.seconds, out, f"; the game is {_state(trained)}")
    won = _WINNING.get(trained.balance)
    return replace(told, problems=((won,) if won else ()) + told.problems)


def _state(trained: TrainedGan) -> str:
    real, made = (float(x) for x in trained.game.right)
    return f"{trained.balance} (of the last hundred steps {real:.0%} of real and {made:.0%} of made images were told)"
