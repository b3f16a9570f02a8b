"""Can a sum of sigmoids turn noise into any density? Steps placed by hand, and flows of one variable trained."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Cell, Curve, Figure, Findings, Monitor, Panel, Table
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

QUESTION: Final = "Does a sum of sigmoids with positive weights turn noise into any density of one variable?"

_DRAWS: Final = 20_000
_GRID: Final = 241
_WAYS: Final = ("steps placed at the quantiles", "trained", "trained from the placed steps")
_CAPTION: Final = (
    "KL(q || p) with its error from independent draws. Placed steps are not trained: n of them leave out about 1/n of "
    "the target. A trained flow that starts from nothing may lose a peak, and the divergence it minimises hardly tells "
    "it so; one that starts from the placed steps has seen all peaks."
)

Found = dict[tuple[str, str, str, int], Estimate]


@dataclass(frozen=True)
class UniversalApproximation:
    """Divergence of flows of one variable from three densities, by their number of sigmoids.

    Parameters
    ----------
    nodes
        Numbers of sigmoids.
    noises
        normal, uniform.
    training
        Steps of each training.
    """

    nodes: tuple[int, ...] = (2, 4, 8, 16, 32)
    noises: tuple[str, ...] = ("normal", "uniform")
    training: int = 300

    name: ClassVar[str] = "universal-approximation"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {"nodes": (2, 4, 8, 16, 32, 64, 128), "training": 2000},
    }

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if len(set(self.nodes)) < 2 or min(self.nodes) < 1:
            raise InputError(f"nodes is {self.nodes}; expected at least two different numbers of sigmoids")
        if not self.noises or not set(self.noises) <= {"normal", "uniform"}:
            raise InputError(f"noises is {self.noises}; expected normal, uniform or both")
        if self.training < 1:
            raise InputError(f"training is {self.training}; expected at least one step")

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Place, train, and measure the divergence of every flow."""
        from pyqmc_art.learning.threads import limit_torch
        from pyqmc_art.proposals.densities import DENSITIES

        begun = time.perf_counter()
        nodes = sorted(set(self.nodes))
        found: Found = {}
        shapes: dict[tuple[str, str], Any] = {}
        monitor.start(self.name, len(DENSITIES) * len(self.noises) * len(nodes))
        try:
            with limit_torch(1):
                for density in DENSITIES:
                    for noise in self.noises:
                        for n in nodes:
                            own = stream.fold(f"{density.name} {noise}", n)
                            kept = self._compare(density, noise, n, own, found)
                            shapes[density.name, noise] = (density, *kept)
                            monitor.advance(1, density=density.name, nodes=str(n))
        finally:
            monitor.finish()
        return Findings(
            study=self.name,
            question=QUESTION,
            answer=_answer(found, nodes),
            tables=(_table(found, nodes),),
            figures=(_divergences(found, nodes), _densities(shapes, nodes[-1])),
            configuration=dataclasses.asdict(self),
            seconds=time.perf_counter() - begun,
        )

    def _compare(self, density: Any, noise: str, n: int, stream: Stream, found: Found) -> tuple[Any, Any]:
        from pyqmc_art.proposals.densities import measure_divergence, train_density
        from pyqmc_art.proposals.monotone import MonotoneFlow1D

        placed = MonotoneFlow1D.from_quantiles(density.quantile, n, noise)
        fresh = MonotoneFlow1D(n, noise)
        warm = MonotoneFlow1D.from_quantiles(density.quantile, n, noise)
        for flow in (fresh, warm):
            train_density(flow, density, self.training, stream.fold("train"))
        for way, flow in zip(_WAYS, (placed, fresh, warm), strict=True):
            found[density.name, noise, way, n] = measure_divergence(flow, density, _DRAWS, stream.fold(way))
        return placed, warm


def _groups(found: Found) -> list[tuple[str, str]]:
    return list(dict.fromkeys((density, noise) for density, noise, _, _ in found))


def _answer(found: Found, nodes: list[int]) -> str:
    groups = _groups(found)
    closer = sum(found[d, s, _WAYS[0], nodes[-1]].value < found[d, s, _WAYS[0], nodes[0]].value for d, s in groups)
    best = max((found[d, s, _WAYS[2], nodes[-1]] for d, s in groups), key=lambda e: e.value)
    lost = [f"{d} from {s} noise" for d, s in groups if found[d, s, _WAYS[1], nodes[-1]].value > 0.2]
    return (
        f"Steps alone come closer with their number in {closer} of {len(groups)} cases. With {nodes[-1]} sigmoids, "
        f"placed and then trained, the largest divergence is {best}. Trained from nothing with as many, "
        f"{', '.join(lost) or 'none'} stays above 0.2."
    )


def _table(found: Found, nodes: list[int]) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (d, s, n, *(found[d, s, way, n] for way in _WAYS)) for d, s in _groups(found) for n in nodes
    )
    columns = ("density", "noise", "sigmoids", *_WAYS)
    return Table("divergence", "Divergence from the target", columns, rows, _CAPTION)


def _divergences(found: Found, nodes: list[int]) -> Figure:
    panels = []
    for density, noise in _groups(found):
        curves = []
        for way in _WAYS:
            values = [found[density, noise, way, n] for n in nodes]
            # On a logarithmic scale only what is above zero has a place.
            kept = [(n, e) for n, e in zip(nodes, values, strict=True) if e.value > 0]
            x, y, error = [n for n, _ in kept], [e.value for _, e in kept], [e.error for _, e in kept]
            curves.append(Curve(way, x, y, error))
        title = f"{density}, {noise} noise"
        panels.append(Panel(title, "sigmoids", "KL(q || p)", tuple(curves), x_scale="log", y_scale="log"))
    return Figure("divergences", "More sigmoids come closer", _CAPTION, tuple(panels))


def _densities(shapes: dict[tuple[str, str], Any], nodes: int) -> Figure:
    from pyqmc_art.proposals.densities import tabulate_density

    panels = []
    for (name, noise), (density, placed, warm) in shapes.items():
        low, high = density.quantile(np.array([1e-3, 1 - 1e-3])).tolist()
        margin = 0.1 * (high - low)
        grid = np.linspace(low - margin, high + margin, _GRID)
        x = grid.tolist()
        curves = (
            Curve("target", x, density(grid).tolist(), style="line"),
            Curve(_WAYS[0], x, tabulate_density(placed, grid).tolist(), style="line"),
            Curve(_WAYS[2], x, tabulate_density(warm, grid).tolist(), style="dashed"),
        )
        panels.append(Panel(f"{name}, {noise} noise", "y", "density", curves))
    caption = f"Densities of flows of {nodes} sigmoids. Each placed step is one narrow peak; training joins them."
    return Figure("densities", "What comes out of the noise", caption, tuple(panels))
