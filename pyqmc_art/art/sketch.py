"""A sketch guides the brush: what lies where, how light it is, and which way the form runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.hands import draw_uniforms
from pyqmc_art.art.pigments import ROLES, turn_cosine, turn_sine
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]
Area = tuple[slice, slice]
Direction = tuple[Any, Any]


class Lots:
    """Numbers drawn one after the other from one stream, for the many small decisions of a motif."""

    def __init__(self, stream: Stream) -> None:
        self._numbers = draw_uniforms(stream, 2048)
        self._next = 0

    def __call__(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a uniform number in [low, high)."""
        number = float(self._numbers[self._next % len(self._numbers)])
        self._next += 1
        return low + (high - low) * number

    def choose(self, count: int) -> int:
        """Return a uniform integer below ``count``."""
        return int(self() * count)

    def sign(self) -> float:
        """Return 1 or -1."""
        return 1.0 if self() < 0.5 else -1.0


def soften(field: Floats, times: int = 1) -> Floats:
    """Blur a field by the binomial filter (1, 2, 1)/4 along both axes, edges repeated."""
    for _ in range(times):
        wide = np.concatenate((field[:, :1], field, field[:, -1:]), axis=1)
        field = 0.25 * (wide[:, :-2] + wide[:, 2:]) + 0.5 * field
        tall = np.concatenate((field[:1], field, field[-1:]), axis=0)
        field = 0.25 * (tall[:-2] + tall[2:]) + 0.5 * field
    return field


def smooth_noise(stream: Stream, x: Floats, y: Floats, cells: float) -> Floats:
    """Value noise in [-1, 1] on the grid y (rows,) times x (columns,), ``cells`` cells a unit length."""
    px, py = x * cells, y * cells
    cx, cy = np.floor(px).astype(np.int64), np.floor(py).astype(np.int64)
    columns = int(cx.max()) + 2
    rows = int(cy.max()) + 2
    table = 2.0 * draw_uniforms(stream, rows * columns).reshape(rows, columns) - 1.0
    fx, fy = px - cx, py - cy
    fx, fy = fx * fx * (3.0 - 2.0 * fx), (fy * fy * (3.0 - 2.0 * fy))[:, None]
    upper = table[cy][:, cx] * (1.0 - fx) + table[cy][:, cx + 1] * fx
    lower = table[cy + 1][:, cx] * (1.0 - fx) + table[cy + 1][:, cx + 1] * fx
    return np.asarray(upper * (1.0 - fy) + lower * fy)


class Sketch:
    """Guide maps on a coarse grid; coordinates are in units of the picture's shorter side, y downwards.

    Attributes
    ----------
    x, y : centres of the columns and rows
    wide, tall : the picture's extents; the smaller is 1
    role, tone, detail, label : what, lightness in [0, 1], wish for fine strokes, number of the shape
    cosine, sine : of twice the angle of the strokes (a direction has no sign)
    light : direction from which the light comes
    """

    def __init__(self, width: int, height: int, light: float, resolution: int = 224) -> None:
        short = min(width, height)
        self.wide, self.tall = width / short, height / short
        cell = max(self.wide, self.tall) / min(resolution, max(width, height))
        columns, rows = max(2, round(self.wide / cell)), max(2, round(self.tall / cell))
        self.x: Floats = (np.arange(columns, dtype=np.float64) + 0.5) * (self.wide / columns)
        self.y: Floats = (np.arange(rows, dtype=np.float64) + 0.5) * (self.tall / rows)
        self.light = light
        self.role = np.zeros((rows, columns), np.int8)
        self.tone = np.full((rows, columns), 0.5)
        self.detail = np.zeros((rows, columns))
        self.label = np.zeros((rows, columns), np.int32)
        self.cosine = np.ones((rows, columns))
        self.sine = np.zeros((rows, columns))

    def window(self, left: float, top: float, right: float, bottom: float) -> tuple[Area, Floats, Floats]:
        """Return the part of the grid that covers a rectangle, with its x (columns,) and y (rows, 1)."""
        columns = slice(int(np.searchsorted(self.x, left)), int(np.searchsorted(self.x, right)))
        rows = slice(int(np.searchsorted(self.y, top)), int(np.searchsorted(self.y, bottom)))
        return (rows, columns), self.x[columns], self.y[rows, None]

    def fill(
        self,
        area: Area,
        inside: Any,
        role: str,
        tone: Any,
        flow: Direction | None = None,
        detail: float = 0.0,
    ) -> None:
        """Paint the cells of an area that are inside; without a flow the directions below stay."""
        inside = np.broadcast_to(inside, self.role[area].shape)
        np.copyto(self.role[area], np.int8(ROLES.index(role)), where=inside)
        np.copyto(self.tone[area], tone, where=inside)
        np.copyto(self.detail[area], detail, where=inside)
        np.copyto(self.label[area], self.label.max() + 1, where=inside)
        if flow is not None:
            dx, dy = np.asarray(flow[0], np.float64), np.asarray(flow[1], np.float64)
            norm = dx * dx + dy * dy + 1e-12
            np.copyto(self.cosine[area], (dx * dx - dy * dy) / norm, where=inside)
            np.copyto(self.sine[area], 2.0 * dx * dy / norm, where=inside)

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        role: str,
        tone: float,
        *,
        shade: float = 0.25,
        flow: str | Direction = "around",
        detail: float = 0.5,
        lean: float = 0.0,
        wavy: float = 0.0,
        taper: float = 0.0,
    ) -> None:
        """Paint a rounded body, lit from the light's side.

        ``lean`` shears it, ``wavy`` frays its rim and dapples it, ``taper`` narrows its upper end.
        """
        (cx, cy), (rx, ry) = centre, radii
        reach = rx * (1.0 + wavy) + abs(lean) * ry
        area, x, y = self.window(cx - reach, cy - ry * (1 + wavy), cx + reach, cy + ry * (1 + wavy))
        v = (y - cy) / ry
        u = (x - cx - lean * (y - cy)) / (rx * (1.0 + taper * np.minimum(v, 0.6)))
        rim = u * u + v * v
        dapple: Any = 0.0
        if wavy:
            fray = turn_sine(3.1 * v + 0.7 * u + cx) * (0.6 + 0.4 * turn_sine(7.3 * v + cy))
            rim = rim * (1.0 - wavy * (1.0 - 0.8 * v * v) * fray)
            dapple = 0.45 * wavy * turn_sine(2.2 * v + 0.9 * u + 9.0 * cx) * turn_sine(1.7 * u - 0.8 * v + 7.0 * cy)
        lit = tone + shade * (u * self.light * 0.75 - v * 0.65) * (0.4 + 0.6 * rim) + dapple
        if flow == "around":
            flow = (-v * rx, u * ry)
        elif flow == "radial":
            flow = (u * rx + 0.0 * v, v * ry + 0.0 * u)
        self.fill(area, rim < 1.0, role, lit, flow if not isinstance(flow, str) else None, detail)

    def polygon(
        self,
        corners: list[tuple[float, float]],
        role: str,
        tone: Any,
        flow: Direction | None = None,
        detail: float = 0.5,
    ) -> None:
        """Paint a convex polygon."""
        xs, ys = [c[0] for c in corners], [c[1] for c in corners]
        area, x, y = self.window(min(xs), min(ys), max(xs), max(ys))
        inside: Any = True
        turn = 0.0
        for k, (x0, y0) in enumerate(corners):
            x1, y1 = corners[(k + 1) % len(corners)]
            turn += x0 * y1 - x1 * y0
        for k, (x0, y0) in enumerate(corners):
            x1, y1 = corners[(k + 1) % len(corners)]
            side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
            inside = inside & (side * (1.0 if turn > 0 else -1.0) >= 0.0)
        self.fill(area, inside, role, tone, flow, detail)

    def below(self, ridge: Floats, role: str, tone: Any, flow: Direction | None = None, detail: float = 0.1) -> None:
        """Paint everything below a ridge, y of each column."""
        everything = (slice(None), slice(None))
        self.fill(everything, self.y[:, None] >= ridge[None, :], role, tone, flow, detail)

    def ridge(self, stream: Stream, level: float, relief: float, cells: float = 3.0) -> Floats:
        """Return a wandering line around a level, y of each column."""
        line = smooth_noise(stream, self.x, np.zeros(1), cells)[0]
        fine = smooth_noise(stream.fold("fine"), self.x, np.zeros(1), 3.7 * cells)[0]
        return np.asarray(level + relief * (line + 0.3 * fine))

    def curl(self, lots: Lots, centres: int, box: tuple[float, float, float, float]) -> tuple[Floats, Floats, Floats]:
        """Return a field of directions that streams to the side around vortices, and its ripples in [-1, 1]."""
        x, y = self.x[None, :], self.y[:, None]
        phase, tilt = lots(), lots(-0.25, 0.25)
        dx = np.ones((len(self.y), len(self.x)))
        dy = tilt + 0.45 * turn_sine(0.9 * x + 0.8 * y + phase)
        ripple = 0.5 * turn_sine(5.0 * (y - 0.45 * tilt * x) + 0.35 * turn_sine(1.3 * x + phase))
        for _ in range(centres):
            cx, cy = lots(box[0], box[2]), lots(box[1], box[3])
            size, spin = lots(0.10, 0.24), lots.sign()
            u, v = (x - cx) / size, (y - cy) / size
            away = u * u + v * v
            fall = 1.0 / (1.0 + away * away * 0.3)
            weight = 7.0 * spin * fall
            dx, dy = dx + weight * -(v + 0.25 * u * spin), dy + weight * (u - 0.25 * v * spin)
            rings = turn_sine(1.15 * np.sqrt(away) + 0.1 * lots())
            ripple = ripple * (1.0 - fall) + rings * fall
        return dx, dy, ripple

    def light_disc(self, centre: tuple[float, float], radius: float, role: str, tone: float) -> None:
        """Paint a sun, moon or star: a disc in rings of fading light; the directions run around it."""
        (cx, cy) = centre
        reach = 4.0 * radius
        area, x, y = self.window(cx - reach, cy - reach, cx + reach, cy + reach)
        u, v = (x - cx) / radius, (y - cy) / radius
        away = u * u + v * v
        glow = np.clip(1.0 - (away - 1.0) / 15.0, 0.0, 1.0)
        rings = 0.5 + 0.5 * turn_cosine(0.8 * np.sqrt(away))
        shown = self.tone[area] + glow * (0.15 + 0.4 * rings) * (tone - self.tone[area])
        self.fill(area, away < 16.0, "sky", shown, (-v + 0.0 * u, u + 0.0 * v), 0.5)
        halo = (away < 8.0) & (rings > 0.72) & (away > 1.0)
        np.copyto(self.role[area], np.int8(ROLES.index("ground")), where=halo)
        self.fill(area, away < 1.0, role, tone, (-v + 0.0 * u, u + 0.0 * v), 0.8)

    def guide_directions(self, lab: Floats, swirl: float, slant: float) -> Floats:
        """Return the strokes' unit directions, shape (rows, columns, 2).

        Along the contours of lightness the brush follows the contour (weighted by its strength); ``swirl`` sharpens
        or weakens the bends of the form against the horizontal; ``slant`` pulls towards the diagonal.
        """
        level = soften(lab[..., 0], 2)
        gx, gy = np.zeros_like(level), np.zeros_like(level)
        gx[:, 1:-1] = level[:, 2:] - level[:, :-2]
        gy[1:-1] = level[2:] - level[:-2]
        tensor = soften(gy * gy - gx * gx, 3), soften(-2.0 * gx * gy, 3)
        edge = np.sqrt(tensor[0] * tensor[0] + tensor[1] * tensor[1]) + 1e-12
        pull = edge / (edge + 0.004)
        cosine = self.cosine * swirl + (1.0 - swirl) * 0.35
        sine = self.sine * swirl
        cosine = soften(cosine, 1) * (1.0 - pull) + 1.2 * pull * tensor[0] / edge
        sine = soften(sine, 1) * (1.0 - pull) + 1.2 * pull * tensor[1] / edge - slant
        norm = np.sqrt(cosine * cosine + sine * sine) + 1e-9
        cosine, sine = cosine / norm, sine / norm
        along = np.sqrt(np.maximum(0.5 * (1.0 + cosine), 0.0))
        across = np.sqrt(np.maximum(0.5 * (1.0 - cosine), 0.0)) * np.where(sine < 0.0, -1.0, 1.0)
        return np.stack((along, across), axis=-1)
