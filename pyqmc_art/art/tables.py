"""Tables of text, CSV or JSONL, as lists of records whose columns bear this package's names."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from pyqmc_art.errors import InputError

Record: TypeAlias = dict[str, str]

_SYNONYMS: Final = {
    "file": "path", "file_name": "path", "filename": "path", "kind": "role", "artist": "hand", "author": "hand",
    "license": "licence", "label_basis": "basis", "model": "generator", "text": "prompt", "jpeg_quality": "quality",
    "jpeg_quality_est": "quality", "date": "year",
}  # fmt: skip


def read_table(path: Path, columns: Collection[str]) -> list[Record]:
    """Read the records of a CSV or JSONL file; which one it is, its content says.

    Parameters
    ----------
    path : of the file
    columns : names that are known; others, and synonyms of none of them, stay as they are

    Raises
    ------
    InputError
        When the file is missing, empty, no text or no table.
    """
    text = _text(path)
    if not text.strip() or "\0" in text:
        raise InputError(f"{path} is {'not text' if text.strip() else 'empty'}; a manifest is CSV or JSONL")
    raw = _from_jsonl(text, path) if text.lstrip().startswith("{") else _from_csv(text, path)
    return [_named(record, columns) for record in raw]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no manifest {path}; 'data scan FOLDER --out {path}' writes one") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; a manifest is CSV or JSONL") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the manifest {path} ({error})") from None


def _from_csv(text: str, path: Path) -> list[dict[str, Any]]:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    try:
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="", strict=True))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file ({error})") from None


def _from_jsonl(text: str, path: Path) -> list[dict[str, Any]]:
    records = []
    # Not splitlines: a title may hold other characters that it takes for the end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: is no JSON ({error})") from None
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {number}: is a {type(record).__name__}; expected an object of columns")
        records.append(record)
    return records


def _named(record: Mapping[str, Any], columns: Collection[str]) -> Record:
    named: Record = {}
    for name, value in record.items():
        plain = name.strip()
        if not plain:
            continue
        key = plain.casefold().replace(" ", "_").replace("-", "_")
        column = _SYNONYMS.get(key, key)
        own = column if column in columns else plain
        text = "" if value is None else str(value)
        # What is written wins over what is empty, a column under its own name over a synonym.
        if own not in named or (text and (key == own or not named[own])):
            named[own] = text
    return named


def as_csv(records: Sequence[Mapping[str, str | int]], columns: Sequence[str]) -> str:
    """Write records as CSV: the given columns first, others in the order of their appearance."""
    names = list(dict.fromkeys([*columns, *(name for record in records for name in record)]))
    buffer = io.StringIO(newline="")
    # The end of a line as RFC 4180 has it: with a bare line feed a carriage return in a title would not be quoted.
    writer = csv.DictWriter(buffer, names, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(records)
    return buffer.getvalue()


def as_jsonl(records: Sequence[Mapping[str, str | int]]) -> str:
    """Write records as one JSON object a line, without empty values."""
    kept = [{name: value for name, value in record.items() if value != ""} for record in records]
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept)
