"""Multi-spin sweeps: the same bytes from everybody, exact probabilities, and planted bugs that are caught."""

from __future__ import annotations

import inspect
import types
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice import acceptance
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels import compiled
from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
from pyqmc_art.lattice.observables import find
from pyqmc_art.ops import discrete, multispin
from pyqmc_art.protocols import State
from pyqmc_art.rng import Stream, philox
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.trials import exact_start_p_value
from pyqmc_art.testing.verdict import BUDGET

FAST = tuple(b for b in list_available() if b in ("cpp", "numba"))
MEASURED = find(["energy", "magnetization"])
STREAM = Stream.from_seed(31)
TORUS = Ising(Lattice((4, 4)), 0.44)

# Extents on either side of every boundary there is: several rows in a word, one, parts of words, several words; rows of
# words that fill registers or straddle them; blocks in part; both signs, fields, couplings where nothing is certain.
ACTIONS = (
    Ising(Lattice((2, 2)), 0.3),
    Ising(Lattice((2, 4)), 0.3, h=0.1),
    Ising(Lattice((10, 6)), 0.0),
    Ising(Lattice((14, 20)), 0.44, J=-1.0),
    Ising(Lattice((6, 126)), 0.44),
    Ising(Lattice((22, 128)), 0.44, h=-0.2),
    Ising(Lattice((18, 130)), 0.01),
    Ising(Lattice((6, 1022)), 0.44),
    Ising(Lattice((4, 1026)), 0.4, J=-1.0, h=0.3),
    Ising(Lattice((64, 64)), 0.44),
    Ising(Lattice((48, 256)), 0.46),
    Ising(Lattice((2, 2, 2)), 0.2),
    Ising(Lattice((4, 6, 10)), 0.2, J=-1.0),
    Ising(Lattice((2, 6, 130)), 0.2, h=0.1),
    Ising(Lattice((6, 34, 12)), 0.22),
)


def trace(kernel: Any, replicas: int = 2, first: int = 3, steps: int = 6) -> tuple[Any, ...]:
    """All bytes of a few steps from the middle of a run."""
    stream = STREAM.shifted(first)
    state = kernel.init(kernel.start(stream.fold("start"), replicas))
    state.step = 5
    state, series, info = kernel.advance(stream, state, steps, 2, MEASURED)
    return state.field.tobytes(), info, {name: values.tobytes() for name, values in series.items()}


@pytest.fixture(autouse=True)
def threads_for_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "WORTH_A_THREAD", 1)
    monkeypatch.delenv("PYQMC_ISA", raising=False)


@pytest.mark.skipif(len(FAST) < 2, reason="needs the compiled module and Numba")
@pytest.mark.parametrize("kind", [Metropolis, HeatBath])
@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_everybody_writes_the_same_bytes(kind: Any, action: Ising, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyqmc_art import _core

    reference = trace(kind(action, backend="numba"))
    for isa in _core.available_isas():
        monkeypatch.setenv("PYQMC_ISA", isa)
        for threads in (1, 3):
            assert trace(kind(action, backend="cpp", threads=threads)) == reference, (isa, threads)


@pytest.mark.parametrize("action", [a for a in ACTIONS if a.lattice.sites < 70], ids=str)
def test_plain_python_writes_the_same_bytes(action: Ising) -> None:
    reference = trace(Metropolis(action, backend="python"), steps=2)
    for backend in FAST:
        assert trace(Metropolis(action, backend=backend), steps=2) == reference


@pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")
@pytest.mark.parametrize("replicas", [1, 7, 8, 19])
@pytest.mark.parametrize("shape", [(2, 2), (4, 6), (16, 16), (12, 20), (4, 4, 4), (6, 70)])
def test_many_replicas_are_what_each_is_alone(
    shape: tuple[int, ...], replicas: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rungs with couplings of their own in between, whichever fields a register is filled with."""
    from pyqmc_art import _core

    action = Ising(Lattice(shape), 0.4)
    kernel = Metropolis(action, backend="cpp", threads=1).on_ladder([action, Ising(Lattice(shape), 0.1, h=0.2)])
    fields = kernel.start(STREAM, replicas)
    alone = [
        kernel.advance(STREAM.shifted(r), kernel.init(fields[r : r + 1]), 4, 2, MEASURED)[:2] for r in range(replicas)
    ]
    for isa in _core.available_isas():
        monkeypatch.setenv("PYQMC_ISA", isa)
        for threads in (1, 2):
            state, series, _ = kernel.using(threads).advance(STREAM, kernel.init(fields), 4, 2, MEASURED)
            for r, (its_state, its_series) in enumerate(alone):
                np.testing.assert_array_equal(state.field[r], its_state.field[0])
                for name, values in its_series.items():
                    np.testing.assert_array_equal(series[name][:, r], values[:, 0])


def test_which_lattices_are_packed() -> None:
    assert all(discrete.can_be_packed(a.lattice) for a in ACTIONS)
    for lattice in (
        Lattice((4, 5), boundary="open"),
        Lattice((4, 4), boundary=("open", "periodic")),
        Lattice((6, 6), kind="triangular"),
        Lattice((4, 4), kind="honeycomb"),
        Lattice((8,)),
        Lattice((2, 2, 2, 2)),
    ):
        assert not discrete.can_be_packed(lattice)


@pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")
@pytest.mark.parametrize("lattice", [Lattice((4, 5), boundary="open"), Lattice((3, 5)), Lattice((2, 2, 2, 2))], ids=str)
def test_other_lattices_are_refused_by_the_compiled_sweeps(lattice: Lattice) -> None:
    table = acceptance.ising_flips([Ising(lattice, 0.3)], acceptance.heat_bath)
    batch = discrete.Batch(
        lattice, np.ones((1, lattice.sites), np.int8), 1, 0, 7, 0, 0, 1, 1,
        np.zeros((0, 1, 2), np.int64), np.zeros(1, np.int64), 1,
    )  # fmt: skip
    with pytest.raises(InputError, match="two or three periodic axes of even extent"):
        discrete.operations("cpp").multispin_steps(batch, table)


def numbers_of(steps: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What decides about spin 0 of a 2 x 2 lattice in each step: 63 digits, from the generator and from Philox."""
    counter = np.zeros((len(steps), 4), np.uint32)
    counter[:, 2] = steps
    words = philox(counter, STREAM.key).astype(np.uint64)
    state = np.array([words[:, i] | words[:, i + 1] << np.uint64(32) for i in (0, 2)])
    value = np.zeros(len(steps), np.uint64)
    for count in (7, 8):
        batch = [multispin.next_word(state) & np.uint64(1) for _ in range(count)]
        for digit in reversed(batch):
            value = value << np.uint64(1) | digit
    counter[:, 3] = 2
    words = philox(counter, STREAM.key).astype(np.uint64)
    return value << np.uint64(48) | (words[:, 0] | words[:, 1] << np.uint64(32)) >> np.uint64(16)


def pick_steps() -> list[tuple[int, int]]:
    """Steps, each with its number: two in whose digits 0 to 6 the highest one is, two in 7 to 14, two behind."""
    steps = np.arange(200_000)
    numbers = numbers_of(steps)
    highest = 62 - np.floor(np.log2(numbers.astype(np.float64))).astype(int)
    groups = [steps[(highest >= low) & (highest < high)][:2] for low, high in ((0, 7), (7, 15), (15, 63))]
    return [(int(step), int(numbers[step])) for group in groups for step in group]


@pytest.mark.parametrize("backend", list_available())
@pytest.mark.parametrize(("step", "x"), pick_steps())
def test_a_spin_flips_where_the_highest_one_of_its_number_meets_a_one(backend: str, step: int, x: int) -> None:
    """Every digit of the probability by itself, all others by themselves, never and always."""
    one = 1 << x.bit_length() - 1
    expected = {0: False, 2**63: True, 2**63 - 1: True, one: True, 2**63 - 1 - one: False}
    expected |= {1 << k: 1 << k == one for k in range(63)}
    for threshold, flips in expected.items():
        field = np.ones((1, 4), np.int8)
        batch = discrete.Batch(
            Lattice((2, 2)), field, 1, 0, STREAM.key, 0, step, 1, 1, np.zeros((0, 1, 2), np.int64),
            np.zeros(1, np.int64), 1,
        )  # fmt: skip
        discrete.operations(backend).multispin_steps(batch, np.full((1, 18), threshold, np.uint64))
        assert bool(field[0, 0] == -1) is flips, threshold


@pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")
@pytest.mark.parametrize("shape", [(64, 64), (48, 256), (12, 100)], ids=str)
@pytest.mark.parametrize("digit", [0, 6, 7, 9, 14, 15, 17])
def test_every_digit_has_its_probability(shape: tuple[int, ...], digit: int) -> None:
    """Spins that share bits, and those that are left, flip as often as others: one of 40 there is late."""
    lattice = Lattice(shape)
    replicas, steps = 8, 40_000_000 // lattice.sites
    tally = np.zeros(replicas, np.int64)
    batch = discrete.Batch(
        lattice, np.ones((replicas, lattice.sites), np.int8), 1, 0, STREAM.key, 0, 0, steps, 1,
        np.zeros((0, replicas, 2), np.int64), tally, 1,
    )  # fmt: skip
    discrete.operations("cpp").multispin_steps(batch, np.full((1, 18), 1 << 62 - digit, np.uint64))
    assert BUDGET.passes(stats.binomtest(int(tally.sum()), replicas * steps * lattice.sites, 0.5 ** (digit + 1)).pvalue)


class Planted(Metropolis):
    """Runs plain loops whose text was changed."""

    def __init__(self, action: Ising, *changes: tuple[str, str]) -> None:
        super().__init__(action, threads=1)
        numba = pytest.importorskip("numba")
        text = inspect.getsource(multispin)
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        module = types.ModuleType("planted")
        exec(compile(text, "planted", "exec"), module.__dict__)
        for name in ("block", "draw", "measure", "measure_when_due"):
            jitted: Any = discrete.operations("numba")._loops
            setattr(module, name, getattr(jitted, name, None))
        for name, function in list(vars(module).items()):
            if inspect.isfunction(function) and function.__module__ == "planted":
                setattr(module, name, numba.njit(function))
        self._operations = discrete._Plain(None, None, module)


class StaleHalo(Metropolis):
    """The first row looks for the last one where it was copied to at the beginning of the step."""

    def __init__(self, action: Ising) -> None:
        super().__init__(action, backend="numba", threads=1)
        width = action.lattice.shape[-1]
        self._neighbours = action.lattice.neighbours.copy()
        self._neighbours[:width, 1] = action.lattice.sites + np.arange(width)

    def advance(self, stream: Stream, state: State, n: int, *rest: Any) -> Any:
        for _ in range(n):
            super().advance(stream, state, 1)
        return state, {}, {}

    def _run(self, batch: Any) -> None:
        rows, width = batch.geometry.shape
        wider = np.concatenate([batch.field, batch.field[:, -width:]], axis=1)
        arguments = list(discrete._plain_arguments(batch))
        arguments[:2] = wider, self._neighbours
        strips = multispin.count_strips(rows, width // 2)
        extents = (1, strips, rows // strips, width // 2)
        self._operations._packed.multispin_steps(*arguments, extents, 4, self._table)
        batch.field[:] = wider[:, : rows * width]


def p_value(kernel: Any) -> float:
    return exact_start_p_value(Case("metropolis", TORUS), kernel, 100_000, Stream.from_seed(5), 5)


def test_unchanged_loops_pass() -> None:
    assert BUDGET.passes(p_value(Planted(TORUS)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return out\n", "return out | rotate(out, 5) & rotate(out, 9) & rotate(out, 22)\n"),  # a mask of too many ones
        ("if mine != 0:\n                flip =", "if mine > 1:\n                flip ="),  # a digit less
        ("k = _DIGITS - done - 1\n", "k = _DIGITS - done - 3\n"),  # two digits are never looked at
        ("|= np.int64(words[k]", "|= np.int64(words[0]"),  # every digit the same bit
        ("read_digits(words, _FIRST, bit)", "read_digits(words, _FIRST, bit & 62)"),  # two spins share their digits
        ("(plane + y + colour) % 2", "(plane + colour) % 2"),  # columns instead of a checkerboard
    ],
)
def test_planted_bugs_are_caught(old: str, new: str) -> None:
    assert not BUDGET.passes(p_value(Planted(TORUS, (old, new))))


def test_a_stale_halo_row_is_caught() -> None:
    pytest.importorskip("numba")
    assert not BUDGET.passes(p_value(StaleHalo(TORUS)))


@pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")
@pytest.mark.parametrize("count", [0, 1, 7, 16, 33, 100])
def test_blocks_in_bulk_are_those_of_the_stream(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyqmc_art import _core

    stream = STREAM.shifted(5).at(2**32 - 1)
    first = 2**32 - 40 if count < 40 else 3
    expected = stream.bits("user", first + np.arange(count), 1, draw=9)[0]
    for isa in _core.available_isas():
        monkeypatch.setenv("PYQMC_ISA", isa)
        out = np.zeros((count, 4), np.uint32)
        _core.fill_blocks(stream.key, 5, 2**32 - 1, _core.purposes["user"], 9, first, out)
        np.testing.assert_array_equal(out, expected)
    with pytest.raises(InputError, match="number below 2"):
        _core.fill_blocks(1, 0, 0, 0, 2**24, 0, np.zeros((1, 4), np.uint32))
