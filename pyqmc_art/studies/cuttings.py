"""Pictures cut to small squares of one size, real or simulated, for synthesizers to learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyqmc_art.art.collection import Commission, paint_all
from pyqmc_art.art.duplicates import merge_duplicates
from pyqmc_art.art.layouts import open_manifest
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.patches import make_patches
from pyqmc_art.art.synthesis.pool import Pool, gather_pool
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies.gallery import describe_commission


@dataclass(frozen=True, eq=False)
class Cuttings:
    """Pictures and the squares they were cut into.

    Attributes
    ----------
    manifest : one row a picture, near-duplicates in one group
    pool : the squares of all pictures, in the order of the rows
    simulated : whether the pictures come from the procedural painter
    """

    manifest: Manifest
    pool: Pool
    simulated: bool

    def take(self, rows: Iterable[int]) -> Cuttings:
        """Keep the pictures of these numbers, in this order."""
        chosen = [int(i) for i in rows]
        owned = [np.flatnonzero(self.pool.owners == i) for i in chosen]
        index = np.concatenate(owned) if owned else np.empty(0, np.int64)
        pool = Pool(
            self.pool.images[index], np.repeat(np.arange(len(chosen)), [len(one) for one in owned]),
            tuple(self.pool.names[i] for i in chosen), tuple(self.pool.digests[i] for i in chosen),
        )  # fmt: skip
        return replace(self, manifest=self.manifest.keep(chosen), pool=pool)

    def part(self, stream: Stream, share: float) -> tuple[Cuttings, Cuttings]:
        """Deal the works of each role into two parts, the first with so large a share of them.

        What part a work belongs to does not depend on the order of the rows.

        Raises
        ------
        InputError
            For a share that is none.
        """
        if not 0 < share < 1:
            raise InputError(f"the share is {share}; expected a number between 0 and 1")
        by_role: dict[str, set[str]] = {}
        for row in self.manifest:
            by_role.setdefault(row.role, set()).add(row.work)
        first: set[str] = set()
        # A work with pictures of two roles is where it was put first.
        for names in by_role.values():
            order = sorted(names - first, key=lambda name: stream.fold(name).key)
            first |= set(order[: round(share * len(order))])
        inside = [row.work in first for row in self.manifest]
        return self.take(np.flatnonzero(inside)), self.take(np.flatnonzero(np.logical_not(inside)))


def paint_cuttings(plan: Sequence[Commission], size: int, cells: int = 1) -> Cuttings:
    """Paint a planned collection and cut it.

    Parameters
    ----------
    plan : see :func:`pyqmc_art.art.collection.plan_collection`
    size : side of a square in pixels
    cells : squares along each side of a picture
    """
    rows, images, owners, digests = [], [], [], []
    for number, (pixels, one) in enumerate(paint_all(list(plan))):
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        cut = make_patches(pixels, size, (cells,)).pixels
        images.append(cut)
        owners += [number] * len(cut)
        digests.append(digest)
        rows.append(replace(describe_commission(one, number), sha256=digest))
    pool = Pool(np.concatenate(images), np.array(owners, np.int64), tuple(row.path for row in rows), tuple(digests))
    return Cuttings(Manifest(tuple(rows)), pool, True)


def read_cuttings(
    source: Manifest | str,
    roles: Sequence[str],
    size: int,
    cells: int = 1,
    hand: str = "",
    monitor: Monitor | None = None,
) -> Cuttings:
    """Read the pictures of some roles, merge near-duplicates and cut them.

    Parameters
    ----------
    source : a manifest, its file, or a folder whose sub-folders are named after roles
    roles : of the pictures; empty takes all
    size, cells : see :func:`paint_cuttings`
    hand : whose; empty takes everybody's

    Raises
    ------
    InputError
        When there are none, or pictures cannot be read.
    """
    listed = source if isinstance(source, Manifest) else open_manifest(source)
    chosen = listed.where(roles) if roles else listed
    if hand:
        chosen = chosen.attribute(hand).where(hand=hand)
    if not len(chosen):
        by = f" by {hand}" if hand else ""
        raise InputError(f"no picture{by} has the role {' or '.join(roles)}; there are {dict(listed.roles())}")
    merged = merge_duplicates(chosen).manifest
    pool = gather_pool(merged, size, (cells,), monitor)
    rows = (replace(row, sha256=digest) for row, digest in zip(merged, pool.digests, strict=True))
    return Cuttings(Manifest(tuple(rows), merged.root), pool, False)
