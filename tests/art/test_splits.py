"""No work in two parts, every work tested equally often, sublabels spread evenly, whatever the order of the rows."""

import os
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.rows import Row
from pyqmc_art.art.splits import (
    Split,
    Works,
    leave_one_forger_out,
    leave_one_generator_out,
    leave_one_out,
    split_folds,
    split_inner,
    split_talk,
    works_needed,
)
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

DATA = os.environ.get("PYQMC_ART_DATA", "")
STREAM = Stream.from_seed(11)


@st.composite
def collections(draw):
    """Rows with works of one to three rows, four sublabels in two classes, in any order."""
    rows = []
    for number in range(draw(st.integers(20, 60))):
        label, stratum = draw(st.sampled_from([("own", "original"), ("other", "proxy"), ("other", "forgery|a"),
                                               ("other", "forgery|b")]))  # fmt: skip
        rows += [(f"work {number}", stratum, label)] * draw(st.integers(1, 3))
    rows += [(f"more {i}", "original", "own") for i in range(16)] + [(f"else {i}", "proxy", "other") for i in range(16)]
    return draw(st.permutations(rows))


def columns(rows):
    return [list(column) for column in zip(*rows, strict=True)]


def parts(split):
    return split.train, split.validation, split.test


def count_works(works, strata, stratum, part):
    return len({works[i] for i in part if strata[i] == stratum})


def assert_sound(split, works):
    """The three parts share no work; this is what leakage would break."""
    inside = [{works[i] for i in part} for part in parts(split)]
    assert not inside[0] & inside[1]
    assert not inside[0] & inside[2]
    assert not inside[1] & inside[2]
    for part in parts(split):
        assert (np.diff(part) > 0).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=collections(), folds=st.integers(2, 6), seed=st.integers(0, 2**40))
def test_folds(rows, folds, seed):
    works, strata, labels = columns(rows)
    splits = split_folds(Works.of(works, strata, labels), Stream.from_seed(seed), folds, repeats=2)
    assert len(splits) == 2 * folds
    tested = Counter()
    for split in splits:
        assert_sound(split, works)
        assert sum(map(len, parts(split))) == len(rows)
        tested.update({works[i] for i in split.test})
        for part in parts(split):
            assert {labels[i] for i in part} == {"own", "other"}
    assert set(tested.values()) == {2}
    assert set(tested) == set(works)
    for repeat in (splits[:folds], splits[folds:]):
        for stratum in set(strata):
            sizes = [count_works(works, strata, stratum, split.test) for split in repeat]
            assert max(sizes) - min(sizes) <= 1
        sizes = [len({works[i] for i in split.test}) for split in repeat]
        assert max(sizes) - min(sizes) <= 1


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=collections(), seed=st.integers(0, 2**40))
def test_the_talks_splits(rows, seed):
    works, strata, labels = columns(rows)
    for split in split_talk(Works.of(works, strata, labels), Stream.from_seed(seed), 3):
        assert_sound(split, works)
        for stratum in set(strata):
            total = len({w for w, s in zip(works, strata, strict=True) if s == stratum})
            tested, held = (count_works(works, strata, stratum, part) for part in (split.test, split.validation))
            assert abs(tested - total * 3 / 18) < 1
            assert abs(held - (total - tested) * 2 / 15) < 1
        total = len(set(works))
        assert abs(len({works[i] for i in split.test}) - total * 3 / 18) < 1


@settings(max_examples=30, deadline=None, derandomize=True)
@given(rows=collections(), data=st.data())
def test_the_order_of_the_rows_does_not_matter(rows, data):
    order = data.draw(st.permutations(range(len(rows))))
    for make in (split_folds, split_talk, split_inner_of):
        first = make(Works.of(*columns(rows)), STREAM)
        second = make(Works.of(*columns([rows[i] for i in order])), STREAM)
        for a, b in zip(first, second, strict=True):
            assert a.name == b.name
            for p, q in zip(parts(a), parts(b), strict=True):
                assert sorted(p.tolist()) == sorted(order[i] for i in q)


def split_inner_of(works, stream):
    return split_inner(works, split_talk(works, stream, 1)[0], stream, folds=3)


def simple(own=30, other=30):
    works = [f"w{i}" for i in range(own + other)]
    labels = ["own"] * own + ["other"] * other
    return works, Works.of(works, labels, labels)


def test_another_seed_or_repeat_is_another_split():
    works = simple()[1]
    a, b = split_folds(works, STREAM)[0], split_folds(works, Stream.from_seed(12))[0]
    assert a.test.tolist() != b.test.tolist()
    assert a.test.tolist() == split_folds(works, STREAM)[0].test.tolist()
    splits = split_folds(works, STREAM)
    assert len(splits) == 18
    assert splits[0].test.tolist() != splits[6].test.tolist()


def test_random_splits_test_every_work_alike_in_the_long_run():
    """Each work is tested with probability 1/6: chi-square on 60 counts of 600 splits."""
    works = simple()[1]
    counts = np.zeros(60)
    for split in split_talk(works, STREAM, 600):
        counts[split.test] += 1
    # Each split tests exactly 10 of 60 works, so that the counts vary with n p (1 - p), p = 1/6.
    statistic = ((counts - 100) ** 2 / (600 / 6 * 5 / 6)).sum() * 59 / 60
    assert 25 < statistic < 105  # 59 degrees of freedom: p between 1e-4 and 1 - 1e-4


def test_neighbouring_strata_are_not_always_on_the_same_side():
    """A stratum of one work must be tested as often as others in the long run, else it never counts."""
    works = [f"w{i}" for i in range(31)]
    strata = ["a"] * 15 + ["lonely"] + ["z"] * 15
    tested = sum(15 in split.test for split in split_talk(Works.of(works, strata), STREAM, 600))
    assert 60 < tested < 150  # binomial(600, 1/6): mean 100, standard deviation 9.1


def test_a_planted_leak_is_caught():
    """Splitting rows instead of works puts one work on both sides, and the property test sees it."""
    works = [f"w{i // 3}" for i in range(90)]
    leaky = split_folds(Works.of([str(i) for i in range(90)], ["a"] * 90), STREAM)[0]
    with pytest.raises(AssertionError):
        assert_sound(leaky, works)
    assert_sound(split_folds(Works.of(works, ["a"] * 90), STREAM)[0], works)


def test_a_work_of_two_classes_stays_in_one_part():
    works = [f"w{i}" for i in range(40)] + ["w0"]
    labels = ["own"] * 20 + ["other"] * 21
    splits = split_folds(Works.of(works, labels, labels), STREAM, repeats=1)
    for split in splits:
        assert_sound(split, works)
    assert Counter(i for split in splits for i in split.test) == Counter(range(41))


@pytest.mark.parametrize("folds", [2, 3, 5, 6, 10])
def test_too_few_works_say_how_many_are_needed(folds):
    needed = works_needed(Fraction(1, folds))
    split_folds(simple(needed, 40)[1], STREAM, folds)
    with pytest.raises(InputError, match=rf"class 'own' has {needed - 1} works?, but .* at least {needed}"):
        split_folds(simple(needed - 1, 40)[1], STREAM, folds)


def test_the_needed_number_of_works_is_enough_and_not_too_many():
    for own in range(works_needed(Fraction(1, 6)), 40):
        for split in split_folds(simple(own, 25)[1], STREAM, repeats=1):
            assert all((part < own).any() and (part >= own).any() for part in parts(split))
    lacking = simple(works_needed(Fraction(1, 6)) - 1, 0)[1]
    with pytest.raises(InputError):
        split_folds(lacking, STREAM)


def test_wrong_requests():
    works = simple()[1]
    for wrong in ({"folds": 1}, {"repeats": 0}, {"validation": Fraction(1)}, {"validation": Fraction(-1, 2)}):
        with pytest.raises(InputError):
            split_folds(works, STREAM, **wrong)
    with pytest.raises(InputError, match="at least 10 of each class"):
        split_folds(Works.of([], []), STREAM)
    with pytest.raises(InputError, match="2 works, 1 strata"):
        Works.of(["a", "b"], ["a"])
    with pytest.raises(InputError, match="makers"):
        leave_one_out(works, ["a"], STREAM)


def test_without_validation_the_part_is_empty():
    for split in split_folds(simple(6, 6)[1], STREAM, validation=Fraction(0)):
        assert len(split.validation) == 0


def test_inner_splits_never_see_the_outer_test():
    works, table = simple()
    outer = split_folds(table, STREAM)[4]
    inner = split_inner(table, outer, STREAM)
    inside = set(outer.train.tolist()) | set(outer.validation.tolist())
    assert Counter(i for split in inner for i in split.test) == Counter(inside)
    for split in inner:
        assert_sound(split, works)
        assert set(split.train.tolist()) | set(split.test.tolist()) == inside
    changed = Split(outer.name, outer.train, outer.validation, outer.test[::-1])
    assert [s.test.tolist() for s in split_inner(table, changed, STREAM)] == [s.test.tolist() for s in inner]


def gallery():
    rows = [Row(f"o{i}", "original", "Ann") for i in range(24)] + [Row(f"p{i}", "proxy", "Bob") for i in range(24)]
    rows += [Row(f"f{i}", "forgery", ("Wacker", "Myatt", "unknown")[i % 3].replace("unknown", "")) for i in range(12)]
    rows += [Row(f"g{i}", "tuned-gan", generator="StyleGAN2") for i in range(6)]
    rows += [Row(f"d{i}", "diffusion") for i in range(6)]
    return Manifest(tuple(rows))


def test_leave_one_forger_out():
    manifest = gallery()
    splits = leave_one_forger_out(manifest, STREAM, manifest.authentic("Ann"))
    assert [split.name for split in splits] == ["without myatt", "without wacker"]
    for split, left in zip(splits, ("Myatt", "Wacker"), strict=True):
        assert_sound(split, manifest.works)
        his = {i for i, row in enumerate(manifest) if row.hand == left}
        assert his <= set(split.test.tolist())
        everything = np.concatenate(parts(split))
        # Whoever made the others may be the one who is left out.
        assert not any(manifest.rows[i].role == "forgery" and not manifest.rows[i].hand for i in everything)
        assert any(manifest.rows[i].role == "original" for i in split.test)


def test_leave_one_generator_out():
    manifest = gallery()
    splits = leave_one_generator_out(manifest, STREAM, manifest.authentic("Ann"))
    assert [split.name for split in splits] == ["without diffusion", "without stylegan2"]
    for split, role in zip(splits, ("diffusion", "tuned-gan"), strict=True):
        assert {i for i, row in enumerate(manifest) if row.role == role} <= set(split.test.tolist())
        assert_sound(split, manifest.works)


def test_leaving_out_needs_two():
    manifest = gallery().where(role=("original", "proxy", "tuned-gan"))
    with pytest.raises(InputError, match="at least 2 of them, but the manifest names only stylegan2"):
        leave_one_generator_out(manifest, STREAM)
    with pytest.raises(InputError, match="names none"):
        leave_one_forger_out(manifest, STREAM)


@pytest.mark.skipif(not DATA, reason="PYQMC_ART_DATA names no folder with real pictures")
def test_the_real_forgeries_are_spread_over_the_folds():
    manifest = Manifest.read(Path(DATA) / "van_gogh" / "manifest.csv")
    splits = split_folds(Works.of_manifest(manifest, manifest.authentic("van Gogh")), STREAM, repeats=1)
    sizes = [sum(manifest.rows[i].role == "forgery" for i in split.test) for split in splits]
    assert sorted(sizes) == [1, 1, 2, 2, 2, 2]
