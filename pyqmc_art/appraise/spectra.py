"""Power spectra of fields and pictures: rings of momentum, directions, and the plane of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RINGS: Final = 16
SECTORS: Final = 8


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Spectra of members of an ensemble.

    Attributes
    ----------
    frequency : mean of each ring in cycles for each site or pixel, shape (rings,)
    radial : mean power in rings, shape (n, rings)
    direction : middle of each sector in degrees from the last axis, shape (sectors,); empty in one dimension
    angular : mean power in sectors, shape (n, sectors)
    plane : power at each momentum, shape (n, rows, columns), momentum zero at [0, 0]; two dimensions only
    """

    frequency: Floats
    radial: Floats
    direction: Floats
    angular: Floats
    plane: Floats | None


def take_spectrum(values: Floats, rings: int = RINGS, sectors: int = SECTORS) -> Spectrum:
    r"""Take the spectra of real arrays with periodic boundaries: ``|FFT|^2 / V``, summed over components.

    Parameters
    ----------
    values : shape (n, *shape, components)
    rings, sectors : at most so many

    Examples
    --------
    A wave of period four has all its power in one ring, and white noise has 1 everywhere:

    >>> wave = np.cos(np.pi / 2 * np.arange(8))[None, :, None]
    >>> take_spectrum(wave).radial.round(12).tolist()
    [[0.0, 0.0, 2.0, 0.0, 0.0]]
    """
    shape = values.shape[1:-1]
    axes = tuple(range(1, values.ndim - 1))
    transform = np.fft.fftn(values, axes=axes)
    power = (transform.real**2 + transform.imag**2).sum(axis=-1) / float(np.prod(shape))
    ring, frequency = find_rings(shape, rings)
    flat = power.reshape(len(power), -1)
    radial = _average(flat, ring, len(frequency))
    if len(shape) != 2:
        return Spectrum(frequency, radial, np.zeros(0), np.zeros((len(power), 0)), None)
    sector, direction = find_sectors(shape, sectors)
    return Spectrum(frequency, radial, direction, _average(flat, sector, len(direction)), power)


@lru_cache(maxsize=8)
def find_rings(shape: tuple[int, ...], most: int) -> tuple[NDArray[np.int64], Floats]:
    """Ring of each momentum of a lattice by its modulus (zero has a ring of its own), and the rings' frequencies.

    What lies beyond one half, in the corners, belongs to the last ring.
    """
    grids = np.meshgrid(*(np.fft.fftfreq(extent) for extent in shape), indexing="ij")
    modulus = np.sqrt(sum(grid**2 for grid in grids)).reshape(-1)
    count = min(most, max(shape) // 2)
    ring = np.minimum(np.ceil(modulus * 2 * count - 0.5 - 1e-9).astype(np.int64), count)
    ring = np.where(modulus > 0, np.maximum(ring, 1), 0)
    _, ring = np.unique(ring, return_inverse=True)
    ring = ring.reshape(-1)
    return ring, np.bincount(ring, modulus) / np.bincount(ring)


@lru_cache(maxsize=8)
def find_sectors(shape: tuple[int, ...], most: int) -> tuple[NDArray[np.int64], Floats]:
    """Sector of each momentum of a plane by its direction modulo pi, -1 for zero and the corners, and its middle.

    The axes lie in the middle of sectors; sectors without a momentum are left out.
    """
    y, x = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    modulus = np.hypot(x, y).reshape(-1)
    number = ((np.arctan2(y, x) / np.pi + 0.5 / most) % 1.0 * most).astype(np.int64).reshape(-1) % most
    usable = (modulus > 0) & (modulus <= 0.5)
    names, inverse = np.unique(number[usable], return_inverse=True)
    sector = np.full(modulus.size, -1)
    sector[usable] = inverse.reshape(-1)
    return sector, np.asarray(names * 180.0 / most, np.float64)


def _average(flat: Floats, places: NDArray[np.int64], count: int) -> Floats:
    """Mean over the columns of each place; those of place -1 count nowhere."""
    used = np.flatnonzero(places >= 0)
    weights = np.zeros((used.size, count))
    weights[np.arange(used.size), places[used]] = 1 / np.bincount(places[used], minlength=count)[places[used]]
    return np.asarray(flat[:, used] @ weights, np.float64)
