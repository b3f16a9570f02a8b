"""Pictures from a trained synthesizer, with a manifest that says where each comes from, and a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import read_picture, write_picture
from pyqmc_art.art.rows import Row, measured
from pyqmc_art.art.synthesis.maker import Maker
from pyqmc_art.art.synthesis.snapshots import COLUMNS, lay_out
from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor

_CHUNK: Final = 16


def describe_pictures(synthesizer: Maker, manifest: Path, count: int) -> str:
    """Say in one line what was written."""
    return f"{manifest}: {count} pictures of {synthesizer.name} {synthesizer.digest} as {synthesizer.role}"


def write_pictures(
    synthesizer: Maker, out: str | os.PathLike[str], seeds: Sequence[int], *, force: bool = False,
    monitor: Monitor | None = None,
) -> Path:  # fmt: skip
    """Write one picture for each seed, ``manifest.csv`` beside them, and ``OUT-sheet.png`` beside the folder.

    Parameters
    ----------
    synthesizer : what makes them
    out : folder, made if absent
    seeds : each names one picture, whatever the others are
    force : replace the pictures of a manifest that is there

    Returns
    -------
    path of the manifest

    Raises
    ------
    InputError
        Without seeds, for one that is given twice, or when the folder holds a manifest already.
    StoreError
        When a file cannot be written.
    """
    place, watch = Path(out), monitor or Silent()
    if not seeds or len(set(seeds)) != len(seeds):
        raise InputError(f"{len(seeds)} seeds, {len(set(seeds))} of them different; expected at least one, none twice")
    _make_room(place, force)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {place} ({error.strerror}); is there room?") from error
    images, rows = [], []
    watch.start("generating", len(seeds))
    try:
        for begin in range(0, len(seeds), _CHUNK):
            chunk = seeds[begin : begin + _CHUNK]
            images.append(synthesizer.draw(chunk))
            for seed, image in zip(chunk, images[-1], strict=True):
                path = write_picture(place / f"{synthesizer.name}-{seed:06d}.png", image)
                rows.append(measured(_describe(synthesizer, path, seed), read_picture(path)))
            watch.advance(len(chunk))
    finally:
        watch.finish()
    write_picture(place.with_name(f"{place.name}-sheet.png"), lay_out(np.concatenate(images), COLUMNS))
    return Manifest(tuple(rows), place).write(place / "manifest.csv")


def _make_room(place: Path, force: bool) -> None:
    """Remove the pictures of a manifest that is there, if that is wished; nothing else."""
    listed = place / "manifest.csv"
    if not listed.exists():
        return
    if not force:
        raise InputError(
            f"{place} already holds a manifest.csv; choose another --out, or --force to replace its pictures"
        )
    for path in Manifest.read(listed, strict=False).paths:
        if path.parent == place:
            path.unlink(missing_ok=True)
    listed.unlink()


def _describe(synthesizer: Maker, path: Path, seed: int) -> Row:
    return Row(
        path=path.name, role=synthesizer.role, generator=synthesizer.name, seed=str(seed),
        source="made by this package", basis="made by a machine: checkpoint and seed are known",
        extra=(("checkpoint", synthesizer.digest), ("kimg", f"{synthesizer.kimg:g}"), *synthesizer.manner),
    )  # fmt: skip
