"""The figure of one run: what was measured over time, how long it remembers, and how it is distributed."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Curve, Figure, Panel
from pyqmc_art.stats.autocorrelation import MINIMUM_MEASUREMENTS, autocorrelation_function, gamma_method
from pyqmc_art.store.ensemble import Ensemble

MOST_OBSERVABLES: Final = 3
MOST_REPLICAS: Final = 2
"""Histories in one panel; more of them hide each other."""

MOST_POINTS: Final = 150
"""Points of a drawn history; a longer one is drawn by the means of equal stretches."""

MOST_BINS: Final = 40

PARTS: Final = 8
"""Parts whose means are compared, at least: the replicas, or the stretches of few replicas."""

Floats = NDArray[np.float64]


def describe_run(ensemble: Ensemble) -> Figure:
    """Describe the first observables of a run: history, autocorrelation function and histogram of each.

    Parameters
    ----------
    ensemble : what :func:`pyqmc_art.lattice.chain.sample` or :func:`pyqmc_art.store.ensemble.open_ensemble` returns

    Returns
    -------
    Figure with four panels for each of up to three observables (history only for one that does not vary)

    Raises
    ------
    InputError
        If the run has too few measurements.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=(500, 2))
    >>> run = Ensemble.in_memory({"every": 1}, {}, {"energy": noise})
    >>> for panel in describe_run(run).panels:
    ...     print(panel.title)
    energy: history
    energy: autocorrelation
    energy: histogram
    energy: means of parts
    """
    if ensemble.measurements < MINIMUM_MEASUREMENTS or not len(ensemble.series):
        raise InputError(
            f"the run has {ensemble.measurements} measurements of {len(ensemble.series)} observables; a picture "
            f"needs at least {MINIMUM_MEASUREMENTS} of one: run longer"
        )
    chosen = list(ensemble.components())[:MOST_OBSERVABLES]
    panels: list[Panel] = []
    for name, series in chosen:
        panels.append(_history(name, series, ensemble.every))
        if np.ptp(series) > 0:
            panels += [
                _autocorrelation(name, series, ensemble.every),
                _histogram(name, series),
                _parts(name, series, ensemble.every),
            ]
    title = " ".join(str(ensemble.configuration[key]) for key in ("action", "kernel") if key in ensemble.configuration)
    return Figure(
        "run",
        f"{title or 'run'}: {ensemble.measurements} measurements × {ensemble.replicas} replicas",
        "History: no replica should drift. Autocorrelation: it should have fallen to zero at the window W, where "
        "the sum of τ is cut. Histogram: all replicas together. Means of parts: two thirds of the bars should "
        "touch the band, which is the overall value with its error by the Gamma method.",
        tuple(panels),
    )


def _history(name: str, series: Floats, every: int) -> Panel:
    stretch = max(1, -(-len(series) // MOST_POINTS))
    count = len(series) // stretch
    steps = (np.arange(count) + 0.5) * stretch * every
    curves = []
    for r in range(min(series.shape[1], MOST_REPLICAS)):
        means = series[: count * stretch, r].reshape(count, stretch).mean(axis=1)
        curves.append(Curve(f"replica {r}", steps.tolist(), means.tolist(), style="line"))
    label = name if stretch == 1 else f"{name}, means of {stretch}"
    return Panel(f"{name}: history", "step", label, tuple(curves))


def _autocorrelation(name: str, series: Floats, every: int) -> Panel:
    mean = gamma_method(series, every=every)
    window = mean.window or 0
    function = autocorrelation_function(series, every=every, maximum=max(2 * window, 4))
    thin = max(1, -(-len(function.lag) // 60))
    lag, rho, error = (one[::thin].tolist() for one in function)
    curves = (Curve("", lag, rho, error, group="replica 0"),)
    return Panel(
        f"{name}: autocorrelation",
        "lag in steps",
        "ρ",
        curves,
        marks=((float(window * every), f"W, τ = {_tau(mean.tau_int, mean.tau_int_error)}"),),
    )


def _tau(tau: float | None, error: float | None) -> str:
    return "?" if tau is None else f"{tau:.3g} ± {error or 0.0:.1g}"


def _histogram(name: str, series: Floats) -> Panel:
    values, counts = np.unique(series, return_counts=True)
    if len(values) > MOST_BINS:
        # Energies are discrete: edges between two values, so that no bin is empty only for its place.
        counts, edges = np.histogram(series, MOST_BINS)
        values = (edges[1:] + edges[:-1]) / 2
    share = counts / series.size
    return Panel(
        f"{name}: histogram",
        name,
        "share",
        (Curve("", values.tolist(), share.tolist(), style="bars", group="replica 0"),),
    )


def _parts(name: str, series: Floats, every: int) -> Panel:
    """Means of the replicas, or of stretches where there are few, beside the overall mean."""
    mean = gamma_method(series, every=every)
    stretches = max(1, min(-(-PARTS // series.shape[1]), len(series) // MINIMUM_MEASUREMENTS))
    parts = [part for replica in series.T for part in np.array_split(replica, stretches)]
    # Each part is as long as the others, so its error is the overall one times the root of their number.
    error = mean.error * len(parts) ** 0.5
    places = [float(k) for k in range(1, len(parts) + 1)]
    curves = (
        Curve("", [0.5, len(parts) + 0.5], [mean.value] * 2, [mean.error] * 2, style="band", group="mean"),
        Curve("", places, [float(part.mean()) for part in parts], [error] * len(parts), group="replica 0"),
    )
    what = "replica" if stretches == 1 else "part"
    return Panel(f"{name}: means of {what}s", what, f"{name} = {mean}", curves)
