"""Makers of pictures trained with shortened numbers: other weights than float32 gives, still resumed bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyqmc_art.errors import InputError

torch = pytest.importorskip("torch", reason="torch is not installed")
for needed in ("accelerate", "safetensors", "diffusers"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from pyqmc_art.art.autoencoder.network import AutoencoderShape  # noqa: E402
from pyqmc_art.art.autoencoder.training import AutoencoderTraining, train_autoencoder  # noqa: E402
from pyqmc_art.art.diffusion.denoiser import DenoiserShape  # noqa: E402
from pyqmc_art.art.diffusion.training import DiffusionTraining, train_diffusion  # noqa: E402
from pyqmc_art.art.gan.catalogue import KINDS, GanShape  # noqa: E402
from pyqmc_art.art.gan.rules import Rules  # noqa: E402
from pyqmc_art.art.gan.training import GanTraining, train_gan  # noqa: E402
from pyqmc_art.art.synthesis.pool import Pool  # noqa: E402

SIZE, COUNT = 32, 8


def make_pool():
    images = np.random.default_rng(5).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
    names = tuple(f"{k}.png" for k in range(COUNT))
    return Pool(images, np.arange(COUNT), names, names)


def gan(kind):
    shape = GanShape(kind, SIZE, 4, 8, 2)
    habit = shape.habit
    return GanTraining(shape, Rules(habit.loss, habit.augment, habit.slope, 2, habit.path, 2, betas=habit.betas))


MAKERS = {
    **{kind: (train_gan, gan(kind), "game") for kind in KINDS},
    "diffusion": (train_diffusion, DiffusionTraining(shape=DenoiserShape(SIZE, 8)), "learner"),
    "autoencoder": (train_autoencoder, AutoencoderTraining(shape=AutoencoderShape(SIZE, 8, 1, 4)), "learner"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_shortened_numbers_change_the_weights_and_resume_to_the_same(kind, tmp_path):
    train, usual, part = MAKERS[kind]
    usual = replace(usual, kimg=0.016, batch=4, checkpoint_every=0, snapshot_kimg=0.0, device="cpu")

    def end(plan, out=None, **more):
        trained = getattr(train(make_pool(), plan, out, **more), part)
        return {name: value.clone() for name, value in trained.state_dict().items()}

    short = replace(usual, precision="bf16")
    whole = end(short)
    end(short, tmp_path / "parts", until=2)
    parts = end(short, tmp_path / "parts", resume=True)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    full = end(usual)
    assert any(not torch.equal(whole[name], full[name]) for name in whole)
    assert all(value.dtype != torch.bfloat16 for value in whole.values())


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="unknown precision 'fp8'"):
        GanTraining(precision="fp8")
