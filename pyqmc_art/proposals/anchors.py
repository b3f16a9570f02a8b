"""Trainings that are documented to the seed, with the acceptance to expect: what a claim is checked against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyqmc_art.errors import unknown


@dataclass(frozen=True)
class Anchor:
    """A training as ``train flow --anchor NAME`` does it.

    Attributes
    ----------
    name : of the anchor
    flags : options of ``train flow``
    low, high : the acceptance that is expected; torch rounds differently on other machines, and training amplifies it,
        so that the range has to hold for other seeds, too
    """

    name: str
    flags: Mapping[str, Any]
    low: float
    high: float

    def compare(self, acceptance: float) -> str:
        """Say whether an acceptance is what was expected.

        Examples
        --------
        >>> find_anchor("6x6").compare(0.1)[:15]
        'acceptance 0.10'
        """
        inside = self.low <= acceptance <= self.high
        verdict = "as expected" if inside else "NOT as expected"
        return f"acceptance {acceptance:.3f}, {verdict}: {self.low:g} to {self.high:g} (anchor {self.name})"


_COMMON: Final = {
    "m2": -4.0, "fourier": True, "path_gradient": True, "learning_rate": 6e-3, "steps": 1000, "seed": 1
}  # fmt: skip

ANCHORS: Final = (
    Anchor("6x6", {**_COMMON, "shape": (6, 6), "lam": 6.975}, 0.8, 0.88),
    Anchor("8x8", {**_COMMON, "shape": (8, 8), "lam": 8.0}, 0.77, 0.86),
    Anchor("14x14", {**_COMMON, "shape": (14, 14), "lam": 5.113, "layers": 12, "steps": 1200}, 0.53, 0.6),
)
"""The sets of Albergo, Kanwar, Shanahan (2019) at L = 6 and 14 (L = 4 xi), and the one of arXiv:2101.08176."""


def find_anchor(name: str) -> Anchor:
    """Find an anchor by its name.

    Raises
    ------
    InputError
        For a name that is not known, naming the nearest one.
    """
    for anchor in ANCHORS:
        if anchor.name == name:
            return anchor
    raise unknown("anchor", name, [anchor.name for anchor in ANCHORS])
