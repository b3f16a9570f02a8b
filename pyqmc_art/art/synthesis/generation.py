"""Pictures from a trained synthesizer, with a manifest that says where each comes from, and a contact sheet."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import read_picture, write_picture
from pyqmc_art.art.rows import Row, measured
from pyqmc_art.art.synthesis.maker import Maker
from pyqmc_art.art.synthesis.ranking import Ranking
from pyqmc_art.art.synthesis.snapshots import COLUMNS, lay_out
from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor

_CHUNK: Final = 16


def describe_pictures(synthesizer: Maker, manifest: Path, count: int, ranking: Ranking | None = None) -> str:
    """Say in one line what was written."""
    kept = f"{count} pictures" if ranking is None else f"the best {ranking.keep} of {count} pictures"
    return f"{manifest}: {kept} of {synthesizer.name} {synthesizer.digest} as {synthesizer.role}"


def write_pictures(
    synthesizer: Maker, out: str | os.PathLike[str], seeds: Sequence[int], *, ranking: Ranking | None = None,
    force: bool = False, monitor: Monitor | None = None,
) -> Path:  # fmt: skip
    """Write one picture for each seed, ``manifest.csv`` beside them, and ``OUT-sheet.png`` beside the folder.

    Parameters
    ----------
    synthesizer : what makes them
    out : folder, made if absent
    seeds : each names one picture, whatever the others are
    ranking : keeps the best of them, best first; the manifest says of how many
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
    if ranking is not None:
        ranking.check(len(seeds))
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
    made = np.concatenate(images)
    if ranking is not None:
        kept, rows = _select(ranking, rows, place, monitor)
        made = made[kept]
    write_picture(place.with_name(f"{place.name}-sheet.png"), lay_out(made, COLUMNS))
    return Manifest(tuple(rows), place).write(place / "manifest.csv")


def _select(ranking: Ranking, rows: list[Row], place: Path, monitor: Monitor | None) -> tuple[list[int], list[Row]]:
    """Keep the best candidates and remove the files of the others."""
    order, digest = ranking.sort([place / row.path for row in rows], monitor)
    for number, _ in order[ranking.keep :]:
        (place / rows[number].path).unlink()
    kept = [
        dataclasses.replace(rows[number], extra=(
            *rows[number].extra, ("rank", str(rank)), ("candidates", str(len(rows))), ("log_odds", f"{odds:.4f}"),
            ("ranked_by", digest),
        ))
        for rank, (number, odds) in enumerate(order[: ranking.keep], start=1)
    ]  # fmt: skip
    return [number for number, _ in order[: ranking.keep]], kept


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
    manner = dict(synthesizer.manner)
    prompt = manner.pop("prompt", "")
    shown = {} if math.isnan(synthesizer.kimg) else {"kimg": f"{synthesizer.kimg:g}"}
    return Row(
        path=path.name, role=synthesizer.role, generator=synthesizer.name, prompt=prompt, seed=str(seed),
        source="made by this package", basis="made by a machine: checkpoint and seed are known",
        extra=(("checkpoint", synthesizer.digest), *shown.items(), *manner.items()),
    )  # fmt: skip
