"""Averages over the orientations of clusters: exact in expectation, the same bytes everywhere, refused elsewhere."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.cluster_averages import AVERAGES, PHASE_UNIT
from pyqmc_art.lattice.kernels import compiled
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.lattice.observables import OBSERVABLES, find
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
)


def measured(kernel: Any, replicas: int = 2, steps: int = 4) -> dict[str, Any]:
    state = kernel.init(kernel.start(STREAM.fold("start"), replicas))
    _, series, _ = kernel.advance(STREAM, state, steps, 2, find(["energy", *NAMES]))
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
        found = AVERAGES[name].from_clusters(action, second, fourth, modes)
        np.testing.assert_allclose(found, exact, rtol=1e-12)


@pytest.mark.parametrize("J", [1.0, -1.0])
@pytest.mark.parametrize("lattice", LATTICES, ids=lambda lattice: f"{lattice.kind}-{lattice.shape}")
def test_from_exact_starts_the_means_are_those_of_the_enumeration(lattice: Any, J: float) -> None:
    action = qa.Ising(lattice, 0.35, J=J)
    fields = np.array(list(itertools.product((-1, 1), repeat=lattice.sites)), np.int8).reshape(-1, *lattice.shape)
    weights = np.exp(-action(fields))
    weights /= weights.sum()
    m = fields.reshape(len(fields), -1).mean(axis=1)
    chance = STREAM.uniform("user", np.arange(20_000), 1)[0]
    starts = fields[np.searchsorted(np.cumsum(weights), chance).clip(max=len(fields) - 1)]
    kernel = SwendsenWang(action, threads=1)
    _, series, _ = kernel.advance(STREAM, kernel.init(starts), 1, 1, find(NAMES))
    modes = OBSERVABLES["kmin2"](action, fields)
    for name, values in (("magnetization2", m**2), ("magnetization4", m**4), ("kmin2", modes)):
        found = series[f"improved_{name}"][0]
        error = found.std() / np.sqrt(len(found))
        assert abs(found.mean() - weights @ values) < 4.5 * error + 1e-12
        assert found.std() < np.sqrt(weights @ values**2 - (weights @ values) ** 2)


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


def test_plain_python_measures_the_same() -> None:
    action = qa.Ising(qa.Lattice((4, 5)), 0.4, J=-1.0)
    one = measured(SwendsenWang(action, backend="python", threads=1))
    assert all(measured(SwendsenWang(action, backend=name, threads=1)) == one for name in list_available()[:2])


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("metropolis", qa.Ising(qa.Lattice((4, 4)), 0.4)),
        ("wolff", qa.Ising(qa.Lattice((4, 4)), 0.4)),
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
    assert {name: run.series[name].shape for name in NAMES} == dict.fromkeys(NAMES, (3, 3))
    np.testing.assert_allclose(
        run.series["improved_susceptibility"], 36 * run.series["improved_magnetization2"], rtol=1e-12
    )
