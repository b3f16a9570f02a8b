"""Averages over the orientations of clusters: exact in expectation, the same bytes everywhere, refused elsewhere."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.cluster_averages import AVERAGES, PHASE_UNIT, ClusterSums
from pyqmc_art.lattice.kernels import compiled
from pyqmc_art.lattice.kernels.cluster import SwendsenWang, Wolff
from pyqmc_art.lattice.observables import OBSERVABLES, find
from pyqmc_art.ops import plain_cluster
from pyqmc_art.rng import Stream

NAMES = tuple(AVERAGES)
STREAM = Stream.from_seed(23)
LATTICES = (
    qa.Lattice((3, 3)),
    qa.Lattice((2, 4), boundary="open"),
    qa.Lattice((3, 3), kind="triangular"),
    qa.Lattice((2, 2, 2)),
)
WIDE = (
    qa.Ising(qa.Lattice((40, 130)), 0.44),
    qa.Ising(qa.Lattice((33, 65), kind="triangular", boundary="open"), 0.3, J=-1.0),
    qa.Ising(qa.Lattice((6, 10, 50)), 0.22),
    qa.Ising(qa.Lattice((40, 130)), 0.44, J=-1.0),
    qa.Ising(qa.Lattice((2000, 3)), 0.6),
    qa.Ising(qa.Lattice((10, 67)), 0.5, J=-1.0),
    qa.Ising(qa.Lattice((8, 96)), 2.0),
)


def measured(kernel: Any, replicas: int = 2, steps: int = 4) -> dict[str, Any]:
    state = kernel.init(kernel.start(STREAM.fold("start"), replicas))
    _, series, _ = kernel.advance(STREAM, state, steps, 2, find(["energy", *NAMES]))
    assert series["improved_correlation"].shape[2] == kernel.action.lattice.shape[-1] // 2 + 1
    return {name: values.tobytes() for name, values in series.items()}


def test_the_formulas_average_over_all_orientations() -> None:
    action = qa.Ising(qa.Lattice((4, 5)), 0.4)
    clusters, waves = np.array([9, -4, 3, 2, -1, 1]), np.exp(2j * np.array([1, 2, 4, 8, 16, 3])) * PHASE_UNIT
    orientations = np.array(list(itertools.product((-1, 1), repeat=len(clusters))))
    totals, mixed = orientations @ clusters / 20, np.abs(orientations @ waves / PHASE_UNIT / 20) ** 2
    second, fourth, modes = (
        np.array((np.abs(c) ** p).sum()) for c, p in ((clusters, 2.0), (clusters, 4.0), (waves, 2.0))
    )
    for name, exact in (
        ("improved_magnetization2", (totals**2).mean()),
        ("improved_magnetization4", (totals**4).mean()),
        ("improved_susceptibility", 20 * (totals**2).mean()),
        ("improved_kmin2", mixed.mean() / 2),
    ):
        found = AVERAGES[name].from_clusters(action, ClusterSums(second, fourth, modes))
        np.testing.assert_allclose(found, exact, rtol=1e-12)


@functools.cache
def exact_draws(lattice: Any, J: float) -> tuple[Any, Any, Any, Any]:
    """An action, all its configurations, their weights, and exact draws from them."""
    action = qa.Ising(lattice, 0.35, J=J)
    fields = np.array(list(itertools.product((-1, 1), repeat=lattice.sites)), np.int8).reshape(-1, *lattice.shape)
    weights = np.exp(-action(fields))
    weights /= weights.sum()
    chance = STREAM.uniform("user", np.arange(20_000), 1)[0]
    return action, fields, weights, fields[np.searchsorted(np.cumsum(weights), chance).clip(max=len(fields) - 1)]


def judge(kernel: Any, name: str, lattice: Any, J: float) -> tuple[Any, Any, Any]:
    """Deviations from the enumeration in standard errors, and the spreads of improved and plain values."""
    action, fields, weights, starts = exact_draws(lattice, J)
    values = OBSERVABLES[name](action, fields)
    _, series, _ = kernel.advance(STREAM, kernel.init(starts), 1, 1, find([f"improved_{name}"]))
    found = series[f"improved_{name}"][0]
    exact = weights @ values
    spread = found.std(axis=0)
    error = spread / np.sqrt(len(found))
    plain = np.sqrt(np.maximum(weights @ values**2 - exact**2, 0))
    return abs(found.mean(axis=0) - exact) / (error + 1e-12), spread, plain


@pytest.mark.parametrize("J", [1.0, -1.0])
@pytest.mark.parametrize("lattice", LATTICES, ids=lambda lattice: f"{lattice.kind}-{lattice.shape}")
def test_from_exact_starts_the_means_are_those_of_the_enumeration(lattice: Any, J: float) -> None:
    kernel = SwendsenWang(exact_draws(lattice, J)[0], threads=1)
    for name in ("magnetization2", "magnetization4", "kmin2", "correlation"):
        deviation, improved, plain = judge(kernel, name, lattice, J)
        assert np.all(deviation < 4.5)
        assert np.all(improved <= plain + 1e-12)


@pytest.mark.parametrize("J", [1.0, -1.0])
@pytest.mark.parametrize("clusters", [1, 3])
@pytest.mark.parametrize("lattice", LATTICES, ids=lambda lattice: f"{lattice.kind}-{lattice.shape}")
def test_single_clusters_have_the_means_of_the_enumeration(lattice: Any, clusters: int, J: float) -> None:
    kernel = Wolff(exact_draws(lattice, J)[0], clusters, threads=1)
    assert judge(kernel, "magnetization2", lattice, J)[0] < 4.5


def spoil_clusters(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let the plain loops do something wrong with the sums over the clusters of a field."""
    honest = plain_cluster.add_cluster_moments

    def spoiled(moment: Any, modes: Any, sums: Any) -> None:
        change(moment, modes)
        honest(moment, modes, sums)

    monkeypatch.setattr(plain_cluster, "add_cluster_moments", spoiled)


def count_twice(moment: Any, modes: Any) -> None:
    """The last site that is a cluster of its own is counted a second time, in the place of no cluster."""
    alone, free = np.flatnonzero(np.abs(moment) == 1), np.flatnonzero(moment == 0)
    if len(alone) and len(free):
        moment[free[-1]], modes[free[-1]] = moment[alone[-1]], modes[alone[-1]]


class Stale:
    """The sums of the first cluster were not cleared after the field before."""

    def __init__(self) -> None:
        self.moment, self.modes = 0, 0.0

    def __call__(self, moment: Any, modes: Any) -> None:
        now = int(moment[0]), modes[0].copy()
        moment[0] += self.moment
        modes[0] += np.int64(self.modes)
        self.moment, self.modes = now


@pytest.mark.parametrize("change", [count_twice, Stale(), None], ids=["counted twice", "stale", "honest"])
def test_planted_bugs_are_caught(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lattice = LATTICES[1]
    action, _, _, starts = exact_draws(lattice, 1.0)
    if change is not None:
        spoil_clusters(monkeypatch, change)
    kernel = SwendsenWang(action, backend="python")
    worst = 0.0
    for name in ("magnetization2", "kmin2"):
        values = OBSERVABLES[name](action, exact_draws(lattice, 1.0)[1])
        exact = exact_draws(lattice, 1.0)[2] @ values
        _, series, _ = kernel.advance(STREAM, kernel.init(starts[:1000]), 1, 1, find([f"improved_{name}"]))
        found = series[f"improved_{name}"][0]
        worst = max(worst, abs(found.mean() - exact) / (found.std() / np.sqrt(len(found))))
    assert (worst > 4.5) == (change is not None)


@pytest.mark.parametrize("J", [1.0, -1.0])
def test_on_one_chain_both_estimators_agree_and_the_improved_one_is_quieter(J: float) -> None:
    action = qa.Ising(qa.Lattice((16, 16)), 0.42, J=J)
    kernel = SwendsenWang(action, threads=1)
    state = kernel.init(kernel.start(STREAM, 40))
    kernel.advance(STREAM, state, 50)
    plain = ["magnetization2", "magnetization4", "kmin2"]
    _, series, _ = kernel.advance(STREAM, state, 200, 1, find([*plain, *(f"improved_{name}" for name in plain)]))
    for name in plain:
        one, other = series[name], series[f"improved_{name}"]
        # The improved value is the mean of the plain one over the orientations, so the difference of chains is noise.
        difference = (one - other).mean(axis=0)
        assert abs(difference.mean()) < 4.5 * difference.std(ddof=1) / np.sqrt(len(difference))
        assert other.std() < one.std()


@pytest.mark.parametrize("action", WIDE, ids=lambda action: f"{action.lattice.kind}-{action.lattice.shape}")
def test_every_backend_instruction_set_and_thread_count_measures_the_same(
    action: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "WORTH_A_THREAD", 1)
    fast = [name for name in list_available() if name in ("cpp", "numba")]
    reference = measured(SwendsenWang(action, backend=fast[0], threads=1), replicas=1)
    for backend in fast:
        for threads in (1, 2, 3):
            assert measured(SwendsenWang(action, backend=backend, threads=threads), replicas=1) == reference
    if "cpp" in fast:
        from pyqmc_art import _core

        for isa in _core.available_isas():
            monkeypatch.setenv("PYQMC_ISA", isa)
            assert measured(SwendsenWang(action, backend="cpp", threads=2), replicas=1) == reference


def test_fourth_powers_of_large_clusters_round_alike() -> None:
    # Three domains that begin in one block of sites, each too large for whole numbers.
    action = qa.Ising(qa.Lattice((110, 300), boundary="open"), 3.0)
    field = np.ones((1, 110, 300), np.int8)
    field[:, :, 97:202] = -1
    found = []
    for backend in (name for name in list_available() if name in ("cpp", "numba")):
        for threads in (1, 2):
            kernel = SwendsenWang(action, backend=backend, threads=threads)
            _, series, _ = kernel.advance(STREAM, kernel.init(field), 3, 1, find(["improved_magnetization4"]))
            found.append(series["improved_magnetization4"].tobytes())
    assert found == found[:1] * len(found)


def test_single_clusters_are_the_same_from_every_backend() -> None:
    for J in (1.0, -1.0):
        action = qa.Ising(qa.Lattice((6, 7)), 0.4, J=J)
        names = ("energy", "improved_magnetization2", "improved_susceptibility")
        kernels = [Wolff(action, 3, backend=name, threads=t) for name in list_available() for t in (1, 2)]
        rows = [
            k.advance(STREAM, k.init(k.start(STREAM, 3)), 6, 2, find(names))[1] for k in kernels if k.backend != "cuda"
        ]
        assert all(
            {n: v.tobytes() for n, v in row.items()} == {n: v.tobytes() for n, v in rows[0].items()} for row in rows
        )


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_plain_python_measures_the_same(boundary: Any) -> None:
    action = qa.Ising(qa.Lattice((4, 5), boundary=boundary), 0.4, J=-1.0)
    one = measured(SwendsenWang(action, backend="python", threads=1))
    assert all(measured(SwendsenWang(action, backend=name, threads=1)) == one for name in list_available()[:2])


def lose_the_end(spins: Any, parent: Any, wraps: bool, width: int, lines: int, step: int, counts: Any) -> None:
    """Pairs are counted as if the boundary were open."""
    plain_cluster_pairs(spins, parent, False, width, lines, step, counts)


def forget_orientations(spins: Any, parent: Any, wraps: bool, width: int, lines: int, step: int, counts: Any) -> None:
    """Both spins of a pair count as equal."""
    plain_cluster_pairs(np.abs(spins), parent, wraps, width, lines, step, counts)


plain_cluster_pairs = plain_cluster.add_line_pairs


@pytest.mark.parametrize("fault", [lose_the_end, forget_orientations, None])
def test_planted_faults_of_pairs_are_caught(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lattice, J = LATTICES[0], -1.0
    action, fields, weights, starts = exact_draws(lattice, J)
    if fault is not None:
        monkeypatch.setattr(plain_cluster, "add_line_pairs", fault)
    kernel = SwendsenWang(action, backend="python")
    _, series, _ = kernel.advance(STREAM, kernel.init(starts[:1500]), 1, 1, find(["improved_correlation"]))
    found = series["improved_correlation"][0]
    gap = abs(found.mean(axis=0) - weights @ OBSERVABLES["correlation"](action, fields))
    assert np.any(gap > 4.5 * (found.std(axis=0) / np.sqrt(len(found)) + 1e-12)) == (fault is not None)


def test_long_distances_are_quieter_than_in_the_field() -> None:
    action = qa.Ising(qa.Lattice((64, 64)), 0.35)
    kernel = SwendsenWang(action, threads=1)
    state = kernel.init(kernel.start(STREAM, 8))
    kernel.advance(STREAM, state, 50)
    _, series, _ = kernel.advance(STREAM, state, 300, 1, find(["correlation", "improved_correlation"]))
    plain, improved = (series[name].mean(axis=0) for name in ("correlation", "improved_correlation"))
    difference = (plain - improved).mean(axis=0)
    assert np.all(abs(difference) < 4.5 * (plain - improved).std(axis=0, ddof=1) / np.sqrt(8) + 1e-12)
    assert series["improved_correlation"][..., 32].std() < series["correlation"][..., 32].std() / 2


def test_the_sums_of_fields_do_not_depend_on_who_else_is_measured() -> None:
    action = qa.Ising(qa.Lattice((10, 12)), 0.4)
    wanted = (["energy"], ["improved_kmin2", "energy"], ["improved_correlation", "energy"])
    energies = []
    for names in wanted:
        kernel = SwendsenWang(action)
        _, series, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 2)), 5, 1, find(names))
        energies.append(series["energy"].tobytes())
    assert energies == energies[:1] * 3


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("metropolis", qa.Ising(qa.Lattice((4, 4)), 0.4)),
        ("wolff", qa.Ising(qa.Lattice((4, 4)), 0.4)),
        ("wolff", qa.Ising(qa.Lattice((4, 4)), 0.4, h=-0.1)),
        ("wolff", qa.Potts(qa.Lattice((4, 4)), 3, 0.4)),
        ("heat-bath+swendsen-wang", qa.Ising(qa.Lattice((4, 4)), 0.4)),
        ("swendsen-wang", qa.Ising(qa.Lattice((4, 4)), 0.4, h=0.1)),
        ("swendsen-wang", qa.Potts(qa.Lattice((4, 4)), 3, 0.4)),
    ],
)
def test_nobody_else_measures_them(name: str, action: Any) -> None:
    with pytest.raises(InputError, match="swendsen-wang measures it, for Ising spins without a field"):
        qa.sample(action, qa.build(name, action), steps=4, seed=1, measure=NAMES)


def test_a_run_measures_them_by_name() -> None:
    action = qa.Ising(qa.Lattice((6, 6)), 0.4)
    run = qa.sample(action, SwendsenWang(action), steps=6, every=2, replicas=3, seed=1, measure=("energy", *NAMES))
    shapes = {**dict.fromkeys(NAMES, (3, 3)), "improved_correlation": (3, 3, 4)}
    assert {name: run.series[name].shape for name in NAMES} == shapes
    np.testing.assert_allclose(
        run.series["improved_susceptibility"], 36 * run.series["improved_magnetization2"], rtol=1e-12
    )
