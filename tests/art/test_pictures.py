"""Every kind of file a folder may hold has its answer; damage is an error naming the path, never anything else."""

import hashlib
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pyqmc_art.art.pictures import (
    Picture,
    UnreadablePicture,
    decode_picture,
    decode_rgba,
    encode_jpeg,
    estimate_quality,
    read_all,
    read_picture,
    sniff_format,
    write_picture,
)
from pyqmc_art.errors import InputError, StoreError


def scene(height=24, width=40, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def saved(path, image, form, **options):
    image.save(path, form, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".tiff"])
def test_lossless_formats_give_back_every_bit(tmp_path, suffix):
    pixels = scene()
    picture = read_picture(write_picture(tmp_path / f"a{suffix}", pixels))
    assert np.array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == np.uint8
    assert (picture.width, picture.height) == (40, 24)
    assert picture.quality is None
    assert picture.warnings == ()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_the_content_is_believed_and_not_the_suffix(tmp_path, form):
    path = saved(tmp_path / "a.txt", Image.fromarray(scene()), form)
    picture = read_picture(path)
    assert picture.format == form
    assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_pillow_does(tmp_path, form, orientation):
    ramp = np.zeros((16, 32, 3), np.uint8)
    ramp[:8, :16] = 250, 20, 20
    ramp[8:, 16:] = 20, 20, 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a", Image.fromarray(ramp), form, exif=exif)
    pixels = read_picture(path).pixels
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's Transpose members
    truth = np.asarray(Image.fromarray(ramp).transpose(turn[orientation]) if orientation > 1 else ramp)
    assert pixels.shape == truth.shape
    assert np.abs(pixels.astype(int) - truth).mean() < 15


@pytest.mark.parametrize("quality", [1, 5, 10, 25, 49, 50, 51, 70, 75, 85, 90, 94, 99, 100])
def test_the_quality_of_a_jpeg_is_found(quality):
    assert decode_picture(encode_jpeg(scene(), quality)).quality == quality


def test_a_foreign_table_gives_the_nearest_quality():
    table = np.array([2] * 64)
    assert 90 < estimate_quality(table) < 100


def test_cmyk_is_converted_with_a_warning(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG")
    picture = read_picture(path)
    assert (picture.pixels > 250).all()
    assert any("CMYK" in w for w in picture.warnings)


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    for form in ("PNG", "TIFF"):
        picture = read_picture(saved(tmp_path / form, Image.fromarray(values), form))
        assert np.array_equal(picture.pixels[..., 0].ravel(), np.arange(256)), form
        assert any("16-bit" in w for w in picture.warnings)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_samples_are_refused(tmp_path, mode):
    path = saved(tmp_path / "a.tif", Image.new(mode, (4, 4)), "TIFF")
    with pytest.raises(UnreadablePicture, match="32-bit"):
        read_picture(path)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF", "BMP"])
def test_few_colours_become_rgb(tmp_path, mode, form):
    grey = Image.fromarray(np.repeat([[0, 255]], 8, axis=0).repeat(8, axis=1).astype(np.uint8))
    picture = read_picture(saved(tmp_path / "a", grey.convert(mode), form))
    assert np.array_equal(picture.pixels, np.asarray(grey.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(tmp_path, mode):
    image = Image.new("RGBA", (2, 1))
    image.putdata([(0, 0, 0, 0), (100, 100, 100, 128)])
    picture = read_picture(saved(tmp_path / "a.png", image.convert(mode), "PNG"))
    expected = round((100 * 128 + 255 * 127) / 255)
    assert picture.pixels.tolist() == [[[255] * 3, [expected] * 3]]
    assert any("white" in w for w in picture.warnings)


def test_an_opaque_alpha_channel_is_no_warning(tmp_path):
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(scene()).convert("RGBA"), "PNG"))
    assert np.array_equal(picture.pixels, scene())
    assert picture.warnings == ()


def test_a_transparent_palette_is_laid_on_white(tmp_path):
    image = Image.new("P", (2, 2), 0)
    image.putpalette([9, 9, 9, 200, 0, 0])
    image.putpixel((1, 1), 1)
    picture = read_picture(saved(tmp_path / "a.gif", image, "GIF", transparency=0))
    assert picture.pixels[0, 0].tolist() == [255] * 3
    assert picture.pixels[1, 1].tolist() == [200, 0, 0]


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(tmp_path, form):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if form == "WEBP" else {}
    path = saved(tmp_path / "a", frames[0], form, save_all=True, append_images=frames[1:], **options)
    picture = read_picture(path)
    assert (picture.pixels == (255, 0, 0)).all()
    assert any("frames" in w for w in picture.warnings)


def test_each_unreadable_file_says_why(tmp_path):
    whole = tmp_path / "whole.jpg"
    write_picture(whole, scene())
    content = whole.read_bytes()
    files = {
        "zero.jpg": (b"", "zero bytes"),
        "paper.jpg": (b"%PDF-1.7 ...", "a PDF document"),
        "words.jpg": (b"This is no picture.\n", "a text"),
        "BM is a brand.jpg": (b"BMW sells cars, not pictures", "a text"),
        "half.jpg": (content[: len(content) // 2], "truncated"),
        "head.png": (b"\x89PNG\r\n\x1a\n", "truncated"),
        "noise.jpg": (bytes(range(1, 256)), "not a picture"),
    }
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    for name, (_, reason) in files.items():
        with pytest.raises(UnreadablePicture, match=reason) as caught:
            read_picture(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert caught.value.exit_status == 2
    for path, reason in ((tmp_path, "directory"), (tmp_path / "none.png", "no such file"), ("/dev/null", "regular")):
        with pytest.raises(UnreadablePicture, match=reason):
            read_picture(path)
    with pytest.raises(UnreadablePicture, match="cannot be read"):
        read_picture("a\0b.png")


def test_a_file_without_permission(tmp_path, monkeypatch):
    path = write_picture(tmp_path / "a.png", scene())
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read everything

        def refuse(self):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(path), "read_bytes", refuse)
    with pytest.raises(UnreadablePicture, match="permission denied"):
        read_picture(path)


def png_header(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (200_001, 1000)])
def test_an_image_bomb_is_refused_by_its_header(size):
    with pytest.raises(UnreadablePicture, match="at most 200000000"):
        decode_picture(png_header(*size))


def test_the_bound_on_pixels_is_the_users(tmp_path):
    path = write_picture(tmp_path / "a.png", scene(10, 10))
    assert read_picture(path, max_pixels=100).width == 10
    with pytest.raises(UnreadablePicture, match="100 pixels; at most 99"):
        read_picture(path, max_pixels=99)
    # Between Pillow's own limits and ours only ours counts: what fails here is the missing data.
    with pytest.raises(UnreadablePicture, match="truncated"):
        decode_picture(png_header(19_000, 10_000))


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(UnreadablePicture, match="bytes"):
        read_picture(path, max_pixels=1000)


def test_paths_with_spaces_and_other_alphabets(tmp_path):
    folder = tmp_path / "日本 の 絵" / "Gemälde ’90"
    folder.mkdir(parents=True)
    path = write_picture(folder / "Кандинский №8 🎨.png", scene())
    assert read_picture(path).path == path
    assert read_picture(str(path)).width == 40


def test_a_folder_is_read_to_its_end(tmp_path):
    good = [write_picture(tmp_path / f"{i}.png", scene(seed=i)) for i in range(3)]
    bad = tmp_path / "bad.png"
    bad.write_bytes(good[0].read_bytes()[:100])
    pictures, failures = read_all([good[0], bad, good[1], tmp_path, good[2]])
    assert [p.path for p in pictures] == good
    assert [f.path for f in failures] == [bad, tmp_path]


WHOLE = {
    form: (lambda b: (Image.fromarray(scene()).save(b, form), b.getvalue())[1])(__import__("io").BytesIO())
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")
}


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(form=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_damage_is_a_picture_or_an_unreadable_picture_and_nothing_else(form, data):
    content = bytearray(WHOLE[form])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    try:
        picture = decode_picture(bytes(content[:cut]), max_pixels=100_000)
    except UnreadablePicture:
        return
    assert isinstance(picture, Picture)
    assert picture.pixels.ndim == 3


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_every_truncation_is_noticed(form):
    content = WHOLE[form]
    for cut in range(1, len(content) - 16, 97):
        with pytest.raises(UnreadablePicture):
            decode_picture(content[:cut])


def test_transparency_can_be_kept():
    pixels = decode_rgba(WHOLE["PNG"])
    assert np.array_equal(pixels[..., :3], scene())
    assert (pixels[..., 3] == 255).all()


def test_sniffing_needs_more_than_two_letters():
    assert sniff_format(b"BM" + bytes(12) + struct.pack("<I", 40)) == "BMP"
    assert sniff_format(b"BM" + b"W" * 30) is None
    assert sniff_format(b"") is None


def test_writing_refuses_what_it_cannot_keep(tmp_path):
    with pytest.raises(InputError, match="suffix"):
        write_picture(tmp_path / "a.xyz", scene())
    with pytest.raises(InputError, match="uint8"):
        write_picture(tmp_path / "a.png", scene().astype(float))
    with pytest.raises(InputError, match="quality"):
        encode_jpeg(scene(), 0)
    with pytest.raises(InputError, match="subsampling"):
        encode_jpeg(scene(), 50, "4:1:0")
    with pytest.raises(StoreError, match="cannot write"):
        write_picture(tmp_path / "none" / "a.png", scene())
    assert list(tmp_path.iterdir()) == []
