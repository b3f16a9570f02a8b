"""The command that trains GANs: what it says, what it refuses, and that a tuned model goes on counting."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import write_picture

for needed in ("torch", "accelerate", "safetensors", "timm"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

TINY = ["--resolution", "32", "--width", "2", "--latent", "4", "--train-batch-size", "4", "--threads", "1"]


@pytest.fixture
def gallery(tmp_path):
    folder = tmp_path / "pictures"
    for role in ("original/The Master", "proxy"):
        (folder / role).mkdir(parents=True)
        for number in range(4):
            drawn = np.random.default_rng([number, len(role)]).integers(0, 256, (40, 50, 3), dtype=np.uint8)
            write_picture(folder / role / f"{number}.png", drawn)
    return folder


def words(gallery, out, *more):
    return ["train", "gan", "--manifest", str(gallery), "--out", out, *more]


def test_it_trains_tunes_and_says_what_it_did(call, gallery, tmp_path):
    status, out, err = call([*words(gallery, "raw", "--role", "proxy", "--kimg", "0.02", *TINY)])
    assert (status, err) == (0, "")
    for said in (
        "training a dcgan at 32 x 32 on 4 pictures: 0.02 kimg in 5 steps of 4",
        "0.02 kimg shown",
        "wrote raw",
    ):
        assert said in out
    status, out, err = call(words(gallery, "tuned", "--hand", "master", "--tune", "raw", "--kimg", "0.064"))
    assert (status, err) == (0, "")
    assert "tuning raw, a dcgan, at 32 x 32 on 4 pictures" in out
    assert "0.064 kimg shown, 0.084 in all trainings" in out
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())
    assert config["kind"] == "gan"
    assert [stage["images"] for stage in config["configuration"]["history"]] == [20, 64]
    assert len(list((tmp_path / "tuned.snapshots").glob("*.png"))) == 1


def test_a_dry_run_prices_and_trains_nothing(call, gallery, tmp_path):
    status, out, _ = call(words(gallery, "model", "--dry-run", *TINY))
    assert status == 0
    for said in ("M parameters", "GFLOP per image forward", "GiB of memory", "images/s, measured now", "nothing was"):
        assert said in out
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.training").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--role", "diffusion"], "no picture in"),
        (["--kind", "stylegan3"], "did you mean 'stylegan2'"),
        (["--freeze", "9"], "freeze is 9"),
        (["--kimg", "inf"], "kimg is inf"),
        (["--snapshot-kimg", "inf"], "snapshot_kimg is inf"),
        (["--phases", "3"], "phases has 1 numbers"),
        (["--tune", "nowhere"], "the model directory nowhere does not exist"),
        (["--kimg", "0"], "kimg is 0"),
        (["--kimg", "nan"], "kimg is nan"),
        (["--learning-rate", "inf"], "learning rate is inf"),
        (["--average", "nan"], "average is nan"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(call, gallery, tmp_path, more, said):
    status, _, err = call(words(gallery, "model", *TINY, *more))
    assert status == 2
    assert said in err
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.training").exists()


def test_an_unreadable_picture_is_named(call, gallery):
    (gallery / "proxy" / "0.png").write_bytes(b"no picture")
    status, _, err = call(words(gallery, "model", *TINY))
    assert status == 2
    assert "0.png" in err


def test_generate_makes_pictures_of_seeds_with_a_manifest_and_a_sheet(call, gallery, tmp_path):
    assert call([*words(gallery, "raw", "--role", "proxy", "--kimg", "0.02", *TINY)])[0] == 0
    made = ["generate", "raw", "--out", "made", "--threads", "1"]
    status, out, err = call([*made, "--seeds", "3-5"])
    assert (status, err) == (0, "")
    assert "3 pictures of dcgan" in out
    assert "as raw-gan" in out
    rows = Manifest.read(tmp_path / "made" / "manifest.csv").rows
    assert [row.seed for row in rows] == ["3", "4", "5"]
    assert (tmp_path / "made-sheet.png").is_file()
    assert call([*made, "--n", "2"])[0] == 2
    kept = tmp_path / "made" / "notes.txt"
    kept.write_text("mine")
    assert call([*made, "--n", "2", "--seed", "4", "--force"])[0] == 0
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert names == {"dcgan-000004.png", "dcgan-000005.png", "manifest.csv", "notes.txt"}
    again = Manifest.read(tmp_path / "made" / "manifest.csv").rows
    assert [row.sha256 for row in again] == [row.sha256 for row in rows[1:]]
    for more, said in ((["--m2", "1"], "a GAN has none"), (["--truncation", "-1"], "truncation is -1")):
        status, _, err = call(["generate", "raw", "--out", "other", "--n", "2", *more])
        assert status == 2
        assert said in err
