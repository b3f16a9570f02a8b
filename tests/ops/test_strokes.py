"""The brush's loops: both backends write the same bytes, and a stroke lies where its arc says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.ops.strokes import grained, operations, span

BACKENDS = tuple(b for b in list_available() if b in ("numba", "python"))
TABLE = np.random.default_rng(3).random(256)
#                taper dry bristle lanes streak thick ridge fuzz
PLAIN = np.array([0.0, 0.0, 0.0, 4.0, 0.0, 1.0, 0.0, 0.5])
ROUGH = np.array([0.5, 0.6, 0.8, 6.0, 0.9, 0.7, 0.5, 0.6])


def lay(backend: str, arcs: Any, brush: Any, size: int = 48, wide: float = 4.0) -> Any:
    arcs = np.atleast_2d(np.asarray(arcs, np.float64))
    n = len(arcs)
    canvas = np.zeros((size, size, 4), np.float32)
    paint = np.linspace(0.2, 0.9, 3 * n).reshape(n, 3)
    operations(backend).lay_strokes(
        canvas, arcs, np.full(n, wide), paint, paint[::-1].copy(), np.full(n, 0.9), np.arange(n) * 31, TABLE, brush
    )
    return canvas


def random_arcs(n: int, size: float) -> Any:
    rng = np.random.default_rng(8)
    angle = 2 * np.pi * rng.random(n)
    half = 3 + 10 * rng.random(n)
    bow = half * (rng.random(n) - 0.5)
    return np.stack((*(rng.random((2, n)) * 1.4 - 0.2) * size, np.cos(angle), np.sin(angle), half, bow), axis=1)


@pytest.mark.skipif("numba" not in BACKENDS, reason="Numba is not installed")
def test_backends_write_the_same_bytes() -> None:
    arcs = random_arcs(25, 48)
    assert lay("numba", arcs, ROUGH).tobytes() == lay("python", arcs, ROUGH).tobytes()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, 2.5, -1.2])
@pytest.mark.parametrize("sagitta", [0.0, 5.0, -5.0])
def test_stroke_covers_its_arc_and_nothing_far(backend: str, angle: float, sagitta: float) -> None:
    ux, uy, half, wide = math.cos(angle), math.sin(angle), 14.0, 3.0
    canvas = lay(backend, [24.0, 24.0, ux, uy, half, sagitta], PLAIN, wide=wide)
    row, column = np.mgrid[:48, :48] + 0.5
    s = np.linspace(-half, half, 400)
    lift = sagitta * (1.0 - (s / half) ** 2)
    arc = np.stack((24 + ux * s - uy * lift, 24 + uy * s + ux * lift), axis=1)
    gap = np.min(np.hypot(column[..., None] - arc[:, 0], row[..., None] - arc[:, 1]), axis=-1)
    along = np.abs(ux * (column - 24) + uy * (row - 24))
    painted = canvas[..., 0] > 0
    assert painted[(gap < wide - 1.5) & (along < 0.6 * half)].all()
    assert not painted[gap > wide + 0.7 * wide + 1.5].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_strokes_outside_the_canvas_change_nothing(backend: str) -> None:
    far = [(-80.0, 10.0), (10.0, -80.0), (140.0, 10.0), (10.0, 140.0), (-80.0, -80.0), (140.0, 140.0)]
    arcs = [(x, y, 0.6, 0.8, 9.0, 2.0) for x, y in far]
    assert not lay(backend, arcs, ROUGH).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_later_strokes_lie_on_top(backend: str) -> None:
    arcs = np.array([[24.0, 24, 1, 0, 14, 0], [24.0, 24, 0, 1, 14, 0]])
    below, above = lay(backend, arcs, PLAIN)[24, 24, :3], lay(backend, arcs[::-1], PLAIN)[24, 24, :3]
    np.testing.assert_array_equal(below, above)  # the same two colours in the same order at the crossing
    assert below[0] > lay(backend, arcs[:1], PLAIN)[24, 24, 0] * 0.5


@pytest.mark.parametrize("backend", BACKENDS)
def test_tracing_follows_a_circle(backend: str) -> None:
    """In a field of circles the arc's sagitta is that of the circle, and a colour edge stops the walk."""
    size = 200
    row, column = np.mgrid[:size, :size] + 0.5
    x, y = column - 100, row - 100
    flow = np.stack((-y, x), axis=-1) / np.hypot(x, y)[..., None]
    lab = np.zeros((size, size, 3))
    arcs = np.empty((1, 6))
    seed = np.array([[160.0, 100.0, 1.0, 0.0]])
    trace = operations(backend).trace_strokes
    trace(lab, flow, seed, np.array([20.0]), np.ones(2), 0.1, 1.0, arcs)
    half, sagitta = arcs[0, 4], arcs[0, 5]
    assert half == pytest.approx(60 * math.sin(20 / 60), rel=0.05)
    # Four straight steps, the first along the tangent, turn by 1.5 steps of four on average: 3/4 of the circle's bend.
    assert abs(sagitta) == pytest.approx(0.75 * 60 * (1 - math.cos(20 / 60)), rel=0.1)
    lab[:100, :, 0] = 1.0
    trace(lab, flow, seed, np.array([20.0]), np.ones(2), 0.1, 1.0, arcs)
    assert arcs[0, 1] + arcs[0, 4] * abs(arcs[0, 3]) > 110
    assert arcs[0, 1] - arcs[0, 4] * abs(arcs[0, 3]) > 94


def test_noise_is_linear_between_table_entries_and_wraps() -> None:
    assert grained(TABLE, 5, 2.0) == TABLE[7]
    assert grained(TABLE, 5, 2.25) == pytest.approx(0.75 * TABLE[7] + 0.25 * TABLE[8])
    assert grained(TABLE, 250, 10.0) == TABLE[4]


def test_span_bounds_a_line() -> None:
    assert span(-1.0, 3.0, 2.0, 1.0) == (-1.0, 1.0)
    assert span(-1.0, 3.0, -2.0, 1.0) == (-1.0, 1.0)
    low, high = span(-1.0, 3.0, 0.0, 5.0)
    assert low > high


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(InputError, match="no brush strokes"):
        operations("cpp")
