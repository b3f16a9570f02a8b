"""Every operation on every backend, instruction set, thread count and split writes the bytes of the plain loops."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.cluster_averages import smallest_phases
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels import compiled
from pyqmc_art.lattice.observables import find
from pyqmc_art.ops import discrete, plain
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import EXACT, Case, on_all_kernels

FAST = tuple(b for b in list_available() if b in ("cpp", "numba"))
MEASURED = find(["energy", "magnetization"])  # together they hold both sums
STREAM = Stream.from_seed(11)

# Wider than a tile (2048), a chunk (1024) and an inner block (120), with odd ends: for the fast backends only.
WIDE = (
    *on_all_kernels(
        (
            Ising(Lattice((4100,)), 0.6, h=0.1),
            Ising(Lattice((3, 2051), boundary=("open", "open")), 0.4, J=-1.0),
            Ising(Lattice((2051, 3)), 0.4, h=-0.2),
            Ising(Lattice((2, 2100), kind="triangular"), 0.2),
            Ising(Lattice((6, 2055), kind="triangular", boundary=("periodic", "open")), 0.25, h=0.05),
            Ising(Lattice((4, 2050), kind="honeycomb"), 0.6, h=0.1),
            Ising(Lattice((5, 1027), kind="honeycomb", boundary="open"), 0.7, J=-1.0),
            Ising(Lattice((4, 2, 6, 130)), 0.14),
            Ising(Lattice((2, 4, 2, 2), boundary=("periodic", "open", "open", "periodic")), 0.2, h=0.1),
            Potts(Lattice((3, 2051), boundary="open"), 3, 0.9),
            Potts(Lattice((4, 1030)), 200, 2.4),
            Potts(Lattice((4, 1030)), 400, 2.0, J=-1.0),
            Potts(Lattice((3, 1029), kind="triangular"), 130, 1.5),
            Potts(Lattice((2, 4, 250)), 5, 0.5),
        )
    ),
    Case("wolff", Ising(Lattice((40, 50)), 0.44), {"clusters": 9}),
    *(
        Case("constrained", Ising(Lattice((30, 31)), 0.4), {"magnetization": 0.2, "exchange": exchange})
        for exchange in discrete.RANGES
    ),
)


@pytest.fixture(autouse=True)
def threads_for_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "WORTH_A_THREAD", 1)


def ladder_of(case: Case, backend: str, threads: int = 1, rungs: int = 2) -> Any:
    """The case's kernel for ``rungs`` copies, each at its own beta."""
    kernel = case.build(backend, threads)
    if rungs == 1:
        return kernel
    return kernel.on_ladder([replace(case.action, beta=case.action.beta + 0.1 * k) for k in range(rungs)])


def trace(kernel: Any, replicas: int = 3, first: int = 2, steps: int = 4, every: int = 2) -> dict[str, Any]:
    """All bytes that a few steps from the middle of a run produce."""
    stream = STREAM.shifted(first)
    state = kernel.init(kernel.start(stream.fold("start"), replicas))
    state.step = 5
    state, series, info = kernel.advance(stream, state, steps, every, MEASURED)
    return {"field": state.field.tobytes(), "step": state.step, "info": info} | {
        k: v.tobytes() for k, v in series.items()
    }


@pytest.mark.parametrize("case", EXACT, ids=lambda case: case.name)
def test_every_backend_writes_the_bytes_of_the_plain_loops(case: Case) -> None:
    reference = trace(ladder_of(case, "python"), replicas=2, steps=3)
    assert reference["field"] != trace(ladder_of(case, "python"), replicas=2, steps=0)["field"]
    for backend in FAST:
        assert trace(ladder_of(case, backend), replicas=2, steps=3) == reference


@pytest.mark.skipif(len(FAST) < 2, reason="needs two fast backends to compare")
@pytest.mark.parametrize("case", WIDE, ids=lambda case: case.name)
def test_fast_backends_agree_on_wide_lattices(case: Case) -> None:
    one, other = (trace(ladder_of(case, backend)) for backend in FAST)
    assert one == other


@pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")
@pytest.mark.parametrize("case", WIDE, ids=lambda case: case.name)
def test_every_instruction_set_and_thread_count_writes_the_same_bytes(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyqmc_art import _core

    # One field for several threads, so that they share it; then more fields than threads.
    for replicas, rungs in ((1, 1), (3, 2)):
        monkeypatch.delenv("PYQMC_ISA", raising=False)
        reference = trace(ladder_of(case, "cpp", 1, rungs), replicas)
        for isa in _core.available_isas():
            monkeypatch.setenv("PYQMC_ISA", isa)
            assert _core.isa() == isa
            assert trace(ladder_of(case, "cpp", 1, rungs), replicas) == reference, isa
        for threads in (2, 3, 5):
            assert trace(ladder_of(case, "cpp", threads, rungs), replicas) == reference, threads


def chain_after_one_step(backend: str, name: str, key: int, step: int, bond: int) -> bytes:
    """An ordered chain of five spins after one step at a bond probability of ``bond`` / 2^63."""
    field = np.ones((1, 5), np.int8)
    batch = discrete.Batch(
        Lattice((5,)), field, rungs=1, q=0, key=key, first_replica=0, first_step=step, steps=1, every=1,
        sums=np.zeros((0, 1, 2), np.int64), tally=np.zeros(1, np.int64), threads=1,
    )  # fmt: skip
    bonds = (False, np.array([bond], np.uint64), np.zeros(1, np.uint64), 1)
    operations = discrete.operations(backend)
    if name == "wolff":
        operations.wolff_steps(batch, *bonds, 1)
    else:
        operations.swendsen_wang_steps(batch, *bonds, smallest_phases((5,)), 1, 3)
    return field.tobytes()


def digits_of_a_bond(name: str, key: int, step: int) -> int:
    """The number below 2^63 of a bond: of the seed's forward bond for Wolff, of site 0 else."""
    word = np.uint64(key)
    if name == "wolff":
        seed = int(plain.scaled(plain.draw(word, 3, 0, 0, 0, 0, step), 5))
        upper, lower = (int(plain.block(word, 1, seed, part, 0, step)[0]) for part in (0, 2))
        return upper << 31 | lower >> 1
    planes = [int(w) & 1 for k in range(32) for w in plain.block(word, 1, 0, k, 0, step)[::2]]
    return int("".join(map(str, planes[:63])), 2)


@pytest.mark.parametrize("backend", ["python", *FAST])
@pytest.mark.parametrize("name", ["swendsen-wang", "wolff"])
def test_a_bond_is_decided_by_the_last_of_its_digits(name: str, backend: str) -> None:
    """Active below its probability and not at it, where 62 digits agree."""
    differing = 0
    for step in range(8):
        number = digits_of_a_bond(name, 77, step)
        fields = [chain_after_one_step(backend, name, 77, step, number + more) for more in (0, 1)]
        differing += fields[0] != fields[1]
        assert fields == [chain_after_one_step("python", name, 77, step, number + more) for more in (0, 1)]
    assert differing > 0


@pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")
def test_an_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYQMC_ISA", "sse9")
    with pytest.raises(InputError, match="PYQMC_ISA is 'sse9'; available on this processor: baseline"):
        trace(WIDE[0].build("cpp"))


def test_an_unknown_backend_has_no_operations() -> None:
    with pytest.raises(InputError, match="use cpp, cuda, numba or python"):
        discrete.operations("fortran")


@pytest.fixture(name="batch")
def make_batch() -> Iterator[dict[str, Any]]:
    pytest.importorskip("pyqmc_art._core")
    yield {
        "field": np.ones((4, 12), np.int8),
        "rungs": 2,
        "q": 0,
        "key": 7,
        "first_replica": 0,
        "first_step": 0,
        "steps": 2,
        "every": 1,
        "sums": np.zeros((2, 4, 2), np.int64),
        "tally": np.zeros(4, np.int64),
        "threads": 1,
    }


def run_directly(batch: dict[str, Any], table: Any = None, lattice: Any = None) -> None:
    from pyqmc_art import _core

    arguments = dict(batch)
    field = arguments.pop("field")
    shape = _core.Lattice(*(lattice or ("square", [4, 3], [True, False])))
    if table is None:
        table = np.zeros((batch["rungs"], 18), np.uint64)
    _core.local_steps(_core.Batch(shape, field, **arguments), 0, table)


def read_only(array: Any) -> Any:
    array.setflags(write=False)
    return array


def test_good_arrays_are_accepted(batch: dict[str, Any]) -> None:
    run_directly(batch)
    np.testing.assert_array_equal(batch["sums"][..., 0], 4 * 3 + 4 * 2)
    np.testing.assert_array_equal(batch["sums"][..., 1], 12)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("field", np.ones((4, 24), np.int8)[:, ::2], "field is not C-contiguous"),
        ("field", np.ones((12, 4), np.int8).T, "field is not C-contiguous"),
        ("field", read_only(np.ones((4, 12), np.int8)), "field is read-only"),
        ("field", np.ones((4, 12), np.float32), "field has dtype float32; expected"),
        ("field", np.ones((4, 12), np.uint16), "field has dtype uint16; expected int16"),
        ("field", np.ones((4, 12), ">i2"), "field has dtype >i2; expected int16"),
        ("field", np.ones((4, 13), np.int8), r"field has shape \(4, 13\); expected \(4, 12\)"),
        ("field", np.ones(48, np.int8), "field must have shape"),
        ("rungs", 3, "batch divisible by rungs"),
        ("steps", -1, "steps >= 0"),
        ("every", 0, "every >= 1"),
        ("threads", 0, "threads >= 1"),
        ("sums", np.zeros((2, 4, 2), np.int32), "sums has dtype int32; expected int64"),
        ("sums", np.zeros((1, 4, 2), np.int64), r"sums has shape \(1, 4, 2\); expected \(2, 4, 2\)"),
        ("sums", read_only(np.zeros((2, 4, 2), np.int64)), "sums is read-only"),
        ("tally", np.zeros(5, np.int64), r"tally has shape \(5\); expected \(4\)"),
        ("tally", np.zeros(8, np.int64)[::2], "tally is not C-contiguous"),
        ("tally", np.zeros(4), "tally has dtype float64; expected int64"),
    ],
)
def test_bad_memory_is_refused_by_name(batch: dict[str, Any], name: str, value: Any, message: str) -> None:
    before = batch["field"].copy()
    with pytest.raises(InputError, match=message):
        run_directly({**batch, name: value})
    np.testing.assert_array_equal(batch["field"], before)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((2, 17), np.uint64), r"table has shape \(2, 17\); expected \(2, 18\)"),
        (np.zeros((1, 18), np.uint64), r"table has shape \(1, 18\); expected \(2, 18\)"),
        (np.zeros((2, 18), np.int64), "table has dtype int64; expected uint64"),
        (np.zeros((18, 2), np.uint64).T, "table is not C-contiguous"),
    ],
)
def test_bad_tables_are_refused(batch: dict[str, Any], table: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_directly(batch, table)


@pytest.mark.parametrize(
    ("lattice", "message"),
    [
        (("square", [4, 3], [True]), "one boundary for each"),
        (("square", [4, 1], [True, True]), "at least 2"),
        (("cubic", [4, 3], [True, True]), "unknown lattice 'cubic'"),
        (("triangular", [12], [True]), "two axes"),
        (("square", [2**16, 2**16], [True, True]), "2\\^31 - 1 sites"),
        (("square", [], []), "1 to 4 axes"),
    ],
)
def test_bad_lattices_are_refused(batch: dict[str, Any], lattice: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_directly(batch, lattice=lattice)


@pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")
def test_neighbours_that_do_not_exist_are_refused() -> None:
    from pyqmc_art import _core

    lattice = Lattice((4, 3))
    shape = _core.Lattice(lattice.kind, list(lattice.shape), list(lattice.periodic))
    field, tally = np.ones((1, 12), np.int8), np.zeros(1, np.int64)
    one = np.zeros(1, np.uint64)
    batch = _core.Batch(
        shape, field, rungs=1, q=0, key=7, first_replica=0, first_step=0, steps=1, every=1,
        sums=np.zeros((0, 1, 2), np.int64), tally=tally, threads=1,
    )  # fmt: skip
    _core.wolff_steps(batch, lattice.neighbours, False, one, one, 1, 1)
    wrong = lattice.neighbours.copy()
    wrong[5, 1] = 12
    for table, message in (
        (wrong, "a site that does not exist"),
        (lattice.neighbours[:, :2].copy(), "neighbours must have shape"),
        (lattice.neighbours[:6].copy(), "neighbours has shape"),
        (lattice.neighbours.astype(np.int64), "neighbours has dtype int64"),
    ):
        with pytest.raises(InputError, match=message):
            _core.wolff_steps(batch, table, False, one, one, 1, 1)
    with pytest.raises(InputError, match="clusters is from 1"):
        _core.wolff_steps(batch, lattice.neighbours, False, one, one, 1, 0)


@pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")
@pytest.mark.parametrize("name", ["metropolis", "swendsen-wang", "wolff", "constrained", "measure"])
def test_the_gil_is_released(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread is made to yield: another one can only run while the compiled loop has let go of the interpreter."""
    kernel: Any = Case("metropolis" if name == "measure" else name, Ising(Lattice((128, 128)), 0.44)).build("cpp", 1)
    state = kernel.init(kernel.start(STREAM, 4))
    counter, progress = [0], [0]
    busy = threading.Event()

    def work() -> None:
        for _ in range(500):
            before = counter[0]
            busy.set()
            if name == "measure":
                kernel.measure(state.field, MEASURED)
            else:
                kernel.advance(STREAM, state, 20)
            progress[0] = counter[0] - before
            if progress[0]:
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e4)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        busy.wait()
        while thread.is_alive():
            counter[0] += 1
            time.sleep(0)
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert progress[0] > 0
