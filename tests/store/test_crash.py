import signal
import subprocess
import sys

import h5py
import pytest

from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.store import ensemble
from pyqmc_art.store.checkpoint import read_checkpoint, state_path
from pyqmc_art.store.ensemble import EnsembleWriter, open_ensemble
from pyqmc_art.store.snapshot import Snapshot, release_superblock


def start(known, path, action, argument):
    command = [sys.executable, str(known.script), str(path), action, str(argument)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(known, path, blocks):
    """Go on to so many blocks and compare with what an uninterrupted writer stores."""
    with EnsembleWriter.resume(path)[0] as writer:
        known.extend(writer, blocks)
    with open_ensemble(path) as run:
        known.check(run, blocks)
    known.same_state(read_checkpoint(state_path(path))[0], known.state(blocks))
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name, path.name + ".state"]


@pytest.mark.parametrize("moment", [1, 2, 7, 40, 41])
def test_a_kill_loses_nothing_before_the_last_block(tmp_path, known, moment):
    path = tmp_path / "run.h5"
    with start(known, path, "loop", 0) as process:
        for _ in range(moment):
            process.stdout.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with open_ensemble(path) as run:
        blocks = run.measurements // known.PER_BLOCK
        assert blocks >= moment
        known.check(run, blocks)
    finish(known, path, blocks + 2)


@pytest.mark.parametrize("stage", ["between datasets", "before flush", "before state", "before replacement"])
def test_a_kill_at_each_stage_of_an_append(tmp_path, known, stage):
    path = tmp_path / "run.h5"
    with start(known, path, "die", stage) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    with open_ensemble(path) as run:
        known.check(run, 3)
    finish(known, path, 6)


def test_a_live_run_is_read_but_not_written_by_another_process(tmp_path, known):
    path = tmp_path / "run.h5"
    with start(known, path, "loop", 0) as process:
        process.stdout.readline()
        for _ in range(20):
            with open_ensemble(path) as run:
                known.check(run, run.measurements // known.PER_BLOCK)
        with pytest.raises(InputError, match="another process"):
            EnsembleWriter.resume(path)
        process.kill()
    EnsembleWriter.resume(path)[0].close()


@pytest.mark.parametrize("limit", [60_000, 100_000, 131_072, 200_001])
def test_a_full_disk_is_an_error_that_says_what_is_safe(tmp_path, known, limit):
    path = tmp_path / "run.h5"
    with start(known, path, "fill", limit) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    message, blocks = out.splitlines()
    assert f"File too large). The {50 * int(blocks)} measurements up to step {100 * int(blocks)} are safe" in message
    with open_ensemble(path) as run:
        known.check(run, int(blocks))
    finish(known, path, int(blocks) + 30)


@pytest.mark.parametrize("limit", [10, 5_000])
def test_a_disk_that_is_full_from_the_beginning(tmp_path, known, limit):
    with start(known, tmp_path / "run.h5", "fill", limit) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "could not be created" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [5_000, 70_000])
def test_a_disk_too_full_to_resume_leaves_the_run_alone(tmp_path, known, limit):
    path = tmp_path / "run.h5"
    known.write(path, 60)
    before = path.read_bytes(), state_path(path).read_bytes()
    with start(known, path, "fill", limit) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "nothing was replaced" in out
    assert (path.read_bytes(), state_path(path).read_bytes()) == before
    finish(known, path, 61)


@pytest.fixture(params=["closed", "killed"])
def damaged(tmp_path, known, request, monkeypatch):
    """Path, bytes of an intact file, and a way to write other ones in its place."""
    monkeypatch.setattr(ensemble, "_PAUSE", 0.0)
    path = tmp_path / "run.h5"
    writer = known.begin(path)
    known.extend(writer, 20)
    killed = path.read_bytes()
    writer.close()
    return path, path.read_bytes() if request.param == "closed" else killed


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.25, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused_and_left_alone(known, damaged, share):
    path, whole = damaged
    path.write_bytes(whole)
    with open_ensemble(path) as run:
        known.check(run, 20)
    cut = whole[: int(share * len(whole))]
    path.write_bytes(cut)
    for attempt in (open_ensemble, EnsembleWriter.resume):
        with pytest.raises(StoreError, match="truncated or damaged"):
            attempt(path)
    assert path.read_bytes() == cut


def test_damage_inside_ends_in_a_clear_error_or_in_the_same_measurements(known, damaged):
    path, whole = damaged
    refused = 0
    for place in range(9, 6000, 61):
        bad = bytearray(whole)
        bad[place] ^= 0x55
        path.write_bytes(bad)
        try:
            with open_ensemble(path) as run:
                assert run.measurements == 20 * known.PER_BLOCK
                assert run.series["energy"].shape == (1000, 3)
        except (StoreError, InputError):
            refused += 1
    assert refused > 10


def test_a_file_shorter_than_its_state_says_is_refused(tmp_path, known):
    path = tmp_path / "run.h5"
    known.write(path, 3)
    with h5py.File(path, "r+", libver="latest") as file:
        file["series/rungs"].resize(149, axis=0)
    for attempt in (open_ensemble, EnsembleWriter.resume):
        with pytest.raises(StoreError, match="149 rows instead of 150"):
            attempt(path)


def test_a_file_without_its_state_is_read_but_not_resumed(tmp_path, known):
    path = tmp_path / "run.h5"
    known.write(path, 3)
    for damage in (state_path(path).unlink, lambda: state_path(path).write_bytes(b"nonsense")):
        damage()
        with open_ensemble(path) as run:
            known.check(run, 3)
            assert run.seconds == 1.5
        with pytest.raises(StoreError, match="cannot go on"):
            EnsembleWriter.resume(path)


def test_a_view_of_a_killed_run_never_writes_nor_reads_past_the_end(tmp_path, known):
    path = tmp_path / "run.h5"
    with known.begin(path):
        superblock = release_superblock(path)
        view = Snapshot(path, superblock)
        assert view.read(48) == superblock != path.read_bytes()[:48]
        view.seek(-1, 2)
        for attempt in (lambda: view.read(2), lambda: view.write(b"x"), lambda: view.truncate(0)):
            with pytest.raises(OSError):
                attempt()
    assert release_superblock(path) is None
