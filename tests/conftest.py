"""What several test files need: the command as a process of its own, and a folder's contents to compare."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import pyqmc_art as qa

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


class Command(subprocess.Popen[str]):
    """A process that does not outlive the test that started it."""

    def __exit__(self, kind: type[BaseException] | None, *details: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *details)


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without switches of this package; with this checkout, if it is what is tested."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYQMC_") and k != "OMP_NUM_THREADS"}
    return {**kept, **more}


@pytest.fixture(autouse=True)
def _hear_ctrl_c() -> Iterator[None]:
    """Listen to Ctrl-C as at a terminal: a shell that runs the suite in the background makes it ignore the signal."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def start_command() -> Callable[..., subprocess.Popen[str]]:
    """Start the command in a folder; ``room`` limits the size of each file it writes."""

    def start(*words: object, cwd: Path, room: int = 0, **environment: str) -> subprocess.Popen[str]:
        return Command(
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


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str | Sequence[str]], tuple[int, str, str]]:
    """Run the command in this process, in an empty folder: exit status, stdout, stderr."""
    from pyqmc_art import cli

    for name in ("PYQMC_BACKEND", "PYQMC_ISA", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(words: str | Sequence[str]) -> tuple[int, str, str]:
        status = cli.main(words.split() if isinstance(words, str) else words)
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def numbers() -> Callable[[str | Path], tuple[dict[str, bytes], bytes | None]]:
    """Return the bytes of all series and of the fields of a run file."""

    def read(path: str | Path) -> tuple[dict[str, bytes], bytes | None]:
        with qa.open_ensemble(path) as run:
            fields = None if run.fields is None else run.fields[:].tobytes()
            return {name: run.series[name].tobytes() for name in run.series}, fields

    return read


@pytest.fixture
def one_run(tmp_path: Path) -> Path:
    """Return a folder in which ``run.h5`` lies: 40 steps of a 4 x 6 Ising model, two fields saved."""
    action = qa.Ising(qa.Lattice((4, 6)), beta=0.4)
    kernel = qa.Metropolis(action)
    qa.sample(action, kernel, steps=40, warmup=5, out=tmp_path / "run.h5", save_every=20).close()
    return tmp_path


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Paint small simulated works once: ``painted/train`` with its manifest, ``painted/new`` with works beside it."""
    pytest.importorskip("PIL", reason="Pillow is not installed")
    from pyqmc_art.art.collection import plan_collection, write_collection

    folder = tmp_path_factory.mktemp("painted")
    counts = {"original": 24, "proxy": 24, "forgery": 6, "diffusion": 22}
    stream = qa.Stream.from_seed(7)
    write_collection(folder / "train", plan_collection(stream, counts, size=96, gap=1.5))
    more = plan_collection(stream, {role: n + 2 for role, n in counts.items()}, size=96, gap=1.5)
    write_collection(folder / "new", [one for role in counts for one in [c for c in more if c.role == role][-2:]])
    return folder


@pytest.fixture(scope="session")
def model(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a detector on the simulated works once: residual statistics of five patches a picture."""
    for needed in ("sklearn", "safetensors"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    from pyqmc_art.art.detectors.command import train_command
    from pyqmc_art.art.detectors.training import DetectorOptions

    options = DetectorOptions("simulated master", backbone="residual", size=48, levels=(1, 2), folds=3)
    place = tmp_path_factory.mktemp("trained") / "a model"
    outcome = train_command(painted / "train", place, options, announce=lambda text: None)
    assert outcome.status == 0
    return place
