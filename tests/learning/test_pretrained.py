"""Model directories: complete, checked, never a pickle."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.learning.pretrained import Pretrained, read_pretrained, write_pretrained

pytest.importorskip("safetensors", reason="safetensors is not installed")

MODEL = Pretrained(
    "toy", {"depth": 3, "name": "größe"},
    {"head": {"w": np.arange(6.0).reshape(2, 3).T, "n": np.array(7), "k": np.array([True])}}, {"works.jsonl": "{}\n"},
)  # fmt: skip


class TestRoundTrip:
    def test_everything_comes_back(self, tmp_path):
        again = read_pretrained(write_pretrained(tmp_path / "a model", MODEL))
        assert (again.kind, again.configuration, again.texts) == (MODEL.kind, MODEL.configuration, MODEL.texts)
        for name, array in MODEL.tensors["head"].items():
            np.testing.assert_array_equal(again.tensors["head"][name], array)
            assert again.tensors["head"][name].dtype == array.dtype

    def test_files(self, tmp_path):
        folder = write_pretrained(tmp_path / "m", MODEL)
        assert {p.name for p in folder.iterdir()} == {"config.json", "head.safetensors", "works.jsonl"}
        assert {p.name for p in tmp_path.iterdir()} == {"m"}
        assert json.loads((folder / "config.json").read_text())["made"]["stream_version"]

    def test_an_existing_one_is_replaced_only_by_force(self, tmp_path):
        folder = write_pretrained(tmp_path / "m", MODEL)
        with pytest.raises(InputError, match="exists"):
            write_pretrained(folder, MODEL)
        write_pretrained(folder, Pretrained("other", {}), force=True)
        assert read_pretrained(folder).kind == "other"
        assert {p.name for p in tmp_path.iterdir()} == {"m"}

    def test_a_folder_of_something_else_is_never_replaced(self, tmp_path):
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "dear.jpg").write_bytes(b"x")
        with pytest.raises(InputError):
            write_pretrained(tmp_path / "photos", MODEL, force=True)
        assert (tmp_path / "photos" / "dear.jpg").exists()


class TestBadDirectories:
    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match="does not exist"):
            read_pretrained(tmp_path / "none")

    def test_a_file(self, tmp_path):
        (tmp_path / "f").write_text("x")
        with pytest.raises(InputError, match="is a file"):
            read_pretrained(tmp_path / "f")

    def test_no_config(self, tmp_path):
        with pytest.raises(InputError, match=r"no config\.json"):
            read_pretrained(tmp_path)

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"_class_name": "UNet2DModel"}', "\xff"])
    def test_foreign(self, tmp_path, text):
        (tmp_path / "config.json").write_text(text, "latin-1")
        with pytest.raises(InputError, match=r"config\.json"):
            read_pretrained(tmp_path)

    def test_partial(self, tmp_path):
        folder = write_pretrained(tmp_path / "m", MODEL)
        (folder / "head.safetensors").unlink()
        with pytest.raises(InputError, match=r"incomplete: no head\.safetensors"):
            read_pretrained(folder)

    def test_damaged(self, tmp_path):
        folder = write_pretrained(tmp_path / "m", MODEL)
        place = folder / "head.safetensors"
        content = bytearray(place.read_bytes())
        content[-1] ^= 1
        place.write_bytes(content)
        with pytest.raises(InputError, match="checksum"):
            read_pretrained(folder)

    def test_another_kind(self, tmp_path):
        with pytest.raises(InputError, match="holds a toy; expected a flow"):
            read_pretrained(write_pretrained(tmp_path / "m", MODEL), ("flow",))

    @pytest.mark.parametrize("name", ["../x.safetensors", "weights.pkl", "/etc/passwd", "pytorch_model.bin"])
    def test_a_config_that_names_other_files(self, tmp_path, name):
        folder = write_pretrained(tmp_path / "m", MODEL)
        config = json.loads((folder / "config.json").read_text())
        config["files"] = {name: "0"}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(InputError, match="plain names"):
            read_pretrained(folder)

    def test_another_version(self, tmp_path):
        folder = write_pretrained(tmp_path / "m", MODEL)
        config = json.loads((folder / "config.json").read_text()) | {"format_version": 99}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(InputError, match="version 99"):
            read_pretrained(folder)
