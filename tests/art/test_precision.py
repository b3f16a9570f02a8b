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
from pyqmc_art.art.synthesis import course  # noqa: E402
from pyqmc_art.art.synthesis.pool import Pool  # noqa: E402
from pyqmc_art.learning.precision import multiplies_bf16  # noqa: E402

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


@pytest.mark.parametrize("able", [False, True])
@pytest.mark.parametrize("kind", MAKERS)
def test_auto_shortens_where_networks_and_processor_gain(kind, able, monkeypatch):
    monkeypatch.setattr(course, "multiplies_bf16", lambda: able)
    plan = replace(MAKERS[kind][1], precision="auto")
    assert plan.precision == ("bf16" if able and kind in ("dcgan", "light") else "no")
    assert plan.trajectory()["precision"] == plan.fit_options.precision == plan.precision


def test_a_processor_without_such_products_does_not_gain(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert not multiplies_bf16()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert multiplies_bf16() == (not torch.cuda.is_available())
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bf16()


def test_a_training_goes_on_with_its_own_precision_or_says_which_that_was(tmp_path, monkeypatch):
    plan = replace(gan("dcgan"), kimg=0.016, batch=4, checkpoint_every=0, snapshot_kimg=0.0, device="cpu")
    monkeypatch.setattr(course, "multiplies_bf16", lambda: True)
    train_gan(make_pool(), replace(plan, precision="auto"), tmp_path / "model", until=2)
    with pytest.raises(InputError, match=r"other precision \(bf16\)"):
        train_gan(make_pool(), replace(plan, precision="no"), tmp_path / "model", resume=True)
    train_gan(make_pool(), replace(plan, precision="bf16"), tmp_path / "model", resume=True)


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="unknown precision 'fp8'"):
        GanTraining(precision="fp8")
