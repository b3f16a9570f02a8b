"""LoRA on a tiny pipeline: resumed bit for bit, loaded by diffusers' own reader, and it learns."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from pyqmc_art.art.pictures import write_picture
from pyqmc_art.errors import InputError

for needed in ("torch", "safetensors", "diffusers", "transformers", "accelerate", "peft"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

import torch  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

from pyqmc_art.art.diffusion.lora import LoraTraining, train_lora  # noqa: E402
from pyqmc_art.art.diffusion.lora_price import price_lora  # noqa: E402
from pyqmc_art.art.diffusion.stable import Request, open_stable  # noqa: E402
from pyqmc_art.art.synthesis.pool import Pool, as_tensor  # noqa: E402
from pyqmc_art.testing.trainings import forget_part  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def make_pool(count=4, size=16):
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    names = tuple(map(str, range(count)))
    return Pool(images, np.arange(count), names, names)


def plan(**more):
    given = {"prompt": "a painting", "size": 16, "steps_shown": 2, "kimg": 0.012, "checkpoint_every": 0,
             "device": "cpu", "learning_rate": 1e-2}  # fmt: skip
    return LoraTraining(**given | more)


@pytest.mark.parametrize("which", ["stable", "stable_large"])
def test_resume_is_bit_exact_and_what_is_written_changes_pictures(which, request, tmp_path):
    base, pool = request.getfixturevalue(which), make_pool()
    whole = train_lora(base, pool, plan(), tmp_path / "whole")
    train_lora(base, pool, plan(), tmp_path / "parts", until=3)
    parts = train_lora(base, pool, plan(), tmp_path / "parts", resume=True)
    one, other = whole.learner.state_dict(), parts.learner.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    stored = [load_file(tmp_path / place / "pytorch_lora_weights.safetensors") for place in ("whole", "parts")]
    assert stored[0].keys() == stored[1].keys()
    assert all(np.array_equal(stored[0][name], stored[1][name]) for name in stored[0])
    assert any(np.abs(value).max() > 0 for name, value in stored[0].items() if "lora_B" in name)
    asked = {"prompt": "a painting", "steps": 3, "guidance": 3.0}
    plain = open_stable(base, Request(**asked)).draw([1])
    changed = open_stable(base, Request(**asked, lora=tmp_path / "whole"))
    made = changed.draw([1])
    assert (made != plain).any()
    assert dict(changed.manner)["lora"] == "whole"
    # What diffusers reads back is what was trained.
    trained = {name for name, _ in whole.synthesizer.pipeline.unet.named_parameters() if "lora" in name}
    assert trained == {
        name.replace("default_0", "default") for name, _ in changed.pipeline.unet.named_parameters() if "lora" in name
    }
    config = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert config["kind"] == "lora"
    assert config["configuration"]["history"][0]["images"] == 12
    assert len(list((tmp_path / "whole.snapshots").glob("*.png"))) == 1


@pytest.mark.parametrize("lost", ["optimizer changes/", "model/changes.", "model/images"])
def test_every_part_of_the_state_matters(lost, stable, tmp_path):
    """The power of the test above: a checkpoint that forgets one part gives another training."""
    pool = make_pool()
    whole = train_lora(stable, pool, plan())
    train_lora(stable, pool, plan(), tmp_path / "parts", until=3)
    forget_part(tmp_path / "parts.training", lost)
    parts = train_lora(stable, pool, plan(), tmp_path / "parts", resume=True)
    one, other = whole.learner.state_dict(), parts.learner.state_dict()
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_another_plan_is_not_resumed(stable, tmp_path):
    train_lora(stable, make_pool(), plan(), tmp_path / "model", until=2)
    with pytest.raises(InputError, match="other rank"):
        train_lora(stable, make_pool(), plan(rank=2), tmp_path / "model", resume=True)


@pytest.mark.parametrize("which", ["stable", "stable_large"])
def test_the_price_counts_what_there_is_and_twice_the_side_is_four_times_the_work(which, request):
    base = request.getfixturevalue(which)
    cost = price_lora(base, plan(kimg=0.5), threads=1)
    learner = train_lora(base, make_pool(), plan(kimg=0.002)).learner
    unet = learner.outside["pipeline"].unet
    assert cost.trained == sum(p.numel() for p in learner.changes.parameters()) > 0
    assert cost.parameters == sum(p.numel() for p in unet.parameters())
    assert cost.images == 500
    assert cost.rate > 0
    assert cost.seconds == pytest.approx(500 / cost.rate)
    # Attention grows faster than the number of places, projections of the sentence not at all.
    wide = price_lora(base, plan(size=32), threads=1)
    assert 3 * cost.gflop < wide.gflop < 8 * cost.gflop
    assert wide.memory > cost.memory


def test_the_loss_falls_and_the_network_itself_stays_as_it_is(stable):
    def frozen(unet):
        return {name.replace(".base_layer", ""): p.clone() for name, p in unet.named_parameters() if "lora" not in name}

    pool, before = make_pool(2), frozen(open_stable(stable, Request("a")).pipeline.unet)
    losses = {}
    for name, rate, kimg in (("moved", 3e-2, 0.2), ("still", 1e-9, 0.002)):
        trained = train_lora(stable, pool, plan(kimg=kimg, learning_rate=rate, mirror=False))
        after = frozen(trained.synthesizer.pipeline.unet)
        assert all(torch.equal(before[key], after[key]) for key in before)
        losses[name] = mean_loss(trained, pool)
    assert losses["moved"] < losses["still"] - 0.02


def mean_loss(trained, pool):
    """On what it was trained on, with the same noise for every network."""
    (turn,) = trained.learner.turns()
    vae = trained.synthesizer.pipeline.vae
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(2)
        x = vae.encode(as_tensor(pool.images)).latent_dist.mode() * vae.config.scaling_factor
        return float(turn.loss(trained.learner, x.repeat(50, 1, 1, 1)))


def test_bad_input_is_refused(stable, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="the training takes 16"):
        train_lora(stable, make_pool(size=32), plan())
    with pytest.raises(InputError, match="rank is 0"):
        plan(rank=0)
    with pytest.raises(InputError, match="the prompt is empty"):
        plan(prompt="")
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="does not fit this pipeline"):
        open_stable(stable, Request("a", lora=tmp_path))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match="LoRA needs peft"):
        train_lora(stable, make_pool(), plan())


def test_the_command_trains_and_generate_takes_it(call, stable, tmp_path):
    for number in range(3):
        drawn = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        (tmp_path / "pictures" / "original").mkdir(parents=True, exist_ok=True)
        write_picture(tmp_path / "pictures" / "original" / f"{number}.png", drawn)
    words = ["train", "lora", "--base", str(stable), "--manifest", "pictures", "--out", "changes", "--kimg", "0.008",
             "--steps", "2", "--threads", "1"]  # fmt: skip
    status, _, err = call(words)
    assert status == 2
    assert "no prompt was given" in err
    words += ["--prompt", "a painting by me"]
    status, out, err = call([*words, "--dry-run"])
    assert (status, err) == (0, "")
    assert "a stable-diffusion, at 16 x 16 on 3 pictures" in out
    assert all(word in out for word in ("GFLOP per image", "GiB of memory", "images/s, measured now: about"))
    assert not list(tmp_path.glob("changes*"))
    status, out, err = call(words)
    assert (status, err) == (0, "")
    assert "0.008 kimg shown" in out
    made = ["generate", str(stable), "--prompt", "a", "--steps", "2", "--lora", "changes", "--n", "2", "--out", "made"]
    status, out, err = call([*made, "--threads", "1"])
    assert (status, err) == (0, "")
    assert "2 pictures of stable-diffusion" in out
