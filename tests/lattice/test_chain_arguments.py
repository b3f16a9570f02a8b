"""Arguments of sample and resume that cannot be used: a clear error, and nothing is written."""

from __future__ import annotations

import dataclasses

import pytest

import pyqmc_art as qa
from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.lattice.chain import check_asked_for
from pyqmc_art.rng import KERNEL_STREAM_VERSIONS, STREAM_VERSION
from pyqmc_art.store.checkpoint import read_checkpoint, state_path
from pyqmc_art.store.ensemble import EnsembleWriter, open_ensemble

TORUS = qa.Lattice((4, 6))
ISING = qa.Ising(TORUS, beta=0.4, h=0.1)


@pytest.fixture
def metropolis():
    return qa.Metropolis(ISING)


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
    newest = max(STREAM_VERSION, *KERNEL_STREAM_VERSIONS.values())
    monkeypatch.setattr("pyqmc_art.rng.STREAM_VERSION", newest + 1)
    before = contents(stored.parent)
    with pytest.raises(InputError, match=rf"stream version \d of .*but this program has {newest + 1}"):
        qa.resume(stored, steps=20)
    assert contents(stored.parent) == before


@pytest.mark.parametrize("name", ["swendsen-wang", "heat-bath+2*swendsen-wang", "tempering"])
def test_a_kernel_that_uses_its_random_numbers_in_another_way_refuses_only_its_own_files(tmp_path, monkeypatch, name):
    action = qa.Ising(qa.Lattice((4, 4)), 0.4)
    options = {"ladder": (0.3, 0.4), "inner": "swendsen-wang"} if name == "tempering" else {}
    for kernel, file in (qa.build(name, action, options), "own.h5"), (qa.build("heat-bath", action), "other.h5"):
        qa.sample(action, kernel, steps=4, seed=1, out=tmp_path / file).close()
    monkeypatch.setitem(KERNEL_STREAM_VERSIONS, "swendsen-wang", 9)
    with pytest.raises(InputError, match=r"stream version \d of .*but this program has 9"):
        qa.resume(tmp_path / "own.h5", steps=6)
    qa.resume(tmp_path / "other.h5", steps=6).close()


def test_flags_that_mean_the_same_are_no_other_configuration(stored):
    configuration = open_ensemble(stored).configuration
    check_asked_for(configuration, {"lattice": "hypercubic", "boundary": ("periodic",), "beta": 0.4})
    check_asked_for(configuration, {"boundary": ("periodic", "periodic"), "shape": (4, 6), "measure": ("energy",)})
    with pytest.raises(InputError, match="boundary is 'periodic' in the file, but 'open' was given"):
        check_asked_for(configuration, {"boundary": ("open",)})
    with pytest.raises(InputError, match=r"h is 0\.1 in the file, but 0.0 was given"):
        check_asked_for(configuration, {"h": 0.0})
