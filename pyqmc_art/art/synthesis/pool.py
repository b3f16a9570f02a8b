"""The pictures that a synthesizer learns from: chosen by role and hand, cut to squares of one size."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyqmc_art.art.layouts import open_manifest
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.patches import make_patches
from pyqmc_art.art.pictures import UnreadablePicture, read_each
from pyqmc_art.art.roles import resolve_role
from pyqmc_art.errors import InputError
from pyqmc_art.learning.schedules import Shuffled
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream


@dataclass(frozen=True, eq=False)
class Pool:
    """Training images.

    Attributes
    ----------
    images : uint8, shape (n, size, size, 3)
    owners : shape (n,), number of the picture that each was cut from
    names, digests : path and checksum of each picture
    """

    images: NDArray[np.uint8]
    owners: NDArray[np.int64]
    names: tuple[str, ...]
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, batch: int, mirror: bool, stream: Stream) -> Callable[[int], Tensor]:
        """Give batch 0, 1, ... as float32 (batch, 3, size, size) from -1 to 1, each image mirrored or not."""
        order = Shuffled(len(self), batch, stream.fold("order"))
        flips = stream.fold("mirror")

        def give(number: int) -> Tensor:
            chosen = self.images[order(number)]
            if mirror:
                turned = flips.at(number).uniform("user", np.arange(batch), 1)[0] < 0.5
                chosen[turned] = chosen[turned, :, ::-1]
            return as_tensor(chosen)

        return give


def as_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Turn uint8 (n, h, w, 3) into float32 (n, 3, h, w) from -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Turn float (n, 3, h, w) from -1 to 1 into uint8 (n, h, w, 3); what lies beyond is cut.

    Examples
    --------
    >>> as_pixels(torch.tensor([-2.0, 0.1, 1.0]).view(1, 3, 1, 1)).ravel().tolist()
    [0, 140, 255]
    """
    levels = ((images.detach() + 1) * 127.5).round().clamp(0, 255)
    return levels.to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def open_pool(
    manifest: str | os.PathLike[str],
    size: int,
    roles: Sequence[str] = (),
    hand: str | None = None,
    levels: str | tuple[int, ...] = (1,),
    monitor: Monitor | None = None,
) -> Pool:
    """Read the pictures of a manifest or folder that shall be learned from; see :func:`gather_pool`.

    Raises
    ------
    InputError
        When no row fits, or a picture cannot be read.
    """
    listed = open_manifest(manifest)
    chosen = listed if hand is None else listed.attribute(hand).where(hand=hand)
    if roles:
        chosen = chosen.where([resolve_role(word) for word in roles])
    if not len(chosen):
        asked = ", ".join(filter(None, [f"role {' or '.join(roles)}" if roles else "", f"hand {hand}" if hand else ""]))
        there = ", ".join(f"{role} {n}" for role, n in listed.roles().items())
        raise InputError(f"no picture in {manifest} with {asked or 'a role'}; it holds {there}")
    return gather_pool(chosen, size, levels, monitor)


def gather_pool(
    rows: Manifest, size: int, levels: str | tuple[int, ...] = (1,), monitor: Monitor | None = None
) -> Pool:
    """Read pictures and cut each into squares of one size.

    Parameters
    ----------
    rows : of the pictures
    size : side in pixels
    levels : cells along each side, as in :func:`pyqmc_art.art.patches.make_patches`

    Raises
    ------
    InputError
        When a picture cannot be read, naming all of them.
    """
    watch = monitor or Silent()
    images, owners, digests, failures = [], [], [], []
    watch.start("reading pictures", len(rows))
    try:
        for number, found in enumerate(read_each(rows.paths)):
            watch.advance(1)
            if isinstance(found, UnreadablePicture):
                failures.append(str(found))
                continue
            cut = make_patches(found.pixels, size, levels).pixels
            images.append(cut)
            owners += [number] * len(cut)
            digests.append(found.sha256)
    finally:
        watch.finish()
    if failures:
        raise InputError("\n".join([f"{len(failures)} pictures cannot be read:", *failures]))
    if not images:
        raise InputError("there are no pictures to learn from; expected at least one")
    names = tuple(row.path for row in rows)
    return Pool(np.concatenate(images), np.array(owners, np.int64), names, tuple(digests))
