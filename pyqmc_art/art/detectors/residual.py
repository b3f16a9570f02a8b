"""The plain detector: residual statistics and a line. No network, no weights, the same numbers on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.detectors.features import Features, Levels, extract_patches
from pyqmc_art.art.detectors.linear import PatchDetector, spec_from_json, spec_to_json
from pyqmc_art.art.pictures import Picture
from pyqmc_art.art.residuals import FEATURES, residual_features
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import PatchSpec


@dataclass(frozen=True)
class ResidualExtractor:
    """Sees the residual statistics of patches; see :func:`pyqmc_art.art.residuals.residual_features`."""

    spec: PatchSpec
    kind: str = "residual"

    def features(self, patches: NDArray[np.uint8]) -> Features:
        """Residual statistics of patches, shape (n, ``FEATURES``)."""
        return residual_features(patches)

    def extract(self, picture: Picture) -> tuple[Features, Levels]:
        """Vectors of the patches of a picture and their levels."""
        return extract_patches(self, picture)

    def configuration(self) -> dict[str, Any]:
        """Spec and number of features: another release that counts other things must not read the old weights."""
        return {"spec": spec_to_json(self.spec), "features": FEATURES}

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """No weights."""
        return {}


class ResidualDetector(PatchDetector):
    """Residual statistics, standardised, and regularised logistic regression."""

    kind: ClassVar[str] = "residual"

    @classmethod
    def rebuild(cls, configuration: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> ResidualExtractor:
        """Make the extractor from what it stored."""
        if configuration.get("features") != FEATURES:
            stored = configuration.get("features")
            raise InputError(f"the model counts {stored} residual statistics, this release {FEATURES}; train it again")
        return ResidualExtractor(spec_from_json(configuration.get("spec")))
