"""Equalisation and degradation: what is done to a picture's pixels before anybody judges them, written down.

Formats, sizes and sharpness differ between the classes of almost every collection, and a detector learns them before it
learns a hand. So every picture of every class, in training and in test, goes through one plan: one resize, one JPEG of
random quality. What was done stays beside the picture as a :class:`Degradation`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import Pixels, decode_picture, encode_jpeg
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.rng import Stream

_DRAWS: Final = ("quality", "blur", "noise")


@dataclass(frozen=True)
class Degradation:
    """What is done to one picture, in this order: cut and resize, blur, noise, JPEG.

    Parameters
    ----------
    box : left, top, right, bottom of what is kept, in source pixels
    size : width and height of the result in pixels
    blur : standard deviation of a Gaussian, in pixels of the result; 0 for none
    noise : standard deviation of white noise, in grey levels; 0 for none
    noise_key : of the noise, 64 bits
    quality : of the JPEG, 1 to 100; 0 for none
    subsampling : of its colours
    filter : of the resize

    Examples
    --------
    >>> Degradation((0.0, 0.0, 512.0, 512.0), (256, 256), quality=80).downscale
    2.0
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]
    blur: float = 0.0
    noise: float = 0.0
    noise_key: int = 0
    quality: int = 0
    subsampling: str = "4:2:0"
    filter: str = "bicubic"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.blur) and math.isfinite(self.noise) and self.blur >= 0 and self.noise >= 0):
            raise InputError(f"blur is {self.blur} and noise {self.noise}; expected finite numbers of at least 0")
        if not 0 <= self.quality <= 100:
            raise InputError(f"JPEG quality is {self.quality}; expected 1 to 100, or 0 for none")

    @property
    def downscale(self) -> float:
        """Source pixels for each pixel of the result, along one side (geometric mean of both); below 1: enlarged."""
        left, top, right, bottom = self.box
        return math.sqrt((right - left) * (bottom - top) / (self.size[0] * self.size[1]))

    def apply(self, pixels: Pixels) -> Pixels:
        """Degrade a picture, shape ``(H, W, 3)``, to shape ``(size[1], size[0], 3)``.

        Raises
        ------
        InputError
            When the box does not lie in the picture.
        """
        result = pixels
        height, width = pixels.shape[:2]
        if self.box != (0.0, 0.0, float(width), float(height)) or self.size != (width, height):
            result = resample(pixels, self.size, box=self.box, filter=self.filter)
        if self.blur:
            smooth = gaussian_filter(result.astype(np.float32), (self.blur, self.blur, 0), mode="reflect")
            result = _to_bytes(smooth)
        if self.noise:
            drawn = np.random.Generator(np.random.Philox(key=self.noise_key)).standard_normal(result.shape)
            result = _to_bytes(result + self.noise * drawn)
        if self.quality:
            result = decode_picture(encode_jpeg(result, self.quality, self.subsampling)).pixels
        return result

    def locate(self, boxes: NDArray[Any]) -> NDArray[np.float64]:
        """Map boxes in the result (left, top, right, bottom), shape ``(n, 4)``, back to source pixels.

        Examples
        --------
        >>> Degradation((100.0, 0.0, 612.0, 512.0), (256, 256)).locate(np.array([[0, 0, 128, 128]])).tolist()
        [[100.0, 0.0, 356.0, 256.0]]
        """
        left, top, right, bottom = self.box
        across, down = (right - left) / self.size[0], (bottom - top) / self.size[1]
        return np.asarray(boxes, np.float64) * (across, down, across, down) + (left, top, left, top)

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object from which :meth:`from_json` makes the same degradation."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Degradation:
        """Undo :meth:`to_json`.

        Raises
        ------
        InputError
            For an unknown or a missing key.
        """
        names = [f.name for f in dataclasses.fields(cls)]
        for name in record:
            if name not in names:
                raise unknown("key of a degradation", name, names)
        for name, count in (("box", 4), ("size", 2)):
            if len(record.get(name) or ()) != count:
                raise InputError(f"a degradation needs {name} with {count} numbers, given {record.get(name)!r}")
        left, top, right, bottom = (float(x) for x in record["box"])
        width, height = (int(n) for n in record["size"])
        rest = {name: value for name, value in record.items() if name not in ("box", "size")}
        return cls((left, top, right, bottom), (width, height), **rest)


def _to_bytes(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def common_downscale(sizes: Iterable[tuple[int, int]], size: int) -> float:
    """Find the largest downscale factor that pictures of all these sizes (width, height) afford.

    The smallest picture keeps all of its shorter side; the larger ones are cropped more. Below 1 it enlarges.

    Examples
    --------
    >>> common_downscale([(1024, 800), (512, 600)], 256)
    2.0
    """
    shortest = min((min(pair) for pair in sizes), default=0)
    if shortest < 1:
        raise InputError("there is no picture whose size could be equalised")
    return shortest / size


@dataclass(frozen=True)
class Equaliser:
    """One plan for the pictures of all classes.

    Parameters
    ----------
    size : side of the square result in pixels
    factor : ``"whole"``: the shorter side becomes ``size`` (the factor then differs between pictures and stands in each
        :class:`Degradation`); or a number: every picture is reduced by exactly this factor and the middle is cut out
        (see :func:`common_downscale`)
    quality : least and largest JPEG quality, drawn for each picture; None for no JPEG
    blur : least and largest standard deviation in pixels
    noise : least and largest standard deviation in grey levels
    filter : of the resize

    Examples
    --------
    >>> plan = Equaliser(size=256).plan(1024, 512, "ab12", Stream.from_seed(1))
    >>> plan.box, plan.downscale
    ((256.0, 0.0, 768.0, 512.0), 2.0)
    """

    size: int = 256
    factor: str | float = "whole"
    quality: tuple[int, int] | None = (70, 90)
    blur: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] = (0.0, 0.0)
    filter: str = "bicubic"

    def __post_init__(self) -> None:
        if self.size < 8:
            raise InputError(f"size is {self.size} pixels; expected at least 8")
        if isinstance(self.factor, str):
            if self.factor != "whole":
                raise InputError(f"factor is {self.factor!r}; expected 'whole' or a number above 0")
        elif not (math.isfinite(self.factor) and self.factor > 0):
            raise InputError(f"factor is {self.factor}; expected 'whole' or a number above 0")
        for name, limits in (("quality", self.quality), ("blur", self.blur), ("noise", self.noise)):
            if limits is not None and not (math.isfinite(limits[1]) and 0 <= limits[0] <= limits[1]):
                raise InputError(f"{name} is {limits}; expected least and largest value, not negative")
        if self.quality is not None and not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise InputError(f"quality is {self.quality}; expected least and largest of 1 to 100")

    def plan(self, width: int, height: int, sha256: str, stream: Stream) -> Degradation:
        """Plan one picture: what is drawn depends on the stream and the content, never on the order of the pictures.

        Raises
        ------
        InputError
            When the picture is too small for the factor.
        """
        side = float(min(width, height)) if isinstance(self.factor, str) else self.size * self.factor
        # A factor that was derived from this very size must not fail by a rounding.
        if side > min(width, height) * (1 + 1e-12):
            raise InputError(
                f"a picture of {width} x {height} pixels is too small to be reduced {self.factor} times to "
                f"{self.size}; the largest factor it affords is {min(width, height) / self.size:.4g}"
            )
        side = min(side, float(min(width, height)))
        left, top = (width - side) / 2, (height - side) / 2
        own = stream.fold("degrade").fold(sha256)
        draws = {name: own.fold(name).uniform("user", np.zeros(1, np.int64), 1)[0, 0] for name in _DRAWS}
        quality = 0
        if self.quality is not None:
            least, largest = self.quality
            quality = least + int(draws["quality"] * (largest - least + 1))
        return Degradation(
            (left, top, left + side, top + side), (self.size, self.size), quality=quality, filter=self.filter,
            blur=self.blur[0] + float(draws["blur"]) * (self.blur[1] - self.blur[0]),
            noise=self.noise[0] + float(draws["noise"]) * (self.noise[1] - self.noise[0]),
            noise_key=own.fold("noise", 1).key,
        )  # fmt: skip

    def apply(self, pixels: Pixels, sha256: str, stream: Stream) -> tuple[Pixels, Degradation]:
        """Equalise one picture; give the result, shape ``(size, size, 3)``, and what was done."""
        done = self.plan(pixels.shape[1], pixels.shape[0], sha256, stream)
        return done.apply(pixels), done
