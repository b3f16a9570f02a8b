"""Normal numbers: their distribution out to its tail, the same bytes everywhere, and power against planted bugs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare, kstest, norm

from pyqmc_art.backends import list_available
from pyqmc_art.ops import plain, ziggurat
from pyqmc_art.ops.jit import jitted

KEY, REPLICA, STEP = np.uint64(77), 3, 5
COUNT = 2**22
ALPHA = 1e-6
INSIDE, WIDTH, HEIGHT = ziggurat.build_layers()
FAR = np.linspace(3, 5, 21)
EDGES = np.concatenate([-FAR[::-1], norm.ppf(np.linspace(0, 1, 201)[1:-1]), FAR])

needs_core = pytest.mark.skipif("cpp" not in list_available(), reason="the compiled module is not installed")


def list_isas() -> list[str]:
    if "cpp" not in list_available():
        return []
    from pyqmc_art import _core

    return list(_core.available_isas())


def compiled(count: int, first: int = 0) -> NDArray[np.float64]:
    from pyqmc_art import _core

    out = np.zeros(count)
    _core.normals(int(KEY), REPLICA, STEP, first, out)
    return out


def chi_square(x: NDArray[np.float64]) -> float:
    """P-value of the counts between the edges."""
    found = np.diff(np.searchsorted(np.sort(x), EDGES), prepend=0, append=len(x))
    expected = np.diff(norm.cdf(EDGES), prepend=0, append=1)
    return float(chisquare(found, expected * len(x)).pvalue)


def words(count: int) -> NDArray[np.uint64]:
    return np.random.default_rng(5).integers(0, 2**64, count, np.uint64)


def place_in_layers(word: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """What the places stand for before anything is refused, their layers, and whether they are inside."""
    layer = (word % ziggurat.LAYERS).astype(np.int64)
    place = word >> np.uint64(12)
    sign = np.where(word & np.uint64(ziggurat.LAYERS), -1.0, 1.0)
    return sign * place * WIDTH[layer], layer, place < INSIDE[layer]


def test_layers_have_equal_areas_and_close_at_height_one() -> None:
    x = WIDTH * 2.0**52
    assert HEIGHT[1] == pytest.approx(math.exp(-(ziggurat.TAIL_BEGIN**2) / 2), rel=1e-15)
    tail = math.sqrt(math.pi / 2) * math.erfc(ziggurat.TAIL_BEGIN / math.sqrt(2))
    assert ziggurat.TAIL_BEGIN * HEIGHT[1] + tail == pytest.approx(ziggurat.LAYER_AREA, rel=1e-12)
    np.testing.assert_allclose(x[1:] * np.diff(HEIGHT[1:]), ziggurat.LAYER_AREA, rtol=1e-10)
    assert np.all(np.diff(x) < 0)
    np.testing.assert_allclose(np.exp(-(x[1:] ** 2) / 2), HEIGHT[1:-1], rtol=1e-13)
    accepted = np.mean(INSIDE / 2.0**52)
    assert 0.99 < accepted < 1.0


@needs_core
@pytest.mark.parametrize("isa", list_isas())
def test_every_instruction_set_writes_the_bytes_of_plain_python(monkeypatch: pytest.MonkeyPatch, isa: str) -> None:
    monkeypatch.setenv("PYQMC_ISA", isa)
    first = 2**32 - 500
    found = compiled(3000, first)
    want = [ziggurat.normals(KEY, 0, (first + j) % 2**32, 0, REPLICA, STEP) for j in range(1500)]
    assert np.array(want).tobytes() == found.tobytes()
    _, _, inside = place_in_layers(
        np.array(
            [
                [w0 | w1 << np.uint64(32), w2 | w3 << np.uint64(32)]
                for j in range(1500)
                for w0, w1, w2, w3 in [plain.block(KEY, 0, (first + j) % 2**32, 0, REPLICA, STEP)]
            ]
        )
    )
    assert not inside.all(), "some of these numbers were refused at first"
    for count in (2, 4, 6, 14, 78, 82, 482):
        assert compiled(count, first).tobytes() == found[:count].tobytes()


@needs_core
def test_many_numbers_are_normal() -> None:
    x = compiled(COUNT)
    assert chi_square(x) > ALPHA
    assert kstest(x[:200_000], "norm").pvalue > ALPHA
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (6, 15)):
        spread = math.sqrt((math.prod(range(2 * power - 1, 0, -2)) - moment**2) / COUNT)
        assert abs(np.mean(x**power) - moment) < 5 * spread
    assert abs(np.corrcoef(x[::2], x[1::2])[0, 1]) < 5 / math.sqrt(COUNT / 2)


def test_the_counts_see_what_would_be_wrong() -> None:
    x, layer, inside = place_in_layers(words(COUNT))
    assert chi_square(x) < ALPHA, "places that are not compared with the curve"
    assert chi_square(x[inside]) < ALPHA, "places beyond the next layer that are thrown away"
    assert chi_square(x[inside | (layer > 0)]) < ALPHA, "no tail"
    good = norm.ppf(np.random.default_rng(1).uniform(size=COUNT))
    assert chi_square(good) > ALPHA
    good[np.abs(good) > ziggurat.TAIL_BEGIN] = ziggurat.TAIL_BEGIN
    assert chi_square(good) < ALPHA, "a tail that is cut off"


def forced(word: int, count: int) -> NDArray[np.float64]:
    """Normal numbers of one word, each with its own further draws."""
    loops = jitted(ziggurat) if "numba" in list_available() else ziggurat
    return np.array([loops.normal_of(KEY, 0, j, 0, 0, REPLICA, STEP, np.uint64(word)) for j in range(count)])


@pytest.mark.parametrize("sign", [0, ziggurat.LAYERS])
def test_the_tail_is_that_of_the_normal_distribution(sign: int) -> None:
    x = forced((2**52 - 1) << 12 | sign, 20_000)
    x = -x if sign else x
    assert x.min() >= ziggurat.TAIL_BEGIN
    assert kstest(norm.sf(x) / norm.sf(ziggurat.TAIL_BEGIN), "uniform").pvalue > ALPHA
    beyond = np.count_nonzero(x > 5)
    expected = norm.sf(5) / norm.sf(ziggurat.TAIL_BEGIN)
    assert abs(beyond - len(x) * expected) < 5 * math.sqrt(len(x) * expected)


def test_the_tail_goes_on_far_beyond_what_a_double_below_one_resolves() -> None:
    zero = np.uint64(0)
    farthest = ziggurat.TAIL_BEGIN - math.log(ziggurat.open_unit(zero, zero)) / ziggurat.TAIL_BEGIN
    assert farthest > 14
    assert 0 < ziggurat.open_unit(zero, zero) < ziggurat.open_unit(np.uint64(2), zero) < 1
    assert ziggurat.open_unit(np.uint64(2**32 - 1), np.uint64(2**32 - 1)) <= 1


@pytest.mark.parametrize("layer", [1, 500, ziggurat.LAYERS - 1])
def test_places_beyond_the_next_layer_are_kept_below_the_curve(layer: int) -> None:
    """Of a place x in layer k the share (exp(-x^2 / 2) - f_k) / (f_{k + 1} - f_k) is kept."""
    place = (int(INSIDE[layer]) + 2**52) // 2
    x = place * WIDTH[layer]
    kept = (math.exp(-x * x / 2) - HEIGHT[layer]) / (HEIGHT[layer + 1] - HEIGHT[layer])
    count = 4000
    found = np.count_nonzero(forced(place << 12 | layer, count) == x)
    assert 0.1 < kept < 0.9
    assert abs(found - count * kept) < 5 * math.sqrt(count * kept * (1 - kept))
