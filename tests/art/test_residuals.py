"""Residual statistics: what they must see, what they must not, and the arithmetic under them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter

from pyqmc_art.art import residuals
from pyqmc_art.art.residuals import FEATURES, radial_profile, residual_features, split_bands, triple_frequencies
from pyqmc_art.errors import InputError

RADIAL = slice(12, 12 + residuals.RADIAL_BINS)
ANGULAR = slice(RADIAL.stop, RADIAL.stop + residuals.ANGULAR_BINS)


def noise(seed, size=64, n=1, blur=0.0):
    drawn = np.random.default_rng(seed).normal(128, 40, (n, size, size, 3))
    smooth = gaussian_filter(drawn, (0, blur, blur, 0)) if blur else drawn
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)


class TestVector:
    @pytest.mark.parametrize("size", [32, 33, 64, 101])
    def test_shape_and_finiteness(self, size):
        patches = np.concatenate([noise(1, size), np.zeros((1, size, size, 3), np.uint8)])
        found = residual_features(patches)
        assert found.shape == (2, FEATURES) and found.dtype == np.float32
        assert np.isfinite(found).all()

    def test_none(self):
        assert residual_features(np.empty((0, 64, 64, 3), np.uint8)).shape == (0, FEATURES)

    def test_each_row_depends_on_its_patch_alone(self):
        patches = noise(2, n=4)
        whole = residual_features(patches)
        for i in (3, 0):
            np.testing.assert_array_equal(residual_features(patches[i : i + 1])[0], whole[i])
        np.testing.assert_array_equal(residual_features(patches), whole)

    @pytest.mark.parametrize(
        "wrong", [np.zeros((1, 64, 64, 3), float), np.zeros((64, 64, 3), np.uint8), np.zeros((1, 64, 60, 3), np.uint8),
                  np.zeros((1, 16, 16, 3), np.uint8), np.zeros((1, 64, 64, 1), np.uint8), [1]],
    )  # fmt: skip
    def test_what_is_no_patch_is_refused(self, wrong):
        with pytest.raises(InputError):
            residual_features(wrong)


class TestSpectrum:
    @pytest.mark.parametrize("size", [64, 65])
    def test_white_noise_has_a_flat_profile(self, size):
        """Mean power of white noise is the same in every ring."""
        generator = np.random.default_rng(4)
        power = np.mean([residuals._power(generator.normal(0, 10, (size, size))) for _ in range(60)], axis=0)
        profile = radial_profile(power.astype(np.float32), size, 16)
        # The lowest ring holds few components, and the mean has been taken off there.
        assert np.abs(np.diff(profile[2:])).max() < 0.15

    def test_rings_are_those_of_the_full_transform(self):
        """The half plane with its weights gives the mean over the whole plane."""
        values = np.random.default_rng(5).normal(size=(32, 32)).astype(np.float32)
        full = np.abs(np.fft.fft2(values)) ** 2
        frequency = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)[None, :])
        rings = np.minimum((frequency * 16).astype(int), 8)
        expected = np.log([full[rings == k].mean() + 1 for k in range(8)])
        half = (np.abs(np.fft.rfft2(values)) ** 2).astype(np.float32)
        np.testing.assert_allclose(radial_profile(half, 32, 8), expected - expected.mean(), atol=1e-4)

    def test_a_lattice_shows_at_its_frequency_and_direction(self):
        """A wave of period 4 along the rows, constant down the columns: ring of 1/4 cycle per pixel, direction 0."""
        plain = noise(6, 128, blur=1.0).astype(int)
        lattice = np.tile([12, 0, -12, 0], 32)
        marked = np.clip(plain + lattice[None, None, :, None], 0, 255).astype(np.uint8)
        change = (residual_features(marked) - residual_features(plain.astype(np.uint8)))[0]
        # 1/4 is the edge between two rings.
        assert np.argmax(change[RADIAL]) in (residuals.RADIAL_BINS // 2 - 1, residuals.RADIAL_BINS // 2)
        assert np.argmax(change[ANGULAR]) == 0

    def test_a_turned_picture_has_turned_directions(self):
        patch = noise(7, 96, blur=0.0)
        stripes = gaussian_filter(patch.astype(float), (0, 3, 0, 0)).astype(np.uint8)
        turned = np.ascontiguousarray(np.rot90(stripes, axes=(1, 2)))
        one, other = residual_features(stripes)[0], residual_features(turned)[0]
        np.testing.assert_allclose(one[RADIAL], other[RADIAL], atol=1e-3)
        np.testing.assert_allclose(np.roll(one[ANGULAR], residuals.ANGULAR_BINS // 2), other[ANGULAR], atol=0.2)
        assert np.abs(one[ANGULAR] - other[ANGULAR]).max() > 1


FILTERS = {
    "square 3 x 3": (lambda v: residuals.curve_both(v), np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4),
    "square 5 x 5": (
        lambda v: residuals.curve_wider(residuals.curve_both(v)),
        np.array([[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]])
        / 12,
    ),
    "high pass": (lambda v: residuals.sharpen(v), np.array([[-1, -2, -1], [-2, 12, -2], [-1, -2, -1]]) / 16),
}


class TestFilters:
    @pytest.mark.parametrize("name", FILTERS)
    def test_matrices_of_the_literature(self, name):
        ours, matrix = FILTERS[name]
        values = np.random.default_rng(13).uniform(0, 255, (37, 52)).astype(np.float32)
        margin = len(matrix) // 2
        expected = convolve(values.astype(float), matrix)[margin:-margin, margin:-margin]
        found = ours(values)
        assert found.dtype == np.float32
        # A dozen roundings of numbers below 2^12 in units of 2^-24 of them.
        np.testing.assert_allclose(found, expected, rtol=0, atol=12 * 2.0**-12)

    @pytest.mark.parametrize("name", FILTERS)
    def test_whole_numbers_are_exact(self, name):
        ours, matrix = FILTERS[name]
        values = np.random.default_rng(14).integers(0, 256, (20, 23)).astype(np.float32)
        margin = len(matrix) // 2
        expected = convolve(values.astype(float), matrix)[margin:-margin, margin:-margin].astype(np.float32)
        np.testing.assert_allclose(ours(values), expected, rtol=2.0**-22, atol=1e-12)

    @pytest.mark.parametrize("name", FILTERS)
    def test_one_grey_has_no_residual(self, name):
        assert not FILTERS[name][0](np.full((9, 9), 77, np.float32)).any()


class TestWavelet:
    def test_a_ramp_has_no_details(self):
        """The filter of length 4 has two vanishing moments: constants and ramps are invisible in the bands."""
        y, x = np.mgrid[:24, :30]
        smooth, *bands = split_bands((2 * x + 3 * y + 5).astype(np.float32))
        assert all(np.abs(band).max() < 1e-4 for band in bands)
        assert np.abs(smooth).max() > 1

    def test_white_noise_keeps_its_variance_in_every_band(self):
        bands = split_bands(np.random.default_rng(8).normal(0, 3, (400, 400)).astype(np.float32))
        for band in bands:
            assert abs(band.std() / 3 - 1) < 0.03


class TestTriples:
    def test_number_of_classes_is_burnside(self):
        assert residuals._triple_classes()[1] == 39

    def test_mirror_image_and_negative_are_the_same(self):
        values = np.random.default_rng(9).normal(0, 2, (20, 20)).astype(np.float32)
        expected = triple_frequencies(values, 1.0)
        for image in (values[::-1], values[:, ::-1], -values, values.T):
            np.testing.assert_allclose(triple_frequencies(np.ascontiguousarray(image), 1.0), expected, atol=1e-7)

    def test_by_hand(self):
        """Five columns 0 0 1 1 0 in five rows: across 001, 011, 110 make two classes; down 000 and 111 two others."""
        values = np.tile(np.array([0, 0, 1, 1, 0], np.float32), (5, 1))
        frequencies = np.sort(triple_frequencies(values, 1.0) ** 2)[::-1]
        np.testing.assert_allclose(frequencies[:4], [1 / 3, 9 / 30, 6 / 30, 5 / 30], atol=1e-6)
        assert frequencies[4:].sum() < 1e-6


class TestPower:
    def test_blur_and_compression_move_the_vector(self):
        """Not a threshold of a run: what differs in the process must differ by more than two draws of one process."""
        sharp, other, soft = (residual_features(noise(s, n=6, blur=b)) for s, b in ((10, 0.5), (11, 0.5), (12, 0.8)))
        within = np.abs(sharp.mean(axis=0) - other.mean(axis=0)).mean()
        between = np.abs(sharp.mean(axis=0) - soft.mean(axis=0)).mean()
        assert between > 5 * within
