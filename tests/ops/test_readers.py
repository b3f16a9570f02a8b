"""The compiled networks of couplings: the numbers and gradients of a slow obvious version, on every instruction set."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.ops.readers import make_tables, read_sites, read_sites_backward
from pyqmc_art.rng import Stream

pytestmark = pytest.mark.skipif("cpp" not in list_available(), reason="the compiled module is not built")

SHAPES = [(4, 4), (2, 2), (3, 5), (7,), (2, 4, 3), (2, 2, 2, 3)]


def plainly(given: Any, tables: Any, weights: Any, biases: Any, slope: float) -> list[Any]:
    """Activations of all layers, by loops over taps in float64."""
    values = [np.asarray(given, np.float64)[:, None, :]]
    for layer, (table, weight, bias) in enumerate(zip(tables.tables, weights, biases, strict=True)):
        last = np.concatenate([values[-1], np.zeros((*values[-1].shape[:2], 1))], axis=2)
        out = np.zeros((len(given), weight.shape[2], len(table)))
        for tap in range(table.shape[1]):
            out += np.einsum("nis,io->nos", last[:, :, table[:, tap]], weight[tap].astype(np.float64))
        out += bias[None, :, None]
        if layer + 1 < len(weights):
            out = np.tanh(out) if slope < 0 else np.where(out > 0, out, slope * out)
        values.append(out)
    return values


def make_case(shape: tuple[int, ...], widths: tuple[int, ...], count: int, scale: float = 1.0) -> Any:
    random = np.random.default_rng(Stream.from_seed(5).fold("case", sum(widths)).key)
    read = np.indices(shape).sum(axis=0).ravel() % 2 == 0
    tables = make_tables(shape, read, len(widths))
    taps = 3 ** len(shape)
    weights = [
        (scale * random.normal(size=(taps, one, two)) / np.sqrt(taps * one)).astype(np.float32)
        for one, two in pairwise((1, *widths))
    ]
    biases = [random.normal(size=n).astype(np.float32) for n in widths]
    return random.normal(size=(count, read.sum())).astype(np.float32), tables, weights, biases


@pytest.fixture(params=["baseline", "avx2", "avx512"])
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    import pyqmc_art._core as core

    if request.param not in core.available_isas():
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setenv("PYQMC_ISA", request.param)
    return str(request.param)


@pytest.mark.parametrize("slope", [-1.0, 0.01])
@pytest.mark.parametrize("shape", SHAPES)
def test_values(isa: str, shape: tuple[int, ...], slope: float) -> None:
    for widths, count in (((12, 12, 3), 5), ((5, 2), 17), ((1,), 1), ((25, 7, 1), 33)):
        given, tables, weights, biases = make_case(shape, widths, count)
        expected = plainly(given, tables, weights, biases, slope)[-1]
        found = read_sites(given, tables, weights, biases, slope, 1)
        np.testing.assert_allclose(found, expected, atol=2e-5)
        np.testing.assert_array_equal(read_sites(given, tables, weights, biases, slope, 3), found)


def test_the_curve_is_tanh(isa: str) -> None:
    """One site, one channel: the network is tanh itself, at any size of its argument."""
    tables = make_tables((2,), np.array([True, False]), 2)
    given = np.concatenate([np.linspace(-12, 12, 4001), [0.0, 1e-6, -1e-20, 80.0, -1e30]]).astype(np.float32)[:, None]
    # The read site stands at both neighbours of the other on a ring of two.
    weights = [np.array([[[0.5]], [[1.0]], [[0.5]]], np.float32), np.array([[[0.5]], [[0.0]], [[0.5]]], np.float32)]
    found = read_sites(given, tables, weights, [np.zeros(1, np.float32)] * 2, -1.0, 1)
    expected = np.tanh(given[:, 0].astype(np.float64))
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=5e-7)


@pytest.mark.parametrize("slope", [-1.0, 0.01])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_against_differences(isa: str, shape: tuple[int, ...], slope: float) -> None:
    given, tables, weights, biases = make_case(shape, (6, 5, 3), 19)
    pull = np.random.default_rng(3).normal(size=(19, 3, len(tables.tables[-1]))).astype(np.float32)
    for threads in (1, 2):
        slopes = read_sites_backward(given, tables, weights, biases, slope, pull, threads)
        for group, along in ((0, given), (1, weights[1]), (2, biases[0]), (1, weights[0]), (1, weights[2])):
            number = {0: 0, 1: next(k for k, w in enumerate(weights) if w is along) if group == 1 else 0, 2: 0}[group]
            direction = np.random.default_rng(4).normal(size=along.shape)
            values = []
            for step in (1e-6, -1e-6):
                moved = along.astype(np.float64) + step * direction
                args: list[Any] = [given, list(weights), list(biases)]
                if group == 0:
                    args[0] = moved
                else:
                    args[group][number] = moved
                result = plainly(args[0], tables, args[1], args[2], slope)[-1]
                values.append(float((result * pull).sum()))
            found = slopes[0] if group == 0 else slopes[group][number]
            expected = (values[0] - values[1]) / 2e-6
            assert float((found * direction).sum()) == pytest.approx(expected, rel=2e-3, abs=2e-2)


def test_a_batch_of_none() -> None:
    given, tables, weights, biases = make_case((4, 4), (3, 2), 0)
    assert read_sites(given, tables, weights, biases, -1.0, 2).shape == (0, 2, 8)
    slopes, more, _ = read_sites_backward(given, tables, weights, biases, -1.0, np.empty((0, 2, 8), np.float32), 2)
    assert slopes.shape == (0, 8)
    assert all((w == 0).all() for w in more)


def test_memory_is_checked() -> None:
    given, tables, weights, biases = make_case((4, 4), (3, 2), 4)
    with pytest.raises(InputError, match="weight has shape"):
        read_sites(given, tables, [weights[0], weights[1][:, :2]], biases, -1.0, 1)
    with pytest.raises(InputError, match="table names a site that does not exist"):
        tables.tables[0][0, 0] = 99
        read_sites(given, tables, weights, biases, -1.0, 1)
