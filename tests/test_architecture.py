"""The two tables of docs/architecture.md: which part may import which, and where each outside library lives."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import pyqmc_art

PACKAGE = Path(pyqmc_art.__file__).parent

LAYERS = (
    (
        "cli",
        "web",
        "options",
        "sample_options",
        "data",
        "generate",
        "train",
        "judge",
        "appraising",
        "demo",
        "demo_art",
        "demo_forgeries",
        "__main__",
        "",
    ),
    ("report",),
    ("studies",),
    ("appraise",),
    ("proposals", "art"),
    ("lattice", "learning"),
    ("store",),
    ("stats",),
    ("ops",),
    ("backends",),
    ("rng", "monitor", "include", "interrupts", "allocator"),
    ("protocols",),
    ("errors",),
)
"""Top to bottom; a part imports only from below its own line. The package itself ("") only names what others define."""

LEVEL = {part: level for level, line in enumerate(LAYERS) for part in line}
TOP = 0
MAY_IMPORT_TESTING = ("cli", "demo")

HOMES = {
    "pyqmc_art._core": ("ops",),
    "pyqmc_art._cuda": ("ops",),
    "numba": ("ops",),
    "torch": ("learning", "proposals", "art"),
    "timm": ("art.detectors",),
    "diffusers": ("art.diffusion", "learning"),
    "transformers": ("art.diffusion",),
    "peft": ("art.diffusion",),
    "h5py": ("store",),
    "matplotlib": ("report",),
    "jinja2": ("report",),
    "markupsafe": ("report",),
    "gradio": ("web",),
    "cyclopts": (
        "cli",
        "data",
        "generate",
        "train",
        "judge",
        "appraising",
        "options",
        "sample_options",
    ),
    "yaml": ("options",),
    "tqdm": ("monitor",),
    "scipy": ("stats", "lattice", "art", "testing"),
    "PIL": ("art",),
    "sklearn": ("art",),
    "threadpoolctl": ("art",),
    "torchmetrics": ("art",),
    "safetensors": ("learning", "art"),
    "accelerate": ("learning",),
}
"""Where each outside library may be imported; NumPy and the standard library may be imported anywhere."""

ONE_MODULE_EACH = ("mpi4py", "dask", "distributed")
CHOSEN_BY_CALLER = ("", "art", "art.detectors.catalogue", "stats.exports", "studies.catalogue")
"""Modules that import by a name which is not written out: lazy names of packages, and exports to other programs."""

FORBIDDEN_CALLS = ("eval", "exec", "compile", "__import__")
FORBIDDEN_IMPORTS = ("pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "cloudpickle")
HARMLESS = ("pickle.UnpicklingError",)
"""An error to catch: what torch's safe reader raises for a file that would execute something."""


@dataclass(frozen=True)
class Import:
    """One import: ``source`` and ``target`` without the package's name; ``outside`` for another library."""

    source: str
    target: str
    outside: bool
    line: int


def modules() -> dict[str, str]:
    """Module without the package's name -> source; a package is named like its folder."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if for_types_only(node):
            for other in node.orelse:
                yield other
                yield from executed(other)
        else:
            yield node
            yield from executed(node)


def literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def imported_names(module: str, known: frozenset[str], node: ast.AST) -> list[str | None]:
    """Full names that one statement or call imports; None for a name that is not written out."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = ["pyqmc_art", *filter(None, module.split("."))]
            is_package = any(other.startswith(f"{module}." if module else "") and other != module for other in known)
            package = package[: len(package) - node.level + (1 if is_package else 0)]
            base = ".".join([*package, *filter(None, [base])])
        if base.partition(".")[0] != "pyqmc_art":
            harmless = all(f"{base}.{alias.name}" in HARMLESS for alias in node.names)
            return [] if harmless else [base]
        own = base.removeprefix("pyqmc_art").removeprefix(".")
        names = [".".join(filter(None, [own, alias.name])) for alias in node.names]
        native = ("_core", "_cuda")
        return [f"pyqmc_art.{name}" if name in known or name in native else base for name in names]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "import_module"):
        return [literal(node.args[0])]
    return []


@cache
def imports(module: str, source: str, known: frozenset[str]) -> tuple[Import, ...]:
    found = []
    for node in executed(ast.parse(source)):
        for name in imported_names(module, known, node):
            if name is None:
                if module not in CHOSEN_BY_CALLER:
                    found.append(Import(module, "a name that is not written out", True, node.lineno))
                continue
            native = name in ("pyqmc_art._core", "pyqmc_art._cuda")
            inside = name.partition(".")[0] == "pyqmc_art" and not native
            target = name.removeprefix("pyqmc_art").removeprefix(".") if inside else name
            found.append(Import(module, target, not inside, node.lineno))
    return tuple(found)


def part_of(module: str) -> str:
    return module.partition(".")[0]


def within(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(f"{home}.") for home in homes)


def layer_fault(found: Import) -> str | None:
    """Say what is wrong with an import from one part of the package to another."""
    source, target = part_of(found.source), part_of(found.target)
    if source == target or (target == "" and source == "__main__"):
        return None
    if target == "testing":
        return None if source in MAY_IMPORT_TESTING else "only the command line, tests and benchmarks import testing"
    if target not in LEVEL:
        return "has no line in the table of layers"
    if source == "testing":
        return None if LEVEL[target] > LEVEL["studies"] else "testing imports only from below studies"
    if source not in LEVEL:
        return "has no line in the table of layers"
    if LEVEL[source] == LEVEL[target] == TOP and target != "":
        return None
    return None if LEVEL[source] < LEVEL[target] else "a module imports only from below its own line"


def home_fault(found: Import) -> str | None:
    """Say what is wrong with an import of another library."""
    top = found.target.partition(".")[0]
    if top in sys.stdlib_module_names:
        return "can execute what it reads" if top in FORBIDDEN_IMPORTS else None
    if top in FORBIDDEN_IMPORTS:
        return "can execute what it reads"
    if top == "numpy" or top in ONE_MODULE_EACH or found.source in CHOSEN_BY_CALLER:
        return None
    homes = HOMES.get(found.target if top == "pyqmc_art" else top)
    if homes is None:
        return "has no home in the table of libraries"
    return None if within(found.source, homes) else f"lives in {', '.join(homes)}"


def import_faults(known: dict[str, str]) -> list[str]:
    faults = []
    users: dict[str, set[str]] = {}
    for module, source in known.items():
        for found in imports(module, source, frozenset(known)):
            fault = home_fault(found) if found.outside else layer_fault(found)
            if fault is not None:
                faults.append(f"pyqmc_art.{module}:{found.line} imports {found.target}: {fault}")
            if found.outside and found.target.partition(".")[0] in ONE_MODULE_EACH:
                users.setdefault(found.target.partition(".")[0], set()).add(module)
    shared = {name: sorted(who) for name, who in users.items() if len(who) > 1}
    return faults + [f"{name} is imported by {who}: one module each" for name, who in shared.items()]


def style_faults(known: dict[str, str]) -> list[str]:
    """What no module does: assert on input, catch everything, run text, start a shell."""
    faults = []
    for module, source in known.items():
        for node in ast.walk(ast.parse(source)):
            fault = style_fault(node)
            if fault is not None:
                faults.append(f"pyqmc_art.{module}:{node.lineno}: {fault}")
    return faults


def style_fault(node: ast.AST) -> str | None:
    if isinstance(node, ast.Assert):
        return "assert"
    if isinstance(node, ast.ExceptHandler):
        names = [] if node.type is None else [ast.unparse(n) for n in getattr(node.type, "elts", [node.type])]
        raises_again = any(isinstance(n, ast.Raise) for n in ast.walk(node))
        if not names or "Exception" in names or ("BaseException" in names and not raises_again):
            return "catches everything"
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name in FORBIDDEN_CALLS:
            return f"calls {name}"
        if name in ("os.system", "os.popen") or any(
            k.arg == "shell" and getattr(k.value, "value", True) for k in node.keywords
        ):
            return "starts a shell"
        if name.endswith("load") and any(k.arg == "allow_pickle" and k.value.value for k in node.keywords):
            return "reads pickles"
    if isinstance(node, ast.Global):
        return "changes a global name"
    return None


def test_every_import_of_the_package_goes_down_and_every_library_is_at_home():
    assert import_faults(modules()) == []


def test_no_module_asserts_catches_everything_or_runs_text():
    assert style_faults(modules()) == []


def test_the_package_was_found():
    known = modules()
    assert {"", "cli", "lattice.chain", "lattice.kernels", "store.hdf5", "ops.plain", "__main__"} <= set(known)
    found = {(i.source, i.target) for name, text in known.items() for i in imports(name, text, frozenset(known))}
    assert {("cli", "options"), ("ops.discrete", "pyqmc_art._core"), ("ops.jit", "numba")} <= found
    assert ("store.hdf5", "h5py") in found
    assert ("lattice.chain", "lattice.actions") in found
    assert ("protocols", "lattice.geometry") not in found, "what only a type checker sees is not executed"


PLANTED = [
    ("lattice.chain", "from pyqmc_art.report import page", "below its own line"),
    ("lattice.chain", "import pyqmc_art.studies.catalogue", "below its own line"),
    ("lattice.chain", "def late():\n    from pyqmc_art import cli", "below its own line"),
    ("lattice.chain", "from ..studies import catalogue", "below its own line"),
    ("lattice.chain", "from pyqmc_art.learning import fit", "below its own line"),
    ("lattice.kernels", "from ...report import page", "below its own line"),
    ("learning.fit", "from pyqmc_art.lattice import actions", "below its own line"),
    ("proposals.flow", "from pyqmc_art.art import metrics", "below its own line"),
    ("art.gan", "from pyqmc_art import proposals", "below its own line"),
    ("rng", "from pyqmc_art.monitor import Silent", "below its own line"),
    ("errors", "from pyqmc_art.protocols import Field", "below its own line"),
    ("store.writer", "from pyqmc_art import sample", "below its own line"),
    ("store.writer", "import importlib\nimportlib.import_module('pyqmc_art.lattice')", "below its own line"),
    ("testing.cases", "from pyqmc_art.studies import catalogue", "below studies"),
    ("testing.cases", "from pyqmc_art.report import page", "below studies"),
    ("studies.times", "from pyqmc_art.testing.cases import CASES", "import testing"),
    ("novel.room", "from pyqmc_art import errors", "no line in the table"),
    ("lattice.chain", "import torch", "lives in"),
    ("lattice.chain", "import h5py", "lives in"),
    ("lattice.chain", "from numba import njit", "lives in"),
    ("lattice.chain", "from pyqmc_art import _core", "lives in"),
    ("lattice.chain", "import pyqmc_art._core", "lives in"),
    ("lattice.chain", "import importlib\nimportlib.import_module('numba')", "lives in"),
    ("lattice.chain", "from importlib import import_module\nimport_module('pyqmc_art._core')", "lives in"),
    ("lattice.chain", "import importlib\nname = 'numba'\nimportlib.import_module(name)", "not written out"),
    ("cli", "import matplotlib.pyplot as plt", "lives in"),
    ("studies.times", "import jinja2", "lives in"),
    ("art.gan", "import timm", "lives in"),
    ("art.gan", "import h5py", "lives in"),
    ("report.page", "import gradio", "lives in"),
    ("report.page", "import unheard_of", "no home"),
    ("report.page", "import pickle", "execute what it reads"),
    ("report.page", "from pickle import UnpicklingError, loads", "execute what it reads"),
]


@pytest.mark.parametrize(("module", "source", "fault"), PLANTED)
def test_a_planted_import_is_found(module, source, fault):
    known = modules()
    known.setdefault(part_of(module), "")
    known[module] = known.get(module, "") + "\n" + source + "\n"
    found = import_faults(known)
    assert len(found) == 1
    assert fault in found[0]
    assert f"pyqmc_art.{module}:" in found[0]


def test_a_library_of_one_module_is_not_imported_by_two():
    known = modules() | {"lattice.ranks": "from mpi4py import MPI\n"}
    assert import_faults(known) == []
    known["studies.campaign"] = "import mpi4py.MPI\n"
    assert import_faults(known) == ["mpi4py is imported by ['lattice.ranks', 'studies.campaign']: one module each"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("art.detectors", "import timm, torch"),
        ("learning.fit", "import torch.nn.functional as F"),
        ("art.gan", "from pickle import UnpicklingError"),
        ("cli", "from pyqmc_art.testing import verdict"),
        ("web", "import gradio\nfrom pyqmc_art import options"),
        ("lattice.chain", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("lattice.chain", "from .actions import Ising\nfrom . import geometry\nfrom ..stats import estimate"),
    ],
)
def test_an_import_in_order_is_let_through(module, source):
    known = modules()
    known[module] = known.get(module, "") + "\n" + source + "\n"
    assert import_faults(known) == []


@pytest.mark.parametrize(
    "source",
    [
        "assert 1",
        "try:\n    pass\nexcept:\n    pass",
        "try:\n    pass\nexcept Exception as error:\n    raise error",
        "try:\n    pass\nexcept (ValueError, Exception):\n    pass",
        "try:\n    pass\nexcept BaseException:\n    pass",
        "eval('1')",
        "exec('1')",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import os\nos.system('ls')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "def change():\n    global x\n    x = 1",
    ],
)
def test_a_planted_fault_of_style_is_found(source):
    assert len(style_faults({"lattice.chain": source})) == 1


def test_what_is_no_fault_of_style():
    source = (
        "try:\n    pass\nexcept (ValueError, OSError):\n    pass\nexcept BaseException:\n    raise\nre.compile('x')\n"
    )
    assert style_faults({"lattice.chain": source}) == []
