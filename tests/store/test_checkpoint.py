import numpy as np
import pytest

from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.store.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


@pytest.mark.parametrize("dtype", [np.int8, np.int16, bool, np.float64, np.complex128, ">f4"])
def test_arrays_come_back_as_they_were(tmp_path, known, dtype):
    arrays = {"a": np.arange(12).reshape(3, 4).astype(dtype), "transposed": np.arange(6).astype(dtype).reshape(2, 3).T}
    before = Checkpoint(5, arrays, 3, 1, {"seconds": 1.5, "name": "ü"})
    write_checkpoint(tmp_path / "s", before, "run")
    after, run = read_checkpoint(tmp_path / "s")
    assert run == "run"
    assert after.seconds == 1.5
    known.same_state(after, before)
    after.arrays["a"][0] = 1


def test_a_file_cut_anywhere_is_refused(tmp_path, known):
    path = tmp_path / "s"
    write_checkpoint(path, known.state(1), "run")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="not an intact kernel state"):
            read_checkpoint(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(StoreError, match="bytes instead of"):
        read_checkpoint(path)


def test_a_flipped_bit_anywhere_is_refused(tmp_path, known):
    path = tmp_path / "s"
    write_checkpoint(path, known.state(1), "run")
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(StoreError):
            read_checkpoint(path)


def test_a_missing_file_says_that_the_run_cannot_go_on(tmp_path):
    with pytest.raises(StoreError, match="cannot go on"):
        read_checkpoint(tmp_path / "none")


def test_objects_are_refused_and_the_old_state_stays(tmp_path, known):
    path = tmp_path / "s"
    write_checkpoint(path, known.state(1), "run")
    before = path.read_bytes()
    with pytest.raises(InputError, match="dtype object"):
        write_checkpoint(path, Checkpoint(1, {"a": np.array([{}], object)}), "run")
    with pytest.raises(InputError, match="JSON"):
        write_checkpoint(path, Checkpoint(1, {}, facts={"a": object()}), "run")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_replacement_leaves_the_old_state(tmp_path, known, monkeypatch):
    path = tmp_path / "s"
    write_checkpoint(path, known.state(1), "run")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(path, known.state(2), "run")
    known.same_state(read_checkpoint(path)[0], known.state(1))
    assert list(tmp_path.iterdir()) == [path]
