"""The device sources compiled for the processor, against ``tests/native/cuda_runtime.h``: a module like ``_cuda``."""

from __future__ import annotations

import fcntl
import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "csrc" / "cuda"
NAMES = ("multispin", "swendsen_wang", "clusters", "resample", "devices", "module")
FLAGS = ["-std=c++17", "-g", "-fPIC", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fvisibility=hidden"]


def find_compiler() -> str:
    """Return the C++ compiler; without one, or away from the sources, there is nothing to test."""
    pytest.importorskip("pyqmc_art._core", reason="the bytes of the compiled kernels are the answer")
    pybind11 = pytest.importorskip("pybind11", reason="pybind11 is not installed")
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler on the path")
    if not (SOURCES / "module.cpp").exists():
        pytest.skip("this copy of the tests lies outside a checkout: there are no device sources")
    assert pybind11.get_include()
    return compiler


def compile_one(compiler: str, source: Path, target: Path, *flags: str) -> Path:
    """Compile one file against the stand-in for the CUDA runtime."""
    import pybind11

    include = [ROOT / "tests" / "native", ROOT / "csrc", pybind11.get_include(), sysconfig.get_paths()["include"]]
    command = [
        compiler,
        *FLAGS,
        *flags,
        *(f"-I{folder}" for folder in include),
        "-x",
        "c++",
        "-c",
        source,
        "-o",
        target,
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    return target


def load_module(library: Path) -> ModuleType:
    """Load a module under a name of its own: a module of a name that was loaded before would be that module."""
    spec = importlib.util.spec_from_file_location(f"{library.parent.name}._cuda", library)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Emulator:
    """Objects of the device sources, and modules linked from them, some of their text replaced."""

    def __init__(self, compiler: str, folder: Path) -> None:
        self.compiler, self.folder = compiler, folder

    def compile_all(self) -> None:
        """Compile every source as it is; the bindings are not worth optimizing."""
        sources = [next(SOURCES.glob(f"{name}.c*")) for name in NAMES]
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(
                    compile_one, self.compiler, s, self.folder / f"{s.stem}.o", "-O1" if s.suffix == ".cu" else "-O0"
                )
                for s in sorted(sources, key=lambda s: s.stem != "module")
            ]
            for job in jobs:
                job.result()

    def build(self, label: str = "intact", *changes: tuple[str, str, str, int]) -> ModuleType:
        """Link and load a module."""
        return load_module(self.link(label, *changes))

    def link(self, label: str, *changes: tuple[str, str, str, int]) -> Path:
        """Link a module; a change is a file, the text to replace, what with, and which occurrence (from 0)."""
        objects = {name: self.folder / f"{name}.o" for name in NAMES}
        place = self.folder / label
        place.mkdir(exist_ok=True)
        shutil.copytree(SOURCES, place / "cuda", dirs_exist_ok=True)
        for file, old, new, which in changes:
            path = place / "cuda" / file
            parts = path.read_text().split(old)
            assert len(parts) > which + 1, f"{file} has no {old!r} number {which}"
            path.write_text(old.join(parts[: which + 1]) + new + old.join(parts[which + 1 :]))
        altered = {file for file, *_ in changes}
        headers = any(file.endswith(".hpp") for file in altered)
        for name in NAMES[:4]:
            if headers or f"{name}.cu" in altered:
                source = place / "cuda" / f"{name}.cu"
                objects[name] = compile_one(self.compiler, source, place / f"{name}.o", "-O0", f"-I{place}")
        library = place / f"_cuda{importlib.machinery.EXTENSION_SUFFIXES[0]}"
        if not library.exists():
            subprocess.run([self.compiler, "-shared", *objects.values(), "-o", library], check=True)
        return library


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Emulator:
    """Compile the device sources once for all processes of a run."""
    compiler = find_compiler()
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "emulated"
    folder.mkdir(exist_ok=True)
    built = Emulator(compiler, folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            built.compile_all()
            (folder / "done").touch()
    return built


@pytest.fixture
def install_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ModuleType], None]]:
    """Let a module take the place of ``pyqmc_art._cuda``."""
    from pyqmc_art.ops import discrete, images

    def forget() -> None:
        discrete.operations.cache_clear()
        images.resample.cache_clear()

    def install(module: ModuleType) -> None:
        forget()
        monkeypatch.setitem(sys.modules, "pyqmc_art._cuda", module)

    yield install
    forget()


@pytest.fixture(scope="session")
def intact(emulator: Emulator) -> ModuleType:
    """Link the module of the sources as they are, once for a process."""
    return emulator.build()


@pytest.fixture
def emulated(intact: ModuleType, install_module: Callable[[ModuleType], None]) -> ModuleType:
    """Let the backend ``cuda`` run on the processor."""
    install_module(intact)
    return intact


@pytest.fixture
def pictures() -> list[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
    """Pictures with cuts and a size: shrunk and enlarged, of one to four channels, narrower and wider than a tile."""
    numbers = np.random.default_rng(1)
    cases = []
    for shape, size in (
        ((50, 70, 3), (13, 40)),
        ((9, 7, 1), (41, 33)),
        ((120, 40, 4), (3, 2)),
        ((33, 65, 2), (33, 65)),
    ):
        height, width, _ = shape
        boxes = np.array([[0, 0, width, height], [1.5, 2.25, width - 1, height - 3]], np.float32)
        cases.append((numbers.integers(0, 256, shape, dtype=np.uint8), boxes, size))
    return cases
