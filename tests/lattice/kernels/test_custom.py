"""Kernels and observables of one's own: sampled, stored, resumed and composed like any other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice import run as run_module
from pyqmc_art.protocols import State
from pyqmc_art.store.checkpoint import read_checkpoint, state_path
from pyqmc_art.store.ensemble import open_ensemble

ISING = qa.Ising(qa.Lattice((4, 6)), beta=0.4, h=0.1)


@pytest.fixture
def metropolis():
    return qa.Metropolis(ISING)


@pytest.fixture(
    params=[("metropolis", {}), ("constrained", {}), ("tempering", {"ladder": (0.2, 0.4)}), ("wolff+heat-bath", {})],
    ids=lambda param: param[0],
)
def kernel(request):
    name, options = request.param
    return qa.build(name, ISING, options)


@pytest.fixture
def small_blocks(monkeypatch):
    """Let a run into a file store a block after every step."""
    monkeypatch.setattr(run_module, "BLOCK_SECONDS", 1e-12)
    monkeypatch.setattr(run_module, "MAX_BLOCK_SECONDS", 1e-12)


def same(one, other):
    """Compare two ensembles byte for byte: series and fields."""
    assert set(one.series) == set(other.series)
    for name in one.series:
        assert one.series[name].shape == other.series[name].shape
        assert one.series[name].tobytes() == other.series[name].tobytes()
    assert (one.fields is None) == (other.fields is None)
    if one.fields is not None:
        assert one.fields.dtype == other.fields.dtype
        assert one.fields.shape == other.fields.shape
        assert one.fields[:].tobytes() == other.fields[:].tobytes()


class UpNeighbours:
    """Fraction of up spins, and of up spins in each row: an observable with a further axis."""

    name = "up_by_row"

    def __call__(self, action, field):
        return (field == 1).mean(axis=2)


@dataclasses.dataclass(frozen=True)
class Corner:
    name: str = "corner"

    def __call__(self, action, field):
        return field[:, 0, 0]


def test_observables_of_ones_own(tmp_path, kernel):
    if kernel.ladder or kernel.action is not ISING:
        observables = [Corner()] if not kernel.ladder else ["energy", Corner()]
    else:
        observables = ["magnetization", UpNeighbours(), Corner(), "energy"]
    options = {"warmup": 2, "replicas": 3, "measure": observables, "every": 2, "save_every": 2}
    path = tmp_path / "run.h5"
    qa.sample(kernel.action, kernel, steps=7, out=path, **options).close()
    resumed = qa.resume(path, steps=20, measure=observables)
    same(resumed, qa.sample(kernel.action, kernel, steps=20, **options))
    assert resumed.series["corner"][:].tobytes() == resumed.fields[:][..., 0, 0].astype(float).tobytes()
    assert all(name in resumed.summary() for name in resumed.series)


def test_an_observable_of_ones_own_must_be_given_again(tmp_path, metropolis):
    path = tmp_path / "run.h5"
    qa.sample(ISING, metropolis, steps=7, warmup=1, out=path, measure=["energy", Corner()]).close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="unknown observable 'corner'"):
        qa.resume(path, steps=9)
    for others in (["energy"], [Corner(), "energy"], ["energy", Corner("corner2")]):
        with pytest.raises(InputError, match=r"measure is \['energy', 'corner'\] in the file"):
            qa.resume(path, steps=9, measure=others)
    assert path.read_bytes() == before


class Glauber(qa.CustomKernel):
    """Single spin updates in plain Python, as somebody might write them in a notebook."""

    name = "glauber"

    def step(self, stream, state):
        sites, replicas = self.action.lattice.sites, np.arange(len(state.field))
        where = stream.at(state.step).integers("user", np.arange(1), len(replicas), draw=0)[:, 0] % np.uint64(sites)
        accept = stream.at(state.step).uniform("user", np.arange(1), len(replicas), draw=1)[:, 0]
        flipped = state.field.copy().reshape(len(replicas), sites)
        flipped[replicas, where] *= -1
        flipped = flipped.reshape(state.field.shape)
        change = accept < 1 / (1 + np.exp(self.action(flipped) - self.action(state.field)))
        state.field[change] = flipped[change]
        state.step += 1
        return state, {"acceptance": float(change.mean())}


class Replacing(Glauber):
    """The same in the style of functions: nothing is changed in place, and something is remembered."""

    name = "replacing"

    def init(self, field):
        return dataclasses.replace(super().init(field), extra={"count": np.zeros(len(field), np.int64)})

    def step(self, stream, state):
        new, info = super().step(stream, State(state.field.copy(), state.step))
        return State(new.field, new.step, {"count": state.extra["count"] + 1}), info


@pytest.mark.parametrize("kind", [Glauber, Replacing])
def test_a_kernel_of_ones_own(tmp_path, kind, small_blocks):
    own = kind(ISING)
    options = {"warmup": 3, "replicas": 2, "every": 3, "save_every": 3, "seed": 8}
    path = tmp_path / "run.h5"
    qa.sample(ISING, own, steps=10, out=path, **options).close()
    with pytest.raises(InputError, match=rf"not built in \({kind.name}\); give it: resume\(..., kernel=...\)"):
        qa.resume(path, steps=50)
    resumed = qa.resume(path, steps=50, kernel=own, threads=2)
    same(resumed, qa.sample(ISING, own, steps=50, **options))
    same(resumed, qa.sample(ISING, Glauber(ISING), steps=50, **options))
    state = read_checkpoint(state_path(path))[0]
    if kind is Replacing:
        assert state.arrays["count"].tolist() == [53, 53]
    assert 0 < state.facts["acceptance"] < 1


def test_a_kernel_of_ones_own_in_a_composition(tmp_path):
    mixed = qa.Composition([(1, qa.HeatBath(ISING)), (2, Glauber(ISING))])
    assert mixed.name == "heat-bath+2*glauber"
    options = {"warmup": 2, "replicas": 2, "save_every": 1}
    qa.sample(ISING, mixed, steps=5, out=tmp_path / "run.h5", **options).close()
    same(qa.resume(tmp_path / "run.h5", steps=12, kernel=mixed), qa.sample(ISING, mixed, steps=12, **options))
    with pytest.raises(InputError, match="cannot be the inner kernel"):
        qa.Tempering(ISING, (0.2, 0.4), Glauber(ISING))


def test_a_kernel_of_ones_own_is_exact():
    """Mean magnetization of one spin in a field on a lattice so small that the answer is a sum over all states."""
    lattice = qa.Lattice((2, 2), boundary="open")
    action = qa.Ising(lattice, beta=0.3, h=0.5)
    states = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T.reshape(-1, 2, 2).astype(np.int8)
    weight = np.exp(-action(states))
    exact = (weight * states.mean(axis=(1, 2))).sum() / weight.sum()
    run = qa.sample(action, Glauber(action), steps=400, warmup=50, replicas=200, measure="magnetization")
    means = run.series["magnetization"].mean(axis=0)
    assert abs(means.mean() - exact) < 4 * means.std(ddof=1) / np.sqrt(len(means))


class LosesCount(Glauber):
    def step(self, stream, state):
        return State(state.field, state.step), {}


class ChangesType(Glauber):
    def step(self, stream, state):
        return State(state.field * 1.0, state.step + 1), {}


class ChangesShape(Glauber):
    def step(self, stream, state):
        return State(state.field[:1], state.step + 1), {}


@pytest.mark.parametrize(
    ("kind", "message"),
    [(LosesCount, "each step must return"), (ChangesType, "must keep both"), (ChangesShape, "must keep both")],
)
def test_a_faulty_kernel_is_told_so(tmp_path, kind, message):
    for warmup in (0, 3):
        with pytest.raises(InputError, match=message):
            qa.sample(ISING, kind(ISING), steps=5, warmup=warmup, replicas=2, out=tmp_path / "run.h5", force=True)


def of(values):
    return type("Own", (), {"name": "own", "__call__": lambda self, action, field: values(field)})()


@pytest.mark.parametrize(
    "values",
    [
        lambda field: 1.0,
        lambda field: [1.0] * len(field),
        lambda field: field.mean(),
        lambda field: field.mean(axis=0),
        lambda field: np.array(["a"] * len(field)),
        lambda field: field.mean(axis=(1, 2)) * 1j,
    ],
)
def test_a_faulty_observable_is_told_so(tmp_path, metropolis, values):
    with pytest.raises(InputError, match=r"the observable 'own' gave .* expected an array of real numbers"):
        qa.sample(ISING, metropolis, steps=5, warmup=1, replicas=3, measure=[of(values)], out=tmp_path / "run.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_measurement_that_is_not_finite_stops_the_run(tmp_path, metropolis, small_blocks):
    class Cracks:
        name = "cracks"
        calls = 0

        def __call__(self, action, field):
            self.calls += 1
            return np.where(np.arange(len(field)) == 1, np.nan if self.calls > 9 else 1.0, 1.0)

    path = tmp_path / "run.h5"
    with pytest.raises(NumericalError, match=r"cracks is nan at measurement 8, replica 1"):
        qa.sample(ISING, metropolis, steps=50, warmup=2, replicas=2, measure=["energy", Cracks()], out=path)
    with open_ensemble(path) as run:
        assert run.measurements == 8
        assert np.isfinite(run.series["cracks"]).all()
    with pytest.raises(NumericalError):
        qa.sample(ISING, metropolis, steps=50, warmup=2, replicas=2, measure=[Cracks()])
