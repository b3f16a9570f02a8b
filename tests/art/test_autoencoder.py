"""Autoencoders: the bound against the exact likelihood, resumed trainings, sweeps, and latent diffusion on them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
for needed in ("accelerate", "safetensors", "diffusers"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from pyqmc_art.art.autoencoder.learner import judge_bound  # noqa: E402
from pyqmc_art.art.autoencoder.models import load_autoencoder  # noqa: E402
from pyqmc_art.art.autoencoder.network import (  # noqa: E402
    AutoencoderShape,
    build_autoencoder,
    diverge,
    reconstruct,
)
from pyqmc_art.art.autoencoder.training import AutoencoderTraining, train_autoencoder  # noqa: E402
from pyqmc_art.art.diffusion.codec import open_codec  # noqa: E402
from pyqmc_art.art.diffusion.denoiser import DenoiserShape  # noqa: E402
from pyqmc_art.art.diffusion.models import Manner, load_codec, load_diffusion  # noqa: E402
from pyqmc_art.art.diffusion.training import DiffusionTraining, train_diffusion  # noqa: E402
from pyqmc_art.art.synthesis.curves import read_curves  # noqa: E402
from pyqmc_art.art.synthesis.generation import write_pictures  # noqa: E402
from pyqmc_art.art.synthesis.pool import as_tensor  # noqa: E402
from pyqmc_art.testing.trainings import forget_part, make_discs  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = AutoencoderShape(16, 8, 1, 4)
STREAM = Stream.from_seed(13)


def plan(**more):
    given = {"shape": SHAPE, "kimg": 0.048, "batch": 6, "checkpoint_every": 0, "device": "cpu"}
    return AutoencoderTraining(**given | more)


def weights(trained):
    return {name: value.clone() for name, value in trained.learner.state_dict().items()}


def differing(one, other):
    return [name for name in one if not torch.equal(one[name], other[name])]


def test_the_bound_is_the_likelihood_for_the_exact_posterior_and_below_it_by_a_divergence_for_any_other():
    """x = w z + sigma e with one number z: ln p(x) is Gaussian, and so is the posterior."""
    w, log_width, x, n = 1.7, math.log(0.6), 0.9, 400_000
    total = w**2 + math.exp(2 * log_width)
    exact = -(x**2) / total / 2 - math.log(2 * math.pi * total) / 2
    mean, variance = w * x / total, math.exp(2 * log_width) / total
    e = torch.randn(n, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def bound(mean, variance):
        means, logs = torch.full((n, 1), mean), torch.full((n, 1), math.log(variance))
        fitted = reconstruct(torch.full((n, 1), x), w * (means + (logs / 2).exp() * e), torch.tensor(log_width))
        return float(fitted.mean() - diverge(means, logs).mean()), float(fitted.std()) / math.sqrt(n)

    value, error = bound(mean, variance)
    assert abs(value - exact) < 5 * error
    value, error = bound(mean + 0.3, 2 * variance)
    lost = (2 + 0.3**2 / variance - 1 - math.log(2)) / 2
    assert lost > 20 * error
    assert abs(exact - value - lost) < 5 * error


def test_the_two_terms_are_summed_over_a_picture():
    x, z = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 2, 2)
    assert diverge(z + 1, z).tolist() == [8, 8]
    torch.testing.assert_close(reconstruct(x, x, torch.tensor(0.0)), torch.full((2,), -24 * math.log(2 * math.pi)))


@pytest.mark.parametrize("shape", [SHAPE, AutoencoderShape(32, 8, 3, 2)])
def test_every_parameter_learns(shape):
    network = build_autoencoder(shape, STREAM)
    images = torch.rand(3, 3, shape.size, shape.size)
    fitted, divergence = network(images, torch.randn(3, shape.latent, shape.side, shape.side))
    assert fitted.shape == divergence.shape == (3,)
    (divergence - fitted).mean().backward()
    still = [name for name, value in network.named_parameters() if not value.grad.abs().sum() > 0]
    assert not [name for name in still if not name.endswith("bias")], still


def test_the_width_is_soon_the_best_one_and_only_training_moves_it():
    """However slowly the weights learn, ln p(x|z) is maximal in the width, as its derivative says."""
    network = build_autoencoder(SHAPE, STREAM)
    images, e = torch.rand(3, 3, SHAPE.size, SHAPE.size) - 0.5, torch.randn(3, SHAPE.latent, SHAPE.side, SHAPE.side)
    for _ in range(100):
        network.train()(images, e)
    before = network.log_width.clone()
    fitted, _ = network.eval()(images, e)
    assert torch.equal(network.log_width, before)
    decoded = network.decode(network.encode(images)[0] + (network.encode(images)[1] / 2).exp() * e)
    for shift in (-0.05, 0.05):
        assert fitted.sum() > reconstruct(images, decoded, before + shift).sum() + 1


def test_resume_is_bit_exact(tmp_path):
    """2 N steps == N steps, resume, N steps: weights, averages, moments, counter, log with its curves, sheets."""
    pool, training = make_discs(), plan(snapshot_kimg=0.024)
    whole = train_autoencoder(pool, training, tmp_path / "whole")
    train_autoencoder(pool, training, tmp_path / "parts", until=4)
    parts = train_autoencoder(pool, training, tmp_path / "parts", resume=True)
    assert not differing(weights(whole), weights(parts))
    assert whole.bound == parts.bound
    logs = [(tmp_path / which / "log.jsonl").read_text().splitlines() for which in ("whole", "parts")]
    one, other = ([{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in log] for log in logs)
    assert one == other
    for name in ("00000.024-kimg.png", "00000.048-kimg.png"):
        first, second = ((tmp_path / f"{which}.snapshots" / name).read_bytes() for which in ("whole", "parts"))
        assert first == second
    curves = read_curves(tmp_path / "parts")
    fitted, divergence, bound = (curves[f"{name} (nats)"] for name in ("reconstruction", "divergence", "bound"))
    assert bound.kimg == (0.024, 0.048)
    assert np.allclose(bound.values, -np.add(fitted.values, divergence.values))
    assert min(bound.errors) > 0


@pytest.mark.parametrize("lost", ["optimizer network/", "model/average.", "model/images"])
def test_every_part_of_the_state_matters(lost, tmp_path):
    pool, training = make_discs(), plan(kimg=0.036)
    whole = train_autoencoder(pool, training)
    train_autoencoder(pool, training, tmp_path / "parts", until=3)
    forget_part(tmp_path / "parts.training", lost)
    assert differing(weights(whole), weights(train_autoencoder(pool, training, tmp_path / "parts", resume=True)))


def test_the_bound_rises_and_more_weight_means_less_divergence():
    pool = make_discs(24)
    before = judge_bound(pool, STREAM)(build_autoencoder(SHAPE, STREAM))
    found = {w: train_autoencoder(pool, plan(kimg=0.6, kl_weight=w, learning_rate=3e-3)).bound for w in (0.1, 10.0)}
    assert all(one["bound (nats)"] > before["bound (nats)"] + 100 for one in found.values())
    assert found[10.0]["divergence (nats)"] < found[0.1]["divergence (nats)"] / 2
    assert found[10.0]["reconstruction (nats)"] > found[0.1]["reconstruction (nats)"]


def test_a_seed_means_one_picture_and_it_is_written_with_where_it_comes_from(tmp_path):
    trained = train_autoencoder(make_discs(), plan(kimg=0.012), tmp_path / "model")
    synthesizer = load_autoencoder(tmp_path / "model")
    assert synthesizer.digest == trained.synthesizer.digest
    many = synthesizer.draw(range(40)).astype(int)
    assert np.array_equal(synthesizer.draw(range(40)), many)
    assert max(abs(synthesizer.draw([seed])[0].astype(int) - many[seed]).max() for seed in (0, 35)) <= 1
    assert synthesizer.sample(STREAM, 3).shape == (3, 3, 16, 16)
    write_pictures(synthesizer, tmp_path / "made", [4, 9])
    rows = Manifest.read(tmp_path / "made" / "manifest.csv").rows
    assert [(row.stratum, row.seed) for row in rows] == [("other-machine|vae", "4"), ("other-machine|vae", "9")]


def test_tuning_goes_on_counting(tmp_path):
    train_autoencoder(make_discs(), plan(), tmp_path / "raw")
    tuned = train_autoencoder(make_discs(seed=3), plan(kimg=0.012), tmp_path / "tuned", tune=tmp_path / "raw")
    assert tuned.synthesizer.kimg == pytest.approx(0.060)
    assert load_autoencoder(tmp_path / "tuned").kimg == pytest.approx(0.060)
    with pytest.raises(InputError, match="cannot be tuned as"):
        train_autoencoder(make_discs(), plan(shape=AutoencoderShape(16, 8, 1, 3)), tune=tmp_path / "raw")


# -- latent diffusion


def test_a_codec_scales_what_is_denoised_and_undoes_it(tmp_path):
    pool = make_discs(40)
    train_autoencoder(pool, plan(kimg=0.6, kl_weight=0.01, learning_rate=3e-3), tmp_path / "model")
    codec = open_codec(tmp_path / "model", pool)
    images = as_tensor(pool.images)
    x = codec.encode(images)
    assert x.shape == (40, 4, 8, 8)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(4), rtol=0, atol=1e-3)
    plain = codec.autoencoder.decode(codec.autoencoder.encode(images)[0])
    torch.testing.assert_close(codec.decode(x), plain, rtol=0, atol=1e-3)
    assert float((plain - images).square().mean()) < float(images.var()) / 2
    with pytest.raises(InputError, match="takes 16 pixels; the images have 32"):
        open_codec(tmp_path / "model", make_discs(size=32))


def test_latent_diffusion_is_resumed_bit_for_bit_and_carries_its_autoencoder(tmp_path):
    pool = make_discs()
    train_autoencoder(pool, plan(), tmp_path / "auto")
    training = DiffusionTraining(
        DenoiserShape(16, 8), autoencoder=str(tmp_path / "auto"), kimg=0.048, batch=6, checkpoint_every=0, device="cpu",
        made=Manner(steps=2),
    )  # fmt: skip
    whole = train_diffusion(pool, training, tmp_path / "whole")
    train_diffusion(pool, training, tmp_path / "parts", until=4)
    parts = train_diffusion(pool, training, tmp_path / "parts", resume=True)
    assert not differing(weights(whole), weights(parts))
    assert whole.learner.denoiser.channels == 4
    (tmp_path / "auto").rename(tmp_path / "gone")
    synthesizer = load_diffusion(tmp_path / "parts", Manner(steps=2))
    assert (synthesizer.name, synthesizer.role) == ("latent-diffusion", "diffusion")
    assert synthesizer.digest == whole.synthesizer.digest
    assert abs(synthesizer.draw(range(3)).astype(int) - whole.synthesizer.draw(range(3))).max() <= 1
    tuned = train_diffusion(make_discs(seed=1), replace(training, autoencoder="", kimg=0.012), tune=tmp_path / "parts")
    assert not differing(load_codec(tmp_path / "parts").state_dict(), tuned.learner.codec.state_dict())
    with pytest.raises(InputError, match="leave autoencoder out"):
        train_diffusion(pool, replace(training, autoencoder=str(tmp_path / "gone")), tune=tmp_path / "parts")


def test_an_autoencoder_that_was_trained_anew_is_not_resumed_with(tmp_path):
    pool = make_discs()
    train_autoencoder(pool, plan(), tmp_path / "auto")
    training = DiffusionTraining(DenoiserShape(16, 8), autoencoder=str(tmp_path / "auto"), kimg=0.048, batch=6)
    train_diffusion(pool, training, tmp_path / "model", until=2)
    train_autoencoder(pool, plan(seed=5), tmp_path / "auto", force=True)
    with pytest.raises(InputError, match="other autoencoder"):
        train_diffusion(pool, training, tmp_path / "model", resume=True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: AutoencoderShape(size=20), "resolution is 20"),
        (lambda: AutoencoderShape(width=10), "width is 10"),
        (lambda: AutoencoderShape(halvings=5), "halvings is 5; expected 1 to 4 at 32 pixels"),
        (lambda: AutoencoderShape(latent=0), "latent is 0"),
        (lambda: plan(kl_weight=-1.0), "kl_weight is -1"),
        (lambda: plan(average=float("nan")), "average is nan"),
        (lambda: train_autoencoder(make_discs(size=32), plan()), "the networks take 16"),
    ],
)
def test_bad_input_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
