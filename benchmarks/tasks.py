"""Statistics of pictures and of series: ours and the library's, under one interface, judged by the definition."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art import neighbours, residuals
from pyqmc_art.stats.autocorrelation import autocovariance

Numbers = NDArray[Any]
Compute = Callable[[Numbers], Numbers]
NEIGHBOURS: Final = 3


@dataclass(frozen=True, eq=False)
class Task:
    """Something computed by several contenders.

    Parameters
    ----------
    name : row of the table
    draw : makes what it is computed from
    size : units of work
    unit : of work
    define : by the definition; None where that takes too long, then ours
    tolerance : largest deviation, in units of the largest expected number
    contenders : column -> function; ours first
    """

    name: str
    draw: Callable[[], Numbers]
    size: int
    unit: str
    define: Compute | None
    tolerance: float
    contenders: Mapping[str, Compute]


def list_tasks() -> list[Task]:
    """Every statistic at the sizes of its use."""
    return [*_list_radii(), *_list_filters(), *_list_spectra(), *_list_triples(), *_list_autocovariances()]


def _draw(*shape: int) -> NDArray[np.float64]:
    return np.random.Generator(np.random.Philox(2024)).normal(size=shape)


def _radii_by_scikit_learn(x: Numbers) -> Numbers:
    found = importlib.import_module("sklearn.neighbors").NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute")
    distances: Numbers = found.fit(x).kneighbors()[0][:, -1]
    return distances


def _radii_by_tree(x: Numbers) -> Numbers:
    tree = importlib.import_module("scipy.spatial").cKDTree(x)
    distances: Numbers = tree.query(x, [NEIGHBOURS + 1])[0][:, 0]
    return distances


def _radii_by_differences(x: Numbers) -> Numbers:
    apart = importlib.import_module("scipy.spatial.distance").cdist(x, x)
    return np.asarray(np.partition(apart, NEIGHBOURS, axis=1)[:, NEIGHBOURS])


def _features(n: int, dtype: str) -> Numbers:
    return np.abs(_draw(n, 1280)).astype(dtype)


def _list_radii() -> list[Task]:
    tasks = []
    for n, dtype in [(50, "f4"), (500, "f4"), (500, "f8"), (2000, "f4"), (2000, "f8"), (5000, "f4")]:
        by: dict[str, Compute] = {
            "pyqmc_art": lambda x: neighbours.neighbour_radii(x, NEIGHBOURS),
            "scikit-learn": _radii_by_scikit_learn,
        }
        if n <= 500:
            by |= {"scipy cKDTree": _radii_by_tree, "scipy cdist": _radii_by_differences}
        name = f"3rd neighbours of {n} works, 1280 features of {dtype[1]} bytes"
        define = _radii_by_differences if n <= 500 else None
        tasks.append(Task(name, partial(_features, n, dtype), n * n, "pair", define, 1e-6, by))
    return tasks


def _patch() -> NDArray[np.float32]:
    return np.clip(128 + 40 * _draw(224, 224), 0, 255).astype(np.float32)


def _in_double(compute: Compute, values: Numbers) -> Numbers:
    return compute(values.astype(np.float64))


def _list_filters() -> list[Task]:
    filters = {
        "square 3 x 3": residuals.curve_both,
        "square 3 x 3 and 5 x 5": lambda v: residuals.curve_wider(residuals.curve_both(v)),
        "high pass": residuals.sharpen,
    }
    tasks = []
    for name, ours in filters.items():
        spike = np.zeros((9, 9), np.float32)
        spike[4, 4] = 1
        matrix = ours(spike)
        matrix = matrix[np.ix_(*(np.flatnonzero(matrix.any(axis=k)) for k in (1, 0)))]

        def theirs(v: Numbers, matrix: Numbers = matrix) -> Numbers:
            margin = len(matrix) // 2
            done = importlib.import_module("scipy.ndimage").convolve(v, matrix)
            return np.asarray(done[margin:-margin, margin:-margin])

        by = {"pyqmc_art": ours, "scipy.ndimage": theirs}
        define = partial(_in_double, theirs)
        tasks.append(Task(f"{name} of 224 x 224", _patch, 224**2, "pixel", define, 1e-5, by))
    return tasks


def _power_by(library: str, values: Numbers) -> Numbers:
    spectrum = importlib.import_module(library).rfft2(values)
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _profile_by_scipy(power: Numbers) -> Numbers:
    size, bins = len(power), residuals.RADIAL_BINS
    ring = residuals._rings(size, bins)[0].reshape(power.shape)
    means = importlib.import_module("scipy.ndimage").mean(_whole(power), _whole(ring), np.arange(bins))
    profile = np.log(np.asarray(means) + 1.0)
    return np.asarray(profile - profile.mean())


def _list_spectra() -> list[Task]:
    by: dict[str, Compute] = {
        f"{name} (in use)" if name == "scipy" else name: partial(_power_by, f"{name}.fft")
        for name in ("scipy", "numpy")
    }
    define = partial(_in_double, partial(_power_by, "numpy.fft"))
    task = Task("power spectrum of 224 x 224", _patch, 224**2, "pixel", define, 1e-5, by)
    by = {
        "pyqmc_art": lambda p: residuals.radial_profile(p, len(p), residuals.RADIAL_BINS),
        "scipy.ndimage": _profile_by_scipy,
    }
    define = partial(_in_double, _profile_by_scipy)
    return [
        task,
        Task("radial profile of it", lambda: _power_by("scipy.fft", _patch()), 224**2, "pixel", define, 1e-5, by),
    ]


def _whole(half: Numbers) -> Numbers:
    """The full plane of a real transform from its half: the columns in between once more."""
    return np.concatenate([half, half[:, 1:-1]], axis=1)


def _triples_by_histogram(residual: Numbers) -> Numbers:
    q = np.clip(np.rint(residual), -2, 2)
    along = [np.stack([v[:, :-2], v[:, 1:-1], v[:, 2:]], axis=-1).reshape(-1, 3) for v in (q, q.T)]
    counts = np.histogramdd(np.concatenate(along), bins=5, range=[(-2.5, 2.5)] * 3)[0]
    classes, number = residuals._triple_classes()
    folded = np.bincount(classes, counts.ravel(), number)
    return np.asarray(np.sqrt(folded / folded.sum()))


def _list_triples() -> list[Task]:
    by: dict[str, Compute] = {
        "pyqmc_art": lambda v: residuals.triple_frequencies(v, 1.0),
        "numpy histogramdd": _triples_by_histogram,
    }
    return [
        Task(
            "triples of 222 x 222 residuals",
            lambda: residuals.curve_both(_patch()),
            222**2,
            "pixel",
            _triples_by_histogram,
            1e-6,
            by,
        )
    ]


def _autocovariance_by_scipy(deviations: Numbers) -> Numbers:
    correlate = importlib.import_module("scipy.signal").correlate
    length, replicas = deviations.shape
    lags = length // 2 + 1
    products = sum(correlate(d, d, method="fft")[length - 1 : length - 1 + lags] for d in deviations.T)
    return np.asarray(products / (replicas * (length - np.arange(lags))))


def _autocovariance_by_sums(deviations: Numbers) -> Numbers:
    length, replicas = deviations.shape
    lags = range(length // 2 + 1)
    return np.array([np.sum(deviations[: length - t] * deviations[t:]) / (replicas * (length - t)) for t in lags])


def _list_autocovariances() -> list[Task]:
    by: dict[str, Compute] = {"pyqmc_art": autocovariance, "scipy.signal": _autocovariance_by_scipy}
    tasks = []
    for n, replicas in [(1000, 4), (10_000, 4), (100_000, 4), (100_003, 1)]:
        define = _autocovariance_by_sums if n <= 10_000 else None
        name, draw = f"autocovariance of {replicas} x {n}", partial(_draw, n, replicas)
        tasks.append(Task(name, draw, n * replicas, "measurement", define, 1e-10, by))
    return tasks
