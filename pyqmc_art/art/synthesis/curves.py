"""Numbers over images shown: measured at each snapshot, kept in the log of a model, drawn as figure data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pyqmc_art.art.metrics.appraisal import Gallery, appraise_pictures
from pyqmc_art.art.metrics.memory import recall_training
from pyqmc_art.art.metrics.vision import Vision
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.art.synthesis.snapshots import Measure
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Curve, Figure, Panel, Synthesizer
from pyqmc_art.rng import Stream

FEWEST: Final = 16
"""Works below which nothing is measured."""
_MADE: Final = 200
_REAL: Final = 500
_HALVES: Final = 20
_ERROR: Final = " error"
_SHARES: Final = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True)
class Series:
    """One number at the snapshots of a training.

    Attributes
    ----------
    kimg : thousands of images shown
    values, errors : at each
    """

    kimg: tuple[float, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]


def make_measure(
    pool: Pool,
    vision: Vision,
    stream: Stream,
    mirror: bool = True,
    made: int = _MADE,
    held_out: Pool | None = None,
    likeness: Vision | None = None,
) -> Measure:
    """Prepare to measure synthesizers against held-out pictures, or else against those they learn from.

    What a number says of quality is flattered by the latter; copying is tested for beside it in any case.

    Parameters
    ----------
    pool : training pictures
    vision : what looks
    stream : of the made pictures, the same at each snapshot, and of the errors
    mirror : whether mirrored pictures were shown, too
    made : pictures to make
    held_out : real pictures that are not learned from: what is compared with, and the reference of copying
    likeness : what looks for copies; None takes the vision

    Raises
    ------
    InputError
        For fewer than 16 pictures to compare with, or held-out ones that are learned from.
    """
    other = pool if held_out is None else held_out
    if len(other.names) < FEWEST:
        raise InputError(f"{len(other.names)} pictures; expected at least {FEWEST}, or nothing can be measured")
    if held_out is not None and (both := set(pool.digests) & set(held_out.digests)):
        raise InputError(f"{len(both)} held-out pictures are learned from; keep them apart")
    chosen = np.sort(np.random.default_rng(stream.fold("real").key).permutation(len(other))[:_REAL])
    real = Gallery.of(other.images[chosen], vision, other.owners[chosen])
    eye = likeness or vision
    training = Gallery.of(pool.images, eye, pool.owners)
    training = training.with_mirrors() if mirror else training
    reference = None if held_out is None else eye.features(real.images)

    def measure(synthesizer: Synthesizer) -> dict[str, float | str]:
        images = synthesizer.sample(stream.fold("made"), made)
        pixels = np.ascontiguousarray((images * 255).round().byte().permute(0, 2, 3, 1).numpy())
        numbers = appraise_pictures(pixels, real, stream, samples=_HALVES).numbers
        facts: dict[str, float | str] = {}
        for name, value in numbers.items():
            facts |= {name: value.value, name + _ERROR: value.error}
        memory = recall_training(eye.features(pixels), training.features, reference, training.works)
        facts |= {"copies": "yes" if memory.flagged else "no", "memory": str(memory)}
        return facts

    return measure


def read_curves(folder: str | os.PathLike[str]) -> dict[str, Series]:
    """Read the numbers over images shown from ``log.jsonl`` of a model or of a training under way.

    Raises
    ------
    InputError
        When there is no log.
    """
    snapshots = _read_snapshots(folder)
    names = dict.fromkeys(name.removesuffix(_ERROR) for line in snapshots for name in line if name.endswith(_ERROR))
    return {name: _collect(name, snapshots) for name in names}


def _read_snapshots(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    place = Path(folder) / "log.jsonl"
    try:
        lines = [json.loads(line) for line in place.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{place} cannot be read ({error}); give a trained model directory") from None
    return [line for line in lines if isinstance(line, dict) and "kimg" in line]


def read_memory(folder: str | os.PathLike[str]) -> tuple[str, bool]:
    """Read what the last snapshot says of copying, in words, and whether the flag is raised; empty without any."""
    found = read_memories(folder)
    return found[-1][1:] if found else ("", False)


def read_memories(folder: str | os.PathLike[str]) -> tuple[tuple[float, str, bool], ...]:
    """Read what each snapshot says of copying: thousands of images shown, words, whether the flag is raised."""
    lines = [line for line in _read_snapshots(folder) if "memory" in line]
    return tuple((float(line["kimg"]), str(line["memory"]), line["copies"] == "yes") for line in lines)


def _collect(name: str, snapshots: Sequence[Mapping[str, Any]]) -> Series:
    there = [line for line in snapshots if name in line]
    return Series(
        tuple(float(line["kimg"]) for line in there), tuple(float(line[name]) for line in there),
        tuple(float(line[name + _ERROR]) for line in there),
    )  # fmt: skip


def make_figure(curves: Mapping[str, Series], name: str = "metrics") -> Figure:
    """Turn numbers over images shown into figure data: distances, and the four shares in one panel, never one alone."""
    shares = {title: series for title, series in curves.items() if title.split(" (")[0] in _SHARES}
    panels = [
        Panel(title, "images shown (thousands)", title.split(" (")[0], (_as_curve(title, series),))
        for title, series in curves.items()
        if title not in shares
    ]
    if shares:
        lines = tuple(_as_curve(title, series) for title, series in shares.items())
        panels.append(Panel("quality and variety", "images shown (thousands)", "share", lines))
    return Figure(
        name, "Made pictures against those learned from",
        "Standard errors from random halves of both sets. Smaller distances are better; precision and density speak "
        "of quality, recall and coverage of variety.", tuple(panels),
    )  # fmt: skip


def _as_curve(title: str, series: Series) -> Curve:
    return Curve(title, series.kimg, series.values, series.errors, "line")
