"""Pictures cut to small squares of one size, real or simulated, for synthesizers to learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pyqmc_art.art.collection import Commission, paint_all
from pyqmc_art.art.detectors.baselines import MetadataExtractor
from pyqmc_art.art.detectors.features import FeatureTable, make_table
from pyqmc_art.art.duplicates import merge_duplicates
from pyqmc_art.art.layouts import open_manifest
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.patches import make_patches
from pyqmc_art.art.pictures import Picture, read_picture
from pyqmc_art.art.rows import Row
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies.gallery import describe_commission


@dataclass(frozen=True, eq=False)
class Cuttings:
    """Pictures and the squares they were cut into.

    Attributes
    ----------
    manifest : one row a picture, with its checksum; near-duplicates in one group
    pool : the squares of all pictures, in the order of the rows
    files : what the metadata baseline sees in each file as it came
    simulated : whether the pictures come from the procedural painter
    """

    manifest: Manifest
    pool: Pool
    files: FeatureTable
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
        return replace(self, manifest=self.manifest.keep(chosen), pool=pool, files=self.files.take(chosen))

    def where(self, roles: Sequence[str]) -> Cuttings:
        """Keep the pictures of these roles."""
        return self.take(i for i, row in enumerate(self.manifest) if row.role in roles)

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
        second: set[str] = set()
        for names in by_role.values():
            # A work with pictures of two roles stays where it was put first.
            order = sorted(names - first - second, key=lambda name: stream.fold(name).key)
            first |= set(order[: round(share * len(order))])
            second |= set(order[round(share * len(order)) :])
        inside = [row.work in first for row in self.manifest]
        return self.take(np.flatnonzero(inside)), self.take(np.flatnonzero(np.logical_not(inside)))


def paint_cuttings(plan: Sequence[Commission], size: int, cells: int = 1, monitor: Monitor | None = None) -> Cuttings:
    """Paint a planned collection and cut it.

    Parameters
    ----------
    plan : see :func:`pyqmc_art.art.collection.plan_collection`
    size : side of a square in pixels
    cells : squares along each side of a picture
    """

    def paint() -> Iterator[Picture]:
        for pixels, one in paint_all(list(plan)):
            yield Picture(pixels, Path(one.title), "PNG", hashlib.sha256(pixels.tobytes()).hexdigest())

    manifest = Manifest(tuple(describe_commission(one, number) for number, one in enumerate(plan)))
    return _cut(manifest, paint(), size, cells, True, monitor)


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
        When there are none, or pictures cannot be read (all are named).
    """
    listed = source if isinstance(source, Manifest) else open_manifest(source)
    chosen = listed.where(roles) if roles else listed
    if hand:
        chosen = chosen.attribute(hand).where(hand=hand)
    if not len(chosen):
        by = f" by {hand}" if hand else ""
        raise InputError(f"no picture{by} has the role {' or '.join(roles)}; there are {dict(listed.roles())}")
    checked = chosen.check()
    if checked.problems:
        raise InputError(f"{len(checked.problems)} pictures cannot be used:\n" + "\n".join(map(str, checked.problems)))
    merged = merge_duplicates(checked.manifest).manifest
    return _cut(merged, map(read_picture, merged.paths), size, cells, False, monitor)


def _cut(
    manifest: Manifest, pictures: Iterable[Picture], size: int, cells: int, simulated: bool, monitor: Monitor | None
) -> Cuttings:
    eye, watch = MetadataExtractor(), monitor or Silent()
    rows: list[Row] = []
    images, owners, files = [], [], []
    watch.start("cutting pictures", len(manifest))
    try:
        for number, (row, picture) in enumerate(zip(manifest, pictures, strict=True)):
            cut = make_patches(picture.pixels, size, (cells,)).pixels
            images.append(cut)
            owners += [number] * len(cut)
            files.append(eye.extract(picture))
            rows.append(replace(row, sha256=picture.sha256))
            watch.advance(1)
    finally:
        watch.finish()
    whole = Manifest(tuple(rows), manifest.root)
    names, digests = tuple(row.path for row in rows), tuple(row.sha256 for row in rows)
    pool = Pool(np.concatenate(images), np.array(owners, np.int64), names, digests)
    return Cuttings(whole, pool, make_table(files, whole.works), simulated)
