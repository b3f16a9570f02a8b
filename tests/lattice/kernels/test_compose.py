"""Compositions, kernels by name, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import Wolff
from pyqmc_art.lattice.kernels.compiled import CompiledKernel
from pyqmc_art.lattice.kernels.compose import Composition, build
from pyqmc_art.lattice.kernels.constrained import Constrained
from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
from pyqmc_art.lattice.observables import find
from pyqmc_art.protocols import State
from pyqmc_art.rng import Stream

ACTION = Ising(Lattice((4, 6)), 0.4)
STREAM = Stream.from_seed(4)


def test_every_part_and_repetition_has_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[str, int, int]] = []
    original = CompiledKernel._batch

    def record(self: Any, stream: Stream, step: int, *rest: Any) -> Any:
        used.append((self.name, stream.key, step))
        return original(self, stream, step, *rest)

    monkeypatch.setattr(CompiledKernel, "_batch", record)
    kernel = build("3*metropolis+2*wolff+metropolis", ACTION, threads=1)
    state, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 2)), 2)
    assert [name for name, _, _ in used] == 2 * (3 * ["metropolis"] + 2 * ["wolff"] + ["metropolis"])
    assert len({key for _, key, _ in used}) == 6  # the same six in every step, told apart by the step
    assert [step for _, _, step in used] == 6 * [0] + 6 * [1]
    assert state.step == 2


def test_a_ladder_tells_rungs_from_exchanges() -> None:
    """Exchanges and inner steps draw for different purposes from different keys, in every part."""
    action = Ising(Lattice((4, 4)), 0.4)
    options = {"ladder": (0.3, 0.4), "inner": "metropolis"}
    once = build("tempering", action, options, threads=1)
    fields = once.start(STREAM, 50)
    one, _ = once.step(STREAM, once.init(fields))
    two, _ = once.step(STREAM.fold("part"), once.init(fields))
    assert not np.array_equal(one.field, two.field)


def test_order_and_counts() -> None:
    parts = [(1, HeatBath(ACTION, threads=1)), (2, Wolff(ACTION, 3, threads=1))]
    kernel = Composition(parts)
    assert kernel.name == "heat-bath+2*wolff"
    assert kernel.configuration() == {"kernel": "heat-bath+2*wolff", "clusters": 3}
    by_name = build(" heat-bath + 2 * wolff", ACTION, {"clusters": 3}, threads=1)
    fields = kernel.start(STREAM, 2)
    one, _, info = kernel.advance(STREAM, kernel.init(fields), 3)
    two, _, _ = by_name.advance(STREAM, by_name.init(fields), 3)
    np.testing.assert_array_equal(one.field, two.field)
    assert set(info) == {"heat-bath changed", "wolff turned"}


def test_measurements_stand_between_steps() -> None:
    kernel = build("metropolis+wolff", ACTION, threads=1)
    observables = find(["energy", "kmin2"])
    state = kernel.init(kernel.start(STREAM, 3))
    state, series, _ = kernel.advance(STREAM, state, 6, 2, observables)
    again = kernel.init(kernel.start(STREAM, 3))
    for k in range(3):
        again, _, _ = kernel.advance(STREAM, again, 2)
        for o in observables:
            np.testing.assert_array_equal(series[o.name][k], o(ACTION, again.field))
    np.testing.assert_array_equal(state.field, again.field)


def test_one_count_of_one_is_the_kernel_itself() -> None:
    assert isinstance(build("wolff", ACTION), Wolff)
    assert isinstance(build("1*wolff", ACTION), Wolff)
    assert isinstance(build("2*wolff", ACTION), Composition)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), "at least one kernel"),
        (((0, Metropolis(ACTION)),), "repeated 0 times"),
        (((1.5, Metropolis(ACTION)),), "repeated 1.5 times"),
        (((1, Metropolis(ACTION)), (1, Wolff(Ising(Lattice((4, 6)), 0.41)))), "must share one target"),
        (((1, Metropolis(ACTION)), (1, Metropolis(Ising(Lattice((6, 4)), 0.4)))), "must share one target"),
        (((1, Metropolis(ACTION)), (1, Constrained(ACTION))), "must share one target"),
        (((1, Constrained(ACTION)), (1, Constrained(ACTION, 0.5))), "must share one target"),
    ],
)
def test_parts_that_do_not_belong_together(parts: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Composition(parts)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("metropilis", {}, "unknown kernel 'metropilis'; did you mean 'metropolis'"),
        ("wolff+swendsen", {}, "unknown kernel 'swendsen'; did you mean 'swendsen-wang'"),
        ("", {}, "cannot be read at ''"),
        ("wolff++metropolis", {}, "cannot be read at ''"),
        ("2wolff", {}, "cannot be read at '2wolff'"),
        ("0*wolff", {}, "repeated 0 times"),
        ("metropolis", {"clusters": 3}, "has no option 'clusters'; it belongs to wolff"),
        ("wolff", {"cluster": 3}, "has no option 'cluster'"),
        ("wolff", {"clusters": 0}, "clusters is 0; expected a whole number from 1"),
        ("wolff", {"clusters": 2.5}, "clusters is 2.5"),
        ("wolff", {"clusters": 2**21}, "clusters is 2097152"),
        ("constrained", {"exchange": "lokal"}, "unknown exchange 'lokal'; did you mean 'local'"),
        ("metropolis+constrained", {}, "must share one target"),
        ("tempering", {"ladder": (0.3, 0.4), "inner": "wolf"}, "unknown kernel 'wolf'; did you mean 'wolff'"),
        ("tempering", {"ladder": (0.3, 0.4), "clusters": 2}, "has no option 'clusters'"),
    ],
)
def test_bad_names_and_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(name, ACTION, options)


@pytest.mark.parametrize("name", ["swendsen-wang", "wolff"])
def test_clusters_of_an_antiferromagnetic_potts_model(name: str) -> None:
    with pytest.raises(InputError, match=r"needs J >= 0 for Potts, but J is -1\.0; use metropolis or heat-bath"):
        build(name, Potts(Lattice((4, 4)), 3, 0.5, J=-1.0))


@pytest.mark.parametrize("name", ["metropolis", "heat-bath"])
@pytest.mark.parametrize(
    ("lattice", "count"),
    [
        (Lattice((3, 4)), 2),
        (Lattice((4, 5)), 2),
        (Lattice((7,)), 2),
        (Lattice((4, 4), kind="triangular"), 3),
        (Lattice((2, 2, 3)), 2),
    ],
)
def test_colourings_that_cannot_close(name: str, lattice: Lattice, count: int) -> None:
    with pytest.raises(InputError, match=f"{count}-colouring .* cannot close .*cluster kernel"):
        build(name, Ising(lattice, 0.4))
    assert build("wolff", Ising(lattice, 0.4)).name == "wolff"


def test_state_of_another_kernel_serves() -> None:
    one, other = Metropolis(ACTION, threads=1), Wolff(ACTION, threads=1)
    state = one.init(one.start(STREAM, 2))
    state, _ = one.step(STREAM, state)
    state, _ = other.step(STREAM, State(state.field, state.step))
    assert state.step == 2
