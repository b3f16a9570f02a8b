"""What importing pulls in, what the package offers by name, and what still works when a library is missing."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys

import pytest

import pyqmc_art as qa
from pyqmc_art.backends import list_available

HEAVY = {"torch", "matplotlib", "numba", "jinja2", "h5py", "scipy", "cyclopts", "yaml", "tqdm", "numpy"}

HIDE = """
import importlib.abc, sys
hidden = {names!r}
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in hidden or name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {{name!r}} (hidden)", name=name)
sys.meta_path.insert(0, Hide())
# Where only the presence is asked for, a module that is None is not there.
sys.modules.update(dict.fromkeys(hidden))
"""

WORK = """
import json, os, pathlib, tempfile
import pyqmc_art as qa
from pyqmc_art import cli
os.chdir(tempfile.mkdtemp())
digests = {}
for name, action in (
    ("heat-bath+wolff", qa.Ising(qa.Lattice((4, 4)), beta=0.4, h=0.1)),
    ("metropolis+swendsen-wang", qa.Potts(qa.Lattice((4, 4)), q=3, beta=0.8)),
):
    kernel = qa.build(name, action)
    run = qa.sample(action, kernel, steps=60, warmup=5, save_every=10, replicas=2, out=f"{action.name}.h5")
    digests[action.name] = [run.series["energy"].tobytes().hex(), run.fields[:].tobytes().hex(), kernel.backend]
    resumed = qa.resume(f"{action.name}.h5", steps=80)
    digests[action.name].append(resumed.series["energy"].tobytes().hex())
assert cli.main(["analyze", "ising.h5", "--json"]) == 0
assert cli.main(["sample", "ising", *"--shape 4 4 --beta 0.4 --kernel metropolis --steps 9 --warmup 2".split()]) == 0
assert cli.main(["info"]) == 0
print("DIGESTS", json.dumps(digests))
"""


def python(code, *, hidden=(), fails=False):
    """Run code in a new interpreter in which some modules cannot be found."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYQMC_") and k != "OMP_NUM_THREADS"}
    program = (HIDE.format(names=set(hidden)) if hidden else "") + code
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, env=kept)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def digests(hidden=()):
    return json.loads(python(WORK, hidden=hidden).rpartition("DIGESTS")[2])


def test_import_pulls_in_nothing_heavy():
    loaded = set(python("import sys, pyqmc_art; print(*sys.modules)").split())
    assert "pyqmc_art" in loaded
    assert not HEAVY & loaded


def test_sampling_and_analyzing_pull_in_no_plots_and_no_torch():
    code = """
import sys, pyqmc_art as qa
action = qa.Ising(qa.Lattice((4, 4)), beta=0.4)
print(qa.sample(action, qa.build("heat-bath", action), steps=20, warmup=2).summary()[:0])
print(*sys.modules)
"""
    loaded = set(python(code).split())
    assert not {"torch", "matplotlib", "jinja2", "cyclopts", "yaml"} & loaded
    if "cpp" in list_available():
        assert "numba" not in loaded


def test_help_and_errors_are_quick_to_come():
    code = "import sys; from pyqmc_art.cli import main; main(['sample', '--help']); print(*sys.modules)"
    assert not {"torch", "matplotlib", "jinja2", "h5py", "numba", "scipy"} & set(python(code).splitlines()[-1].split())


def test_every_name_resolves_and_says_what_it_is():
    assert sorted(qa.__all__, key=lambda name: (not name.isupper(), name)) == list(qa.__all__)
    assert set(qa.__all__) | {"__version__", "art"} == set(dir(qa))
    for name in qa.__all__:
        thing = getattr(qa, name)
        assert inspect.getdoc(thing), f"{name} has no docstring"
        assert thing.__name__ == name
        assert thing.__module__.startswith("pyqmc_art")
    assert isinstance(qa.__version__, str)
    for name in ("Isin", "Kernel", "h5py"):
        with pytest.raises(AttributeError, match=name):
            getattr(qa, name)


def test_names_for_type_checkers_are_the_names_there_are():
    """The lazy names, the list of names and the imports that a type checker sees agree."""
    tree = ast.parse(inspect.getsource(qa))
    seen = {
        alias.asname or alias.name: f"pyqmc_art.{node.module.removeprefix('pyqmc_art.')}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pyqmc_art")
        for alias in node.names
    }
    lazy = {name: f"pyqmc_art.{home}" for name, home in qa._HOME.items()}
    assert lazy.items() <= seen.items()
    assert set(seen) <= set(qa.__all__)


@pytest.fixture(scope="module")
def everything():
    return digests()


@pytest.mark.parametrize(
    ("hidden", "backend"),
    [
        (("torch", "timm", "diffusers", "gradio", "dask", "mpi4py", "pyerrors", "arviz"), None),
        (("matplotlib", "jinja2", "markupsafe"), None),
        (("scipy",), None),
        (("numba",), "cpp"),
        (("pyqmc_art._core",), "numba"),
        (("pyqmc_art._core", "numba"), "python"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else str(value),
)
def test_what_is_hidden_is_not_missed(everything, hidden, backend):
    if backend == "cpp" and "cpp" not in list_available():
        pytest.skip("no compiled kernels here")
    if backend == "numba":
        pytest.importorskip("numba")
    found = digests(hidden)
    for action, (series, fields, used, resumed) in found.items():
        assert [series, fields, resumed] == [everything[action][i] for i in (0, 1, 3)]
        assert backend in (None, used)


@pytest.mark.parametrize(
    ("hidden", "asked", "command"),
    [
        ("pyqmc_art._core", "cpp", "pip install ."),
        ("numba", "numba", "pip install numba"),
    ],
)
def test_what_is_hidden_is_not_replaced_when_asked_for(hidden, asked, command):
    words = f"sample ising --shape 4 4 --beta 0.4 --kernel metropolis --steps 9 --backend {asked}".split()
    err = python(f"import sys; from pyqmc_art.cli import main; sys.exit(main({words!r}))", hidden=(hidden,), fails=True)
    assert f"backend '{asked}'" in err
    assert command in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_hiding_hides():
    for name in ("numba", "scipy", "pyqmc_art._core"):
        code = f"import importlib.util\ntry:\n    import {name}\nexcept ImportError:\n    print('gone')"
        assert python(code, hidden=(name,)) == "gone\n"
