"""Random streams: Random123's known answers in every implementation, and a number that depends on its purpose only."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaincc

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.ops import discrete, plain
from pyqmc_art.rng import PURPOSES, Stream, philox
from pyqmc_art.testing.verdict import BUDGET

# Random123, kat_vectors, philox4x32 with 10 rounds: counter, key, answer.
KNOWN = (
    ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, 0xFFFFFFFFFFFFFFFF, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        0x299F31D0A4093822,
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)

Words = tuple[int, int, int, int]
Implementation = Callable[[Words, int], Words]


def by_numpy(counter: Words, key: int) -> Words:
    a, b, c, d = philox(np.array(counter, np.uint32), key).tolist()
    return a, b, c, d


def by_loops(loops: Any) -> Implementation:
    def compute(counter: Words, key: int) -> Words:
        index, replica, step, tag = counter
        words = loops.block(np.uint64(key), tag >> 24, index, tag & 0xFFFFFF, replica, step)
        a, b, c, d = (int(w) for w in words)
        return a, b, c, d

    return compute


def by_core(counter: Words, key: int) -> Words:
    core = pytest.importorskip("pyqmc_art._core")
    out = np.zeros((1, 4), np.uint32)
    core.philox(np.array([counter], np.uint32), key, out)
    a, b, c, d = out[0].tolist()
    return a, b, c, d


def implementations() -> dict[str, Implementation]:
    found: dict[str, Implementation] = {"numpy": by_numpy, "python": by_loops(plain)}
    if "numba" in list_available():
        found["numba"] = by_loops(discrete.operations("numba")._loops)
    if "cpp" in list_available():
        found["cpp"] = by_core
    return found


@pytest.mark.parametrize("name", implementations())
def test_known_answers_of_random123(name: str) -> None:
    for counter, key, answer in KNOWN:
        assert implementations()[name](counter, key) == answer


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.integers(0, 2**32 - 1)] * 4), st.integers(0, 2**64 - 1))
def test_every_implementation_is_the_same_function(counter: Words, key: int) -> None:
    assert len({compute(counter, key) for compute in implementations().values()}) == 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 2**63))
def test_scaling_is_the_high_word_of_the_product(draw: int, n: int) -> None:
    exact = 2 * draw * n >> 64
    loops = [plain, discrete.operations("numba")._loops] if "numba" in list_available() else [plain]
    for each in loops:
        assert int(each.scaled(np.uint64(draw), np.uint64(n))) == exact


def test_purposes_are_those_of_the_compiled_module() -> None:
    core = pytest.importorskip("pyqmc_art._core")
    assert dict(core.purposes) == PURPOSES
    assert {plain._SITE, plain._BOND, plain._FLIP, plain._SEED, plain._EXCHANGE} == {
        PURPOSES[name] for name in ("site", "bond", "flip", "seed", "exchange")
    }


def test_a_draw_of_the_loops_is_the_integer_of_the_stream() -> None:
    stream = Stream.from_seed(3).at(17).shifted(5)
    for name, number in (("bond", 0), ("flip", 3), ("exchange", 0)):
        wanted = stream.integers(name, np.arange(4), replicas=3, draw=number)
        for replica, index in product(range(3), range(4)):
            got = plain.draw(np.uint64(stream.key), PURPOSES[name], index, number, 0, 5 + replica, 17)
            assert got == wanted[replica, index]


def test_a_shifted_stream_is_the_rest_of_the_batch() -> None:
    stream, index = Stream.from_seed(3), np.arange(7)
    whole = stream.bits("site", index, replicas=5)
    np.testing.assert_array_equal(stream.shifted(2).bits("site", index, replicas=3), whole[2:])
    np.testing.assert_array_equal(stream.shifted(1).shifted(1).bits("site", index, replicas=3), whole[2:])
    np.testing.assert_array_equal(stream.bits("site", index[3:], replicas=5), whole[:, 3:])
    assert not np.array_equal(stream.at(1).bits("site", index, replicas=5), whole)


@given(
    st.integers(0, 2**63 - 1), st.text(max_size=20), st.integers(0, 2**31), st.integers(0, 2**20), st.integers(0, 99)
)
def test_folding(seed: int, name: str, index: int, step: int, replica: int) -> None:
    stream = Stream.from_seed(seed).at(step).shifted(replica)
    child = stream.fold(name, index)
    assert child == stream.fold(name, index)
    assert 0 <= child.key < 2**64
    assert (child.step, child.replica) == (step, replica)
    assert child.key == stream.at(0).fold(name, index).key
    assert len({stream.key, child.key, stream.fold(name, index + 1).key, stream.fold(name + "'", index).key}) == 4
    assert child.fold(name, index).key not in (stream.key, child.key)


def test_many_children_have_different_keys() -> None:
    root = Stream.from_seed(0)
    names = ["part", "rungs", "metropolis", "heat-bath", "swendsen-wang", "wolff", "constrained", ""]
    keys = [root.fold(name, i).key for name in names for i in range(500)]
    keys += [root.fold("part", i).fold("metropolis").key for i in range(500)]
    keys += [Stream.from_seed(seed).key for seed in range(500)]
    assert len(set(keys)) == len(keys)


def test_order_of_folding_matters() -> None:
    root = Stream.from_seed(0)
    assert root.fold("a").fold("b").key != root.fold("b").fold("a").key
    assert root.fold("a", 11).key != root.fold("a1", 1).key


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "7", None, True])
def test_bad_seeds(seed: Any) -> None:
    with pytest.raises(InputError, match=r"seed is .*expected an integer"):
        Stream.from_seed(seed)


def test_no_two_purposes_draws_steps_or_replicas_share_a_number() -> None:
    stream, index = Stream.from_seed(5), np.arange(40)
    blocks = [
        stream.at(step).bits(purpose, index, replicas=3, draw=draw).reshape(-1, 4)
        for purpose, draw, step in product(PURPOSES, (0, 1, 7), (0, 1, 1000))
    ]
    words = np.concatenate(blocks).astype(np.uint64)
    assert len(np.unique(words[:, 0] << np.uint64(32) | words[:, 1])) == len(words)


def p_value_of(counts: np.ndarray[Any, Any]) -> float:
    expected = counts.sum() / len(counts)
    return float(gammaincc((len(counts) - 1) / 2, ((counts - expected) ** 2).sum() / expected / 2))


def test_numbers_are_uniform_along_every_counter_word() -> None:
    stream = Stream.from_seed(6)
    along_index = stream.uniform("site", np.arange(2**17), 1).ravel()
    along_replica = stream.uniform("site", np.arange(1), 2**17).ravel()
    along_step = np.concatenate([stream.at(t).uniform("site", np.arange(64), 1).ravel() for t in range(2**11)])
    for u in (along_index, along_replica, along_step):
        assert u.min() >= 0 and u.max() < 1
        assert BUDGET.passes(p_value_of(np.bincount((u * 256).astype(int), minlength=256)))
        pairs = (u[::2] * 16).astype(int) * 16 + (u[1::2] * 16).astype(int)
        assert BUDGET.passes(p_value_of(np.bincount(pairs, minlength=256)))


def test_every_bit_is_fair() -> None:
    bits = Stream.from_seed(6).bits("bond", np.arange(2**16), 1)[0]
    ones = np.array(
        [[np.count_nonzero(bits[:, w] >> np.uint32(b) & np.uint32(1)) for b in range(32)] for w in range(4)]
    )
    worst = np.abs(ones - 2**15).max() / math.sqrt(2**14)
    assert BUDGET.passes(128 * math.erfc(worst / math.sqrt(2)))


def test_integers_are_below_two_to_the_63() -> None:
    values = Stream.from_seed(6).integers("site", np.arange(2**12), 4)
    assert values.dtype == np.uint64
    assert 0.999 * 2**63 < values.max() < 2**63
