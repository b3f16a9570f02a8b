"""The two baselines beside every detector: one sees only the file, one only what is painted in which colours.

A detector that does no better than these has learned how the pictures were collected, not who painted them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pyqmc_art.art.detectors.features import Features, Levels
from pyqmc_art.art.detectors.linear import LinearDetector
from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import FORMATS, Picture
from pyqmc_art.art.residuals import split_channels

THUMBNAIL: Final = 16
COLOURS: Final = 4
_SIDE: Final = 512
_ONE_LEVEL: Final = np.ones(1, np.int64)


@dataclass(frozen=True)
class MetadataExtractor:
    """Sees size, format, JPEG quality, bytes per pixel and the spectral slope, and nothing of what is painted."""

    kind: str = "metadata"

    def extract(self, picture: Picture) -> tuple[Features, Levels]:
        """One vector for the whole picture."""
        density = measure_density(picture)
        numbers = [
            math.log(picture.width),
            math.log(picture.height),
            math.log(picture.width / picture.height),
            # What is not known is a fact of its own, beside a neutral number.
            float(picture.quality is None),
            (picture.quality or 0) / 100,
            float(density is None),
            0.0 if density is None else math.log(max(density, 1e-6)),
            measure_slope(picture.pixels),
            *(float(picture.format == name) for name in FORMATS),
        ]
        return np.array([numbers], np.float32), _ONE_LEVEL

    def configuration(self) -> dict[str, Any]:
        """Nothing to configure."""
        return {}

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """No weights."""
        return {}


@dataclass(frozen=True)
class SubjectExtractor:
    """Sees a thumbnail of 16 x 16 pixels and a histogram of colours: the subject and the palette, no brush."""

    kind: str = "subject"

    def extract(self, picture: Picture) -> tuple[Features, Levels]:
        """One vector for the whole picture."""
        thumbnail = resample(picture.pixels, (THUMBNAIL, THUMBNAIL), filter="box")
        small = resample(picture.pixels, (4 * THUMBNAIL, 4 * THUMBNAIL), filter="box")
        bins = (small.reshape(-1, 3) // (256 // COLOURS)).astype(np.int64)
        codes = (bins[:, 0] * COLOURS + bins[:, 1]) * COLOURS + bins[:, 2]
        histogram = np.sqrt(np.bincount(codes, minlength=COLOURS**3) / len(codes))
        return np.concatenate([thumbnail.ravel() / 255, histogram])[None].astype(np.float32), _ONE_LEVEL

    def configuration(self) -> dict[str, Any]:
        """Nothing to configure."""
        return {}

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """No weights."""
        return {}


class MetadataDetector(LinearDetector):
    """The metadata-only baseline."""

    kind: ClassVar[str] = "metadata"

    @classmethod
    def rebuild(cls, configuration: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> MetadataExtractor:
        """Make the extractor."""
        return MetadataExtractor()


class SubjectDetector(LinearDetector):
    """The subject-only baseline."""

    kind: ClassVar[str] = "subject"

    @classmethod
    def rebuild(cls, configuration: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> SubjectExtractor:
        """Make the extractor."""
        return SubjectExtractor()


def measure_density(picture: Picture) -> float | None:
    """Bytes of the file for each pixel; None when there is no such file, as after an equalisation."""
    try:
        return picture.path.stat().st_size / (picture.width * picture.height)
    except OSError:
        return None


def measure_slope(pixels: NDArray[np.uint8]) -> float:
    """Exponent of the power spectrum of the luma in its middle, ``power ~ frequency^slope``, about -2 for paintings.

    The frequencies are those of the picture's own pixels, 0.05 to 0.45 cycles per pixel, so that enlarging, blur and
    compression show.

    Examples
    --------
    >>> noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    >>> abs(measure_slope(noise)) < 0.2
    True
    """
    side = min(*pixels.shape[:2], _SIDE)
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    luma = split_channels(pixels[top : top + side, left : left + side])[0]
    if side < 16:
        return 0.0
    window = np.hanning(side + 2)[1:-1]
    power = np.abs(fft.rfft2((luma - luma.mean()) * np.outer(window, window))) ** 2
    frequency = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None, :])
    edges = np.geomspace(0.05, 0.45, 9)
    bins = np.digitize(frequency.ravel(), edges)
    count = np.maximum(np.bincount(bins, minlength=10)[1:9], 1)
    mean = np.bincount(bins, power.ravel(), 10)[1:9] / count
    return float(np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(mean + 1e-3), 1)[0])
