"""Patches of a picture: a pyramid of adjacent cells, each resampled to the size a detector expects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyqmc_art import backends
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.ops import images

SQUARES: Final = ("center", "squash")
LEVEL_RULE: Final = ((1024, (1, 2, 4)), (512, (1, 2)), (0, (1,)))
"""Smallest side of the picture -> cells along each side: 21, 5 or 1 patches."""

_Level = TypeVar("_Level", np.uint8, np.float32)
"""What a channel of a pixel is made of."""


@dataclass(frozen=True)
class Patches(Generic[_Level]):
    """Patches of one picture, level by level, row by row.

    Attributes
    ----------
    pixels : uint8 or float32 as the picture, shape (n, size, size, channels)
    boxes : float32, shape (n, 4): left, top, right, bottom in source pixels
    levels : shape (n,), cells along each side of the patch's level (1, 2 or 4)
    """

    pixels: NDArray[_Level]
    boxes: NDArray[np.float32]
    levels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pixels)


def choose_levels(width: int, height: int) -> tuple[int, ...]:
    """Levels of the pyramid by the smaller side: >= 1024 gives (1, 2, 4), >= 512 gives (1, 2), else (1,).

    Examples
    --------
    >>> choose_levels(1024, 2000), choose_levels(1023, 2000), choose_levels(511, 600)
    ((1, 2, 4), (1, 2), (1,))
    """
    return next(levels for least, levels in LEVEL_RULE if min(width, height) >= least)


def plan_patches(
    width: int, height: int, levels: str | Sequence[int] = "auto", square: str = "center"
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes and levels of the patches of a picture.

    A level of k cuts the picture into k x k adjacent cells that do not overlap; levels overlap each other, so patches
    are never an independent sample. Cells of a picture that is not square are not square either: ``"center"`` takes the
    largest centred square of each cell, ``"squash"`` the whole cell.

    Parameters
    ----------
    width, height : of the picture, in pixels
    levels : ``"auto"`` (see :func:`choose_levels`) or cells along each side, for instance ``(1, 2)``
    square : ``"center"`` or ``"squash"``

    Returns
    -------
    boxes, float32 of shape (n, 4), as left, top, right, bottom; levels, shape (n,)

    Raises
    ------
    InputError
        For an empty picture, an unknown ``square``, or levels that are no whole numbers of at least 1 or leave cells
        smaller than one pixel.

    Examples
    --------
    >>> boxes, levels = plan_patches(600, 520)
    >>> len(boxes), levels.tolist()
    (5, [1, 2, 2, 2, 2])
    >>> boxes[1].tolist()
    [20.0, 0.0, 280.0, 260.0]
    """
    if min(width, height) < 1:
        raise InputError(f"a picture of {width} x {height} pixels has no patches")
    if square not in SQUARES:
        raise unknown("square", square, SQUARES)
    chosen = choose_levels(width, height) if isinstance(levels, str) and levels == "auto" else levels
    if isinstance(chosen, str) or not chosen or any(k != int(k) or not 1 <= k <= min(width, height) for k in chosen):
        raise InputError(f"levels is {levels!r}; expected 'auto' or whole numbers from 1 to {min(width, height)}")
    boxes = [
        _cell(width, height, int(k), column, row, square) for k in chosen for row in range(k) for column in range(k)
    ]
    return np.array(boxes, np.float32), np.array([int(k) for k in chosen for _ in range(k * k)], np.int64)


def _cell(width: int, height: int, k: int, column: int, row: int, square: str) -> tuple[float, float, float, float]:
    left, right = width * column / k, width * (column + 1) / k
    top, bottom = height * row / k, height * (row + 1) / k
    if square == "center":
        side = min(right - left, bottom - top)
        left, top = (left + right - side) / 2, (top + bottom - side) / 2
        right, bottom = left + side, top + side
    return left, top, min(right, width), min(bottom, height)


def make_patches(
    image: NDArray[_Level],
    size: int = 224,
    levels: str | Sequence[int] = "auto",
    *,
    square: str = "center",
    filter: str = "bicubic",
    threads: int | None = None,
    backend: str | None = None,
) -> Patches[_Level]:
    """Cut a picture into the patches of its pyramid and resample each to ``size`` x ``size``.

    Like Pillow's ``resize(box=...)``, the filter reads its support beyond the cell: neighbouring patches share those
    pixels, about two source pixels times the downscaling factor on each side for bicubic.

    Parameters
    ----------
    image : uint8 or float32, shape (h, w, channels), 1 to 4 channels; see :func:`resample`
    size : side of a patch in pixels: 224 (Swin), 256 (EfficientNet)
    levels, square : as in :func:`plan_patches`
    filter : ``"bicubic"``, ``"bilinear"``, ``"lanczos"`` or ``"box"``
    threads, backend : None takes the defaults; the bytes are the same

    Raises
    ------
    InputError
        For an image, a size or a filter that cannot be used.

    Examples
    --------
    >>> patches = make_patches(np.zeros((600, 520, 3), np.uint8), size=64)
    >>> patches.pixels.shape
    (5, 64, 64, 3)
    """
    picture = _checked(image)
    boxes, chosen = plan_patches(picture.shape[1], picture.shape[0], levels, square)
    return Patches(_resample(picture, boxes, (size, size), filter, threads, backend), boxes, chosen)


def resample(
    image: NDArray[_Level],
    size: tuple[int, int],
    box: Sequence[float] | None = None,
    filter: str = "bicubic",
    *,
    opacity: bool = False,
    threads: int | None = None,
    backend: str | None = None,
) -> NDArray[_Level]:
    """Resample a picture, or a box of it: to the bit what Pillow's ``Image.resize(size, filter, box)`` gives.

    Across the rows first, rounded to bytes, then down the columns (Pillow's order; Pillow 12.2 and later go down first
    where a picture is more than 100 times as tall as wide and shrinks, which this function does not follow). Channels
    are independent, unless the last one is said to be the ``opacity``: then colours are multiplied by it before and
    divided afterwards, as Pillow does for ``RGBA`` and ``LA``, so that what is transparent has no colour to give.

    Of float32 pictures each channel is what Pillow gives for mode ``F``: weights and sums in double, rounded to float32
    after each pass and never clipped (bicubic and Lanczos overshoot at edges).

    Parameters
    ----------
    image : uint8 or float32, shape (h, w, channels), or (h, w); a crop of a larger array is read in place
    size : (width, height) of the result
    box : left, top, right, bottom in source pixels, rounded to float32; None means all of it
    filter : ``"bicubic"`` (a = -1/2), ``"bilinear"``, ``"lanczos"`` or ``"box"``, antialiased when shrinking
    opacity : the last of two or four channels of bytes is opacity; takes a copy of the picture

    Returns
    -------
    of the image's type and shape (height, width, channels), or (height, width)

    Raises
    ------
    InputError
        For an image, a size, a box or a filter that cannot be used.

    Examples
    --------
    >>> resample(np.full((10, 20, 3), 7, np.uint8), (5, 4)).shape
    (4, 5, 3)
    """
    picture = _checked(image)
    whole = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
    boxes = np.array([whole if box is None else tuple(box)], np.float32)
    left, top, right, bottom = (float(x) for x in boxes[0]) if boxes.shape == (1, 4) else (math.nan,) * 4
    if not (0 <= left < right <= picture.shape[1] and 0 <= top < bottom <= picture.shape[0]):
        raise InputError(
            f"box is {box}; expected left < right and top < bottom inside the picture of "
            f"{picture.shape[1]} x {picture.shape[0]} pixels"
        )
    unchanged = _checked_size(size) == picture.shape[1::-1] and tuple(boxes[0].tolist()) == whole
    if opacity and not unchanged:  # Pillow keeps the colours of transparent pixels where nothing is to be done
        return _resample_colours(picture, boxes, size, filter, threads, backend)
    out: NDArray[_Level] = _resample(picture, boxes, size, filter, threads, backend)[0]
    return out.reshape(out.shape[:2]) if image.ndim == 2 else out


def _resample_colours(picture: NDArray[_Level], *request: Any) -> NDArray[_Level]:
    """Colours times opacity, and back, in Pillow's arithmetic: ``c a / 255`` rounded, ``255 c / a`` rounded down."""
    if picture.dtype != np.uint8 or picture.shape[2] not in (2, 4):
        raise InputError(
            f"opacity is asked for, and image is {picture.dtype} with {picture.shape[2]} channels; expected uint8 with "
            "2 or 4 channels, opacity last"
        )
    product = picture.astype(np.uint16)
    product[:, :, :-1] *= product[:, :, -1:]
    product[:, :, :-1] += 128
    product[:, :, :-1] = (product[:, :, :-1] + (product[:, :, :-1] >> 8)) >> 8
    out: NDArray[_Level] = _resample(product.astype(picture.dtype), *request)[0]
    opacity = out[:, :, -1:].astype(np.int64)
    divided = np.minimum(255 * out[:, :, :-1].astype(np.int64) // np.maximum(opacity, 1), 255)
    out[:, :, :-1] = np.where(opacity == 0, out[:, :, :-1], divided)
    return out


def _resample(
    picture: NDArray[_Level],
    boxes: NDArray[np.float32],
    size: Any,
    filter: str,
    threads: int | None,
    backend: str | None,
) -> NDArray[_Level]:
    if filter not in images.FILTERS:
        raise unknown("filter", filter, images.FILTERS)
    width, height = _checked_size(size)
    out: NDArray[_Level] = np.empty((len(boxes), height, width, picture.shape[2]), picture.dtype)
    operation: Any = images.resample if picture.dtype == np.uint8 else images.resample_real
    operation(backends.resolve(backend))(picture, boxes, out, filter, threads or backends.default_threads())
    return out


def _checked_size(size: Any) -> tuple[int, int]:
    whole = isinstance(size, (tuple, list)) and len(size) == 2 and all(n == int(n) and 1 <= n <= 2**16 for n in size)
    if not whole:
        raise InputError(f"size is {size!r}; expected (width, height) in whole pixels from 1 to {2**16}")
    return int(size[0]), int(size[1])


def _checked(image: NDArray[_Level]) -> NDArray[_Level]:
    fits = isinstance(image, np.ndarray) and image.dtype in (np.uint8, np.float32) and image.ndim in (2, 3)
    if not fits or 0 in image.shape:
        given = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"image is {given}; expected a uint8 or float32 array of shape (height, width, channels)")
    picture = image[:, :, None] if image.ndim == 2 else image
    if picture.shape[2] > 4:
        raise InputError(f"image has {picture.shape[2]} channels; expected 1 to 4, last")
    in_place = picture[0].flags.c_contiguous and picture.strides[0] >= 0 and picture.flags.aligned
    packed: NDArray[_Level] = picture if in_place else np.ascontiguousarray(picture)
    return packed
