"""Resampling of numbers and of pictures with opacity, as Pillow's modes F, LA and RGBA; and what memory it takes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pyqmc_art import backends
from pyqmc_art.art.patches import make_patches, resample
from pyqmc_art.errors import InputError

PIL_Image = pytest.importorskip("PIL.Image")
FILTERS = {
    "box": PIL_Image.Resampling.BOX,
    "bilinear": PIL_Image.Resampling.BILINEAR,
    "bicubic": PIL_Image.Resampling.BICUBIC,
    "lanczos": PIL_Image.Resampling.LANCZOS,
}
FAST = [name for name in backends.list_available() if name in ("cpp", "numba")]
compiled = pytest.mark.skipif("cpp" not in FAST, reason="the compiled module is not installed")


@pytest.fixture(params=["baseline", "avx2", "avx512"])
def isa(request, monkeypatch):
    """Each build of the compiled loops that this processor runs, one after the other."""
    core = pytest.importorskip("pyqmc_art._core", reason="the compiled module is not installed")
    if request.param not in core.available_isas():
        pytest.skip(f"this processor or build has no {request.param}")
    monkeypatch.setenv("PYQMC_ISA", request.param)
    return request.param


def by_pillow(image, size, filter, box=None):
    return np.asarray(PIL_Image.fromarray(image).resize(size, FILTERS[filter], box=box))


class TestOpacity:
    @pytest.mark.parametrize("channels", [2, 4])
    @pytest.mark.parametrize("filter", FILTERS)
    def test_pillow_of_pictures_with_opacity(self, filter, channels):
        rng = np.random.default_rng([80, channels, *filter.encode()])
        for size, box in [((17, 40), None), ((90, 70), (2.5, 1.0, 40.0, 33.25)), ((50, 60), None)]:
            image = rng.integers(0, 256, (60, 50, channels), dtype=np.uint8)
            image[:20, :, -1], image[20:30, :, -1] = 0, 255
            image[30:40, :, -1] = rng.integers(0, 3, (10, 50))
            result = resample(image, size, box, filter, opacity=True)
            np.testing.assert_array_equal(result, by_pillow(image, size, filter, box))
            if size != (50, 60):
                assert not np.array_equal(resample(image, size, box, filter), result)

    def test_without_it_channels_are_independent(self):
        image = np.random.default_rng(81).integers(0, 256, (30, 20, 4), dtype=np.uint8)
        separate = [by_pillow(np.ascontiguousarray(image[:, :, c]), (9, 8), "bicubic") for c in range(4)]
        np.testing.assert_array_equal(resample(image, (9, 8)), np.stack(separate, axis=-1))

    @pytest.mark.parametrize("image", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 4), np.float32)])
    def test_only_for_bytes_with_a_channel_of_it(self, image):
        with pytest.raises(InputError, match="opacity last"):
            resample(image, (2, 2), opacity=True)


def real_image(rng, height, width, channels=3):
    """Numbers of very unequal size and both signs: sums in another order are rounded otherwise."""
    sign = rng.choice([-1.0, 1.0], (height, width, channels))
    return (sign * 10.0 ** rng.uniform(-4, 4, (height, width, channels))).astype(np.float32)


def assert_mode_f(result, image, filter, expected):
    """To the bit; but for Lanczos, whose sines another library may round otherwise, which cancellation can show."""
    slack = 2.0**-48 * np.abs(image).max() if filter == "lanczos" else 0
    np.testing.assert_allclose(result, expected, rtol=2.0**-23 if slack else 0, atol=slack)


class TestFloat:
    """Each channel is Pillow's mode F."""

    @pytest.mark.parametrize("filter", FILTERS)
    @pytest.mark.parametrize("backend", FAST)
    def test_any_size_any_box(self, backend, filter):
        rng = np.random.default_rng([1, *filter.encode()])
        for trial in range(16):
            height, width = (int(n) for n in rng.integers(2, 150, 2))
            image = real_image(rng, height, width, 1 + trial % 4)
            size = tuple(int(n) for n in rng.integers(1, 120, 2))
            corners = np.sort(rng.random((2, 2)), axis=0) * (width - 1, height - 1) + [(0, 0), (1, 1)]
            box = tuple(float(np.float32(v)) for v in corners.ravel()) if trial % 3 else None
            result = resample(image, size, box, filter, backend=backend, threads=1 + trial % 3)
            assert result.dtype == np.float32
            for c in range(image.shape[2]):
                expected = by_pillow(np.ascontiguousarray(image[:, :, c]), size, filter, box)
                assert_mode_f(result[:, :, c], image[:, :, c], filter, expected)

    def test_plain_python_agrees(self):
        image = real_image(np.random.default_rng(20), 9, 12)
        result = resample(image, (5, 14), (1.25, 0.5, 10.75, 8.0), backend="python")
        np.testing.assert_array_equal(result, resample(image, (5, 14), (1.25, 0.5, 10.75, 8.0)))

    @compiled
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_every_instruction_set(self, isa, channels):
        """Pieces of a row, wide pictures and enlargements."""
        rng = np.random.default_rng(70 + channels)
        for trial, (height, width) in enumerate([(40, 9000), (1, 1), (7, 700), (300, 33), (9, 2)]):
            image, size = real_image(rng, height, width, channels), tuple(int(n) for n in rng.integers(1, 90, 2))
            filter = list(FILTERS)[trial % 4]
            result = resample(image, size, filter=filter, backend="cpp", threads=1 + trial % 2)
            for c in range(channels):
                expected = by_pillow(image[:, :, c].copy(), size, filter)
                assert_mode_f(result[:, :, c], image[:, :, c], filter, expected)

    @compiled
    def test_patches_of_whole_levels_agree_with_bytes(self, isa):
        """Grey levels as numbers: within the roundings of the bytes, half a level after each pass."""
        image = np.random.default_rng(71).integers(0, 256, (600, 540, 3), dtype=np.uint8)
        numbers, levels = make_patches(image.astype(np.float32), 64), make_patches(image, 64)
        apart = np.abs(np.clip(numbers.pixels, 0, 255) - levels.pixels)
        # Half a level after each pass; the second one's weights add up to less than 1.5 in modulus.
        assert apart.max() <= 0.5 + 1.5 * 0.5 and numbers.pixels.shape == levels.pixels.shape == (5, 64, 64, 3)
        for threads in (2, 7):
            np.testing.assert_array_equal(
                make_patches(image.astype(np.float32), 64, threads=threads).pixels, numbers.pixels
            )

    def test_what_is_not_finite_stays_where_it_is(self):
        image = np.zeros((40, 60), np.float32)
        image[20, 30], image[5, 50] = np.inf, np.nan
        result = resample(image, (30, 20))
        np.testing.assert_array_equal(result, by_pillow(image, (30, 20), "bicubic"))
        assert 0 < np.count_nonzero(~np.isfinite(result)) < 60

    @compiled
    def test_a_crop_is_read_in_place(self):
        big = real_image(np.random.default_rng(72), 90, 80)
        crop = big[20:70, 10:60]
        np.testing.assert_array_equal(resample(crop, (17, 23)), resample(crop.copy(), (17, 23)))


FRUGAL = """
import resource
import sys
import numpy as np
from pyqmc_art.art.patches import plan_patches
from pyqmc_art.ops import images

threads, dtype = int(sys.argv[1]), np.dtype(sys.argv[2])
run = images.resample("cpp") if dtype == np.uint8 else images.resample_real("cpp")
picture = np.full((3000, 4000, 3), 7, dtype)
boxes = plan_patches(4000, 3000, (1, 2, 4), "squash")[0]
out = np.zeros((len(boxes), 224, 224, 3), dtype)
run(picture[:64, :64], boxes[:1] / 1000, out[:1], "bicubic", threads)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
used = 1024 * int(status["VmData"].split()[0])
limit = resource.getrlimit(resource.RLIMIT_DATA)
resource.setrlimit(resource.RLIMIT_DATA, (used + 2 * 2**20, limit[1]))
run(picture, boxes, out, "bicubic", threads)
try:
    picture.copy()
except MemoryError:
    print("frugal")
resource.setrlimit(resource.RLIMIT_DATA, limit)
assert np.all(out == 7)
"""


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for a limit of memory")
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_memory_is_a_mebibyte_for_weights_and_one_for_each_thread(dtype):
    """A copy of the source, 36 MB and more, does not fit, as the script shows."""
    run = subprocess.run([sys.executable, "-c", FRUGAL, "1", dtype], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "frugal\n"), run.stderr
