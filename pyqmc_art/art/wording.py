"""Words for numbers: odds, counts, and tables of plain text."""

from __future__ import annotations

import math
from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as lines whose columns stand under each other, the first row as their heading.

    Examples
    --------
    >>> print(align([("role", "n"), ("proxy", "12")]))
    role   n
    proxy  12
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def say_odds(log_odds: float) -> str:
    """Say log-odds as people bet.

    Examples
    --------
    >>> say_odds(math.log(12)), say_odds(-math.log(30)), say_odds(0.02)
    ('12 : 1', '1 : 30', '1 : 1')
    """
    ratio = math.exp(abs(log_odds))
    text = f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}".removesuffix(".0")
    return f"{text} : 1" if log_odds >= 0 or text == "1" else f"1 : {text}"


def count(number: int, word: str) -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> count(1, "work"), count(3, "work")
    ('1 work', '3 works')
    """
    return f"{number} {word}{'' if number == 1 else 's'}"


def show_hand(name: str) -> str:
    """Write a name as people do.

    Examples
    --------
    >>> show_hand("vincent_van_gogh"), show_hand("Édouard Manet"), show_hand("")
    ('Vincent van Gogh', 'Édouard Manet', 'unknown')
    """
    small = ("van", "de", "der", "den", "von", "da", "di", "la", "le", "du")
    if not name:
        return "unknown"
    if "_" not in name and name != name.lower():
        return name
    return " ".join(word if word in small else word.capitalize() for word in name.replace("_", " ").split())
