"""What simulated generators leave in a picture: the lattices of their up-sampling, and lost detail.

A transposed convolution whose kernel is no multiple of its stride covers the output's phases unevenly (Odena, Dumoulin,
Olah, *Deconvolution and checkerboard artifacts*, 2016): the picture is multiplied by a gain that repeats with the
stride, and its spectrum shows lines at multiples of 1/stride cycles a pixel. Two stages of stride 2 give 1/4 and 1/2;
the decoder of a latent-diffusion autoencoder (three stages) gives all k/8 and smooths. A third kind enlarges by three.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.hands import check_strength, draw_uniforms
from pyqmc_art.errors import unknown
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

PERIODS: Final = {"raw-gan": 4, "tuned-gan": 4, "diffusion": 8, "other-machine": 3}
"""Machine -> period of its lattice in pixels."""

_GAINS: Final = {"raw-gan": 0.016, "tuned-gan": 0.012, "diffusion": 0.014, "other-machine": 0.012}
_LOSSES: Final = {"raw-gan": 0.45, "tuned-gan": 0.25, "diffusion": 0.45, "other-machine": 0.30}


def draw_lattice(machine: str, stream: Stream) -> Floats:
    """Draw the gain of each phase, shape (period, period, 3), mean 0 and root mean square 1 in every channel.

    A generator has one lattice for all its pictures: draw it from the generator's own stream.

    Raises
    ------
    InputError
        If there is no such machine.
    """
    if machine not in PERIODS:
        raise unknown("machine", machine, PERIODS)
    period = PERIODS[machine]
    noise = 2.0 * draw_uniforms(stream.fold(machine), period * period * 4).reshape(4, period, period) - 1.0
    row, column = np.arange(period)[:, None], np.arange(period)[None, :]
    if period == 3:
        noise[0] += 2.5 * (row == 0) + 2.5 * (column == 0)
    # Every stage of stride 2 adds its checkerboard, its rows and its columns, twice as wide as the next stage's. The
    # wider ones weigh more: paintings themselves have more power there, which would hide them.
    stages = {4: (1, 2), 8: (1, 2, 4)}.get(period, ())
    for stage in stages:
        weight = 0.5 + 0.5 * stage
        noise[0] += 1.2 * weight * np.where((row // stage + column // stage) % 2, 1.0, -1.0)
        noise[0] += 1.1 * weight * np.where(row // stage % 2, 1.0, -1.0)
        noise[0] += 1.1 * weight * np.where(column // stage % 2, 1.0, -1.0)
    lattice = np.stack([noise[0] + 0.4 * noise[channel + 1] for channel in range(3)], axis=-1)
    lattice = lattice - lattice.sum(axis=(0, 1)) / (period * period)
    return np.asarray(lattice / np.sqrt((lattice * lattice).sum(axis=(0, 1)) / (period * period)))


def leave_traces(pixels: Pixels, machine: str, stream: Stream, strength: float = 1.0) -> Pixels:
    """Return the picture as if a generator had made it.

    Every pixel becomes (1 + strength g lattice[row mod period, column mod period]) times a mixture of itself and of
    its neighbourhood: a block of 2 x 2 for the GANs, whose last stage repeats pixels, a binomial blur for the others.

    Parameters
    ----------
    pixels : uint8, shape (height, width, 3)
    machine : raw-gan, tuned-gan, diffusion or other-machine
    stream : of the generator, the same for all its pictures
    strength : 0 leaves the picture as it is

    Raises
    ------
    InputError
        If there is no such machine or the strength is not a number in [0, 4].
    """
    lattice = draw_lattice(machine, stream)
    strength = check_strength("strength", strength)
    if strength == 0:
        return pixels
    height, width = pixels.shape[:2]
    clean = pixels.astype(np.float64)
    loss = min(_LOSSES[machine] * strength, 1.0)
    blurred = _repeat_blocks(clean) if machine in ("raw-gan", "tuned-gan") else _blur(clean)
    period = PERIODS[machine]
    tiles = np.tile(lattice, (height // period + 1, width // period + 1, 1))[:height, :width]
    shown = (clean + loss * (blurred - clean)) * (1.0 + strength * _GAINS[machine] * tiles)
    return np.asarray(np.clip(shown + 0.5, 0.0, 255.0).astype(np.uint8))


def _repeat_blocks(clean: Floats) -> Floats:
    """Each block of 2 x 2 replaced by its mean; an odd last row or column pairs with itself."""
    height, width = clean.shape[:2]
    even = np.pad(clean, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    mean = 0.25 * (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2])
    return np.asarray(np.repeat(np.repeat(mean, 2, axis=0), 2, axis=1)[:height, :width])


def _blur(clean: Floats) -> Floats:
    """Binomial filter (1, 2, 1)/4 along rows and columns."""
    wide = np.pad(clean, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = 0.25 * (wide[:-2] + wide[2:]) + 0.5 * wide[1:-1]
    return np.asarray(0.25 * (rows[:, :-2] + rows[:, 2:]) + 0.5 * rows[:, 1:-1])
