"""Tables of features kept on disk, so that several studies of the same pictures extract them once."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.errors import StoreError
from pyqmc_art.store import provenance

_ARRAYS = ("values", "owners", "levels")


@dataclass(frozen=True)
class Shelf:
    """A folder of ``.npz`` files, named by what their numbers depend on; without a folder nothing is kept.

    What is kept can be deleted at any time: it is computed again.
    """

    folder: Path | None = None

    def find(self, key: str, works: Sequence[str]) -> FeatureTable | None:
        """Give the table of this key for pictures of these works; None when there is none that can be used."""
        if self.folder is None:
            return None
        try:
            # Opened here: of a damaged file NumPy would leave it open.
            with (self.folder / f"{key}.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
                values, owners, levels = (stored[name] for name in _ARRAYS)
        # What NumPy raises for a missing, a damaged and a foreign file; all are made again.
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        fits = owners.ndim == 1 and len(values) == len(owners) == len(levels)
        if not fits or not np.array_equal(np.unique(owners), np.arange(len(works))):
            return None
        return FeatureTable(values, owners, levels, tuple(works))

    def keep(self, key: str, table: FeatureTable) -> None:
        """Write a table, whole or not at all.

        Raises
        ------
        StoreError
            When the folder cannot be written.
        """
        if self.folder is None:
            return
        temporary = self.folder / f".{key}.{os.getpid()}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    np.savez(file, values=table.values, owners=table.owners, levels=table.levels)
                os.replace(temporary, self.folder / f"{key}.npz")
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot keep features in {self.folder} ({error.strerror}); is there room, may you write there?"
            ) from None


def make_key(*facts: Any) -> str:
    """Name what numbers depend on: facts as JSON values, and this release and commit, which may see other things.

    Examples
    --------
    >>> make_key("residual", [1, 2]) == make_key("residual", [1, 2]) != make_key("residual", [2, 1])
    True
    """
    made = provenance.collect()
    text = json.dumps([made["version"], made["commit"], *facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
