"""Diffusion models as model directories, and as synthesizers whose pictures are functions of their seeds."""

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

from pyqmc_art.art.autoencoder.network import AutoencoderShape, build_autoencoder
from pyqmc_art.art.diffusion.codec import Codec, LatentCodec, PixelCodec
from pyqmc_art.art.diffusion.denoiser import Denoiser, DenoiserShape, build_denoiser
from pyqmc_art.art.diffusion.learner import Learner
from pyqmc_art.art.diffusion.samplers import choose_sampler, walk
from pyqmc_art.art.synthesis.pool import as_pixels
from pyqmc_art.art.synthesis.weights import count_images, digest_of, fill, read_history, read_tensors
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.learning.pretrained import Pretrained, read_pretrained, write_pretrained
from pyqmc_art.rng import Stream

KIND: Final = "diffusion"
CHUNK: Final = 16
_STEPS: Final = {"heun": 5}
"""More steps follow the network's own errors more closely: after few images shown, ten gave a larger distance."""
_LOOKS: Final = 20


@dataclass(frozen=True)
class Manner:
    """How pictures are made with a diffusion model.

    Parameters
    ----------
    sampler : one that goes with the objective; None for the usual one
    steps : of the sampler; None for the usual number
    guidance : 1 for the pictures of a class as they are, above for more typical ones
    label : class by name; None draws it with the frequency it was learned with
    """

    sampler: str | None = None
    steps: int | None = None
    guidance: float = 1.0
    label: str | None = None

    def settle(self, shape: DenoiserShape, classes: Mapping[str, int]) -> Manner:
        """Fill in what is usual and check what was asked for.

        Raises
        ------
        InputError
            For a sampler of another objective, a class that is not known, guidance without classes, or bad numbers.
        """
        sampler = choose_sampler(shape.objective, self.sampler)
        steps = _STEPS.get(sampler, _LOOKS) if self.steps is None else self.steps
        shape.path.list_times(steps)
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise InputError(f"guidance is {self.guidance}; expected a number of at least 0, 1 for none")
        if not classes and (self.label is not None or self.guidance != 1):
            raise InputError("the model was trained without classes; leave label and guidance out")
        if self.label is not None and self.label not in classes:
            raise unknown("class", self.label, classes)
        return Manner(sampler, steps, self.guidance, self.label)


@dataclass(frozen=True, eq=False)
class DiffusionSynthesizer:
    """Makes pictures from seeds.

    Attributes
    ----------
    denoiser : with averaged weights, in evaluation mode
    codec : turns what is denoised into pictures
    shape : of the network
    classes : name -> number of training images
    history : the trainings it went through, each with its images
    digest : names the weights
    made : how pictures are made
    """

    denoiser: Denoiser
    codec: Codec
    shape: DenoiserShape
    classes: Mapping[str, int]
    history: tuple[Mapping[str, Any], ...]
    digest: str
    made: Manner = Manner()

    def __post_init__(self) -> None:
        object.__setattr__(self, "made", self.made.settle(self.shape, self.classes))

    @property
    def role(self) -> str:
        """What its pictures are in a manifest."""
        return "diffusion"

    @property
    def name(self) -> str:
        """Name of the generator in a manifest."""
        return "diffusion" if isinstance(self.codec, PixelCodec) else "latent-diffusion"

    @property
    def kimg(self) -> float:
        """Thousands of images shown in all trainings."""
        return count_images(self.history) / 1000

    @property
    def manner(self) -> tuple[tuple[str, str], ...]:
        """How it makes pictures: further columns of a manifest."""
        made = self.made
        found = [("objective", self.shape.objective), ("sampler", str(made.sampler)), ("steps", str(made.steps))]
        if self.classes:
            found += [("class", made.label or "drawn"), ("guidance", f"{made.guidance:g}")]
        return tuple(found)

    def sample(self, stream: Stream, n: int) -> Tensor:
        """Images float32 (n, 3, size, size) in [0, 1]; image k depends on the stream and k alone.

        All noise is drawn on the CPU. Images that are made together are summed in another order than alone: the same
        picture may differ by the rounding of that, a grey level here and there.
        """
        streams = [stream.fold("image", k) for k in range(n)]
        images = [self._make(streams[a : a + CHUNK]) for a in range(0, n, CHUNK)]
        made = torch.cat(images) if images else torch.empty(0, 3, self.shape.size, self.shape.size)
        return ((made + 1) / 2).clamp(0, 1)

    def draw(self, seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Pictures uint8 (n, size, size, 3), one for each seed, whatever other seeds are asked for (see `sample`)."""
        streams = [Stream.from_seed(seed) for seed in seeds]
        made = [as_pixels(self._make(streams[a : a + CHUNK])) for a in range(0, len(streams), CHUNK)]
        return np.concatenate(made) if made else np.empty((0, self.shape.size, self.shape.size, 3), np.uint8)

    def _make(self, streams: Sequence[Stream]) -> Tensor:
        device = next(self.denoiser.parameters()).device
        form = (self.codec.channels, self.codec.side, self.codec.side)

        def noise(name: str, number: int = 0) -> Tensor:
            drawn = [stream.fold(name, number).normal("user", math.prod(form), 1) for stream in streams]
            return torch.from_numpy(np.concatenate(drawn).astype(np.float32)).view(-1, *form).to(device)

        made, labels = self.made, self._label(streams, device)
        self.denoiser.eval()
        self.codec.eval()
        with torch.no_grad():
            found = walk(
                self.shape.path, lambda x, t: self.denoiser.guide(x, t, labels, made.guidance), noise("latent"),
                int(made.steps or 1), str(made.sampler), lambda step: noise("step", step), self.codec.limit,
            )  # fmt: skip
            return self.codec.decode(found).cpu()

    def _label(self, streams: Sequence[Stream], device: torch.device) -> Tensor | None:
        if not self.classes:
            return None
        if self.made.label is not None:
            return torch.full((len(streams),), list(self.classes).index(self.made.label), device=device)
        ends = np.cumsum(list(self.classes.values())) / sum(self.classes.values())
        where = [stream.fold("class").uniform("user", np.zeros(1, np.int64), 1)[0, 0] for stream in streams]
        return torch.from_numpy(np.searchsorted(ends, where, side="right")).to(device)


def make_synthesizer(
    learner: Learner, shape: DenoiserShape, classes: Mapping[str, int], history: Sequence[Mapping[str, Any]],
    made: Manner = Manner(),
) -> DiffusionSynthesizer:  # fmt: skip
    """Take the averaged denoiser of a training."""
    digest = digest_of(learner.average, learner.codec)
    return DiffusionSynthesizer(learner.average, learner.codec, shape, dict(classes), tuple(history), digest, made)


def save_diffusion(
    learner: Learner, shape: DenoiserShape, classes: Mapping[str, int], history: Sequence[Mapping[str, Any]],
    folder: str | os.PathLike[str], log: str = "", force: bool = False,
) -> Path:  # fmt: skip
    """Write the denoiser, its average and the codec as a model directory.

    Raises
    ------
    InputError
        When something is at ``folder`` already.
    StoreError
        When the disk refuses.
    """
    codec = learner.codec
    configuration = {
        "shape": shape.configuration(), "classes": dict(classes), "history": [dict(stage) for stage in history],
        "autoencoder": codec.autoencoder.shape.configuration() if isinstance(codec, LatentCodec) else None,
    }  # fmt: skip
    tensors = {"average": read_tensors(learner.average), "denoiser": read_tensors(learner.denoiser)}
    if isinstance(codec, LatentCodec):
        tensors["codec"] = read_tensors(codec)
    texts = {"log.jsonl": log} if log else {}
    return write_pretrained(folder, Pretrained(KIND, configuration, tensors, texts), force)


def load_diffusion(folder: str | os.PathLike[str], made: Manner = Manner()) -> DiffusionSynthesizer:
    """Read a model directory.

    Raises
    ------
    InputError
        When the directory is none of a diffusion model, partial or damaged, or ``made`` does not suit it.
    """
    stored = read_pretrained(folder, (KIND,))
    shape, classes = _describe(stored, folder)
    history, codec = read_history(stored, folder), _build_codec(stored, shape, folder)
    denoiser = build_denoiser(shape, codec.side, codec.channels, len(classes), Stream.from_seed(0))
    fill(denoiser, stored.tensors, "average", folder)
    return DiffusionSynthesizer(
        denoiser.eval(), codec, shape, classes, history, digest_of(denoiser, codec), made
    )  # fmt: skip


def load_learner(
    learner: Learner, folder: str | os.PathLike[str], shape: DenoiserShape, classes: Mapping[str, int]
) -> tuple[Mapping[str, Any], ...]:
    """Start a training from a trained model; gives its history.

    Raises
    ------
    InputError
        When it has another shape or other classes, or the directory cannot be read.
    """
    stored = read_pretrained(folder, (KIND,))
    found, known = _describe(stored, folder)
    if found != shape or list(known) != list(classes):
        raise InputError(
            f"{folder} holds {found.configuration()} with classes {list(known)}; it cannot be tuned as "
            f"{shape.configuration()} with classes {list(classes)}"
        )
    for part, name in ((learner.denoiser, "denoiser"), (learner.average, "average")):
        fill(part, stored.tensors, name, folder)
    history = read_history(stored, folder)
    learner.images.fill_(count_images(history))
    return history


def load_codec(folder: str | os.PathLike[str]) -> Codec:
    """Read what the denoiser of a model directory works on."""
    stored = read_pretrained(folder, (KIND,))
    return _build_codec(stored, _describe(stored, folder)[0], folder)


def _build_codec(stored: Pretrained, shape: DenoiserShape, folder: Any) -> Codec:
    form = stored.configuration.get("autoencoder")
    if form is None:
        return PixelCodec(shape.size)
    try:
        network = build_autoencoder(AutoencoderShape(**form), Stream.from_seed(0))
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder} does not say what autoencoder it holds ({error}); train it again") from None
    codec = LatentCodec(network)
    fill(codec, stored.tensors, "codec", folder)
    return codec.eval()


def read_grouping(folder: str | os.PathLike[str]) -> str:
    """What the classes of a model directory were taken from: ``"none"``, ``"role"`` or ``"hand"``."""
    history = read_history(read_pretrained(folder, (KIND,)), folder)
    return str(dict(history[-1].get("options", {})).get("classes", "none")) if history else "none"


def read_shape(folder: str | os.PathLike[str]) -> tuple[DenoiserShape, dict[str, int]]:
    """Shape of the network of a model directory, and its classes."""
    return _describe(read_pretrained(folder, (KIND,)), folder)


def _describe(stored: Pretrained, folder: Any) -> tuple[DenoiserShape, dict[str, int]]:
    try:
        classes = {str(name): int(count) for name, count in stored.configuration["classes"].items()}
        return DenoiserShape(**stored.configuration["shape"]), classes
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder} does not say what diffusion model it holds ({error}); train it again") from None
