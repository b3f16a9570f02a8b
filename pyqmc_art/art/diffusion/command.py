"""What ``train diffusion`` does, as a function that neither prints nor exits."""

from __future__ import annotations

from pathlib import Path

from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.diffusion.codec import Codec, LatentCodec
from pyqmc_art.art.diffusion.price import price_diffusion
from pyqmc_art.art.diffusion.training import DiffusionTraining, choose_codec, find_classes, train_diffusion
from pyqmc_art.art.synthesis.command import Errand, Task, describe_task, run_errand, tell_training
from pyqmc_art.art.synthesis.course import Terms
from pyqmc_art.art.synthesis.pool import Pool


def train_command(errand: Errand, training: DiffusionTraining, tune: Path | None = None) -> Outcome:
    """Train or tune a diffusion model and say what came of it.

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
        classes, _ = find_classes(pool, training.classes, tune)
        training.made.settle(training.shape, classes)
        codec = choose_codec(pool, training, tune)

        def train(terms: Terms) -> Outcome:
            trained = train_diffusion(pool, training, errand.out, tune=tune, **terms)
            images = int(trained.synthesizer.history[-1]["images"])
            return tell_training(trained.synthesizer, images, trained.seconds, errand.out)

        return Task(
            _introduce(pool, training, tune, classes, codec),
            lambda: price_diffusion(training, codec, len(classes), errand.threads),
            train,
        )

    return run_errand(errand, training, training.shape.size, prepare)


def _introduce(
    pool: Pool, training: DiffusionTraining, tune: Path | None, classes: dict[str, int], codec: Codec
) -> str:
    what = "training a diffusion model" if tune is None else f"tuning {tune}, a diffusion model,"
    known = ", ".join(f"{name} {n}" for name, n in classes.items())
    inside = (
        f" on a latent map {codec.channels} x {codec.side} x {codec.side}" if isinstance(codec, LatentCodec) else ""
    )
    return (
        f"{what} {describe_task(pool, training, training.shape.size)}; objective {training.shape.objective}{inside}"
        + (f"; classes {known}" if known else "")
    )
