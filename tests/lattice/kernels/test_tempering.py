"""Parallel tempering: shapes, exchanges that happen, and one that helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
from pyqmc_art.lattice.kernels.tempering import Tempering
from pyqmc_art.lattice.observables import OBSERVABLES, evaluate, find
from pyqmc_art.rng import Stream

ACTION = Ising(Lattice((4, 6)), 0.4, h=0.05)
LADDER = (0.2, 0.3, 0.45)
STREAM = Stream.from_seed(4)


def ladder(kind: str = "heat-bath", **options: Any) -> Any:
    return build("tempering", ACTION, {"ladder": LADDER, "inner": kind, **options}, threads=1)


def test_shapes() -> None:
    kernel = ladder()
    assert (kernel.rungs, kernel.ladder) == (3, LADDER)
    assert [a.beta for a in kernel.targets] == list(LADDER)
    state = kernel.init(kernel.start(STREAM, 5))
    assert state.field.shape == (5, 3, 4, 6)
    state, series, info = kernel.advance(STREAM, state, 6, 2, find(["energy", "kmin2"]))
    assert {name: values.shape for name, values in series.items()} == {"energy": (3, 5, 3), "kmin2": (3, 5, 3)}
    assert state.step == 6
    assert set(info) == {"changed", "swaps"}
    for name, values in series.items():
        np.testing.assert_array_equal(values[-1], evaluate(OBSERVABLES[name], kernel.targets, state.field))


def test_exchanges_move_whole_configurations_between_neighbouring_rungs() -> None:
    """Without an inner step the fields of a replica are permuted: even pairs on even steps, odd pairs on odd ones."""
    kernel = ladder()
    fields = kernel.start(STREAM, 400)
    energy = evaluate(OBSERVABLES["energy"], kernel.targets, fields) * ACTION.lattice.sites
    for first, pair, other in ((0, (0, 1), 2), (1, (1, 2), 0)):
        moved = fields.copy()
        rate = kernel._exchange(STREAM.at(first), moved, energy, first)
        swapped = np.any(moved != fields, axis=(1, 2, 3))
        assert 0 < swapped.sum() < 400
        np.testing.assert_array_equal(moved[:, other], fields[:, other])
        np.testing.assert_array_equal(moved[swapped][:, pair], fields[swapped][:, pair[::-1]])
        assert rate == pytest.approx(swapped.mean(), abs=0.01)  # equal fields may change places unseen
        # An exchange that raises the probability is never refused.
        gain = (LADDER[pair[0]] - LADDER[pair[1]]) * (energy[:, pair[0]] - energy[:, pair[1]])
        assert swapped[gain > 0].all()


def test_info_tells_the_rate_of_exchanges() -> None:
    kernel = ladder()
    _, _, info = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 50)), 200)
    assert 0.2 < info["swaps"] < 1


def test_a_cold_rung_travels() -> None:
    """A rung far below the transition keeps its sign for ever unless the ladder brings it others."""
    cold = Ising(Lattice((6, 6)), 0.9)
    alone = HeatBath(cold, threads=1)
    state = alone.init(alone.start(STREAM, 20, "cold"))
    state, series, _ = alone.advance(STREAM, state, 500, 1, find(["magnetization"]))
    assert (series["magnetization"] > 0).all()
    helped = Tempering(cold, (0.25, 0.3, 0.36, 0.42, 0.5, 0.62, 0.9), HeatBath(cold, threads=1))
    state = helped.init(helped.start(STREAM, 20, "cold"))
    state, series, _ = helped.advance(STREAM, state, 500, 1, find(["magnetization"]))
    coldest = series["magnetization"][..., -1]
    assert (coldest < 0).any(axis=0).mean() > 0.9


def test_every_inner_kernel_serves() -> None:
    for name in ("metropolis", "swendsen-wang", "wolff", "heat-bath+2*wolff"):
        kernel = ladder(name)
        state, _, info = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 3)
        assert state.step == 3 and "swaps" in info
        assert kernel.configuration()["inner"] == name
    kernel = ladder("constrained", magnetization=0.5)
    state, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 5)
    assert (state.field.sum(axis=(2, 3)) == 12).all()


def test_configuration_rebuilds_the_kernel() -> None:
    kernel = ladder("wolff", clusters=3)
    assert kernel.configuration() == {"kernel": "tempering", "ladder": list(LADDER), "inner": "wolff", "clusters": 3}
    options = kernel.configuration()
    again = build(options.pop("kernel"), ACTION, options)
    assert again.configuration() == kernel.configuration()


@pytest.mark.parametrize("betas", [(), (0.3,), (0.3, 0.3), (0.3, "x"), (0.3, float("nan"))])
def test_bad_ladders(betas: Any) -> None:
    with pytest.raises(InputError, match="ladder"):
        Tempering(ACTION, betas, Metropolis(ACTION))


def test_negative_betas_are_refused() -> None:
    with pytest.raises(InputError, match="beta >= 0"):
        Tempering(ACTION, (0.3, -0.3), Metropolis(ACTION))


def test_the_inner_kernel_must_fit() -> None:
    with pytest.raises(InputError, match="same action"):
        Tempering(ACTION, LADDER, Metropolis(Ising(Lattice((4, 6)), 0.4)))
    with pytest.raises(InputError, match="same action"):
        Tempering(ACTION, LADDER, Metropolis(Potts(Lattice((4, 6)), 2, 0.4)))
    with pytest.raises(InputError, match="cannot have a ladder itself"):
        Tempering(ACTION, LADDER, ladder())
    with pytest.raises(InputError, match="needs a ladder"):
        build("tempering", ACTION)
    with pytest.raises(InputError, match="has shape"):
        ladder().init(np.ones((2, 4, 6), np.int8))
