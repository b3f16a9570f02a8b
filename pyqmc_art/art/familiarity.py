"""Is a work like the training works? Distances in feature space, and how the picture was captured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.neighbours import nearest_distances, neighbour_distances
from pyqmc_art.errors import InputError, NumericalError, unknown

Floats = NDArray[np.float64]

METHODS: Final = ("mahalanobis", "neighbours")
MINIMUM_WORKS: Final = 10
"""Fewest training works that a distance is compared with."""


@dataclass(frozen=True)
class Distance:
    """Distance of a work from the training works beside theirs.

    Parameters
    ----------
    value : the distance, in standard deviations of the training works' features
    limit : a work further away is out of distribution
    p_value : fraction of training works that are as far from the others, this one included

    Examples
    --------
    >>> print(Distance(12.0, 9.5, 0.01), Distance(12.0, 9.5, 0.01).far)
    distance 12 of at most 9.5, p = 0.01 True
    """

    value: float
    limit: float
    p_value: float

    @property
    def far(self) -> bool:
        """Whether the work is out of distribution."""
        return self.value > self.limit

    def __str__(self) -> str:
        return f"distance {self.value:.3g} of at most {self.limit:.3g}, p = {self.p_value:.2g}"


@dataclass(frozen=True)
class Familiarity:
    """The training works in feature space; made by :func:`learn_familiarity`.

    Parameters
    ----------
    method : ``"mahalanobis"`` or ``"neighbours"``
    centre, scale : mean and standard deviation of each feature over the training works
    works : their standardised features, shape (works, features)
    axes, variances : principal axes and the shrunken variance along each
    rest : shrunken variance of all directions beside the axes
    neighbours : how many nearest works a distance is averaged over
    distances : of each training work from the others, sorted
    limit : see :class:`Distance`
    """

    method: str
    centre: Floats
    scale: Floats
    works: Floats
    axes: Floats
    variances: Floats
    rest: float
    neighbours: int
    distances: Floats
    limit: float

    def measure(self, features: ArrayLike) -> Distance:
        """Measure one work by its features (averaged over its patches), shape (features,)."""
        given = np.asarray(features, np.float64)
        if given.shape != self.centre.shape:
            raise InputError(f"features have shape {given.shape}; expected {self.centre.shape}, as the training works")
        if not np.all(np.isfinite(given)):
            raise NumericalError("some features are nan or inf: the detector failed on this picture")
        z = (given - self.centre) / self.scale
        if self.method == "mahalanobis":
            value = math.sqrt(float(_form(z[None], self.axes, self.variances, self.rest)[0]))
        else:
            value = float(nearest_distances(z[None], self.works, self.neighbours).mean())
        p_value = float((1 + np.sum(self.distances >= value)) / (self.distances.size + 1))
        return Distance(value, self.limit, p_value)


def learn_familiarity(
    features: ArrayLike, method: str = "mahalanobis", alpha: float = 0.01, neighbours: int = 5
) -> Familiarity:
    """Learn how far training works lie from each other, each one left out in turn.

    ``"mahalanobis"``: ``D^2 = (x - mean)^T C^-1 (x - mean)`` with the covariance shrunken towards a multiple of one,
    ``C = (1 - rho) S + rho tr(S)/p``; ``"neighbours"``: the mean distance to the nearest works. Of works like the
    training works a fraction alpha exceeds the limit (which never lies beyond the furthest of them).

    Parameters
    ----------
    features : shape (works, features), one row a work (or group of near-duplicates), averaged over its patches
    method : ``"mahalanobis"`` or ``"neighbours"``
    alpha : fraction of familiar works that may be called unlike
    neighbours : for ``"neighbours"``

    Returns
    -------
    Familiarity

    Raises
    ------
    InputError
        For fewer than ``MINIMUM_WORKS`` works, an unknown method or alpha outside (0, 1).

    References
    ----------
    Y. Chen, A. Wiesel, Y. C. Eldar, A. O. Hero, IEEE Trans. Signal Process. 58 (2010) 5016, equation 23 (rho).

    Examples
    --------
    >>> works = np.random.default_rng(1).normal(size=(60, 200))
    >>> familiar = learn_familiarity(works)
    >>> familiar.measure(np.zeros(200)).far, familiar.measure(np.full(200, 3.0)).far
    (False, True)
    """
    x = np.asarray(features, np.float64)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if x.ndim != 2 or len(x) < MINIMUM_WORKS or not x.shape[1]:
        raise InputError(f"features have shape {x.shape}; expected (works, features), at least {MINIMUM_WORKS} works")
    if not np.all(np.isfinite(x)):
        raise NumericalError("some features of the training works are nan or inf; check those pictures")
    if not 0 < alpha < 1 or not 1 <= neighbours < len(x):
        raise InputError(f"alpha is {alpha}, neighbours {neighbours}; expected 0 < alpha < 1 <= neighbours < {len(x)}")
    centre, scale = x.mean(axis=0), x.std(axis=0, ddof=1)
    scale = np.where(scale > 1e-12 * (1 + np.abs(centre)), scale, 1.0)
    z = (x - centre) / scale
    axes, spectrum, shrinkage, rest = _shrink(z)
    if method == "mahalanobis":
        distances = _left_out(z, axes, spectrum, shrinkage, rest)
    else:
        distances = neighbour_distances(z, neighbours).mean(axis=1)
    distances = np.sort(distances)
    rank = min(len(x), math.ceil((1 - alpha) * (len(x) + 1)))
    variances = (1 - shrinkage) * spectrum + rest
    limit = float(distances[rank - 1])
    return Familiarity(method, centre, scale, z, axes, variances, rest, neighbours, distances, limit)


def _shrink(z: Floats) -> tuple[Floats, Floats, float, float]:
    """Axes and variances of the sample covariance, rho, and ``rho tr(S)/p``."""
    n, p = z.shape
    _, singular, axes = np.linalg.svd(z, full_matrices=False)
    spectrum = np.asarray(singular**2 / (n - 1), np.float64)
    trace, square = float(spectrum.sum()), float(spectrum @ spectrum)
    if trace <= 0:
        raise InputError("all training works have the same features; expected features that tell works apart")
    excess = (n + 1 - 2 / p) * (square - trace**2 / p)
    rho = min(1.0, ((1 - 2 / p) * square + trace**2) / excess) if excess > 0 else 1.0
    return axes, spectrum, rho, rho * trace / p


def _form(z: Floats, axes: Floats, variances: Floats, rest: float) -> Floats:
    """``z^T C^-1 z`` of each row, C given by its axes, the variances along them and the variance beside them."""
    along = z @ axes.T
    beside = np.maximum(0.0, np.sum(z**2, axis=1) - np.sum(along**2, axis=1))
    return np.asarray(np.sum(along**2 / variances, axis=1) + beside / rest, np.float64)


def _left_out(z: Floats, axes: Floats, spectrum: Floats, rho: float, rest: float) -> Floats:
    """Mahalanobis distance of each work by mean and covariance of the others, rho and its target held.

    Without work i the scatter loses ``n/(n-1) z_i z_i^T`` and the mean moves to ``-z_i/(n-1)`` (Sherman and Morrison).
    """
    n = len(z)
    form = _form(z, axes, (1 - rho) * (n - 1) / (n - 2) * spectrum + rest, rest)
    lost = (1 - rho) * n / ((n - 1) * (n - 2))
    return np.asarray(n / (n - 1) * np.sqrt(form / np.maximum(1 - lost * form, 1e-12)), np.float64)


@dataclass(frozen=True)
class Capture:
    """How a picture was captured.

    Parameters
    ----------
    width, height : in pixels
    format : of the content, not of the file's name
    quality : of the JPEG, 1 to 100; None for other formats
    sharpness : see :func:`measure_sharpness`
    """

    width: int
    height: int
    format: str
    quality: int | None
    sharpness: float

    @classmethod
    def of(cls, pixels: NDArray[Any], format: str, quality: int | None = None) -> Capture:
        """Measure a picture, uint8 of shape (height, width, 3)."""
        return cls(pixels.shape[1], pixels.shape[0], format, quality, measure_sharpness(pixels))

    @property
    def side(self) -> int:
        """The shorter side."""
        return min(self.width, self.height)


def measure_sharpness(pixels: NDArray[Any]) -> float:
    """Blur measure: standard deviation of the 4-neighbour Laplacian of the grey picture over the picture's own.

    About sqrt(20) for white noise, small for a blurred picture, 0 for one without contrast.

    Parameters
    ----------
    pixels : shape (height, width) or (height, width, channels), at least 3 x 3

    Returns
    -------
    sharpness, dimensionless

    Examples
    --------
    >>> measure_sharpness(np.full((8, 8, 3), 7, np.uint8))
    0.0
    """
    if pixels.ndim not in (2, 3) or min(pixels.shape[:2]) < 3:
        raise InputError(f"a picture of shape {pixels.shape} has no sharpness; expected at least 3 x 3 pixels")
    grey = pixels.astype(np.float64)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    contrast = float(grey.std())
    if contrast == 0:
        return 0.0
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.std()) / contrast


@dataclass(frozen=True)
class CaptureRange:
    """How the training works were captured.

    Parameters
    ----------
    sides, qualities, sharpness : least and greatest; the qualities are None without JPEG files
    formats : all of them
    patch : size in pixels that patches are brought to
    """

    sides: tuple[int, int]
    qualities: tuple[int, int] | None
    sharpness: tuple[float, float]
    formats: tuple[str, ...]
    patch: int = 224

    @classmethod
    def of(cls, captures: Sequence[Capture], patch: int = 224) -> CaptureRange:
        """Learn it from the training works."""
        if not captures:
            raise InputError("there are no training pictures to compare with; expected at least one")
        sides = [one.side for one in captures]
        qualities = [one.quality for one in captures if one.quality is not None]
        sharpness = [one.sharpness for one in captures]
        return cls(
            (min(sides), max(sides)),
            (min(qualities), max(qualities)) if qualities else None,
            (min(sharpness), max(sharpness)),
            tuple(sorted({one.format for one in captures})),
            patch,
        )

    def check(self, capture: Capture) -> tuple[str, ...]:
        """Say in what a picture differs from the training works; empty if in nothing."""
        found = []
        if capture.side < self.patch:
            found.append(f"size: the shorter side has {capture.side} pixels, patches of {self.patch} are enlarged")
        if not self.sides[0] <= capture.side <= self.sides[1]:
            found.append(f"size: shorter side {capture.side}, training works {self.sides[0]} to {self.sides[1]} pixels")
        if capture.format not in self.formats:
            found.append(f"format: {capture.format}, training works {', '.join(self.formats)}")
        limits = self.qualities
        if capture.quality is not None and limits is not None and not limits[0] <= capture.quality <= limits[1]:
            found.append(f"JPEG quality: {capture.quality}, training works {limits[0]} to {limits[1]}")
        if not self.sharpness[0] <= capture.sharpness <= self.sharpness[1]:
            word = "blurred" if capture.sharpness < self.sharpness[0] else "sharpened or noisy"
            limit = f"{self.sharpness[0]:.2f} to {self.sharpness[1]:.2f}"
            found.append(f"{word}: sharpness {capture.sharpness:.2f}, training works {limit}")
        return tuple(found)
