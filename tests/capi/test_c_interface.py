"""A downstream project, built here against the installed package, gets the bytes that Python gets."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.lattice import acceptance
from pyqmc_art.rng import philox

PACKAGE_ROOT = str(Path(qa.__file__).parents[1])
STREAM = qa.Stream.from_seed(11)

CASES = {
    "square": qa.Ising(qa.Lattice((8, 6)), beta=0.44),
    "square in a field": qa.Ising(qa.Lattice((8, 8)), beta=0.5, J=-0.7, h=0.3),
    "wider than a tile": qa.Ising(qa.Lattice((4, 4100)), beta=0.3),
    "chain": qa.Ising(qa.Lattice((50,)), beta=1.0),
    "open chain": qa.Ising(qa.Lattice((17,), boundary="open"), beta=0.8),
    "triangular": qa.Ising(qa.Lattice((6, 9), "triangular"), beta=0.4, J=-1.0),
    "honeycomb": qa.Ising(qa.Lattice((6, 4), "honeycomb"), beta=0.6),
    "open honeycomb": qa.Ising(qa.Lattice((5, 7), "honeycomb", "open"), beta=0.6, h=-0.2),
    "cubic, one open axis": qa.Ising(qa.Lattice((4, 5, 6), boundary=("periodic", "open", "periodic")), beta=0.22),
    "four dimensions": qa.Ising(qa.Lattice((2, 4, 2, 4)), beta=0.15),
}


def find_compiler() -> str:
    """Return a C++ compiler, or skip."""
    for name in (os.environ.get("CXX"), sysconfig.get_config_var("CXX"), "c++", "g++"):
        if name and shutil.which(name.split()[0]):
            return name.split()[0]
    pytest.skip("no C++ compiler on the path")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that finds this very package; a failure shows the end of what it printed."""
    path = os.pathsep.join(filter(None, [PACKAGE_ROOT, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "CFLAGS": "-O1 -g0"}
    ended = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True)
    if ended.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}")
    return ended.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Build the downstream project in a copy, in its own process."""
    if importlib.util.find_spec("pyqmc_art._core") is None:
        pytest.skip("pyqmc_art was installed without a compiler: it has no C interface")
    pytest.importorskip("Cython", reason="Cython is not installed")
    pytest.importorskip("setuptools", reason="setuptools is not installed")
    find_compiler()
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        pytest.skip("the headers of Python are not installed")
    folder = tmp_path_factory.mktemp("downstream") / "project"
    shutil.copytree(Path(__file__).parent / "downstream", folder)
    run(sys.executable, "setup.py", "-q", "build_ext", "--inplace", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def spinfarm(project):
    """The downstream module, loaded into this process."""
    (library,) = project.glob("spinfarm.*.so")
    spec = importlib.util.spec_from_file_location("spinfarm", library)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table_of(action, rule=acceptance.metropolis):
    return acceptance.ising_flips([action], rule)[0]


def sample_in_python(kernel, steps, replicas=2):
    """Return the fields before and after, shape (replica, sites), and the number of flips."""
    sites = kernel.action.lattice.sites
    state = kernel.init(kernel.start(STREAM, replicas))
    before = state.field.reshape(replicas, sites).copy()
    state, info = kernel.step(STREAM, state) if steps == 1 else kernel.advance(STREAM, state, steps)[::2]
    flips = info[kernel.tally_name] * steps * replicas * sites
    return before, state.field.reshape(replicas, sites), round(flips)


def test_downstream_needs_nothing_but_itself(project):
    code = "import numpy, spinfarm; w = numpy.zeros((1, 4), 'u4'); spinfarm.fill_words(7, 1, 2, 3, w); print(*w[0])"
    counter = np.array([0, 1, 2, 8 << 24 | 3], np.uint32)
    assert run(sys.executable, "-c", code, cwd=project).split() == [str(word) for word in philox(counter, 7)]


@pytest.mark.parametrize(("seed", "replica", "step", "number"), [(0, 0, 0, 0), (3, 5, 2**32 - 1, 2**24 - 1)])
def test_numbers_are_those_of_the_stream(spinfarm, seed, replica, step, number):
    stream = qa.Stream.from_seed(seed).fold("downstream").at(step).shifted(replica)
    index = np.arange(100)
    words, integers, uniforms = np.zeros((100, 4), np.uint32), np.zeros(100, np.uint64), np.zeros(100)
    spinfarm.fill_words(stream.key, replica, step, number, words)
    spinfarm.fill_numbers(stream.key, replica, step, number, integers, uniforms)
    np.testing.assert_array_equal(words, stream.bits("user", index, 1, number)[0])
    np.testing.assert_array_equal(integers, stream.integers("user", index, 1, number)[0])
    np.testing.assert_array_equal(uniforms, stream.uniform("user", index, 1, number)[0])


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("case", CASES)
def test_sweeps_are_those_of_metropolis(spinfarm, case, threads):
    action, key = CASES[case], STREAM.fold(qa.Metropolis.name).key
    fields, expected, flips = sample_in_python(qa.Metropolis(action), steps=7)
    assert not np.array_equal(fields, expected)
    done = 0
    for replica, field in enumerate(fields):
        done = spinfarm.sweep(action.lattice, field, table_of(action), key, replica, 0, 3, threads, done)
        done = spinfarm.sweep(action.lattice, field, table_of(action), key, replica, 3, 4, threads, done)
    np.testing.assert_array_equal(fields, expected)
    assert done == flips


@pytest.mark.parametrize("backend", ["cpp", "python"])
def test_any_table_of_flips_will_do(spinfarm, backend):
    action = CASES["square in a field"]
    fields, expected, _ = sample_in_python(qa.HeatBath(action, backend=backend), steps=3)
    table, key = table_of(action, acceptance.heat_bath), STREAM.fold(qa.HeatBath.name).key
    for replica, field in enumerate(fields):
        spinfarm.sweep(action.lattice, field, table, key, replica, steps=3)
    np.testing.assert_array_equal(fields, expected)


def test_measuring_loop_reproduces_a_run(spinfarm):
    action = CASES["square"]
    kernel, root = qa.Metropolis(action), qa.Stream.from_seed(4)
    run = qa.sample(action, kernel, steps=40, warmup=0, replicas=3, seed=4, measure=("magnetization",))
    fields = kernel.start(root.fold("start"), 3).reshape(3, -1)
    sums = np.zeros((3, 40), np.int64)
    for replica, field in enumerate(fields):
        key = root.fold(kernel.name).key
        spinfarm.magnetizations(action.lattice, field, table_of(action), key, replica, sums[replica])
    np.testing.assert_array_equal(sums.T / action.lattice.sites, run.series["magnetization"])


@pytest.mark.parametrize("what", ["key", "replica", "first_step", "beta"])
def test_every_argument_matters(spinfarm, what):
    action = CASES["square"]
    (field, *_), (expected, *_), _ = sample_in_python(qa.Metropolis(action), steps=1, replicas=1)
    key = STREAM.fold(qa.Metropolis.name).key
    table = table_of(qa.Ising(action.lattice, beta=0.9) if what == "beta" else action)
    changed = {"key": 1, "replica": 1, "first_step": 1}
    arguments = {"key": key, "replica": 0, "first_step": 0} | ({what: changed[what]} if what in changed else {})
    spinfarm.sweep(action.lattice, field, table, **arguments)
    assert not np.array_equal(field, expected)


def impossible(**given):
    return SimpleNamespace(**({"kind": "square", "dimension": 2, "shape": (8, 6), "periodic": (True, True)} | given))


REFUSED = {
    "extent": ({"lattice": impossible(shape=(48, 1))}, "extents of at least 2"),
    "too many sites": ({"lattice": impossible(shape=(2**40, 2**40))}, "2\\^31 - 1 sites"),
    "triangular chain": ({"lattice": impossible(kind="triangular", dimension=1)}, "2 if triangular"),
    "five axes": ({"lattice": impossible(dimension=5, shape=(2,) * 5, periodic=(True,) * 5)}, "1 to 4 axes"),
    "odd extent": ({"lattice": qa.Lattice((16, 3))}, "extents divisible by 2"),
    "triangular of eight": ({"lattice": qa.Lattice((8, 6), "triangular")}, "by 3 if triangular"),
    "spin zero": ({"field": np.zeros(48, np.int8)}, "-1 and \\+1"),
    "spin three": ({"field": np.full(48, 3, np.int8)}, "-1 and \\+1"),
    "table of another lattice": ({"table": np.zeros(26, np.uint64)}, "wrong size"),
    "negative steps": ({"steps": -1}, "0 <= steps"),
    "steps beyond 2^32": ({"first_step": 2**32 - 1, "steps": 2}, "<= 2\\^32"),
    "no thread": ({"threads": 0}, "1 to 1024"),
    "too many threads": ({"threads": 1025}, "1 to 1024"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments_are_refused_and_change_nothing(spinfarm, case):
    changed, reason = REFUSED[case]
    field = np.ones(48, np.int8)
    arguments = {"lattice": qa.Lattice((8, 6)), "field": field, "table": table_of(CASES["square"]), "key": 1} | changed
    before = arguments["field"].copy()
    with pytest.raises(ValueError, match=reason):
        spinfarm.sweep(**arguments)
    np.testing.assert_array_equal(arguments["field"], before)


def test_unknown_instruction_set_is_refused(spinfarm, monkeypatch):
    monkeypatch.setenv("PYQMC_ISA", "abacus")
    with pytest.raises(ValueError, match="PYQMC_ISA"):
        spinfarm.sweep(qa.Lattice((8, 6)), np.ones(48, np.int8), table_of(CASES["square"]), 1)


def test_last_step_is_allowed(spinfarm):
    field = np.ones(48, np.int8)
    spinfarm.sweep(qa.Lattice((8, 6)), field, table_of(CASES["square"]), 1, first_step=2**32 - 1, steps=1)
    assert set(np.unique(field)) <= {-1, 1}


PROGRAM = """
#include <cstdio>
#include "capi/interface.hpp"
#include "core/philox.hpp"
int main() {
  for (std::uint32_t i = 0; i < 3; ++i) {
    const pyqmc::Draws draws{0x123456789abcdefull, 5, 9};
    const pyqmc::Block block = draws.block(static_cast<pyqmc::Purpose>(PYQMC_USER), i, 2);
    std::printf("%u %u %u %u %llu\\n", block.word[0], block.word[1], block.word[2], block.word[3],
                static_cast<unsigned long long>(block.draw(0)));
  }
}
"""


def test_cpp_program_includes_the_stream(tmp_path):
    compiler = find_compiler()
    (tmp_path / "program.cpp").write_text(PROGRAM)
    flags = ("-std=c++17", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I", qa.get_include())
    run(compiler, *flags, "program.cpp", "-o", "program", cwd=tmp_path)
    stream, index = qa.Stream(0x123456789ABCDEF, step=9, replica=5), np.arange(3)
    expected = np.c_[stream.bits("user", index, 1, 2)[0], stream.integers("user", index, 1, 2)[0]]
    assert run(tmp_path / "program", cwd=tmp_path).split() == [str(n) for n in expected.ravel()]
