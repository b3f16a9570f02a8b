"""The commands that train diffusion models and autoencoders, and generate from them: what they say and refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import write_picture

for needed in ("torch", "accelerate", "safetensors", "timm", "diffusers"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

TINY = ["--resolution", "16", "--width", "8", "--train-batch-size", "4", "--threads", "1"]


@pytest.fixture
def gallery(tmp_path):
    folder = tmp_path / "pictures"
    for role in ("original", "proxy"):
        (folder / role).mkdir(parents=True)
        for number in range(4):
            drawn = np.random.default_rng([number, len(role)]).integers(0, 256, (40, 50, 3), dtype=np.uint8)
            write_picture(folder / role / f"{number}.png", drawn)
    return folder


def words(what, gallery, out, *more):
    return ["train", what, "--manifest", str(gallery), "--out", out, *more]


def test_it_trains_tunes_and_generates_what_is_asked_for(call, gallery, tmp_path):
    status, out, err = call(
        words("diffusion", gallery, "raw", "--classes", "role", "--kimg", "0.02", "--steps", "2", *TINY)
    )
    assert (status, err) == (0, "")
    for said in (
        "training a diffusion model at 16 x 16 on 8 pictures: 0.02 kimg in 5 steps of 4; objective flow",
        "classes original 4, proxy 4",
        "0.02 kimg shown",
        "wrote raw",
    ):
        assert said in out
    status, out, err = call(
        words("diffusion", gallery, "tuned", "--role", "proxy", "--tune", "raw", "--kimg", "0.064",
              "--steps", "1", "--threads", "1")
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "tuning raw, a diffusion model, at 16 x 16 on 4 pictures" in out
    assert "0.064 kimg shown, 0.084 in all trainings" in out
    made = ["generate", "tuned", "--out", "made", "--threads", "1", "--steps", "2"]
    status, out, err = call([*made, "--seeds", "3-5", "--label", "proxy", "--guidance", "1.5"])
    assert (status, err) == (0, "")
    assert "3 pictures of diffusion" in out
    rows = Manifest.read(tmp_path / "made" / "manifest.csv").rows
    assert [row.seed for row in rows] == ["3", "4", "5"]
    assert dict(rows[0].extra)["guidance"] == "1.5"
    for more, said in (
        (["--truncation", "0.5"], "truncation was given, and a diffusion model has none"),
        (["--label", "forgery"], "unknown class 'forgery'"),
        (["--sampler", "ddim"], "takes heun or euler"),
        (["--guidance", "-1"], "guidance is -1"),
    ):
        status, _, err = call(["generate", "tuned", "--out", "other", "--n", "2", *more])
        assert status == 2
        assert said in err
    assert not (tmp_path / "other").exists()


def test_a_sweep_makes_a_model_for_each_weight_and_diffusion_takes_one(call, gallery, tmp_path):
    sweep = words(
        "autoencoder", gallery, "sweep", "--kimg", "0.02", "--kl-weight", "0.1", "2", "--halvings", "1", *TINY
    )
    status, out, err = call(sweep)
    assert (status, err) == (0, "")
    assert "one for each weight of the divergence: 0.1, 2" in out
    assert "bound (nats)" in out.splitlines()[-1]
    assert {path.parent.name for path in (tmp_path / "sweep").glob("*/config.json")} == {"kl-0.1", "kl-2"}
    assert call(sweep)[0] == 2
    status, out, err = call([*sweep, "--resume"])
    assert (status, err) == (0, "")
    assert "wrote" not in out
    config = json.loads((tmp_path / "sweep" / "kl-2" / "config.json").read_text())
    assert config["kind"] == "autoencoder"
    assert config["configuration"]["history"][0]["options"]["kl_weight"] == 2
    latent = [
        "--autoencoder",
        "sweep/kl-0.1",
        "--width",
        "8",
        "--kimg",
        "0.02",
        "--train-batch-size",
        "4",
        "--threads",
        "1",
    ]
    status, out, err = call(words("diffusion", gallery, "latent", "--steps", "1", *latent))
    assert (status, err) == (0, "")
    assert "at 16 x 16 on 8 pictures" in out
    assert "on a latent map 4 x 8 x 8" in out
    for model, name in (("sweep/kl-2", "vae"), ("latent", "latent-diffusion")):
        status, out, err = call(["generate", model, "--n", "2", "--out", f"made-{name}", "--threads", "1"])
        assert (status, err) == (0, "")
        assert f"2 pictures of {name}" in out
    status, _, err = call(["generate", "sweep/kl-2", "--n", "2", "--out", "other", "--steps", "3"])
    assert status == 2
    assert "steps was given, and an autoencoder has none" in err


@pytest.mark.parametrize("what", ["diffusion", "autoencoder"])
def test_a_dry_run_prices_and_trains_nothing(what, call, gallery, tmp_path):
    status, out, _ = call(words(what, gallery, "model", "--dry-run", *TINY))
    assert status == 0
    for said in ("M parameters", "GFLOP per image", "GiB of memory", "images/s, measured now", "nothing was"):
        assert said in out
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.training").exists()


def test_a_configuration_can_be_printed_and_read_back(call, gallery, tmp_path):
    status, out, _ = call(words("diffusion", gallery, "model", "--width", "16", "--objective", "v", "--print-config"))
    assert status == 0
    assert 'objective = "v"' in out
    (tmp_path / "run.toml").write_text(out)
    again = call(["train", "diffusion", "--config", str(tmp_path / "run.toml"), "--print-config"])
    assert again[:2] == (0, out)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--objective", "score"], "unknown objective"),
        (["--resolution", "48"], "resolution is 48"),
        (["--classes", "hand"], "have no hand"),
        (["--classes", "colour"], "classes is 'colour'"),
        (["--sampler", "ddim"], "takes heun or euler"),
        (["--steps", "0"], "steps is 0"),
        (["--autoencoder", "nowhere"], "does not exist"),
        (["--widht", "8"], "--width"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(more, said, call, gallery, tmp_path):
    status, _, err = call(words("diffusion", gallery, "model", "--kimg", "0.064", *more))
    assert status == 2
    assert said in err
    assert not (tmp_path / "model.training").exists()
