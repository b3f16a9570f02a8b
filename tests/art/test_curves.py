"""Numbers over images shown: kept with the model, the same after a resume, drawn with their errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
for needed in ("accelerate", "safetensors", "timm"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from pyqmc_art.art.gan.catalogue import GanShape  # noqa: E402
from pyqmc_art.art.gan.rules import Rules  # noqa: E402
from pyqmc_art.art.gan.training import GanTraining, train_gan  # noqa: E402
from pyqmc_art.art.metrics.vision import PixelVision  # noqa: E402
from pyqmc_art.art.synthesis.curves import make_figure, make_measure, read_curves  # noqa: E402
from pyqmc_art.art.synthesis.pool import Pool, as_tensor  # noqa: E402

STREAM = Stream.from_seed(2)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """These networks are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def discs(seed, count, size=16):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    images = np.empty((count, size, size, 3), np.uint8)
    for image in images:
        centre, radius = rng.uniform(0, size, 2), rng.uniform(size / 8, size / 2)
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        image[:] = np.where(inside[..., None], rng.integers(0, 256, 3), rng.integers(0, 256, 3))
    return images


def pool_of(images):
    return Pool(
        images, np.arange(len(images)), tuple(map(str, range(len(images)))), tuple(map(str, range(len(images))))
    )


def plan(kimg, every, **more):
    return GanTraining(GanShape("dcgan", 16, 8, 8), Rules(), kimg=kimg, batch=8, snapshot_kimg=every, device="cpu",
                       checkpoint_every=0, **more)  # fmt: skip


class Fake:
    """A synthesizer whose pictures are given."""

    def __init__(self, images):
        self.images = images

    def sample(self, stream, n):
        return (as_tensor(self.images[np.arange(n) % len(self.images)]) + 1) / 2


def test_copying_fires_for_a_generator_that_knows_its_pictures_by_heart_and_not_for_a_healthy_one():
    shown = discs(1, 100)
    measure = make_measure(pool_of(shown), PixelVision(), STREAM, made=100)
    copying, mirrored, healthy = (measure(Fake(x)) for x in (shown, shown[:, :, ::-1].copy(), discs(2, 100)))
    assert (copying["copies"], mirrored["copies"], healthy["copies"]) == ("yes", "yes", "no")
    assert healthy["recall (pixels@8)"] > 0.5
    assert measure(Fake(discs(3, 1)))["recall (pixels@8)"] < 0.05


def test_numbers_are_kept_with_the_model_and_are_the_same_after_a_resume(tmp_path):
    pool = pool_of(discs(1, 30))
    measure = make_measure(pool, PixelVision(), STREAM, made=20)
    train_gan(pool, plan(0.064, 0.032), tmp_path / "whole", measure=measure)
    train_gan(pool, plan(0.064, 0.032), tmp_path / "parts", measure=measure, until=5)
    train_gan(pool, plan(0.064, 0.032), tmp_path / "parts", measure=measure, resume=True)
    whole, parts = read_curves(tmp_path / "whole"), read_curves(tmp_path / "parts")
    assert whole == parts
    assert whole["KID (pixels@8)"].kimg == (0.032, 0.064)
    figure = make_figure(whole)
    assert {"FD (pixels@8)", "KID (pixels@8)"} <= {panel.title for panel in figure.panels}
    (shares,) = [panel for panel in figure.panels if panel.title == "quality and variety"]
    assert len(shares.curves) == 4
    assert all(len(curve.error) == 2 for curve in shares.curves)


@pytest.mark.slow
def test_the_distance_falls_while_it_learns(tmp_path):
    """From noise to discs: the distance at the end lies three errors below the one after the first steps."""
    pool = pool_of(discs(1, 60))
    train_gan(pool, plan(4.0, 0.5), tmp_path / "model", measure=make_measure(pool, PixelVision(), STREAM))
    series = read_curves(tmp_path / "model")["FD (pixels@8)"]
    assert series.values[0] - series.values[-1] > 3 * math.hypot(series.errors[0], series.errors[-1])


def test_what_cannot_be_measured_or_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="15 pictures; expected at least 16"):
        make_measure(pool_of(discs(1, 15)), PixelVision(), STREAM)
    with pytest.raises(InputError, match=r"log\.jsonl cannot be read"):
        read_curves(tmp_path)
    (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1}) + "\n")
    assert read_curves(tmp_path) == {}
