"""Fingerprints that a model keeps: encodings of a training picture are found, copies and strangers are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.art.collection import make_collection
from pyqmc_art.art.duplicates import take_fingerprint
from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import decode_picture, encode_jpeg
from pyqmc_art.art.prints import Prints, compare_details
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream


@pytest.fixture(scope="module")
def works():
    """Eight originals, and eight forgeries by the very hand, which repeat some of the originals' motifs."""
    counts = {"original": 8, "forgery": 8}
    return [pixels for pixels, _ in make_collection(Stream.from_seed(3), counts, size=160, gap=0.0, copies=True)]


@pytest.fixture(scope="module")
def prints(works):
    return Prints.of(take_fingerprint(pixels) for pixels in works[:8])


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_another_encoding_is_the_same_capture(works, prints, quality):
    for number in range(8):
        found = prints.find(take_fingerprint(decode_picture(encode_jpeg(works[number], quality)).pixels))
        assert found is not None
        assert (found.number, found.same_capture, found.close) == (number, True, True)


def test_another_size_is_the_same_capture(works, prints):
    for side in (110, 240):
        found = prints.find(take_fingerprint(resample(works[2], (side, side))))
        assert found is not None
        assert (found.number, found.same_capture) == (2, True)


def test_a_copy_by_the_very_hand_is_not_the_same_capture(works, prints):
    """The motif is the same, the strokes are other strokes: nobody may give the copy the original's score."""
    found = [prints.find(take_fingerprint(pixels)) for pixels in works[8:]]
    assert any(one is not None and one.close for one in found)
    assert not any(one is not None and one.same_capture for one in found)


def test_a_crop_is_close(works, prints):
    found = prints.find(take_fingerprint(works[1][6:-6, 6:-6]))
    assert found is not None
    assert (found.number, found.close) == (1, True)


def test_a_stranger_is_not_found(prints):
    noise = np.random.default_rng(5).integers(0, 256, (160, 160, 3), np.uint8)
    assert prints.find(take_fingerprint(noise)) is None


def test_they_come_back_from_a_file(prints, works):
    again = Prints.from_tensors(prints.tensors())
    for one, other in zip(prints.items, again.items, strict=True):
        np.testing.assert_array_equal(one.hashes, other.hashes)
        np.testing.assert_array_equal(one.grey, other.grey)
    assert again.find(take_fingerprint(works[4])) == prints.find(take_fingerprint(works[4]))


@pytest.mark.parametrize("name", ["hashes", "shapes", "grey"])
def test_what_does_not_fit_together_is_refused(prints, name):
    tensors = prints.tensors()
    for damaged in ({k: v for k, v in tensors.items() if k != name}, tensors | {name: tensors[name][:-1]}):
        with pytest.raises(InputError, match="fingerprints cannot be read"):
            Prints.from_tensors(damaged)


def test_flat_pictures_have_no_details():
    flat = np.full((40, 50), 9, np.uint8)
    assert compare_details(flat, flat) == 0.0
