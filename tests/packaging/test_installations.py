"""Without a compiler the package installs and Numba serves; an editable installation follows the checkout."""

from __future__ import annotations

import re
import shutil

import pytest

pytestmark = pytest.mark.slow

AVX512 = ("avx512", "avx512vnni", "avx512vbmi2")
NO_COMPILER = {"CC": "/bin/false", "CXX": "/bin/false"}
ASK_FOR_CPP = """
from pyqmc_art.backends import resolve
from pyqmc_art.errors import BackendUnavailable
try:
    resolve("cpp")
except BackendUnavailable as error:
    print(error)
"""


def test_without_a_compiler_numba_serves(without_compiler, installed_wheel):
    installed = without_compiler.pip_install("-v", "--no-deps", "./source", **NO_COMPILER)
    (warning,) = set(re.findall(r"WARNING: pyqmc_art\._core.* not built.*", installed.stdout + installed.stderr))
    assert "Numba backend serves" in warning

    backend, where, digest = without_compiler.smoke()
    assert backend == "numba"
    assert where.startswith(str(without_compiler.site_packages))
    assert digest == installed_wheel.smoke()[2], "Numba and C++ must sample the same configurations"
    assert "PYQMC_REQUIRE_NATIVE=1 pip install ." in without_compiler.execute(ASK_FOR_CPP)


def test_without_a_compiler_a_required_build_is_an_error(without_compiler):
    refused = without_compiler.pip_install(
        "--no-deps", "--force-reinstall", "./source", check=False, PYQMC_REQUIRE_NATIVE="1", **NO_COMPILER
    )
    assert refused.returncode != 0
    assert "/bin/false" in refused.stdout + refused.stderr


def test_editable_installation_runs_the_checkout(editable, installed_wheel):
    source = editable.home / "source"
    backend, where, digest = editable.smoke()
    assert (backend, where) == ("cpp", str(source / "pyqmc_art" / "__init__.py"))
    assert digest == installed_wheel.smoke()[2]
    include = editable.execute("import pyqmc_art; print(pyqmc_art.get_include())").strip()
    assert include == str(source / "csrc")

    with (source / "pyqmc_art" / "__init__.py").open("a") as file:
        file.write("\nedited = True\n")
    assert editable.execute("import pyqmc_art; print(pyqmc_art.edited)").strip() == "True"


def test_a_changed_header_is_compiled_again(editable):
    """What a build keeps between calls must not outlive its sources: a broken header has to be noticed."""
    header = editable.home / "source" / "csrc" / "core" / "philox.hpp"
    intact = header.read_text()
    header.write_text(intact + "\n#error noticed\n")
    broken = editable.pip_install("--no-deps", "--editable", "./source", check=False, PYQMC_REQUIRE_NATIVE="1")
    header.write_text(intact)
    assert broken.returncode != 0
    assert "#error noticed" in broken.stdout + broken.stderr


@pytest.fixture(scope="module")
def objects(editable):
    """The object files of the editable build, by the name of their source."""
    if shutil.which("nm") is None or shutil.which("objdump") is None:
        pytest.skip("nm and objdump (binutils) are not on the path")
    found = {path.stem: path for path in (editable.home / "source" / "build").rglob("*.o")}
    assert "module" in found
    return found


def test_linker_cannot_mix_instruction_sets(objects, editable):
    """A function that two instruction sets define under one name is merged, and an old processor meets the new one."""
    for name, path in objects.items():
        isa = name.rpartition("_")[2]
        if isa not in ("avx2", *AVX512):
            continue
        listing = editable.run("nm", "-C", "--defined-only", path).stdout
        shared = re.findall(rf"^\S* [WVuwv] (?!.*\b{isa}::)(.*)$", listing, re.MULTILINE)
        assert not shared, f"{name}: defined outside the namespace {isa}: {shared}"


def test_only_dispatched_files_hold_wide_instructions(objects, editable):
    for name, path in objects.items():
        code = editable.run("objdump", "-d", "--no-show-raw-insn", path).stdout
        registers = set(re.findall(r"%([xyz]mm)", code))
        isa = name.rpartition("_")[2]
        wide = {"ymm"} if isa == "avx2" else {"ymm", "zmm"} if isa in AVX512 else set()
        assert registers <= {"xmm", *wide}, name
