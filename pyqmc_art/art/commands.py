"""What ``data scan``, ``data check`` and ``data fetch`` do, as functions that neither print nor exit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pyqmc_art.art.duplicates import DEFAULT_DISTANCE, merge_duplicates
from pyqmc_art.art.layouts import open_manifest, scan_folder
from pyqmc_art.art.pictures import MAX_PIXELS
from pyqmc_art.errors import InputError, PyqmcError


@dataclass(frozen=True)
class Outcome:
    """What to tell the user: ``report`` goes to stdout, ``problems`` line by line to stderr, then exit ``status``."""

    report: str
    problems: tuple[str, ...] = ()
    status: int = 0


def scan_command(
    folder: str | os.PathLike[str], out: str | os.PathLike[str], force: bool = False, max_pixels: int = MAX_PIXELS,
    max_distance: int = DEFAULT_DISTANCE,
) -> Outcome:  # fmt: skip
    """Write the manifest of the readable pictures of a folder and name every other file.

    Near-duplicates share a group in what is written. The status is 2 when a file was left out.

    Raises
    ------
    InputError
        When there is nothing readable, or ``out`` cannot be a manifest, or exists and ``force`` is not given.
    """
    place = Path(out)
    listed = scan_folder(folder)
    _check_place(place, force)
    found = listed.check(max_pixels)
    problems = tuple(map(str, found.problems))
    if not found.manifest.rows:
        raise InputError("\n".join((f"no readable picture in {folder}:", *problems)))
    merged = merge_duplicates(found.manifest, max_distance)
    merged.manifest.write(place)
    left_out = f"\n{len(problems)} problems; what they name was left out" if problems else ""
    report = f"{place}: {merged.manifest.summary()}\n{merged.summary()}{left_out}"
    return Outcome(report, problems, 2 if problems else 0)


def _check_place(place: Path, force: bool) -> None:
    """Refuse a place for the manifest before any picture is decoded."""
    if place.suffix.lower() not in (".csv", ".jsonl"):
        raise InputError(f"{place} ends in {place.suffix!r}; a manifest ends in .csv or .jsonl")
    if not place.parent.is_dir():
        raise InputError(f"{place.parent} is not an existing folder; make it first, or write elsewhere")
    if place.is_dir():
        raise InputError(f"{place} is a folder; give the name of a file")
    if place.exists() and not force:
        raise InputError(f"{place} exists; --force replaces it")


def check_command(target: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Outcome:
    """Decode every picture of a folder or manifest and name all that are bad; then the status is 2."""
    found = open_manifest(target, strict=False).check(max_pixels)
    problems = tuple(map(str, found.problems))
    if not problems and not found.manifest.rows:
        raise InputError(f"{target} names no picture")
    verdict = f"{len(problems)} problems" if problems else "no problem"
    return Outcome(f"{target}: {found.manifest.summary()}\n{verdict}", problems, 2 if problems else 0)


def fetch_command(name: str, folder: str | os.PathLike[str], sources: tuple[str, ...] = ()) -> Outcome:
    """Bring a collection of pictures; what could not be brought is one line each, and then the status is 1.

    Raises
    ------
    InputError
        For a collection or source that does not exist.
    """
    from pyqmc_art.art.fetch import fetch

    try:
        fetched = fetch(name, folder, sources)
    except InputError:
        raise
    except PyqmcError as error:
        return Outcome("", (str(error),), error.exit_status)
    report = f"{fetched.path}: {fetched.manifest.summary()}"
    return Outcome(report, fetched.failures, 1 if fetched.failures else 0)
