"""Scenes: each lays out one kind of motif on a sketch, from what it draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from pyqmc_art.art.pigments import turn_sine
from pyqmc_art.art.props import (
    EVERYWHERE,
    build_house,
    float_boat,
    lay_furrows,
    lay_lights,
    lay_sky,
    open_flower,
    plant_cypress,
    plant_tree,
)
from pyqmc_art.art.sketch import Lots, Sketch, smooth_noise
from pyqmc_art.rng import Stream


def lay_fields(s: Sketch, lots: Lots, stream: Stream) -> None:
    """Paint wheat fields before hills, with cypresses."""
    horizon = lots(0.42, 0.62) * s.tall
    lay_sky(s, lots, stream, horizon, 2 + lots.choose(4))
    if lots() < 0.6:
        lay_lights(s, lots, horizon, lots.choose(8))
    for k in range(2):
        ridge = s.ridge(stream.fold("hills", k), horizon - 0.07 + 0.045 * k, 0.05)
        slope = np.gradient(ridge, s.x)
        s.below(ridge, ("water", "leaf")[k], 0.40 + 0.1 * k + 0.0 * s.y[:, None], (1.0, slope[None, :] * 1.5), 0.2)
    lay_furrows(s, lots, stream, horizon)
    if lots() < 0.4:
        build_house(s, lots, lots(0.2, 0.8) * s.wide, horizon + 0.03, lots(0.08, 0.13))
    for k in range(1 + lots.choose(2)):
        plant_cypress(s, lots, (0.15 + 0.6 * lots()) * s.wide + 0.06 * k, lots(0.78, 1.02) * s.tall, lots(0.55, 0.85))


def lay_orchard(s: Sketch, lots: Lots, stream: Stream) -> None:
    """Paint rows of trees in a field."""
    horizon = lots(0.45, 0.6) * s.tall
    lay_sky(s, lots, stream, horizon, lots.choose(3))
    ridge = s.ridge(stream.fold("wood"), horizon - 0.05, 0.035, 6.0)
    s.below(ridge, "leaf", 0.38 + 0.1 * smooth_noise(stream.fold("thicket"), s.x, s.y, 12.0), (0.3, 1.0), 0.3)
    lay_furrows(s, lots, stream, horizon)
    role = ("leaf", "leaf", "accent", "wall")[lots.choose(4)]
    for k in range(3 + lots.choose(4)):
        near = 0.15 + 0.28 * k * lots(0.7, 1.0)
        foot = horizon + min(near, 0.9) * (s.tall - horizon)
        plant_tree(s, lots, lots(0.05, 0.95) * s.wide, foot, 0.22 + 0.42 * min(near, 1.0), role)


def lay_village(s: Sketch, lots: Lots, stream: Stream) -> None:
    """Paint houses along a path."""
    horizon = lots(0.38, 0.52) * s.tall
    lay_sky(s, lots, stream, horizon, 1 + lots.choose(3))
    if lots() < 0.5:
        lay_lights(s, lots, horizon, lots.choose(5))
    ridge = s.ridge(stream.fold("hill"), horizon - 0.06, 0.06)
    s.below(ridge, "water", 0.45, (1.0, np.gradient(ridge, s.x)[None, :] * 1.5), 0.2)
    lay_furrows(s, lots, stream, horizon)
    cx, sway = lots(0.3, 0.7) * s.wide, lots(-0.5, 0.5)
    x, y = s.x[None, :], s.y[:, None]
    depth = (y - horizon) / (s.tall - horizon)
    middle = cx + sway * depth * (1.0 - 0.5 * depth) + 0.05 * turn_sine(depth)
    path = (y > horizon) & (np.abs(x - middle) < 0.02 + 0.13 * depth)
    s.fill(EVERYWHERE, path, "wall", np.broadcast_to(0.72 + 0.15 * turn_sine(3.0 * depth + x), path.shape),
           (sway * (1.0 - depth) + 0.0 * x, 1.0), 0.3)  # fmt: skip
    for k in range(4 + lots.choose(3)):
        depth_k = 0.08 + 0.14 * k
        foot = horizon + depth_k * (s.tall - horizon)
        place = (k * 0.37 + lots(0.0, 0.25)) % 1.0
        if lots() < 0.7:
            build_house(s, lots, place * s.wide, foot, 0.14 + 0.24 * depth_k)
        else:
            plant_tree(s, lots, place * s.wide, foot, 0.2 + 0.35 * depth_k, "leaf")
    if lots() < 0.5:
        plant_cypress(s, lots, lots(0.05, 0.95) * s.wide, 0.95 * s.tall, lots(0.5, 0.75))


def lay_harbour(s: Sketch, lots: Lots, stream: Stream) -> None:
    """Paint boats before a coast."""
    horizon = lots(0.36, 0.5) * s.tall
    lay_sky(s, lots, stream, horizon, 1 + lots.choose(3))
    sun, up = lots(0.15, 0.85) * s.wide, lots(0.25, 0.7) * horizon
    shines = lots() < 0.6
    if shines:
        s.light_disc((sun, up), lots(0.03, 0.055), "accent", 0.96)
    town = s.ridge(stream.fold("coast"), horizon - 0.03, 0.025, 5.0)
    s.below(town, "leaf", 0.35, (1.0, 0.1), 0.3)
    for _ in range(6 + lots.choose(6)):
        build_house(s, lots, lots() * s.wide, horizon + 0.005, lots(0.04, 0.08))
    x, y = s.x[None, :], s.y[:, None]
    waves = turn_sine(
        7.0 * np.sqrt(np.maximum(y - horizon, 0.0)) * 3.0 + 0.6 * smooth_noise(stream.fold("sea"), s.x, s.y, 4.0)
    )
    tone = 0.52 + 0.16 * waves - 0.15 * (y - horizon)
    level = np.full(len(s.x), horizon)
    s.below(level, "water", np.clip(tone, 0.0, 1.0), (1.0, 0.18 * waves), 0.3)
    glitter = shines & (y > horizon) & (np.abs(x - sun) < 0.025 + 0.09 * (y - horizon) * (1.2 + waves)) & (waves > -0.2)
    s.fill(EVERYWHERE, glitter, "accent", np.broadcast_to(0.85 + 0.0 * waves, glitter.shape), (1.0, 0.0 * waves), 0.6)
    for k in range(2 + lots.choose(4)):
        near = min(1.0, 0.12 + 0.22 * k + 0.1 * lots())
        float_boat(s, lots, lots(0.1, 0.9) * s.wide, horizon + near * 0.85 * (s.tall - horizon), 0.08 + 0.2 * near)


def lay_still_life(s: Sketch, lots: Lots, stream: Stream) -> None:
    """Paint flowers in a vase, and fruit."""
    weave = smooth_noise(stream.fold("wall"), s.x, s.y, 5.0)
    role = ("sky", "water", "ground", "leaf")[lots.choose(4)]
    tone = lots(0.55, 0.78) + 0.12 * weave + 0.08 * s.light * (s.x[None, :] - 0.5)
    s.fill(EVERYWHERE, True, role, np.clip(tone, 0.05, 0.98), (1.0 + 0.0 * weave, 2.2 * weave + 0.2), 0.1)
    edge = lots(0.62, 0.74) * s.tall
    board = ("earth", "ground", "wall")[lots.choose(3)]
    grain = smooth_noise(stream.fold("table"), s.x * 0.4, s.y * 3.0, 4.0)
    s.below(np.full(len(s.x), edge), board, np.clip(0.66 + 0.2 * grain, 0.0, 1.0), (1.0, 0.12 * grain), 0.2)
    x = lots(0.38, 0.62) * s.wide
    size = lots(0.13, 0.17)
    foot = edge + lots(0.10, 0.16)
    s.ellipse((x - s.light * 0.14, foot), (0.22, 0.035), board, 0.22, shade=0.05, flow=(1.0, 0.0), detail=0.2)
    glaze = ("water", "wall", "accent", "sky")[lots.choose(4)]
    s.ellipse((x, foot - 0.95 * size), (size, size), glaze, 0.55, shade=0.42, detail=0.6)
    neck = foot - 1.75 * size
    s.polygon([(x - 0.5 * size, neck + 0.2), (x + 0.5 * size, neck + 0.2),
               (x + 0.6 * size, neck), (x - 0.6 * size, neck)],
              glaze, 0.55, (0.1, 1.0), 0.6)  # fmt: skip
    s.ellipse((x + s.light * 0.4 * size, foot - 1.2 * size), (0.1 * size, 0.3 * size), "wall", 0.97, detail=0.9)
    reach = neck - lots(0.10, 0.16)
    for _ in range(16):
        lx, ly = x + lots(-0.3, 0.3), reach + lots(-0.22, 0.16)
        s.ellipse(
            (lx, ly), (0.07, 0.025), "leaf", lots(0.25, 0.7), shade=0.2, flow=(lx - x, ly - neck), lean=lots(-1.5, 1.5)
        )
        s.polygon(
            [(x - 0.006, neck), (x + 0.006, neck), (lx + 0.004, ly), (lx - 0.004, ly)],
            "leaf",
            0.35,
            (lx - x, ly - neck),
            0.9,
        )
    for _ in range(9 + lots.choose(7)):
        centre = (x + lots(-0.27, 0.27), reach + lots(-0.25, 0.13))
        open_flower(s, lots, centre, lots(0.035, 0.07), ("accent", "ground", "wall", "accent")[lots.choose(4)])
    for _ in range(2 + lots.choose(5)):
        r = lots(0.035, 0.06)
        fx, fy = x + lots.sign() * lots(0.2, 0.42), foot + lots(-0.02, 0.1)
        s.ellipse((fx - s.light * 0.6 * r, fy + 0.7 * r), (1.3 * r, 0.35 * r), board, 0.25, shade=0.0, flow=(1.0, 0.0))
        s.ellipse((fx, fy), (r, 0.92 * r), ("accent", "ground", "leaf")[lots.choose(3)], 0.6, shade=0.5, detail=0.7)


def lay_portrait(s: Sketch, lots: Lots, stream: Stream) -> None:
    """Paint a head and shoulders before a swirling ground."""
    dx, dy, ripple = s.curl(lots, 3 + lots.choose(3), (0.0, 0.0, s.wide, s.tall))
    role = ("water", "sky", "leaf", "ground")[lots.choose(4)]
    s.fill(EVERYWHERE, True, role, np.clip(lots(0.5, 0.68) + 0.17 * ripple, 0.0, 1.0), (dx, dy), 0.15)
    x, y = 0.5 * s.wide + lots(-0.06, 0.06), lots(0.40, 0.46) * s.tall
    w, h = lots(0.155, 0.18), lots(0.215, 0.245)
    coat = ("sky", "leaf", "earth", "water")[lots.choose(4)]
    s.ellipse((x, s.tall + 0.05), (0.44, s.tall - y - 0.16), coat, 0.34, shade=0.4, detail=0.4)
    for way in (-1.0, 1.0):
        lapel = [(x, y + h + 0.10), (x + way * 0.15, y + h + 0.02), (x + way * 0.20, y + h + 0.11), (x, s.tall)]
        s.polygon(lapel, coat, 0.38 if way == s.light else 0.22,
                  (way * 0.6, 1.0), 0.5)  # fmt: skip
    s.polygon(
        [(x - 0.08, y + 0.1), (x + 0.08, y + 0.1), (x + 0.10, y + h + 0.09), (x - 0.10, y + h + 0.09)],
        "skin",
        0.4,
        (0.2, 1.0),
        0.5,
    )
    hair = ("earth", "accent", "ground", "earth")[lots.choose(4)]
    beard = lots() < 0.5
    s.ellipse((x, y - 0.05), (w * 1.14, h * 0.98), hair, 0.35, shade=0.3, detail=0.6, wavy=0.15)
    s.ellipse((x, y + 0.015), (w, h), "skin", 0.62, shade=0.42, detail=0.6)
    for way in (-1.0, 1.0):
        bright = 0.10 * way * s.light
        s.ellipse(
            (x + way * 0.52 * w, y + 0.36 * h),
            (0.26 * w, 0.2 * h),
            "skin",
            0.66 + bright,
            shade=0.2,
            flow=(0.4 * way, 1.0),
            detail=0.3,
        )
        s.ellipse(
            (x + way * 0.45 * w, y - 0.06 * h),
            (0.27 * w, 0.12 * h),
            "skin",
            0.32,
            shade=0.1,
            flow=(1.0, 0.1 * way),
            detail=0.9,
        )
        s.ellipse(
            (x + way * 0.45 * w, y - 0.05 * h),
            (0.18 * w, 0.065 * h),
            "wall",
            0.9,
            shade=0.1,
            flow=(1.0, 0.0),
            detail=1.0,
        )
        s.ellipse((x + way * 0.45 * w, y - 0.05 * h), (0.075 * w, 0.07 * h), "water", 0.1, shade=0.0, detail=1.0)
        s.ellipse(
            (x + way * 0.45 * w, y - 0.22 * h),
            (0.28 * w, 0.045 * h),
            hair,
            0.2,
            shade=0.0,
            flow=(1.0, 0.15 * way),
            detail=1.0,
        )
    s.polygon([(x - 0.05 * w, y - 0.1 * h), (x + 0.07 * w, y - 0.1 * h), (x + 0.17 * w, y + 0.32 * h),
               (x - 0.17 * w, y + 0.32 * h)], "skin",
              0.78, (0.12, 1.0), 0.8)  # fmt: skip
    s.polygon([(x - s.light * 0.05 * w, y - 0.05 * h), (x - s.light * 0.2 * w, y + 0.33 * h),
               (x - s.light * 0.06 * w, y + 0.34 * h)], "skin",
              0.3, (0.2, 1.0), 0.9)  # fmt: skip
    if beard:
        s.ellipse((x, y + 0.78 * h), (0.72 * w, 0.42 * h), hair, 0.42, shade=0.35, flow="radial", detail=0.8, wavy=0.3)
        s.ellipse((x, y + 0.47 * h), (0.42 * w, 0.10 * h), hair, 0.36, shade=0.1, flow=(1.0, 0.2), detail=0.9)
    s.ellipse((x, y + 0.59 * h), (0.27 * w, 0.06 * h), "accent", 0.4, shade=0.3, flow=(1.0, 0.0), detail=1.0)
    s.ellipse(
        (x, y - 0.78 * h),
        (0.95 * w, 0.36 * h),
        hair,
        0.42,
        shade=0.35,
        flow=(1.0, -0.3 * s.light),
        detail=0.7,
        wavy=0.25,
    )
    if lots() < 0.4:
        hat = ("ground", "water", "earth")[lots.choose(3)]
        s.ellipse((x, y - 0.62 * h), (1.75 * w, 0.17 * h), hat, 0.62, shade=0.35, flow=(1.0, 0.0), detail=0.6)
        s.ellipse((x, y - 0.92 * h), (0.92 * w, 0.38 * h), hat, 0.7, shade=0.35, detail=0.6)


SCENES: Final[dict[str, Callable[[Sketch, Lots, Stream], None]]] = {
    "fields": lay_fields,
    "orchard": lay_orchard,
    "village": lay_village,
    "harbour": lay_harbour,
    "still life": lay_still_life,
    "portrait": lay_portrait,
}
"""Kind of motif -> the function that lays it out."""
