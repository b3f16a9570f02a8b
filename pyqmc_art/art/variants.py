"""The same picture encoded, scaled and cropped otherwise: a verdict that such a thing turns round is none."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Final

from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import Picture, Pixels, decode_picture, encode_jpeg

QUALITIES: Final = (60, 75, 90)
SCALES: Final = (("scaled to 3/4", 0.75), ("scaled to 5/4", 1.25))
MARGINS: Final = (("margins of 2 % cut", 0.02), ("margins of 5 % cut", 0.05))


def vary(picture: Picture, needed: int) -> Iterator[tuple[str, Picture]]:
    """Make variants of a picture one after the other, each with its name.

    Nobody sees a difference, or hardly; so no verdict may hang on it. A reduction that would leave fewer pixels than a
    judge needs is left out.

    Parameters
    ----------
    picture : as it is
    needed : least shorter side in pixels that the judge takes without enlarging
    """
    for quality in QUALITIES:
        yield f"JPEG of quality {quality}", decode_picture(encode_jpeg(picture.pixels, quality), picture.path)
    width, height = picture.width, picture.height
    for name, scale in SCALES:
        size = (round(width * scale), round(height * scale))
        if scale > 1 or min(size) >= needed:
            yield name, _renew(picture, resample(picture.pixels, size))
    for name, margin in MARGINS:
        dx, dy = round(width * margin), round(height * margin)
        if dx and dy:
            yield name, _renew(picture, picture.pixels[dy : height - dy, dx : width - dx].copy())


def _renew(picture: Picture, pixels: Pixels) -> Picture:
    """Give other pixels, as a file of their own that keeps them all."""
    return dataclasses.replace(
        picture, pixels=pixels, format="PNG", quality=None, sha256=hashlib.sha256(pixels.tobytes()).hexdigest()
    )
