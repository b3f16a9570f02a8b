"""Figures of a record: what kernels cost by size, what effective samples cost, what patches cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.record import Measurement, Record
from pyqmc_art.protocols import Curve, Figure, Panel
from pyqmc_art.report.figures import draw_file

IMAGES: Final = Path(__file__).resolve().parents[1] / "docs" / "images"
OURS: Final = "pyqmc_art"
_SQUARE: Final = re.compile(r"ising\(beta=0\.440687\) square (\d+)x\1\b")


def list_figures(record: Record) -> tuple[Figure, ...]:
    """Figures that the record has something for."""
    found = (_draw_kernels(record.measurements), _draw_effective(record.measurements), _draw_patches(record))
    return tuple(figure for figure in found if figure.panels)


def path_of(record: str, figure: str) -> Path:
    """File of a figure of a record."""
    return IMAGES / f"benchmarks-{record}-{figure}.png"


def draw_all(name: str, record: Record) -> None:
    """Draw the figures of a record, and remove those it no longer has."""
    wanted = {path_of(name, figure.name): figure for figure in list_figures(record)}
    for old in set(IMAGES.glob(path_of(name, "*").name)) - set(wanted):
        old.unlink()
    for path, figure in wanted.items():
        draw_file(figure, path, dpi=110)


def size_of(case: str) -> int | None:
    """L of the critical Ising model on an L x L square, None for everything else."""
    found = _SQUARE.search(case)
    return int(found.group(1)) if found else None


def _by_size(rows: Iterable[Measurement], rate: bool = False, scale: float = 1.0) -> list[Curve]:
    points: dict[str, dict[int, tuple[float, float, float]]] = {}
    for row in rows:
        size = size_of(row.case)
        if size is None or not row.median or not row.minimum or not row.maximum:
            continue
        values = (row.median, row.minimum, row.maximum)
        shown = [1 / v if rate else v * scale for v in values]
        points.setdefault(row.contender, {})[size] = (shown[0], min(shown), max(shown))
    curves = []
    for name, at in points.items():
        sizes = sorted(at)
        middle, low, high = zip(*(at[size] for size in sizes), strict=True)
        curves += [_join(name, sizes, middle), Curve(name, sizes, middle, limits=(low, high), group=name)]
    return curves


def _join(name: str, x: Sequence[float], y: Sequence[float]) -> Curve:
    """The line that leads the eye from point to point."""
    return Curve("", x, y, style="line", group=name)


def _draw_kernels(rows: Sequence[Measurement]) -> Figure:
    panels = []
    for kernel, label in (
        ("metropolis", "updates per ns"), ("heat-bath", "updates per ns"),
        ("swendsen-wang", "ns per site"), ("wolff", "ns per flipped site"),
    ):  # fmt: skip
        more = (r for r in rows if r.section == "size" and r.case.startswith(f"{kernel} on "))
        curves = _by_size([*(r for r in rows if r.section == kernel), *more], rate=label == "updates per ns")
        if curves:
            panels.append(Panel(kernel, "L", label, tuple(curves), x_scale="log", y_scale="log"))
    return Figure("kernels", "", "", tuple(panels))


def _draw_effective(rows: Sequence[Measurement]) -> Figure:
    chains = [row for row in rows if row.section == "effective" and row.tau_int]
    if not chains:
        return Figure("effective", "", "", ())
    times: dict[str, list[tuple[int, float, float]]] = {}
    for row in chains:
        size = size_of(row.case)
        if size is not None and row.tau_int is not None:
            times.setdefault(row.contender, []).append((size, row.tau_int, row.tau_int_error or 0.0))
    curves = []
    for name, at in times.items():
        x, y, error = zip(*sorted(at), strict=True)
        curves += [_join(name, x, y), Curve(name, x, y, error, group=name)]
    cost = Panel(
        "cost",
        "L",
        "μs of a core per effective sample",
        tuple(_by_size(chains, scale=1e-3)),
        x_scale="log",
        y_scale="log",
    )
    tau = Panel("autocorrelation time", "L", "τ_int of m², in steps", tuple(curves), x_scale="log", y_scale="log")
    return Figure("effective", "", "", (cost, tau))


def _draw_patches(record: Record) -> Figure:
    rows = [row for row in record.measurements if row.section == "resampling" and row.median]
    if not rows:
        return Figure("patches", "", "", ())
    cases = list(dict.fromkeys(row.case for row in rows))
    pattern = r"^\d+ x \d+ (\w+)(?: of)?( \w+)? to .* of (\d+) x \d+$"
    short = tuple(re.sub(pattern, r"\1\2 \3", case) for case in cases)
    names = dict.fromkeys(row.contender for row in rows)
    cost = {(row.case, row.contender): row.median or 0.0 for row in rows}
    curves = tuple(
        Curve(
            name,
            [i for i, case in enumerate(cases) if (case, name) in cost],
            [cost[case, name] for case in cases if (case, name) in cost],
            style="bars",
        )
        for name in names
    )
    panel = Panel("", "pixels, and the side of the patches", "ns per pixel and level", curves, categories=short)
    return Figure("patches", "", "", (panel,))
