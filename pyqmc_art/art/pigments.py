"""Palettes: what colour a painter gives to sky, ground or skin, at every lightness.

Colours are computed in Oklab (Ottosson, *A perceptual color space for image processing*, 2020): lightness L in [0, 1]
and two chroma axes a (green to red), b (blue to yellow). Everything here is made of products, sums and square roots, so
that a palette is the same to the bit on every machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.hands import Hand

Floats = NDArray[np.float64]

ROLES: Final = ("sky", "ground", "leaf", "accent", "wall", "water", "skin", "earth")
"""What a thing in a picture is, for the palette."""

# Hue in turns, chroma, lightness in the dark and in the light.
_NATURE: Final = (
    (0.690, 0.095, 0.36, 0.88),
    (0.250, 0.125, 0.42, 0.89),
    (0.385, 0.095, 0.24, 0.76),
    (0.135, 0.160, 0.42, 0.87),
    (0.205, 0.055, 0.34, 0.92),
    (0.585, 0.085, 0.28, 0.84),
    (0.170, 0.085, 0.38, 0.86),
    (0.150, 0.060, 0.20, 0.62),
)


def turn_cosine(turns: Floats) -> Floats:
    """Cosine of an angle in turns, to 0.1 %, by a polynomial: exact arithmetic, the same bits everywhere."""
    return turn_sine(np.asarray(turns) + 0.25)


def turn_sine(turns: Floats) -> Floats:
    """Sine of an angle in turns, to 0.1 %, by a polynomial: exact arithmetic, the same bits everywhere.

    Examples
    --------
    >>> turn_sine(np.array([0.0, 0.25, 0.5, 0.75])).tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    x = np.asarray(turns, np.float64)
    x = x - np.floor(x + 0.5)
    y = 8.0 * x - 16.0 * x * np.abs(x)
    return np.asarray(y * (0.775 + 0.225 * np.abs(y)))


def mix_palette(hand: Hand, mood: tuple[float, float, float, float]) -> Floats:
    """Return the palette of a hand in a mood, Oklab, shape (roles, 5, 3): five steps from dark to light.

    The hand turns the accent's hue, pulls all colours towards the axis through its warm pole and the complement
    (harmony), scales chroma and tonal contrast, and warms the lights while it cools the darks.

    Parameters
    ----------
    hand : the palette's painter
    mood : of the motif: shift of lightness, shift of a and of b, factor of the chroma
    """
    steps = np.linspace(0.0, 1.0, 5)
    axis_a = float(turn_cosine(np.array(hand.pole)))
    axis_b = float(turn_sine(np.array(hand.pole)))
    palette = np.empty((len(ROLES), 5, 3))
    for role, (hue, chroma, dark, light) in enumerate(_NATURE):
        hue = hue + 0.5 * (hand.pole - 0.20) + (0.4 * (hand.warmth - 0.003) / 0.013 * 0.1 if role == 3 else 0.0)
        lightness = dark + (light - dark) * steps
        # Full chroma in the middle of the scale, less at its ends, as pigments with white and black have it.
        strength = chroma * hand.chroma * mood[3] * (1.0 - 1.1 * (steps - 0.55) * (steps - 0.55))
        # Lights turn towards the warm pole, darks away from it.
        a = strength * float(turn_cosine(np.array(hue)))
        b = strength * float(turn_sine(np.array(hue)))
        along = a * axis_a + b * axis_b
        a = a + hand.harmony * (along * axis_a - a) * 0.8
        b = b + hand.harmony * (along * axis_b - b) * 0.8
        drift = hand.warmth + 0.05 * (steps - 0.5)
        palette[role, :, 0] = 0.56 + (lightness - 0.56) * hand.contrast + mood[0]
        palette[role, :, 1] = a + drift * axis_a + mood[1]
        palette[role, :, 2] = b + drift * axis_b + mood[2]
    return palette


def colour_guide(palette: Floats, role: NDArray[np.int8], tone: Floats) -> Floats:
    """Oklab colour of every cell of a sketch, shape (rows, columns, 3): linear between the palette's steps."""
    place = np.clip(tone, 0.0, 1.0) * 3.9999
    step = place.astype(np.int64)
    part = (place - step)[..., None]
    flat = palette.reshape(-1, 3)
    index = role.astype(np.int64) * 5 + step
    return np.asarray(flat[index] * (1.0 - part) + flat[index + 1] * part)


def to_rgb(lab: Floats) -> Floats:
    """Convert Oklab to sRGB in [0, 1], shape (..., 3), clipped to the gamut.

    The transfer curve is the square-root approximation 0.662 u + 0.684 u^(1/2) - 0.324 u^(1/4) - 0.0225 u^2, u the root
    of the linear value, which stays within 0.01.
    """
    L, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    long = L + 0.3963377774 * a + 0.2158037573 * b
    medium = L - 0.1055613458 * a - 0.0638541728 * b
    short = L - 0.0894841775 * a - 1.2914855480 * b
    long, medium, short = long * long * long, medium * medium * medium, short * short * short
    linear = np.stack(
        (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ),
        axis=-1,
    )
    root = np.sqrt(np.clip(linear, 0.0, 1.0))
    second = np.sqrt(root)
    curve = 0.662002687 * root + 0.684122060 * second - 0.323583601 * np.sqrt(second) - 0.0225411470 * root * root
    return np.asarray(np.clip(curve, 0.0, 1.0))
