"""The things that scenes are made of: skies, fields, trees, houses, boats, flowers."""

from __future__ import annotations

from typing import Final

import numpy as np

from pyqmc_art.art.pigments import turn_sine
from pyqmc_art.art.sketch import Lots, Sketch, smooth_noise
from pyqmc_art.rng import Stream

EVERYWHERE: Final = (slice(None), slice(None))
"""The whole grid of a sketch."""


def lay_sky(s: Sketch, lots: Lots, stream: Stream, horizon: float, centres: int) -> None:
    """Paint a sky that streams around vortices; everything later covers its lower part."""
    dx, dy, ripple = s.curl(lots, centres, (0.0, 0.0, s.wide, horizon))
    clouds = smooth_noise(stream.fold("clouds"), s.x * 0.6, s.y, 3.5)
    base = lots(0.42, 0.60)
    tone = base + 0.25 * (s.y[:, None] / max(horizon, 0.1)) + 0.17 * ripple + 0.16 * clouds
    s.fill(EVERYWHERE, True, "sky", np.clip(tone, 0.05, 0.98), (dx, dy), 0.15)


def lay_lights(s: Sketch, lots: Lots, horizon: float, stars: int) -> None:
    """Set stars, and a sun or moon."""
    for _ in range(stars):
        s.light_disc((lots(0.05, 0.95) * s.wide, lots(0.06, 0.75) * horizon), lots(0.012, 0.022), "accent", 0.95)
    s.light_disc((lots(0.12, 0.88) * s.wide, lots(0.2, 0.55) * horizon), lots(0.035, 0.06), "accent", 0.97)


def lay_furrows(s: Sketch, lots: Lots, stream: Stream, horizon: float) -> None:
    """Paint fields whose furrows run to one point on the horizon."""
    x0, y0 = lots(0.1, 0.9) * s.wide, horizon - 0.06
    x, y = s.x[None, :], s.y[:, None]
    depth = np.maximum(y - y0, 0.02)
    ray = (x - x0) / depth
    furrow = turn_sine(ray * lots(1.2, 2.4) + lots())
    patches = smooth_noise(stream.fold("patches"), s.x * 0.7, s.y * 1.6, 3.0)
    tone = 0.58 + 0.17 * furrow + 0.2 * patches + 0.12 * (1.0 - depth)
    ridge = s.ridge(stream.fold("field"), horizon, 0.012)
    s.below(ridge, "ground", np.clip(tone, 0.05, 0.98), (x - x0, depth), 0.25)
    crop = (patches > 0.12) & (y >= ridge[None, :]) & (furrow < 0.75)
    s.fill(EVERYWHERE, crop, "leaf", np.clip(tone + 0.12, 0.0, 1.0), (x - x0 + 0.2, depth), 0.3)
    for _ in range(30 + lots.choose(40)):
        far = lots() * lots()
        cy = s.tall - 0.02 - far * (s.tall - horizon - 0.06)
        size = 0.004 + 0.014 * (1.0 - far)
        s.ellipse((lots() * s.wide, cy), (size, size * 0.8), "accent", lots(0.5, 0.95), shade=0.2, detail=0.9)


def plant_cypress(s: Sketch, lots: Lots, x: float, foot: float, tall: float) -> None:
    """Plant a flame of a tree, in three tones."""
    wide = tall * lots(0.12, 0.17)
    for k, tone in enumerate((0.14, 0.30, 0.50)):
        share = 1.0 - 0.24 * k
        cx = x + s.light * 0.22 * wide * k
        bend = turn_sine(np.array(lots()))
        s.ellipse(
            (cx, foot - 0.5 * tall), (wide * share, 0.52 * tall * share), "leaf", tone, shade=0.18,
            flow=(0.25 * float(bend) + 0.15 * s.light, 1.0), detail=0.6, lean=lots(-0.06, 0.06), wavy=0.35, taper=0.6,
        )  # fmt: skip


def plant_tree(s: Sketch, lots: Lots, x: float, foot: float, tall: float, role: str) -> None:
    """Plant a tree with branches and a crown of many bodies."""
    thick = 0.045 * tall
    lean = lots(-0.12, 0.12) * tall
    s.polygon(
        [(x - thick, foot), (x + thick, foot), (x + lean + 0.5 * thick, foot - 0.6 * tall),
         (x + lean - 0.5 * thick, foot - 0.6 * tall)], "earth", 0.35, (lean, -0.6 * tall), 0.8,
    )  # fmt: skip
    for _ in range(4):
        bx, by = x + lean + lots(-0.3, 0.3) * tall, foot - lots(0.68, 0.9) * tall
        s.polygon(
            [(x + 0.75 * lean - 0.3 * thick, foot - 0.42 * tall), (x + 0.75 * lean + 0.3 * thick, foot - 0.42 * tall),
             (bx + 0.2 * thick, by), (bx - 0.2 * thick, by)], "earth", 0.3, (bx - x, by - foot + 0.42 * tall), 0.9,
        )  # fmt: skip
    for k in range(9 + lots.choose(5)):
        size = tall * lots(0.09, 0.17)
        centre = (x + lean + lots(-0.32, 0.32) * tall, foot - tall * lots(0.58, 0.98))
        tone = (0.30 if role == "leaf" else 0.5) + 0.05 * k * (0.7 if role == "leaf" else 0.6)
        s.ellipse(centre, (size, size * lots(0.6, 0.9)), role, min(tone, 0.85), shade=0.3, detail=0.6, wavy=0.3)


def build_house(s: Sketch, lots: Lots, x: float, foot: float, wide: float) -> None:
    """Build a house of two walls, a roof, a chimney, windows and a door."""
    tall, roof = wide * lots(0.55, 0.95), wide * lots(0.35, 0.6)
    left, right = x - 0.5 * wide, x + 0.5 * wide
    split = left + (0.34 if s.light > 0 else 0.66) * wide
    bright, dim = (0.85, 0.5) if s.light > 0 else (0.5, 0.85)
    top = foot - tall
    s.polygon([(left, foot), (split, foot), (split, top), (left, top)], "wall", dim, (0.1, 1.0), 0.6)
    s.polygon([(split, foot), (right, foot), (right, top), (split, top)], "wall", bright, (1.0, 0.05), 0.6)
    role = ("accent", "earth", "water")[lots.choose(3)]
    over = 0.06 * wide
    s.polygon(
        [(left - over, top + over), (right + over, top + over), (right - 0.16 * wide, top - roof),
         (left + 0.16 * wide, top - roof)], role, lots(0.4, 0.7), (0.25 * s.light, 1.0), 0.7,
    )  # fmt: skip
    cx = left + lots(0.2, 0.8) * wide
    s.polygon([(cx, top - 0.5 * roof), (cx + 0.1 * wide, top - 0.5 * roof), (cx + 0.1 * wide, top - 1.25 * roof),
               (cx, top - 1.25 * roof)], "wall", 0.4, (0.0, 1.0), 0.8)  # fmt: skip
    for k in range(2 + lots.choose(2)):
        wx, wy = left + wide * (0.12 + 0.3 * k), top + 0.25 * tall
        s.polygon([(wx, wy), (wx + 0.13 * wide, wy), (wx + 0.13 * wide, wy + 0.28 * tall), (wx, wy + 0.28 * tall)],
                  "water", 0.12, (0.0, 1.0), 0.9)  # fmt: skip
    dx = left + lots(0.5, 0.8) * wide
    s.polygon([(dx, foot), (dx + 0.14 * wide, foot), (dx + 0.14 * wide, foot - 0.5 * tall), (dx, foot - 0.5 * tall)],
              "leaf", 0.3, (0.0, 1.0), 0.9)  # fmt: skip


def float_boat(s: Sketch, lots: Lots, x: float, y: float, wide: float) -> None:
    """Float a boat over its reflection, with a mast and perhaps a sail."""
    role = ("accent", "earth", "leaf", "water")[lots.choose(4)]
    tone = lots(0.3, 0.65)
    deep = 0.17 * wide
    for k in range(5):
        half = wide * (0.42 - 0.05 * k)
        s.ellipse((x + lots(-0.05, 0.05) * wide, y + deep * (1.3 + 0.75 * k)), (half, 0.22 * deep), role, 0.8 * tone,
                  shade=0.1, flow=(1.0, 0.0), detail=0.5)  # fmt: skip
    s.polygon([(x - 0.5 * wide, y), (x + 0.5 * wide, y), (x + 0.36 * wide, y + deep), (x - 0.38 * wide, y + deep)],
              role, tone, (1.0, 0.08), 0.8)  # fmt: skip
    s.polygon([(x - 0.5 * wide, y), (x + 0.5 * wide, y), (x + 0.47 * wide, y + 0.25 * deep),
               (x - 0.47 * wide, y + 0.25 * deep)], "wall", 0.85, (1.0, 0.0), 0.9)  # fmt: skip
    tall, thick = wide * lots(0.8, 1.2), max(0.012 * wide, 0.003)
    s.polygon(
        [(x - thick, y), (x + thick, y), (x + thick, y - tall), (x - thick, y - tall)], "earth", 0.2, (0.0, 1.0), 1.0
    )
    if lots() < 0.7:
        way = s.light
        s.polygon([(x + 2 * thick * way, y - 0.1 * tall), (x + 0.42 * wide * way, y - 0.14 * tall),
                   (x + 2 * thick * way, y - 0.95 * tall)], ("wall", "accent")[lots.choose(2)], 0.85,
                  (0.2 * way, 1.0), 0.7)  # fmt: skip


def open_flower(s: Sketch, lots: Lots, centre: tuple[float, float], size: float, role: str) -> None:
    """Open a flower of two rings of petals."""
    tone = lots(0.6, 0.85)
    s.ellipse(centre, (size, size * lots(0.75, 1.0)), role, tone, shade=0.3, flow="radial", detail=0.9, wavy=0.35)
    s.ellipse(centre, (0.62 * size, 0.55 * size), role, tone + 0.12, shade=0.2, flow="around", detail=0.9, wavy=0.3)
    s.ellipse(centre, (0.33 * size, 0.30 * size), "earth", 0.4, shade=0.4, flow="around", detail=1.0)
