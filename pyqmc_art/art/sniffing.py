"""What a file is, told from its bytes: the format, and the quality a JPEG was written with."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

import numpy as np

_KNOWN_STRANGERS: Final = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"8BPS", "a Photoshop file"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"<svg", "a vector drawing"),
    (b"<?xml", "an XML text"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)

# Luminance table of ITU-T T.81 (1992), Annex K.1, in natural order; libjpeg scales it by the quality.
_LUMINANCE: Final = np.array(
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ]
)  # fmt: skip


def sniff_format(head: bytes) -> str | None:
    """Tell the format of a file from its first 16 bytes; None when it is no picture this package reads.

    Examples
    --------
    >>> sniff_format(bytes.fromhex("ffd8ffe0")), sniff_format(b"%PDF-1.7")
    ('JPEG', None)
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "TIFF"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    # Two letters alone would also be the start of a text: the length of the header that follows must be a known one.
    if head.startswith(b"BM") and head[14:18] in {struct.pack("<I", n) for n in (12, 40, 52, 56, 64, 108, 124)}:
        return "BMP"
    return None


def estimate_quality(table: Iterable[int]) -> int:
    """Estimate the JPEG quality from a luminance quantisation table in natural order.

    The quality whose scaled table (libjpeg: ``s = 5000 / q`` below 50, ``200 - 2 q`` from 50 on, entries
    ``(s t + 50) // 100`` in 1 .. 255) is nearest in the sum of absolute differences; the larger one of equals.

    Examples
    --------
    >>> estimate_quality([1] * 64)
    100
    """
    given = np.array(list(table))
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = np.clip((_LUMINANCE * scale[:, None] + 50) // 100, 1, 255)
    misfit = np.abs(tables - given).sum(axis=1)
    return int(100 - np.argmin(misfit[::-1]))


def name_stranger(content: bytes) -> str:
    """Say in words what a file is that is no picture."""
    head = content[:512].lstrip()
    for mark, what in _KNOWN_STRANGERS:
        if head.startswith(mark):
            return what
    return "a text" if all(32 <= b < 127 or b in b"\t\r\n" for b in head) else "something else"
