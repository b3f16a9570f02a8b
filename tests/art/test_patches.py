"""Patches: the pyramid rule with its boundaries, and resampling equal to Pillow's to the bit."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqmc_art import backends
from pyqmc_art.art.patches import choose_levels, make_patches, plan_patches, resample
from pyqmc_art.errors import InputError
from pyqmc_art.ops import images

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


def random_image(rng, height, width, channels=3):
    """Noise, or a ramp whose edges overshoot: both signs of the clipping are met."""
    if rng.random() < 0.3:
        checks = (np.indices((height, width)).sum(axis=0) // int(rng.integers(1, 9)) % 2 * 255).astype(np.uint8)
        return np.repeat(checks[:, :, None], channels, axis=2)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


FENCED = """
import ctypes
import numpy as np
from pyqmc_art.ops import images

system = ctypes.CDLL(None)
system.mmap.restype = ctypes.c_void_p
system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
system.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
fence, room = 65536, 65536
begin = system.mmap(None, room + 2 * fence, 3, 0x22, -1, 0) + fence  # private and anonymous, to read and write
assert system.mprotect(begin - fence, fence, 0) == 0 and system.mprotect(begin + room, fence, 0) == 0
rng = np.random.default_rng(11)
for trial in range(600):
    height, width = (int(n) for n in rng.integers(1, 90, 2))
    channels = 1 + trial % 4
    size = height * width * channels
    out = np.zeros((1, *rng.integers(1, 50, 2), channels), np.uint8)
    box = np.array([[rng.integers(0, width), 0, width, height]], np.float32)
    for at in (begin, begin + room - size):
        picture = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(at)).reshape(height, width, channels)
        picture[:] = 7
        images.resample("cpp")(picture, box, out, "bicubic", 1)
        assert np.all(out == 7)
print("within")
"""


class TestPillow:
    @pytest.mark.parametrize("filter", FILTERS)
    @pytest.mark.parametrize("backend", FAST)
    def test_any_size_any_box(self, backend, filter):
        rng = np.random.default_rng(list(filter.encode()))
        for trial in range(40):
            height, width = (int(n) for n in rng.integers(2, 150, 2))
            image = random_image(rng, height, width)
            size = tuple(int(n) for n in rng.integers(1, 120, 2))
            box = None
            if trial % 4:
                x, y = np.sort(rng.random(2)) * width, np.sort(rng.random(2)) * height
                box = tuple(float(np.float32(v)) for v in (x[0] * 0.9, y[0] * 0.9, x[1], y[1]))
                if box[2] - box[0] < 0.1 or box[3] - box[1] < 0.1:
                    continue
            result = resample(image, size, box, filter, backend=backend, threads=1 + trial % 3)
            np.testing.assert_array_equal(
                result, by_pillow(image, size, filter, box), err_msg=f"{image.shape} {box} {size}"
            )

    def test_plain_python_agrees(self):
        image = np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        box = (1.25, 0.5, 10.75, 8.0)
        for filter in FILTERS:
            result = resample(image, (5, 14), box, filter, backend="python")
            np.testing.assert_array_equal(result, by_pillow(image, (5, 14), filter, box))

    @pytest.mark.parametrize("backend", FAST)
    def test_grayscale(self, backend):
        image = np.random.default_rng(4).integers(0, 256, (60, 45), dtype=np.uint8)
        np.testing.assert_array_equal(resample(image, (20, 31), backend=backend), by_pillow(image, (20, 31), "bicubic"))

    @compiled
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_every_instruction_set(self, isa, channels):
        """Sizes around the lanes of a register, wide pictures and enlargements; each channel is one of Pillow's."""
        rng = np.random.default_rng(50 + channels)
        for trial in range(30):
            height, width = (int(n) for n in rng.integers(1, (40, 1200) if trial % 2 else (300, 70)))
            image, size = random_image(rng, height, width, channels), tuple(int(n) for n in rng.integers(1, 90, 2))
            filter = list(FILTERS)[trial % 4]
            result = resample(image, size, filter=filter, backend="cpp", threads=1 + trial % 2)
            for c in range(channels):
                expected = by_pillow(image[:, :, c].copy(), size, filter)
                np.testing.assert_array_equal(result[:, :, c], expected, err_msg=f"{image.shape} {size} {filter}")

    @compiled
    def test_a_large_picture(self, isa):
        image = random_image(np.random.default_rng(5), 700, 1903)
        box = (3.5, 2.25, 1900.0, 699.5)
        result = resample(image, (224, 224), box, backend="cpp")
        np.testing.assert_array_equal(result, by_pillow(image, (224, 224), "bicubic", box))

    @compiled
    @pytest.mark.parametrize("threads", [1, 2, 5, 40])
    def test_many_cuts_that_overlap(self, isa, threads):
        """They go down the picture together, as far as memory allows, and each is Pillow's, wherever threads part."""
        rng = np.random.default_rng(60)
        image = random_image(rng, 400, 310)
        corners = np.sort(rng.random((80, 2, 2)), axis=1) * (300, 390)
        boxes = np.concatenate([corners[:, 0], corners[:, 1] + 2], axis=1).astype(np.float32)
        boxes[:3] = [(0, 0, 310, 400), (0, 399, 310, 400), (5, 0, 6, 400)]
        out = np.zeros((len(boxes), 130, 120, 3), np.uint8)
        images.resample("cpp")(image, boxes, out, "bicubic", threads)
        for box, cut in zip(boxes.tolist(), out, strict=True):
            np.testing.assert_array_equal(cut, by_pillow(image, (120, 130), "bicubic", tuple(box)), err_msg=str(box))

    @compiled
    @pytest.mark.parametrize("level", [0, 1, 127, 128, 254, 255])
    def test_one_colour_stays(self, isa, level):
        """The largest sums of either sign: all bytes equal, and stripes as wide as the lobes of the filter."""
        image = np.full((50, 300, 3), level, np.uint8)
        for filter in FILTERS:
            assert np.all(resample(image, (21, 19), filter=filter, backend="cpp") == level)
        stripes = np.where(np.arange(300)[None, :, None] // 14 % 2, 255 - level, level).astype(np.uint8)
        image = np.ascontiguousarray(np.broadcast_to(stripes, (50, 300, 3)))
        for filter in FILTERS:
            result = resample(image, (21, 19), filter=filter, backend="cpp")
            np.testing.assert_array_equal(result, by_pillow(image, (21, 19), filter))

    @compiled
    @pytest.mark.parametrize(("size", "shape"), [((2, 3), (4, 40_000)), ((7, 1), (9_000, 91))])
    def test_filters_of_thousands_of_taps(self, isa, size, shape):
        """Too wide for the registers' tables: the plain loops."""
        image = np.random.default_rng(9).integers(0, 256, (*shape, 3), dtype=np.uint8)
        np.testing.assert_array_equal(resample(image, size, backend="cpp"), by_pillow(image, size, "bicubic"))

    @compiled
    def test_a_planted_error_of_one_level_in_one_pixel_is_seen(self, isa):
        """The smallest change of the source reaches the result, wherever it is: nobody skips the edges."""
        image = np.full((23, 37, 3), 100, np.uint8)
        plain = resample(image, (37, 23), backend="cpp")
        for y, x, c in [(0, 0, 0), (22, 36, 2), (22, 0, 1), (0, 36, 0), (11, 35, 2), (16, 16, 1)]:
            changed = image.copy()
            changed[y, x, c] += 1
            assert np.argwhere(resample(changed, (37, 23), backend="cpp") != plain).tolist() == [[y, x, c]]

    @compiled
    @pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for pages that may not be read")
    def test_no_byte_outside_the_picture_is_read(self, isa):
        """Pictures that begin or end where memory does; a read beyond kills the process."""
        run = subprocess.run([sys.executable, "-c", FENCED], capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (0, "within\n"), run.stderr

    def test_a_crop_is_read_in_place_and_its_surroundings_do_not_matter(self):
        big = np.random.default_rng(6).integers(0, 256, (90, 80, 3), dtype=np.uint8)
        crop = big[20:70, 10:60]
        np.testing.assert_array_equal(resample(crop, (17, 23)), by_pillow(crop.copy(), (17, 23), "bicubic"))

    def test_the_last_rows_of_memory(self):
        """Pictures of all small widths: vector loads at the end of the last row must not use what lies beyond."""
        rng = np.random.default_rng(7)
        for width in range(2, 40):
            image = rng.integers(0, 256, (3, width, 3), dtype=np.uint8)
            np.testing.assert_array_equal(resample(image, (7, 3)), by_pillow(image, (7, 3), "bicubic"))

    def test_a_planted_error_of_one_weight_is_seen(self):
        image = random_image(np.random.default_rng(8), 100, 100)
        shifted = resample(image, (50, 50), (0.25, 0.0, 100.0, 100.0))
        assert not np.array_equal(shifted, by_pillow(image, (50, 50), "bicubic"))

    def test_real_paintings(self):
        root = os.environ.get("PYQMC_ART_DATA")
        if not root:
            pytest.skip("PYQMC_ART_DATA is not set")
        paths = sorted(os.scandir(os.path.join(root, "paintings")), key=lambda entry: entry.name)[:6]
        for path in paths:
            image = np.asarray(PIL_Image.open(path.path).convert("RGB"))
            patches = make_patches(image)
            for pixels, box in zip(patches.pixels, patches.boxes, strict=True):
                np.testing.assert_array_equal(pixels, by_pillow(image, (224, 224), "bicubic", tuple(box.tolist())))


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
        image = random_image(np.random.default_rng(71), 600, 540)
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


class TestPyramid:
    @pytest.mark.parametrize(
        ("width", "height", "levels"),
        [
            (1024, 1024, (1, 2, 4)),
            (1023, 5000, (1, 2)),
            (5000, 1024, (1, 2, 4)),
            (512, 512, (1, 2)),
            (511, 2000, (1,)),
            (1, 1, (1,)),
        ],
    )
    def test_rule_and_its_boundaries(self, width, height, levels):
        assert choose_levels(width, height) == levels
        boxes, each = plan_patches(width, height)
        assert len(boxes) == sum(k * k for k in levels) == len(each)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(8, 3000), st.integers(8, 3000), st.sampled_from(["center", "squash"]))
    def test_cells_lie_inside_and_do_not_overlap_within_a_level(self, width, height, square):
        boxes, levels = plan_patches(width, height, (1, 2, 4), square)
        assert np.all(boxes[:, :2] >= 0) and np.all(boxes[:, 2] <= width) and np.all(boxes[:, 3] <= height)
        sides = boxes[:, 2:] - boxes[:, :2]
        if square == "center":
            np.testing.assert_allclose(sides[:, 0], sides[:, 1], rtol=0, atol=1e-3)
        else:
            area = sides.prod(axis=1)
            for k in (1, 2, 4):
                np.testing.assert_allclose(area[levels == k].sum(), width * height, rtol=1e-5)
        for k in (2, 4):
            cells = boxes[levels == k]
            for i, a in enumerate(cells):
                for b in cells[i + 1 :]:
                    apart = a[2] <= b[0] + 1e-3 or b[2] <= a[0] + 1e-3 or a[3] <= b[1] + 1e-3 or b[3] <= a[1] + 1e-3
                    assert apart

    def test_order_is_level_by_level_row_by_row(self):
        boxes, _ = plan_patches(1200, 1200)
        assert boxes[1:5, :2].tolist() == [[0, 0], [600, 0], [0, 600], [600, 600]]

    def test_patches_are_the_same_on_any_number_of_threads(self):
        image = np.random.default_rng(1).integers(0, 256, (530, 610, 3), dtype=np.uint8)
        one = make_patches(image, threads=1)
        for threads in (2, 3, 8):
            np.testing.assert_array_equal(make_patches(image, threads=threads).pixels, one.pixels)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resample(np.zeros((4, 4, 3)), (2, 2)), "float64"),
        (lambda: resample(np.zeros((4, 4, 3), np.int32), (2, 2)), "int32"),
        (lambda: resample([[1]], (2, 2)), "list"),
        (lambda: resample(np.zeros((4, 4, 5), np.uint8), (2, 2)), "5 channels"),
        (lambda: resample(np.zeros((0, 4, 3), np.uint8), (2, 2)), "shape"),
        (lambda: resample(np.zeros((4, 4, 3), np.uint8), (0, 2)), "size"),
        (lambda: resample(np.zeros((4, 4, 3), np.uint8), (2.5, 2)), "size"),
        (lambda: resample(np.zeros((4, 4, 3), np.uint8), (2, 2), (0, 0, 5, 4)), "box"),
        (lambda: resample(np.zeros((4, 4, 3), np.uint8), (2, 2), (2, 0, 2, 4)), "box"),
        (lambda: resample(np.zeros((4, 4, 3), np.uint8), (2, 2), (float("nan"), 0, 2, 4)), "box"),
        (lambda: resample(np.zeros((4, 4, 3), np.uint8), (2, 2), filter="bicubik"), "bicubic"),
        (lambda: plan_patches(0, 5), "0 x 5"),
        (lambda: plan_patches(5, 5, (0,)), "levels"),
        (lambda: plan_patches(5, 5, "all"), "levels"),
        (lambda: plan_patches(5, 5, square="centre"), "center"),
    ],
)
def test_bad_input_says_what_was_given(call, words):
    with pytest.raises(InputError, match=words):
        call()
