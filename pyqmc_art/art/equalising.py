"""Which equalisation suits a collection: chosen from the sizes of its pictures, with the reason in a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pyqmc_art.art.degrade import Equaliser, common_downscale
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.errors import InputError

QUALITY: Final = (70, 90)
LARGEST: Final = 1024
"""Side in pixels of the largest square that is made; from here on a picture has all levels of its pyramid."""

_ALIKE: Final = 1.5
"""Shorter sides within this ratio are reduced by one factor; beyond it that would cut too much off the larger ones."""

_DOWNSCALES: Final = "'auto', 'whole', 'common' or a number above 0"


@dataclass(frozen=True)
class Choice:
    """An equaliser (None takes the pictures as they are) and why it was chosen."""

    equaliser: Equaliser | None
    reason: str


def choose_equaliser(
    rows: Manifest, size: str = "auto", downscale: str = "auto", quality: tuple[int, int] = QUALITY
) -> Choice:
    """Choose one plan for all pictures of a training.

    The square is as large as the smallest picture allows, so that none is enlarged. Where the pictures are about of one
    size all are reduced by the same factor (and the middle is cut out of the larger ones); else every picture is shown
    whole, its shorter side brought to the square's, and the factors differ.

    Parameters
    ----------
    rows : of the training, with their sizes
    size : ``"auto"``, ``"none"``, or the side of the square in pixels
    downscale : ``"auto"``, ``"whole"``, ``"common"``, or a factor for all pictures
    quality : least and largest quality of the JPEG that every picture goes through

    Raises
    ------
    InputError
        For a size or factor that cannot be used, or pictures whose size is not known.

    Examples
    --------
    >>> from pyqmc_art.art.rows import Row
    >>> sizes = (("a.jpg", 300, 256), ("b.png", 800, 768))
    >>> rows = Manifest(tuple(Row(name, "photo", width=w, height=h) for name, w, h in sizes))
    >>> choice = choose_equaliser(rows)
    >>> choice.equaliser.size, choice.equaliser.factor
    (256, 'whole')
    >>> choose_equaliser(rows, "none").equaliser is None
    True
    """
    sides = {row.path: min(row.width, row.height) for row in rows}
    if not sides or min(sides.values()) < 1:
        raise InputError("an equaliser needs the sizes of all pictures; check the manifest first")
    if size == "none":
        return Choice(None, _describe_none(rows))
    smallest = min(sides, key=lambda path: (sides[path], path))
    least, most = sides[smallest], max(sides.values())
    side = min(least, LARGEST) if size == "auto" else _read_size(size)
    factor = _choose_factor(downscale, least, most, side, rows)
    plan = Equaliser(size=side, factor=factor, quality=quality)
    why = f"shorter sides are {least} to {most} pixels" if most > least else f"all shorter sides are {least} pixels"
    if size == "auto" and list(sides.values()).count(least) == 1 < len(sides):
        why += f"; the one small picture is {smallest}"
    how = "shown whole, reduced by a factor of its own" if factor == "whole" else f"reduced {float(factor):.4g} times"
    how = "shown whole" if factor == "whole" and least == most else how
    text = f"every picture is {how}, to {side} x {side} pixels, then one JPEG of quality {quality[0]} to {quality[1]}"
    return Choice(plan, f"{text}; {why}")


def _choose_factor(downscale: str, least: int, most: int, side: int, rows: Manifest) -> str | float:
    if downscale == "auto":
        # Of pictures of one size both say the same; "whole" also suits larger ones that are judged later.
        downscale = "common" if least < most <= _ALIKE * least and side <= least else "whole"
    if downscale == "whole":
        return "whole"
    if downscale == "common":
        return common_downscale(((row.width, row.height) for row in rows), side)
    try:
        factor = float(downscale)
    except ValueError:
        raise InputError(f"downscale is {downscale!r}; expected {_DOWNSCALES}") from None
    if not 0 < factor * side <= least:
        raise InputError(
            f"downscale {downscale} to {side} pixels needs pictures of {factor * side:.4g} pixels, the smallest has "
            f"{least}; take a smaller factor or size, or 'whole'"
        )
    return factor


def _read_size(size: str) -> int:
    if not (size.isascii() and size.isdecimal() and int(size) >= 8):
        raise InputError(f"equalise is {size!r}; expected 'auto', 'none', or a side of at least 8 pixels")
    return int(size)


def _describe_none(rows: Manifest) -> str:
    formats = ", ".join(sorted({row.format for row in rows if row.format})) or "formats not known"
    return f"the pictures are taken as they are ({formats}): size and format may tell the classes apart"
