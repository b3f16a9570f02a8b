"""Folders of pictures: what their names say about the pictures inside."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pyqmc_art.art.manifest import Manifest, rows_of
from pyqmc_art.art.roles import MACHINE_ROLES, ROLES, find_role
from pyqmc_art.art.rows import COLUMNS, NO_PICTURES, Problem, Row
from pyqmc_art.art.sniffing import sniff_format
from pyqmc_art.art.tables import Record, read_table
from pyqmc_art.errors import InputError, unknown

MANIFEST_NAMES: Final = ("manifest.csv", "manifest.jsonl", "metadata.csv", "metadata.jsonl")
"""Files that, inside a folder of pictures, say what the pictures are; the first one found counts."""

_SUFFIXES: Final = frozenset([".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"])

# How the parts of Zenodo record 10276928 may be called: the narrow words first, since "van_gogh" may stand anywhere.
_ZENODO: Final = (
    (r"wacker", "forgery", "Otto Wacker"),
    (r"myatt", "forgery", "John Myatt"),
    (r"forger|forged", "forgery", ""),
    (r"diffusion|(?<![a-z])sd(?![a-z])", "diffusion", "Stable Diffusion 2.0"),
    (r"gans?(?![a-z]).*((?<!d)raw|untuned|base|before)|((?<!d)raw|untuned|base|before).*gan", "raw-gan", "StyleGAN2"),
    (r"gans?\d?(?![a-z]).*(tun|after)|(tun|after).*gan", "tuned-gan", "StyleGAN2"),
    (r"prox|similar|contrast", "proxy", ""),
    (r"origin|authentic|genuine|gogh", "original", ""),
)


def open_manifest(path: str | os.PathLike[str], strict: bool = True) -> Manifest:
    """Scan a folder or read a manifest, whichever the path is."""
    return Manifest.scan(path, strict) if Path(path).is_dir() else Manifest.read(path, strict)


def scan_folder(folder: str | os.PathLike[str]) -> Manifest:
    """Make a manifest of a folder; what could not be labelled stands in its ``problems``.

    A manifest found in the folder, or in any folder below, is honoured for the files it names. Any other picture gets
    its role from the nearest folder named after one. In ``ROLE/NAME`` the inner folder is the maker (a hand, or a
    generator); in ``NAME/ROLE`` the outer one is the artist in question, so only its originals are that hand's.

    Raises
    ------
    InputError
        When there is no such folder, or no picture in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root} is {'a file' if root.exists() else 'missing'}; expected a folder of pictures")
    rows: list[Row] = []
    problems: list[Problem] = []
    named: set[str] = set()
    for place, names in _walk(root):
        listed = next((name for name in MANIFEST_NAMES if name in names), None)
        if listed is not None:
            _honour(place / listed, root, named, rows, problems)
    for place, names in _walk(root):
        for name in names:
            path = (place / name).relative_to(root).as_posix()
            if path not in named and _is_candidate(place / name):
                _label(path, root, rows, problems)
    if not rows and not problems:
        raise InputError(f"there are no pictures in {root}; expected sub-folders named {', '.join(ROLES)}")
    return Manifest(tuple(sorted(rows, key=lambda row: row.path)), root, tuple(problems))


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders from the top down with their files, both in the order of their names; hidden ones are left out."""
    for place, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
        yield Path(place), sorted(name for name in names if not name.startswith("."))


def _honour(listed: Path, root: Path, named: set[str], rows: list[Row], problems: list[Problem]) -> None:
    """Take over the rows of a manifest inside the folder; files that one further up named are left to that one."""
    try:
        records = read_table(listed, COLUMNS)
    except InputError as error:
        problems.append(Problem(str(listed), str(error)))
        return
    mine: list[Record] = []
    for record in records:
        path = Path(os.path.normpath(listed.parent / record.get("path", "")))
        inside = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
        if record.get("path") and inside not in named:
            named.add(inside)
            mine.append(_completed(record, inside, root))
        elif not record.get("path"):
            problems.append(Problem(str(listed), f"a row without a path (columns {', '.join(record)})"))
    good, wrong = rows_of(mine)
    rows += good
    problems += [Problem(str(root / p.path), p.reason) for p in wrong]


def list_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """List what somebody would take for pictures in a folder and below, in the order of their names, none hidden.

    Raises
    ------
    InputError
        When there is none.
    """
    root = Path(folder)
    found = [place / name for place, names in _walk(root) for name in names if _is_candidate(place / name)]
    if not found:
        raise InputError(f"there are no pictures in {root}")
    return sorted(found)


def _completed(record: Record, path: str, root: Path) -> Record:
    """Let the folders' names say what a list of file names alone does not."""
    completed = record | {"path": path}
    if not completed.get("role"):
        role, hand, generator = _read_names(path.split("/")[:-1], root)
        completed["role"] = role or ""
        completed["hand"] = completed.get("hand") or hand
        completed["generator"] = completed.get("generator") or generator
    return completed


def _is_candidate(path: Path) -> bool:
    """Whether somebody would take the file for a picture: by its suffix, or by its content."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return sniff_format(file.read(32)) is not None
    except OSError:
        return False


def _label(path: str, root: Path, rows: list[Row], problems: list[Problem]) -> None:
    folders = path.split("/")[:-1]
    if set(folders) & set(NO_PICTURES):
        return
    role, hand, generator = _read_names(folders, root)
    try:
        path.encode()
    except UnicodeEncodeError:
        problems.append(Problem(str(root / path).encode(errors="replace").decode(), "its name is not UTF-8; rename it"))
        return
    if role is None:
        why = str(unknown("role", folders[-1], ROLES)) if folders else f"it lies in no folder named {', '.join(ROLES)}"
        problems.append(Problem(str(root / path), why))
    else:
        rows.append(Row(path, role, hand, generator=generator, basis="folder name"))


def _read_names(folders: Sequence[str], root: Path) -> tuple[str | None, str, str]:
    """Role, hand and generator that the names of the folders give."""
    known = [i for i, name in enumerate(folders) if find_role(name)]
    if not known:
        role = find_role(root.resolve().name)
        outer, inner = "", " ".join(folders) if role else ""
    else:
        role = find_role(folders[known[-1]])
        outer, inner = " ".join(folders[: known[-1]]), " ".join(folders[known[-1] + 1 :])
    if role in MACHINE_ROLES:
        return role, "", inner
    return role, inner or (outer if role == "original" else ""), ""


def read_zenodo(folder: str | os.PathLike[str], hand: str = "Vincent van Gogh", strict: bool = True) -> Manifest:
    """Read the user's own copy of Zenodo record 10276928 (originals, proxies, forgeries, GAN and diffusion pictures).

    How the record names its folders was not at hand when this was written: the parts are recognised by words in the
    names of folders, then of files, and this was tested on a mimic only. What is not recognised is reported.

    Parameters
    ----------
    folder : where the archive was unpacked
    hand : the artist of the originals
    strict : raise for pictures that are not recognised; otherwise they stand in ``problems``

    Raises
    ------
    InputError
        When there is no picture, or with ``strict`` one that is not recognised, naming all of them.

    References
    ----------
    Ostmeyer et al., PLOS ONE 19(2) e0295967 (2024).
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root} is no folder; expected the unpacked Zenodo record 10276928")
    rows: list[Row] = []
    problems: list[Problem] = []
    for place, names in _walk(root):
        for name in names:
            if _is_candidate(place / name):
                path = (place / name).relative_to(root)
                row = _recognise(path, hand)
                if row is None:
                    problems.append(Problem(str(root / path), "neither its folder nor its name says what it is"))
                else:
                    rows.append(row)
    if not rows and not problems:
        raise InputError(f"there are no pictures in {root}; expected the unpacked Zenodo record 10276928")
    if strict and problems:
        raise InputError(f"{len(problems)} pictures are not recognised:\n" + "\n".join(map(str, problems)))
    return Manifest(tuple(rows), root, tuple(problems))


def _recognise(path: Path, hand: str) -> Row | None:
    for words in (path.parent.as_posix().casefold(), path.stem.casefold()):
        for pattern, role, maker in _ZENODO:
            if re.search(pattern, words):
                machine = role in MACHINE_ROLES
                owner = hand if role == "original" else "" if machine else maker
                return Row(
                    path.as_posix(), role, owner, title=path.stem, source="Zenodo 10276928",
                    basis="published data set", generator=maker if machine else "",
                )  # fmt: skip
    return None
