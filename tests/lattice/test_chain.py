"""The sampling loop: what it gives depends on the seed and the step, never on how a run is cut, stored or resumed."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.errors import InputError, Interrupted, NumericalError, StoreError
from pyqmc_art.lattice import run as run_module
from pyqmc_art.lattice.blocks import Pace
from pyqmc_art.lattice.chain import check_asked_for, rebuild_kernel
from pyqmc_art.lattice.observables import OBSERVABLES, evaluate, find
from pyqmc_art.protocols import State
from pyqmc_art.rng import STREAM_VERSION, Stream
from pyqmc_art.store.checkpoint import read_checkpoint, state_path
from pyqmc_art.store.ensemble import EnsembleWriter, open_ensemble

TORUS = qa.Lattice((4, 6))
ISING = qa.Ising(TORUS, beta=0.4, h=0.1)
POTTS = qa.Potts(qa.Lattice((3, 4), boundary="open"), q=3, beta=0.9)

FAMILIES = {
    "metropolis": (ISING, {}),
    "heat-bath": (POTTS, {}),
    "swendsen-wang": (ISING, {}),
    "wolff": (POTTS, {"clusters": 2}),
    "constrained": (ISING, {"magnetization": 0.5, "exchange": "mixed"}),
    "tempering": (ISING, {"ladder": (0.2, 0.3, 0.45), "inner": "heat-bath"}),
    "metropolis+2*wolff": (POTTS, {}),
    "tempering over parts": (POTTS, {"ladder": (0.5, 0.7), "inner": "heat-bath+swendsen-wang"}),
}


@pytest.fixture(params=FAMILIES)
def kernel(request):
    action, options = FAMILIES[request.param]
    return qa.build(request.param.split(" ")[0], action, options)


@pytest.fixture
def metropolis():
    return qa.Metropolis(ISING)


@pytest.fixture
def small_blocks(monkeypatch):
    """Let a run into a file store a block after every step."""
    monkeypatch.setattr(run_module, "BLOCK_SECONDS", 1e-12)
    monkeypatch.setattr(run_module, "MAX_BLOCK_SECONDS", 1e-12)


def begin(kernel, replicas=2, seed=5):
    stream = Stream.from_seed(seed)
    return stream, kernel.init(kernel.start(stream.fold("start"), replicas))


def collect(blocks):
    """Everything the blocks yielded: series, fields, steps."""
    series, fields, steps = {}, [], []
    for block in blocks:
        steps.append(block.step)
        for name, values in block.series.items():
            series.setdefault(name, []).append(values)
        fields += [] if block.fields is None else [block.fields]
    joined = {name: np.concatenate(parts) for name, parts in series.items()}
    return joined, np.concatenate(fields) if fields else None, steps


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


MEASURE = ("energy", "magnetization", "kmin2")


@pytest.mark.parametrize(("every", "save_every"), [(1, 1), (3, 6), (2, None)])
def test_the_pace_of_the_blocks_does_not_matter(kernel, every, save_every):
    results = []
    for seconds in (1e-12, 1e-4, 10.0):
        stream, state = begin(kernel)
        options = {"warmup": 5, "every": every, "save_every": save_every, "observables": find(MEASURE)}
        blocks = qa.chain(kernel, stream, state, 31, pace=Pace(seconds), **options)
        results.append((*collect(blocks), state.field.copy(), state.step))
    for series, fields, steps, last, step in results:
        assert step == 36 == steps[-1] + 5
        assert last.tobytes() == results[0][3].tobytes()
        for name in MEASURE:
            assert len(series[name]) == 31 // every
            assert series[name].tobytes() == results[0][0][name].tobytes()
        assert (fields is None) == (save_every is None)
        if save_every:
            assert len(fields) == 31 // save_every
            assert fields.tobytes() == results[0][1].tobytes()
    assert results[0][2] == [*range(-4, 32)], "the slowest pace has blocks of one step"
    assert len(results[2][2]) < 10


@pytest.mark.parametrize("cuts", [(1,), (4, 7, 8), (20, 21, 22, 23), (2, 30)])
def test_a_chain_may_be_stopped_and_taken_up_anywhere(kernel, cuts):
    options = {"warmup": 5, "every": 3, "save_every": 6, "observables": find(MEASURE)}
    stream, state = begin(kernel)
    whole, fields, _ = collect(qa.chain(kernel, stream, state, 31, **options))
    stream, again = begin(kernel)
    parts = []
    for total in (*cuts, 31):
        parts += list(qa.chain(kernel, stream, again, total, **options))
        again = State(again.field.copy(), again.step, {k: v.copy() for k, v in again.extra.items()})
    series, saved, _ = collect(parts)
    assert saved.tobytes() == fields.tobytes()
    assert again.field.tobytes() == state.field.tobytes()
    for name in MEASURE:
        assert series[name].tobytes() == whole[name].tobytes()


@pytest.mark.parametrize(
    ("every", "save_every", "first"), [(1, 1, 20), (2, 6, 17), (3, 3, 1), (3, 12, 20), (5, None, 3)]
)
def test_twice_as_many_steps_are_as_many_resumed(tmp_path, kernel, every, save_every, first):
    options = {"warmup": 4, "replicas": 2, "seed": 11, "every": every, "measure": MEASURE, "save_every": save_every}
    path, total = tmp_path / "run.h5", 41
    qa.sample(kernel.action, kernel, steps=first, out=path, **options).close()
    resumed = qa.resume(path, steps=total)
    in_memory = qa.sample(kernel.action, kernel, steps=total, **options)
    in_file = qa.sample(kernel.action, kernel, steps=total, out=tmp_path / "whole.h5", **options)
    same(resumed, in_memory)
    same(in_file, in_memory)
    assert resumed.measurements == total // every
    one, other = (read_checkpoint(state_path(tmp_path / name))[0] for name in ("run.h5", "whole.h5"))
    assert one.step == other.step == total + 4
    assert {name: a.tobytes() for name, a in one.arrays.items()} == {
        name: a.tobytes() for name, a in other.arrays.items()
    }
    assert resumed.configuration == in_file.configuration == in_memory.configuration


def test_resuming_often_is_resuming_once(tmp_path, metropolis):
    path = tmp_path / "run.h5"
    options = {"warmup": 3, "every": 2, "save_every": 4, "seed": 2}
    qa.sample(ISING, metropolis, steps=1, out=path, **options).close()
    for total in (2, 3, 3, 8, 21, 40):
        qa.resume(path, steps=total).close()
    same(open_ensemble(path), qa.sample(ISING, metropolis, steps=40, **options))


class StopAt:
    """A monitor at which somebody loses patience."""

    def __init__(self, step):
        self.step = step
        self.done = 0

    def start(self, label, total, done=0):
        self.done = done

    def advance(self, n, **facts):
        self.done += n
        if self.done >= self.step:
            raise KeyboardInterrupt

    def finish(self):
        self.step = np.inf


@pytest.mark.parametrize("stop", [1, 2, 6, 7, 8, 20])
def test_a_stopped_run_is_resumed_even_from_its_warmup(tmp_path, kernel, small_blocks, stop):
    path = tmp_path / "run.h5"
    options = {"steps": 20, "warmup": 6, "every": 3, "save_every": 3, "replicas": 2}
    with pytest.raises(Interrupted, match="sample --resume"):
        qa.sample(kernel.action, kernel, out=path, monitor=StopAt(stop), **options)
    assert read_checkpoint(state_path(path))[0].step == stop - 1, "every block but the one that was under way is kept"
    with open_ensemble(path) as left:
        assert left.measurements == max(0, stop - 1 - 6) // 3
    same(qa.resume(path), qa.sample(kernel.action, kernel, **options))


def test_measurements_are_the_observables_of_the_saved_fields(kernel):
    run = qa.sample(kernel.action, kernel, steps=24, warmup=3, replicas=2, measure=list(OBSERVABLES), save_every=1)
    again = qa.sample(kernel.action, kernel, steps=24, warmup=3, replicas=2, measure=list(OBSERVABLES), every=3)
    for name, observable in OBSERVABLES.items():
        evaluated = np.stack([evaluate(observable, kernel.targets, field) for field in run.fields[:]])
        assert run.series[name].tobytes() == evaluated.tobytes()
        assert again.series[name].tobytes() == run.series[name][2::3].tobytes()
    kernel.action.space.check(run.fields[:].reshape(-1, *kernel.action.lattice.shape), kernel.action.lattice.shape)


def test_replicas_do_not_know_of_each_other(kernel):
    whole = qa.sample(kernel.action, kernel, steps=15, warmup=2, replicas=4, seed=3, save_every=1)
    stream = Stream.from_seed(3)
    for first, count in ((0, 2), (2, 2), (3, 1)):
        shifted = stream.shifted(first)
        state = kernel.init(kernel.start(shifted.fold("start"), count))
        series, fields, _ = collect(
            qa.chain(kernel, shifted, state, 15, warmup=2, save_every=1, observables=find(["energy"]))
        )
        assert fields.tobytes() == whole.fields[:, first : first + count].tobytes()
        assert series["energy"].tobytes() == whole.series["energy"][:, first : first + count].tobytes()
    assert whole.fields[-1, 0].tobytes() != whole.fields[-1, 1].tobytes()


def test_another_seed_is_another_run(kernel):
    one, other = (qa.sample(kernel.action, kernel, steps=20, warmup=2, seed=seed) for seed in (0, 2**63 - 1))
    assert one.series["energy"].tobytes() != other.series["energy"].tobytes()


def test_a_start_is_hot_or_cold(kernel):
    hot, cold = (
        qa.sample(kernel.action, kernel, steps=1, warmup=0, start=how, seed=4, save_every=1) for how in ("hot", "cold")
    )
    assert hot.fields[0].tobytes() != cold.fields[0].tobytes()


def test_a_file_says_what_was_asked_for(tmp_path):
    action, options = FAMILIES["tempering"]
    kernel = qa.build("tempering", action, options)
    run = qa.sample(action, kernel, steps=10, warmup=2, out=tmp_path / "run.h5", seed=9, measure="energy")
    expected = {"action": "ising", "shape": [4, 6], "beta": 0.4, "J": 1.0, "h": 0.1, "kernel": "tempering"}
    expected |= {"ladder": [0.2, 0.3, 0.45], "inner": "heat-bath", "steps": 10, "warmup": 2, "every": 1, "seed": 9}
    expected |= {"replicas": 1, "start": "hot", "measure": ["energy"], "lattice": "square", "boundary": "periodic"}
    assert expected.items() <= run.configuration.items()
    assert run.attributes["stream_version"] == STREAM_VERSION
    assert {"version", "commit", "backend", "machine", "seed"} <= run.attributes.keys()
    assert run.series["energy"].shape == (10, 1, 3)
    rebuilt = rebuild_kernel(run.configuration)
    assert rebuilt.configuration() == kernel.configuration()
    assert rebuilt.action == action


def test_numpy_integers_are_integers(tmp_path, metropolis):
    counts = {"steps": np.int64(8), "warmup": np.int32(2), "every": np.int64(2), "replicas": np.uint8(2)}
    run = qa.sample(ISING, metropolis, out=tmp_path / "run.h5", seed=np.int64(3), save_every=np.int64(4), **counts)
    json.dumps(run.configuration)
    same(run, qa.sample(ISING, metropolis, steps=8, warmup=2, every=2, replicas=2, seed=3, save_every=4))


def test_no_steps_and_no_observables_are_no_error(tmp_path, metropolis):
    run = qa.sample(ISING, metropolis, steps=0, warmup=3, out=tmp_path / "run.h5")
    assert run.series["energy"].shape == (0, 1)
    same(qa.resume(tmp_path / "run.h5", steps=9), qa.sample(ISING, metropolis, steps=9, warmup=3))
    run = qa.sample(ISING, metropolis, steps=6, warmup=3, measure=(), save_every=2, out=tmp_path / "fields.h5")
    assert dict(run.series) == {}
    assert run.fields.shape == (3, 1, 4, 6)


def test_facts_are_averages_over_all_steps(metropolis, small_blocks):
    one = qa.sample(ISING, metropolis, steps=30, warmup=0, save_every=1)
    other = qa.sample(ISING, metropolis, steps=30, warmup=0)
    stream, state = begin(metropolis, replicas=1, seed=0)
    _, _, info = metropolis.advance(stream, state, 30)
    assert one.facts["acceptance"] == pytest.approx(info["acceptance"], rel=1e-12)
    assert other.facts["acceptance"] == pytest.approx(info["acceptance"], rel=1e-12)
    assert other.facts["steps"] == 30


# --- observables and kernels of one's own


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


# --- arguments that cannot be used

WRONG = [
    ({"steps": -1}, "steps is -1; expected a whole number of at least 0"),
    ({"steps": 1.5}, "steps is 1.5"),
    ({"steps": True}, "steps is True"),
    ({"steps": None}, "steps is None"),
    ({"steps": 2**32}, "warmup \\+ steps is .* the random stream would repeat itself"),
    ({"warmup": -1}, "warmup is -1"),
    ({"warmup": "10"}, "warmup is '10'"),
    ({"replicas": 0}, "replicas is 0; expected a whole number of at least 1"),
    ({"replicas": 2**32 + 1}, "replicas is 4294967297; at most"),
    ({"every": 0}, "every is 0"),
    ({"every": 3, "save_every": 4}, "save-every is 4, which is no multiple of every"),
    ({"save_every": 0}, "save-every is 0"),
    ({"seed": -1}, "seed is -1"),
    ({"seed": 2**63}, "seed is"),
    ({"seed": 0.5}, "seed is 0.5"),
    ({"measure": ["enrgy"]}, "unknown observable 'enrgy'; did you mean 'energy'"),
    ({"measure": "enrgy"}, "unknown observable 'enrgy'"),
    ({"measure": ["energy", "energy"]}, "measure names energy twice"),
    ({"measure": [3]}, "measure holds 3"),
    ({"measure": [lambda action, field: field]}, "with a name"),
    ({"start": "warm"}, "start is 'warm'"),
    ({"threads": 0}, "threads is 0"),
    ({"threads": "2"}, "threads is '2'"),
    ({"threads": True}, "threads is True"),
    ({"out": "no/such/folder/run.h5"}, "is not an existing folder"),
    ({"out": "."}, "is not a file"),
    ({"out": ""}, "is not a file"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_arguments_that_cannot_be_used(tmp_path, monkeypatch, metropolis, given, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        qa.sample(ISING, metropolis, **({"steps": 5, "warmup": 1, "out": "run.h5"} | given))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kernel", ["metropolis", None, qa.Metropolis, ISING])
def test_what_is_no_kernel(kernel):
    with pytest.raises(InputError, match="expected a kernel such as"):
        qa.sample(ISING, kernel, steps=5)


def test_a_kernel_of_another_action(metropolis):
    with pytest.raises(InputError, match="was built for another action"):
        qa.sample(dataclasses.replace(ISING, beta=0.41), metropolis, steps=5)


@pytest.fixture
def stored(tmp_path, metropolis):
    path = tmp_path / "run.h5"
    qa.sample(ISING, metropolis, steps=10, warmup=2, every=3, out=path).close()
    return path


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 9}, "already stands at step 10, beyond a total of 9"),
        ({"steps": -1}, "steps is -1"),
        ({"steps": 2.0}, "steps is 2.0"),
        ({"steps": 2**32}, "the random stream would repeat itself"),
        ({"steps": 20, "threads": 0}, "threads is 0"),
        ({"steps": 20, "backend": "cdp"}, "unknown backend 'cdp'; did you mean 'cpp'"),
        ({"steps": 20, "kernel": qa.HeatBath(ISING)}, "kernel is 'metropolis' in the file, but 'heat-bath' was given"),
        (
            {"steps": 20, "kernel": qa.Metropolis(qa.Ising(TORUS, beta=0.41, h=0.1))},
            "beta is 0.4 in the file, but 0.41 was given",
        ),
        ({"steps": 20, "kernel": "metropolis"}, "expected a kernel such as"),
        ({"steps": 20, "measure": ["magnetization"]}, "measure is \\['energy'\\] in the file"),
    ],
)
def test_what_a_run_cannot_be_resumed_with(stored, contents, given, message):
    before = contents(stored.parent)
    with pytest.raises(InputError, match=message):
        qa.resume(stored, **given)
    assert contents(stored.parent) == before


def test_files_that_cannot_be_resumed(tmp_path, stored, contents):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        qa.resume(tmp_path / "other.h5")
    (tmp_path / "text.h5").write_text("nothing")
    with pytest.raises(InputError, match="is not an HDF5 file"):
        qa.resume(tmp_path / "text.h5")
    foreign = tmp_path / "foreign.h5"
    facts = {"stream_version": STREAM_VERSION}
    state = read_checkpoint(state_path(stored))[0]
    state = dataclasses.replace(state, measurements=0)
    EnsembleWriter.create(
        foreign, configuration={"every": 1}, provenance=facts, series={"energy": (1,)}, fields=None, state=state
    ).close()
    with pytest.raises(InputError, match="was not written by sample: its configuration lacks action, kernel"):
        qa.resume(foreign)
    state_path(stored).unlink()
    before = contents(tmp_path)
    with pytest.raises(StoreError, match=r"run\.h5\.state cannot be read"):
        qa.resume(stored, steps=20)
    assert contents(tmp_path) == before


def test_another_use_of_random_numbers_is_refused(stored, monkeypatch, contents):
    monkeypatch.setattr("pyqmc_art.store.configuration.STREAM_VERSION", STREAM_VERSION + 1)
    before = contents(stored.parent)
    with pytest.raises(InputError, match=f"stream version {STREAM_VERSION}"):
        qa.resume(stored, steps=20)
    assert contents(stored.parent) == before


def test_flags_that_mean_the_same_are_no_other_configuration(stored):
    configuration = open_ensemble(stored).configuration
    check_asked_for(configuration, {"lattice": "hypercubic", "boundary": ("periodic",), "beta": 0.4})
    check_asked_for(configuration, {"boundary": ("periodic", "periodic"), "shape": (4, 6), "measure": ("energy",)})
    with pytest.raises(InputError, match="boundary is 'periodic' in the file, but 'open' was given"):
        check_asked_for(configuration, {"boundary": ("open",)})
    with pytest.raises(InputError, match=r"h is 0\.1 in the file, but 0.0 was given"):
        check_asked_for(configuration, {"h": 0.0})
