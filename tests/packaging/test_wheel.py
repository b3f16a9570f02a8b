"""The sdist builds a wheel, the wheel holds what it should, and once installed it passes the tests."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CORE = {"numpy", "scipy", "numba", "h5py", "cyclopts", "tqdm", "matplotlib", "jinja2"}
LEARNED = ("appraise", "art", "cuda", "learning", "proposals", "studies")
"""Folders of tests that train, or compile for themselves."""
DATA = {".typed", ".pyi", ".pxd", ".css", ".js", ".jinja"}


def test_sdist_holds_every_source_and_nothing_built(distributions):
    with tarfile.open(distributions["sdist"]) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "csrc").rglob("*") if path.is_file()}
    wanted |= {"LICENSE", "README.md", "setup.py", "pyproject.toml", "pyqmc_art/py.typed", "tests/test_backends.py"}
    assert wanted <= inside
    built = [name for name in inside if name.endswith((".so", ".o", ".pyc")) or name.startswith((".venv", "build/"))]
    assert not built


def test_wheel_holds_the_package_its_types_and_headers_only(distributions):
    with zipfile.ZipFile(distributions["wheel"]) as archive:
        inside = archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in inside if name.endswith("METADATA"))
    headers = {path.relative_to(ROOT / "csrc").as_posix() for path in (ROOT / "csrc").rglob("*.hpp")}
    assert {f"pyqmc_art/include/{header}" for header in headers} <= set(inside)
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pyqmc_art").rglob("*.*") if path.suffix in DATA}
    assert {"pyqmc_art/py.typed", "pyqmc_art/_core.pyi"} <= data <= set(inside)
    assert [name for name in inside if name.startswith("pyqmc_art/_core.") and name.endswith(".so")]
    assert {name.partition("/")[0].partition("-")[0] for name in inside} == {"pyqmc_art"}
    assert not [name for name in inside if name.endswith((".cpp", ".pyx", ".pyc"))]

    required = [line for line in Parser().parsestr(metadata).get_all("Requires-Dist") if "extra ==" not in line]
    assert {line.lower().split(">")[0].split("[")[0].split("<")[0].strip() for line in required} == CORE


def test_installed_wheel_samples_in_compiled_code(installed_wheel):
    backend, where, _ = installed_wheel.smoke()
    assert backend == "cpp"
    assert Path(where).is_relative_to(installed_wheel.site_packages)
    installed_wheel.run(installed_wheel.python, "-m", "pip", "check")
    installed_wheel.run(installed_wheel.python.with_name("pyqmc-art"), "--help")


def test_installed_headers_compile_alone(installed_wheel):
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler on the path")
    include = Path(installed_wheel.execute("import pyqmc_art; print(pyqmc_art.get_include())").strip())
    assert include.is_relative_to(installed_wheel.site_packages)
    program = installed_wheel.home / "downstream.cpp"
    program.write_text('#include "core/philox.hpp"\nint main() { return 0; }\n')
    installed_wheel.run(compiler, "-std=c++17", "-fsyntax-only", "-I", include, program)


def test_installed_wheel_passes_the_tests(installed_wheel):
    """Quick tests and doctests of all modules, from a folder that holds the tests and no package to import by mistake.

    What an installation can break is the compiled code, files that are missing and commands; tests of what is learned
    from pictures and fields, which take the most time, see nothing of it that the doctests do not.
    """
    elsewhere = installed_wheel.home / "elsewhere"
    shutil.copytree(ROOT / "tests", elsewhere / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", elsewhere)
    call = "-m pytest -q -n 2 -p no:cacheprovider -c pyproject.toml --rootdir . tests --pyargs pyqmc_art"
    left_out = [f"--ignore=tests/{folder}" for folder in LEARNED]
    installed_wheel.run(installed_wheel.python, *call.split(), *left_out, cwd=elsewhere)
