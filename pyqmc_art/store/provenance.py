"""Where numbers come from: versions, commit, machine and date, stored in each file."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from pyqmc_art.rng import STREAM_VERSION

_HASH: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_UNKNOWN: Final = "unknown"


def collect() -> dict[str, str | int]:
    """Describe the program and the machine that are about to compute.

    Returns
    -------
    ``version, stream_version, commit, python, numpy, machine, date``; the date is UTC in ISO 8601.

    Examples
    --------
    >>> sorted(collect())
    ['commit', 'date', 'machine', 'numpy', 'python', 'stream_version', 'version']
    """
    return {
        "version": find_version(),
        "stream_version": STREAM_VERSION,
        "commit": find_commit(Path(__file__).resolve().parents[2]),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": describe_machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def find_version() -> str:
    """Version of the installed distribution, ``"unknown"`` for a bare source tree."""
    try:
        return importlib.metadata.version("pyqmc_art")
    except importlib.metadata.PackageNotFoundError:
        return _UNKNOWN


def find_commit(checkout: Path) -> str:
    """Commit a source checkout stands at, read without running git; ``"unknown"`` outside of one.

    Parameters
    ----------
    checkout : folder that holds ``.git`` (a folder, or in a linked work tree a file naming one)
    """
    git = checkout / ".git"
    if git.is_file():
        git = checkout / _read(git).removeprefix("gitdir:").strip()
    head = _read(git / "HEAD")
    if not head.startswith("ref:"):
        return _checked(head)
    name = head.removeprefix("ref:").strip()
    # In a linked work tree the branches live in the common folder.
    common = git / (_read(git / "commondir") or ".")
    return _checked(_read(git / name) or _read(common / name) or _packed(common / "packed-refs", name))


def describe_machine() -> str:
    """Operating system, architecture and processor in one line."""
    return ", ".join(part for part in (platform.platform(), platform.machine(), _processor()) if part)


def _processor() -> str:
    """Name of the processor; the standard library knows it on few systems."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor()


def _packed(path: Path, name: str) -> str:
    """Commit of a reference in ``packed-refs``, whose lines are ``hash name``."""
    for line in _read(path).splitlines():
        commit, _, reference = line.partition(" ")
        if reference.strip() == name:
            return commit
    return ""


def _checked(commit: str) -> str:
    return commit if _HASH.fullmatch(commit) else _UNKNOWN


def _read(path: Path) -> str:
    """Text of a small file, empty if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
