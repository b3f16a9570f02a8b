"""Flows of one variable: increasing, invertible, normalized, and able to approximate."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.errors import InputError  # noqa: E402
from pyqmc_art.proposals.densities import DENSITIES, measure_divergence, tabulate_density, train_density  # noqa: E402
from pyqmc_art.proposals.monotone import MonotoneFlow1D  # noqa: E402
from pyqmc_art.rng import Stream  # noqa: E402
from pyqmc_art.stats.importance import summarize_weights  # noqa: E402

STREAM = Stream.from_seed(6)


def crooked(noise: str, nodes: int = 9) -> Any:
    """Return a flow of random parameters."""
    flow = MonotoneFlow1D(nodes, noise)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.7 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return flow


@pytest.mark.parametrize("noise", ["normal", "uniform"])
def test_round_trip_slope_and_normalization(noise: str) -> None:
    flow = crooked(noise)
    x = flow.draw_noise(STREAM, 500).requires_grad_()
    y, log_slope = flow(x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert torch.allclose(slope.log(), log_slope, atol=1e-12)
    back, log_back = flow.inverse(y.detach())
    assert torch.allclose(back, x, atol=1e-9)
    assert torch.allclose(log_back, -log_slope, atol=1e-7)
    edge = torch.tensor([-9.0, 9.0] if noise == "normal" else [0.0, 1.0], dtype=torch.float64)
    low, high = flow(edge)[0].tolist()
    grid = np.linspace(low + 1e-9, high - 1e-9, 20_001)
    assert np.trapezoid(tabulate_density(flow, grid), grid) == pytest.approx(1, abs=1e-3)
    outside = flow.encode(STREAM, np.array([low - 1.0, high + 1.0])).log_ratio
    assert np.all(outside < -30)
    assert noise == "normal" or np.all(outside == -math.inf)


def test_numbers_far_away_and_the_draws_of_a_stream() -> None:
    flow = crooked("normal")
    far = np.array([-1e6, 1e6])
    assert np.isfinite(flow.encode(STREAM, far).log_ratio).all()
    whole = flow.draw(STREAM, 6).field
    np.testing.assert_array_equal(flow.draw(STREAM.shifted(4), 2).field, whole[4:])


@pytest.mark.parametrize("density", DENSITIES, ids=lambda d: d.name)
def test_steps_approximate_every_density(density: Any) -> None:
    """Nothing is trained: more steps come closer."""
    found = [
        measure_divergence(MonotoneFlow1D.from_quantiles(density.quantile, n, "uniform"), density, 20_000, STREAM)
        for n in (4, 16, 64)
    ]
    for coarse, fine in pairwise(found):
        assert fine.value < 0.6 * coarse.value


def test_training_comes_closer_than_steps() -> None:
    density = DENSITIES[0]
    flow = MonotoneFlow1D(6)
    before = measure_divergence(flow, density, 20_000, STREAM)
    train_density(flow, density, 150, STREAM)
    after = measure_divergence(flow, density, 20_000, STREAM)
    steps = measure_divergence(MonotoneFlow1D.from_quantiles(density.quantile, 6), density, 20_000, STREAM)
    assert -5 * after.error < after.value < 0.5 * min(before.value, steps.value)
    drawn = flow.draw(STREAM, 50_000)
    log_weights = density.log_weight(torch.from_numpy(drawn.field)).numpy() - drawn.log_ratio
    weights = summarize_weights(log_weights, STREAM.uniform("user", np.arange(50_000), 1)[0])
    assert abs(weights.log_partition.deviation(density.log_partition)) < 5


def test_every_parameter_has_a_gradient() -> None:
    flow = crooked("normal")
    y, log_slope = flow(flow.draw_noise(STREAM, 50))
    (y.square() - log_slope).mean().backward()
    assert all(p.grad is not None and bool((p.grad != 0).all()) for p in flow.parameters())


def test_bad_input() -> None:
    for nodes in (0, 2.5, True):
        with pytest.raises(InputError, match="nodes is"):
            MonotoneFlow1D(nodes)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown noise 'normall'"):
        MonotoneFlow1D(3, "normall")
    with pytest.raises(InputError, match="finite and increasing"):
        MonotoneFlow1D.from_quantiles(lambda u: -u, 4)
