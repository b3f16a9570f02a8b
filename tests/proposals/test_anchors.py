"""Documented trainings give what is documented; these take minutes."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.proposals.anchors import Anchor, find_anchor


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target"), [("6x6", 0.8), ("8x8", 0.5)])
def test_an_anchor_gives_what_it_promises(call: Any, name: str, target: float) -> None:
    """The range holds and lies above the target of the literature's sets."""
    status, out, _ = call(f"train flow --anchor {name} --out m --threads 1")
    assert status == 0
    assert ", as expected: " in out
    (acceptance,) = re.findall(r"^acceptance ([\d.]+)", out, re.MULTILINE)
    assert float(acceptance) >= target
    assert find_anchor(name).low >= target


def repeat(call: Any, anchor: Anchor, seed: int) -> float:
    """Acceptance of the same training from another seed."""
    words = ["train flow --out m --threads 1 --draws 20000"]
    for name, value in {**anchor.flags, "seed": seed}.items():
        given = "" if value is True else " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        words.append(f"--{name.replace('_', '-')} {given}".strip())
    status, out, _ = call(" ".join(words))
    assert status == 0
    return float(re.findall(r"acceptance ([\d.]+)", out)[0])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), [("6x6", 2), ("8x8", 3)])
def test_the_range_of_an_anchor_is_not_that_of_one_seed(call: Any, name: str, seed: int) -> None:
    anchor = find_anchor(name)
    assert ", as expected: " in anchor.compare(repeat(call, anchor, seed))
