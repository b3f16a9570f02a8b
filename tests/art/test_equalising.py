"""Which equalisation suits a collection."""

from __future__ import annotations

import pytest

from pyqmc_art.art.equalising import choose_equaliser
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError


def rows(*sizes):
    return Manifest(tuple(Row(f"{k}.png", "photo", width=w, height=h, format="PNG") for k, (w, h) in enumerate(sizes)))


@pytest.mark.parametrize(
    ("sizes", "side", "factor"),
    [
        ([(256, 256), (256, 300)], 256, "whole"),  # one size: both ways are the same
        ([(256, 256), (768, 768)], 256, "whole"),  # far apart: cropping would leave a ninth of the larger
        ([(300, 256), (350, 370)], 256, 1.0),  # alike: one factor for all
        ([(2000, 1500), (1800, 2200)], 1024, 1500 / 1024),  # no larger than the pyramid needs
    ],
)
def test_the_choice(sizes, side, factor):
    plan = choose_equaliser(rows(*sizes)).equaliser
    assert (plan.size, plan.factor, plan.quality) == (side, factor, (70, 90))


@pytest.mark.parametrize("size", ["auto", "64"])
def test_no_picture_is_enlarged(size):
    given = rows((300, 200), (220, 240), (230, 1000))
    plan = choose_equaliser(given, size).equaliser
    assert all(plan.plan(row.width, row.height, "ab", stream()).downscale >= 1 for row in given)


def stream():
    from pyqmc_art.rng import Stream

    return Stream.from_seed(1)


def test_the_user_decides():
    given = rows((300, 200), (900, 800))
    assert choose_equaliser(given, "none").equaliser is None
    plan = choose_equaliser(given, "128", "1.5", (80, 85)).equaliser
    assert (plan.size, plan.factor, plan.quality) == (128, 1.5, (80, 85))
    assert choose_equaliser(given, "100", "common").equaliser.factor == 2.0


def test_the_reason_is_one_line_that_names_what_counts():
    reason = choose_equaliser(rows((800, 700), (64, 90))).reason
    assert "\n" not in reason
    for said in ("64 x 64", "1.png", "64 to 700", "70 to 90"):
        assert said in reason
    assert "PNG" in choose_equaliser(rows((80, 80)), "none").reason


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (("large",), "equalise is 'large'"),
        (("4",), "at least 8"),
        (("128", "double"), "downscale is 'double'"),
        (("128", "3"), "the smallest has 200"),
        (("128", "-1"), "the smallest has 200"),
        (("128", "nan"), "the smallest has 200"),
    ],
)
def test_bad_wishes(words, needle):
    with pytest.raises(InputError, match=needle):
        choose_equaliser(rows((300, 200)), *words)


def test_sizes_must_be_known():
    with pytest.raises(InputError, match="check the manifest"):
        choose_equaliser(Manifest((Row("a.png", "photo"),)))
