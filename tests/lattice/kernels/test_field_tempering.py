"""Ladders of continuous fields: any coupling that S is linear in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.rng import Stream
from pyqmc_art.testing.fields import draw_fields, same_law
from pyqmc_art.testing.verdict import BUDGET

STREAM = Stream.from_seed(41)
N = 8000
TORUS = Phi4(Lattice((2, 2)), -2.0, 3.0)


@pytest.mark.parametrize(
    ("action", "parameter", "ladder", "inner"),
    [
        (TORUS, "m2", (-3.0, -1.0), "metropolis"),
        (TORUS.to("D"), "lam", (2.0, 5.0, 8.0), "heat-bath+wolff"),
        (ON(Lattice((2, 2)), 3, 0.5), "beta", (0.2, 0.7), "heat-bath"),
    ],
)
def test_every_rung_stays_in_equilibrium(action: Any, parameter: str, ladder: tuple[float, ...], inner: str) -> None:
    kernel: Any = build("tempering", action, {"ladder": ladder, "inner": inner, "parameter": parameter}, threads=1)
    targets = [replace(action, **{parameter: value}) for value in ladder]
    assert list(kernel.targets) == targets
    starts = np.stack([draw_fields(a, N, STREAM.fold("start", k)) for k, a in enumerate(targets)], axis=1)
    state, _, info = kernel.advance(STREAM, kernel.init(starts), 4)
    assert 0.05 < info["swaps"] < 1
    for k, target in enumerate(targets):
        others = draw_fields(target, N, STREAM.fold("other", k))
        assert BUDGET.passes(same_law(target, np.ascontiguousarray(state.field[:, k]), others))


def test_a_ladder_that_forgets_the_exchange_rule_is_caught() -> None:
    kernel: Any = build("tempering", TORUS, {"ladder": (-3.0, -1.0), "inner": "metropolis"}, threads=1)
    kernel._factor = 0.0  # every exchange is accepted
    starts = np.stack([draw_fields(a, N, STREAM.fold("start", k)) for k, a in enumerate(kernel.targets)], axis=1)
    state, _, _ = kernel.advance(STREAM, kernel.init(starts), 4)
    moved = np.ascontiguousarray(state.field[:, 0])
    assert not BUDGET.passes(
        same_law(kernel.targets[0], moved, draw_fields(kernel.targets[0], N, STREAM.fold("other")))
    )


@pytest.mark.parametrize(
    ("action", "parameter", "message"),
    [
        (TORUS.to("B"), "m2", "use convention A or D"),
        (TORUS, "beta", "expected m2, lam"),
        (ON(Lattice((2, 2)), 3, 0.5), "n", "expected beta"),
    ],
)
def test_couplings_that_are_refused(action: Any, parameter: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build("tempering", action, {"ladder": (2.0, 5.0), "inner": "metropolis", "parameter": parameter})
