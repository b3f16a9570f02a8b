"""One row of a manifest: a picture, what it is, whose it is and how anybody knows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from pyqmc_art.art.pictures import Picture
from pyqmc_art.art.roles import MACHINE_ROLES, hand_key, resolve_role
from pyqmc_art.errors import InputError

_NUMBERS: Final = ("width", "height", "quality")
NO_PICTURES: Final = ("weights", "lattice")
"""Kinds of rows, or of their upper folder, that a manifest of mixed data may hold beside its pictures."""


@dataclass(frozen=True)
class Row:
    """One picture.

    Parameters
    ----------
    path : of the file, relative to the manifest's folder where it lies inside, with forward slashes
    role : one of ``roles.ROLES``
    hand : who painted or photographed it; empty when nobody knows and for machine-made pictures
    sha256 : of the file's bytes, in hexadecimal
    title, year, style, genre : of the work
    source, licence : where the file comes from and what may be done with it
    basis : why the label is believed
    group : works that must stay on one side of every split share it; empty means a group of its own
    generator, prompt, seed : of a machine-made picture
    width, height : pixels after the EXIF orientation; 0 when not measured
    format : sniffed content, such as JPEG
    quality : estimated JPEG quality, 0 when not known or no JPEG
    note : anything else, in words
    extra : columns this package does not know, kept as they are
    """

    path: str
    role: str
    hand: str = ""
    sha256: str = ""
    title: str = ""
    year: str = ""
    style: str = ""
    genre: str = ""
    source: str = ""
    licence: str = ""
    basis: str = ""
    group: str = ""
    generator: str = ""
    prompt: str = ""
    seed: str = ""
    width: int = 0
    height: int = 0
    format: str = ""
    quality: int = 0
    note: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def work(self) -> str:
        """What splits keep together: the group where there is one, else the content itself, else the path."""
        return self.group or self.sha256 or self.path

    @property
    def maker(self) -> str:
        """The generator of a machine-made picture, the hand of any other."""
        return (self.generator or self.role) if self.role in MACHINE_ROLES else self.hand

    @property
    def stratum(self) -> str:
        """The sublabel: role and maker."""
        return f"{self.role}|{hand_key(self.maker)}"


COLUMNS: Final = tuple(f.name for f in dataclasses.fields(Row) if f.name != "extra")


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file or row, in words."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def measured(row: Row, picture: Picture) -> Row:
    """Fill in what the file itself says."""
    return dataclasses.replace(
        row, sha256=picture.sha256, width=picture.width, height=picture.height, format=picture.format,
        quality=picture.quality or 0,
    )  # fmt: skip


def make_row(record: Mapping[str, str]) -> Row | None:
    """Make a row from a record with this package's column names; None for a kind that holds no pictures.

    Raises
    ------
    InputError
        For no path, an unknown role or a size that is no number.
    """
    path, role = record.get("path", ""), record.get("role", "")
    if not path:
        raise InputError("no path (column path or file)")
    if PurePosixPath(role).parts[:1] and PurePosixPath(role).parts[0] in NO_PICTURES:
        return None
    values: dict[str, Any] = {name: record.get(name, "") for name in COLUMNS}
    values |= {name: _number(name, record.get(name, "")) for name in _NUMBERS}
    values["role"] = resolve_role(role)
    if not hand_key(values["hand"]):
        values["hand"] = ""
    if values["role"] in MACHINE_ROLES and values["hand"]:
        # No hand painted it: the column names the machine where no other does.
        values["generator"], values["hand"] = values["generator"] or values["hand"], ""
    extra = tuple((name, text) for name, text in record.items() if name not in COLUMNS and text)
    return Row(**values, extra=extra)


def _number(name: str, text: str) -> int:
    plain = text.strip().lstrip("~")
    if not plain:
        return 0
    try:
        return int(plain)
    except ValueError:
        raise InputError(f"{name} is {text!r}; expected a whole number") from None


def make_record(row: Row) -> dict[str, str | int]:
    """Turn a row into a record that :func:`make_row` turns back."""
    record = {name: getattr(row, name) for name in COLUMNS} | dict(row.extra)
    return {name: "" if name in _NUMBERS and not value else value for name, value in record.items()}
