"""Stable Diffusion from a local directory: tiny random pipelines take the very path of the large ones."""

from __future__ import annotations

import json
import shutil
import socket

import numpy as np
import pytest

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import write_picture
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

for needed in ("torch", "safetensors", "diffusers", "transformers", "accelerate"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

import torch  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402

from pyqmc_art.art.diffusion.stable import Request, open_stable  # noqa: E402
from pyqmc_art.art.diffusion.stable_folder import looks_stable, open_folder  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **more):
        raise AssertionError("somebody asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def photo(tmp_path):
    y, x = np.mgrid[:40, :60]
    pixels = np.stack([4 * x, 6 * y, 255 - 4 * x], axis=-1).astype(np.uint8)
    return write_picture(tmp_path / "photo.png", pixels)


@pytest.fixture
def hole(tmp_path):
    mask = np.zeros((40, 60, 3), np.uint8)
    mask[:, 30:] = 255
    return write_picture(tmp_path / "hole.png", mask)


@pytest.mark.parametrize(("which", "name"), [("stable", "stable-diffusion"), ("stable_large", "stable-diffusion-xl")])
def test_words_become_pictures_that_are_functions_of_their_seeds(which, name, request):
    made = open_stable(request.getfixturevalue(which), Request("a painting, blue", steps=3, guidance=4.0))
    assert (made.name, made.role) == (name, "diffusion")
    many = made.draw(range(6)).astype(int)
    assert many.shape == (6, 16, 16, 3)
    assert np.array_equal(made.draw(range(6)), many)
    assert abs(made.draw([5]).astype(int)[0] - many[5]).max() <= 1
    assert abs(made.draw([5, 1]).astype(int) - many[[5, 1]]).max() <= 1
    assert abs(many[0] - many[1]).max() > 3
    images = made.sample(Stream.from_seed(1), 2)
    assert images.shape == (2, 3, 16, 16)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1


def test_what_is_asked_for_matters(stable):
    def draw(**more):
        asked = {"prompt": "a painting", "steps": 3, "guidance": 4.0}
        return open_stable(stable, Request(**asked | more)).draw([3]).astype(int)

    plain = draw()
    for more in ({"prompt": "zzz"}, {"negative": "blue"}, {"guidance": 9.0}, {"steps": 5}):
        assert (draw(**more) != plain).any(), more
    assert draw(size=(32, 16)).shape == (1, 16, 32, 3)
    # Without guidance nobody looks at what shall not be seen.
    assert np.array_equal(draw(guidance=1.0), draw(guidance=1.0, negative="blue"))


@pytest.mark.parametrize("which", ["stable", "stable_large"])
def test_a_picture_is_started_from(which, request, photo, tmp_path):
    folder = request.getfixturevalue(which)

    def draw(strength, image=photo):
        asked = Request("a painting", steps=10, guidance=2.0, image=image, strength=strength)
        made, looks = open_stable(folder, asked), []
        made.pipeline.unet.register_forward_hook(lambda *_: looks.append(1))
        return made.draw([1, 2]).astype(int), len(looks)

    weak, few = draw(0.3)
    strong, all_ = draw(1.0)
    assert (few, all_) == (3, 10)
    assert weak.shape == (2, 16, 16, 3)
    assert (weak != strong).any()
    assert abs(weak[0] - weak[1]).max() > 3
    plain = write_picture(tmp_path / "plain.png", np.full((30, 30, 3), 200, np.uint8))
    assert abs(draw(0.3, plain)[0] - weak).mean() > 1


@pytest.mark.parametrize("which", ["stable", "stable_inpainting", "stable_large"])
def test_a_hole_is_filled(which, request, photo, hole):
    asked = Request("a painting", steps=4, guidance=2.0, image=photo, mask=hole, strength=1.0)
    made = open_stable(request.getfixturevalue(which), asked)
    assert dict(made.manner)["task"] == "inpaint"
    images = made.draw([1, 2]).astype(int)
    assert images.shape == (2, 16, 16, 3)
    # What stays differs less from seed to seed than what is painted anew.
    change = abs(images[0] - images[1]).mean((0, 2))
    if which != "stable_inpainting":  # there it is up to the network, which here knows nothing
        assert change[:4].mean() < change[-4:].mean() / 2


def test_a_directory_is_named_by_its_content(stable, tmp_path):
    copy = shutil.copytree(stable, tmp_path / "copy")
    assert open_folder(copy).digest() == open_folder(stable).digest()
    config = copy / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("0.012", "0.013"))
    assert open_folder(copy).digest() != open_folder(stable).digest()


def test_no_safety_checker_is_no_error_and_one_that_is_listed_is_left_aside(stable, tmp_path):
    copy = shutil.copytree(stable, tmp_path / "copy")
    index = json.loads((copy / "model_index.json").read_text())
    index |= {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "requires_safety_checker": True}
    (copy / "model_index.json").write_text(json.dumps(index))
    one, other = (open_stable(x, Request("a", steps=2)).draw([1]) for x in (stable, copy))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_part_that_is_missing_is_named(part, stable, tmp_path):
    copy = shutil.copytree(stable, tmp_path / "copy")
    shutil.rmtree(copy / part)
    with pytest.raises(InputError, match=f"is incomplete: no {part}. Copy the whole"):
        open_folder(copy)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("model_index.json", "no model_index.json"),
        ("unet/config.json", "no unet/config.json"),
        ("unet/diffusion_pytorch_model.safetensors", "no unet/diffusion_pytorch_model.safetensors"),
        ("text_encoder/model.safetensors", "no text_encoder/model.safetensors"),
        ("scheduler/scheduler_config.json", "no scheduler/scheduler_config.json"),
    ],
)
def test_a_file_that_is_missing_is_named(file, said, stable, tmp_path):
    copy = shutil.copytree(stable, tmp_path / "copy")
    (copy / file).unlink()
    assert looks_stable(copy)
    with pytest.raises(InputError, match=said):
        open_folder(copy)


def test_pickles_damage_and_strangers_are_refused(stable, tmp_path):
    copy = shutil.copytree(stable, tmp_path / "copy")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is damaged"):
        open_folder(copy)
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(InputError, match=r"only diffusion_pytorch_model\.bin, a pickle, which is never read"):
        open_folder(copy)
    (copy / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(InputError, match="holds a FluxPipeline; expected Stable Diffusion"):
        open_folder(copy)
    (copy / "model_index.json").write_text("{")
    with pytest.raises(InputError, match=r"model_index\.json cannot be read"):
        open_folder(copy)
    with pytest.raises(InputError, match="nowhere does not exist"):
        open_folder(tmp_path / "nowhere")


def test_weights_of_another_network_are_refused(stable, stable_large, tmp_path):
    copy = shutil.copytree(stable, tmp_path / "copy")
    config = json.loads((copy / "unet" / "config.json").read_text())
    (copy / "unet" / "config.json").write_text(json.dumps(config | {"cross_attention_dim": 24}))
    with pytest.raises(InputError, match="copy cannot be loaded"):
        open_stable(copy, Request("a"))


def test_half_precision_files_and_shards_are_found(stable, tmp_path):
    half = shutil.copytree(stable, tmp_path / "half")
    for file in list(half.rglob("*.safetensors")):
        tensors = {name: value.astype(np.float16) for name, value in load_file(file).items()}
        save_file(tensors, file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")), {"format": "pt"})
        file.unlink()
    one, other = (open_stable(x, Request("a", steps=2)) for x in (stable, half))
    assert {p.dtype for p in (*other.pipeline.unet.parameters(), *other.pipeline.text_encoder.parameters())} == {
        torch.float32
    }
    assert abs(one.draw([1]).astype(int) - other.draw([1])).max() <= 2
    shards = shutil.copytree(stable, tmp_path / "shards")
    file = shards / "unet" / "diffusion_pytorch_model.safetensors"
    index = {"metadata": {}, "weight_map": {"conv_in.weight": "diffusion_pytorch_model-00001-of-00001.safetensors"}}
    file.with_name(f"{file.name}.index.json").write_text(json.dumps(index))
    file.unlink()
    with pytest.raises(InputError, match=r"no unet/diffusion_pytorch_model-00001-of-00001\.safetensors"):
        open_folder(shards)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": " "}, "the prompt is empty"),
        ({"steps": 0}, "steps is 0"),
        ({"guidance": float("inf")}, "guidance is inf"),
        ({"strength": 0.0}, "strength is 0"),
        ({"mask": "m.png"}, "a mask was given without an image"),
        ({"image": "i.png", "strength": 0.1, "steps": 5}, "is no step"),
    ],
)
def test_bad_requests_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        Request(**{"prompt": "a"} | given)


def test_requests_that_do_not_suit_are_refused(stable, stable_inpainting, tmp_path):
    with pytest.raises(InputError, match="was made for inpainting alone"):
        open_stable(stable_inpainting, Request("a"))
    with pytest.raises(InputError, match="resolution is 15 x 16; expected multiples of 2"):
        open_stable(stable, Request("a", size=(15, 16)))
    with pytest.raises(InputError, match=r"holds no pytorch_lora_weights\.safetensors"):
        open_stable(stable, Request("a", lora=tmp_path))


def test_the_command_writes_pictures_with_their_words_and_ranks_them(call, model, stable, tmp_path):
    """The detector of the other tests takes its pick of six candidates of 48 pixels."""
    made = ["generate", str(stable), "--prompt", "a harbour", "--steps", "2", "--resolution", "48", "--threads", "1"]
    status, out, err = call([*made, "--n", "6", "--out", "all"])
    assert (status, err) == (0, "")
    assert "6 pictures of stable-diffusion" in out
    rows = Manifest.read(tmp_path / "all" / "manifest.csv").rows
    assert {row.prompt for row in rows} == {"a harbour"}
    assert [row.seed for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert dict(rows[0].extra)["checkpoint"] == open_folder(stable).digest()
    assert "kimg" not in dict(rows[0].extra)
    status, out, err = call([*made, "--n", "6", "--out", "best", "--rank-by", str(model), "--keep", "2"])
    assert (status, err) == (0, "")
    assert "the best 2 of 6 pictures" in out
    best = Manifest.read(tmp_path / "best" / "manifest.csv").rows
    facts = [dict(row.extra) for row in best]
    assert [one["rank"] for one in facts] == ["1", "2"]
    assert {one["candidates"] for one in facts} == {"6"}
    assert float(facts[0]["log_odds"]) >= float(facts[1]["log_odds"])
    assert len(list((tmp_path / "best").glob("*.png"))) == 2
    judged = json.loads(call(["judge", str(model), str(tmp_path / "all"), "--json"])[1])
    odds = {one["work"]: one["log_odds"] for one in judged}
    expected = sorted(odds.values(), reverse=True)[:2]
    assert [float(one["log_odds"]) for one in facts] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "no prompt was given"),
        (["--prompt", "a", "--label", "proxy"], "label was given, and Stable Diffusion has none"),
        (["--prompt", "a", "--resolution", "8", "16", "24"], "resolution has 3 numbers"),
        (["--prompt", "a", "--keep", "2"], "rank_by and keep belong together"),
        (["--prompt", "a", "--rank-by", "nowhere", "--keep", "2"], "nowhere does not exist"),
        (["--prompt", "a", "--image", "nowhere.png"], "nowhere.png"),
    ],
)
def test_bad_input_is_refused(more, said, call, stable, tmp_path):
    status, _, err = call(["generate", str(stable), "--n", "3", "--out", "made", *more])
    assert status == 2
    assert said in err
    assert not list((tmp_path / "made").glob("*.png"))
