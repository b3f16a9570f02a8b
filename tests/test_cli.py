"""The command line: data go to stdout, the rest to stderr, and the exit status says how it went."""

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

SAMPLE = "sample ising --shape 4 6 --beta 0.4 --kernel metropolis --steps 40 --warmup 5"
JSON_KEYS = ["value", "error", "tau_int", "tau_int_error", "n", "ess", "ess_per_second"]
COMMANDS = ("sample", "analyze", "verify", "study", "demo", "data scan", "data check", "data fetch", "info")


def test_sample_writes_what_python_gives(call, tmp_path, numbers):
    words = f"{SAMPLE} --replicas 2 --seed 7 --measure energy magnetization --every 2 --save-every 4 --out run.h5"
    status, out, err = call(words)
    assert (status, err) == (0, "")
    assert out.startswith("run.h5: 20 measurements x 2 replicas")
    action = qa.Ising(qa.Lattice((4, 6)), beta=0.4)
    options = {"steps": 40, "warmup": 5, "replicas": 2, "seed": 7, "every": 2, "save_every": 4}
    run = qa.sample(action, qa.Metropolis(action), measure=("energy", "magnetization"), **options)
    assert numbers(tmp_path / "run.h5") == (
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
def test_a_run_too_short_for_errors_is_no_failure(call, tmp_path, steps, numbers):
    status, out, err = call(f"{SAMPLE} --steps {steps} --out run.h5".replace("--steps 40 ", ""))
    assert (status, out) == (0, "")
    assert f"run.h5 has {steps} measurements" in err
    assert call("sample --resume run.h5 --steps 40")[0] == 0
    assert numbers(tmp_path / "run.h5")[0] == {
        "energy": qa.sample(
            qa.Ising(qa.Lattice((4, 6)), beta=0.4),
            qa.Metropolis(qa.Ising(qa.Lattice((4, 6)), beta=0.4)),
            steps=40,
            warmup=5,
        )
        .series["energy"]
        .tobytes()
    }


def test_force_replaces_and_resume_goes_on(call, one_run, numbers):
    before = (one_run / "run.h5").read_bytes()
    assert call(f"{SAMPLE} --seed 3 --out run.h5 --force")[0] == 0
    assert (one_run / "run.h5").read_bytes() != before
    status, out, err = call("sample --resume run.h5 --steps 60 --threads 1")
    assert (status, err) == (0, "")
    assert "60 measurements" in out
    assert call(f"{SAMPLE} --seed 3 --out whole.h5 --steps 60".replace("--steps 40 ", ""))[0] == 0
    assert numbers(one_run / "run.h5") == numbers(one_run / "whole.h5")


def test_resume_takes_the_flags_of_the_beginning(call, one_run, numbers):
    words = "sample ising --shape 4 6 --beta 0.4 --kernel metropolis --warmup 5 --save-every 20 --lattice hypercubic"
    assert call(f"{words} --resume run.h5 --steps 50 --boundary periodic --out run.h5 --force")[0] == 0
    assert len(numbers(one_run / "run.h5")[0]["energy"]) == 50 * 8


def test_threads_backends_and_environment_do_not_change_the_numbers(call, tmp_path, monkeypatch, numbers):
    words = SAMPLE.replace("metropolis", "heat-bath+wolff") + " --save-every 10"
    call(f"{words} --out first.h5")
    variants = ["--threads 1", "--threads 3", *(f"--backend {name}" for name in list_available() if name != "cuda")]
    for variant in variants:
        assert call(f"{words} --out other.h5 --force {variant}")[0] == 0
        assert numbers(tmp_path / "other.h5") == numbers(tmp_path / "first.h5")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("PYQMC_BACKEND", "python")
    assert call(f"{words} --out other.h5 --force")[0] == 0
    assert numbers(tmp_path / "other.h5") == numbers(tmp_path / "first.h5")
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


def test_analyze_plots(call, one_run):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pyqmc_art.report.run")
    status, out, err = call("analyze run.h5 --plot out.svg")
    assert status == 0
    assert "energy" in out
    assert "out.svg" in err
    assert b"<svg" in (one_run / "out.svg").read_bytes()
    status, out, err = call("analyze run.h5 --plot out.txt")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert not (one_run / "out.txt").exists()


def test_info(call):
    facts = strict(call("info --json")[1])
    assert {"version", "stream_version", "commit", "machine", "backends", "backend_in_use", "threads"} <= facts.keys()
    assert "devices" in facts
    assert "python" in facts["backends"]
    status, out, err = call("info")
    assert (status, err) == (0, "")
    assert "backend_in_use" in out


def test_help_of_every_command(call):
    status, out, _ = call("--help")
    assert status == 0
    for command in COMMANDS:
        assert command.split()[0] in out
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
