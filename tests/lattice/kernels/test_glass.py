"""Spin glasses: exact starts stay exact, planted bugs are seen, the same bytes everywhere, runs with files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

import pyqmc_art as qa
from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.glass import UNITS, draw_couplings
from pyqmc_art.lattice.kernels.glass import GlassHeatBath, tabulate_digits
from pyqmc_art.lattice.observables import find
from pyqmc_art.ops.glass import GlassTables
from pyqmc_art.ops.inventory import take

HeatBath: Any = qa.HeatBath  # what it makes depends on the action
Metropolis: Any = qa.Metropolis
BACKENDS = [name for name in list_available() if name != "cuda"]
ALPHA = 1e-5
STREAM = qa.Stream.from_seed(11)
REPLICAS = 100_000

TINY = qa.Lattice((2, 4))
GLASSES = {
    "bimodal": qa.SpinGlass(TINY, beta=0.7, disorder_seed=3),
    "gaussian": qa.SpinGlass(TINY, beta=0.6, disorder="gaussian", disorder_seed=1),
    "gaussian cube": qa.SpinGlass(qa.Lattice((2, 2, 2)), beta=0.3, disorder="gaussian", disorder_seed=2),
    "bimodal cube": qa.SpinGlass(qa.Lattice((2, 2, 2)), beta=0.4, disorder_seed=5),
    "open": qa.SpinGlass(qa.Lattice((3, 3), boundary="open"), beta=0.9, disorder="gaussian"),
}
OTHERS = {
    "chain": qa.SpinGlass(qa.Lattice((10,)), beta=1.1, disorder="gaussian", disorder_seed=8),
    "triangular": qa.SpinGlass(qa.Lattice((3, 6), kind="triangular"), beta=0.4, disorder_seed=8),
    "honeycomb": qa.SpinGlass(qa.Lattice((4, 4), kind="honeycomb"), beta=0.4, disorder="gaussian"),
    "mixed": qa.SpinGlass(qa.Lattice((5, 4), boundary=("open", "periodic")), beta=0.6),
}


def list_states(action: qa.SpinGlass) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Every configuration of one copy, shape (2^V, V), and its probability."""
    sites = action.lattice.sites
    states = (2 * (np.arange(2**sites)[:, None] >> np.arange(sites) & 1) - 1).astype(np.int8)
    both = np.stack([states, states], axis=2).reshape(len(states), *action.lattice.shape, 2)
    weight = np.exp(-action(both) / 2)
    return states, weight / weight.sum()


def states_of(action: qa.SpinGlass, field: NDArray[np.int8]) -> NDArray[np.int64]:
    """Number of the configuration of each copy, shape (replicas, 2)."""
    flat = field.reshape(len(field), action.lattice.sites, 2) > 0
    return np.asarray(np.tensordot(flat, 2 ** np.arange(action.lattice.sites), axes=(1, 0)), np.int64)


def judge(action: qa.SpinGlass, kernel: GlassHeatBath, steps: int = 6) -> tuple[float, float]:
    """P-values that copies drawn exactly are still distributed exactly, and that two copies are independent."""
    states, p = list_states(action)
    drawn = np.random.default_rng(4).choice(len(p), (REPLICAS, 2), p=p)
    field = np.stack([states[drawn[:, 0]], states[drawn[:, 1]]], axis=2).reshape(REPLICAS, *action.lattice.shape, 2)
    state, _, _ = kernel.advance(STREAM, kernel.init(field), steps)
    found = states_of(action, state.field)
    overlap = np.bincount((action.sums(state.field)[1] + action.lattice.sites) // 2, minlength=action.lattice.sites + 1)
    return (
        chi_square(np.bincount(found.ravel(), minlength=len(p)), 2 * REPLICAS * p),
        chi_square(overlap, REPLICAS * chances_of_overlaps(states, p)),
    )


def chances_of_overlaps(states: NDArray[np.int8], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each overlap, from -V in steps of two, of two independent copies."""
    overlap = (states.astype(np.int64) @ states.T.astype(np.int64) + states.shape[1]) // 2
    return np.asarray(np.bincount(overlap.ravel(), np.outer(p, p).ravel()), np.float64)


def chi_square(found: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    """P-value of counts, where the rarest states count as one."""
    order = np.argsort(expected)
    rare = order[np.cumsum(expected[order]) < 20]
    label = np.arange(len(expected))
    label[rare] = order[len(rare)]
    kept = np.unique(label)
    return float(chisquare(np.bincount(label, found)[kept], np.bincount(label, expected)[kept]).pvalue)


@pytest.mark.parametrize("name", GLASSES)
def test_equilibrium_stays(name: str) -> None:
    assert min(judge(GLASSES[name], GlassHeatBath(GLASSES[name]))) > ALPHA


def plant(name: str, change: Callable[[GlassTables], GlassTables]) -> tuple[float, float]:
    kernel = GlassHeatBath(GLASSES[name])
    kernel._tables = change(kernel._tables)
    return judge(GLASSES[name], kernel)


def turned(tables: GlassTables) -> GlassTables:
    """One coupling of one site with the wrong sign: where its neighbour differs, the entries change places."""
    table = tables.table.copy()
    row = tables.row[3]
    table[:, row] = table[:, row, np.arange(table.shape[2]) ^ 1]
    return dataclasses.replace(tables, **tabulate_digits(table))


def against(tables: GlassTables) -> GlassTables:
    """One site that goes against its first neighbour."""
    negative = tables.negative.copy()
    negative[3, 0] = ~negative[3, 0]
    return dataclasses.replace(tables, negative=negative)


def biased(tables: GlassTables) -> GlassTables:
    """The seventh digit of every threshold is lost in the comparison of all copies."""
    return dataclasses.replace(tables, **tabulate_digits(tables.table & ~np.uint64(1 << 56)))


def stale(tables: GlassTables) -> GlassTables:
    """A site that looks at another one than its neighbour."""
    neighbours = tables.neighbours.copy()
    neighbours[2, 0] = 2
    return dataclasses.replace(tables, neighbours=neighbours)


def frozen(tables: GlassTables) -> GlassTables:
    """All sites of one colour use the thresholds of another site."""
    return dataclasses.replace(tables, row=np.roll(tables.row, 1))


@pytest.mark.parametrize("name", ["gaussian", "gaussian cube"])
@pytest.mark.parametrize("bug", [turned, against, biased, stale, frozen])
def test_planted_bugs_are_seen(bug: Callable[[GlassTables], GlassTables], name: str) -> None:
    assert plant(name, bug)[0] < ALPHA


def test_a_beta_that_is_off_is_seen() -> None:
    action = GLASSES["gaussian"]
    colder = dataclasses.replace(action, beta=1.02 * action.beta)
    assert judge(action, GlassHeatBath(colder))[0] < ALPHA


def test_copies_that_share_their_random_numbers_are_seen() -> None:
    action = GLASSES["bimodal"]
    states, p = list_states(action)
    drawn = np.random.default_rng(4).choice(len(p), REPLICAS, p=p)
    field = np.stack([states[drawn], states[drawn]], axis=2).reshape(REPLICAS, *TINY.shape, 2)
    overlap = np.bincount((action.sums(field)[1] + 8) // 2, minlength=9)
    assert chi_square(overlap, REPLICAS * chances_of_overlaps(states, p)) < ALPHA


def run(action: qa.SpinGlass, backend: str, threads: int = 1, replicas: int = 37, first: int = 0) -> bytes:
    kernel = HeatBath(action, backend=backend, threads=threads)
    kernel._worth_threads = lambda *_: True
    stream = STREAM.shifted(first)
    state = kernel.init(kernel.start(stream, replicas))
    state, series, info = kernel.advance(stream, state, 6, 2, find(["energy", "overlap", "overlap2"], action))
    assert 0 < info["changed"] < 1
    return bytes(state.field.tobytes()) + b"".join(np.ascontiguousarray(series[n]).tobytes() for n in sorted(series))


@pytest.mark.parametrize("name", [*GLASSES, *OTHERS])
def test_every_backend_writes_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    action = {**GLASSES, **OTHERS}[name]
    want = run(action, BACKENDS[-1], replicas=2)
    many: list[bytes] = []
    for backend in BACKENDS:
        assert run(action, backend, replicas=2) == want
    for isa in take().get("instruction_sets", []):
        monkeypatch.setenv("PYQMC_ISA", isa)
        assert run(action, "cpp", replicas=2) == want
        many.append(run(action, "cpp", replicas=300))
        assert run(action, "cpp", threads=3, replicas=300) == many[0] == many[-1]


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "python"])
def test_replicas_may_be_split(backend: str) -> None:
    action = GLASSES["gaussian"]
    kernel = HeatBath(action, backend=backend)
    whole, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 80)), 4)
    for first, count in ((0, 31), (31, 20), (51, 29)):
        stream = STREAM.shifted(first)
        part, _, _ = kernel.advance(stream, kernel.init(kernel.start(stream, count)), 4)
        np.testing.assert_array_equal(part.field, whole.field[first : first + count])


@pytest.mark.parametrize("name", [*GLASSES, *OTHERS])
def test_measured_sums_are_those_of_the_field(name: str) -> None:
    action = {**GLASSES, **OTHERS}[name]
    kernel = HeatBath(action)
    measured = find(["energy", "action", "overlap", "abs_overlap", "overlap4"], action)
    state, series, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 40)), 5, 5, measured)
    for o in measured:
        np.testing.assert_array_equal(series[o.name][0], o(action, state.field))
        np.testing.assert_array_equal(kernel.measure(state.field, measured)[o.name], o(action, state.field))


def test_a_cold_start_reaches_the_exact_energy() -> None:
    action = qa.SpinGlass(qa.Lattice((4, 4)), beta=0.5, disorder="gaussian", disorder_seed=4)
    states, p = list_states(action)
    both = np.stack([states, states], axis=2).reshape(len(states), 4, 4, 2)
    energy = find(["energy"], action)[0](action, both)
    exact, spread = float(p @ energy), float(np.sqrt(p @ energy**2 - (p @ energy) ** 2))
    kernel = HeatBath(action)
    state, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 4096, "cold")), 200)
    found = find(["energy"], action)[0](action, state.field)
    assert abs(found.mean() - exact) < 4 * spread / np.sqrt(2 * 4096)


def test_couplings_are_drawn_from_their_seed() -> None:
    lattice = qa.Lattice((16, 16, 16))
    bimodal, gaussian = (draw_couplings(lattice, kind, 5) for kind in UNITS)
    assert set(np.unique(bimodal)) == {-1, 1}
    assert abs(bimodal.mean()) < 5 / np.sqrt(bimodal.size)
    assert abs(np.mean((gaussian / 256) ** 2) - 1) < 5 * np.sqrt(2 / gaussian.size)
    assert not np.array_equal(bimodal, draw_couplings(lattice, "bimodal", 6))
    rim = draw_couplings(qa.Lattice((3, 3), boundary="open"), "bimodal", 5)
    assert np.count_nonzero(rim) == 12


def test_runs_have_files_and_resume(tmp_path: Path) -> None:
    action = GLASSES["gaussian"]
    options: dict[str, Any] = {"warmup": 5, "replicas": 2, "measure": ("energy", "overlap2"), "save_every": 10}
    whole = qa.sample(action, HeatBath(action), steps=40, **options)
    qa.sample(action, HeatBath(action), steps=20, out=tmp_path / "run.h5", **options).close()
    qa.resume(tmp_path / "run.h5", steps=40).close()
    with qa.open_ensemble(tmp_path / "run.h5") as run_again:
        np.testing.assert_array_equal(run_again.series["overlap2"][:], whole.series["overlap2"][:])
        assert run_again.fields is not None
        assert run_again.fields.shape == (4, 2, 2, 4, 2)


def test_tempering_is_exact() -> None:
    """Exact starts on every rung; the states of the coldest one after steps with exchanges."""
    action = GLASSES["bimodal"]
    ladder = (0.3, action.beta)
    kernel = qa.Tempering(action, ladder, HeatBath(action))
    rng = np.random.default_rng(9)
    rungs = []
    for beta in ladder:
        states, p = list_states(dataclasses.replace(action, beta=beta))
        pick = rng.choice(len(p), (REPLICAS // 10, 2), p=p)
        rungs.append(np.stack([states[pick[:, 0]], states[pick[:, 1]]], axis=2).reshape(-1, *TINY.shape, 2))
    state = kernel.init(np.stack(rungs, axis=1))
    swaps = 0.0
    for _ in range(4):
        state, info = kernel.step(STREAM, state)
        swaps += info["swaps"]
    assert swaps > 0
    found = np.bincount(states_of(action, np.ascontiguousarray(state.field[:, 1])).ravel(), minlength=len(p))
    assert chi_square(found, found.sum() * p) > ALPHA


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"beta": -1.0}, "beta >= 0"),
        ({"beta": 1.0, "disorder": "gausian"}, "gaussian"),
        ({"beta": 1.0, "disorder_seed": -3}, "disorder_seed"),
        ({"beta": 1e308}, "overflows"),
    ],
)
def test_bad_input_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        qa.SpinGlass(TINY, **given)  # type: ignore[arg-type]


def test_what_a_glass_is_not_defined_for_is_refused() -> None:
    with pytest.raises(InputError, match="at most 6"):
        HeatBath(qa.SpinGlass(qa.Lattice((2, 2, 2, 2)), beta=1.0))
    with pytest.raises(InputError, match="metropolis"):
        Metropolis(GLASSES["bimodal"])
    with pytest.raises(InputError, match="not defined"):
        find(["magnetization"], GLASSES["bimodal"])
