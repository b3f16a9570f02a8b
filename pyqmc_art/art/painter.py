"""The procedural painter: pictures from a seed, whose maker is known.

A motif gives guide maps (colour, direction, detail), a hand gives the habits, and brush strokes are laid from coarse to
fine, each a bent track of bristles; last the relief of the paint is lit. The pictures are simulations, and
are labelled so: they put a detector and its statistics on trial, never a real work.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.hands import Hand, draw_uniforms
from pyqmc_art.art.motifs import Motif
from pyqmc_art.art.pigments import colour_guide, mix_palette, to_rgb, turn_cosine, turn_sine
from pyqmc_art.art.sketch import Sketch, soften
from pyqmc_art.errors import InputError
from pyqmc_art.ops.strokes import operations
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

SMALLEST: Final = 16
LARGEST: Final = 4096
_TABLE: Final = 4096


def paint(motif: Motif, hand: Hand, size: tuple[int, int], stream: Stream, *, backend: str | None = None) -> Pixels:
    """Paint a motif by a hand.

    Parameters
    ----------
    motif : what to paint
    hand : who paints
    size : (width, height) in pixels, each from 16 to 4096
    stream : every stroke's chance; the same stream gives the same bytes, on any backend
    backend : "numba", "python" or None for the faster one installed

    Returns
    -------
    uint8 array of shape (height, width, 3), sRGB

    Raises
    ------
    InputError
        If the size is not two integers in range.

    Examples
    --------
    >>> stream = Stream.from_seed(5)
    >>> paint(Motif.draw(stream), Hand.draw(stream), (24, 16), stream, backend="python").shape
    (16, 24, 3)
    """
    width, height = check_size(size)
    loops = operations(backend)
    easel = _Easel(motif, hand, width, height, stream, loops)
    easel.prime()
    easel.lay("block in", 1.0 / (hand.fineness * hand.fineness), 1.5, tolerance=0.22)
    easel.lay("form", 1.0 / hand.fineness, 1.7, tolerance=0.13)
    easel.lay("middle", 1.0, 2.0, tolerance=0.10)
    easel.draw_outlines()
    easel.lay("fine", hand.fineness, 1.5, tolerance=0.08, detail=True)
    easel.lay("touches", hand.fineness * hand.fineness, 1.3, tolerance=0.07, detail=True)
    return easel.finish()


def photograph(motif: Motif, hand: Hand, size: tuple[int, int], stream: Stream) -> Pixels:
    """Render a motif without a brush, in a hand's palette: smooth surfaces, soft edges, the grain of a sensor.

    Parameters are those of :func:`paint`; so are the result and the errors.
    """
    width, height = check_size(size)
    sketch = motif.sketch(width, height, resolution=max(width, height))
    rows, columns = sketch.role.shape
    lab = colour_guide(mix_palette(hand, motif.mood), sketch.role, sketch.tone)
    lab = np.stack([soften(lab[..., channel], 2) for channel in range(3)], axis=-1)
    down = np.minimum(np.arange(height) * rows // height, rows - 1)
    across = np.minimum(np.arange(width) * columns // width, columns - 1)
    grain = draw_uniforms(stream.fold("grain"), 2 * width * height).reshape(2, height, width)
    noise = 9.0 * soften(grain[0] + grain[1] - 1.0)
    rgb = to_rgb(lab)[down][:, across] * 255.0 + noise[..., None]
    return np.asarray(np.clip(rgb + 0.5, 0.0, 255.0).astype(np.uint8))


def check_size(size: Any) -> tuple[int, int]:
    """Return (width, height) as integers within the painter's bounds."""
    try:
        width, height = size
        whole = int(width) == width and int(height) == height
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"size is {size!r}; expected (width, height) in pixels") from None
    if not (whole and min(width, height) >= SMALLEST and max(width, height) <= LARGEST):
        raise InputError(f"size is {size!r}; expected two integers from {SMALLEST} to {LARGEST} pixels")
    return int(width), int(height)


class _Easel:
    """One picture in the making."""

    def __init__(self, motif: Motif, hand: Hand, width: int, height: int, stream: Stream, loops: Any) -> None:
        self._hand, self._stream, self._loops = hand, stream, loops
        self._width, self._height, self._short = width, height, float(min(width, height))
        self._sketch: Sketch = motif.sketch(width, height)
        self._palette = mix_palette(hand, motif.mood)
        self._lab = colour_guide(self._palette, self._sketch.role, self._sketch.tone)
        self._flow = self._sketch.guide_directions(self._lab, hand.swirl, hand.slant)
        rows, columns = self._sketch.role.shape
        self._scale = np.array([columns / width, rows / height])
        edge = np.zeros((rows, columns))
        label = self._sketch.label
        edge[:, 1:] += label[:, 1:] != label[:, :-1]
        edge[1:] += label[1:] != label[:-1]
        self._edge = edge > 0
        self._wish = np.clip(soften(self._sketch.detail + 0.8 * self._edge, 1), 0.0, 1.0)
        self._table = draw_uniforms(stream.fold("grain"), _TABLE)
        self._canvas = np.empty((height, width, 4), np.float32)

    def prime(self) -> None:
        """Tone the bare canvas."""
        hand = self._hand
        tone = np.array([0.35 + 0.5 * hand.ground, 0.25 * hand.warmth + 0.008, 0.035])
        self._canvas[..., :3] = to_rgb(tone)
        self._canvas[..., 3] = 0.0

    def lay(self, name: str, ratio: float, coverage: float, *, tolerance: float, detail: bool = False) -> None:
        """Lay one coat of strokes; ``ratio``: brush width over the middle brush's; ``coverage``: strokes' area."""
        hand, stream = self._hand, self._stream.fold(name)
        width = max(hand.width * ratio * self._short, 1.1)
        length = max(hand.length * width, 3.0)
        places = self._scatter(stream, coverage * self._width * self._height / (width * length))
        rows, columns = self._cells(places)
        chance = draw_uniforms(stream.fold("strokes"), 10 * len(places)).reshape(10, -1)
        if detail:
            keep = chance[0] < 0.12 + hand.detail * 0.95 * self._wish[rows, columns]
            places, rows, columns, chance = places[keep], rows[keep], columns[keep], chance[:, keep]
        lab = self._mix(self._lab[rows, columns], chance)
        lengths = 0.5 * length * (0.6 + 0.8 * chance[5])
        self._brush(stream, places, lab, lengths, width, tolerance, chance)

    def draw_outlines(self) -> None:
        """Draw dark contours along the shapes."""
        hand, stream = self._hand, self._stream.fold("outlines")
        width = max(0.42 * hand.width * self._short, 1.0)
        length = max(2.4 * hand.length * width, 3.0)
        places = self._scatter(stream, 2.4 * self._width * self._height / (width * length))
        rows, columns = self._cells(places)
        chance = draw_uniforms(stream.fold("strokes"), 10 * len(places)).reshape(10, -1)
        keep = self._edge[rows, columns] & (self._sketch.detail[rows, columns] > 0.3)
        keep &= chance[0] < 0.75 * hand.outline
        places, rows, columns, chance = places[keep], rows[keep], columns[keep], chance[:, keep]
        lab = self._mix(self._lab[rows, columns], chance)
        lab[:, 0] = 0.45 * lab[:, 0] + 0.04
        lab[:, 2] -= 0.025
        self._brush(stream, places, lab, 0.5 * length * (0.6 + 0.8 * chance[5]), width, 0.35, chance)

    def finish(self) -> Pixels:
        """Light the relief and round to bytes."""
        stream = self._stream.fold("light")
        chance = draw_uniforms(stream, 4)
        thread = self._short * 0.0062 * (0.85 + 0.3 * float(chance[0]))
        visible = min(max((thread - 2.4) / 1.6, 0.0), 1.0)
        light = np.array([-0.62, -0.78, 0.55, 0.016 * visible, max(thread, 2.4), 2.2])
        lines = (draw_uniforms(stream.fold("lines"), self._height) * _TABLE).astype(np.int64)
        picture = np.empty((self._height, self._width, 3), np.uint8)
        self._loops.light_canvas(self._canvas, self._table, lines, light, picture)
        return picture

    def _scatter(self, stream: Stream, count: float) -> Floats:
        """Return about ``count`` places (n, 2) in pixels, one in each cell of a grid."""
        across = max(1, round(float(np.sqrt(count * self._width / self._height))))
        down = max(1, round(count / across))
        chance = draw_uniforms(stream.fold("places"), 2 * across * down).reshape(2, down, across)
        x = (np.arange(across) + chance[0]) * (self._width / across)
        y = (np.arange(down)[:, None] + chance[1]) * (self._height / down)
        return np.stack((x.reshape(-1), y.reshape(-1)), axis=-1)

    def _cells(self, places: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows, columns = self._sketch.role.shape
        cells = (places * self._scale).astype(np.int64)
        return np.clip(cells[:, 1], 0, rows - 1), np.clip(cells[:, 0], 0, columns - 1)

    def _mix(self, lab: Floats, chance: Floats) -> Floats:
        """Mix each stroke's colour: scatter around the guide's, and now and then a broken one."""
        hand = self._hand
        mixed = lab.copy()
        mixed[:, 0] += hand.value_jitter * 2.0 * (chance[1] + chance[2] - 1.0)
        mixed[:, 1] += hand.hue_jitter * 2.0 * (chance[3] - 0.5)
        mixed[:, 2] += hand.hue_jitter * 2.0 * (chance[4] - 0.5)
        broken = chance[6] < hand.broken
        role = (chance[7] * len(self._palette)).astype(np.int64)
        other = self._palette[role, 2]
        mixed[broken, 1:] = 0.45 * mixed[broken, 1:] + 0.55 * other[broken, 1:]
        return mixed

    def _brush(
        self,
        stream: Stream,
        places: Floats,
        lab: Floats,
        lengths: Floats,
        width: float,
        tolerance: float,
        chance: Floats,
    ) -> None:
        """Trace the strokes, put them in order and lay them."""
        hand = self._hand
        more = draw_uniforms(stream.fold("touch"), 8 * len(places)).reshape(8, -1)
        order = hand.order * lab[:, 0] + (1.0 - hand.order) * chance[8]
        turn = (1.0 - hand.coherence) * 0.25 * (chance[9] + more[0] - 1.0)
        again = np.flatnonzero(more[1] < hand.correction)
        # A corrected stroke is gone over: shorter, beside the first, in a colour that is not quite the same.
        aside = 0.6 * width * (more[2:4, again].T - 0.5)
        places = np.concatenate((places, places[again] + aside))
        relit = lab[again] + np.array([0.05, 0.0, 0.0]) * (more[4, again] - 0.5)[:, None]
        lab = np.concatenate((lab, relit))
        lengths = np.concatenate((lengths, 0.55 * lengths[again]))
        turn = np.concatenate((turn, turn[again] + 0.12 * (more[5, again] - 0.5)))
        order = np.concatenate((order, order[again] + 0.01))
        source = np.concatenate((np.arange(more.shape[1]), again))
        rank = np.argsort(order, kind="stable")
        seeds = np.column_stack((places, turn_cosine(turn), turn_sine(turn)))[rank]
        arcs = np.empty((len(seeds), 6))
        bend, limit = hand.curvature, tolerance
        self._loops.trace_strokes(self._lab, self._flow, seeds, lengths[rank], self._scale, limit, bend, arcs)
        second = lab.copy()
        second[:, 0] += 0.13 * (more[6, source] - 0.42)
        second[:, 1:] *= 0.8
        halves = 0.5 * width * (0.75 + 0.5 * more[7, source])
        opacity = np.clip(hand.pressure * (0.9 + 0.2 * more[6, source]), 0.0, 1.0)
        offsets = (more[5, source] * _TABLE).astype(np.int64)
        relief = hand.impasto * min(2.2, 0.16 * width)
        bristles = min(max(0.55 * width, 2.0), 18.0)
        brush = np.array([hand.taper, hand.dryness, hand.bristle, bristles, hand.streak, relief, 0.5, 0.6])
        self._loops.lay_strokes(
            self._canvas, arcs, halves[rank], to_rgb(lab)[rank], to_rgb(second)[rank], opacity[rank], offsets[rank],
            self._table, brush,
        )  # fmt: skip
