import h5py
import numpy as np
import pytest

from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.store.ensemble import Ensemble, open_ensemble


def noise(n=4000, replicas=2, seed=5):
    return np.random.default_rng(seed).normal(size=(n, replicas))


def test_a_live_writer_shows_what_was_safe_when_the_file_was_opened(tmp_path, known):
    path = tmp_path / "run.h5"
    with known.begin(path) as writer:
        with open_ensemble(path) as empty:
            assert (empty.measurements, len(empty.fields), empty.seconds) == (0, 0, 0.0)
        known.extend(writer, 2)
        with open_ensemble(path) as run:
            known.extend(writer, 5)
            known.check(run, 2)
            assert run.seconds == 1.0


def test_a_reader_keeps_its_view_while_the_file_is_replaced(tmp_path, known):
    path = tmp_path / "run.h5"
    known.write(path, 3)
    with open_ensemble(path) as run:
        known.write(path, 1, force=True)
        known.check(run, 3)


def test_fields_are_read_piece_by_piece(tmp_path, known):
    path = tmp_path / "run.h5"
    known.write(path, 3)
    every = known.fields(0, 12)
    with open_ensemble(path) as run:
        for fields in (run.fields, Ensemble.in_memory({}, {}, {}, every).fields):
            assert (fields.shape, fields.dtype, len(fields)) == (every.shape, np.int8, 12)
            for index in (0, -1, slice(2, 7, 2), slice(-3, None), (slice(1, 3), 2), (4, slice(None), 1)):
                np.testing.assert_array_equal(fields[index], every[index])
            np.testing.assert_array_equal(np.asarray(fields), every)
            blocks = list(fields.blocks(5))
            assert [len(block) for block in blocks] == [5, 5, 2]
            np.testing.assert_array_equal(np.concatenate(blocks), every)
            with pytest.raises(IndexError):
                fields[12]
            with pytest.raises(InputError):
                fields[::-1]


def test_series_are_a_mapping_read_once(tmp_path, known):
    known.write(tmp_path / "run.h5", 2)
    with open_ensemble(tmp_path / "run.h5") as run:
        assert list(run.series) == ["energy", "rungs"]
        assert len(run.series) == 2
        assert run.series["energy"] is run.series["energy"]
        with pytest.raises(KeyError):
            run.series["magnetization"]
    with pytest.raises(StoreError):
        run.series["rungs"]


def test_configuration_and_attributes_are_plain_values(tmp_path, known):
    known.write(tmp_path / "run.h5", 1)
    with open_ensemble(tmp_path / "run.h5") as run:
        assert run.configuration == known.CONFIGURATION
        assert known.PROVENANCE.items() <= run.attributes.items()
        assert type(run.attributes["seed"]) is int
        assert run.every == 2


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x89HDF\r\n"])
def test_what_is_no_run_is_bad_input(tmp_path, content):
    path = tmp_path / "run.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"run\.h5"):
        open_ensemble(path)


def test_folders_and_foreign_hdf5_files_are_bad_input(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="not a run file of this program"):
        open_ensemble(tmp_path / "foreign.h5")
    with pytest.raises(InputError, match="directory"):
        open_ensemble(tmp_path)
    with pytest.raises(InputError, match="no path"):
        open_ensemble("a\0b")


def test_analysis_of_independent_measurements(tmp_path):
    data = noise()
    rungs = np.stack([data + 1, data * 2], axis=-1)
    run = Ensemble.in_memory({"every": 3}, {}, {"energy": data, "m": rungs}, seconds=4.0)
    estimates = run.analyze()
    assert list(estimates) == ["energy", "m[0]", "m[1]"]
    assert estimates["energy"].value == pytest.approx(data.mean())
    # Independent measurements every third step: tau_int is 3/2 steps.
    assert abs(estimates["energy"].tau_int - 1.5) < 4 * estimates["energy"].tau_int_error
    assert estimates["m[1]"].value == pytest.approx(2 * data.mean())
    numbers = run.to_json()
    assert list(numbers["energy"]) == ["value", "error", "tau_int", "tau_int_error", "n", "ess", "ess_per_second"]
    assert numbers["energy"]["n"] == 8000
    assert numbers["energy"]["ess_per_second"] == pytest.approx(numbers["energy"]["ess"] / 4)


def test_a_constant_series_and_an_unknown_time_give_null():
    run = Ensemble.in_memory({}, {}, {"energy": np.ones((100, 2))})
    assert run.to_json()["energy"]["tau_int"] is None
    assert run.to_json()["energy"]["ess_per_second"] is None
    assert run.summary().splitlines()[2].split()[-1] == "-"


def test_summary_is_a_table(tmp_path, known):
    known.write(tmp_path / "run.h5", 10)
    with open_ensemble(tmp_path / "run.h5") as run:
        lines = run.summary().splitlines()
        assert lines[0] == "run.h5: 500 measurements x 3 replicas, 5 s"
        assert lines[1].split() == ["observable", "value(error)", "tau_int", "ESS", "ESS/s"]
        assert [line.split()[0] for line in lines[2:5]] == ["energy", "rungs[0]", "rungs[1]"]
        assert len({len(line) for line in lines[1:5]}) == 1
        assert str(run.analyze()["energy"]) in lines[2]


def test_an_empty_run_says_that_there_is_too_little(tmp_path, known):
    known.begin(tmp_path / "run.h5").close()
    with open_ensemble(tmp_path / "run.h5") as run, pytest.raises(InputError, match="measurements"):
        run.summary()


def test_series_in_memory_must_match():
    with pytest.raises(InputError, match="measurements, replicas"):
        Ensemble.in_memory({}, {}, {"a": np.zeros((3, 2)), "b": np.zeros((4, 2))})
    with pytest.raises(InputError, match="measurements, replicas"):
        Ensemble.in_memory({}, {}, {"a": np.zeros(3)})
