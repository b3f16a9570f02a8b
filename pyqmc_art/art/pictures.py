"""Pictures read and written: the orientation applied, always RGB uint8, the content believed and never the suffix."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pyqmc_art.art.sniffing import estimate_quality, name_stranger, sniff_format
from pyqmc_art.errors import InputError, StoreError, unknown

Pixels: TypeAlias = NDArray[np.uint8]
"""Shape ``(H, W, 3)``, RGB, C-contiguous."""

MAX_PIXELS: Final = 200_000_000
"""Pixels of the largest picture that is decoded unless more are asked for: 600 MB of RGB."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")
_BYTES_PER_PIXEL: Final = 16  # no picture of an accepted size needs a longer file; what is longer is not read at all
_SPARE_BYTES: Final = 64 * 2**20
_WRITTEN: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF",
                   ".bmp": "BMP"}  # fmt: skip
_SUBSAMPLINGS: Final = ("4:4:4", "4:2:2", "4:2:0")
_ORIENTATION_TAG: Final = 0x0112

# What Pillow raises for damaged files; each has been seen in fuzzing or stands in its decoders.
_DAMAGE: Final = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError,
    MemoryError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


class UnreadablePicture(InputError):
    """A file that is no picture, or a damaged one; ``path`` and ``reason`` are kept apart."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(str(path), reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Parameters
    ----------
    pixels : RGB, shape ``(H, W, 3)``, the EXIF orientation applied
    path : the file it came from
    format : what the content is, one of ``FORMATS``, whatever the suffix says
    sha256 : of the file's bytes, in hexadecimal
    quality : estimated JPEG quality, 1 to 100; None for other formats
    warnings : what was changed or lost in reading, in words
    """

    pixels: Pixels = field(repr=False)
    path: Path
    format: str
    sha256: str
    quality: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.pixels.shape[0])


def _read_bytes(path: Path, max_pixels: int) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UnreadablePicture(path, "is a directory, not a picture")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadablePicture(path, "is not a regular file")
        limit = _BYTES_PER_PIXEL * max_pixels + _SPARE_BYTES
        if status.st_size > limit:
            raise UnreadablePicture(path, f"has {status.st_size} bytes; more than {limit} are not read")
        content = path.read_bytes()
    except FileNotFoundError:
        raise UnreadablePicture(path, "there is no such file") from None
    except PermissionError:
        raise UnreadablePicture(path, "may not be read (permission denied)") from None
    except (OSError, ValueError) as error:
        raise UnreadablePicture(path, f"cannot be read ({error})") from None
    if not content:
        raise UnreadablePicture(path, "is empty (zero bytes)")
    return content


def _open(content: bytes, path: Path, max_pixels: int) -> ImageFile.ImageFile:
    """Parse the header with the reader of this format: Pillow's own choice has global limits and more formats."""
    found = sniff_format(content[:32])
    if found is None:
        expected = "JPEG, PNG, WebP, TIFF, GIF or BMP"
        raise UnreadablePicture(path, f"is {name_stranger(content)}, not a picture; expected {expected}")
    readers = {"JPEG": JpegImageFile, "PNG": PngImageFile, "WEBP": WebPImageFile, "TIFF": TiffImageFile,
               "GIF": GifImageFile, "BMP": BmpImageFile}  # fmt: skip
    try:
        image: ImageFile.ImageFile = readers[found](io.BytesIO(content))
    except _DAMAGE as error:
        raise UnreadablePicture(path, f"is a damaged or truncated {found} ({error})") from None
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadablePicture(
            path, f"has {width} x {height} = {width * height} pixels; at most {max_pixels} are decoded (max_pixels)"
        )
    return image


def _orient(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo the camera's rotation (EXIF 2.3, tag Orientation)."""
    turned = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }
    return np.ascontiguousarray(turned[orientation](pixels)) if orientation in turned else pixels


def _orientation(image: ImageFile.ImageFile, notes: list[str]) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _DAMAGE:
        notes.append("the EXIF data are damaged: no orientation was applied")
        return 1


def _convert(image: ImageFile.ImageFile, path: Path, notes: list[str]) -> NDArray[np.uint8]:
    """Bring any mode to RGB or RGBA."""
    mode = image.mode
    if mode.startswith("I;16"):
        # 65535 = 255 * 257, so that white stays white.
        grey = ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)
        notes.append("16-bit samples were scaled to 8 bits")
        return np.repeat(grey[..., None], 3, axis=2)
    if mode in ("I", "F"):
        raise UnreadablePicture(path, f"has 32-bit samples (mode {mode}), whose white is unknown; save it with 8 or 16")
    if mode == "CMYK":
        notes.append("converted from CMYK without a colour profile")
    see_through = mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    try:
        converted = np.array(image.convert("RGBA" if see_through else "RGB"))
    except _DAMAGE as error:
        raise UnreadablePicture(path, f"has samples of mode {mode}, which cannot become RGB ({error})") from None
    return converted


def _over_white(pixels: NDArray[np.uint8], notes: list[str]) -> Pixels:
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    notes.append("transparent parts were laid on white")
    # Rounded v a + 255 (1 - a), exact in 16 bits: the largest value is 255 * 255 + 127.
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def decode_picture(content: bytes, path: str | Path = "picture", max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode the bytes of a file; ``path`` is only what errors call it.

    Raises
    ------
    UnreadablePicture
        For anything that is not a whole JPEG, PNG, WebP, TIFF, GIF or BMP of at most ``max_pixels`` pixels.
    """
    pixels, name, image, notes = _decode(content, Path(path), max_pixels)
    quality = estimate_quality(image.quantization[0]) if isinstance(image, JpegImageFile) else None
    digest = hashlib.sha256(content).hexdigest()
    return Picture(_over_white(pixels, notes), name, str(image.format), digest, quality, tuple(dict.fromkeys(notes)))


def decode_rgba(content: bytes, path: str | Path = "picture", max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode the bytes of a file and keep the transparency, shape ``(H, W, 4)``."""
    pixels = _decode(content, Path(path), max_pixels)[0]
    if pixels.shape[2] == 4:
        return pixels
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)


def _decode(
    content: bytes, path: Path, max_pixels: int
) -> tuple[NDArray[np.uint8], Path, ImageFile.ImageFile, list[str]]:
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        image = _open(content, path, max_pixels)
        try:
            if getattr(image, "is_animated", False):
                notes.append("has several frames: the first one was taken")
            image.load()
        except _DAMAGE as error:
            raise UnreadablePicture(path, f"is a damaged or truncated {image.format} ({error})") from None
        pixels = _orient(_convert(image, path, notes), _orientation(image, notes))
    return pixels, path, image, [*notes, *(str(w.message) for w in heard)]


def read_picture(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Picture:
    """Read one picture.

    CMYK is converted without a profile, 16-bit grey scaled, a palette resolved, transparency laid on white, of an
    animation the first frame taken: each with a warning in the result.

    Raises
    ------
    UnreadablePicture
        Naming the path: no such file, a directory, no permission, zero bytes, not a picture, damaged, truncated, or
        more than ``max_pixels`` pixels (told from the header, before anything is decoded).
    """
    place = Path(path)
    return decode_picture(_read_bytes(place, max_pixels), place, max_pixels)


def read_each(
    paths: Iterable[str | os.PathLike[str]], max_pixels: int = MAX_PIXELS
) -> Iterator[Picture | UnreadablePicture]:
    """Read one after the other; a file that cannot be read yields its error and the next one follows."""
    for path in paths:
        try:
            yield read_picture(path, max_pixels)
        except UnreadablePicture as error:
            yield error


def read_all(
    paths: Iterable[str | os.PathLike[str]], max_pixels: int = MAX_PIXELS
) -> tuple[list[Picture], list[UnreadablePicture]]:
    """Read all; give the good ones and the failures, each in the order of the paths."""
    good: list[Picture] = []
    failures: list[UnreadablePicture] = []
    for result in read_each(paths, max_pixels):
        if isinstance(result, Picture):
            good.append(result)
        else:
            failures.append(result)
    return good, failures


def encode_jpeg(pixels: Pixels, quality: int, subsampling: str = "4:2:0") -> bytes:
    """Encode as baseline JPEG without metadata.

    Raises
    ------
    InputError
        For a quality outside 1 to 100, an unknown subsampling, or pixels that are not ``(H, W, 3)`` uint8.
    """
    if not 1 <= quality <= 100:
        raise InputError(f"JPEG quality is {quality}; expected 1 to 100")
    if subsampling not in _SUBSAMPLINGS:
        raise unknown("subsampling", subsampling, _SUBSAMPLINGS)
    buffer = io.BytesIO()
    Image.fromarray(_checked(pixels)).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def _checked(pixels: NDArray[np.uint8]) -> Pixels:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(f"pixels are {pixels.dtype} of shape {pixels.shape}; expected uint8 of shape (H, W, 3)")
    return np.ascontiguousarray(pixels)


def write_picture(path: str | os.PathLike[str], pixels: Pixels, quality: int = 95) -> Path:
    """Write a picture in the format its suffix names, through a temporary file, and give its path.

    ``quality`` is for JPEG; PNG, TIFF, BMP and WebP (lossless) keep every bit.

    Raises
    ------
    InputError
        For a suffix that is none of .jpg, .png, .webp, .tif, .bmp or pixels that are not ``(H, W, 3)`` uint8.
    StoreError
        When the file cannot be written.
    """
    place = Path(path)
    if place.suffix.lower() not in _WRITTEN:
        raise unknown("suffix of a picture", place.suffix, _WRITTEN)
    form = _WRITTEN[place.suffix.lower()]
    buffer = io.BytesIO()
    if form == "JPEG":
        buffer.write(encode_jpeg(pixels, quality, "4:4:4"))
    else:
        options = {"lossless": True} if form == "WEBP" else {}
        Image.fromarray(_checked(pixels)).save(buffer, form, **options)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(buffer.getvalue())
        os.replace(temporary, place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"cannot write {place} ({error.strerror}); is there room, and may you write there?") from None
    return place
