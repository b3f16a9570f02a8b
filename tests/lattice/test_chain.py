"""The sampling loop: what it gives depends on the seed and the step, never on how a run is cut, stored or resumed."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.errors import Interrupted
from pyqmc_art.lattice import run as run_module
from pyqmc_art.lattice.blocks import Pace
from pyqmc_art.lattice.chain import rebuild_kernel
from pyqmc_art.lattice.observables import defined_for, evaluate, find
from pyqmc_art.protocols import State
from pyqmc_art.rng import KERNEL_STREAM_VERSIONS, Stream
from pyqmc_art.store.checkpoint import read_checkpoint, state_path
from pyqmc_art.store.ensemble import open_ensemble

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
    names = [o.name for o in defined_for(kernel.action.name)]
    run = qa.sample(kernel.action, kernel, steps=24, warmup=3, replicas=2, measure=names, save_every=1)
    again = qa.sample(kernel.action, kernel, steps=24, warmup=3, replicas=2, measure=names, every=3)
    for observable in defined_for(kernel.action.name):
        name = observable.name
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
    assert run.attributes["stream_version"] == KERNEL_STREAM_VERSIONS["heat-bath"]
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
