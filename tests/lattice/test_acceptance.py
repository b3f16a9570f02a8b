"""Acceptance tables: detailed balance entry by entry, in exact arithmetic of integers and logarithms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyqmc_art.lattice import acceptance
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice

SQUARE = Lattice((4, 4))
COUPLINGS = [(0.44, 1.0, 0.0), (0.3, -1.0, 0.2), (1.7, 0.5, -0.3), (0.0, 1.0, 1.0), (25.0, 1.0, 0.1)]


def probability(entry: Any) -> float:
    return float(int(entry) / acceptance.ONE)


def test_integers() -> None:
    assert acceptance.integer_probability(0.0) == 0
    assert acceptance.integer_probability(1.0) == 2**63  # above every draw
    assert acceptance.integer_probability(2.0**-63) == 1
    assert acceptance.integer_probability(1 / 3) == round(2**63 * (1 / 3))


@given(st.floats(-700, 700))
def test_metropolis_is_in_detailed_balance(cost: float) -> None:
    there, back = acceptance.metropolis(cost), acceptance.metropolis(-cost)
    assert 0 <= there <= 1
    assert there == pytest.approx(back * math.exp(-cost), rel=1e-14)


@given(st.floats(-700, 700))
def test_heat_bath_forgets_where_it_came_from(cost: float) -> None:
    assert acceptance.heat_bath(cost) + acceptance.heat_bath(-cost) == pytest.approx(1.0, rel=1e-15)
    assert acceptance.heat_bath(cost) == pytest.approx(acceptance.heat_bath(-cost) * math.exp(-cost), rel=1e-14)


def test_no_change_both_ways_is_certain() -> None:
    """A sweep in which neither a change nor its reverse may fail is deterministic: rounding must not make one."""
    for cost in (0.0, 1e-300, 1e-17, 1e-9, 1e-3, 0.05, 0.0645):
        assert max(acceptance.metropolis(cost), acceptance.metropolis(-cost)) <= 15 / 16
    assert acceptance.metropolis(-0.0646) == 1.0
    assert acceptance.metropolis(0.0646) < 15 / 16


@pytest.mark.parametrize(("beta", "J", "h"), COUPLINGS)
@pytest.mark.parametrize("rule", [acceptance.metropolis, acceptance.heat_bath])
def test_ising_flips(beta: float, J: float, h: float, rule: Any) -> None:
    table = acceptance.ising_flips([Ising(SQUARE, beta, J, h), Ising(SQUARE, 2 * beta, J, h)], rule)
    assert table.shape == (2, 18)
    assert table.dtype == np.uint64
    for rung, b in enumerate((beta, 2 * beta)):
        for total in range(-4, 5):
            down, up = table[rung, total + 4], table[rung, 9 + total + 4]
            cost = 2 * b * (J * total + h)  # of turning an up spin down
            assert probability(up) == pytest.approx(rule(cost), rel=1e-12, abs=1e-18)
            assert probability(down) == pytest.approx(rule(-cost), rel=1e-12, abs=1e-18)


def test_an_ising_entry_is_what_the_action_says() -> None:
    action = Ising(SQUARE, 0.4, J=-0.7, h=0.3)
    table = acceptance.ising_flips([action], acceptance.heat_bath)[0]
    random = np.random.default_rng(1)
    field = random.choice(np.array([-1, 1], np.int8), (1, 4, 4))
    for site in range(16):
        flipped = field.copy()
        flipped.reshape(-1)[site] *= -1
        spin = int(field.reshape(-1)[site])
        total = int(field.reshape(-1)[SQUARE.neighbours[site]].sum())
        cost = float(action(flipped)[0] - action(field)[0])
        assert probability(table[(9 if spin > 0 else 0) + total + 4]) == pytest.approx(
            1 / (1 + math.exp(cost)), rel=1e-12
        )


def test_potts_acceptances() -> None:
    table = acceptance.potts_acceptances([Potts(SQUARE, 3, 0.9), Potts(SQUARE, 3, 0.5, J=-1.0)])
    assert table.shape == (2, 9)
    for row, strength in zip(table, (0.9, -0.5), strict=True):
        for gain in range(-4, 5):
            ratio = probability(row[gain + 4]) / probability(row[-gain + 4])
            assert math.log(ratio) == pytest.approx(strength * gain, abs=1e-12)
        assert probability(row.max()) == 1.0
        assert probability(row[4]) == 15 / 16


def test_potts_weights() -> None:
    hot, cold, repelling = acceptance.potts_weights(
        [Potts(SQUARE, 32767, 0.9), Potts(SQUARE, 32767, 200.0), Potts(SQUARE, 32767, 0.5, J=-1.0)]
    )
    assert int(hot[4]) == int(cold[4]) == int(repelling[0]) == 2**48
    for n in range(4):
        assert math.log(int(hot[n + 1]) / int(hot[n])) == pytest.approx(0.9, abs=1e-12)
        assert math.log(int(repelling[n + 1]) / int(repelling[n])) == pytest.approx(-0.5, abs=1e-12)
    assert cold[:4].tolist() == [1, 1, 1, 1]  # never zero: every colour stays reachable
    assert 32767 * 2**48 < 2**63


def test_exchanges() -> None:
    table = acceptance.exchanges([Ising(SQUARE, 0.4), Ising(SQUARE, 0.3, J=-1.0, h=5.0)])
    assert table.shape == (2, 17)
    for row, strength in zip(table, (0.4, -0.3), strict=True):
        for total in range(-8, 9):
            ratio = probability(row[total + 8]) / probability(row[-total + 8])
            assert math.log(ratio) == pytest.approx(-2 * strength * total, abs=1e-12)


def test_cluster_bonds() -> None:
    values = [probability(t) for t in acceptance.bonds([0.0, 1e-12, 0.88, 100.0])]
    assert values == pytest.approx([0.0, 1e-12, 1 - math.exp(-0.88), 1.0], rel=1e-9)


def test_rows_belong_to_rungs() -> None:
    actions = [Ising(SQUARE, beta) for beta in (0.1, 0.2, 0.3)]
    table = acceptance.ising_flips(actions, acceptance.metropolis)
    for action, row in zip(actions, table, strict=True):
        np.testing.assert_array_equal(acceptance.ising_flips([action], acceptance.metropolis)[0], row)
