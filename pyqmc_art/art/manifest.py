"""The manifest: one row a picture, saying what it is, whose it is and how anybody knows."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.pictures import MAX_PIXELS, Picture, UnreadablePicture, read_each
from pyqmc_art.art.roles import ROLES, hand_key, resolve_hand, resolve_role
from pyqmc_art.art.rows import COLUMNS, Problem, Row, make_record, make_row, measured
from pyqmc_art.art.tables import Record, as_csv, as_jsonl, read_table
from pyqmc_art.errors import InputError, StoreError, unknown


@dataclass(frozen=True)
class Check:
    """What a check found: the manifest of the good rows, measured, and every problem."""

    manifest: Manifest
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Manifest:
    """Rows, and the folder their relative paths start from.

    Examples
    --------
    >>> manifest = Manifest((Row("a.png", "original", "Vincent van Gogh"), Row("b.png", "photo")))
    >>> len(manifest.where(hand="van gogh"))
    1
    """

    rows: tuple[Row, ...]
    root: Path = Path()
    problems: tuple[Problem, ...] = ()
    """What was wrong when it was read; ``check`` reports it with everything else."""

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @classmethod
    def scan(cls, folder: str | os.PathLike[str], strict: bool = True) -> Manifest:
        """Read a folder whose sub-folders are named after roles; see :func:`pyqmc_art.art.layouts.scan_folder`."""
        from pyqmc_art.art.layouts import scan_folder

        return scan_folder(folder)._sound(strict)

    @classmethod
    def read(cls, path: str | os.PathLike[str], strict: bool = True) -> Manifest:
        """Read a CSV or JSONL manifest; which one, its content says.

        Columns may also be called file, kind, artist, license and so on. Rows of kinds that hold no pictures (weights,
        lattice) are left out.

        Raises
        ------
        InputError
            When the file is no manifest; with ``strict`` also when a row is wrong, naming all of them.
        """
        place = Path(path)
        records = read_table(place, COLUMNS)
        names = sorted({name for record in records for name in record})
        if records and not {"path", "role"} <= set(names):
            raise InputError(f"{place} has the columns {', '.join(names)}; expected at least path and role")
        rows, problems = rows_of(records)
        return cls(rows, place.parent, problems)._sound(strict)

    def _sound(self, strict: bool) -> Manifest:
        if strict and self.problems:
            raise InputError(f"{len(self.problems)} bad rows:\n" + "\n".join(map(str, self.problems)))
        return self

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write as .csv or .jsonl through a temporary file; paths become relative to its folder where they can.

        Raises
        ------
        InputError
            For another suffix.
        StoreError
            When the file cannot be written.
        """
        place = Path(path)
        if place.suffix.lower() not in (".csv", ".jsonl"):
            raise unknown("suffix of a manifest", place.suffix, (".csv", ".jsonl"))
        records = [make_record(dataclasses.replace(row, path=_relative(self.path(row), place.parent))) for row in self]
        text = as_csv(records, COLUMNS) if place.suffix.lower() == ".csv" else as_jsonl(records)
        temporary = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            temporary.write_bytes(text.encode())
            os.replace(temporary, place)
        except UnicodeEncodeError:
            raise InputError("a name holds bytes that are not UTF-8; rename the file") from None
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StoreError(f"cannot write {place} ({error.strerror}); is there room, may you write there?") from None
        return place

    def path(self, row: Row) -> Path:
        """Where the file of a row lies."""
        return self.root / row.path

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the files lie, in the order of the rows."""
        return tuple(self.path(row) for row in self.rows)

    @property
    def works(self) -> tuple[str, ...]:
        """The work each row belongs to, which no split may divide."""
        return tuple(row.work for row in self.rows)

    @property
    def strata(self) -> tuple[str, ...]:
        """The sublabel of each row: role and maker."""
        return tuple(row.stratum for row in self.rows)

    def hands(self) -> dict[str, int]:
        """Count the rows of each hand, most frequent first, the unknown one left out; spellings of one name are one."""
        spelling: dict[str, str] = {}
        for row in self.rows:
            spelling.setdefault(hand_key(row.hand), row.hand)
        counts = Counter(spelling[hand_key(row.hand)] for row in self.rows if hand_key(row.hand))
        return dict(counts.most_common())

    def roles(self) -> dict[str, int]:
        """Count the rows of each role that occurs, in the order of ``ROLES``."""
        counts = Counter(row.role for row in self.rows)
        return {role: counts[role] for role in ROLES if counts[role]}

    def attribute(self, hand: str) -> Manifest:
        """Take the originals to be by this hand if the manifest names none for any of them; else change nothing.

        So a folder with a sub-folder ``original`` will do, without a word on whose originals they are.
        """
        if not hand or any(row.hand for row in self.rows if row.role == "original"):
            return self
        rows = tuple(dataclasses.replace(row, hand=hand) if row.role == "original" else row for row in self.rows)
        return dataclasses.replace(self, rows=rows)

    def authentic(self, hand: str) -> NDArray[np.bool_]:
        """Tell which rows are originals of this hand; all others are contrast.

        Raises
        ------
        InputError
            When no such hand is in the manifest.
        """
        wanted = hand_key(resolve_hand(hand, self.hands()))
        return np.array([row.role == "original" and hand_key(row.hand) == wanted for row in self.rows], bool)

    def where(self, role: str | Iterable[str] | None = None, hand: str | Iterable[str] | None = None) -> Manifest:
        """Keep the rows with one of the roles and one of the hands.

        Raises
        ------
        InputError
            For an unknown role or hand, naming the nearest one.
        """
        rows = self.rows
        if role is not None:
            roles = {resolve_role(word) for word in _several(role)}
            rows = tuple(row for row in rows if row.role in roles)
        if hand is not None:
            keys = {hand_key(resolve_hand(word, self.hands())) for word in _several(hand)}
            rows = tuple(row for row in rows if hand_key(row.hand) in keys)
        return dataclasses.replace(self, rows=rows)

    def keep(self, chosen: Iterable[int]) -> Manifest:
        """Keep the rows of these numbers, in this order."""
        return dataclasses.replace(self, rows=tuple(self.rows[i] for i in chosen))

    def merged(self, works: Iterable[str]) -> Manifest:
        """Give each row a new group, one for each row."""
        rows = tuple(dataclasses.replace(row, group=work) for row, work in zip(self.rows, works, strict=True))
        return dataclasses.replace(self, rows=rows)

    def check(self, max_pixels: int = MAX_PIXELS) -> Check:
        """Decode every picture and compare it with its row; all problems are reported at once.

        The manifest in the result holds the good rows with sha256, size, format and quality as measured.
        """
        problems = list(self.problems)
        good: list[Row] = []
        for row, found in zip(self.rows, read_each(self.paths, max_pixels), strict=True):
            wrong = _misfits(row, found)
            problems += [Problem(str(self.path(row)), reason) for reason in wrong]
            if not wrong and isinstance(found, Picture):
                good.append(measured(row, found))
        clashes = _clashes(good)
        problems += [Problem(str(self.root / path), reason) for path, reason in clashes.items()]
        kept = tuple(row for row in good if row.path not in clashes)
        return Check(dataclasses.replace(self, rows=kept, problems=()), tuple(problems))

    def summary(self) -> str:
        """Say in a few lines how many pictures and works of which role and hand there are."""
        lines = [f"{len(self)} pictures of {len(set(self.works))} works"]
        for role, count in self.roles().items():
            makers = Counter(row.maker or "unknown" for row in self.rows if row.role == role).most_common()
            names = ", ".join(f"{name} {n}" for name, n in makers[:5]) + (", ..." if len(makers) > 5 else "")
            lines.append(f"  {role:13} {count:5}  {names}")
        return "\n".join(lines)


def _misfits(row: Row, found: Picture | UnreadablePicture) -> list[str]:
    if isinstance(found, UnreadablePicture):
        return [found.reason]
    wrong = []
    if row.sha256 and row.sha256.lower() != found.sha256:
        wrong.append(f"sha256 is {found.sha256}, but the manifest says {row.sha256}")
    if row.width and row.height and (row.width, row.height) != (found.width, found.height):
        wrong.append(f"is {found.width} x {found.height}, but the manifest says {row.width} x {row.height}")
    return wrong


def _clashes(rows: Iterable[Row]) -> dict[str, str]:
    """Paths whose content bears two labels; none of them can be trusted."""
    same: dict[str, list[Row]] = {}
    for row in rows:
        same.setdefault(row.sha256, []).append(row)
    clashes: dict[str, str] = {}
    for twins in same.values():
        if len({(row.role, hand_key(row.maker)) for row in twins}) > 1:
            said = "; ".join(f"{row.path} is {row.role} of {row.maker or 'unknown'}" for row in twins)
            clashes |= {row.path: f"one content, two labels ({said}); keep the right one" for row in twins}
    return clashes


def _relative(path: Path, folder: Path) -> str:
    whole, start = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return whole.relative_to(start).as_posix() if whole.is_relative_to(start) else whole.as_posix()


def rows_of(records: Iterable[Record]) -> tuple[tuple[Row, ...], tuple[Problem, ...]]:
    """Make rows of records and collect what is wrong with the others."""
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, record in enumerate(records, start=1):
        try:
            row = make_row(record)
        except InputError as error:
            problems.append(Problem(record.get("path") or f"row {number}", str(error)))
        else:
            rows.extend(() if row is None else (row,))
    return tuple(rows), tuple(problems)


def _several(words: str | Iterable[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)
