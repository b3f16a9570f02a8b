"""Patches of a picture of float32, by us, by Pillow channel by channel, and by torch."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from benchmarks.catalogue import list_isas
from benchmarks.judgement import Verdict
from benchmarks.race import ROUNDS, note
from benchmarks.record import Measurement
from benchmarks.resamplers import Pyramid
from pyqmc_art.ops import images

pillow = pytest.importorskip("PIL.Image", reason="Pillow's mode F is the judge")
pytestmark = pytest.mark.skipif(not list_isas(), reason="the compiled module is not installed")

PAINTING = Pyramid(4000, 3000, 3, 224)
NAME = PAINTING.name.replace("RGB", "RGB of float32")


@pytest.fixture(scope="module")
def picture():
    return PAINTING.draw().astype(np.float32)


def by_us(picture):
    boxes, resample = PAINTING.boxes(), images.resample_real("cpp")
    out = np.empty((len(boxes), PAINTING.size, PAINTING.size, 3), np.float32)
    return lambda: resample(picture, boxes, out, "bicubic", 1) or out


def by_pillow(picture, within=False):
    """What lies beyond a box is read as well; ``within`` is given the cuts alone."""
    size, bicubic = (PAINTING.size, PAINTING.size), pillow.Resampling.BICUBIC
    boxes = [tuple(int(x) for x in box) for box in PAINTING.boxes()]
    planes = [pillow.fromarray(np.ascontiguousarray(picture[:, :, c])) for c in range(3)]

    def cut(plane, box):
        return np.asarray(plane.crop(box).resize(size, bicubic) if within else plane.resize(size, bicubic, box=box))

    return lambda: np.stack([np.stack([cut(plane, box) for plane in planes], axis=-1) for box in boxes])


def by_torch(picture):
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    whole = torch.from_numpy(picture).permute(2, 0, 1)[None]
    cuts = [whole[:, :, int(t) : int(b), int(left) : int(right)] for left, t, right, b in PAINTING.boxes()]
    options = {"size": (PAINTING.size, PAINTING.size), "mode": "bicubic", "antialias": True}
    resize = torch.nn.functional.interpolate
    return lambda: torch.cat([resize(cut, **options) for cut in cuts]).permute(0, 2, 3, 1).numpy()


CONTENDERS = {"pyqmc_art": by_us, "Pillow": by_pillow}
if importlib.util.find_spec("torch"):
    CONTENDERS["torch"] = by_torch


@pytest.mark.parametrize("contender", CONTENDERS)
def test_resampling_of_numbers(benchmark, paddock, picture, contender):
    run = CONTENDERS[contender](picture)
    # torch sums in single precision: 60 numbers of up to 255 along each axis.
    tolerance = 2 * 60 * 255 * 2.0**-24 if contender == "torch" else 0.0
    worst = float(np.abs(run() - by_pillow(picture, within=contender == "torch")()).max())
    verdict = Verdict(worst <= tolerance, f"Pillow {pillow.__version__}'s numbers, to {worst:.1g}")
    if not verdict.passed:
        paddock.measurements.append(Measurement("resampling", NAME, contender, "source pixel", "cpu", verdict))
        message = f"{contender} is wrong on {NAME}: {verdict.source}"
        pytest.fail(message) if contender == "pyqmc_art" else pytest.skip(message)
    benchmark.group = f"resampling: {NAME}"
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1, iterations=1)
    if not benchmark.disabled:
        cost = 1e9 * np.array(benchmark.stats.stats.data) / PAINTING.pixels
        note(paddock, benchmark, "resampling", NAME, contender, "source pixel", cost, verdict)
