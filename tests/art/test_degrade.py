"""Every class goes through one plan, what was done is written down, and doing it again gives the same bytes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqmc_art.art.degrade import Degradation, Equaliser, common_downscale
from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import decode_picture, encode_jpeg
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

STREAM = Stream.from_seed(5)


def scene(height, width, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def identity(height, width, **options):
    return Degradation((0.0, 0.0, float(width), float(height)), (width, height), **options)


def test_nothing_asked_is_nothing_done():
    pixels = scene(20, 30)
    assert np.array_equal(identity(20, 30).apply(pixels), pixels)


def test_the_order_is_resize_blur_noise_jpeg():
    pixels = scene(60, 80)
    done = Degradation((10.0, 5.0, 70.0, 50.0), (40, 30), blur=0.7, noise=3.0, noise_key=9, quality=60)
    small = resample(pixels, (40, 30), box=(10, 5, 70, 50))
    steps = Degradation((0.0, 0.0, 40.0, 30.0), (40, 30), blur=0.7).apply(small)
    steps = Degradation((0.0, 0.0, 40.0, 30.0), (40, 30), noise=3.0, noise_key=9).apply(steps)
    assert np.array_equal(done.apply(pixels), decode_picture(encode_jpeg(steps, 60)).pixels)


def test_the_downscale_factor():
    assert Degradation((0.0, 0.0, 100.0, 100.0), (200, 200)).downscale == 0.5
    assert Degradation((0.0, 0.0, 800.0, 200.0), (100, 100)).downscale == pytest.approx(4.0)


def test_blur_keeps_the_mean_and_lowers_the_variance():
    pixels = scene(64, 64)
    soft = identity(64, 64, blur=2.0).apply(pixels)
    assert abs(soft.mean() - pixels.mean()) < 1
    # White noise through a Gaussian: variance / (4 pi sigma^2).
    assert soft.var() == pytest.approx(pixels.var() / (4 * np.pi * 4), rel=0.2)


def test_noise_has_its_deviation_and_its_key():
    grey = np.full((128, 128, 3), 128, np.uint8)
    noisy = identity(128, 128, noise=5.0, noise_key=1).apply(grey)
    # Rounding adds 1/12; the standard error of the variance of 49152 numbers is 0.64 %.
    assert noisy.astype(float).var() == pytest.approx(25 + 1 / 12, rel=0.03)
    assert np.array_equal(noisy, identity(128, 128, noise=5.0, noise_key=1).apply(grey))
    assert not np.array_equal(noisy, identity(128, 128, noise=5.0, noise_key=2).apply(grey))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    box=st.tuples(st.floats(0, 9), st.floats(0, 9), st.floats(10, 20), st.floats(10, 16)),
    blur=st.floats(0, 3),
    quality=st.integers(0, 100),
    key=st.integers(0, 2**64 - 1),
)
def test_what_is_recorded_can_be_done_again(box, blur, quality, key):
    done = Degradation(box, (9, 8), blur=blur, noise=1.5, noise_key=key, quality=quality)
    again = Degradation.from_json(json.loads(json.dumps(done.to_json())))
    assert again == done
    assert np.array_equal(again.apply(scene(16, 20)), done.apply(scene(16, 20)))


def test_records_that_are_no_degradation():
    record = identity(4, 4).to_json()
    with pytest.raises(InputError, match="did you mean 'quality'"):
        Degradation.from_json(record | {"qualty": 3})
    with pytest.raises(InputError, match="box with 4 numbers"):
        Degradation.from_json({"size": [1, 1]})
    for wrong in ({"blur": -1.0}, {"noise": float("nan")}, {"quality": 101}):
        with pytest.raises(InputError):
            identity(4, 4, **wrong)


def test_every_picture_has_one_size_and_a_quality_in_the_range():
    plan = Equaliser(size=64, quality=(70, 90))
    for number, (height, width) in enumerate([(64, 64), (200, 100), (90, 300), (30, 40)]):
        pixels, done = plan.apply(scene(height, width), f"sha{number}", STREAM)
        assert pixels.shape == (64, 64, 3)
        assert 70 <= done.quality <= 90
        assert done.downscale == pytest.approx(min(height, width) / 64)


def test_the_middle_is_kept():
    done = Equaliser(size=64).plan(300, 100, "x", STREAM)
    assert done.box == (100.0, 0.0, 200.0, 100.0)


def test_an_equal_factor_is_equal_for_all():
    sizes = [(1424, 1847), (768, 768), (512, 600)]
    factor = common_downscale(sizes, 256)
    assert factor == 2.0
    plan = Equaliser(size=256, factor=factor)
    for width, height in sizes:
        done = plan.plan(width, height, "x", STREAM)
        assert done.downscale == factor
        assert done.box[0] == (width - 512) / 2
    with pytest.raises(InputError, match="largest factor it affords is 1"):
        plan.plan(256, 300, "x", STREAM)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=1, max_size=5), st.integers(8, 500))
def test_the_common_factor_is_afforded_by_all(sizes, size):
    plan = Equaliser(size=size, factor=common_downscale(sizes, size))
    for width, height in sizes:
        left, top, right, bottom = plan.plan(width, height, "x", STREAM).box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_draws_depend_on_the_content_and_the_stream_only():
    plan = Equaliser(blur=(0.0, 1.0), noise=(0.0, 4.0))
    first = {sha: plan.plan(300, 400, sha, STREAM) for sha in ("a", "b", "c")}
    second = {sha: plan.plan(300, 400, sha, STREAM) for sha in ("c", "a", "b")}
    assert first == second
    assert len({d.noise_key for d in first.values()}) == 3
    assert plan.plan(300, 400, "a", Stream.from_seed(6)) != first["a"]


def test_qualities_are_uniform_over_the_range():
    plan = Equaliser(quality=(70, 79))
    counts = np.bincount([plan.plan(9, 9, str(i), STREAM).quality for i in range(2000)], minlength=80)[70:]
    assert counts.sum() == 2000
    assert ((counts - 200) ** 2 / 200).sum() < 33.7  # chi-square, 9 degrees of freedom, p = 1e-4


def test_the_qualities_of_all_classes_come_from_one_distribution():
    """Planted bias: all files of one class are JPEGs of quality 85, all of the other lossless and smaller."""
    plan = Equaliser(size=64)
    drawn = {}
    for name, side, quality in (("diffusion", 96, 85), ("gan", 64, 0)):
        drawn[name] = []
        for number in range(40):
            pixels = scene(side, side, number)
            pixels = decode_picture(encode_jpeg(pixels, quality)).pixels if quality else pixels
            result, done = plan.apply(pixels, f"{name} {number}", STREAM)
            assert result.shape == (64, 64, 3)
            drawn[name].append(done.quality)
    # Two samples of 40 from uniform(70..90): the difference of means has the standard deviation 6.06 sqrt(2/40) = 1.35.
    assert abs(np.mean(drawn["diffusion"]) - np.mean(drawn["gan"])) < 4 * 1.35
    assert len(set(drawn["diffusion"])) > 10


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 4},
        {"factor": "half"},
        {"factor": 0.0},
        {"factor": float("nan")},
        {"quality": (90, 70)},
        {"quality": (0, 50)},
        {"blur": (-1.0, 0.0)},
        {"noise": (0.0, float("inf"))},
    ],
)
def test_plans_that_cannot_be(wrong):
    with pytest.raises(InputError):
        Equaliser(**wrong)


def test_no_picture_has_no_common_factor():
    with pytest.raises(InputError, match="no picture"):
        common_downscale([], 64)
