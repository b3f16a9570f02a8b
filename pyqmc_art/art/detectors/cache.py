"""Features kept on disk while a training runs, so that an interrupted one need not look at every picture again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.detectors.features import Extractor, Features, Levels
from pyqmc_art.art.detectors.linear import Preparation
from pyqmc_art.art.pictures import Picture
from pyqmc_art.errors import StoreError


@dataclass(frozen=True)
class KeptFeatures:
    """An extractor that writes down what it sees in each picture, and does not look twice.

    Attributes
    ----------
    inner : who looks
    folder : of the notes; their name tells extractor, preparation and content of the picture
    """

    inner: Extractor
    folder: Path

    @classmethod
    def of(cls, inner: Extractor, work: Path, preparation: Preparation | None, resume: bool) -> KeptFeatures:
        """Take up the notes of an interrupted training, or begin with none."""
        told = [inner.kind, inner.configuration(), None if preparation is None else preparation.to_json()]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        for name, values in sorted(inner.tensors().items()):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        if not resume:
            shutil.rmtree(work, ignore_errors=True)
        return cls(inner, work / f"features-{digest.hexdigest()[:16]}")

    @property
    def kind(self) -> str:
        """That of who looks."""
        return self.inner.kind

    def extract(self, picture: Picture) -> tuple[Features, Levels]:
        """Vectors of a picture and their levels, from the notes where they hold them."""
        path = self.folder / f"{picture.sha256}.npz"
        try:
            with np.load(path, allow_pickle=False) as notes:
                return notes["values"], notes["levels"]
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
            # Not there, or torn: look again.
            values, levels = self.inner.extract(picture)
        temporary = path.with_suffix(".part.npz")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            np.savez(temporary, values=values, levels=levels)
            os.replace(temporary, path)
        except OSError as error:
            raise StoreError(f"cannot write {path} ({error.strerror}); is there room, may you write there?") from None
        return values, levels

    def configuration(self) -> dict[str, Any]:
        """That of who looks."""
        return self.inner.configuration()

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Those of who looks."""
        return self.inner.tensors()
