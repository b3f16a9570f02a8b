"""Where a forged picture shows: the fingerprint in the plane of frequencies, and log-odds piece by piece."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.pictures import PictureSet
from pyqmc_art.art.residuals import SMALLEST, residual_features, split_channels
from pyqmc_art.protocols import Figure, Picture
from pyqmc_art.rng import Stream
from pyqmc_art.stats.discriminants import Discriminant, fit_discriminant
from pyqmc_art.stats.profiles import average_units

Floats = NDArray[np.float64]

SHOWN: Final = 3
_PIECES: Final = 8
"""Pieces of each picture that are learned from."""
_CELLS: Final = 13
"""Places of the window along each side of a map, at most."""
_MOST_PICTURES: Final = 120
_FINEST: Final = 128
_LONGEST: Final = 14


def show_fingerprint(a: PictureSet, b: PictureSet) -> tuple[Figure, ...]:
    """Show at which frequencies the pictures of B have another power than those of A."""
    means, errors = [], []
    for one in (a, b):
        rows = np.stack([_log_plane(image).ravel() for image in one.pixels])
        units = average_units(rows, one.table.units)
        means.append(units.mean(axis=0))
        errors.append(units.var(axis=0, ddof=1) / len(units))
    side = min(_FINEST, a.pixels.shape[1])
    z = ((means[1] - means[0]) / np.sqrt(errors[0] + errors[1] + 1e-12)).reshape(side, side)
    caption = (
        "Logarithm of the power of the luma, B minus A in combined standard errors over works; frequency 0 in the "
        "middle, one half cycle per pixel at the edges. Lattices of up-sampling show as bright spots on the axes."
    )
    return (Figure("fingerprint", "Where it shows: frequencies", caption, (Picture("B - A, standard errors", z),)),)


def _log_plane(image: NDArray[np.uint8]) -> Floats:
    luma = split_channels(image)[0].astype(np.float64)
    window = np.hanning(len(luma) + 2)[1:-1]
    transform = np.fft.fftshift(np.fft.fft2((luma - luma.mean()) * np.outer(window, window)))
    power = transform.real**2 + transform.imag**2
    side = min(_FINEST, len(power))
    # Means of cells where there are more frequencies than cells to show.
    edges = np.arange(side + 1) * len(power) // side
    rows = np.add.reduceat(power, edges[:-1], axis=0)
    cells = np.add.reduceat(rows, edges[:-1], axis=1) / np.outer(np.diff(edges), np.diff(edges))
    return np.asarray(np.log(cells + 1.0), np.float64)


def show_maps(a: PictureSet, b: PictureSet, stream: Stream) -> tuple[Figure, ...]:
    """Show piece by piece what a linear judge of residuals takes for B, on the pictures of B that it is surest of.

    A picture is judged by what was learned from works in other parts.
    """
    side = max(SMALLEST, a.pixels.shape[1] // 8)
    if a.pixels.shape[1] < 2 * side:
        return ()
    judge, used = _learn_pieces(a, b, side, stream)
    held = [np.flatnonzero(one.table.segments >= used) for one in (a, b)]
    scores = [_score(one, chosen, judge, side) for one, chosen in zip((a, b), held, strict=True)]
    shown: list[Picture] = []
    for name, one, chosen, score, order in (
        ("B", b, held[1], scores[1], 1), ("A", a, held[0], scores[0], -1),
    ):  # fmt: skip
        count = SHOWN if name == "B" else 1
        for number in chosen[np.argsort(order * score, kind="stable")[:count]]:
            picture = one.pixels[number]
            shown.append(Picture(f"{name}: {_name_of(one, int(number))}", picture))
            shown.append(Picture(f"{name}: log-odds of B", -draw_map(picture, judge, side)))
    caption = (
        f"Left of each pair the picture, right the log-odds of B over A of the piece of {side} pixels around each "
        "place, by a line in its residuals that was learned from pieces of other works. The three pictures of B that "
        "it is surest of, and the one of A. Neighbouring pieces overlap; a piece alone is weak evidence."
    )
    return (Figure("maps", "Where it shows: pieces of pictures", caption, tuple(shown)),)


def _name_of(one: PictureSet, number: int) -> str:
    stem = one.files.path(number).stem
    return stem if len(stem) <= _LONGEST else f"{stem[: _LONGEST - 3]}..."


def _learn_pieces(a: PictureSet, b: PictureSet, side: int, stream: Stream) -> tuple[Discriminant, int]:
    """Learn from random pieces of the works in the first parts; gives the judge and the first part it did not see."""
    used = 4
    generator = np.random.default_rng(stream.key)
    pieces: list[NDArray[np.uint8]] = []
    truth: list[bool] = []
    folds: list[int] = []
    for is_a, one in ((True, a), (False, b)):
        chosen = np.flatnonzero(one.table.segments < used)
        for number in chosen[:_MOST_PICTURES]:
            image = one.pixels[number]
            for top, left in generator.integers(0, len(image) - side + 1, (_PIECES, 2)):
                pieces.append(image[top : top + side, left : left + side])
                truth.append(is_a)
                folds.append(int(one.table.segments[number]))
    seen = residual_features(np.stack(pieces)).astype(np.float64)
    return fit_discriminant(seen, np.array(truth), np.array(folds)), used


def _score(one: PictureSet, chosen: NDArray[np.int64], judge: Discriminant, side: int) -> Floats:
    """Mean log-odds of A of a few pieces of each picture."""
    places = [0, (one.pixels.shape[1] - side) // 2, one.pixels.shape[1] - side]
    scores = []
    for number in chosen:
        image = one.pixels[number]
        pieces = np.stack([image[t : t + side, s : s + side] for t in places for s in places])
        scores.append(float(judge.logits(residual_features(pieces).astype(np.float64)).mean()))
    return np.array(scores)


def draw_map(image: NDArray[np.uint8], judge: Discriminant, side: int) -> Floats:
    """Log-odds of A of the pieces of a picture, shape (rows, columns)."""
    room = len(image) - side
    count = min(_CELLS, room // 4 + 1)
    places = np.linspace(0, room, count).astype(int)
    pieces = np.stack([image[t : t + side, s : s + side] for t in places for s in places])
    logits = judge.logits(residual_features(pieces).astype(np.float64))
    return np.asarray(logits.reshape(count, count), np.float64)
