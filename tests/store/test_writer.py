import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from pyqmc_art.errors import InputError, NumericalError, StoreError
from pyqmc_art.rng import STREAM_VERSION
from pyqmc_art.store import hdf5
from pyqmc_art.store.checkpoint import Checkpoint, read_checkpoint, state_path, write_checkpoint
from pyqmc_art.store.ensemble import EnsembleWriter, check_same_configuration, open_ensemble
from pyqmc_art.store.hdf5 import SwmrFile


@pytest.fixture(params=["run.h5", "läuf mit leer [*].h5"])
def path(tmp_path, request):
    return tmp_path / request.param


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_the_file_holds_what_the_format_promises(path, known):
    known.write(path, 3)
    assert names(path.parent) == [path.name, path.name + ".state"]
    with h5py.File(path) as file:
        assert file["series/energy"].shape == (150, 3)
        assert file["series/rungs"].shape == (150, 3, 2)
        assert file["series/energy"].dtype == np.float64
        assert file["fields"].shape == (12, 3, 4, 6)
        assert file["fields"].dtype == np.int8
        assert json.loads(file.attrs["configuration"]) == known.CONFIGURATION
        assert file.attrs["beta"] == 0.4406868
        assert file.attrs["stream_version"] == STREAM_VERSION
        assert list(file.attrs["shape"]) == [4, 6]


def test_any_reader_of_swmr_files_follows_a_live_writer(path, known):
    # In another process: within one process HDF5 shows what its cache holds.
    reader = "import h5py, sys; print(len(h5py.File(sys.argv[1], 'r', swmr=True)['series/energy']))"
    with known.begin(path) as writer:
        for blocks in (1, 3):
            known.extend(writer, blocks)
            seen = subprocess.run([sys.executable, "-c", reader, path], capture_output=True, text=True, check=True)
            assert int(seen.stdout) == 50 * blocks


def test_a_run_resumed_again_and_again_equals_one_long_run(path, known):
    known.write(path, 2)
    for blocks in (3, 3, 7):
        writer, state = EnsembleWriter.resume(path)
        known.same_state(state, writer.checkpoint)
        with writer:
            known.extend(writer, blocks)
    with open_ensemble(path) as run:
        known.check(run, 7)
        assert run.seconds == 3.5
    known.same_state(read_checkpoint(state_path(path))[0], known.state(7))
    assert names(path.parent) == [path.name, path.name + ".state"]


def test_resume_drops_what_the_state_does_not_count(path, known):
    known.write(path, 4)
    run = read_checkpoint(state_path(path))[1]
    write_checkpoint(state_path(path), known.state(2), run)
    with EnsembleWriter.resume(path)[0]:
        pass
    with h5py.File(path) as file:
        assert len(file["series/energy"]) == 100
        assert len(file["fields"]) == 8


def test_resume_writes_a_new_file(path, known):
    known.write(path, 1)
    old = path.stat().st_ino
    with open(path, "rb") as reader, EnsembleWriter.resume(path)[0] as writer:
        before = reader.read()
        known.extend(writer, 2)
        assert path.stat().st_ino != old
        reader.seek(0)
        assert reader.read() == before


def test_resume_with_a_new_configuration_notes_who_went_on(path, known):
    known.write(path, 1)
    more = known.CONFIGURATION | {"steps": 5000}
    for _ in range(2):
        EnsembleWriter.resume(path, configuration=more, provenance={"version": "1"})[0].close()
    with open_ensemble(path) as run:
        assert run.configuration == more
        assert run.attributes["steps"] == 5000
        assert run.attributes["version"] == "0"
        assert json.loads(run.attributes["resumed"]) == [{"version": "1"}] * 2


def test_copying_is_bounded_in_memory(path, known, monkeypatch):
    known.write(path, 40)
    monkeypatch.setattr(hdf5, "_CHUNK_BYTES", 1000)
    monkeypatch.setattr(hdf5, "_COPY_BYTES", 3000)
    sizes = []
    write = SwmrFile.write

    def watched(self, name, start, rows):
        sizes.append(rows.nbytes)
        write(self, name, start, rows)

    monkeypatch.setattr(SwmrFile, "write", watched)
    EnsembleWriter.resume(path)[0].close()
    assert 0 < max(sizes) <= 3000
    assert sum(sizes) == 2000 * 3 * 8 * 3 + 160 * 72
    with open_ensemble(path) as run:
        known.check(run, 40)


def test_a_state_alone_can_be_stored(path, known):
    with known.begin(path) as writer:
        writer.append({}, None, Checkpoint(17, {"field": np.ones(2)}))
    writer, state = EnsembleWriter.resume(path)
    writer.close()
    assert state.step == 17


def test_existing_files_are_kept_without_force(path, known):
    known.write(path, 2)
    before = path.read_bytes(), state_path(path).read_bytes()
    with pytest.raises(InputError, match=r"exists already.*--force.*--resume"):
        known.begin(path)
    assert (path.read_bytes(), state_path(path).read_bytes()) == before
    known.write(path, 1, force=True)
    with open_ensemble(path) as run:
        known.check(run, 1)


def test_force_keeps_the_old_file_until_the_new_one_is_ready(path, known, monkeypatch):
    known.write(path, 2)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SwmrFile, "flush", refuse)
    with pytest.raises(StoreError, match="No space left"):
        known.begin(path, force=True)
    with open_ensemble(path) as run:
        known.check(run, 2)
    assert names(path.parent) == [path.name, path.name + ".state"]


def test_a_state_whose_run_is_elsewhere_is_kept(path, known):
    known.write(path, 1)
    path.unlink()
    with pytest.raises(InputError, match="state of a run whose file"):
        known.begin(path)
    write_checkpoint(state_path(path), known.state(0), "killed before its file appeared")
    known.begin(path).close()


def test_a_link_is_followed(tmp_path, known):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "run.h5").symlink_to(tmp_path / "scratch/run.h5")
    known.write(tmp_path / "run.h5", 1)
    EnsembleWriter.resume(tmp_path / "run.h5")[0].close()
    assert (tmp_path / "run.h5").is_symlink()
    assert names(tmp_path / "scratch") == ["run.h5", "run.h5.state"]


@pytest.mark.parametrize("place", ["missing/run.h5", "file/run.h5", ".", "nul\0.h5", "x" * 250 + ".h5", "/dev/null"])
def test_a_path_that_cannot_be_written_is_refused_before_anything(tmp_path, known, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        known.begin(tmp_path / place, force=place == "/dev/null")
    assert names(tmp_path) == ["file"]


def test_two_writers_of_one_file_are_refused(path, known):
    with known.begin(path) as writer:
        known.extend(writer, 1)
        with pytest.raises(InputError, match="being written by another process"):
            EnsembleWriter.resume(path)
        with pytest.raises(InputError, match="being written by another process"):
            known.begin(path, force=True)
        known.extend(writer, 2)
    with open_ensemble(path) as run:
        known.check(run, 2)


def test_leftovers_of_dead_writers_mean_nothing_and_are_removed(path, known):
    known.write(path, 1)
    for leftover in (f".{path.name}.lock", f".{path.name}.partial-1", f".{path.name}.state.partial-1"):
        (path.parent / leftover).write_text("")
    EnsembleWriter.resume(path)[0].close()
    assert names(path.parent) == [path.name, path.name + ".state"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_measurement_that_is_not_finite_is_named_and_not_stored(path, known, bad):
    with known.begin(path) as writer:
        known.extend(writer, 1)
        energy = known.energy(50, 100)
        energy[7, 2] = bad
        with pytest.raises(NumericalError, match=rf"energy is {bad} at measurement 57, replica 2"):
            writer.append({"energy": energy, "rungs": known.rungs(50, 100)}, None, known.state(2))
        known.extend(writer, 2)
    with open_ensemble(path) as run:
        known.check(run, 2)


def test_blocks_that_do_not_fit_are_refused_and_nothing_is_stored(path, known):
    series = {"energy": known.energy(0, 50), "rungs": known.rungs(0, 50)}
    fields = known.fields(0, 4)
    with known.begin(path) as writer:
        for block in (
            ({"energy": series["energy"]}, fields, known.state(1)),
            (series | {"rungs": series["rungs"][:-1]}, fields, known.state(1)),
            (series | {"energy": series["energy"][:, :2]}, fields, known.state(1)),
            (series, fields.astype(float), known.state(1)),
            (series, fields[:1], known.state(1)),
            (series, fields, known.state(2)),
            (series, fields, Checkpoint(100, {"a": np.array([None])}, 50, 4)),
        ):
            with pytest.raises(InputError):
                writer.append(*block)
        known.extend(writer, 2)
    with pytest.raises(StoreError, match="is closed"):
        known.extend(writer, 3)
    with open_ensemble(path) as run:
        known.check(run, 2)


def test_a_foreign_configuration_is_refused_naming_each_difference():
    stored = {"beta": 0.4, "shape": [4, 4], "kernel": "wolff", "steps": 10}
    check_same_configuration(stored, stored | {"shape": (4, 4), "steps": 20})
    with pytest.raises(InputError) as caught:
        check_same_configuration(stored, {"beta": 0.5, "shape": [4, 4], "steps": 10, "every": 2})
    for part in (
        "beta is 0.4 in the file, but 0.5",
        "kernel is 'wolff' in the file, but 'absent'",
        "every is 'absent'",
    ):
        assert part in str(caught.value)
    assert "shape is" not in str(caught.value)
    with pytest.raises(InputError, match="steps is 10"):
        check_same_configuration(stored, stored | {"steps": 20}, ignore=())


def test_another_stream_version_is_refused(path, known):
    known.write(path, 1, provenance=known.PROVENANCE | {"stream_version": STREAM_VERSION + 1})
    with pytest.raises(InputError, match="random numbers in another way"):
        EnsembleWriter.resume(path)


def test_the_state_of_another_run_is_refused(path, tmp_path, known):
    known.write(path, 2)
    known.write(tmp_path / "other.h5", 1)
    os.replace(state_path(tmp_path / "other.h5"), state_path(path))
    with pytest.raises(StoreError, match="state of another run"):
        EnsembleWriter.resume(path)
    with open_ensemble(path) as run:
        known.check(run, 2)


def test_values_that_are_not_json_are_refused(path, known):
    for value in (float("nan"), object()):
        with pytest.raises(InputError, match="JSON"):
            known.begin(path, configuration={"beta": value})
    assert names(path.parent) == []


def test_observables_need_names_and_shapes(path, known):
    for series in ({"a/b": (1,)}, {"": (1,)}, {"a": ()}, {"a": (0,)}):
        with pytest.raises(InputError):
            known.begin(path, series=series)
    assert names(path.parent) == []


def test_large_rows_are_cut_into_chunks():
    for shape, itemsize in (((1,), 8), ((64, 4096, 4096), 1), ((2, 4, 32, 32, 32, 32, 3, 3), 16), ((10**6,), 8)):
        chunk = hdf5.choose_chunk(shape, itemsize)
        assert all(1 <= c <= n for c, n in zip(chunk[1:], shape, strict=True))
        assert np.prod(chunk) * itemsize <= 2**20
