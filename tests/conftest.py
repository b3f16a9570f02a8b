"""What several test files need: the command as a process of its own, and a folder's contents to compare."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PREPARED = """
import resource, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
room = int(sys.argv.pop(1))
if room:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
from pyqmc_art.cli import main
sys.exit(main())
"""
"""The command with Ctrl-C as at a terminal (a background job ignores it) and, if asked, no room for large files."""


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without switches of this package; with this checkout, if it is what is tested."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYQMC_") and k != "OMP_NUM_THREADS"}
    return {**kept, **more}


@pytest.fixture
def start_command() -> Callable[..., subprocess.Popen[str]]:
    """Start the command in a folder; ``room`` limits the size of each file it writes."""

    def start(*words: object, cwd: Path, room: int = 0, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PREPARED, str(room), *map(str, words)],
            cwd=cwd,
            env=clean_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def run_command(start_command: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """Run the command to its end: exit status, stdout, stderr."""

    def run(*words: object, **options: object) -> tuple[int, str, str]:
        with start_command(*words, **options) as process:
            out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    return run


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes | None]]:
    """Return what lies in a folder and below, byte for byte."""

    def read(folder: Path) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))
        }

    return read
