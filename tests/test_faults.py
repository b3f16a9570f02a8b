"""What may go wrong while the command runs: killed, stopped, no room on the disk, two writers at once."""

from __future__ import annotations

import json
import signal
import time

import pytest

import pyqmc_art as qa
from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.interrupts import StopRequest
from pyqmc_art.store.checkpoint import read_checkpoint, state_path

SAVE_EVERY = 500
LONG = (
    "sample ising --shape 16 16 --beta 0.44 --kernel heat-bath --steps 2000000000 --warmup 200 --replicas 2 --seed 5 "
    f"--measure energy magnetization --save-every {SAVE_EVERY} --threads 1"
)
WARMING = LONG.replace("--warmup 200", "--warmup 2000000000")
PATIENCE = 60.0
"""Seconds after which something is wrong with the run, not with this machine."""


def wait_for(process, condition):
    """Wait until a run has come so far."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"the run ended with {process.returncode}: {process.stderr.read()}")
        try:
            if condition():
                return
        except (InputError, StoreError):
            pass
        time.sleep(0.01)
    process.kill()
    pytest.fail("the run did not come so far")


def measured(path):
    with qa.open_ensemble(path) as run:
        return run.measurements


def step(path):
    return read_checkpoint(state_path(path))[0].step


@pytest.fixture(scope="module")
def kernel():
    return qa.HeatBath(qa.Ising(qa.Lattice((16, 16)), beta=0.44))


def check_and_resume(path, kernel, more=300):
    """Compare what is left with an uninterrupted run, go on, and compare again."""
    with qa.open_ensemble(path) as left:
        done = left.measurements
        parts = {name: left.series[name].tobytes() for name in left.series}
        fields = left.fields[:].tobytes()
        assert len(left.fields) == done // SAVE_EVERY
    options = {"replicas": 2, "seed": 5, "measure": ("energy", "magnetization"), "save_every": SAVE_EVERY}
    whole = qa.sample(kernel.action, kernel, steps=done + more, warmup=200, **options)
    for name, part in parts.items():
        assert whole.series[name][:done].tobytes() == part
    assert whole.fields[: done // SAVE_EVERY].tobytes() == fields
    resumed = qa.resume(path, steps=done + more)
    for name in whole.series:
        assert resumed.series[name].tobytes() == whole.series[name].tobytes()
    assert resumed.fields[:].tobytes() == whole.fields[:].tobytes()
    resumed.close()
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name, path.name + ".state"]


@pytest.mark.parametrize("moment", [0, 1, 2000, 20000])
def test_a_kill_loses_nothing_before_the_last_block(tmp_path, start_command, kernel, moment):
    path = tmp_path / "run.h5"
    with start_command(*LONG.split(), "--out", path, cwd=tmp_path) as process:
        wait_for(process, lambda: measured(path) >= moment)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert measured(path) >= moment
    check_and_resume(path, kernel)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_go_on(tmp_path, start_command, kernel, number):
    path = tmp_path / "run.h5"
    with start_command(*LONG.split(), "--out", path, cwd=tmp_path) as process:
        wait_for(process, lambda: measured(path) >= 2000)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (3, "")
    assert err.count("\n") == 1
    assert f"stopped at step {measured(path)} of 2000000000" in err
    assert err.endswith(f"Carry on with: pyqmc-art sample --resume {path}\n")
    check_and_resume(path, kernel)


def test_a_run_stopped_in_its_warmup(tmp_path, start_command, run_command):
    path = tmp_path / "run.h5"
    with start_command(*WARMING.split(), "--out", "run.h5", cwd=tmp_path) as process:
        wait_for(process, lambda: step(path) > 0)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert "stopped at step 0 of 2000000000" in err
    assert measured(path) == 0
    done = step(path)
    assert 0 < done < 2000000000
    with start_command("sample", "--resume", path, cwd=tmp_path) as process:
        wait_for(process, lambda: step(path) > done)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 3


def test_a_second_ctrl_c_does_not_wait_for_the_block(tmp_path, start_command):
    path = tmp_path / "run.h5"
    words = LONG.replace("heat-bath", "1000000*heat-bath").replace("--warmup 200", "--warmup 0")
    with start_command(*words.split(), "--out", path, cwd=tmp_path) as process:
        wait_for(process, lambda: step(path) == 0)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (3, "")
    assert "stopped at step 0" in err
    assert "Traceback" not in err
    with qa.open_ensemble(path) as run:
        assert run.measurements == 0
        assert run.configuration["kernel"] == "1000000*heat-bath"


def test_ctrl_c_without_a_file(tmp_path, start_command):
    with start_command(*LONG.split(), cwd=tmp_path) as process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, "")
    assert err == "pyqmc-art: interrupted; nothing was kept\n"
    assert list(tmp_path.iterdir()) == []


def test_signals_that_are_ignored_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("room", [100_000, 200_000])
def test_no_more_room_on_the_disk(tmp_path, run_command, kernel, room):
    path = tmp_path / "run.h5"
    # A step of many parts takes long enough for several blocks to fit into the room on any machine.
    kernel = qa.Composition([(60, kernel)])
    words = LONG.replace("heat-bath", kernel.name)
    status, out, err = run_command(*words.split(), "--out", path, cwd=tmp_path, room=room)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "could not be written any further (File too large)" in err
    assert f"The {measured(path)} measurements up to step" in err
    assert f"make room and go on with: pyqmc-art sample --resume {path}" in err
    assert measured(path) > 0
    check_and_resume(path, kernel)


@pytest.mark.parametrize("room", [10, 4000])
def test_no_room_at_all(tmp_path, run_command, room):
    status, out, err = run_command(*LONG.split(), "--out", "run.h5", cwd=tmp_path, room=room)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "run.h5 could not be created (File too large); nothing was replaced" in err
    assert list(tmp_path.iterdir()) == []


def test_no_room_to_go_on(tmp_path, run_command, kernel, contents):
    path = tmp_path / "run.h5"
    options = {"replicas": 2, "seed": 5, "warmup": 200, "save_every": SAVE_EVERY}
    measure = ("energy", "magnetization")
    qa.sample(kernel.action, kernel, steps=5000, measure=measure, out=path, **options).close()
    before = contents(tmp_path)
    status, out, err = run_command("sample", "--resume", path, "--steps", 9000, cwd=tmp_path, room=50_000)
    assert (status, out) == (1, "")
    assert "could not be resumed (File too large); nothing was replaced" in err
    assert contents(tmp_path) == before
    check_and_resume(path, kernel)


def test_no_room_to_replace_a_run(tmp_path, run_command, kernel, contents):
    qa.sample(kernel.action, kernel, steps=500, warmup=0, out=tmp_path / "run.h5").close()
    before = contents(tmp_path)
    status, _, err = run_command(*LONG.split(), "--out", "run.h5", "--force", cwd=tmp_path, room=4000)
    assert status == 1
    assert "nothing was replaced" in err
    assert contents(tmp_path) == before


def test_two_writers_and_a_reader(tmp_path, start_command, run_command):
    path = tmp_path / "run.h5"
    with start_command(*LONG.split(), "--out", path, cwd=tmp_path) as process:
        wait_for(process, lambda: measured(path) >= 1000)
        for words in (["sample", "--resume", path], [*LONG.split(), "--out", path, "--force"]):
            status, out, err = run_command(*words, cwd=tmp_path)
            assert (status, out) == (2, "")
            assert "run.h5 is being written by another process" in err
        seen = measured(path)
        status, out, err = run_command("analyze", path, "--json", cwd=tmp_path)
        assert (status, err) == (0, "")
        assert json.loads(out)["energy"]["n"] >= 2 * seen
        assert process.poll() is None
        process.kill()
    assert measured(path) >= seen
