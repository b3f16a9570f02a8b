"""The hand of a simulated painter: the hidden habits by which a detector may know it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

HABITS: Final = {
    "length": (3.2, 7.5, 1.5, 12.0),
    "width": (0.0105, 0.0190, 0.006, 0.03),
    "curvature": (0.5, 1.7, 0.0, 2.5),
    "taper": (0.15, 0.75, 0.0, 0.95),
    "pressure": (0.72, 0.97, 0.4, 1.0),
    "dryness": (0.15, 0.75, 0.0, 1.0),
    "bristle": (0.35, 0.95, 0.0, 1.2),
    "streak": (0.25, 0.95, 0.0, 1.2),
    "coherence": (0.78, 0.97, 0.3, 1.0),
    "slant": (0.0, 0.22, 0.0, 0.5),
    "swirl": (0.55, 1.35, 0.0, 2.0),
    "fineness": (0.50, 0.68, 0.35, 0.8),
    "detail": (0.55, 1.0, 0.2, 1.0),
    "order": (0.0, 0.55, 0.0, 1.0),
    "impasto": (0.55, 1.25, 0.1, 2.0),
    "outline": (0.1, 1.0, 0.0, 1.3),
    "correction": (0.0, 0.04, 0.0, 0.4),
    "pole": (0.16, 0.24, 0.10, 0.30),
    "harmony": (0.15, 0.50, 0.0, 0.8),
    "chroma": (0.85, 1.25, 0.4, 1.5),
    "contrast": (0.88, 1.15, 0.6, 1.4),
    "warmth": (-0.010, 0.016, -0.03, 0.03),
    "value_jitter": (0.020, 0.055, 0.0, 0.1),
    "hue_jitter": (0.012, 0.034, 0.0, 0.08),
    "broken": (0.02, 0.16, 0.0, 0.4),
    "ground": (0.25, 0.80, 0.1, 0.95),
}
"""Habit -> (low, high, least, most): painters of this family are drawn from [low, high]; no copyist leaves the rest."""

_NERVES: Final = {"coherence": -0.35, "correction": 2.5, "pressure": -0.25, "length": -0.20}
"""What copying does to a hand, in units of a habit's range at gap 1: less confident, more corrected."""


def draw_uniforms(stream: Stream, count: int) -> NDArray[np.float64]:
    """Return ``count`` uniform numbers in [0, 1) of 32 bits each, four to a block."""
    words = stream.bits("user", np.arange((count + 3) // 4), 1).reshape(-1)[:count]
    return np.asarray(words * 2.0**-32, np.float64)


def check_strength(name: str, value: float, most: float = 4.0) -> float:
    """Return a strength that must be a finite number in [0, most]."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, np.integer, np.floating))
        or not 0 <= value <= most
    ):
        raise InputError(f"{name} is {value!r}; expected a number from 0 (no difference) to {most:g}")
    return float(value)


@dataclass(frozen=True)
class Hand:
    """The habits of one painter; lengths in brush widths, widths in parts of the picture's shorter side.

    Attributes
    ----------
    length : length of a middle stroke in brush widths
    width : width of the middle brush, in parts of the shorter side
    curvature : how far strokes follow the bends of the form, 1: as the form does
    taper, pressure, dryness : narrowing towards the end, opacity, and how soon the brush runs dry
    bristle, streak : contrast of the bristles, share of the second colour on the brush
    coherence : 1: neighbouring strokes lie parallel; the deviation is (1 - coherence) quarter turns
    slant : pull of all strokes towards the hand's own diagonal
    swirl : how strongly the field of directions is made to curl
    fineness : ratio of one brush to the next finer one
    detail : share of the fine strokes that are really set
    order : 0 strokes in random order, 1 from dark to light
    impasto : thickness of the paint
    outline : strength of dark contours
    correction : share of strokes that are gone over again
    pole, harmony, chroma, contrast, warmth : palette, see :mod:`pyqmc_art.art.pigments`
    value_jitter, hue_jitter, broken : spread of the colours of neighbouring strokes, share of strokes of another colour
    ground : lightness of the primed canvas
    """

    length: float
    width: float
    curvature: float
    taper: float
    pressure: float
    dryness: float
    bristle: float
    streak: float
    coherence: float
    slant: float
    swirl: float
    fineness: float
    detail: float
    order: float
    impasto: float
    outline: float
    correction: float
    pole: float
    harmony: float
    chroma: float
    contrast: float
    warmth: float
    value_jitter: float
    hue_jitter: float
    broken: float
    ground: float

    @classmethod
    def draw(cls, stream: Stream) -> Hand:
        """Draw a hand, each habit uniformly from its range.

        Examples
        --------
        >>> Hand.draw(Stream.from_seed(1)) == Hand.draw(Stream.from_seed(1))
        True
        """
        parts = draw_uniforms(stream.fold("hand"), len(HABITS))
        values = {}
        for (name, (low, high, _, _)), part in zip(HABITS.items(), parts, strict=True):
            values[name] = low + float(part) * (high - low)
        return cls(**values)

    def shifted(self, stream: Stream, gap: float = 1.0) -> Hand:
        """Return the hand of somebody who copies this one.

        Every habit moves by gap times 0.15 to 0.30 of its range, up or down as the stream says, and copying costs
        confidence: shorter, lighter, less parallel strokes and more corrections. The shift is proportional to the gap
        (up to the ends of the plausible range) and gap 0 returns this very hand.

        Parameters
        ----------
        stream : where the copyist's own habits are drawn
        gap : 0 (no difference at all) to 4

        Raises
        ------
        InputError
            If the gap is not a number in [0, 4].

        Examples
        --------
        >>> hand = Hand.draw(Stream.from_seed(1))
        >>> hand.shifted(Stream.from_seed(2), gap=0) == hand
        True
        >>> hand.shifted(Stream.from_seed(2)).correction > hand.correction
        True
        """
        gap = check_strength("gap", gap)
        if gap == 0:
            return self
        parts = draw_uniforms(stream.fold("copyist"), len(HABITS))
        values = {}
        for (name, (low, high, least, most)), part in zip(HABITS.items(), parts, strict=True):
            wide = high - low
            sign = 1.0 if part >= 0.5 else -1.0
            step = sign * (0.15 + 0.15 * (2.0 * float(part) % 1.0))
            if name in _NERVES:
                step = _NERVES[name] * (0.7 + 0.6 * float(part))
            values[name] = min(max(getattr(self, name) + gap * step * wide, least), most)
        return replace(self, **values)

    def towards(self, other: Hand, share: float) -> Hand:
        """Return the hand a share of the way to another one: 0 this hand, 1 the other.

        Raises
        ------
        InputError
            If the share is not a number in [0, 1].
        """
        share = check_strength("share", share, 1.0)
        if share == 0:
            return self
        names = [field.name for field in fields(self)]
        return Hand(**{n: getattr(self, n) + share * (getattr(other, n) - getattr(self, n)) for n in names})
