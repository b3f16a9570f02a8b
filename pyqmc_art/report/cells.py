"""Cells of a table as text: how numbers are written, how they line up, and which words are verdicts."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Final

from pyqmc_art.protocols import Cell, Measured, Table
from pyqmc_art.stats.estimate import Estimate

VERDICTS: Final = {
    "ok": "good",
    "pass": "good",
    "passed": "good",
    "agrees": "good",
    "supported": "good",
    "confirmed": "good",
    "fail": "bad",
    "failed": "bad",
    "disagrees": "bad",
    "refused": "bad",
    "refuted": "bad",
    "not decided": "doubtful",
    "not decided here": "doubtful",
    "warning": "doubtful",
    "suspect": "doubtful",
    "unreliable": "doubtful",
}
"""Words (whole cells, in any case) shown as verdicts, with a sign beside the colour."""

_NUMBER: Final = re.compile(r"(?P<head>[-+−]?\d+)(?P<tail>(?:\.\d+)?(?:\([\d.]+\))?(?:e[-+]?\d+)?)")


@dataclass(frozen=True)
class Shown:
    """One cell as a page shows it; ``head`` and ``tail`` are a number's digits before and after its point."""

    text: str
    verdict: str = ""
    head: str = ""
    tail: str = ""


@dataclass(frozen=True)
class Column:
    """Heading of a column, whether its cells are numbers, and the room their tails need in digits."""

    name: str
    numeric: bool
    tail: float


def cell_text(cell: Cell) -> str:
    """Write one cell: an Estimate as ``0.4406(3)``, a float with six digits, nothing as a dash.

    Examples
    --------
    >>> cell_text(Estimate(0.44063, 0.0003)), cell_text(0.44068679), cell_text(None), cell_text(True)
    ('0.4406(3)', '0.440687', '–', 'yes')
    """
    if cell is None:
        return "\N{EN DASH}"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, Integral):
        return str(int(cell))
    if isinstance(cell, Real):
        return f"{float(cell):.6g}" if math.isfinite(cell) else "\N{EN DASH}" if math.isnan(cell) else str(float(cell))
    if isinstance(cell, Measured):
        return str(Estimate(cell.value, abs(cell.error)))
    return str(cell)


def show(cell: Cell) -> Shown:
    """Prepare one cell for a page."""
    text = cell_text(cell)
    number = _NUMBER.fullmatch(text)
    if number:
        return Shown(text, head=number["head"].replace("-", "\N{MINUS SIGN}"), tail=number["tail"])
    return Shown(text, verdict=VERDICTS.get(text.strip().casefold(), ""))


def columns(table: Table) -> tuple[Column, ...]:
    """Describe the columns of a table; numbers line up at the decimal point."""
    return tuple(_column(name, [row[k] for row in table.rows if k < len(row)]) for k, name in enumerate(table.columns))


def _column(name: str, cells: Sequence[Cell]) -> Column:
    shown = [show(c) for c in cells if c is not None]
    numeric = any(s.head for s in shown) and all(s.head or s.text in ("\N{EN DASH}", "inf", "-inf") for s in shown)
    return Column(name, numeric, max((_room(s.tail) for s in shown), default=0.0))


def _room(tail: str) -> float:
    """Width of a tail in digits; points and brackets are narrower."""
    return round(sum(1.0 if c.isalnum() else 0.6 for c in tail), 1)
