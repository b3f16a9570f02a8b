"""Writing a corrected ensemble: fields with their weights, or pictures with a manifest, and where they come from."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.correction import Correction
from pyqmc_art.appraise.fields import FieldSet
from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.store.checkpoint import Checkpoint
from pyqmc_art.store.provenance import collect
from pyqmc_art.store.writer import EnsembleWriter

FILE: Final = "fields.h5"
_ABOUT_TARGET: Final = (
    "action", "shape", "lattice", "boundary", "beta", "J", "h", "q", "n", "m2", "lam", "convention", "disorder",
    "disorder_seed",
)  # fmt: skip


def check_folder(folder: Path, force: bool) -> Path:
    """Refuse a place where a corrected ensemble cannot be written.

    Raises
    ------
    InputError
        If it is a file, or holds something and ``force`` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder to write the corrected ensemble into")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(f"{folder} is not empty; choose another --out, or --force to write into it")
    return folder


def write_corrected_fields(
    folder: Path, a: FieldSet, b: FieldSet, found: Correction, *, seed: int = 0, force: bool = False
) -> Path:
    """Write ``folder/fields.h5``: /fields, and the series ``log_weight`` and ``member``.

    After rejection and in a chain all fields count the same, and ``log_weight`` says how they were chosen; after
    reweighting each counts ``exp(log_weight)``. ``member`` numbers the fields of B that were looked at, measurement by
    measurement and replica by replica.

    Raises
    ------
    InputError, StoreError
        If the file is there already, or cannot be written.
    """
    _make(folder)
    told = {key: b.configuration[key] for key in _ABOUT_TARGET if key in b.configuration}
    told |= {"shape": list(b.raw.shape[2:][: len(told.get("shape", b.raw.shape[2:]))])}
    told |= {"kernel": f"corrected by {found.method}", "measure": ["log_weight", "member"], "every": 1}
    flat = b.raw.reshape(-1, *b.raw.shape[2:])[found.chosen][:, None]
    series: dict[str, NDArray[np.float64]] = {
        "log_weight": found.weighed.b[found.chosen][:, None], "member": found.chosen.astype(np.float64)[:, None],
    }  # fmt: skip
    origin: dict[str, Any] = {**collect(), "seed": seed, **_describe(found, a.name, b.name), "stride": b.stride}
    writer = EnsembleWriter.create(
        folder / FILE, configuration=told, provenance=origin, series={name: (1,) for name in series},
        fields=(flat.shape[1:], flat.dtype), state=Checkpoint(0), force=force,
    )  # fmt: skip
    with writer:
        writer.append(series, flat, Checkpoint(len(flat), {}, len(flat), len(flat)))
    return folder / FILE


def write_corrected_pictures(folder: Path, b: Any, found: Correction, *, a_name: str, seed: int = 0) -> Path:
    """Copy the chosen pictures, and write ``folder/manifest.csv`` with how often each was chosen and its weight.

    Raises
    ------
    InputError, StoreError
        If a picture cannot be copied.
    """
    from pyqmc_art.art.manifest import Manifest

    _make(folder)
    members, counts = np.unique(found.chosen, return_counts=True)
    story = "; ".join(f"{key} {value}" for key, value in _describe(found, a_name, b.files.name).items())
    rows = []
    for member, count in zip(members.tolist(), counts.tolist(), strict=True):
        source, row = b.files.path(member), b.files.rows[member]
        name = f"{member:05d}{source.suffix.lower()}"
        try:
            shutil.copyfile(source, folder / name)
        except OSError as reason:
            raise StoreError(f"cannot copy {source} to {folder} ({reason.strerror}); is there room?") from None
        extra = (*row.extra, ("log_weight", f"{found.weighed.b[member]:.6g}"), ("chosen", str(count)))
        rows.append(
            dataclasses.replace(
                row, path=name, role=row.role or "other-machine", note=f"{story}; seed {seed}; from {source.name}",
                extra=extra,
            )
        )  # fmt: skip
    return Manifest(tuple(rows), folder).write(folder / "manifest.csv")


def _describe(found: Correction, a: str, b: str) -> dict[str, Any]:
    weights = found.weights
    return {
        "corrected_by": found.method, "corrected": b, "towards": a, "digest_of_corrected": _digest(b),
        "digest_of_towards": _digest(a), "acceptance": found.acceptance.value, "ess": weights.effective,
        "largest_share": weights.largest_share, "unseen": found.unseen.value,
    }  # fmt: skip


def _digest(path: str) -> str:
    """SHA-256 of a file; empty for a folder, whose pictures have digests of their own."""
    place = Path(path)
    if not place.is_file():
        return ""
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make(folder: Path) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as reason:
        raise InputError(f"cannot make the folder {folder}: {reason.strerror}; give another --out") from None
