"""The audits find what was planted, every time, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqmc_art.art.audit import audit_labels, audit_split
from pyqmc_art.art.splits import Split
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

STREAM = Stream.from_seed(52)
PARTS = ("train", "validation", "test")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([*PARTS, ""])), min_size=1, max_size=14))
def test_a_split_leaks_where_a_work_lies_in_two_parts(placed: list[tuple[int, str]]) -> None:
    works = [f"w{work}" for work, _ in placed]
    rows = {part: np.array([i for i, (_, place) in enumerate(placed) if place == part], np.int64) for part in PARTS}
    leaks = audit_split(Split("planted", *rows.values()), works)
    expected = {
        (one, other, work)
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test"))
        for work in {works[i] for i in rows[one]} & {works[i] for i in rows[other]}
    }
    assert {(*leak.parts, works[leak.rows[0]]) for leak in leaks} == expected
    assert len(leaks) == len(expected)
    for leak in leaks:
        assert all(row in rows[part] for part, row in zip(leak.parts, leak.rows, strict=True))


def test_twins_are_one_work_whatever_the_manifest_says() -> None:
    split = Split("s", np.array([0, 1]), np.array([2]), np.array([3, 4]))
    works = list("abcde")
    assert audit_split(split, works) == ()
    leaks = audit_split(split, works, twins=[(3, 0), (0, 1), (2, 4), (1, 9)])
    assert [(leak.parts, leak.rows) for leak in leaks] == [
        (("train", "test"), (0, 3)),
        (("validation", "test"), (2, 4)),
    ]
    assert "near-duplicates" in str(leaks[0])


def threshold(scores: np.ndarray, outer: np.ndarray, inside: bool):
    """Midway between the means of the classes, inside the training works or on the tested ones."""

    def judge(labels: np.ndarray) -> np.ndarray:
        found = np.empty(labels.size)
        for number in np.unique(outer):
            seen = (outer != number) if inside else (outer == number)
            found[outer == number] = (scores[seen & labels].mean() + scores[seen & ~labels].mean()) / 2
        return found

    return judge


def test_a_threshold_on_test_is_caught_in_every_fold() -> None:
    generator = np.random.default_rng(4)
    labels, outer, scores = np.arange(60) % 2 == 0, np.arange(60) // 12, generator.normal(size=60)
    assert audit_labels(threshold(scores, outer, inside=True), labels, outer, STREAM) == ()
    assert audit_labels(threshold(scores, outer, inside=False), labels, outer, STREAM) == (0, 1, 2, 3, 4)


def test_one_leaking_fold_of_many_is_named() -> None:
    generator = np.random.default_rng(5)
    labels, outer, scores = np.arange(60) % 2 == 0, np.arange(60) // 12, generator.normal(size=60)
    sound, leaky = (threshold(scores, outer, inside) for inside in (True, False))

    def judge(known: np.ndarray) -> np.ndarray:
        return np.where(outer == 3, leaky(known), sound(known))

    assert audit_labels(judge, labels, outer, STREAM) == (3,)


def test_a_last_bit_is_a_leak() -> None:
    """Scores that move by a rounding only have seen the labels all the same."""
    labels, outer = np.arange(20) % 2 == 0, np.arange(20) // 10

    def judge(known: np.ndarray) -> np.ndarray:
        return np.array([1.0 + 2.0**-52 * known[outer == fold].argmax() for fold in outer])

    assert audit_labels(judge, labels, outer, STREAM) != ()


def test_bad_input() -> None:
    with pytest.raises(InputError, match="holds row 5"):
        audit_split(Split("s", np.array([5]), np.array([]), np.array([0])), ["a"])
    with pytest.raises(InputError, match="one each for each work"):
        audit_labels(lambda known: known, [True, False], [0], STREAM)
    with pytest.raises(InputError, match="concluded of 1 works"):
        audit_labels(lambda known: known[:1], [True, False], [0, 1], STREAM)
