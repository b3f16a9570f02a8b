"""The command that judges: text and JSON, the page, a folder full of every kind of file, and what it refuses."""

from __future__ import annotations

import json
import shutil
import struct
import tomllib
import zlib

import numpy as np
import pytest
from PIL import Image

from pyqmc_art.art.pictures import read_picture
from pyqmc_art.learning.pretrained import Pretrained, write_pretrained

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

KEYS = ["work", "log_odds", "interval", "verdict", "votes", "warnings"]
VERDICTS = {"the hand", "another hand", "machine-made", "no verdict"}


@pytest.fixture
def here(painted, model, tmp_path):
    """A folder with the model and new works."""
    shutil.copytree(model, tmp_path / "model")
    shutil.copytree(painted / "new", tmp_path / "new works")
    return tmp_path


def check_array(text, count):
    found = json.loads(text)
    assert isinstance(found, list) and len(found) == count
    for one in found:
        assert list(one) == KEYS
        assert isinstance(one["log_odds"], float)
        assert one["interval"][0] <= one["log_odds"] <= one["interval"][1]
        assert one["verdict"] in VERDICTS
        assert set(one["votes"]) == {"hand", "other"}
        assert all(isinstance(warning, str) for warning in one["warnings"])
    return found


def test_json_is_one_array_and_nothing_else(call, here):
    status, out, err = call(["judge", "model", "new works", "--json"])
    assert (status, err) == (0, "")
    found = check_array(out, 8)
    assert [one["work"] for one in found] == sorted(one["work"] for one in found)
    assert found[0]["work"] == "new works/diffusion/diffusion-0001.png"


def test_text_has_a_sentence_for_every_work(call, here):
    status, out, err = call(["judge", "model", "new works/original", "new works/proxy/proxy-0001.png"])
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("Simulated Master or not: judged by model, calibrated on ")
    for name in ("original/original-0001.png", "original/original-0002.png", "proxy/proxy-0001.png"):
        rows = [line for line in lines if line.startswith(f"new works/{name}")]
        assert len(rows) == 2
        assert "95 % interval" in rows[1]


def test_text_and_json_agree(call, here):
    _, out, _ = call(["judge", "model", "new works", "--json"])
    _, text, _ = call(["judge", "model", "new works"])
    for one in json.loads(out):
        assert any(line.startswith(one["work"]) and f"{one['log_odds']:+.2f}" in line for line in text.splitlines())


def test_priors(call, here):
    values = []
    for prior in ("0.1", "0.5", "0.9"):
        _, out, _ = call(["judge", "model", "new works/original", "--json", "--prior", prior])
        values.append([one["log_odds"] for one in json.loads(out)])
    assert (np.diff(values, axis=0) > 0).all()


def test_a_report(call, here):
    status, out, err = call(["judge", "model", "new works", "--json", "--report", "a report"])
    assert status == 0
    check_array(out, 8)
    assert err == "wrote a report/index.html and a report/index.json\n"
    assert (here / "a report/index.html").read_text().count("<section") == 11
    assert len(json.loads((here / "a report/index.json").read_text())["works"]) == 8
    status, out, err = call(["judge", "model", "new works", "--report", "a report"])
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "--force" in err
    assert call(["judge", "model", "new works/proxy", "--report", "a report", "--force"])[0] == 0


def png_header(width, height):
    """A PNG that claims to be enormous."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.fixture
def zoo(here, painted):
    """A folder with every kind of file that a folder may hold."""
    folder = here / "zoo with späce"
    (folder / "deep/deeper").mkdir(parents=True)
    pixels = read_picture(painted / "new/original/original-0001.png").pixels
    image = Image.fromarray(pixels)
    image.convert("CMYK").save(folder / "cmyk.jpg", "JPEG")
    values = pixels[..., 0].astype(np.uint16) * 257
    Image.fromarray(values).save(folder / "deep/16 bit.png")
    image.convert("P").save(folder / "palette.png")
    image.convert("RGBA").save(folder / "deep/deeper/alpha ünïcode.png")
    image.save(folder / "animated.gif", save_all=True, append_images=[image.rotate(90)])
    image.save(folder / "no suffix", "PNG")
    whole = (painted / "new/original/original-0001.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "zero.jpg").touch()
    (folder / "a text.jpg").write_bytes(b"%PDF-1.7\n")
    (folder / "bomb.png").write_bytes(png_header(60_000, 60_000) + bytes(100))
    (folder / "dot.png").write_bytes(b"")
    Image.new("RGB", (3, 3)).save(folder / "tiny.png")
    (folder / "notes.txt").write_text("no picture, and nobody says so")
    (folder / ".hidden.png").write_bytes(whole)
    return folder


BROKEN = ("a text.jpg", "bomb.png", "dot.png", "tiny.png", "truncated.png", "zero.jpg")
READABLE = ("animated.gif", "cmyk.jpg", "deep/16 bit.png", "deep/deeper/alpha ünïcode.png", "no suffix", "palette.png")


def test_a_folder_of_everything(call, zoo):
    status, out, err = call(["judge", "model", zoo.name, "--json", "--report", "page.html"])
    assert status == 2
    found = check_array(out, len(READABLE))
    assert [one["work"] for one in found] == sorted(f"{zoo.name}/{name}" for name in READABLE)
    lines = [line for line in err.splitlines() if line.startswith("pyqmc-art: ")]
    assert len(lines) == len(BROKEN)
    for name in BROKEN:
        assert sum(f"/{name}: " in line for line in lines) == 1
    assert "Traceback" not in err
    said = {one["work"].split("/")[-1]: " ".join(one["warnings"]) for one in found}
    assert "CMYK" in said["cmyk.jpg"]
    assert "16-bit" in said["16 bit.png"]
    assert "first one was taken" in said["animated.gif"]
    page = (zoo.parent / "page.html").read_text()
    assert "Not judged" in page
    assert all(name in page for name in BROKEN)


def test_nothing_readable_is_an_empty_array(call, zoo):
    status, out, err = call(["judge", "model", f"{zoo.name}/zero.jpg", f"{zoo.name}/missing.png", "--json"])
    assert (status, json.loads(out)) == (2, [])
    assert len(err.splitlines()) == 2
    assert "there is no such file" in err


BAD = [
    (["judge"], "no model was given", "pyqmc-art judge model picture.jpg"),
    (["judge", "model"], "no picture was given"),
    (["judge", "nowhere", "new works"], "nowhere does not exist"),
    (["judge", "new works", "new works"], "no model directory", "config.json"),
    (["judge", "a flow", "new works"], "holds a flow; expected a residual detector or"),
    (["judge", "damaged", "new works"], "head.safetensors", "checksum"),
    (["judge", "model", "empty"], "empty: there are no pictures in this folder"),
    (["judge", "model", "new works", "--prior", "1"], "prior is 1.0"),
    (["judge", "model", "new works", "--prior-human", "-2"], "prior is -2.0"),
    (["judge", "model", "new works", "--prior", "high"], "--prior", "high"),
    (["judge", "model", "new works", "--threads", "0"], "threads is 0"),
    (["judge", "model", "new works", "--report", "a file/page"], "a file is a file"),
    (["judge", "model", "new works", "--report", "taken.html"], "taken.html exists", "--force"),
    (["judge", "model", "new works", "--jsn"], "--jsn", "Did you mean --json"),
    (["judge", "--config", "wrong.toml"], "'modle'", "did you mean 'model'"),
]


@pytest.mark.parametrize(("words", "needles"), [(row[0], row[1:]) for row in BAD], ids=[" ".join(r[0]) for r in BAD])
def test_bad_input_is_one_line_and_changes_nothing(call, here, contents, words, needles):
    (here / "empty").mkdir()
    (here / "a file").touch()
    (here / "taken.html").touch()
    (here / "wrong.toml").write_text('modle = "x"\n')
    write_pretrained(here / "a flow", Pretrained("flow", {}))
    shutil.copytree(here / "model", here / "damaged")
    (here / "damaged/head.safetensors").write_bytes(b"something else")
    before = contents(here)
    status, out, err = call(words)
    assert (status, out) == (2, "")
    assert err.startswith("pyqmc-art: ")
    assert err.count("\n") == 1
    for needle in needles:
        assert needle in err
    assert contents(here) == before


def test_what_print_config_prints_config_reads(call, here):
    status, out, err = call(["judge", "model", "new works", "a b.png", "--prior", "0.2", "--print-config"])
    assert (status, err) == (0, "")
    assert tomllib.loads(out)["pictures"] == ["new works", "a b.png"]
    (here / "settings.toml").write_text(out)
    assert call(["judge", "--config", "settings.toml", "--print-config"]) == (0, out, "")
    (here / "one.toml").write_text('model = "model"\npictures = "new works/proxy"\njson = true\n')
    status, out, _ = call(["judge", "--config", "one.toml"])
    assert status == 0
    check_array(out, 2)


def test_as_a_process(run_command, here, tmp_path):
    (tmp_path / "new works/zero.png").touch()
    status, out, err = run_command("judge", "model", "new works", "--json", cwd=tmp_path)
    assert status == 2
    check_array(out, 8)
    assert err == "pyqmc-art: new works/zero.png: is empty (zero bytes)\n"


def test_the_same_from_python(call, here):
    from pyqmc_art import art

    _, out, _ = call(["judge", "model", "new works", "--json"])
    assert art.judge("model", "new works").to_json() == json.loads(out)


def test_help(call):
    status, out, err = call("judge --help")
    assert (status, err) == (0, "")
    for word in ("--report", "--prior-human", "--json", "--config", "MODEL"):
        assert word in out
    assert "--no-" not in out
