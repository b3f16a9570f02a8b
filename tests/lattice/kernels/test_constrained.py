"""Updates at fixed magnetization: conserved for ever, refused where it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.constrained import Constrained
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import EXCHANGES

ACTION = Ising(Lattice((10, 10)), 0.44)
STREAM = Stream.from_seed(4)


@pytest.mark.parametrize("start", ["hot", "cold"])
@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("m", [0.0, 0.8, -0.34, 1.0, -1.0])
def test_magnetization_is_conserved(m: float, exchange: str, start: str) -> None:
    kernel = Constrained(ACTION, m, exchange, threads=1)
    before = kernel.start(STREAM, 3, start)
    assert (before.sum(axis=(1, 2)) == round(100 * m)).all()
    state, _, info = kernel.advance(STREAM, kernel.init(before), 20)
    assert (state.field.sum(axis=(1, 2)) == round(100 * m)).all()
    if abs(m) == 1:
        assert info["acceptance"] == 0
    else:
        assert (state.field != before).any()
        assert 0 < info["acceptance"] < 1


def test_local_exchanges_are_between_neighbours() -> None:
    """One up spin on a long chain moves by at most one site in each of its V attempts."""
    kernel = Constrained(Ising(Lattice((2000,)), 0.0), 2 / 2000 - 1, "local", threads=1)
    field = np.full((200, 2000), -1, np.int8)
    field[:, 1000] = 1
    state, _, _ = kernel.advance(STREAM, kernel.init(field), 1)
    moved = np.abs(state.field.argmax(axis=1) - 1000)
    assert 0 < moved.max() < 20
    far = Constrained(Ising(Lattice((2000,)), 0.0), 2 / 2000 - 1, "long-range", threads=1)
    state, _, _ = far.advance(STREAM, far.init(field), 1)
    assert np.abs(state.field.argmax(axis=1) - 1000).max() > 500


def test_a_field_does_not_matter() -> None:
    """At fixed magnetization h only shifts S by a constant."""
    runs = []
    for h in (0.0, 5.0):
        kernel = Constrained(Ising(Lattice((6, 6)), 0.4, h=h), 0.0, threads=1)
        state, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 2)), 10)
        runs.append(state.field)
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("m", [0.01, 0.333, 1.02, -1.5, float("nan"), float("inf"), "half", None])
def test_impossible_magnetizations(m: Any) -> None:
    with pytest.raises(InputError, match="magnetization is"):
        Constrained(ACTION, m)


def test_odd_sites_cannot_be_balanced() -> None:
    with pytest.raises(InputError, match=r"would need 12\.5 of 25 spins up"):
        Constrained(Ising(Lattice((5, 5)), 0.4), 0.0)
    assert Constrained(Ising(Lattice((5, 5)), 0.4), 0.04).up == 13


def test_bad_input() -> None:
    with pytest.raises(InputError, match="unknown exchange 'nonlocal'; did you mean 'local'"):
        Constrained(ACTION, 0.0, "nonlocal")
    potts: Any = Potts(Lattice((4, 4)), 3, 0.5)
    with pytest.raises(InputError, match="defined for ising actions, not for 'potts'"):
        Constrained(potts)
    kernel = Constrained(ACTION, 0.8)
    with pytest.raises(InputError, match="magnetization sum 100; the kernel keeps 80"):
        kernel.init(np.ones((1, 10, 10), np.int8))


def test_ensembles_have_names() -> None:
    assert Constrained(ACTION, 0.8).ensemble != Constrained(ACTION, 0.6).ensemble != "canonical"
