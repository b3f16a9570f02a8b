"""nvcc compiles the device sources for two generations; the module imports anywhere and says what it finds."""

from __future__ import annotations

import importlib.machinery
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import sys, importlib.util
from pyqmc_art.errors import BackendUnavailable
spec = importlib.util.spec_from_file_location("pyqmc_art._cuda", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
try:
    print("devices:", *module.devices())
except BackendUnavailable as error:
    print(error)
"""


@pytest.fixture(scope="module")
def setup_file() -> dict[str, Any]:
    """What setup.py defines, without building anything."""
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not on the path")
    if not (ROOT / "setup.py").exists():
        pytest.skip("this copy of the tests lies outside a checkout: there are no device sources")
    pytest.importorskip("pybind11", reason="pybind11 is not installed")
    pytest.importorskip("Cython", reason="Cython is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("setuptools.setup", lambda **options: None)
        patch.setattr("Cython.Build.cythonize", lambda *modules, **options: [])
        patch.setenv("PYQMC_WERROR", "1")
        patch.setenv("PYQMC_CUDA", "1")
        patch.chdir(ROOT)
        return runpy.run_path(str(ROOT / "setup.py"))


@pytest.fixture(scope="module")
def objects(setup_file: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The object files of the device sources, compiled with the flags of setup.py; warnings are errors."""
    folder = tmp_path_factory.mktemp("devices")
    made = []
    for source in sorted((ROOT / "csrc" / "cuda").glob("*.cu")):
        made.append(folder / f"{source.stem}.o")
        command = ["nvcc", *setup_file["NVCC"], "-I", "csrc", "-c", source, "-o", made[-1]]
        done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-6000:]
    return made


def find_listing_tool() -> str | None:
    """cuobjdump, which lies beside nvcc itself; some toolkits come without it."""
    plan = subprocess.run(["nvcc", "--dryrun", "-x", "cu", "-c", os.devnull], capture_output=True, text=True).stderr
    beside = [Path(line.partition("_HERE_=")[2].strip()) for line in plan.splitlines() if "_HERE_=" in line]
    return shutil.which("cuobjdump", path=os.pathsep.join(map(str, [*beside, os.environ.get("PATH", "")])))


def test_it_is_compiled_for_two_generations(setup_file: dict[str, Any], objects: list[Path]) -> None:
    asked = {f"-gencode=arch=compute_{sm},code=sm_{sm}" for sm in (80, 90)}
    assert asked <= set(setup_file["NVCC"])  # and nvcc obeyed, or there were no objects
    assert {path.stem for path in objects} >= {"multispin", "swendsen_wang", "resample"}
    tool = find_listing_tool()
    for path in objects if tool else []:
        listing = subprocess.run([tool, "-lelf", "-lptx", path], capture_output=True, text=True).stdout
        assert "sm_80.cubin" in listing and "sm_90.cubin" in listing, path.name
        assert "sm_90.ptx" in listing, path.name


def test_the_module_imports_and_says_what_it_finds(
    setup_file: dict[str, Any], objects: list[Path], tmp_path: Path
) -> None:
    import pybind11

    compiler = shutil.which("c++") or "g++"
    include = ["-I", "csrc", "-I", pybind11.get_include(), "-I", sysconfig.get_paths()["include"]]
    module = tmp_path / "module.o"
    flags = ["-std=c++17", "-O0", "-fPIC", "-fvisibility=hidden"]
    subprocess.run([compiler, *flags, *include, "-c", "csrc/cuda/module.cpp", "-o", module], cwd=ROOT, check=True)
    library = tmp_path / f"_cuda{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    runtime = ["-L", setup_file["find_cuda_runtime"](), "-lcudart_static", "-lrt", "-ldl", "-lpthread"]
    subprocess.run(list(map(str, [compiler, "-shared", module, *objects, *runtime, "-o", library])), check=True)
    said = subprocess.run([sys.executable, "-c", ASK, library], capture_output=True, text=True, check=True).stdout
    assert said.startswith(("no device: ", "devices: ")), said


def test_setup_names_the_sources_only_when_asked(setup_file: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYQMC_CUDA", "1")
    (extension,) = setup_file["list_cuda_extensions"]()
    assert {Path(name).name for name in extension.sources} == {
        path.name for path in (ROOT / "csrc" / "cuda").iterdir() if path.suffix in (".cu", ".cpp")
    }
    for given in ("0", ""):
        monkeypatch.setenv("PYQMC_CUDA", given)
        assert setup_file["list_cuda_extensions"]() == []
    monkeypatch.setenv("PYQMC_CUDA", "1")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="nvcc is not on the path"):
        setup_file["list_cuda_extensions"]()
