"""The figure of one run: what was measured over time, how long it remembers, and how it is distributed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Curve, Figure, Panel
from pyqmc_art.stats.autocorrelation import MINIMUM_MEASUREMENTS, autocorrelation_function, gamma_method
from pyqmc_art.store.ensemble import Ensemble

MOST_OBSERVABLES = 3
MOST_REPLICAS = 4
MOST_POINTS = 300
"""Points of a drawn curve; a longer history is drawn by the means of equal stretches."""

MOST_BINS = 40

Floats = NDArray[np.float64]


def describe_run(ensemble: Ensemble) -> Figure:
    """Describe the first observables of a run: history, autocorrelation function and histogram of each.

    Parameters
    ----------
    ensemble : what :func:`pyqmc_art.lattice.chain.sample` or :func:`pyqmc_art.store.ensemble.open_ensemble` returns

    Returns
    -------
    Figure with three panels for each of up to three observables (two for one that does not vary)

    Raises
    ------
    InputError
        If the run has too few measurements.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=(500, 2))
    >>> run = Ensemble.in_memory({"every": 1}, {}, {"energy": noise})
    >>> [panel.title for panel in describe_run(run).panels]
    ['energy: history', 'energy: autocorrelation', 'energy: histogram']
    """
    if ensemble.measurements < MINIMUM_MEASUREMENTS or not len(ensemble.series):
        raise InputError(
            f"the run has {ensemble.measurements} measurements of {len(ensemble.series)} observables; a picture needs at "
            f"least {MINIMUM_MEASUREMENTS} of one: run longer"
        )
    chosen = list(ensemble.components())[:MOST_OBSERVABLES]
    panels: list[Panel] = []
    for name, series in chosen:
        panels.append(_history(name, series, ensemble.every))
        if np.ptp(series) > 0:
            panels += [_autocorrelation(name, series, ensemble.every), _histogram(name, series)]
    title = " ".join(str(ensemble.configuration[key]) for key in ("action", "kernel") if key in ensemble.configuration)
    return Figure(
        "run",
        f"{title or 'run'}: {ensemble.measurements} measurements × {ensemble.replicas} replicas",
        "History: see that no replica drifts and all wander about one mean (band: value and error by the Gamma method). "
        "Autocorrelation: see it fall to zero before the window W, where the sum of τ is cut. Histogram: all replicas together.",
        tuple(panels),
    )


def _history(name: str, series: Floats, every: int) -> Panel:
    mean = gamma_method(series, every=every)
    stretch = max(1, -(-len(series) // MOST_POINTS))
    count = len(series) // stretch
    steps = (np.arange(count) + 0.5) * stretch * every
    curves = []
    for r in range(min(series.shape[1], MOST_REPLICAS)):
        means = series[: count * stretch, r].reshape(count, stretch).mean(axis=1)
        curves.append(Curve(f"replica {r}", steps.tolist(), means.tolist(), style="line"))
    ends = [0.0, float(len(series) * every)]
    curves.append(Curve(f"{mean}", ends, [mean.value] * 2, [mean.error] * 2, style="band"))
    label = name if stretch == 1 else f"{name}, means of {stretch}"
    return Panel(f"{name}: history", "step", label, tuple(curves))


def _autocorrelation(name: str, series: Floats, every: int) -> Panel:
    mean = gamma_method(series, every=every)
    window = mean.window or 0
    function = autocorrelation_function(series, every=every, maximum=max(2 * window, 4))
    thin = max(1, -(-len(function.lag) // 60))
    lag, rho, error = (one[::thin].tolist() for one in function)
    curves = (
        Curve("ρ(t)", lag, rho, error, group="rho"),
        Curve("", [lag[0], lag[-1]], [0.0, 0.0], style="dashed", group="zero"),
    )
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
    return Panel(f"{name}: histogram", name, "share", (Curve("", values.tolist(), share.tolist(), style="bars"),))
