"""The command line: bad input says what to do and changes nothing; data go to stdout, the rest to stderr."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art import cli
from pyqmc_art.backends import list_available
from pyqmc_art.errors import Interrupted, NumericalError, StoreError
from pyqmc_art.store.checkpoint import state_path

SAMPLE = "sample ising --shape 4 6 --beta 0.4 --kernel metropolis --steps 40 --warmup 5"
JSON_KEYS = ["value", "error", "tau_int", "tau_int_error", "n", "ess", "ess_per_second"]
COMMANDS = ("sample", "analyze", "verify", "study", "demo", "info")


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch, tmp_path):
    for name in ("PYQMC_BACKEND", "PYQMC_ISA", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys):
    """Run the command in this process: exit status, stdout, stderr."""

    def run(words):
        status = cli.main(words.split() if isinstance(words, str) else words)
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A finished run, one whose state is lost, and things that are no runs."""
    folder = tmp_path_factory.mktemp("files")
    action = qa.Ising(qa.Lattice((4, 6)), beta=0.4)
    kernel = qa.Metropolis(action)
    for name in ("run.h5", "stateless.h5", "cut.h5", "torn.h5"):
        qa.sample(action, kernel, steps=40, warmup=5, out=folder / name, save_every=20).close()
    state_path(folder / "stateless.h5").unlink()
    for path in (folder / "cut.h5", state_path(folder / "torn.h5")):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "text.h5").write_text("no HDF5 at all")
    (folder / "empty.h5").touch()
    (folder / "folder.h5").mkdir()
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def here(files, tmp_path):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.h5").mkdir()
    return tmp_path


BASE = "sample ising --shape 4 6 --beta 0.4 --kernel metropolis --steps 40"
BAD = [
    # unknown names: the nearest one is named
    ("sampel ising", "sampel", 'Did you mean "sample"?'),
    ("sample isin --shape 4 6", "unknown action 'isin'", "did you mean 'ising'?", "potts"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel metropilis --steps 9", "'metropilis'", "did you mean 'metropolis'?"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel metropolis+wolf --steps 9", "'wolf'", "did you mean 'wolff'?"),
    (f"{BASE} --measure enrgy", "unknown observable 'enrgy'", "did you mean 'energy'?", "magnetization"),
    (f"{BASE} --bta 3", "--bta", "Did you mean --beta?"),
    (f"{BASE} --lattice sqare", "unknown lattice 'sqare'", "did you mean 'square'?"),
    (f"{BASE} --boundary peroidic", "unknown boundary", "did you mean 'periodic'?"),
    (f"{BASE} --backend nmba", "unknown backend 'nmba'", "did you mean 'numba'?"),
    (f"{BASE} --start warm", "start is 'warm'", "'hot' or 'cold'"),
    ("analyze run.h5 --jsn", "--jsn", "Did you mean --json?"),
    ("info --jsn", "--jsn", "Did you mean --json?"),
    ("verify --sed 3", "--sed", "Did you mean --seed?"),
    ("study ising-dynamics --perset full", "--perset", "Did you mean --preset?"),
    ("demo --sed 3", "--sed", "Did you mean --seed?"),
    # shapes
    ("sample ising --shape -4 6 --beta 0.4 --kernel metropolis --steps 9", "shape (-4, 6)", "at least 2"),
    ("sample ising --shape 1 6 --beta 0.4 --kernel metropolis --steps 9", "shape (1, 6)", "at least 2"),
    ("sample ising --shape 4 4 4 4 4 --beta 0.4 --kernel metropolis --steps 9", "5 dimensions", "1 to 4"),
    ("sample ising --shape 4 6.5 --beta 0.4 --kernel metropolis --steps 9", "--shape", '"6.5" is not a whole number'),
    ("sample ising --shape 4x6 --beta 0.4 --kernel metropolis --steps 9", "--shape", '"4x6" is not a whole number'),
    ("sample ising --shape 99999 99999 --beta 0.4 --kernel wolff --steps 9", "9999800001 sites", "at most"),
    ("sample ising --shape 5 6 --beta 0.4 --kernel metropolis --steps 9", "extent 5", "swendsen-wang"),
    ("sample ising --shape 4 6 --lattice triangular --beta 0.4 --kernel heat-bath --steps 9", "3-colouring", "wolff"),
    ("sample ising --shape 3 4 --lattice honeycomb --beta 0.4 --kernel wolff --steps 9", "honeycomb", "even"),
    (f"{BASE} --boundary open open open", "3 axes", "has 2"),
    # couplings
    ("sample ising --shape 4 6 --beta nan --kernel metropolis --steps 9", "beta is nan", "finite number"),
    ("sample ising --shape 4 6 --beta inf --kernel metropolis --steps 9", "beta is inf", "finite number"),
    ("sample ising --shape 4 6 --beta -1 --kernel metropolis --steps 9", "beta is -1", "J = -1"),
    ("sample ising --shape 4 6 --beta cold --kernel metropolis --steps 9", "--beta", "cold"),
    ("sample ising --shape 4 6 --kernel metropolis --steps 9", "needs beta", "--beta"),
    (f"{BASE} --h nan", "h is nan", "finite number"),
    (f"{BASE} --q 3", "no coupling 'q'", "beta, J, h"),
    ("sample potts --shape 4 6 --beta 0.4 --kernel metropolis --steps 9", "needs q", "--q"),
    ("sample potts --shape 4 6 --beta 0.4 --q 1 --kernel metropolis --steps 9", "q is 1", "2 to 32767"),
    ("sample potts --shape 4 6 --beta 0.4 --q 2.5 --kernel metropolis --steps 9", "--q", '"2.5" is not a whole number'),
    ("sample potts --shape 4 6 --beta 0.4 --q 3 --h 1 --kernel metropolis --steps 9", "no coupling 'h'"),
    # kernels
    ("sample potts --shape 4 6 --beta 0.4 --q 3 --kernel constrained --steps 9", "'constrained'", "ising", "'potts'"),
    ("sample potts --shape 4 6 --beta 0.4 --q 3 --J -1 --kernel wolff --steps 9", "needs J >= 0", "use metropolis"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel constrained --magnetization 0.3 --steps 9", "15.6 of 24 spins"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel constrained --exchange far --steps 9", "unknown exchange 'far'"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel wolff --clusters 0 --steps 9", "clusters is 0"),
    (f"{BASE} --clusters 2", "no option 'clusters'", "belongs to wolff"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel tempering --steps 9", "needs a ladder", "--ladder"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel tempering --ladder 0.3 --steps 9", "at least two different betas"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel tempering --ladder 0.3 nan --steps 9", "ladder is nan"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel 3metropolis --steps 9", "cannot be read", "heat-bath+4*wolff"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel metropolis+constrained --steps 9", "share one target"),
    # counts
    ("sample ising --shape 4 6 --beta 0.4 --kernel metropolis", "no steps was given", "--steps"),
    ("sample ising --beta 0.4 --kernel metropolis --steps 9", "no shape was given", "--shape 64 64"),
    ("sample ising --shape 4 6 --beta 0.4 --steps 9", "no kernel was given", "--kernel metropolis"),
    ("sample", "no action was given", "pyqmc-art sample ising"),
    (f"{BASE} --warmup -5", "warmup is -5", "at least 0"),
    (f"{BASE} --replicas 0", "replicas is 0", "at least 1"),
    (f"{BASE} --replicas 99999999999999999999", "at most 4294967296"),
    (f"{BASE} --every 0", "every is 0", "at least 1"),
    (f"{BASE} --every 3 --save-every 4", "save-every is 4", "multiple"),
    (f"{BASE} --seed -1", "seed is -1", "0 to 2^63 - 1"),
    (f"{BASE} --seed 1.5", "--seed", '"1.5" is not a whole number'),
    (f"{BASE} --threads 0", "threads is 0", "at least 1"),
    (f"{BASE} --measure energy energy", "energy twice"),
    (f"{BASE} --steps", "--steps", "requires an argument"),
    (f"{BASE} surplus", "surplus", "pyqmc-art sample --help"),
    # files
    (f"{BASE} --out run.h5", "run.h5 exists already", "--force", "--resume"),
    (f"{BASE} --out folder.h5", "is not a file"),
    (f"{BASE} --out folder.h5 --force", "is not a file"),
    (f"{BASE} --out missing/run.h5", "is not an existing folder", "make it first"),
    (f"{BASE} --out run.h5/run.h5", "is not an existing folder"),
    (f"{BASE} --out run.h5 --force --h nan", "h is nan"),
    (f"{BASE} --out run.h5 --force --measure enrgy", "unknown observable"),
    (f"{BASE} --beta 0.5", "--beta specified multiple times"),
    ("analyze", "no run was given", "pyqmc-art analyze run.h5"),
    ("analyze missing.h5", "missing.h5 cannot be read", "No such file"),
    ("analyze text.h5", "is not an HDF5 file", "written by pyqmc-art sample"),
    ("analyze empty.h5", "is not an HDF5 file"),
    ("analyze folder.h5", "folder.h5 cannot be read", "directory"),
    ("analyze run.h5 run.h5", "run.h5", "pyqmc-art analyze --help"),
    # going on with a file
    ("sample --resume missing.h5 --steps 50", "missing.h5 cannot be read"),
    ("sample --resume text.h5 --steps 50", "is not an HDF5 file"),
    ("sample --resume run.h5 --steps 39", "already stands at step 40", "larger total"),
    ("sample --resume run.h5 --steps x", "--steps", '"x" is not a whole number'),
    ("sample --resume run.h5 --steps 50 --beta 0.5", "beta is 0.4 in the file, but 0.5 was given"),
    ("sample --resume run.h5 --steps 50 --seed 1", "seed is 0 in the file, but 1 was given"),
    ("sample --resume run.h5 --steps 50 --kernel heat-bath", "kernel is 'metropolis' in the file", "'heat-bath'"),
    ("sample potts --resume run.h5 --steps 50 --q 3", "has no coupling 'h'"),
    ("sample --resume run.h5 --steps 50 --shape 6 4", "shape is [4, 6] in the file, but [6, 4] was given"),
    ("sample --resume run.h5 --steps 50 --measure magnetization", "measure is ['energy'] in the file"),
    ("sample --resume run.h5 --steps 50 --save-every 10", "save_every is 20 in the file, but 10 was given"),
    ("sample --resume run.h5 --steps 50 --warmup 6 --replicas 2", "replicas is 1 in", "warmup is 5 in the file"),
    ("sample --resume run.h5 --steps 50 --out other.h5", "carries on in the same file"),
    ("sample --resume run.h5 --steps 50 --backend nmba", "did you mean 'numba'?"),
    ("sample --resume run.h5 --steps 50 --threads -1", "threads is -1"),
]


@pytest.mark.parametrize(("words", "needles"), [(row[0], row[1:]) for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_one_line_and_changes_nothing(call, here, contents, words, needles):
    before = contents(here)
    status, out, err = call(words)
    assert (status, out) == (2, "")
    assert err.startswith("pyqmc-art: ")
    assert err.count("\n") == 1, "one message, on one line"
    assert "Traceback" not in err
    for needle in needles:
        assert needle in err
    assert contents(here) == before


DAMAGED = [
    ("analyze cut.h5", "cut.h5 is truncated or damaged", "restore it"),
    ("sample --resume cut.h5 --steps 50", "cut.h5 is truncated or damaged", "restore it"),
    ("sample --resume stateless.h5 --steps 50", "stateless.h5.state cannot be read", "cannot go on"),
    ("sample --resume torn.h5 --steps 50", "torn.h5.state is not an intact kernel state", "still be analyzed"),
]


@pytest.mark.parametrize(("words", "needles"), [(row[0], row[1:]) for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_damaged_files_are_named_and_left_alone(call, here, contents, words, needles):
    before = contents(here)
    status, out, err = call(words)
    assert (status, out, err.count("\n")) == (1, "", 1)
    for needle in needles:
        assert needle in err
    assert contents(here) == before


@pytest.mark.parametrize("name", ["stateless.h5", "torn.h5"])
def test_a_run_without_its_state_can_still_be_analyzed(call, here, name):
    status, out, err = call(f"analyze {name} --json")
    assert (status, err) == (0, "")
    assert json.loads(out)["energy"]["n"] == 40


@pytest.mark.parametrize(
    ("name", "value", "needle"),
    [
        ("OMP_NUM_THREADS", "0", "OMP_NUM_THREADS is '0'"),
        ("OMP_NUM_THREADS", "many", "expected a positive integer"),
        ("PYQMC_BACKEND", "cdp", "did you mean 'cpp'?"),
        ("PYQMC_BACKEND", "cuda", "PYQMC_BACKEND"),
    ],
)
def test_bad_environment(call, monkeypatch, tmp_path, name, value, needle):
    monkeypatch.setenv(name, value)
    status, out, err = call(f"{SAMPLE} --out run.h5")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert needle in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_must_not_be_written(call, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    status, out, err = call(f"{SAMPLE} --out locked/run.h5")
    assert (status, out) == (2, "")
    assert "cannot be written" in err


# --- sample


def series(path):
    with qa.open_ensemble(path) as run:
        fields = None if run.fields is None else run.fields[:].tobytes()
        return {name: run.series[name].tobytes() for name in run.series}, fields


def test_sample_writes_what_python_gives(call, tmp_path):
    words = f"{SAMPLE} --replicas 2 --seed 7 --measure energy magnetization --every 2 --save-every 4 --out run.h5"
    status, out, err = call(words)
    assert (status, err) == (0, "")
    assert out.startswith("run.h5: 20 measurements x 2 replicas")
    action = qa.Ising(qa.Lattice((4, 6)), beta=0.4)
    options = {"steps": 40, "warmup": 5, "replicas": 2, "seed": 7, "every": 2, "save_every": 4}
    run = qa.sample(action, qa.Metropolis(action), measure=("energy", "magnetization"), **options)
    assert series(tmp_path / "run.h5") == (
        {name: run.series[name].tobytes() for name in run.series},
        run.fields[:].tobytes(),
    )


def test_defaults_are_those_the_design_names(call):
    status, out, err = call("sample ising --shape 8 8 --beta 0.4 --kernel metropolis --print-config")
    assert (status, err) == (0, "")
    lines = dict(line.split(" = ") for line in out.splitlines())
    expected = {"warmup": "1000", "seed": "0", "replicas": "1", "every": "1", "measure": '["energy"]', "start": '"hot"'}
    expected |= {"lattice": '"square"', "boundary": '"periodic"', "action": '"ising"', "shape": "[8, 8]"}
    assert expected.items() <= lines.items()
    assert not {"save-every", "threads", "backend", "out", "force"} & lines.keys()


def test_sample_without_a_file_prints_a_summary(call, tmp_path):
    status, out, err = call(SAMPLE)
    assert (status, err) == (0, "")
    assert "in memory: 40 measurements x 1 replicas" in out
    assert "energy" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_run_too_short_for_errors_is_no_failure(call, tmp_path, steps):
    status, out, err = call(f"{SAMPLE} --steps {steps} --out run.h5".replace("--steps 40 ", ""))
    assert (status, out) == (0, "")
    assert f"run.h5 has {steps} measurements" in err
    assert call("sample --resume run.h5 --steps 40")[0] == 0
    assert series(tmp_path / "run.h5")[0] == {
        "energy": qa.sample(
            qa.Ising(qa.Lattice((4, 6)), beta=0.4),
            qa.Metropolis(qa.Ising(qa.Lattice((4, 6)), beta=0.4)),
            steps=40,
            warmup=5,
        )
        .series["energy"]
        .tobytes()
    }


def test_force_replaces_and_resume_goes_on(call, here):
    before = (here / "run.h5").read_bytes()
    assert call(f"{SAMPLE} --seed 3 --out run.h5 --force")[0] == 0
    assert (here / "run.h5").read_bytes() != before
    status, out, err = call("sample --resume run.h5 --steps 60 --threads 1")
    assert (status, err) == (0, "")
    assert "60 measurements" in out
    assert call(f"{SAMPLE} --seed 3 --out whole.h5 --steps 60".replace("--steps 40 ", ""))[0] == 0
    assert series(here / "run.h5") == series(here / "whole.h5")


def test_resume_takes_the_flags_of_the_beginning(call, here):
    words = "sample ising --shape 4 6 --beta 0.4 --kernel metropolis --warmup 5 --save-every 20 --lattice hypercubic"
    assert call(f"{words} --resume run.h5 --steps 50 --boundary periodic --out run.h5 --force")[0] == 0
    assert len(series(here / "run.h5")[0]["energy"]) == 50 * 8


def test_threads_backends_and_environment_do_not_change_the_numbers(call, tmp_path, monkeypatch):
    words = SAMPLE.replace("metropolis", "heat-bath+wolff") + " --save-every 10"
    call(f"{words} --out first.h5")
    variants = ["--threads 1", "--threads 3", *(f"--backend {name}" for name in list_available() if name != "cuda")]
    for variant in variants:
        assert call(f"{words} --out other.h5 --force {variant}")[0] == 0
        assert series(tmp_path / "other.h5") == series(tmp_path / "first.h5")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("PYQMC_BACKEND", "python")
    assert call(f"{words} --out other.h5 --force")[0] == 0
    assert series(tmp_path / "other.h5") == series(tmp_path / "first.h5")
    assert qa.open_ensemble("other.h5").attributes["backend"] == "python"
    assert strict(call("info --json")[1])["threads"] == 2


def test_every_kind_of_lattice_and_kernel(call):
    for words in (
        "sample ising --shape 7 --beta 0.4 --kernel wolff --clusters 3 --steps 20 --boundary open",
        "sample ising --shape 4 3 --boundary periodic open --beta 0.4 --J -1 --h 0.2 --kernel heat-bath --steps 20",
        "sample ising --shape 3 6 --lattice triangular --beta 0.2 --kernel metropolis --steps 20",
        "sample potts --q 3 --shape 4 4 --lattice honeycomb --beta 0.4 --kernel swendsen-wang --steps 20 --start cold",
        "sample potts --q 200 --shape 2 2 2 2 --beta 0.4 --kernel heat-bath+4*wolff --steps 20",
        "sample ising --shape 5 6 --beta 0.4 --kernel constrained --magnetization -0.4 --exchange local --steps 20",
        "sample ising --shape 4 4 --beta 0.4 --kernel tempering --ladder 0.2 0.4 --inner swendsen-wang --steps 20",
    ):
        status, out, err = call(f"{words} --warmup 3 --replicas 2")
        assert (status, err) == (0, "")
        assert "energy" in out


# --- analyze and info


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_analyze_as_json(call, tmp_path):
    action = qa.Ising(qa.Lattice((4, 6)), beta=0.4)
    kernel = qa.Constrained(action, magnetization=0.5)
    measure = ("energy", "magnetization", "kmin2")
    qa.sample(
        action, kernel, steps=400, warmup=5, every=2, replicas=3, measure=measure, out=tmp_path / "run.h5"
    ).close()
    status, out, err = call("analyze run.h5 --json")
    assert (status, err) == (0, "")
    found = strict(out)
    assert set(found) == set(measure)
    for entry in found.values():
        assert list(entry) == JSON_KEYS
        assert entry["n"] == 3 * 200
    energy = found["energy"]
    assert energy["tau_int"] >= 0.8, "in steps: two steps lie between two measurements"
    assert energy["ess"] == pytest.approx(energy["n"] / (2 * energy["tau_int"] / 2))
    assert energy["error"] > 0 < energy["ess_per_second"]
    constant = found["magnetization"]
    assert (constant["value"], constant["error"], constant["tau_int"]) == (0.5, 0.0, None)


def test_analyze_as_text_and_of_a_ladder(call, tmp_path):
    words = "sample ising --shape 4 4 --beta 0.4 --kernel tempering --ladder 0.2 0.4 --steps 60 --warmup 5 --out run.h5"
    assert call(words)[0] == 0
    assert list(strict(call("analyze run.h5 --json")[1])) == ["energy[0]", "energy[1]"]
    status, out, err = call("analyze run.h5")
    assert (status, err) == (0, "")
    assert "energy[1]" in out


def test_analyze_of_a_run_too_short(call):
    assert call(f"{SAMPLE} --steps 2 --out run.h5".replace("--steps 40 ", ""))[0] == 0
    status, out, err = call("analyze run.h5 --json")
    assert (status, out) == (2, "")
    assert "at least 4" in err


def test_analyze_plots(call, here):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pyqmc_art.report.run")
    status, out, err = call("analyze run.h5 --plot out.svg")
    assert status == 0
    assert "energy" in out
    assert "out.svg" in err
    assert b"<svg" in (here / "out.svg").read_bytes()
    status, out, err = call("analyze run.h5 --plot missing/out.png")
    assert (status, out, err.count("\n")) == (2, "", 1)
    status, out, err = call("analyze run.h5 --plot out.txt")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert not (here / "out.txt").exists()


def test_info(call):
    facts = strict(call("info --json")[1])
    assert {"version", "stream_version", "commit", "machine", "backends", "backend_in_use", "threads"} <= facts.keys()
    assert "devices" in facts
    assert "python" in facts["backends"]
    status, out, err = call("info")
    assert (status, err) == (0, "")
    assert "backend_in_use" in out


# --- configuration files


def as_toml(settings):
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())


def as_yaml(settings):
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in settings.items())


CONFIGURATION = {"action": "ising", "shape": [4, 6], "beta": 0.4, "kernel": "wolff", "steps": 30, "warmup": 4}
CONFIGURATION |= {"save-every": 10, "every": 5, "clusters": 2, "measure": ["energy", "kmin2"], "seed": 2**62}
FLAGS = "sample ising --shape 4 6 --beta 0.4 --kernel wolff --steps 30 --warmup 4 --save-every 10 --every 5 "
FLAGS += f"--clusters 2 --measure energy kmin2 --seed {2**62}"


@pytest.mark.parametrize(
    ("suffix", "write"), [("toml", as_toml), ("json", json.dumps), ("yaml", as_yaml), ("yml", as_yaml)]
)
def test_a_configuration_file_stands_for_its_flags(call, tmp_path, suffix, write):
    call(f"{FLAGS} --out flags.h5")
    Path(f"run.{suffix}").write_text(write(CONFIGURATION))
    status, _, err = call(f"sample --config run.{suffix} --out file.h5")
    assert (status, err) == (0, "")
    assert series(tmp_path / "file.h5") == series(tmp_path / "flags.h5")
    underscored = {key.replace("-", "_"): value for key, value in CONFIGURATION.items()}
    Path(f"run.{suffix}").write_text(write(underscored | {"out": "third.h5"}))
    assert call(f"sample --config run.{suffix}")[0] == 0
    assert series(tmp_path / "third.h5") == series(tmp_path / "flags.h5")


PRINTED = [
    FLAGS,
    "sample potts --q 3 --shape 4 4 --lattice honeycomb --boundary open periodic --beta 0.5 --J 0.5 --steps 30 "
    "--kernel heat-bath+2*swendsen-wang --warmup 2 --start cold --replicas 2 --backend python",
    "sample ising --shape 4 4 --beta 0.3 --kernel tempering --ladder 0.2 0.4 --inner metropolis --steps 20 --warmup 2",
    "sample ising --shape 4 4 --beta 3e-1 --h -0.25 --kernel constrained --magnetization -0.5 --steps 20 --warmup 2",
]


@pytest.mark.parametrize("words", PRINTED)
def test_a_printed_configuration_can_be_fed_back(call, tmp_path, words):
    words += " --save-every 10 --out" if "--save-every" not in words else " --out"
    call(f"{words} flags.h5")
    status, out, err = call(f"{words} file.h5 --print-config")
    assert (status, err) == (0, "")
    assert not (tmp_path / "file.h5").exists()
    Path("run.toml").write_text(out)
    assert call("sample --config run.toml")[0] == 0
    assert series(tmp_path / "file.h5") == series(tmp_path / "flags.h5")
    assert call("sample --config run.toml --print-config")[1] == out


def test_flags_win_over_the_file(call):
    Path("run.toml").write_text(as_toml(CONFIGURATION))
    status, out, _ = call("sample potts --q 3 --config run.toml --beta 0.7 --shape 2 2 2 --print-config")
    assert status == 0
    lines = out.splitlines()
    assert {'action = "potts"', "q = 3", "beta = 0.7", "shape = [2, 2, 2]", 'kernel = "wolff"'} <= set(lines)
    Path("run.toml").write_text(as_toml(CONFIGURATION | {"force": False}))
    assert call("sample --config run.toml --print-config --force")[0] == 0


def test_a_file_that_says_resume(call, here):
    Path("go-on.yaml").write_text("resume: run.h5\nsteps: 55\n")
    assert call("sample --config go-on.yaml")[0] == 0
    assert qa.open_ensemble(here / "run.h5").measurements == 55
    printed = call("sample --resume run.h5 --steps 60 --print-config")[1]
    assert 'resume = "run.h5"' in printed
    Path("go-on.toml").write_text(printed)
    assert call("sample --config go-on.toml")[0] == 0
    assert qa.open_ensemble(here / "run.h5").measurements == 60


def test_other_commands_take_a_file_and_print_it_too(call, here):
    Path("analyze.toml").write_text('run = "run.h5"\njson = true\n')
    status, out, _ = call("analyze --config analyze.toml")
    assert status == 0
    assert strict(out)["energy"]["n"] == 40
    assert set(call("analyze --config analyze.toml --print-config")[1].splitlines()) == {
        'run = "run.h5"',
        "json = true",
    }
    Path("info.json").write_text('{"json": true}')
    assert "version" in strict(call("info --config info.json")[1])
    assert call("info --config info.json --print-config")[1] == "json = true\n"
    assert call("demo --seed 3 --print-config")[1].splitlines() == ['out = "demo"', "seed = 3"]


BAD_FILES = [
    ("a.toml", "bta = 0.4", "unknown configuration key 'bta'", "did you mean 'beta'?"),
    ("a.yaml", "save-evry: 3", "unknown configuration key 'save-evry'", "did you mean 'save-every'?"),
    ("a.json", '{"config": "a.json"}', "unknown configuration key 'config'"),
    ("a.toml", "[lattice]\nshape = [4, 4]", "'lattice' holds", "flat list"),
    ("a.yaml", "shape: [[4, 4]]", "'shape' holds [[4, 4]]"),
    ("a.json", '{"shape": []}', "'shape' holds []"),
    ("a.json", "[1, 2]", "holds list", "expected keys with values"),
    ("a.yaml", "just words", "holds str"),
    ("a.toml", "beta = nan", "beta is nan", "finite number"),
    ("a.yaml", "beta: .inf", "beta is inf", "finite number"),
    ("a.json", '{"beta": NaN}', "beta is nan", "finite number"),
    ("a.toml", 'beta = "hot"', "--beta", "hot"),
    ("a.toml", "beta = true", "--beta"),
    ("a.toml", "beta = [0.1, 0.2]", "--beta"),
    ("a.toml", "steps = 10.5", "--steps", '"10.5" is not a whole number'),
    ("a.toml", "steps = 1e3", "--steps", '"1000.0" is not a whole number'),
    ("a.toml", "steps = false", "--steps", '"False" is not a whole number'),
    ("a.toml", "kernel = true", "'kernel' holds True", "expected a text"),
    ("a.toml", 'force = "yes"', "'force' holds 'yes'", "expected true or false"),
    ("a.toml", "force = 1", "'force' holds 1", "expected true or false"),
    ("a.toml", 'action = "isin"', "did you mean 'ising'?"),
    ("a.toml", "save-every = 2\nsave_every = 3", "twice"),
    ("a.toml", "beta = ", "is not valid TOML"),
    ("a.json", "{", "is not valid JSON"),
    ("a.yaml", "a: [\nb: {", "is not valid YAML"),
    ("a.ini", "beta = 1", "expected .toml, .yaml, .yml or .json"),
    ("noend", "beta = 1", "expected .toml, .yaml, .yml or .json"),
    ("a.toml", b"beta = \xff", "is not valid TOML"),
]


FLAGS_OF_SAMPLE = {
    "action": ["ising"],
    "shape": ["--shape", "4", "6"],
    "beta": ["--beta", "0.4"],
    "kernel": ["--kernel", "metropolis"],
    "steps": ["--steps", "40"],
}


@pytest.mark.parametrize(("name", "text", "needles"), [(row[0], row[1], row[2:]) for row in BAD_FILES])
def test_a_bad_configuration_file(call, tmp_path, contents, name, text, needles):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    before = contents(tmp_path)
    given = str(text).strip('{"').replace('"', "").split(" ")[0].rstrip(":")
    flags = [word for key, words in FLAGS_OF_SAMPLE.items() if key != given for word in words]
    status, out, err = call(["sample", *flags, "--config", name, "--out", "run.h5"])
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    for needle in needles:
        assert needle in err
    assert contents(tmp_path) == before


def test_a_configuration_file_that_is_not_there(call):
    status, _, err = call("sample --config missing.toml")
    assert status == 2
    assert "missing.toml cannot be read: No such file or directory" in err
    Path("folder.toml").mkdir()
    assert "folder.toml cannot be read" in call("sample --config folder.toml")[2]
    Path("empty.yaml").touch()
    assert "no action was given" in call("sample --config empty.yaml")[2]


# --- the command as a process


def test_help_of_every_command(call):
    status, out, _ = call("--help")
    assert status == 0
    for command in COMMANDS:
        assert command in out
        status, text, err = call(f"{command} --help")
        assert (status, err) == (0, "")
        assert f"pyqmc-art {command}" in text
        assert "--config" in text
        assert "--print-config" in text
    assert call([])[0] == 0
    status, out, _ = call("sample --help")
    flags = "--shape --lattice --boundary --beta --J --h --q --kernel --clusters --magnetization --exchange --ladder "
    flags += "--inner --steps --warmup --every --save-every --replicas --seed --measure --start --threads --backend "
    assert all(flag in out for flag in (flags + "--out --resume --force").split())


def test_version(call):
    status, out, _ = call("--version")
    assert (status, out.strip()) == (0, qa.__version__)


def test_exit_status_of_every_error(call, monkeypatch):
    for error, status in (
        (StoreError("disk"), 1),
        (NumericalError("nan"), 1),
        (Interrupted("later"), 3),
        (KeyboardInterrupt(), 1),
        (MemoryError(), 1),
        (OSError(28, "No space left on device", "file"), 1),
        (BrokenPipeError(), 0),
    ):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(cli.options, "settle", fail)
        found, _, err = call("info")
        assert found == status
        assert "Traceback" not in err
        assert err.count("\n") == (status != 0)


def test_as_a_process(run_command, tmp_path):
    status, out, err = run_command(*SAMPLE.split(), "--out", "run.h5", cwd=tmp_path)
    assert (status, err) == (0, ""), "no progress where nobody looks"
    assert out.startswith("run.h5: 40 measurements")
    status, out, err = run_command("analyze", "run.h5", "--json", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert list(strict(out)) == ["energy"]
    status, out, err = run_command("analyze", "missing.h5", cwd=tmp_path)
    assert (status, out) == (2, "")
    assert "Traceback" not in err


def test_python_dash_m(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pyqmc_art", "--version"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, qa.__version__, "")
    done = subprocess.run([sys.executable, "-m", "pyqmc_art", "nonsense"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_whoever_reads_may_stop_reading(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "pyqmc_art", "info"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written(tmp_path):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "pyqmc_art", "info"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_progress_goes_to_a_terminal_on_stderr_and_only_there(tmp_path):
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    words = "sample ising --shape 64 64 --beta 0.4 --kernel metropolis --backend python --steps 6 --warmup 0"
    command = [sys.executable, "-m", "pyqmc_art", *words.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, text=True, cwd=tmp_path) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:  # The other end is closed.
                break
            if not piece:
                break
            shown += piece
        out, _ = process.communicate()
    os.close(master)
    assert process.returncode == 0
    assert out.startswith("in memory: 6 measurements")
    assert "\r" not in out
    assert b"metropolis on ising 64x64" in shown


def test_energies_agree_with_exact_values(call, tmp_path):
    """A whole pass through the command: 4 x 4 Ising, whose energy is a sum over 65536 states."""
    lattice = qa.Lattice((4, 4))
    action = qa.Ising(lattice, beta=0.4)
    states = 1 - 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1).astype(np.int8).reshape(-1, 4, 4)
    weights = np.exp(-action(states))
    exact = float((weights * action(states) / 0.4 / 16).sum() / weights.sum())
    words = "sample ising --shape 4 4 --beta 0.4 --kernel swendsen-wang --steps 4000 --warmup 100 --replicas 4"
    assert call(f"{words} --out run.h5")[0] == 0
    energy = strict(call("analyze run.h5 --json")[1])["energy"]
    assert abs(energy["value"] - exact) < 4 * energy["error"]
    assert energy["error"] < 0.01
    assert math.isfinite(energy["tau_int"])
