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
    roles, hands : of each picture, where they are known
    """

    images: NDArray[np.uint8]
    owners: NDArray[np.int64]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    roles: tuple[str, ...] = ()
    hands: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def order(
        self, batch: int, mirror: bool, stream: Stream
    ) -> Callable[[int], tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Give the numbers of the images of batch 0, 1, ..., and which of them are mirrored."""
        order = Shuffled(len(self), batch, stream.fold("order"))
        flips = stream.fold("mirror")

        def give(number: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
            turned = flips.at(number).uniform("user", np.arange(batch), 1)[0] < 0.5
            return order(number), turned & mirror

        return give

    def batches(self, batch: int, mirror: bool, stream: Stream) -> Callable[[int], Tensor]:
        """Give batch 0, 1, ... as float32 (batch, 3, size, size) from -1 to 1, each image mirrored or not."""
        order = self.order(batch, mirror, stream)

        def give(number: int) -> Tensor:
            numbers, turned = order(number)
            chosen = self.images[numbers]
            chosen[turned] = chosen[turned, :, ::-1]
            return as_tensor(chosen)

        return give

    def classify(self, by: str) -> tuple[dict[str, int], NDArray[np.int64]]:
        """Sort the images into classes by ``"role"`` or ``"hand"``.

        Returns
        -------
        Classes by name with their numbers of images, and the class of each image.

        Raises
        ------
        InputError
            When a picture has none, or all have the same.
        """
        labels = {"role": self.roles, "hand": self.hands}.get(by)
        if labels is None:
            raise InputError(f"classes is {by!r}; expected role or hand")
        unnamed = [name for name, label in zip(self.names, labels, strict=False) if not label]
        if unnamed or len(labels) != len(self.names):
            first = f", {unnamed[0]} for one" if unnamed else ""
            raise InputError(f"{len(unnamed) or len(self.names)} pictures have no {by}{first}; leave them out")
        names = sorted(set(labels))
        if len(names) < 2:
            raise InputError(f"all pictures have the {by} {names[0]}; expected at least two classes, or none at all")
        numbers = np.array([names.index(label) for label in labels], np.int64)[self.owners]
        return {name: int((numbers == k).sum()) for k, name in enumerate(names)}, numbers


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
    roles, hands = tuple(row.role for row in rows), tuple(row.hand for row in rows)
    return Pool(np.concatenate(images), np.array(owners, np.int64), names, tuple(digests), roles, hands)
