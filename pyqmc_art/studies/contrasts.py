"""Contrasts over a manifest: which rows stand against which, written in one line.

::

    contrast   [label:] side v side
    side       condition & condition & ...
    condition  column = value | value | ...      the column has one of the values
               column != value | value | ...     it has none of them
               rest                              not on the other side

Capitals and accents do not matter, ``*`` stands for anything, roles may bear their other names, and a hand may be named
by some of its words. A row must not be on both sides: ``rest`` is how one says that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.roles import find_role, hand_key, resolve_hand, resolve_role
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError, unknown

COLUMNS: Final = ("role", "hand", "style", "genre", "source", "title", "year", "licence", "basis", "group", "generator",
                  "note", "path")  # fmt: skip
EXAMPLE: Final = "hand=Katsushika Hokusai v rest & role=original"
REST: Final = "rest"
_NAMED: Final = 8

_CONDITION: Final = rf"(?:{REST}\b(?!\s*!?=)|[\w-]+\s*!?=)"
_VERSUS: Final = re.compile(rf"\s+(?:v|v\.|vs|vs\.|versus|against)\s+(?={_CONDITION})", re.IGNORECASE)
_AND: Final = re.compile(rf"\s+&\s+(?={_CONDITION})", re.IGNORECASE)
_LABEL: Final = re.compile(r"([^=]*?):\s+(.*)", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """One condition on a row; ``column`` is ``"rest"`` for everything that is not on the other side."""

    column: str
    values: tuple[str, ...] = ()
    negated: bool = False

    def select(self, manifest: Manifest) -> NDArray[np.bool_]:
        """Tell which rows fulfil it.

        Raises
        ------
        InputError
            For a column that no row has, or a value that occurs in no row.
        """
        here = [_read(row, self.column) for row in manifest]
        if not any(here):
            raise InputError(f"no row has a {self.column}, so that {self} selects nothing; {_known_columns(manifest)}")
        chosen = np.zeros(len(here), bool)
        for value in self.values:
            found = np.array([_matches(text, self._resolve(value, manifest), self.column) for text in here], bool)
            if not found.any():
                raise unknown(self.column, value, _near(value, here))
            chosen |= found
        return ~chosen if self.negated else chosen

    def _resolve(self, value: str, manifest: Manifest) -> str:
        if self.column == "role" and "*" not in value:
            return resolve_role(value)
        if self.column == "hand" and "*" not in value:
            return resolve_hand(value, manifest.hands())
        return value

    def __str__(self) -> str:
        sign = "!=" if self.negated else "="
        return self.column if self.column == REST else f"{self.column}{sign}{' | '.join(self.values)}"


@dataclass(frozen=True)
class Contrast:
    """Positive rows against negative ones.

    Parameters
    ----------
    label : its name in tables
    positive, negative : conditions that all have to be fulfilled

    Examples
    --------
    >>> contrast = parse_contrast("Hokusai: hand=Katsushika Hokusai v rest & role=original")
    >>> contrast.label, str(contrast)
    ('Hokusai', 'hand=Katsushika Hokusai v rest & role=original')
    """

    label: str
    positive: tuple[Condition, ...]
    negative: tuple[Condition, ...]

    def __str__(self) -> str:
        return " v ".join(" & ".join(map(str, side)) for side in (self.positive, self.negative))

    def select(self, manifest: Manifest) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Positive and negative rows.

        Raises
        ------
        InputError
            For an unknown value, an empty side, or rows on both sides.
        """
        sides: dict[str, NDArray[np.bool_]] = {}
        written = {"positive": self.positive, "negative": self.negative}
        # The side without "rest" first: the other one depends on it.
        for name in sorted(written, key=lambda one: any(c.column == REST for c in written[one])):
            chosen = np.ones(len(manifest), bool)
            for condition in written[name]:
                chosen &= ~next(iter(sides.values())) if condition.column == REST else condition.select(manifest)
            sides[name] = chosen
        for name, chosen in sides.items():
            if not chosen.any():
                raise InputError(f"the {name} side of {str(self)!r} selects none of {len(manifest)} pictures; "
                                 f"the manifest holds {_count_roles(manifest)}")  # fmt: skip
        both = sides["positive"] & sides["negative"]
        if both.any():
            first = manifest.rows[int(np.flatnonzero(both)[0])].path
            raise InputError(
                f"{int(both.sum())} pictures are on both sides of {str(self)!r} ({first} is one); write 'rest &' "
                "before the conditions of the larger side"
            )
        return sides["positive"], sides["negative"]


def parse_contrast(text: str) -> Contrast:
    """Read a contrast.

    Raises
    ------
    InputError
        When it is none, saying what was expected.

    Examples
    --------
    >>> parse_contrast("role=ai v role=original & source != met*").negative[1].values
    ('met*',)
    """
    labelled = _LABEL.fullmatch(text.strip())
    label, body = (labelled[1].strip(), labelled[2]) if labelled else ("", text.strip())
    sides = _VERSUS.split(body)
    if len(sides) != 2:
        raise InputError(f"contrast {text!r} has {len(sides)} sides; expected two, as in {EXAMPLE!r}")
    positive, negative = (tuple(_parse_condition(part, text) for part in _AND.split(side)) for side in sides)
    contrast = Contrast(label, positive, negative)
    if all(any(one.column == REST for one in side) for side in (positive, negative)):
        raise InputError(f"contrast {text!r} has 'rest' on both sides; expected one side that says who, as {EXAMPLE!r}")
    return contrast if label else Contrast(str(contrast), positive, negative)


def _parse_condition(text: str, whole: str) -> Condition:
    words = text.strip()
    if words.casefold() == REST:
        return Condition(REST)
    column, sign, value = (part.strip() for part in words.partition("="))
    negated = column.endswith("!")
    values = tuple(one.strip() for one in value.split("|"))
    if not sign or not column.rstrip("! ") or not all(values):
        raise InputError(f"condition {words!r} of the contrast {whole!r} cannot be read; expected column=value, "
                         f"column!=value or rest, as in {EXAMPLE!r}")  # fmt: skip
    name = _key(column.rstrip("! "))
    name = {"artist": "hand", "kind": "role", "license": "licence", "file": "path"}.get(name, name)
    return Condition(name, values, negated)


def propose_contrasts(manifest: Manifest, hand: str = "", fewest: int = 1) -> tuple[Contrast, ...]:
    """Contrasts one would ask for when none are named: a hand v other originals, other roles v originals.

    Parameters
    ----------
    manifest : the rows
    hand : of the first contrast; empty takes the hand with the most originals, if there are others
    fewest : works that each side must have

    Raises
    ------
    InputError
        When the manifest allows none.
    """
    asked = []
    originals = manifest.where(role="original") if "original" in manifest.roles() else manifest.keep(())
    hands = originals.hands()
    chosen = resolve_hand(hand, hands) if hand else next(iter(hands), "")
    if chosen and len(originals) > hands[chosen]:
        asked.append(f"{chosen}: hand={chosen} & role=original v rest & role=original")
    if len(originals):
        asked += [f"{role}: role={role} v role=original" for role in manifest.roles() if role != "original"]
    contrasts = tuple(parse_contrast(text) for text in asked)
    kept = tuple(c for c in contrasts if min(count_sides(c, manifest)) >= fewest)
    if not kept:
        raise InputError(f"the manifest holds {_count_roles(manifest)}, which makes no contrast with {fewest} works on "
                         f"each side; name one with the key contrasts, as in {EXAMPLE!r}")  # fmt: skip
    return kept


def count_sides(contrast: Contrast, manifest: Manifest) -> tuple[int, int]:
    """Works on the positive and on the negative side."""
    works = np.array(manifest.works)
    positive, negative = (np.unique(works[side]).size for side in contrast.select(manifest))
    return positive, negative


def read_column(manifest: Manifest, column: str) -> tuple[str, ...]:
    """Text of a column in every row; empty where there is none."""
    return tuple(_read(row, column) for row in manifest)


def read_groups(manifest: Manifest, column: str) -> tuple[str, ...]:
    """Text of a column by which pictures can be grouped.

    Where more than half of the pictures that say something have a text of their own, it names files: what counts is
    then the host of an address, or what precedes the first colon.

    Examples
    --------
    >>> rows = [Row(f"{k}.png", "photo", source=f"https://museum.example/{k}") for k in range(3)]
    >>> read_groups(Manifest(tuple(rows)), "source")
    ('museum.example', 'museum.example', 'museum.example')
    """
    texts = read_column(manifest, column)
    said = [text for text in texts if text]
    if 2 * len(set(said)) <= len(said):
        return texts
    return tuple(re.sub(r"^\w+://", "", text).split("/" if "://" in text else ":")[0].strip() for text in texts)


def _read(row: Row, column: str) -> str:
    if column in COLUMNS:
        return str(getattr(row, column))
    return next((text for name, text in row.extra if _key(name) == column), "")


def _key(name: str) -> str:
    """Columns are one word in a contrast: lower case, ``_`` for spaces and hyphens."""
    return re.sub(r"[\s-]", "_", name.strip().casefold())


def _matches(text: str, value: str, column: str) -> bool:
    if column == "role" and "*" not in value:
        return text == find_role(value)
    if "*" in value:
        return fnmatchcase(text.casefold(), value.casefold().replace("[", "[[]"))
    return bool(text) and (hand_key(text) == hand_key(value) if hand_key(value) else text == value)


def _near(value: str, known: Iterable[str]) -> list[str]:
    """Known values to name in an error: all of a few, the nearest of many."""
    values = sorted(set(filter(None, known)))
    return values if len(values) <= _NAMED else get_close_matches(value, values, _NAMED, 0.3) or values[:_NAMED]


def _known_columns(manifest: Manifest) -> str:
    extra = {_key(name) for row in manifest for name, _ in row.extra}
    known = [name for name in (*COLUMNS, *sorted(extra)) if any(_read(row, name) for row in manifest)]
    return f"columns with something in them: {', '.join(known)}"


def _count_roles(manifest: Manifest) -> str:
    return ", ".join(f"{role} {count}" for role, count in manifest.roles().items()) or "nothing"
