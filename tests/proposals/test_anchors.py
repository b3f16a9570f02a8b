"""Documented trainings give what is documented; these take minutes."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.proposals.anchors import find_anchor


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
