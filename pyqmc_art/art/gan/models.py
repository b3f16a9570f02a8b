"""GANs as model directories, and as synthesizers whose pictures are functions of their seeds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyqmc_art.art.gan.catalogue import GanShape, build_players
from pyqmc_art.art.gan.game import Game
from pyqmc_art.art.gan.network import Generator
from pyqmc_art.art.gan.pool import as_pixels
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
    """

    generator: Generator
    shape: GanShape
    history: tuple[Mapping[str, Any], ...]
    digest: str

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
        return sum(int(stage["images"]) for stage in self.history) / 1000

    def sample(self, stream: Stream, n: int, truncation: float = 1.0, chunk: int = 32) -> Tensor:
        """Images float32 (n, 3, size, size) in [0, 1]; image k depends on the stream and k alone.

        The noise is drawn on the CPU, so a stream means the same pictures everywhere, up to the rounding of sums.
        """
        images = [_paint(self.generator, [stream.fold("image", k) for k in range(a, min(a + chunk, n))], truncation)
                  for a in range(0, n, chunk)]  # fmt: skip
        made = torch.cat(images) if images else torch.empty(0, 3, self.shape.size, self.shape.size)
        return ((made + 1) / 2).clamp(0, 1)

    def draw(self, seeds: Sequence[int], truncation: float = 1.0) -> NDArray[np.uint8]:
        """Pictures uint8 (n, size, size, 3), one for each seed, whatever other seeds are asked for."""
        made = [as_pixels(_paint(self.generator, [Stream.from_seed(seed)], truncation)) for seed in seeds]
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


def digest_of(network: nn.Module) -> str:
    """A short digest of the weights of a network."""
    total = hashlib.sha256()
    for name, array in sorted(_tensors(network).items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


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
    tensors = {name: _tensors(part) for name, part in parts.items()}
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
    _fill(generator, stored.tensors, "average", folder)
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
        _fill(part, stored.tensors, name, folder)
    game.images.fill_(sum(int(stage["images"]) for stage in history))
    return history


def read_shape(folder: str | os.PathLike[str]) -> GanShape:
    """Shape of the networks of a model directory."""
    return _describe(read_pretrained(folder, (KIND,)), folder)[0]


def _describe(stored: Pretrained, folder: Any) -> tuple[GanShape, tuple[Mapping[str, Any], ...]]:
    try:
        history = tuple(dict(stage) for stage in stored.configuration["history"])
        if not all(int(stage["images"]) >= 0 for stage in history):
            raise ValueError("a negative number of images")
        return GanShape(**stored.configuration["shape"]), history
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder} does not say what GAN it holds ({error}); train it again") from None


def _fill(part: nn.Module, tensors: Mapping[str, Mapping[str, NDArray[Any]]], name: str, folder: Any) -> None:
    try:
        part.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors[name].items()})
    except (KeyError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"{folder} holds no complete {name} ({reason}); copy or train it again") from None


def _tensors(network: nn.Module) -> dict[str, NDArray[Any]]:
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
