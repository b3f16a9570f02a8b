"""Parts of a page of verdicts: the picture with its map, positions on a scale of odds, small grey copies."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.judging import Opinion, Patch
from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import encode_jpeg, read_picture
from pyqmc_art.art.verdicts import HAND, MACHINE, NONE, OTHER
from pyqmc_art.art.wording import say_odds

TONES: Final = {HAND: "for", OTHER: "against", MACHINE: "machine", NONE: "open"}
"""Verdict -> class of its colour."""

_LARGE, _SMALL, _MANY = 880, 480, 40
"""Longer side in pixels of an embedded picture, where there are few and where there are many."""
_QUALITY: Final = 84
_STRONG: Final = 2.5
"""Evidence at which a cell of the map has its full colour: odds of 12 to 1."""
_TICKS: Final = (0.0, math.log(3), math.log(10), math.log(100), math.log(1000), math.log(10000))


@dataclass(frozen=True)
class Scale:
    """A symmetric axis of log-odds, 0 in the middle; positions are per cent of its width."""

    limit: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Scale:
        """Make one that holds all these log-odds."""
        return cls(max(math.log(12), 1.08 * max((abs(value) for value in values), default=0.0)))

    def place(self, value: float) -> float:
        """Position of log-odds."""
        return round(50 + 50 * max(-1.0, min(1.0, value / self.limit)), 2)

    def bar(self, low: float, high: float) -> dict[str, float]:
        """Position and width of an interval."""
        return {"left": self.place(low), "width": round(self.place(high) - self.place(low), 2)}

    def ticks(self) -> list[tuple[float, str]]:
        """Positions and labels: odds that divide the axis well."""
        wide = self.limit > math.log(40)
        shown = [t for t in _TICKS if t < 0.97 * self.limit and not (wide and t == math.log(3))]
        both = sorted({*shown, *(-t for t in shown)})
        return [(self.place(t), say_odds(t)) for t in both]


def signed(value: float, digits: int) -> str:
    """Write a number with its sign.

    Examples
    --------
    >>> signed(-1.25, 1), signed(0.5, 2)
    ('−1.2', '+0.50')
    """
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def embed(pixels: NDArray[np.uint8], side: int, quality: int = _QUALITY) -> tuple[str, int, int]:
    """Write a picture as a data address, its longer side at most ``side`` pixels; give it with width and height."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, side / max(width, height))
    if shrink < 1:
        width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
        pixels = resample(pixels, (width, height))
    coded = base64.b64encode(encode_jpeg(pixels, quality)).decode()
    return f"data:image/jpeg;base64,{coded}", width, height


def embed_grey(grey: NDArray[np.uint8]) -> str:
    """Write a small grey copy as a data address."""
    return embed(np.repeat(grey[:, :, None], 3, axis=2), max(grey.shape), 75)[0]


def draw_maps(opinion: Opinion, works: int) -> dict[str, Any]:
    """Lay out the picture, what was looked at, and its cells level by level, in units of the picture's own pixels."""
    side = _LARGE if works <= _MANY else _SMALL
    address, _, _ = embed(read_picture(opinion.path).pixels, side)
    width, height = opinion.capture.width, opinion.capture.height
    left, top, right, bottom = opinion.region
    whole = (right - left) * (bottom - top) > 0.985 * width * height
    levels = dict.fromkeys(one.level for one in opinion.patches)
    return {
        "address": address,
        "width": width,
        "height": height,
        "stroke": round(max(width, height) / 260, 2),
        "region": None if whole else {"x": left, "y": top, "width": right - left, "height": bottom - top},
        # One patch is the whole picture: there is nothing to map.
        "levels": []
        if len(opinion.patches) < 2
        else [_draw_level(level, [one for one in opinion.patches if one.level == level]) for level in levels],
    }


def _draw_level(level: int, patches: Sequence[Patch]) -> dict[str, Any]:
    title = "the whole" if level == 1 else f"{level} × {level} cells"
    return {"title": title, "cells": [_draw_cell(one) for one in patches]}


def _draw_cell(patch: Patch) -> dict[str, Any]:
    left, top, right, bottom = patch.box
    return {
        "x": round(left, 2),
        "y": round(top, 2),
        "width": round(right - left, 2),
        "height": round(bottom - top, 2),
        "tone": "for" if patch.evidence > 0 else "against",
        "opacity": round(0.06 + 0.5 * min(1.0, abs(patch.evidence) / _STRONG), 3),
        "text": signed(patch.evidence, 1),
        "size": round((right - left) * {1: 0.11, 2: 0.16}.get(patch.level, 0.24), 2),
        "middle": (round((left + right) / 2, 2), round((top + bottom) / 2, 2)),
    }
