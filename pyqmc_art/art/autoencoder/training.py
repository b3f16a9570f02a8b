"""Training an autoencoder: counted in images shown, resumed bit for bit."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Unpack

from pyqmc_art.art.autoencoder.learner import AutoencoderLearner, judge_bound
from pyqmc_art.art.autoencoder.models import (
    AutoencoderSynthesizer,
    load_learner,
    make_synthesizer,
    save_autoencoder,
)
from pyqmc_art.art.autoencoder.network import AutoencoderShape, build_autoencoder
from pyqmc_art.art.synthesis.course import Craft, Plan, Terms, check_sides, follow_course
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.errors import InputError
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.rng import Stream

_WARMUP: Final = 100


@dataclass(frozen=True)
class AutoencoderTraining(Plan):
    """How to train an autoencoder; the other fields are those of :class:`pyqmc_art.art.synthesis.course.Plan`.

    Parameters
    ----------
    shape : of the networks
    kl_weight : of the divergence; 1 for the bound itself, less for sharper pictures, more for simpler latent numbers
    average : half-life of the averaged weights, in thousands of images
    """

    shape: AutoencoderShape = field(default_factory=AutoencoderShape)
    kl_weight: float = 1.0
    average: float = 1.0
    learning_rate: float = field(default=1e-3, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kl_weight", "average"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value}; expected a number of at least 0")

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop: a short warm-up, and gradients no longer than 1."""
        return replace(super().fit_options, warmup=_WARMUP, clip=1.0)


@dataclass(frozen=True)
class TrainedAutoencoder:
    """What a training gave: pictures of the averaged networks, the bound with its terms, and what it came from."""

    synthesizer: AutoencoderSynthesizer
    learner: AutoencoderLearner
    bound: Mapping[str, float | str]
    seconds: float


def train_autoencoder(
    pool: Pool,
    training: AutoencoderTraining,
    out: str | os.PathLike[str] | None = None,
    *,
    tune: str | os.PathLike[str] | None = None,
    **terms: Unpack[Terms],
) -> TrainedAutoencoder:
    """Train an autoencoder, or tune one.

    Parameters
    ----------
    pool : training images of ``training.shape.size``
    training : how
    out : model directory to write; checkpoints lie in ``OUT.training`` until it is complete, snapshots in
        ``OUT.snapshots``
    tune : model directory to start from; its images go on being counted
    terms : see :class:`pyqmc_art.art.synthesis.course.Terms`

    Raises
    ------
    InputError
        For images of another size, another plan on resume, or an ``out`` in use.
    Interrupted
        After Ctrl-C.
    NumericalError
        When a loss stops being finite.
    """
    shape = training.shape
    check_sides(pool, shape.size)
    stream = Stream.from_seed(training.seed).fold("train autoencoder")
    learner = AutoencoderLearner(build_autoencoder(shape, stream), training.kl_weight)
    history = () if tune is None else load_learner(learner, tune)
    begun, judge = int(learner.images), judge_bound(pool, stream.fold("bound"))

    def follow(step: int) -> Mapping[str, float | str]:
        learner.follow(training.batch, begun, training.average * 1000)
        return {}

    with limit_torch(terms.get("threads")):
        craft = Craft(
            "autoencoder", learner, learner.turns(), pool.batches(training.batch, training.mirror, stream), follow,
            lambda: judge(learner.average), lambda whole: make_synthesizer(learner, whole),
            lambda whole, folder, log, replace: save_autoencoder(learner, whole, folder, log, replace),
        )  # fmt: skip
        result, history = follow_course(craft, training, pool, out, stream=stream, tune=tune, history=history, **terms)
        synthesizer = make_synthesizer(learner, history)
        return TrainedAutoencoder(synthesizer, learner, judge(learner.average), result.seconds)
