"""The generator of the multi-spin sweeps as they use it: many short streams, every state drawn by Philox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.ops.multispin import next_word, rotate
from pyqmc_art.rng import Stream
from pyqmc_art.testing.verdict import BUDGET

LANES, WORDS = 4_000, 72
Words = np.ndarray[Any, Any]
STREAM = Stream.from_seed(404)


def draw_words(step: Callable[[Words], Words] = next_word, seeds: Words | None = None) -> Words:
    """Shape (words, lanes): what a block of a sweep is given, for consecutive lanes."""
    if seeds is None:
        words = STREAM.bits("site", np.arange(LANES), 1)[0].astype(np.uint64)
        seeds = np.array([words[:, i] | words[:, i + 1] << np.uint64(32) for i in (0, 2)])
    return np.array([step(seeds) for _ in range(WORDS)])


def p_value(scores: Words) -> float:
    """Of numbers that should be independent and standard normal: their squares, and the largest of them."""
    flat = scores.ravel()
    largest = -np.expm1(flat.size * np.log1p(-2 * stats.norm.sf(np.abs(flat).max())))
    return float(min(1.0, 2 * min(stats.chi2.sf(flat @ flat, flat.size), largest)))


def ones(words: Words) -> Words:
    return np.bitwise_count(words).astype(np.int64)


def turn(words: Words, left: int) -> Words:
    return rotate(words, left) if left else words


def score_bits(words: Words) -> Words:
    """How often each of the 64 bits is set in each word."""
    found = np.array([[np.count_nonzero(word >> np.uint64(b) & np.uint64(1)) for b in range(64)] for word in words])
    return (found - LANES / 2) / np.sqrt(LANES / 4)


def score_lags(words: Words) -> Words:
    """Pairs of bits of words that follow one another, for every distance between the bits: are they equal?"""
    lags = range(1, 5)
    equal = [[ones(words[:-lag] ^ turn(words[lag:], left)).mean() for left in range(64)] for lag in lags]
    pairs = np.array([(WORDS - lag) * LANES * 64 for lag in lags])[:, None]
    return (np.array(equal) / 64 - 0.5) * 2 * np.sqrt(pairs)


def score_within(words: Words) -> Words:
    """Pairs of bits of one word, every distance up to a half once."""
    equal = np.array([ones(words ^ rotate(words, left)).mean() for left in range(1, 32)])
    return (equal / 64 - 0.5) * 2 * np.sqrt(words.size * 64)


def score_weights(words: Words) -> Words:
    """Correlation of the numbers of ones, and of their squares, in words that follow one another."""
    one = (ones(words) - 32) / 4.0
    two = (one**2 - 1) / np.sqrt(np.mean((one**2 - 1) ** 2))
    return np.array(
        [
            (a[:-lag] * b[lag:]).sum() / np.sqrt(a[lag:].size)
            for lag in range(1, 8)
            for a in (one, two)
            for b in (one, two)
        ]
    )


def score_lanes(words: Words) -> Words:
    """Words of lanes beside one another, bit by bit."""
    apart = range(1, 9)
    equal = np.array([ones(words[:, :-n] ^ words[:, n:]).mean() for n in apart])
    return (equal / 64 - 0.5) * 2 * np.sqrt([64 * WORDS * (LANES - n) for n in apart])


SCORES = (score_bits, score_lags, score_within, score_weights, score_lanes)


@pytest.mark.parametrize("score", SCORES)
def test_short_streams_show_no_pattern(score: Callable[[Words], Words]) -> None:
    assert BUDGET.passes(p_value(score(draw_words())))


def test_the_lowest_bits_of_a_stream_are_independent() -> None:
    """They are linear in the 128 bits of the state, and no combination of 128 of them is constant."""
    states = np.zeros((2, 128), np.uint64)
    for bit in range(128):
        states[bit // 64, bit] = np.uint64(1) << np.uint64(bit % 64)
    rows = [int("".join(str(int(w & np.uint64(1))) for w in next_word(states)), 2) for _ in range(128)]
    rank = 0
    while rows:
        pivot = max(rows)
        rows = [row ^ pivot if row ^ pivot < row else row for row in rows if row != pivot]
        rows = [row for row in rows if row]
        rank += 1
    assert rank == 128


def used_twice() -> Words:
    """Every second word is the one before, seven bits further."""
    words = draw_words()
    words[1::2] = rotate(words[::2], 7)
    return words


def counted_seeds() -> Words:
    return np.array([np.arange(LANES, dtype=np.uint64), np.full(LANES, 7, np.uint64)])


def shared_seeds() -> Words:
    return np.repeat(STREAM.bits("site", np.arange(LANES // 2), 1)[0].view(np.uint64).T, 2, axis=1).copy()


@pytest.mark.parametrize(
    ("words", "score"),
    [
        (lambda: draw_words(lambda s: next_word(s) | np.uint64(1 << 63)), score_bits),
        (used_twice, score_lags),
        (lambda: draw_words(lambda s: next_word(s) & rotate(next_word(s), 1)), score_within),
        (lambda: draw_words(seeds=counted_seeds()), score_weights),
        (lambda: draw_words(seeds=shared_seeds()), score_lanes),
    ],
)  # fmt: skip
def test_planted_patterns_are_seen(words: Callable[[], Words], score: Callable[[Words], Words]) -> None:
    assert not BUDGET.passes(p_value(score(words())))
