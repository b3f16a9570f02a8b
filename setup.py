"""The compiled parts and nothing else; everything a person reads about the package stands in pyproject.toml.

Switches, all environment variables:

``PYQMC_REQUIRE_NATIVE=1``  a compiled part that cannot be built is an error; else one warning line, and Numba serves
``PYQMC_WERROR=1``          compiler warnings are errors (development and continuous integration)
``PYQMC_BUILD_JOBS=N``      how many files are compiled at a time (default: every usable core)
``PYQMC_CUDA=1``            also build the kernels for CUDA devices; needs nvcc on the path
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import shorten

import pybind11
from Cython.Build import cythonize
from pybind11.setup_helpers import ParallelCompile, Pybind11Extension
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError, CCompilerError

ROOT = Path(__file__).parent
HEADERS = sorted(p.relative_to(ROOT) for p in (ROOT / "csrc").rglob("*") if p.suffix in {".hpp", ".inl"})
REQUIRE_NATIVE = os.environ.get("PYQMC_REQUIRE_NATIVE") == "1"
WARNINGS = ["-Wall", "-Wextra", *(["-Werror"] if os.environ.get("PYQMC_WERROR") == "1" else [])]
CUDA_MODULE = "pyqmc_art._cuda"
X86 = platform.machine().lower() in {"x86_64", "amd64"}

# No -march=native and no fast-math: what is built here runs on every machine of the architecture, and a*b+c is
# rounded twice everywhere, so that every instruction set computes the same bytes. Square roots need not set errno.
COMMON = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-pthread"]
AVX2 = ["-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mpopcnt"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]
# The end of a file's stem says which instruction set it is compiled for; run-time dispatch chooses among them.
ISA_FLAGS = {
    "_avx2": AVX2,
    "_avx512": AVX512,
    "_avx512vnni": [*AVX512, "-mavx512vnni"],
    "_avx512vbmi2": [*AVX512, "-mavx512vbmi", "-mavx512vbmi2", "-mgfni"],
}

# Devices round a*b+c twice as well. Code for two generations, and what a later one can compile for itself.
NVCC = ["-O3", "-std=c++17", "-fmad=false", "-diag-suppress=1675", "-Xcompiler=-fPIC,-fvisibility=hidden"]
NVCC += [f"-gencode=arch=compute_{sm},code={kind}_{sm}" for sm, kind in ((80, "sm"), (90, "sm"), (90, "compute"))]
NVCC += ["-Werror=all-warnings"] if os.environ.get("PYQMC_WERROR") == "1" else []


def isa_flags(source: str) -> list[str]:
    """Return the instruction-set flags of one translation unit, from the suffix of its stem."""
    return next((flags for suffix, flags in ISA_FLAGS.items() if Path(source).stem.endswith(suffix)), [])


def is_stale(object_file: str, source: str) -> bool:
    """Tell whether an object file is older than its source, any header or this file."""
    built = Path(object_file)
    inputs = [Path(source), Path(__file__), *(ROOT / header for header in HEADERS)]
    return not built.exists() or built.stat().st_mtime < max(path.stat().st_mtime for path in inputs)


class BuildCompiled(build_ext):
    """Compile each file for its instruction set, and let the installation live on without a compiler."""

    def finalize_options(self) -> None:
        """Keep object files where the next build finds them; an editable build would throw them away."""
        super().finalize_options()
        self.build_temp = f"build/objects-{sys.implementation.cache_tag}-pybind11-{pybind11.__version__}"

    def build_extensions(self) -> None:
        """Add the flags of the instruction set to every call of the compiler."""
        compile_one = self.compiler._compile

        def compile_for_isa(obj, src, ext, cc_args, extra_postargs, pp_opts):  # type: ignore[no-untyped-def]
            if Path(src).suffix == ".cu":
                self.spawn(["nvcc", *NVCC, "-I", "csrc", "-c", src, "-o", obj])
            else:
                compile_one(obj, src, ext, cc_args, [*extra_postargs, *isa_flags(src)], pp_opts)

        self.compiler.src_extensions.append(".cu")
        self.compiler._compile = compile_for_isa
        self.failed: dict[str, Exception] = {}
        super().build_extensions()
        if self.failed:
            names, reason = " and ".join(self.failed), shorten(str(next(iter(self.failed.values()))), 120)
            remedy = "the Numba backend serves instead; for the fast one install a C++17 compiler and reinstall"
            print(f"WARNING: {names} not built ({reason}): {remedy}", file=sys.stderr)

    def build_extension(self, ext: Extension) -> None:
        """Build one extension; unless compiled parts are required, a failure is only noted."""
        try:
            super().build_extension(ext)
        except (CCompilerError, BaseError) as error:
            if REQUIRE_NATIVE or ext.name == CUDA_MODULE:
                raise
            self.failed[ext.name] = error


class BuildPython(build_py):
    """Ship the C++ headers inside the package, in the layout of ``csrc``."""

    def run(self) -> None:
        """Copy the Python files, then the headers; an editable installation reads ``csrc`` itself."""
        super().run()
        if not self.editable_mode:
            for header, target in self.shipped_headers().items():
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / header, target)

    def shipped_headers(self) -> dict[str, str]:
        """Map each header to its place under ``pyqmc_art/include`` of the build."""
        include = Path(self.build_lib) / "pyqmc_art" / "include"
        return {str(header): str(include / header.relative_to("csrc")) for header in HEADERS}

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """List what was written, the headers included."""
        headers = [] if self.editable_mode else list(self.shipped_headers().values())
        return [*super().get_outputs(include_bytecode), *headers]


def find_sources(*folders: str) -> list[str]:
    """Return the translation units in folders of ``csrc``; other machines than x86-64 get the portable ones."""
    found = [path for folder in folders for path in (ROOT / "csrc" / folder).glob("*.cpp")]
    return sorted(str(path.relative_to(ROOT)) for path in found if X86 or not isa_flags(path.name))


def find_cuda_runtime() -> Path:
    """Return the folder with the static CUDA runtime; nvcc may be a script that calls another, so nvcc is asked."""
    if shutil.which("nvcc") is None:
        sys.exit("PYQMC_CUDA=1, but nvcc is not on the path; install the CUDA toolkit, or unset PYQMC_CUDA")
    plan = subprocess.run(["nvcc", "--dryrun", "-x", "cu", "-c", os.devnull], capture_output=True, text=True).stderr
    root = next((line.partition("TOP=")[2].strip() for line in plan.splitlines() if "TOP=" in line), "")
    folders = [Path(root) / name for name in ("lib64", "lib", f"targets/{platform.machine()}-linux/lib")]
    found = next((folder for folder in folders if (folder / "libcudart_static.a").exists()), None)
    return found or sys.exit(f"PYQMC_CUDA=1, but the toolkit in {root!r} has no libcudart_static.a; reinstall it")


def list_cuda_extensions() -> list[Extension]:
    """Return the module of the kernels for devices, where it is asked for."""
    if os.environ.get("PYQMC_CUDA") != "1":
        return []
    sources = ["csrc/cuda/module.cpp", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "csrc/cuda").glob("*.cu")))]
    libraries = {"library_dirs": [str(find_cuda_runtime())], "libraries": ["cudart_static", "rt", "dl", "pthread"]}
    cuda = Pybind11Extension(CUDA_MODULE, sources, cxx_std=17, include_dirs=["csrc"], **libraries)
    cuda.extra_compile_args += [*COMMON, *WARNINGS]
    return [cuda]


def list_extensions() -> list[Extension]:
    """Return the compiled module, the kernels for devices if asked for, and the Cython C API."""
    options = {
        "include_dirs": ["csrc"],
        "depends": [str(header) for header in HEADERS],
        "define_macros": [] if X86 else [("PYQMC_BASELINE_ONLY", "1")],
        "extra_link_args": ["-pthread"],
        "optional": not REQUIRE_NATIVE,
    }
    sources = find_sources("", "bind", "core", "images", "kernels")
    core = Pybind11Extension("pyqmc_art._core", sources, cxx_std=17, **options)
    core.extra_compile_args += [*COMMON, *WARNINGS]
    native = [core, *list_cuda_extensions()]
    if not (ROOT / "pyqmc_art" / "capi.pyx").exists():
        return native
    # The functions themselves stay in _core, which hands out their addresses; capi only makes them known to Cython.
    # What Cython writes is not ours to keep free of warnings.
    flags = ["-fvisibility=hidden", "-g0", "-std=c++17", *COMMON]
    capi = Extension("pyqmc_art.capi", ["pyqmc_art/capi.pyx"], language="c++", extra_compile_args=flags, **options)
    return [*native, *cythonize([capi], build_dir="build/cython", language_level=3, quiet=True)]


cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
ParallelCompile("PYQMC_BUILD_JOBS", default=cores, needs_recompile=is_stale).install()
setup(ext_modules=list_extensions(), cmdclass={"build_ext": BuildCompiled, "build_py": BuildPython})
