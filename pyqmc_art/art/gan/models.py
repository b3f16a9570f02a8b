"""GANs as model directories, and as synthesizers whose pictures are functions of their seeds."""

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

from pyqmc_art.art.gan.catalogue import GanShape, build_players
from pyqmc_art.art.gan.game import Game
from pyqmc_art.art.gan.network import Generator
from pyqmc_art.art.synthesis.pool import as_pixels
from pyqmc_art.art.synthesis.weights import count_images, digest_of, fill, read_history, read_tensors
from pyqmc_art.errors import InputError
from pyqmc_art.learning.pretrained import Pretrained, read_pretrained, write_pretrained
from pyqmc_art.rng import Stream

KIND: Final = "gan"


@dataclass(frozen=True, eq=False)
class GanSynthesizer:
    """Makes pictures from seeds.

    Attributes
    ----------
    generator : with averaged weights, in evaluation mode
    shape : of the networks
    history : the trainings it went through, each with its images
    digest : names the weights
    truncation : below 1 for less variety and more likeness to the average
    """

    generator: Generator
    shape: GanShape
    history: tuple[Mapping[str, Any], ...]
    digest: str
    truncation: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.truncation) and self.truncation >= 0):
            raise InputError(f"truncation is {self.truncation}; expected a number of at least 0, 1 for none")

    @property
    def role(self) -> str:
        """What its pictures are in a manifest: ``tuned-gan`` after a second training, else ``raw-gan``."""
        return "tuned-gan" if len(self.history) > 1 else "raw-gan"

    @property
    def name(self) -> str:
        """Name of the generator in a manifest."""
        return self.shape.kind

    @property
    def kimg(self) -> float:
        """Thousands of images shown in all trainings."""
        return count_images(self.history) / 1000

    @property
    def manner(self) -> tuple[tuple[str, str], ...]:
        """How it makes pictures: further columns of a manifest."""
        return (("truncation", f"{self.truncation:g}"),)

    def sample(self, stream: Stream, n: int, chunk: int = 32) -> Tensor:
        """Images float32 (n, 3, size, size) in [0, 1]; image k depends on the stream and k alone.

        The noise is drawn on the CPU, so a stream means the same pictures everywhere, up to the rounding of sums.
        """
        seeds = [stream.fold("image", k) for k in range(n)]
        images = [_paint(self.generator, seeds[a : a + chunk], self.truncation) for a in range(0, n, chunk)]
        made = torch.cat(images) if images else torch.empty(0, 3, self.shape.size, self.shape.size)
        return ((made + 1) / 2).clamp(0, 1)

    def draw(self, seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Pictures uint8 (n, size, size, 3), one for each seed, whatever other seeds are asked for."""
        made = [as_pixels(_paint(self.generator, [Stream.from_seed(seed)], self.truncation)) for seed in seeds]
        return np.concatenate(made) if made else np.empty((0, self.shape.size, self.shape.size, 3), np.uint8)


def _paint(generator: Generator, streams: Sequence[Stream], truncation: float) -> Tensor:
    device = next(generator.parameters()).device
    z = _normal([stream.fold("latent") for stream in streams], generator.latent).to(device)
    noise = tuple(
        _normal([stream.fold("noise", k) for stream in streams], side**2).view(-1, 1, side, side).to(device)
        for k, side in enumerate(generator.noise_sizes)
    )
    generator.eval()
    with torch.no_grad():
        images: Tensor = generator(z, noise, truncation)
    return images.cpu()


def _normal(streams: Sequence[Stream], count: int) -> Tensor:
    return torch.from_numpy(np.concatenate([s.normal("user", count, 1) for s in streams]).astype(np.float32))


def make_synthesizer(game: Game, shape: GanShape, history: Sequence[Mapping[str, Any]]) -> GanSynthesizer:
    """Take the averaged generator of a game."""
    return GanSynthesizer(game.average, shape, tuple(history), digest_of(game.average))


def save_gan(
    game: Game, shape: GanShape, history: Sequence[Mapping[str, Any]], folder: str | os.PathLike[str], log: str = "",
    force: bool = False,
) -> Path:  # fmt: skip
    """Write both players and the averaged generator as a model directory.

    Parameters
    ----------
    history : the trainings, the last one included
    log : text of ``log.jsonl``, kept with the model

    Raises
    ------
    InputError
        When something is at ``folder`` already.
    StoreError
        When the disk refuses.
    """
    configuration = {"shape": shape.configuration(), "history": [dict(stage) for stage in history]}
    parts = {"average": game.average, "generator": game.generator, "discriminator": game.critic}
    tensors = {name: read_tensors(part) for name, part in parts.items()}
    texts = {"log.jsonl": log} if log else {}
    return write_pretrained(folder, Pretrained(KIND, configuration, tensors, texts), force)


def load_gan(folder: str | os.PathLike[str]) -> GanSynthesizer:
    """Read the generator of a model directory.

    Raises
    ------
    InputError
        When the directory is none of a GAN, partial or damaged.
    """
    stored = read_pretrained(folder, (KIND,))
    shape, history = _describe(stored, folder)
    generator, _ = build_players(shape, Stream.from_seed(0))
    fill(generator, stored.tensors, "average", folder)
    return GanSynthesizer(generator.eval(), shape, history, digest_of(generator))


def load_players(game: Game, folder: str | os.PathLike[str], shape: GanShape) -> tuple[Mapping[str, Any], ...]:
    """Start a game from trained players; gives their history.

    Raises
    ------
    InputError
        When they have another shape, or the directory cannot be read.
    """
    stored = read_pretrained(folder, (KIND,))
    found, history = _describe(stored, folder)
    if found != shape:
        raise InputError(f"{folder} holds {found.configuration()}; it cannot be tuned as {shape.configuration()}")
    for part, name in ((game.generator, "generator"), (game.critic, "discriminator"), (game.average, "average")):
        fill(part, stored.tensors, name, folder)
    game.images.fill_(count_images(history))
    return history


def read_shape(folder: str | os.PathLike[str]) -> GanShape:
    """Shape of the networks of a model directory."""
    return _describe(read_pretrained(folder, (KIND,)), folder)[0]


def _describe(stored: Pretrained, folder: Any) -> tuple[GanShape, tuple[Mapping[str, Any], ...]]:
    try:
        shape = GanShape(**stored.configuration["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder} does not say what GAN it holds ({error}); train it again") from None
    return shape, read_history(stored, folder)
