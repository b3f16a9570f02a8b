"""One self-contained HTML page: questions, answers, figures and tables, readable on a phone, in light and in dark.

The page asks for nothing from anywhere: no script runs, no font or image is fetched. Its numbers are embedded as JSON,
and :func:`read_findings_json` gives them back.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Final

from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.protocols import Cell, Curve, Figure, Findings, Measured, Panel, Picture, Table
from pyqmc_art.report.cells import cell_text, columns, show
from pyqmc_art.report.figures import draw_part, legends, write_atomically
from pyqmc_art.report.indices import html_indices
from pyqmc_art.report.palette import DARK, LIGHT, Key
from pyqmc_art.report.svg import swatch

JSON_ID: Final = "findings"
LONG: Final = 24
"""A table with more rows is folded away; a click shows it."""
_HEADLINE: Final = ("version", "commit", "backend", "date")


def write(
    path: str | os.PathLike[str],
    title: str,
    findings: Sequence[Findings],
    *,
    lead: str = "",
    provenance: Mapping[str, object],
) -> Path:
    """Write a report; an older file of that name is replaced at once or not at all.

    Parameters
    ----------
    path : the file; its folder is made if need be
    title : heading of the page
    findings : one section each
    lead : a paragraph under the title; an empty line starts another
    provenance : how the numbers came about: version, commit, backend, ISA, threads, seed, date, ...

    Returns
    -------
    Path
        the file

    Raises
    ------
    InputError
        For a figure that cannot be drawn or a table whose rows do not fit its columns.
    StoreError
        If the file cannot be written.
    """
    target = Path(path)
    write_atomically(target, render(title, findings, lead=lead, provenance=provenance).encode())
    return target


def render(title: str, findings: Sequence[Findings], *, lead: str = "", provenance: Mapping[str, object]) -> str:
    """Return the page that :func:`write` writes; the same findings give the same text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("pyqmc_art.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["indices"] = lambda text: Markup(html_indices(str(text)))
    context = {
        "title": title,
        "lead": _paragraphs(lead),
        "sections": [_section(f, k) for k, f in enumerate(findings, 1)],
        "headline": [
            str(provenance[k]) if k == "date" else f"{k} {provenance[k]}" for k in _HEADLINE if k in provenance
        ],
        "provenance": [(str(k), _plain(v)) for k, v in provenance.items()],
        "light": LIGHT,
        "dark": DARK,
        "json_id": JSON_ID,
        "payload": Markup(_embedded([as_json(f) for f in findings])),
    }
    return environment.get_template("page.html.jinja").render(context)


def as_json(findings: Findings) -> dict[str, Any]:
    """Findings as plain JSON values: a measured number is ``{"value", "error", "text"}``, nan and infinity are null."""
    return {
        "study": findings.study,
        "question": findings.question,
        "answer": findings.answer,
        "tables": [
            {
                "name": t.name,
                "title": t.title,
                "caption": t.caption,
                "columns": list(t.columns),
                "rows": [[_cell_json(c) for c in row] for row in t.rows],
            }
            for t in findings.tables
        ],
        "figures": [
            {"name": f.name, "title": f.title, "caption": f.caption, "panels": [_part_json(p) for p in f.panels]}
            for f in findings.figures
        ],
        "configuration": json.loads(json.dumps(_json(findings.configuration), default=str)),
        "notes": list(findings.notes),
        "seconds": _json(findings.seconds),
    }


def read_findings_json(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the numbers of a report back, one dict for each of its findings, as :func:`as_json` describes them.

    Raises
    ------
    InputError
        If there is no such file, or it is not a report of this package.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}; expected a report written by this package") from None
    except (OSError, UnicodeDecodeError) as reason:
        raise StoreError(f"cannot read {str(path)!r}: {reason}") from reason
    reader = _ScriptReader()
    reader.feed(text)
    try:
        found = json.loads("".join(reader.content))
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise InputError(f"{str(path)!r} holds no findings; expected a report written by this package")
    return found


class _ScriptReader(HTMLParser):
    """Collects the text of the data block."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.content: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag == "script" and ("id", JSON_ID) in attrs

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.content.append(data)


def _section(findings: Findings, number: int) -> dict[str, Any]:
    own = f"s{number}-" + (re.sub(r"[^a-z0-9]+", "-", findings.study.lower()).strip("-") or "findings")
    return {
        "id": own,
        "study": findings.study,
        "question": findings.question,
        "answer": _paragraphs(findings.answer),
        "figures": [_figure(f, f"{own}-f{k}") for k, f in enumerate(findings.figures, 1)],
        "tables": [_table(t, f"{own}-t{k}") for k, t in enumerate(findings.tables, 1)],
        "notes": findings.notes,
        "configuration": [(str(k), _plain(v)) for k, v in findings.configuration.items()],
        "duration": _duration(findings.seconds),
    }


def _figure(figure: Figure, own: str) -> dict[str, Any]:
    from markupsafe import Markup

    def entries(legend: Sequence[Key]) -> list[tuple[Markup, str]]:
        return [(Markup(swatch(key)), key.label) for key in legend]

    common, each = legends(figure)
    unique = replace(figure, name=own)
    panels = [
        {"title": part.title, "legend": entries(legend), "svg": Markup(draw_part(unique, k))}
        for k, (part, legend) in enumerate(zip(figure.panels, each, strict=True))
    ]
    kinds = ["pictures"] if all(isinstance(p, Picture) for p in figure.panels) else []
    kinds += ["single"] if len(panels) == 1 else []
    return {
        "id": own,
        "title": figure.title,
        "caption": figure.caption,
        "legend": entries(common),
        "panels": panels,
        "kind": " ".join(kinds),
    }


def _table(table: Table, own: str) -> dict[str, Any]:
    for row in table.rows:
        if len(row) != len(table.columns):
            raise InputError(f"table {table.name!r} has {len(table.columns)} columns, but a row has {len(row)} cells")
    rows = [[show(cell) for cell in row] for row in table.rows]
    verdicts = [cell for row in rows for cell in row if cell.verdict]
    tally = Counter(cell.text for cell in verdicts)
    return {
        "id": own,
        "title": table.title,
        "caption": table.caption,
        "columns": columns(table),
        "rows": rows,
        # A long table is folded away; what went wrong in it is not.
        "fold": len(rows) > LONG,
        "open": any(cell.verdict == "bad" for cell in verdicts),
        "tally": ", ".join(f"{count} {word}" for word, count in tally.items()),
    }


def _paragraphs(text: str) -> list[str]:
    return [p.strip() for p in re.split(r"\n\s*\n", text) if p.strip()]


def _duration(seconds: float) -> str:
    if not (math.isfinite(seconds) and seconds > 0):
        return ""
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _plain(value: object) -> str:
    """Write a value of a configuration: words as they are, structures as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(_json(value), ensure_ascii=False, default=str)


def _cell_json(cell: Cell) -> Any:
    if isinstance(cell, Measured):
        return {"value": _json(cell.value), "error": _json(cell.error), "text": cell_text(cell)}
    return _json(cell)


def _part_json(part: Panel | Picture) -> dict[str, Any]:
    if isinstance(part, Picture):
        return {"title": part.title, "picture": list(part.values.shape)}
    return {
        "title": part.title,
        "x": part.x_label,
        "y": part.y_label,
        "x_scale": part.x_scale,
        "y_scale": part.y_scale,
        "marks": _json(part.marks),
        "categories": _json(part.categories),
        "curves": [_curve_json(c) for c in part.curves],
    }


def _curve_json(curve: Curve) -> dict[str, Any]:
    values = {"x": _json(curve.x), "y": _json(curve.y), "error": None if curve.error is None else _json(curve.error)}
    limits = {} if curve.limits is None else {"limits": _json(curve.limits)}
    return {"label": curve.label, "style": curve.style, "group": curve.group, **values, **limits}


def _json(value: Any) -> Any:
    """Turn numpy values, tuples and mappings into JSON's own; what is not finite becomes null."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _json(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        return _json(value.tolist())
    if isinstance(value, (list, tuple, range)):
        return [_json(v) for v in value]
    return str(value)


def _embedded(payload: object) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
