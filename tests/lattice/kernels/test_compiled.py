"""What all compiled kernels share: how a run is cut does not matter, measurements are fused, bad fields are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyqmc_art.backends import list_available
from pyqmc_art.errors import BackendUnavailable, InputError, NumericalError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
from pyqmc_art.lattice.observables import defined_for, evaluate, find
from pyqmc_art.protocols import State
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import ENERGIES, PORTABLE, Case

STREAM = Stream.from_seed(9)
ALL = defined_for("ising")
CASES = (*PORTABLE, *ENERGIES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_go_is_many_pieces(case: Case) -> None:
    kernel: Any = case.build(threads=1)
    whole, series, info = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 12, 2, ALL)
    state = kernel.init(kernel.start(STREAM, 3))
    parts = []
    for n in (2, 6, 4):
        state, part, _ = kernel.advance(STREAM, state, n, 2, ALL)
        parts.append(part)
    np.testing.assert_array_equal(state.field, whole.field)
    assert state.step == whole.step == 12
    for name, values in series.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)
    by_step = kernel.init(kernel.start(STREAM, 3))
    for _ in range(12):
        by_step, _ = kernel.step(STREAM, by_step)
    np.testing.assert_array_equal(by_step.field, whole.field)
    assert all(np.isfinite(value) for value in info.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_any_split_of_the_replicas_gives_the_same_bytes(case: Case) -> None:
    kernel: Any = case.build(threads=1)
    whole, series, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 5)), 4, 2, find(["energy"]))
    fields, energies = [], []
    for first, last in ((0, 1), (1, 3), (3, 5)):
        stream = STREAM.shifted(first)
        state, part, _ = kernel.advance(stream, kernel.init(kernel.start(stream, last - first)), 4, 2, find(["energy"]))
        fields.append(state.field)
        energies.append(part["energy"])
    np.testing.assert_array_equal(np.concatenate(fields), whole.field)
    np.testing.assert_array_equal(np.concatenate(energies, axis=1), series["energy"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fused_measurements_are_numpy_on_the_field(case: Case) -> None:
    kernel: Any = case.build(threads=1)
    state, series, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 6, 3, ALL)
    fused_only = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 6, 3, find(["energy", "magnetization"]))[
        1
    ]
    again = kernel.init(kernel.start(STREAM, 3))
    for k in range(2):
        again, _, _ = kernel.advance(STREAM, again, 3)
        for o in ALL:
            np.testing.assert_array_equal(series[o.name][k], evaluate(o, kernel.targets, again.field))
    for name, values in fused_only.items():
        np.testing.assert_array_equal(values, series[name])
    now = kernel.measure(state.field, ALL)
    assert set(now) == set(series)
    for name, values in now.items():
        np.testing.assert_array_equal(values, series[name][-1])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_seeds_steps_and_replicas_differ(case: Case) -> None:
    kernel: Any = case.build(threads=1)
    start = kernel.start(STREAM, 1)

    def moved(stream: Stream, step: int = 0) -> bytes:
        state = kernel.init(start)
        state.step = step
        return bytes(kernel.advance(stream, state, 3)[0].field.tobytes())

    assert moved(STREAM) == moved(STREAM)
    others = [moved(Stream.from_seed(10)), moved(STREAM, 1), moved(STREAM.shifted(1)), moved(STREAM.fold("x"))]
    assert len({moved(STREAM), *others}) == 5


def test_steps_that_are_not_due_are_not_measured() -> None:
    kernel = Metropolis(Ising(Lattice((4, 4)), 0.4), threads=1)
    for observables in (find(["energy"]), find(["energy", "kmin2"])):
        _, series, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 2)), 7, 3, observables)
        assert all(values.shape == (2, 2) for values in series.values())


def test_the_field_given_is_not_touched() -> None:
    kernel = HeatBath(Ising(Lattice((4, 4)), 0.4), threads=1)
    field = kernel.start(STREAM, 2)
    before = field.copy()
    kernel.advance(STREAM, kernel.init(field), 5)
    np.testing.assert_array_equal(field, before)
    turned = np.ascontiguousarray(field.transpose(0, 2, 1)).transpose(0, 2, 1)  # not C-contiguous
    one, _ = kernel.step(STREAM, kernel.init(field))
    two, _ = kernel.step(STREAM, kernel.init(turned))
    np.testing.assert_array_equal(one.field, two.field)


def test_starts() -> None:
    ising = Metropolis(Ising(Lattice((16, 16)), 0.4))
    hot = ising.start(STREAM, 4)
    assert set(np.unique(hot)) == {-1, 1} and abs(hot.mean()) < 0.15
    assert (ising.start(STREAM, 2, "cold") == 1).all()
    potts = Metropolis(Potts(Lattice((16, 16)), 200, 0.4))
    assert potts.start(STREAM, 1).dtype == np.int16
    assert len(np.unique(potts.start(STREAM, 4))) > 150
    assert (potts.start(STREAM, 2, "cold") == 0).all()
    assert not np.array_equal(hot[0], hot[1])


def test_info() -> None:
    ising = Ising(Lattice((8, 8)), 0.0)
    cases = {
        "metropolis": ("acceptance", 15 / 16),
        "heat-bath": ("changed", 1 / 2),
        "swendsen-wang": ("clusters", 1.0),
        "wolff": ("turned", 1 / 64),
    }
    for name, (key, value) in cases.items():
        kernel: Any = build(name, ising, threads=1)
        _, _, info = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 20)), 50)
        assert info == {key: pytest.approx(value, abs=0.01)}


@pytest.mark.parametrize(
    ("field", "error", "message"),
    [
        (np.ones((1, 4, 5), np.int8), InputError, r"shape \(1, 4, 5\); expected \(replicas, 4, 4\)"),
        (np.ones((4, 4), np.int8), InputError, r"shape \(4, 4\); expected \(replicas, 4, 4\)"),
        (np.ones((1, 4, 4), np.int64), InputError, "dtype int64; expected int8"),
        (np.ones((1, 4, 4)), InputError, "dtype float64; expected int8"),
        (np.zeros((1, 4, 4), np.int8), NumericalError, "values that are no spin; allowed are -1, 1"),
        (np.full((1, 4, 4), 3, np.int8), NumericalError, "values that are no spin"),
    ],
)
def test_bad_fields(field: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Metropolis(Ising(Lattice((4, 4)), 0.4)).init(field)


def test_bad_colours() -> None:
    kernel = SwendsenWang(Potts(Lattice((4, 4)), 3, 0.4))
    for value in (-1, 3):
        with pytest.raises(NumericalError, match="no colour; allowed are 0, 1, 2"):
            kernel.init(np.full((1, 4, 4), value, np.int8))


def test_bad_construction() -> None:
    action = Ising(Lattice((4, 4)), 0.4)
    with pytest.raises(InputError, match="unknown backend 'cppp'; did you mean 'cpp'"):
        Metropolis(action, backend="cppp")
    with pytest.raises(InputError, match="threads is 0; expected a whole number of at least 1"):
        Metropolis(action, threads=0)
    wrong: Any = "ising"
    with pytest.raises(InputError, match="defined for ising or potts actions, not for 'str'"):
        Metropolis(wrong)
    if "cuda" not in list_available():
        with pytest.raises(BackendUnavailable, match="cuda"):
            Metropolis(action, backend="cuda")


def test_steps_beyond_the_stream_are_refused() -> None:
    kernel = Metropolis(Ising(Lattice((4, 4)), 0.4))
    state = State(kernel.start(STREAM, 1), step=2**32 - 1)
    before = state.field.copy()
    with pytest.raises(InputError, match="beyond 2\\^32"):
        kernel.advance(STREAM, state, 2)
    np.testing.assert_array_equal(state.field, before)
    state, _, _ = kernel.advance(STREAM, state, 1)
    assert state.step == 2**32
