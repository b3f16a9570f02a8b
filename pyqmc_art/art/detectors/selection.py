"""The rows of a training: chosen from a manifest, decoded, compared with their rows, near-duplicates merged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.duplicates import Merged, merge_duplicates
from pyqmc_art.art.layouts import open_manifest
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.roles import resolve_hand, resolve_role
from pyqmc_art.art.rows import Problem
from pyqmc_art.errors import InputError


@dataclass(frozen=True)
class Selection:
    """Rows to train on, works merged, and what was wrong with others; a training needs ``problems`` to be empty.

    ``hand`` is the name that the manifest gives to the hand that was asked for.
    """

    hand: str
    rows: Manifest
    merged: Merged | None
    problems: tuple[Problem, ...]


def select_rows(manifest: Manifest, hand: str, contrast: Sequence[str] = ()) -> tuple[Manifest, NDArray[np.bool_]]:
    """Choose the originals of a hand and its contrast; give the rows and which are the hand's.

    Raises
    ------
    InputError
        When either is empty.
    """
    manifest = manifest.attribute(hand)
    positive = manifest.authentic(hand)
    roles = {resolve_role(word) for word in contrast}
    negative = ~positive & np.array([not roles or row.role in roles for row in manifest], bool)
    if not positive.any():
        raise InputError(f"the manifest names {hand}, but in no row of role original: nothing to learn from")
    if not negative.any():
        there = ", ".join(f"{role} {n}" for role, n in manifest.roles().items())
        wanted = f"of role {', '.join(sorted(roles))} " if roles else ""
        raise InputError(f"no row {wanted}to set against {hand}; the manifest holds {there}")
    chosen = np.flatnonzero(positive | negative)
    return manifest.keep(chosen.tolist()), positive[chosen]


def prepare_rows(path: str | os.PathLike[str], hand: str, contrast: Sequence[str] = ()) -> Selection:
    """Read a manifest or scan a folder, choose the rows of a training, decode every picture, merge near-duplicates.

    Raises
    ------
    InputError
        When there is no such manifest, hand or contrast.
    """
    listed = open_manifest(path, strict=False).attribute(hand)
    rows, _ = select_rows(listed, hand, contrast)
    name = resolve_hand(hand, listed.hands())
    found = rows.check()
    if found.problems:
        return Selection(name, found.manifest, None, found.problems)
    merged = merge_duplicates(found.manifest)
    return Selection(name, merged.manifest, merged, ())
