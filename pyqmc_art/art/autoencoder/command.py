"""What ``train autoencoder`` does, as functions that neither print nor exit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pyqmc_art.art.autoencoder.learner import BOUND
from pyqmc_art.art.autoencoder.models import load_autoencoder
from pyqmc_art.art.autoencoder.price import price_autoencoder
from pyqmc_art.art.autoencoder.training import AutoencoderTraining, train_autoencoder
from pyqmc_art.art.commands import Outcome
from pyqmc_art.art.synthesis.command import Errand, Task, describe_task, run_errand, tell_training
from pyqmc_art.art.synthesis.course import Terms
from pyqmc_art.art.synthesis.curves import read_curves, read_memory
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.errors import InputError
from pyqmc_art.stats.estimate import Estimate


def train_command(
    errand: Errand, training: AutoencoderTraining, tune: Path | None = None, weights: Sequence[float] = ()
) -> Outcome:
    """Train or tune an autoencoder, or one for each weight of the divergence, and say what came of it.

    Parameters
    ----------
    errand : what was asked for; of a sweep ``out`` is the folder of model directories ``kl-WEIGHT``
    training : how
    tune : model directory to start from
    weights : of the divergence; several make a sweep, none takes that of ``training``

    Raises
    ------
    InputError, Interrupted
        As :func:`pyqmc_art.art.synthesis.command.run_errand`.
    """
    plans = {weight: replace(training, kl_weight=weight) for weight in weights or (training.kl_weight,)}
    if len(plans) < len(weights):
        raise InputError(f"kl_weight is {' '.join(f'{w:g}' for w in weights)}; expected none twice")
    sweep = len(plans) > 1
    places = {weight: errand.out / f"kl-{weight:g}" if sweep else errand.out for weight in plans}
    left = {weight: place for weight, place in places.items() if not (errand.resume and sweep and place.exists())}

    def prepare(pool: Pool) -> Task:
        def train(terms: Terms) -> Outcome:
            told = [
                _train(pool, plans[weight], place, tune, terms) if weight in left else _recall(place)
                for weight, place in places.items()
            ]
            reports = [one.report for one in told if one.report] + ([tell_sweep(places)] if sweep else [])
            return Outcome("\n".join(reports), tuple(problem for one in told for problem in one.problems))

        return Task(
            _introduce(pool, training, tune, list(plans)),
            lambda: price_autoencoder(training, len(plans), errand.threads),
            train,
        )

    return run_errand(errand, training, training.shape.size, prepare, left.values())


def _train(pool: Pool, plan: AutoencoderTraining, place: Path, tune: Path | None, terms: Terms) -> Outcome:
    trained = train_autoencoder(pool, plan, place, tune=tune, **terms)
    images = int(trained.synthesizer.history[-1]["images"])
    return tell_training(trained.synthesizer, images, trained.seconds, place)


def _recall(place: Path) -> Outcome:
    """Of a model that is there already only what its last snapshot found wrong."""
    memory, copies = read_memory(place)
    return Outcome("", (memory,) if copies else ())


def tell_sweep(places: dict[float, Path]) -> str:
    """Say what each weight came to, one line each: the terms of the bound, and what else was measured last."""
    lines = ["weight of the divergence -> what came of it"]
    for weight, place in places.items():
        last = {name: Estimate(s.values[-1], s.errors[-1]) for name, s in read_curves(place).items()}
        shown = [f"{name} {value}" for name, value in last.items() if name in BOUND or name.startswith(("FD", "KID"))]
        lines.append(f"{weight:g}: {', '.join(shown)} ({load_autoencoder(place).kimg:g} kimg)")
    return "\n".join(lines)


def _introduce(pool: Pool, training: AutoencoderTraining, tune: Path | None, weights: Sequence[float]) -> str:
    shape = training.shape
    what = "training an autoencoder" if tune is None else f"tuning {tune}, an autoencoder,"
    weighted = f"weight of the divergence {weights[0]:g}" if len(weights) == 1 else (
        f"one for each weight of the divergence: {', '.join(f'{w:g}' for w in weights)}"
    )  # fmt: skip
    return (
        f"{what} {describe_task(pool, training, shape.size)}; latent map {shape.latent} x {shape.side} x {shape.side}, "
        f"{weighted}"
    )
