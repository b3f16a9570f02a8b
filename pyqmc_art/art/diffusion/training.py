"""Training a diffusion model from nothing, or tuning one: counted in images shown, resumed bit for bit."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyqmc_art.art.diffusion.codec import Codec, LatentCodec, PixelCodec, open_codec
from pyqmc_art.art.diffusion.denoiser import DenoiserShape, build_denoiser
from pyqmc_art.art.diffusion.learner import Learner
from pyqmc_art.art.diffusion.models import (
    DiffusionSynthesizer,
    Manner,
    load_codec,
    load_learner,
    make_synthesizer,
    read_shape,
    save_diffusion,
)
from pyqmc_art.art.synthesis.course import Craft, Plan, Terms, check_sides, follow_course
from pyqmc_art.art.synthesis.pool import Pool, as_tensor
from pyqmc_art.art.synthesis.weights import digest_of
from pyqmc_art.errors import InputError
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.rng import Stream

_WARMUP: Final = 100
_CHUNK: Final = 64


@dataclass(frozen=True)
class DiffusionTraining(Plan):
    """How to train a diffusion model; the other fields are those of :class:`pyqmc_art.art.synthesis.course.Plan`.

    Parameters
    ----------
    shape : of the network
    classes : ``"none"``, ``"role"`` or ``"hand"``: what the model can be asked for
    drop : share of the examples whose class is hidden
    average : half-life of the averaged weights, in thousands of images
    autoencoder : model directory whose latent map is denoised in place of the pixels; empty for the pixels. In what is
        kept of a training its digest stands here
    made : how pictures are made for snapshots
    """

    shape: DenoiserShape = field(default_factory=DenoiserShape)
    classes: str = "none"
    drop: float = 0.1
    average: float = 1.0
    autoencoder: str = ""
    made: Manner = field(default_factory=Manner)
    batch: int = field(default=16, kw_only=True)
    learning_rate: float = field(default=5e-4, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes not in ("none", "role", "hand"):
            raise InputError(f"classes is {self.classes!r}; expected none, role or hand")
        if not 0 <= self.drop < 1:
            raise InputError(f"drop is {self.drop}; expected a share from 0 to below 1, for instance 0.1")
        if not (math.isfinite(self.average) and self.average >= 0):
            raise InputError(f"average is {self.average}; expected a number of at least 0")

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop: a short warm-up, and gradients no longer than 1."""
        return dataclasses.replace(super().fit_options, warmup=_WARMUP, clip=1.0)


@dataclass(frozen=True)
class TrainedDiffusion:
    """What a training gave: pictures of the averaged denoiser, and what it came from."""

    synthesizer: DiffusionSynthesizer
    learner: Learner
    loss: float
    seconds: float


def train_diffusion(
    pool: Pool,
    training: DiffusionTraining,
    out: str | os.PathLike[str] | None = None,
    *,
    tune: str | os.PathLike[str] | None = None,
    **terms: Unpack[Terms],
) -> TrainedDiffusion:
    """Train a diffusion model, or tune one.

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
    check_sides(pool, shape.size, "the network takes")
    stream = Stream.from_seed(training.seed).fold("train diffusion")
    classes, labels = find_classes(pool, training.classes, tune)
    codec = choose_codec(pool, training, tune)
    training = dataclasses.replace(training, autoencoder=digest_of(codec) if isinstance(codec, LatentCodec) else "")
    learner = build_learner(training, codec, len(classes), stream)
    history = () if tune is None else load_learner(learner, tune, shape, classes)
    begun = int(learner.images)

    def follow(step: int) -> Mapping[str, float | str]:
        learner.follow(training.batch, begun, training.average * 1000)
        return {}

    with limit_torch(terms.get("threads")):
        craft = Craft(
            "diffusion", learner, learner.turns(), give_batches(pool, learner.codec, labels, training, stream), follow,
            dict, lambda whole: make_synthesizer(learner, shape, classes, whole, training.made),
            lambda whole, folder, log, replace: save_diffusion(learner, shape, classes, whole, folder, log, replace),
        )  # fmt: skip
        result, history = follow_course(craft, training, pool, out, stream=stream, tune=tune, history=history, **terms)
        synthesizer = make_synthesizer(learner, shape, classes, history, training.made)
    return TrainedDiffusion(synthesizer, learner, result.loss, result.seconds)


def choose_codec(pool: Pool, training: DiffusionTraining, tune: str | os.PathLike[str] | None = None) -> Codec:
    """Take what is denoised from the model that is tuned, from an autoencoder, or else take the pixels.

    Raises
    ------
    InputError
        When the autoencoder cannot be used, or a model that is tuned shall get another one.
    """
    if tune is not None:
        if training.autoencoder:
            raise InputError(f"{tune} keeps the autoencoder that it was trained with, or none; leave autoencoder out")
        return load_codec(tune)
    return open_codec(training.autoencoder, pool) if training.autoencoder else PixelCodec(training.shape.size)


def build_learner(training: DiffusionTraining, codec: Codec, classes: int, stream: Stream) -> Learner:
    """Make what is trained, with random weights."""
    denoiser = build_denoiser(training.shape, codec.side, codec.channels, classes, stream)
    return Learner(denoiser, codec, training.shape.path, training.drop)


def find_classes(
    pool: Pool, by: str, tune: str | os.PathLike[str] | None = None
) -> tuple[dict[str, int], NDArray[np.int64]]:
    """Classes with their numbers of images, and the class of each image; a model that is tuned keeps its own.

    Raises
    ------
    InputError
        When there are no classes to be had, or others than those of the model.
    """
    if by == "none":
        return {}, np.zeros(len(pool), np.int64)
    if tune is None:
        return pool.classify(by)
    known = list(read_shape(tune)[1])
    named = pool.roles if by == "role" else pool.hands
    strange = sorted(set(named) - set(known))
    if strange or len(named) != len(pool.names):
        raise InputError(f"{tune} does not know the {by} {', '.join(strange)}; it knows {', '.join(known) or 'none'}")
    labels = np.array([known.index(name) for name in named], np.int64)[pool.owners]
    return {name: int((labels == k).sum()) for k, name in enumerate(known)}, labels


def give_batches(
    pool: Pool, codec: Codec, labels: NDArray[np.int64], training: DiffusionTraining, stream: Stream
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Give batch 0, 1, ...: what is denoised and its classes; an autoencoder looks at each picture only once."""
    order, classes = pool.order(training.batch, training.mirror, stream), torch.from_numpy(labels)
    if isinstance(codec, PixelCodec):
        images = pool.batches(training.batch, training.mirror, stream)
        return lambda number: (images(number), classes[torch.from_numpy(order(number)[0])])
    plain = _encode(codec, pool.images)
    turned = _encode(codec, pool.images[:, :, ::-1]) if training.mirror else plain

    def give(number: int) -> tuple[Tensor, Tensor]:
        chosen, mirrored = (torch.from_numpy(x) for x in order(number))
        return torch.where(mirrored.view(-1, 1, 1, 1), turned[chosen], plain[chosen]), classes[chosen]

    return give


def _encode(codec: Codec, images: NDArray[np.uint8]) -> Tensor:
    codec.eval()
    with torch.no_grad():
        return torch.cat([codec.encode(as_tensor(images[a : a + _CHUNK])) for a in range(0, len(images), _CHUNK)])
