"""Diffusion models: that a resumed training is the uninterrupted one, classes, tuning, and pictures from seeds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="torch is not installed")
for needed in ("accelerate", "safetensors", "diffusers"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

from pyqmc_art.art.diffusion.denoiser import DenoiserShape  # noqa: E402
from pyqmc_art.art.diffusion.models import Manner, load_diffusion  # noqa: E402
from pyqmc_art.art.diffusion.training import DiffusionTraining, find_classes, train_diffusion  # noqa: E402
from pyqmc_art.art.synthesis.generation import write_pictures  # noqa: E402
from pyqmc_art.art.synthesis.pool import Pool  # noqa: E402
from pyqmc_art.testing.trainings import forget_part  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

STREAM = Stream.from_seed(12)


def make_pool(count=12, size=16, seed=0, roles=("original", "proxy")):
    """Plain pictures, red ones of the first role and blue ones of the second."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, size, size, 3), dtype=np.uint8)
    owned = tuple(roles[k % len(roles)] for k in range(count))
    for image, role in zip(images, owned, strict=True):
        image[..., 0 if role == "original" else 2] += 180
    names = tuple(f"{k}.png" for k in range(count))
    return Pool(images, np.arange(count), names, tuple(f"{seed}-{k}" for k in range(count)), owned, ("A",) * count)


def plan(**more):
    given = {"shape": DenoiserShape(16, 8), "kimg": 0.048, "batch": 6, "checkpoint_every": 0, "device": "cpu",
             "made": Manner(steps=2)}  # fmt: skip
    return DiffusionTraining(**given | more)


def weights(trained):
    return {name: value.clone() for name, value in trained.learner.state_dict().items()}


def differing(one, other):
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.parametrize(("objective", "classes"), [("flow", "none"), ("v", "role"), ("epsilon", "none")])
def test_resume_is_bit_exact(objective, classes, tmp_path):
    """2 N steps == N steps, resume, N steps: weights, averages, moments, counter, log, sheets."""
    pool = make_pool()
    training = plan(shape=DenoiserShape(16, 8, objective=objective), classes=classes, snapshot_kimg=0.024)
    whole = train_diffusion(pool, training, tmp_path / "whole")
    train_diffusion(pool, training, tmp_path / "parts", until=4)
    parts = train_diffusion(pool, training, tmp_path / "parts", resume=True)
    assert not differing(weights(whole), weights(parts))
    assert int(parts.learner.images) == 48
    for name in ("average", "denoiser"):
        one, other = ((tmp_path / which / f"{name}.safetensors").read_bytes() for which in ("whole", "parts"))
        assert one == other
    logs = [(tmp_path / which / "log.jsonl").read_text().splitlines() for which in ("whole", "parts")]
    one, other = ([{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in log] for log in logs)
    assert one == other
    assert [line["kimg"] for line in one if "kimg" in line] == [0.024, 0.048]
    for name in ("00000.024-kimg.png", "00000.048-kimg.png"):
        first, second = ((tmp_path / f"{which}.snapshots" / name).read_bytes() for which in ("whole", "parts"))
        assert first == second
    assert not (tmp_path / "parts.training").exists()


@pytest.mark.parametrize("lost", ["optimizer denoiser/", "model/average.", "model/images"])
def test_every_part_of_the_state_matters(lost, tmp_path):
    """The power of the test above: a checkpoint that forgets one part gives another training."""
    pool, training = make_pool(), plan(kimg=0.036)
    whole = train_diffusion(pool, training)
    train_diffusion(pool, training, tmp_path / "parts", until=3)
    forget_part(tmp_path / "parts.training", lost)
    assert differing(weights(whole), weights(train_diffusion(pool, training, tmp_path / "parts", resume=True)))


def test_another_plan_is_not_resumed(tmp_path):
    train_diffusion(make_pool(), plan(), tmp_path / "model", until=2)
    with pytest.raises(InputError, match="other shape"):
        other = plan(shape=DenoiserShape(16, 8, objective="v"))
        train_diffusion(make_pool(), other, tmp_path / "model", resume=True)
    longer = train_diffusion(make_pool(), plan(kimg=0.06), tmp_path / "model", resume=True)
    assert int(longer.learner.images) == 60


def test_tuning_goes_on_counting_with_the_classes_that_are_known(tmp_path):
    train_diffusion(make_pool(), plan(classes="role"), tmp_path / "raw")
    reds = make_pool(6, seed=3, roles=("original",))
    tuned = train_diffusion(reds, plan(classes="role", kimg=0.012), tmp_path / "tuned", tune=tmp_path / "raw")
    synthesizer = load_diffusion(tmp_path / "tuned")
    assert synthesizer.digest == tuned.synthesizer.digest
    assert synthesizer.kimg == pytest.approx(0.060)
    assert [stage["stage"] for stage in synthesizer.history] == ["pre-train", "tune"]
    assert synthesizer.classes == {"original": 6, "proxy": 0}
    with pytest.raises(InputError, match="does not know the role forgery"):
        train_diffusion(make_pool(roles=("forgery",)), plan(classes="role"), tune=tmp_path / "raw")
    with pytest.raises(InputError, match="cannot be tuned as"):
        train_diffusion(reds, plan(), tune=tmp_path / "raw")


def test_classes_are_those_of_the_manifest():
    classes, labels = find_classes(make_pool(6), "role")
    assert classes == {"original": 3, "proxy": 3}
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    with pytest.raises(InputError, match="all pictures have the hand A"):
        find_classes(make_pool(6), "hand")
    with pytest.raises(InputError, match=r"2 pictures have no role, 0\.png for one"):
        find_classes(replace(make_pool(4), roles=("", "proxy", "", "proxy")), "role")
    assert find_classes(make_pool(6), "none")[0] == {}


@pytest.mark.slow
def test_a_class_that_is_asked_for_is_what_is_made(tmp_path):
    """Red originals, blue proxies: after a short training all pictures of a class have its colour."""
    training = plan(shape=DenoiserShape(16, 16), classes="role", kimg=3, batch=16, learning_rate=2e-3, average=0.5)
    made = train_diffusion(make_pool(64), training).synthesizer
    for label, channel in (("original", 0), ("proxy", 2)):
        pictures = replace(made, made=Manner(label=label)).draw(range(20)).astype(float).mean((1, 2))
        assert (pictures[:, channel] > pictures[:, 2 - channel] + 60).all()
    mixed = made.draw(range(40)).astype(float).mean((1, 2))
    assert 8 < (mixed[:, 0] > mixed[:, 2]).sum() < 32


@pytest.mark.parametrize(("objective", "sampler"), [("flow", "heun"), ("v", "ddpm")])
def test_a_seed_means_one_picture_whatever_else_is_asked_for(objective, sampler, tmp_path):
    """Alone, among two and among twenty: within one grey level of 255, and bit for bit in the same company."""
    training = plan(shape=DenoiserShape(16, 8, objective=objective), classes="role", kimg=0.012)
    train_diffusion(make_pool(), training, tmp_path / "model")
    synthesizer = load_diffusion(tmp_path / "model", Manner(sampler, 3))
    many = synthesizer.draw(range(20)).astype(int)
    assert np.array_equal(synthesizer.draw(range(20)), many)
    for seed in (0, 7, 19):
        assert abs(synthesizer.draw([seed])[0].astype(int) - many[seed]).max() <= 1
    assert abs(synthesizer.draw([19, 7]).astype(int) - many[[19, 7]]).max() <= 1
    assert abs(many[0] - many[1]).max() > 20
    made = synthesizer.sample(STREAM, 3)
    assert made.shape == (3, 3, 16, 16)
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    torch.testing.assert_close(made[:2], synthesizer.sample(STREAM, 2), rtol=0, atol=1e-3)


def test_pictures_are_written_with_where_they_come_from(tmp_path):
    trained = train_diffusion(make_pool(), plan(classes="role", kimg=0.012), tmp_path / "model")
    synthesizer = load_diffusion(tmp_path / "model", Manner("euler", 3, 2.0, "proxy"))
    write_pictures(synthesizer, tmp_path / "made", range(3, 6))
    found = Manifest.read(tmp_path / "made" / "manifest.csv")
    assert [row.seed for row in found] == ["3", "4", "5"]
    assert {row.stratum for row in found} == {"diffusion|diffusion"}
    assert dict(found.rows[0].extra) == {
        "checkpoint": trained.synthesizer.digest, "kimg": "0.012", "objective": "flow", "sampler": "euler",
        "steps": "3", "class": "proxy", "guidance": "2",
    }  # fmt: skip
    assert not found.check().problems
    assert (tmp_path / "made-sheet.png").is_file()


@pytest.mark.parametrize(
    ("manner", "classes", "said"),
    [
        (Manner("ddim"), {}, "takes heun or euler"),
        (Manner(steps=0), {}, "steps is 0"),
        (Manner(guidance=float("nan")), {"a": 1}, "guidance is nan"),
        (Manner(guidance=2.0), {}, "trained without classes"),
        (Manner(label="a"), {}, "trained without classes"),
        (Manner(label="orignal"), {"original": 1, "proxy": 1}, "did you mean 'original'"),
    ],
)
def test_bad_manners_are_refused(manner, classes, said):
    with pytest.raises(InputError, match=said):
        manner.settle(DenoiserShape(), classes)


def test_bad_plans_are_refused(tmp_path):
    with pytest.raises(InputError, match="classes is 'roles'"):
        plan(classes="roles")
    with pytest.raises(InputError, match="drop is 1"):
        plan(drop=1.0)
    with pytest.raises(InputError, match="average is -1"):
        plan(average=-1.0)
    with pytest.raises(InputError, match="the network takes 16"):
        train_diffusion(make_pool(size=32), plan())
    train_diffusion(make_pool(), plan(kimg=0.006), tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["configuration"]["shape"].pop("width")
    config["configuration"]["shape"]["broad"] = 8
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="does not say what diffusion model it holds"):
        load_diffusion(tmp_path / "model")
