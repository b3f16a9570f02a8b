"""Paintings that come as jigsaw tiles in a Qt resource file, put together again."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from pyqmc_art.art.pictures import Pixels, decode_rgba
from pyqmc_art.errors import StoreError

_COMPRESSED, _DIRECTORY, _ZSTD = 1, 2, 4
_MARGIN = 100
_TILE = re.compile(
    r'"pixmapfile"\s*:\s*"(?P<name>image/[^"]+\.webp)"\s*,\s*"x"\s*:\s*"?(?P<x>[\d.]+)"?\s*,\s*"y"\s*:\s*"?(?P<y>[\d.]+)'
)
_CAPTION = re.compile(r'instruction\s*:\s*qsTr\("(?P<hand>[^",]+),\s*(?P<title>.*?)(?:\s+-\s+(?P<year>[\d-]+)\.?)?"\)')


@dataclass(frozen=True)
class Board:
    """A painting of the jigsaw game: who, what, when, and its pixels, shape ``(H, W, 3)``."""

    hand: str
    title: str
    year: str
    pixels: Pixels


def read_resources(content: bytes) -> dict[str, bytes]:
    """Read the files of a compiled Qt resource collection, formats 1 to 3.

    The header is ``qres``, the version and the offsets of tree, data and names, all big-endian; a node of the tree is
    14 bytes long, 22 from version 2 on.

    Raises
    ------
    StoreError
        When the bytes are no such collection, or compressed in a way this does not read.
    """
    try:
        magic, version, tree, data, names = struct.unpack_from(">4s4I", content)
        if magic != b"qres" or not 1 <= version <= 3:
            raise StoreError(f"the resource file begins with {content[:8]!r}; expected qres, version 1 to 3")
        return dict(_walk(content, (tree, data, names), 22 if version >= 2 else 14))
    except (struct.error, zlib.error, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"the resource file is damaged ({error})") from None


def _walk(
    content: bytes, offsets: tuple[int, int, int], size: int, node: int = 0, where: str = ""
) -> Iterator[tuple[str, bytes]]:
    tree, data, names = offsets
    at = tree + node * size
    name_at, flags = struct.unpack_from(">IH", content, at)
    (length,) = struct.unpack_from(">H", content, names + name_at)
    start = names + name_at + 6  # two bytes of length, four of a hash
    path = where + "/" + content[start : start + 2 * length].decode("utf-16-be") if node else ""
    if flags & _DIRECTORY:
        count, first = struct.unpack_from(">2I", content, at + 6)
        if node and first <= node:
            raise StoreError("the resource file is damaged (its tree has a loop)")
        for child in range(first, first + count):
            yield from _walk(content, offsets, size, child, path)
        return
    if flags & _ZSTD:
        raise StoreError("the resource file is packed with zstd, which this does not read")
    (place,) = struct.unpack_from(">I", content, at + 10)
    (length,) = struct.unpack_from(">I", content, data + place)
    raw = content[data + place + 4 : data + place + 4 + length]
    # qCompress puts the size of the result in front.
    yield path, zlib.decompress(raw[4:]) if flags & _COMPRESSED else raw


def read_boards(content: bytes) -> Iterator[Board]:
    """Put together every board of the game's resource file, in the order of their numbers."""
    files = read_resources(content)
    numbered = [(int(found[1]), path) for path in files if (found := re.search(r"/board/board(\d+)_\d+\.qml$", path))]
    for _, path in sorted(numbered):
        text = files[path].decode()
        caption = _CAPTION.search(text)
        size = [re.search(rf'"{side}"\s*:\s*(\d+)', text) for side in ("width", "height")]
        if caption is None or size[0] is None or size[1] is None:
            raise StoreError(f"the board {path} has no caption or no size")
        folder = path.rsplit("/board/", 1)[0]
        pixels = _join(text, files, folder, int(size[0][1]), int(size[1][1]))
        yield Board(caption["hand"].strip(), caption["title"].strip(), caption["year"] or "", pixels)


def _join(text: str, files: Mapping[str, bytes], folder: str, width: int, height: int) -> Pixels:
    """Lay the tiles, given by their centres as shares of the board, over each other and cut off the board's edge."""
    canvas = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN, 3), np.float64)
    cover = np.zeros(canvas.shape[:2], np.float64)
    for tile in _TILE.finditer(text):
        name = f"{folder}/{tile['name']}"
        if name not in files:
            raise StoreError(f"the tile {name} is missing from the resource file")
        rgba = decode_rgba(files[name], name)
        rows, columns = rgba.shape[:2]
        top = round(float(tile["y"]) * height - rows / 2) + _MARGIN
        left = round(float(tile["x"]) * width - columns / 2) + _MARGIN
        if top < 0 or left < 0 or top + rows > canvas.shape[0] or left + columns > canvas.shape[1]:
            raise StoreError(f"the tile {name} lies outside its board")
        place = (slice(top, top + rows), slice(left, left + columns))
        alpha = rgba[..., 3] / 255.0
        # "Over" of Porter and Duff (1984), equation of section 4, with premultiplied colours.
        canvas[place] = rgba[..., :3] * alpha[..., None] + canvas[place] * (1 - alpha[..., None])
        cover[place] = alpha + cover[place] * (1 - alpha)
    return _trim(canvas, cover)


def _trim(canvas: NDArray[np.float64], cover: NDArray[np.float64]) -> Pixels:
    """Keep the rectangle that the tiles cover; hair-line gaps between them take the colour of the nearest pixel."""
    known = cover >= 0.5
    if not known.any():
        raise StoreError("a board has no tiles")
    rows = np.flatnonzero(known.mean(axis=1) > 0.9 * known.mean(axis=1).max())
    columns = np.flatnonzero(known.mean(axis=0) > 0.9 * known.mean(axis=0).max())
    inside = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    colours = canvas[inside] / np.maximum(cover[inside], 0.5)[..., None]
    nearest = distance_transform_edt(~known[inside], return_distances=False, return_indices=True)
    filled = colours[nearest[0], nearest[1]]
    return np.asarray(np.clip(np.rint(filled), 0, 255), np.uint8)
