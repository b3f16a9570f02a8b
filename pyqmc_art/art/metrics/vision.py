"""What looks at pictures before they are compared: a network with known weights, one with random weights, or pixels.

A distance between features is a distance in the eyes of one network. Its name goes with every number, and numbers of
different networks, or of one network at different sizes, are not compared: none here is a published FID, which needs
the weights of one certain Inception network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyqmc_art.art.detectors.backbones import build_backbone, convert_lite, find_installed, find_preset, read_weights
from pyqmc_art.art.detectors.network import last_map, normalise
from pyqmc_art.art.gan.layers import EqualConv2d, activate
from pyqmc_art.art.patches import resample
from pyqmc_art.errors import InputError, NumericalError, unknown
from pyqmc_art.protocols import PatchSpec
from pyqmc_art.rng import Stream

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]

VISIONS: Final = ("auto", "lite0", "random", "pixels")
_CHUNK: Final = 32
_NETWORK: Final = "tf_efficientnet_lite0"
_SIDE: Final = 8
_SEED: Final = 20


class Vision(Protocol):
    """Turns images into vectors that are compared."""

    @property
    def name(self) -> str:
        """What stands beside every number, for instance ``EffLite0@64``."""
        ...

    def features(self, images: Images) -> Floats:
        """Vectors (n, d) of images (n, h, w, 3)."""
        ...

    def maps(self, images: Images) -> list[NDArray[np.float32]]:
        """Maps (n, channels, places) of several layers, for perceptual distances."""
        ...


@dataclass(frozen=True)
class PixelVision:
    """Sees the colours of an image in 8 x 8 cells."""

    name: str = "pixels@8"

    def features(self, images: Images) -> Floats:
        """Colours of the cells, from 0 to 1."""
        cells = _resize(_checked(images), _SIDE, "box")
        return cells.reshape(len(images), -1) / 255.0

    def maps(self, images: Images) -> list[NDArray[np.float32]]:
        """The same, as a map of three channels."""
        cells = _resize(_checked(images), _SIDE, "box").reshape(len(images), _SIDE**2, 3)
        return [(cells.transpose(0, 2, 1) / np.float32(255)).astype(np.float32)]


@dataclass(frozen=True, eq=False)
class NetworkVision:
    """Sees what a network sees.

    Attributes
    ----------
    name : of the network, with the size it looks at
    size : side to which images are resampled
    look : takes normalised images (n, 3, size, size); gives the maps of its layers
    spec : mean and spread that it expects
    classifier : weights and offsets of its classes; None without any
    """

    name: str
    size: int
    look: Callable[[Tensor], list[Tensor]]
    spec: PatchSpec
    classifier: tuple[Floats, Floats] | None = None

    def features(self, images: Images) -> Floats:
        """Means over the places of the last map."""
        return np.concatenate([maps[-1].mean(axis=2, dtype=np.float64) for maps in self._look(images)])

    def maps(self, images: Images) -> list[NDArray[np.float32]]:
        """Maps of all layers."""
        parts = self._look(images)
        return [np.concatenate(layer) for layer in zip(*parts, strict=True)]

    def probabilities(self, features: Floats) -> Floats:
        """Probabilities (n, classes) that the network's classifier gives to features.

        Raises
        ------
        InputError
            When the network came without a classifier.
        """
        if self.classifier is None:
            raise InputError(f"{self.name} has no classes; take lite0, or give the probabilities of a classifier")
        weights, offsets = self.classifier
        scores = features @ weights.T + offsets
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)

    def _look(self, images: Images) -> list[list[NDArray[np.float32]]]:
        sized = _resize(_checked(images), self.size, "bicubic")
        found = []
        with torch.inference_mode():
            for start in range(0, len(sized), _CHUNK):
                maps = self.look(normalise(sized[start : start + _CHUNK], self.spec))
                found.append([layer.flatten(2).float().numpy() for layer in maps])
        if not all(np.isfinite(layer).all() for maps in found for layer in maps):
            raise NumericalError(f"a feature of {self.name} is not finite; check the pictures")
        return found


def choose_vision(name: str = "auto", size: int = 64) -> Vision:
    """Choose what looks at pictures.

    Parameters
    ----------
    name : ``"lite0"`` (EfficientNet-Lite0 of an installed package), ``"random"`` (untrained, the same everywhere),
        ``"pixels"``; ``"auto"`` takes lite0 if its weights are installed, else random
    size : side in pixels to which a network's input is resampled, from 32

    Raises
    ------
    InputError
        For an unknown name, or lite0 without its weights.
    """
    if name not in VISIONS:
        raise unknown("vision", name, VISIONS)
    if isinstance(size, bool) or not isinstance(size, int) or size < 32:
        raise InputError(f"the side that a vision looks at is {size!r}; expected at least 32 pixels")
    if name == "pixels":
        return PixelVision()
    if name == "random":
        return _make_random(size)
    try:
        return _load_lite(size)
    except InputError:
        if name == "auto":
            return _make_random(size)
        raise


def _load_lite(size: int) -> NetworkVision:
    find_installed(_NETWORK)
    backbone, _ = build_backbone(_NETWORK, None, Stream.from_seed(0))
    preset = find_preset(_NETWORK)
    state = convert_lite(read_weights(find_installed(_NETWORK)), backbone)
    classes = (state["classifier.weight"].double().numpy(), state["classifier.bias"].double().numpy())
    spec = PatchSpec(size, (1,), mean=preset.mean, std=preset.std)

    def look(images: Tensor) -> list[Tensor]:
        layers: Any = backbone.forward_intermediates(images, intermediates_only=True)  # type: ignore[operator]
        last = last_map(backbone, images)
        return [*layers, last]

    return NetworkVision(f"EffLite0@{size}", size, look, spec, classes)


def _make_random(size: int) -> NetworkVision:
    with torch.random.fork_rng([]):
        torch.manual_seed(Stream.from_seed(_SEED).fold("random vision").key)
        layers = nn.ModuleList(EqualConv2d(a, b, 3) for a, b in ((3, 32), (32, 64), (64, 128), (128, 256)))
    spec = PatchSpec(size, (1,), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))

    def look(images: Tensor) -> list[Tensor]:
        maps, x = [], images
        for layer in layers:
            x = nn.functional.avg_pool2d(activate(layer(x)), 2)
            maps.append(x)
        return maps

    return NetworkVision(f"random-conv@{size}", size, look, spec)


def _resize(images: Images, side: int, filter: str) -> Images:
    if images.shape[1:3] == (side, side):
        return images
    return np.stack([resample(image, (side, side), filter=filter) for image in images])


def _checked(images: Images) -> Images:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not images.size:
        raise InputError(f"images are {images.dtype} of shape {images.shape}; expected uint8 of shape (n, h, w, 3)")
    return images
