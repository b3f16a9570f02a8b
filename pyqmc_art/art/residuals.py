"""What is left of a picture when its content is taken away: statistics of the high-pass residual, in numpy.

Brushes, up-sampling networks and compressions leave traces in the finest scales. Each patch becomes one vector of
``FEATURES`` numbers: moments of three residuals, the radial and angular power spectrum, wavelet bands, and how often
triples of neighbouring quantised residuals occur. Spectra of pictures from mixed formats also show the 8-pixel grid of
JPEG: equalise first.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pyqmc_art.errors import InputError

Floats = NDArray[np.float32]

SMALLEST: Final = 32
RADIAL_BINS: Final = 32
CHROMA_BINS: Final = 12
ANGULAR_BINS: Final = 16
SCALES: Final = 3
STEPS: Final = (1.0, 2.0)
"""Quantisation steps of the residuals, in grey levels."""
TRUNCATION: Final = 2
_TINY: Final = 1e-6

_DB2: Final = (np.array([1 + np.sqrt(3), 3 + np.sqrt(3), 3 - np.sqrt(3), 1 - np.sqrt(3)]) / (4 * np.sqrt(2))).astype(
    np.float32
)


def residual_features(patches: NDArray[np.uint8]) -> Floats:
    """Describe patches by their residuals.

    Parameters
    ----------
    patches : uint8, shape (n, size, size, 3), RGB, size at least 32

    Returns
    -------
    float32, shape (n, ``FEATURES``); each row depends on its own patch alone

    Raises
    ------
    InputError
        For an array of another type or shape, or patches that are too small.

    References
    ----------
    J. Fridrich, J. Kodovsky, IEEE Trans. Inf. Forensics Secur. 7 (2012) 868 (residuals and their co-occurrences);
    S. Lyu, H. Farid, IEEE Trans. Signal Process. 53 (2005) 845 (wavelet statistics).

    Examples
    --------
    >>> residual_features(np.zeros((2, 64, 64, 3), np.uint8)).shape == (2, FEATURES)
    True
    """
    if not isinstance(patches, np.ndarray) or patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[3] != 3:
        given = f"{patches.dtype} {patches.shape}" if isinstance(patches, np.ndarray) else type(patches).__name__
        raise InputError(f"patches are {given}; expected uint8 of shape (n, size, size, 3)")
    if patches.shape[1] != patches.shape[2] or patches.shape[1] < SMALLEST:
        raise InputError(f"patches are {patches.shape[1:3]} pixels; expected squares of at least {SMALLEST}")
    rows = [_describe(patch) for patch in patches]
    return np.stack(rows) if rows else np.empty((0, FEATURES), np.float32)


def split_channels(patch: NDArray[np.uint8]) -> tuple[Floats, Floats, Floats]:
    """Luma and two colour differences in grey levels, each (size, size); ITU-R BT.601."""
    red, green, blue = (patch[..., i].astype(np.float32) for i in range(3))
    luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return luma, np.float32(0.564) * (blue - luma), np.float32(0.713) * (red - luma)


def _describe(patch: NDArray[np.uint8]) -> Floats:
    luma, blue, red = split_channels(patch)
    two = np.float32(2)
    square_3 = curve_both(luma)
    square_5 = curve_wider(square_3)
    parts = [_moments(one) for one in (square_3, square_5, _bend(luma, 1) / two, _bend(luma, 0) / two)]
    grey, *colours = (sharpen(one) for one in (luma, blue, red))
    parts += _spectrum(grey, RADIAL_BINS, ANGULAR_BINS)
    parts.append(radial_profile(_power(colours[0]) + _power(colours[1]), len(grey), CHROMA_BINS))
    parts += _wavelet_statistics(luma, SCALES) + _wavelet_statistics(blue, 1) + _wavelet_statistics(red, 1)
    parts += [triple_frequencies(one, step) for one in (square_3, square_5) for step in STEPS]
    return np.concatenate(parts).astype(np.float32)


def _bend(values: Floats, axis: int) -> Floats:
    """Second difference along an axis, where all three pixels exist."""
    before, here, after = _thirds(values, axis)
    bent = before + after
    bent -= np.float32(2) * here
    return bent


def _thirds(values: Floats, axis: int) -> tuple[Floats, Floats, Floats]:
    """Each pixel's predecessor, itself and its successor along an axis, as views."""
    if axis == 0:
        return values[:-2], values[1:-1], values[2:]
    return values[:, :-2], values[:, 1:-1], values[:, 2:]


def curve_both(values: Floats) -> Floats:
    """Second differences along both axes at once, the filter "square 3 x 3" of Fridrich and Kodovsky (2012), figure 2.

    ``(-1 2 -1; 2 -4 2; -1 2 -1) / 4``, one pixel less on each side.
    """
    curve = _bend(_bend(values, 1), 0)
    curve *= np.float32(-1 / 4)
    return curve


def curve_wider(curve: Floats) -> Floats:
    """The filter "square 5 x 5" from the result of the 3 x 3 one: ``(four diagonal neighbours + twice itself) / 3``.

    ``(-1 2 -2 2 -1; 2 -6 8 -6 2; -2 8 -12 8 -2; 2 -6 8 -6 2; -1 2 -2 2 -1) / 12`` of the picture.
    """
    above, _, below = _thirds(curve, 0)
    left, _, right = _thirds(above + below, 1)
    wider = left + right
    wider += np.float32(2) * curve[1:-1, 1:-1]
    wider /= np.float32(3)
    return wider


def sharpen(values: Floats) -> Floats:
    """What a binomial smoothing takes away: ``(-1 -2 -1; -2 12 -2; -1 -2 -1) / 16``.

    The filters above are products of second differences and so blind to all that varies along one axis alone, as the
    lattice of an up-sampling does: a spectrum must not be.
    """
    smooth = values
    for axis in (1, 0):
        before, here, after = _thirds(smooth, axis)
        smooth = before + after
        smooth += np.float32(2) * here
    smooth *= np.float32(-1 / 16)
    smooth += values[1:-1, 1:-1]
    return smooth


def _moments(values: Floats) -> Floats:
    """Logarithms of mean modulus and standard deviation, and the kurtosis on a bounded scale."""
    centred = values - values.mean()
    square = centred * centred
    variance = float(square.mean())
    # A flat patch has no shape: kurtosis 3, that of a Gaussian.
    kurtosis = float((square * square).mean()) / variance**2 if variance > _TINY else 3.0
    modulus = float(np.abs(values).mean())
    return np.array([np.log(modulus + 1e-2), 0.5 * np.log(variance + 1e-4), np.log(kurtosis)], np.float32)


@lru_cache(maxsize=8)
def _hann(size: int) -> Floats:
    window = np.hanning(size + 2)[1:-1]
    return np.outer(window, window).astype(np.float32)


@lru_cache(maxsize=8)
def _rings(size: int, bins: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ring of each Fourier component by its frequency, 0 to 1/2 cycle per pixel, and its share of the ring's mean."""
    y, x = fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]
    ring = np.minimum((np.hypot(x, y) * 2 * bins).astype(np.int64), bins)
    # The real transform keeps one of each pair of conjugates, except where a component is its own.
    weight = np.broadcast_to(np.where((x == 0) | (x == 0.5), 1.0, 2.0), ring.shape)
    return ring.ravel(), (weight / np.bincount(ring.ravel(), weight.ravel(), bins + 1)[ring]).ravel()


@lru_cache(maxsize=8)
def _sectors(size: int, bins: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bin of each Fourier component by its direction modulo pi; the lowest frequencies count nowhere."""
    y, x = fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]
    # Half a bin is added so that the axes, where lattices show, lie in the middle of a sector.
    sector = ((np.arctan2(y, x) / np.pi + 0.5 / bins) % 1.0 * bins).astype(np.int64) % bins
    sector[(np.hypot(x, y) < 0.05) | (np.hypot(x, y) > 0.5)] = bins
    return sector.ravel(), np.maximum(np.bincount(sector.ravel(), minlength=bins + 1), 1).astype(np.float64)


def _power(residual: Floats) -> Floats:
    # The mean stays: taking it off a windowed wave that does not end with a period would put power at frequency 0.
    spectrum = fft.rfft2(residual * _hann(len(residual)))
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)


def radial_profile(power: Floats, size: int, bins: int) -> Floats:
    """Logarithm of the mean power in rings of frequency, its own mean taken off: the shape, not the strength.

    Parameters
    ----------
    power : ``|rfft2|^2`` of a square of ``size`` pixels
    bins : rings between 0 and 1/2 cycle per pixel
    """
    ring, share = _rings(size, bins)
    profile = np.log(np.bincount(ring, power.ravel() * share, bins + 1)[:bins] + 1.0)
    return np.asarray(profile - profile.mean(), np.float32)


def _spectrum(residual: Floats, rings: int, sectors: int) -> list[Floats]:
    power, size = _power(residual), len(residual)
    sector, count = _sectors(size, sectors)
    angular = np.log(np.bincount(sector, power.ravel(), sectors + 1)[:sectors] / count[:sectors] + 1.0)
    return [radial_profile(power, size, rings), (angular - angular.mean()).astype(np.float32)]


def split_bands(values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """One step of a Daubechies-2 wavelet: smooth, horizontal, vertical and diagonal band, each half as large.

    References
    ----------
    I. Daubechies, Ten Lectures on Wavelets (SIAM, 1992), table 6.1 (N = 2).
    """
    low, high = _filter_rows(values)
    (smooth, across), (down, diagonal) = _filter_rows(low.T), _filter_rows(high.T)
    return smooth.T, across.T, down.T, diagonal.T


def _filter_rows(values: Floats) -> tuple[Floats, Floats]:
    """Low and high half of each row, without the coefficients that would reach over the end."""
    count = (values.shape[1] - 4) // 2 + 1
    taps = [values[:, k : k + 2 * count - 1 : 2] for k in range(4)]
    low = sum(_DB2[k] * taps[k] for k in range(4))
    # The high-pass filter is the low-pass one reversed, every other sign changed.
    high = sum((-1) ** k * _DB2[3 - k] * taps[k] for k in range(4))
    return np.asarray(low, np.float32), np.asarray(high, np.float32)


def _wavelet_statistics(values: Floats, scales: int) -> list[Floats]:
    statistics = []
    for _ in range(scales):
        values, *bands = split_bands(values)
        statistics += [_moments(band) for band in bands]
    return statistics


@lru_cache(maxsize=1)
def _triple_classes() -> tuple[NDArray[np.int64], int]:
    """Class of each triple of quantised residuals; a triple, its mirror image and their negatives are one class."""
    base = 2 * TRUNCATION + 1
    codes = np.arange(base**3)
    digits = np.stack([codes // base**2, codes // base % base, codes % base])
    places = np.array([base**2, base, 1])
    images = [places @ d for d in (digits, digits[::-1], base - 1 - digits, base - 1 - digits[::-1])]
    names, classes = np.unique(np.min(images, axis=0), return_inverse=True)
    return classes.reshape(-1), len(names)


def triple_frequencies(residual: Floats, step: float) -> Floats:
    """How often triples of neighbours occur among quantised residuals, along rows and columns together.

    ``q = clip(round(r / step), -2, 2)``; square roots of frequencies, whose sampling noise is about the same for all.

    Examples
    --------
    >>> float((triple_frequencies(np.zeros((8, 8), np.float32), 1.0) ** 2).sum())
    1.0
    """
    base = 2 * TRUNCATION + 1
    q = (np.clip(np.rint(residual / np.float32(step)), -TRUNCATION, TRUNCATION) + TRUNCATION).astype(np.int16)
    across = (q[:, :-2] * base + q[:, 1:-1]) * base + q[:, 2:]
    down = (q[:-2] * base + q[1:-1]) * base + q[2:]
    counts = np.bincount(across.ravel(), minlength=base**3) + np.bincount(down.ravel(), minlength=base**3)
    classes, number = _triple_classes()
    folded = np.bincount(classes, counts, number)
    return np.asarray(np.sqrt(folded / folded.sum()), np.float32)


FEATURES: Final = 3 * 4 + RADIAL_BINS + ANGULAR_BINS + CHROMA_BINS + 3 * 3 * (SCALES + 2) + 2 * len(STEPS) * 39
"""Numbers for each patch; 39 is the number of classes of triples, (125 + 25 + 1 + 5) / 4 by Burnside's lemma."""
