"""Blocks drawn given what surrounds them: exact for every proposal, alone and behind other kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.free_blocks import FreeBlocks
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.blocked import Blocked
from pyqmc_art.lattice.kernels.compose import Composition, build
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Draw
from pyqmc_art.rng import Stream
from pyqmc_art.testing.fields import draw_fields, same_law
from pyqmc_art.testing.torus import TORUS, torus_p_value
from pyqmc_art.testing.verdict import BUDGET

STREAM = Stream.from_seed(11)
RING, FREE = Phi4(Lattice((4,)), -1.0, 0.5, "D"), Phi4(Lattice((4, 4)), 0.7, 0.0)


def p_value(action: Phi4, kernel: Any, steps: int = 3, n: int = 10_000) -> float:
    state, _, _ = kernel.advance(
        STREAM.fold("steps"), kernel.init(draw_fields(action, n, STREAM.fold("starts"))), steps
    )
    if action is TORUS:
        return torus_p_value(TORUS, state.field)
    return same_law(action, state.field, draw_fields(action, n, STREAM.fold("others")))


@pytest.mark.parametrize(
    ("action", "block", "mass"),
    [
        (TORUS, (1, 1), None),
        (TORUS, (1, 1), 9.0),
        (RING, (2,), None),
        (RING, (2,), 0.3),
        (FREE, (2, 2), 2.0),
        (FREE, (2, 1), 0.7),
    ],
)
def test_exact_starts_stay_exact(action: Phi4, block: tuple[int, ...], mass: float | None) -> None:
    plain = Blocked(action, FreeBlocks(action, block, mass))
    mixed: Any = Composition([(1, build("hmc", action, {"md_steps": 4})), (1, plain), (1, build("metropolis", action))])
    for kernel in (plain, mixed):
        assert BUDGET.passes(p_value(action, kernel))


def test_a_free_field_is_proposed_as_it_is() -> None:
    """With the right mass the proposal is the conditional itself."""
    kernel = Blocked(FREE, FreeBlocks(FREE, (2, 2), FREE.m2))
    state, info = kernel.step(STREAM, kernel.init(kernel.start(STREAM, 5)))
    assert info["acceptance"] == 1.0
    assert not np.array_equal(state.field, kernel.start(STREAM, 5))


def test_the_difference_is_that_of_the_full_action() -> None:
    """All blocks of one colour are changed; what they report adds up to S."""
    for convention in "ABCD":
        action = Phi4(Lattice((4, 8)), -2.0, 3.0, convention)
        kernel = Blocked(action, FreeBlocks(action, (2, 2)))
        old = kernel.start(STREAM, 3)
        for colour in (0, 1):
            new = old.copy().reshape(3, -1)
            members, around = kernel._patches.members[colour], kernel._patches.around[colour]
            boundary = new[:, around]
            before = kernel.block_action(new[:, members], boundary)
            new[:, members] += STREAM.normal("user", members.size, 3).reshape(3, *members.shape)
            after = kernel.block_action(new[:, members], boundary)
            np.testing.assert_allclose(
                (after - before).sum(axis=1), action(new.reshape(old.shape)) - action(old), rtol=1e-9
            )


class Careless(FreeBlocks):
    """Proposals that report something else than their density."""

    bug = ""

    def encode(self, stream: Stream, field: Any, boundary: Any) -> Draw:
        drawn = super().encode(stream, field, 0 * boundary if self.bug == "stale boundary" else boundary)
        return Draw(field, None, 0 * drawn.log_ratio) if self.bug == "no way back" else drawn


class Forgetful(Blocked):
    """Accepts with the terms inside a block only."""

    def block_action(self, values: Any, boundary: Any) -> Any:
        return super().block_action(values, values[..., self._patches.outer])


def test_planted_bugs_are_found() -> None:
    for bug in ("stale boundary", "no way back"):
        careless = Careless(RING, (2,), 0.5)
        assert BUDGET.passes(p_value(RING, Blocked(RING, careless), 6))
        careless.bug = bug
        assert not BUDGET.passes(p_value(RING, Blocked(RING, careless), 6)), bug
    assert not BUDGET.passes(p_value(RING, Forgetful(RING, FreeBlocks(RING, (2,), 0.5)), 6))


def test_replicas_do_not_know_of_each_other() -> None:
    kernel = Blocked(TORUS, FreeBlocks(TORUS, (1, 1)))
    start = kernel.start(STREAM, 5)
    whole, _, _ = kernel.advance(STREAM, kernel.init(start), 3)
    part, _, _ = kernel.advance(STREAM.shifted(2), kernel.init(start[2:]), 3)
    np.testing.assert_array_equal(whole.field[2:], part.field)


def test_density_is_normalised() -> None:
    free, other = FreeBlocks(RING, (2,), 0.5), FreeBlocks(RING, (2,), 1.5)
    boundary = np.tile([0.7, -0.4], (1, 50_000, 1))
    drawn = free.propose(STREAM, boundary)
    ratio = np.exp(other.encode(STREAM, drawn.field, boundary).log_ratio - drawn.log_ratio)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(ratio.size)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="divisible by 4"):
        Blocked(TORUS, FreeBlocks(TORUS, (2, 1)))
    with pytest.raises(InputError, match="extent 5"):
        FreeBlocks(Phi4(Lattice((5, 4)), 1, 1), (1, 1))
    with pytest.raises(InputError, match="mass is -1"):
        FreeBlocks(TORUS, (1, 1), -1)
    with pytest.raises(InputError, match="not for 'on'"):
        Blocked(qa.ON(Lattice((4, 4)), 2, 1.0), FreeBlocks(TORUS, (1, 1)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no propose"):
        Blocked(TORUS, qa.FreeProposal(TORUS))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="--model DIR"):
        build("blocked-flow", TORUS)
    careless = Careless(TORUS, (1, 1))
    careless.log_norm = math.nan
    with pytest.raises(NumericalError, match="no number"):
        kernel = Blocked(TORUS, careless)
        kernel.step(STREAM, kernel.init(kernel.start(STREAM, 2)))
