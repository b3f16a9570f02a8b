"""Brush strokes on a canvas: the loops of the procedural painter, in plain Python or the same loops under Numba.

Every function here runs unchanged in the interpreter and in Numba's nopython mode. Only additions, products, quotients,
square roots and truncations of float64 occur, which IEEE 754 rounds in one way: both backends write the same bytes.

A canvas is float32, shape (height, width, 4): red, green, blue in [0, 1] and the height of the paint. A stroke is a
parabola arc; row i of ``arcs`` holds the middle of its chord x, y (pixels), the unit vector along the chord, half the
chord (pixels) and the sagitta, the distance from the chord's middle to the arc (pixels, signed).
"""

from __future__ import annotations

import importlib
import math
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from pyqmc_art.backends import list_available, resolve
from pyqmc_art.errors import InputError

Array = Any  # float32, float64 or int64 arrays as named in each docstring; scalars of them inside the loops


def clamped(value: float, low: float, high: float) -> float:
    """Return the value inside [low, high]."""
    if value < low:
        return low
    if value > high:
        return high
    return value


def grained(table: Array, offset: int, place: float) -> float:
    """Value noise in [0, 1): linear between table entries, at a place >= 0; the table's length is a power of two."""
    cell = int(place)
    part = place - cell
    mask = table.shape[0] - 1
    return float(table[(offset + cell) & mask] * (1.0 - part) + table[(offset + cell + 1) & mask] * part)


def walk(lab: Array, flow: Array, start: Array, heading: Array, step: float, scale: Array, limit: float) -> Any:
    """Follow the field four steps from a start; return the end, the last heading and the steps made.

    ``heading`` holds a direction (x, y) that fixes the sign, and the cosine and sine of the stroke's own deviation.
    The walk ends where the guide's colour departs from the start's by more than ``limit``.
    """
    rows, columns = flow.shape[0], flow.shape[1]
    px, py = start[0], start[1]
    hx, hy = heading[0], heading[1]
    column = int(clamped(px * scale[0], 0.0, columns - 1.0))
    row = int(clamped(py * scale[1], 0.0, rows - 1.0))
    l0, a0, b0 = lab[row, column, 0], lab[row, column, 1], lab[row, column, 2]
    made = 0
    for _ in range(4):
        qx, qy = px + step * hx, py + step * hy
        column = int(clamped(qx * scale[0], 0.0, columns - 1.0))
        row = int(clamped(qy * scale[1], 0.0, rows - 1.0))
        dl, da, db = lab[row, column, 0] - l0, lab[row, column, 1] - a0, lab[row, column, 2] - b0
        if dl * dl + 4.0 * (da * da + db * db) > limit * limit:
            break
        px, py = qx, qy
        made += 1
        cosine, sine = flow[row, column, 0], flow[row, column, 1]
        fx = cosine * heading[2] - sine * heading[3]
        fy = sine * heading[2] + cosine * heading[3]
        if fx * hx + fy * hy < 0.0:
            fx, fy = -fx, -fy
        hx, hy = fx, fy
    return px, py, made


def trace_strokes(
    lab: Array, flow: Array, seeds: Array, lengths: Array, scale: Array, limit: float, bend: float, arcs: Array
) -> None:
    """Turn seeds into arcs along a direction field.

    ``lab`` (rows, columns, 3) and ``flow`` (rows, columns, 2; unit vectors) are guides; ``scale`` (2,) takes pixels to
    their columns and rows. ``seeds`` (n, 4): x, y in pixels, cosine and sine of the stroke's own turn. ``lengths``
    (n,): half lengths in pixels. ``bend`` multiplies the curvature found. ``arcs`` (n, 6) is written.
    """
    rows, columns = flow.shape[0], flow.shape[1]
    start = np.zeros(2)
    heading = np.zeros(4)
    for i in range(seeds.shape[0]):
        x, y = seeds[i, 0], seeds[i, 1]
        column = int(clamped(x * scale[0], 0.0, columns - 1.0))
        row = int(clamped(y * scale[1], 0.0, rows - 1.0))
        cosine, sine = flow[row, column, 0], flow[row, column, 1]
        hx = cosine * seeds[i, 2] - sine * seeds[i, 3]
        hy = sine * seeds[i, 2] + cosine * seeds[i, 3]
        step = 0.25 * lengths[i]
        start[0], start[1] = x, y
        heading[2], heading[3] = seeds[i, 2], seeds[i, 3]
        heading[0], heading[1] = hx, hy
        ex, ey, ahead = walk(lab, flow, start, heading, step, scale, limit)
        heading[0], heading[1] = -hx, -hy
        bx, by, behind = walk(lab, flow, start, heading, step, scale, limit)
        cx, cy = ex - bx, ey - by
        chord = math.sqrt(cx * cx + cy * cy)
        if ahead + behind < 2 or chord < step:
            half = step
            ux, uy = hx, hy
            mx, my, sagitta = x, y, 0.0
        else:
            half = 0.5 * chord
            ux, uy = cx / chord, cy / chord
            mx, my = 0.5 * (ex + bx), 0.5 * (ey + by)
            sagitta = bend * ((y - my) * ux - (x - mx) * uy)
            if ahead != behind:
                sagitta *= 0.5
            sagitta = clamped(sagitta, -0.6 * half, 0.6 * half)
        arcs[i, 0], arcs[i, 1] = mx, my
        arcs[i, 2], arcs[i, 3] = ux, uy
        arcs[i, 4], arcs[i, 5] = half, sagitta


def span(low: float, high: float, slope: float, constant: float) -> Any:
    """Return the interval of x with low <= slope x + constant <= high."""
    if -1e-9 < slope < 1e-9:
        if low <= constant <= high:
            return -1e9, 1e9
        return 1.0, 0.0
    first, last = (low - constant) / slope, (high - constant) / slope
    if first > last:
        return last, first
    return first, last


def lay_strokes(
    canvas: Array, arcs: Array, halfwidths: Array, paint: Array, second: Array, opacity: Array, offsets: Array,
    table: Array, brush: Array,
) -> None:  # fmt: skip
    """Lay strokes on the canvas, in their order.

    ``halfwidths`` (n,) in pixels, ``paint`` and ``second`` (n, 3): the two colours on the brush; ``opacity`` (n,);
    ``offsets`` (n,) int64: where each stroke reads ``table``; ``brush`` (8,): taper, dryness, bristle contrast,
    bristles across, streak (share of the second colour), thickness, ridge, fuzz (pixels).
    """
    rows, columns = canvas.shape[0], canvas.shape[1]
    taper, dryness, contrast, bristles = brush[0], brush[1], brush[2], brush[3]
    streak, thickness, ridge, fuzz = brush[4], brush[5], brush[6], brush[7]
    for i in range(arcs.shape[0]):
        mx, my, ux, uy = arcs[i, 0], arcs[i, 1], arcs[i, 2], arcs[i, 3]
        wide = halfwidths[i]
        reach = arcs[i, 4] + 0.7 * wide
        sagitta = arcs[i, 5]
        bow = sagitta / (arcs[i, 4] * arcs[i, 4] + 1e-9)
        ends = sagitta - bow * reach * reach
        low = min(ends, sagitta) - wide - fuzz
        high = max(ends, sagitta) + wide + fuzz
        tall = abs(uy) * reach
        top = max(0, int(my + min(ux * low, ux * high) - tall))
        bottom = min(rows - 1, int(max(my + max(ux * low, ux * high) + tall, -1.0) + 1.0))
        offset = offsets[i]
        for row in range(top, bottom + 1):
            dy = row + 0.5 - my
            left, right = span(-reach, reach, ux, uy * dy)
            left2, right2 = span(low, high, -uy, ux * dy)
            first = int(max(0.0, max(left, left2) + mx - 0.5))
            last = int(clamped(min(right, right2) + mx + 0.5, -1.0, columns - 1.0))
            for column in range(first, last + 1):
                dx = column + 0.5 - mx
                along = ux * dx + uy * dy
                slope = -2.0 * bow * along
                across = (ux * dy - uy * dx - sagitta + bow * along * along) / math.sqrt(1.0 + slope * slope)
                place = 0.5 * (along / reach + 1.0)
                if place < 0.0 or place > 1.0:
                    continue
                blunt = 2.0 * place - 1.0
                blunt = blunt * blunt
                blunt = blunt * blunt
                body = wide * (1.0 - blunt * blunt) * (1.0 - taper * place * place)
                aside = abs(across)
                if aside >= body + fuzz:
                    continue
                alpha = clamped((body + fuzz - aside) / (2.0 * fuzz), 0.0, 1.0)
                lane = (across / wide + 1.6) * 0.5 * bristles
                bristle = grained(table, offset, lane)
                # Along the stroke a bristle changes slowly: cells four brush widths long, a lane apart from the next.
                travel = (along + reach) / (8.0 * wide) + 7.0 * int(lane)
                patch = grained(table, offset + 911, travel)
                load = 1.15 - dryness * place * (0.6 + 0.8 * patch) - contrast * bristle * (0.35 + place)
                alpha = alpha * clamped(2.5 * load, 0.0, 1.0) * opacity[i]
                if alpha <= 0.004:
                    continue
                mix = streak * clamped(1.6 * (0.6 * bristle + 0.4 * patch) - 0.3, 0.0, 1.0)
                rim = aside / (body + fuzz)
                rim = rim * rim
                relief = thickness * (0.45 + 0.75 * (bristle - 0.5) * contrast + ridge * rim * rim + 0.25 * place)
                for channel in range(3):
                    colour = paint[i, channel] + mix * (second[i, channel] - paint[i, channel])
                    under = float(canvas[row, column, channel])
                    canvas[row, column, channel] = under + alpha * (colour - under)
                under = float(canvas[row, column, 3])
                canvas[row, column, 3] = under * (1.0 - 0.55 * alpha) + alpha * relief


def woven(table: Array, place: float, thread: float) -> float:
    """Height of a woven thread in [-1, 1] along an axis: a triangle wave of a wandering phase."""
    turn = place / thread + 1.5 * grained(table, 37, place / (9.0 * thread))
    part = turn - int(turn)
    return float(1.0 - 4.0 * abs(part - 0.5))


def light_canvas(canvas: Array, table: Array, lines: Array, light: Array, picture: Array) -> None:
    """Light the relief from one side, let the weave through thin paint, round to bytes.

    ``lines`` (rows,) int64: where each row reads the grain; ``light`` (6,): direction x, y, strength of the relief,
    strength of the weave, thread period (pixels), grain (bytes). ``picture`` (rows, columns, 3) uint8 is written.
    """
    rows, columns = canvas.shape[0], canvas.shape[1]
    warp = np.zeros(columns)
    for column in range(columns):
        warp[column] = woven(table, float(column), light[4])
    mask = table.shape[0] - 1
    for row in range(rows):
        weft = woven(table, float(row) + 5000.0 * light[4], light[4])
        up, down = max(row - 1, 0), min(row + 1, rows - 1)
        for column in range(columns):
            left, right = max(column - 1, 0), min(column + 1, columns - 1)
            gx = float(canvas[row, right, 3]) - float(canvas[row, left, 3])
            gy = float(canvas[down, column, 3]) - float(canvas[up, column, 3])
            tilt = -light[2] * (gx * light[0] + gy * light[1])
            tilt = tilt / math.sqrt(1.0 + gx * gx + gy * gy)
            thin = clamped(1.0 - 0.8 * float(canvas[row, column, 3]), 0.15, 1.0)
            tilt += light[3] * thin * (warp[column] + weft + 0.6 * warp[column] * weft)
            tilt = clamped(tilt, -0.34, 0.34)
            grain = light[5] * (table[(lines[row] + column) & mask] - 0.5)
            for channel in range(3):
                value = float(canvas[row, column, channel])
                value = value * (1.0 + tilt) + (0.22 * tilt if tilt > 0.0 else 0.0) * (1.0 - value)
                picture[row, column, channel] = int(clamped(255.0 * value + grain + 0.5, 0.0, 255.0))


class _Interpreted:
    trace_strokes = staticmethod(trace_strokes)
    lay_strokes = staticmethod(lay_strokes)
    light_canvas = staticmethod(light_canvas)


def _jitted() -> Any:
    """Return the loops under njit: each function is rebuilt over a namespace whose functions are jitted too."""
    numba = importlib.import_module("numba")
    loops = (clamped, grained, walk, trace_strokes, span, lay_strokes, woven, light_canvas)
    namespace = dict(globals())
    for function in loops:
        copy = FunctionType(function.__code__, namespace, function.__name__)
        namespace[function.__name__] = numba.njit(cache=True, nogil=True, error_model="numpy")(copy)
    return type("JittedLoops", (), {f.__name__: staticmethod(namespace[f.__name__]) for f in loops})


@cache
def operations(backend: str | None = None) -> Any:
    """Return ``trace_strokes``, ``lay_strokes`` and ``light_canvas`` of a backend.

    Parameters
    ----------
    backend : "numba", "python" or None
        None takes Numba where it is installed, and else plain Python, which is some hundred times slower.

    Raises
    ------
    InputError
        If the backend has no strokes.
    BackendUnavailable
        If the requested backend is not installed here.
    """
    if backend is None:
        backend = "numba" if "numba" in list_available() else "python"
    if backend not in ("numba", "python"):
        raise InputError(f"the backend {backend!r} has no brush strokes; use numba or python")
    return _jitted() if resolve(backend) == "numba" else _Interpreted
