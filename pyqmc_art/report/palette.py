"""Colours and markers of all figures: one table for light and dark, safe for colour-blind readers.

A colour is a *role* (``"ink"``, ``"c1"``, ...) whose value depends on the theme. In a page the roles are CSS custom
properties, so that one drawing serves both themes; in a file they are the plain hexadecimal values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.protocols import Curve, Figure, Panel, Picture

LIGHT: Final[Mapping[str, str]] = {
    "paper": "#fffefd",
    "ink": "#1b2130",
    "muted": "#5c6475",
    "grid": "#e6e7ec",
    "frame": "#a3a9b6",
    "c1": "#2a6fcb",
    "c2": "#d97a06",
    "c3": "#a3173f",
    "c4": "#0f9a75",
    "c5": "#43207f",
    "c6": "#2d9fc9",
    "c7": "#d763ab",
    "c8": "#6b7280",
}
DARK: Final[Mapping[str, str]] = {
    "paper": "#161a22",
    "ink": "#eceef3",
    "muted": "#a5adbc",
    "grid": "#2b313d",
    "frame": "#69717f",
    "c1": "#6aa8ff",
    "c2": "#f0a32e",
    "c3": "#f2647a",
    "c4": "#2fd6a4",
    "c5": "#9a72ff",
    "c6": "#b4e8ff",
    "c7": "#ffa6dc",
    "c8": "#98a1b0",
}
SERIES: Final = tuple(f"c{i}" for i in range(1, 9))

_CIRCLE: Final = tuple((math.cos(k * math.pi / 12), math.sin(k * math.pi / 12)) for k in range(24))
_PLUS: Final = tuple(
    (x * cos - y * sin, x * sin + y * cos)
    for cos, sin in ((1.0, 0.0), (0.0, -1.0), (-1.0, 0.0), (0.0, 1.0))
    for x, y in ((-0.4, 1.2), (0.4, 1.2), (0.4, 0.4))
)
SHAPES: Final[tuple[tuple[tuple[float, float], ...], ...]] = (
    _CIRCLE,
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)),
    ((0.0, 1.3), (1.1, 0.0), (0.0, -1.3), (-1.1, 0.0)),
    ((0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
    _PLUS,
    ((1.2, 0.0), (-0.8, 1.1), (-0.8, -1.1)),
)
"""Outlines of the markers, y upwards, one unit from the centre; seven shapes and eight colours share no factor."""

STATES: Final = ("#20365f", "#f4dfb0", "#d9682f", "#5fb3b3", "#8a2d52", "#b9cf6a", "#7a7fc4", "#e9a6b4")
"""Colours of the states of a discrete field, well apart in lightness, the same in both themes."""

MISSING: Final = "#8c8c8c"


@dataclass(frozen=True)
class Style:
    """How one curve is drawn: colour role, outline of the marker, and whether the marker is hollow."""

    colour: str
    shape: int = 0
    hollow: bool = False


@dataclass(frozen=True)
class Key:
    """One entry of a legend; ``kind`` is the style of a curve or ``"state"`` for the colour of a picture's cell."""

    label: str
    kind: str
    style: Style


def assign(figure: Figure) -> dict[tuple[str, str, str], Style]:
    """Give each curve of a figure its colour and marker.

    Curves of one group (or, without a group, of one label) share a colour in all panels; labels of one group have
    different markers.

    Returns
    -------
    dict from :func:`identity` of a curve to its style
    """
    slots: dict[str, int] = {}
    labels: dict[str, list[str]] = {}
    styles: dict[tuple[str, str, str], Style] = {}
    for panel in figure.panels:
        for curve in panel.curves if isinstance(panel, Panel) else ():
            key = curve.group or curve.label
            slot = slots.setdefault(key, len(slots))
            members = labels.setdefault(key, [])
            if curve.style == "points" and curve.label not in members:
                members.append(curve.label)
            rank = members.index(curve.label) if curve.label in members else 0
            shape = (slot + 3 * (rank // 2)) % len(SHAPES)
            styles[identity(curve)] = Style(SERIES[slot % len(SERIES)], shape, hollow=rank % 2 == 1)
    return styles


def identity(curve: Curve) -> tuple[str, str, str]:
    """Return what makes two curves of different panels the same one for the reader."""
    return curve.label, curve.style, curve.group


def keys(panel: Panel, styles: Mapping[tuple[str, str, str], Style]) -> tuple[Key, ...]:
    """Legend of one panel; a curve without a label has no entry, labelled twice it has one."""
    entries = (Key(c.label, c.style, styles[identity(c)]) for c in panel.curves if c.label)
    return tuple(dict.fromkeys(entries))


def state_keys(pictures: tuple[Picture, ...]) -> tuple[Key, ...]:
    """Legend of the pictures of a figure: the states of a discrete field, or the ends of a continuous scale."""
    pictures = tuple(p for p in pictures if not is_photograph(p))
    values = [v for p in pictures for v in np.unique(_finite(p.values))]
    if not values:
        return ()
    low, high = float(min(values)), float(max(values))
    if is_discrete(pictures):
        present = sorted({int(v) for v in values} | ({-1, 1} if low < 0 else set()))
        names = [f"{v:+d}".replace("-", "\N{MINUS SIGN}") if low < 0 else str(v) for v in present]
        return tuple(Key(n, "state", Style(_state(v, low < 0))) for n, v in zip(names, present, strict=True))
    ends = _continuous(np.array([low, high]), low, high)
    names = [f"lowest {low:.3g}", f"highest {high:.3g}"]
    return tuple(Key(n, "state", Style(_hexadecimal(c))) for n, c in zip(names, ends, strict=True))


def is_photograph(picture: Picture) -> bool:
    """Whether a picture holds colours and not numbers: uint8 of shape (rows, columns, 3)."""
    return picture.values.dtype == np.uint8 and picture.values.ndim == 3 and picture.values.shape[2] == 3


def is_discrete(pictures: tuple[Picture, ...]) -> bool:
    """Whether all pictures hold the states of one discrete field: -1 and +1, or 0 ... q - 1 with q up to 8."""
    values = {float(v) for p in pictures for v in np.unique(_finite(p.values))}
    return values <= {-1.0, 1.0} or values <= {float(k) for k in range(len(STATES))}


def paint(picture: Picture, together: tuple[Picture, ...]) -> NDArray[np.uint8]:
    """Colours of the cells of a picture, shape ``(rows, columns, 3)``; all pictures of a figure share one scale."""
    values = np.asarray(picture.values, float)
    known = np.isfinite(values)
    pool = np.concatenate([_finite(p.values).ravel() for p in together] or [np.zeros(0)])
    low, high = (float(pool.min()), float(pool.max())) if pool.size else (0.0, 1.0)
    if is_discrete(together):
        cells = np.where(known, values, 0).astype(int)
        table: NDArray[np.uint8] = np.array([_rgb(colour) for colour in STATES], np.uint8)
        painted: NDArray[np.uint8] = table[(cells > 0).astype(int) if low < 0 else cells]
    else:
        painted = _continuous(np.where(known, values, low), low, high)
    painted[~known] = _rgb(MISSING)
    return painted


def _finite(values: NDArray[np.generic]) -> NDArray[np.float64]:
    array = np.asarray(values, float)
    return np.asarray(array[np.isfinite(array)], np.float64)


def _state(value: int, signed: bool) -> str:
    return STATES[int(value > 0)] if signed else STATES[value]


_RAMP: Final = ("#1d2a55", "#2f5d9b", "#4f9bb0", "#a9cfa4", "#f6ecc0")


def _continuous(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    """Interpolate a ramp of steadily growing lightness."""
    position = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    anchors = np.array([_rgb(colour) for colour in _RAMP], float)
    ticks = np.linspace(0.0, 1.0, len(anchors))
    channels = np.stack([np.interp(position, ticks, anchors[:, k]) for k in range(3)], axis=-1)
    return np.asarray(channels.round(), np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _hexadecimal(rgb: NDArray[np.uint8]) -> str:
    return "#" + "".join(f"{int(v):02x}" for v in rgb)
