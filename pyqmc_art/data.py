"""The command ``pyqmc-art data``: manifests of pictures."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError

app = cyclopts.App(name="data", help="Manifests of pictures, and real data sets.")

_All = Parameter(name="*")


@dataclass(frozen=True)
class ScanOptions:
    """What ``data scan`` takes beside the folder.

    Parameters
    ----------
    out
        Manifest to write, .csv or .jsonl; default: manifest.csv inside the folder.
    force
        Replace an existing manifest.
    """

    out: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class CheckOptions:
    """What ``data check`` takes beside the folder or manifest: nothing."""


@dataclass(frozen=True)
class FetchOptions:
    """What ``data fetch`` takes beside the collection and the folder.

    Parameters
    ----------
    source
        Only these sources of the collection.
    """

    source: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None


@app.command
def scan(
    folder: Path | None = None,
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[ScanOptions, _All] = ScanOptions(),
) -> int:
    """Write the manifest of a folder of pictures; near-duplicates share a group, unreadable files are named (exit 2).

    Parameters
    ----------
    folder
        Names of its sub-folders are roles; a manifest.csv inside is honoured.
    """
    chosen, _ = options.settle(settings, config, word=("folder", folder))
    where = Path(_needed(chosen, "folder", "pyqmc-art data scan pictures"))
    out = chosen.get("out") or where / "manifest.csv"
    if print_config:
        return _print_configuration({"folder": where, "out": out, "force": chosen.get("force", False)})
    from pyqmc_art.art.commands import scan_command

    return tell(scan_command(where, out, force=bool(chosen.get("force"))))


@app.command
def check(
    target: Path | None = None,
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[CheckOptions, _All] = CheckOptions(),
) -> int:
    """Decode every picture of a folder or manifest and name all that are bad (exit 2).

    Parameters
    ----------
    target
        Folder, or manifest (.csv, .jsonl).
    """
    chosen, _ = options.settle(settings, config, word=("target", target))
    where = Path(_needed(chosen, "target", "pyqmc-art data check pictures"))
    if print_config:
        return _print_configuration({"target": where})
    from pyqmc_art.art.commands import check_command

    return tell(check_command(where))


@app.command
def fetch(
    collection: str | None = None,
    folder: Path | None = None,
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[FetchOptions, _All] = FetchOptions(),
) -> int:
    """Bring real pictures by the package managers of this machine, check them and write their manifest.

    Parameters
    ----------
    collection
        paintings: works in the public domain.
    folder
        Where they go.
    """
    chosen, more = options.settle(settings, config, word=("collection", collection), more=("folder",))
    place = folder or more.get("folder")
    name = _needed(chosen, "collection", "pyqmc-art data fetch paintings FOLDER")
    if place is None:
        raise InputError("no folder was given; for instance pyqmc-art data fetch paintings FOLDER")
    sources = tuple(chosen.get("source") or ())
    if print_config:
        return _print_configuration({"collection": name, "folder": Path(place), "source": sources or None})
    from pyqmc_art.art.commands import fetch_command

    return tell(fetch_command(name, place, sources))


def _needed(chosen: dict[str, Any], key: str, example: str) -> Any:
    if key not in chosen:
        raise InputError(f"no {key} was given; for instance {example}")
    return chosen[key]


def _print_configuration(settings: dict[str, Any]) -> int:
    print(options.as_toml(settings))
    return 0


def tell(outcome: Any) -> int:
    """Print the report, then every problem on a line of its own."""
    if outcome.report:
        print(outcome.report)
    for problem in outcome.problems:
        print(f"pyqmc-art: {problem}", file=sys.stderr)
    return int(outcome.status)
