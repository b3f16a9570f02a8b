"""Patches of a picture under one interface: our resampling and Pillow's, by whose bytes everybody is judged."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.judgement import Verdict
from pyqmc_art.art.patches import plan_patches
from pyqmc_art.ops import images

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Pyramid:
    """Cuts of a picture of noise, each resampled to ``size`` x ``size``, bicubic.

    Parameters
    ----------
    width, height, channels : of the picture
    size : side of a patch
    levels : cells along each side
    """

    width: int
    height: int
    channels: int
    size: int
    levels: tuple[int, ...] = (1, 2, 4)

    @property
    def name(self) -> str:
        """Row of the table."""
        colours = {1: "grayscale", 3: "RGB", 4: "RGBA"}[self.channels]
        patches = " + ".join(str(k * k) for k in self.levels)
        return f"{self.width} x {self.height} {colours} to {patches} of {self.size} x {self.size}"

    @property
    def pixels(self) -> int:
        """Source pixels, once for each level; pixels of the result where those are more."""
        return max(self.width * self.height * len(self.levels), self.size**2 * sum(k * k for k in self.levels))

    def draw(self) -> Bytes:
        """The picture: independent bytes, the worst case for rounding."""
        generator = np.random.Generator(np.random.Philox(2024))
        return generator.integers(0, 256, (self.height, self.width, self.channels), dtype=np.uint8)

    def boxes(self) -> NDArray[np.float32]:
        """Boxes of the patches, whole cells."""
        return plan_patches(self.width, self.height, self.levels, "squash")[0]


Run = Callable[[], Bytes]


class Resampler(Protocol):
    """Somebody who makes patches.

    ``tolerance`` is how many grey levels the result may be off; ``beyond_the_box`` says whether the filter sees the
    pixels around a cut.
    """

    name: str
    tolerance: int
    beyond_the_box: bool

    def load(self, case: Pyramid, picture: Bytes) -> Run:
        """Take over a picture; the result makes all patches."""
        ...


class Ours:
    """This package, one thread unless another number is asked for."""

    name = "pyqmc_art"
    tolerance = 0
    beyond_the_box = True

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    def load(self, case: Pyramid, picture: Bytes) -> Run:
        """All patches in one call."""
        boxes, resample = case.boxes(), images.resample("cpp")
        out = np.empty((len(boxes), case.size, case.size, case.channels), np.uint8)

        def run() -> Bytes:
            resample(picture, boxes, out, "bicubic", self.threads)
            return out

        return run


class Pillow:
    """Pillow's ``resize`` with a box, patch by patch."""

    name = "Pillow"
    tolerance = 0
    beyond_the_box = True

    def load(self, case: Pyramid, picture: Bytes) -> Run:
        """Pillow would blend RGBA by its alpha; four independent channels are its CMYK."""
        pillow: Any = importlib.import_module("PIL.Image")
        mode = {1: "L", 3: "RGB", 4: "CMYK"}[case.channels]
        whole = pillow.frombytes(mode, (case.width, case.height), picture.tobytes())
        boxes = [tuple(box) for box in case.boxes().tolist()]
        shape, size = (case.size, case.size, case.channels), (case.size, case.size)

        def run() -> Bytes:
            cuts = [whole.resize(size, pillow.Resampling.BICUBIC, box=box) for box in boxes]
            return np.stack([np.asarray(cut).reshape(shape) for cut in cuts])

        return run


def judge(resampler: Resampler, case: Pyramid, picture: Bytes, result: Bytes) -> Verdict:
    """Hold a result against Pillow's, byte by byte, one channel at a time.

    Ours has to be equal; a library that does not claim to be may be one grey level off.
    """
    pillow: Any = importlib.import_module("PIL.Image")
    worst = 0
    for box, patch in zip(case.boxes().tolist(), result, strict=True):
        left, top, right, bottom = (int(x) for x in box)
        for c in range(case.channels):
            plane = picture[:, :, c] if resampler.beyond_the_box else picture[top:bottom, left:right, c]
            given = pillow.fromarray(np.ascontiguousarray(plane))
            inside = tuple(box) if resampler.beyond_the_box else None
            expected = np.asarray(given.resize((case.size, case.size), pillow.Resampling.BICUBIC, box=inside))
            worst = max(worst, int(np.abs(expected.astype(int) - patch[:, :, c]).max()))
    source = f"Pillow {pillow.__version__}'s bytes" if worst == 0 else f"at most {worst} levels from Pillow's bytes"
    return Verdict(worst <= resampler.tolerance, source)
