"""Autoencoders as model directories, and as synthesizers that decode random numbers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyqmc_art.art.autoencoder.learner import AutoencoderLearner
from pyqmc_art.art.autoencoder.network import Autoencoder, AutoencoderShape, build_autoencoder
from pyqmc_art.art.synthesis.pool import as_pixels
from pyqmc_art.art.synthesis.weights import count_images, digest_of, fill, read_history, read_tensors
from pyqmc_art.errors import InputError
from pyqmc_art.learning.pretrained import Pretrained, read_pretrained, write_pretrained
from pyqmc_art.rng import Stream

KIND: Final = "autoencoder"
_CHUNK: Final = 32


@dataclass(frozen=True, eq=False)
class AutoencoderSynthesizer:
    """Makes pictures from seeds: latent numbers from the standard normal distribution, decoded.

    Attributes
    ----------
    network : with averaged weights, in evaluation mode
    history : the trainings it went through, each with its images
    digest : names the weights
    """

    network: Autoencoder
    history: tuple[Mapping[str, Any], ...]
    digest: str

    @property
    def role(self) -> str:
        """What its pictures are in a manifest."""
        return "other-machine"

    @property
    def name(self) -> str:
        """Name of the generator in a manifest."""
        return "vae"

    @property
    def kimg(self) -> float:
        """Thousands of images shown in all trainings."""
        return count_images(self.history) / 1000

    @property
    def manner(self) -> tuple[tuple[str, str], ...]:
        """How it makes pictures; there is only one way."""
        return ()

    def sample(self, stream: Stream, n: int) -> Tensor:
        """Images float32 (n, 3, size, size) in [0, 1]; image k depends on the stream and k alone."""
        made = self._make([stream.fold("image", k) for k in range(n)])
        return ((made + 1) / 2).clamp(0, 1)

    def draw(self, seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Pictures uint8 (n, size, size, 3), one for each seed, whatever other seeds are asked for.

        Company may change the rounding of sums: a grey level here and there.
        """
        return as_pixels(self._make([Stream.from_seed(seed) for seed in seeds]))

    def _make(self, streams: Sequence[Stream]) -> Tensor:
        shape = self.network.shape
        form = (shape.latent, shape.side, shape.side)
        self.network.eval()
        made = [torch.empty(0, 3, shape.size, shape.size)]
        for begin in range(0, len(streams), _CHUNK):
            drawn = [s.fold("latent").normal("user", math.prod(form), 1) for s in streams[begin : begin + _CHUNK]]
            z = torch.from_numpy(np.concatenate(drawn).astype(np.float32)).view(-1, *form)
            with torch.no_grad():
                made.append(self.network.decode(z.to(self.network.log_width.device)).cpu())
        return torch.cat(made)


def make_synthesizer(learner: AutoencoderLearner, history: Sequence[Mapping[str, Any]]) -> AutoencoderSynthesizer:
    """Take the averaged networks of a training."""
    return AutoencoderSynthesizer(learner.average, tuple(history), digest_of(learner.average))


def save_autoencoder(
    learner: AutoencoderLearner, history: Sequence[Mapping[str, Any]], folder: str | os.PathLike[str], log: str = "",
    force: bool = False,
) -> Path:  # fmt: skip
    """Write the networks and their average as a model directory.

    Raises
    ------
    InputError
        When something is at ``folder`` already.
    StoreError
        When the disk refuses.
    """
    configuration = {"shape": learner.network.shape.configuration(), "history": [dict(stage) for stage in history]}
    tensors = {"average": read_tensors(learner.average), "network": read_tensors(learner.network)}
    texts = {"log.jsonl": log} if log else {}
    return write_pretrained(folder, Pretrained(KIND, configuration, tensors, texts), force)


def load_autoencoder(folder: str | os.PathLike[str]) -> AutoencoderSynthesizer:
    """Read a model directory.

    Raises
    ------
    InputError
        When the directory is none of an autoencoder, partial or damaged.
    """
    stored = read_pretrained(folder, (KIND,))
    network = build_autoencoder(_describe(stored, folder), Stream.from_seed(0))
    fill(network, stored.tensors, "average", folder)
    return AutoencoderSynthesizer(network.eval(), read_history(stored, folder), digest_of(network))


def load_learner(learner: AutoencoderLearner, folder: str | os.PathLike[str]) -> tuple[Mapping[str, Any], ...]:
    """Start a training from a trained model; gives its history.

    Raises
    ------
    InputError
        When it has another shape, or the directory cannot be read.
    """
    stored = read_pretrained(folder, (KIND,))
    found, shape = _describe(stored, folder), learner.network.shape
    if found != shape:
        raise InputError(f"{folder} holds {found.configuration()}; it cannot be tuned as {shape.configuration()}")
    for part, name in ((learner.network, "network"), (learner.average, "average")):
        fill(part, stored.tensors, name, folder)
    history = read_history(stored, folder)
    learner.images.fill_(count_images(history))
    return history


def read_shape(folder: str | os.PathLike[str]) -> AutoencoderShape:
    """Shape of the networks of a model directory."""
    return _describe(read_pretrained(folder, (KIND,)), folder)


def _describe(stored: Pretrained, folder: Any) -> AutoencoderShape:
    try:
        return AutoencoderShape(**stored.configuration["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder} does not say what autoencoder it holds ({error}); train it again") from None
