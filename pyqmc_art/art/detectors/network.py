"""Detectors on a network of timm: frozen features and a line, or the whole network trained; saved the same way.

The network is read at its last map: mean and standard deviation over the places, for each channel. A network that is
trained as a whole ends in one dense output on the means, which is again a line through those features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyqmc_art.art.detectors.backbones import build_backbone, find_preset, load_weights
from pyqmc_art.art.detectors.features import Features, Levels, extract_patches
from pyqmc_art.art.detectors.heads import Head
from pyqmc_art.art.detectors.linear import PatchDetector, spec_from_json, spec_to_json
from pyqmc_art.art.pictures import Picture
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import PatchSpec
from pyqmc_art.rng import Stream

_CHUNK = 32


class PooledNetwork(nn.Module):
    """A backbone, the mean of its last map, and one dense output: log-odds of patches that are already normalised."""

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.dense = nn.Linear(channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Log-odds of images (n, 3, size, size), shape (n,)."""
        logits: Tensor = self.dense(last_map(self.backbone, images).mean(dim=2)).squeeze(1)
        return logits


def last_map(backbone: nn.Module, images: Tensor) -> Tensor:
    """Last map of a network of timm, shape (n, channels, places), whatever the order of its axes."""
    found: Tensor = backbone.forward_features(images)  # type: ignore[operator]
    if found.ndim == 4:
        last = str(getattr(backbone, "output_fmt", "NCHW")) == "NHWC"
        return found.flatten(1, 2).transpose(1, 2) if last else found.flatten(2)
    if found.ndim == 3:
        return found[:, int(getattr(backbone, "num_prefix_tokens", 0)) :].transpose(1, 2)
    raise InputError(f"{type(backbone).__name__} gives an array of {found.ndim} axes, no map; take another backbone")


def normalise(patches: NDArray[np.uint8], spec: PatchSpec) -> Tensor:
    """Turn patches (n, size, size, 3) into what a network takes, float32 (n, 3, size, size)."""
    scaled = torch.from_numpy(np.ascontiguousarray(patches)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    return (scaled - mean) / std


@dataclass(frozen=True, eq=False)
class NetworkExtractor:
    """Sees mean and standard deviation of each channel of a network's last map.

    Attributes
    ----------
    name : of the network in timm
    spec : of the patches
    backbone : the network without classifier, in evaluation mode
    source : where its weights come from
    """

    name: str
    spec: PatchSpec
    backbone: nn.Module
    source: str
    kind: str = "network"

    @classmethod
    def make(
        cls, name: str, weights: Path | str | None, size: int | None, levels: str | tuple[int, ...], square: str,
        stream: Stream,
    ) -> NetworkExtractor:  # fmt: skip
        """Build the network and the spec that its preset names; see :func:`build_backbone` for the weights."""
        preset = find_preset(name)
        spec = PatchSpec(size or preset.size, levels, square, preset.filter, preset.mean, preset.std)
        backbone, source = build_backbone(name, weights, stream)
        return cls(name, spec, backbone, source)

    @property
    def channels(self) -> int:
        """Channels of the last map."""
        return int(self.backbone.num_features)  # type: ignore[arg-type]

    def features(self, patches: NDArray[np.uint8]) -> Features:
        """Means, then standard deviations, shape (n, 2 channels); frozen and deterministic."""
        parts = [np.empty((0, 2 * self.channels), np.float32)]
        device = next(self.backbone.parameters()).device
        self.backbone.eval()
        with torch.inference_mode():
            for start in range(0, len(patches), _CHUNK):
                images = normalise(patches[start : start + _CHUNK], self.spec).to(device)
                spread, mean = torch.std_mean(last_map(self.backbone, images), dim=2, correction=0)
                parts.append(torch.cat([mean, spread], dim=1).float().cpu().numpy())
        return np.concatenate(parts)

    def extract(self, picture: Picture) -> tuple[Features, Levels]:
        """Vectors of the patches of a picture and their levels."""
        return extract_patches(self, picture)

    def configuration(self) -> dict[str, Any]:
        """Name, spec and source of the weights."""
        return {"backbone": self.name, "spec": spec_to_json(self.spec), "weights": self.source}

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Weights and buffers of the network."""
        return {name: value.detach().cpu().numpy() for name, value in self.backbone.state_dict().items()}


class NetworkDetector(PatchDetector):
    """A network of timm and a line through the features of its last map."""

    kind: ClassVar[str] = "network"

    @classmethod
    def rebuild(cls, configuration: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> NetworkExtractor:
        """Make the network from its stored weights."""
        try:
            name, source = str(configuration["backbone"]), str(configuration["weights"])
            spec = spec_from_json(configuration["spec"])
        except KeyError as error:
            raise InputError(f"the stored network lacks {error}; train the model again") from None
        backbone, _ = build_backbone(name, "random", Stream.from_seed(0))
        # Copied: arrays read from a file are not writable, and torch wants tensors that are.
        load_weights(backbone, {key: torch.from_numpy(value.copy()) for key, value in tensors.items()}, "the model")
        return NetworkExtractor(name, spec, backbone, source)


def dense_head(dense: nn.Linear) -> Head:
    """Write a dense output on the means as a head on means and standard deviations."""
    weights = dense.weight.detach().cpu().double().numpy()[0]
    size = 2 * weights.size
    line = np.concatenate([weights, np.zeros(weights.size)])
    return Head(np.zeros(size), np.ones(size), line[None], dense.bias.detach().cpu().double().numpy(), 0.0)
