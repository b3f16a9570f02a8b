"""The correlation function along a line, against sums over every pair of sites and against Onsager's lattice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.lattice.correlation import Correlation, correlate_lines, count_distances
from pyqmc_art.lattice.infinite import onsager_energy
from pyqmc_art.rng import Stream

STREAM = Stream.from_seed(4)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("shape", [(2, 7), (3, 2, 8), (9,)])
def test_it_is_the_mean_over_all_pairs(shape: Any, boundary: Any) -> None:
    lattice = qa.Lattice(shape, boundary=boundary)
    field = STREAM.normal("user", lattice.sites, 3).reshape(3, *shape)
    found = correlate_lines(lattice, field)
    assert found.shape == (3, shape[-1] // 2 + 1) == (3, count_distances(lattice))
    for r in range(found.shape[1]):
        ends = range(shape[-1] if boundary == "periodic" else shape[-1] - r)
        pairs = [field[..., x] * field[..., (x + r) % shape[-1]] for x in ends]
        np.testing.assert_allclose(
            found[:, r], np.mean(pairs, axis=0).reshape(3, -1).mean(axis=1), rtol=1e-10, atol=1e-12
        )


def test_two_colours_are_spins_and_components_are_added() -> None:
    lattice = qa.Lattice((6, 6))
    colours = (STREAM.uniform("user", np.arange(72), 1)[0] < 0.5).astype(np.int8).reshape(2, 6, 6)
    spins = (1 - 2 * colours).astype(np.int8)
    observable = Correlation()
    ising = observable(qa.Ising(lattice, 0.4), spins)
    assert np.all(ising[:, 0] == 1)
    np.testing.assert_allclose(observable(qa.Potts(lattice, 2, 0.8), colours), ising, atol=1e-12)
    angles = 2 * np.pi * STREAM.uniform("user", np.arange(72), 1)[0].reshape(2, 6, 6)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    expected = [np.cos(angles - np.roll(angles, -r, axis=2)).mean(axis=(1, 2)) for r in range(4)]
    np.testing.assert_allclose(observable(qa.ON(lattice, 2, 0.5), vectors), np.transpose(expected), atol=1e-12)


def test_neighbours_have_the_energy_of_the_infinite_lattice() -> None:
    action = qa.Ising(qa.Lattice((64, 64)), 0.35)
    run = qa.sample(action, qa.build("swendsen-wang", action), steps=300, replicas=8, seed=3,
                    measure=("improved_correlation", "correlation"))  # fmt: skip
    for name in ("improved_correlation", "correlation"):
        means = run.series[name][50:, :, 1].mean(axis=0)
        exact = -onsager_energy(0.35) / 2
        assert abs(means.mean() - exact) < 4.5 * means.std(ddof=1) / np.sqrt(len(means))
