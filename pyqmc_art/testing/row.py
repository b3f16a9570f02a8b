"""One judgement of a certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pyqmc_art.stats.estimate import Estimate


@dataclass(frozen=True)
class Row:
    """One judgement: by a p-value where chance plays a part, else by ``sound``; ``skipped`` is why there is none."""

    kernel: str
    target: str
    exact: float | None = None
    measured: Estimate | float | None = None
    deviation: float | None = None
    p_value: float | None = None
    sound: bool = True
    skipped: str = ""


Trial: TypeAlias = Callable[[], list[Row]]
"""A function of nothing that returns its rows."""
