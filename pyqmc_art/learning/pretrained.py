"""Model directories: ``config.json`` and ``*.safetensors``, complete or not there at all, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.store import provenance

FORMAT: Final = "pyqmc_art model"
FORMAT_VERSION: Final = 1
_CONFIG: Final = "config.json"
_NAME: Final = re.compile(r"[A-Za-z0-9][\w-]*(\.(safetensors|jsonl|json))")

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Pretrained:
    """What a model directory holds.

    Attributes
    ----------
    kind : what model it is, for instance ``"residual detector"``
    configuration : everything of ``config.json`` that the model itself wrote
    tensors : name of the file without suffix -> its arrays by name
    texts : name of the file -> its text
    """

    kind: str
    configuration: Mapping[str, Any]
    tensors: Mapping[str, Tensors] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def write_pretrained(folder: str | os.PathLike[str], model: Pretrained, force: bool = False) -> Path:
    """Write a model directory; it appears under its name only when it is complete.

    Parameters
    ----------
    folder : of the model
    model : what to write
    force : replace a model directory that is already there; nothing else is ever replaced

    Raises
    ------
    InputError
        When there is something at ``folder`` already.
    StoreError
        When the disk refuses.
    """
    from safetensors.numpy import save

    place = Path(folder)
    check_target(place, force)
    files = {f"{name}.safetensors": save(_plain(arrays)) for name, arrays in model.tensors.items()}
    files |= {name: text.encode() for name, text in model.texts.items()}
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": model.kind,
        "configuration": dict(model.configuration),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "made": provenance.collect(),
    }
    files[_CONFIG] = (json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.partial-", dir=place.parent))
        try:
            partial.chmod(0o755)
            for name, content in files.items():
                write_durably(partial / name, content)
            move_into_place(partial, place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot write the model {place} ({error.strerror}); is there room?") from error
    return place


def read_pretrained(folder: str | os.PathLike[str], kinds: tuple[str, ...] = ()) -> Pretrained:
    """Read a model directory, checking that it is complete and unchanged.

    Parameters
    ----------
    folder : of the model
    kinds : those that are accepted; empty accepts any

    Raises
    ------
    InputError
        When there is no such directory, it is none of this package, of another kind, partial or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    place = Path(folder)
    config = _read_config(place)
    kind = str(config["kind"])
    if kinds and kind not in kinds:
        raise InputError(f"{place} holds a {kind}; expected a {' or '.join(kinds)}")
    tensors: dict[str, Tensors] = {}
    texts: dict[str, str] = {}
    for name, digest in config["files"].items():
        content = _read_file(place, str(name), str(digest))
        try:
            if name.endswith(".safetensors"):
                tensors[Path(name).stem] = load(content)
            else:
                texts[name] = content.decode()
        except (SafetensorError, UnicodeDecodeError, KeyError) as error:
            raise InputError(f"{place / name} cannot be read ({error}); copy the model again") from error
    return Pretrained(kind, config["configuration"], tensors, texts)


def read_kind(folder: str | os.PathLike[str]) -> str:
    """Kind of a model directory, for instance ``"flow"``.

    Raises
    ------
    InputError
        When there is no such directory, or it is none of this package.
    """
    return str(_read_config(Path(folder))["kind"])


def _read_config(place: Path) -> dict[str, Any]:
    if not place.is_dir():
        what = "is a file" if place.exists() else "does not exist"
        raise InputError(f"the model directory {place} {what}; give the directory that a training wrote with --out")
    try:
        config = json.loads((place / _CONFIG).read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{place} is no model directory: it has no {_CONFIG}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{place / _CONFIG} cannot be read ({error}); copy or train the model again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise InputError(f"{place} was not written by this package: {_CONFIG} has no format {FORMAT!r}")
    if config.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{place} has format version {config.get('format_version')}, this release reads {FORMAT_VERSION}; "
            "use the release that wrote it, or train the model again"
        )
    shapes = {"kind": str, "configuration": dict, "files": dict}
    if not all(isinstance(config.get(name), kind) for name, kind in shapes.items()):
        raise InputError(f"{place / _CONFIG} lacks one of {', '.join(shapes)}; copy or train the model again")
    return config


def _read_file(place: Path, name: str, digest: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise InputError(f"{place / _CONFIG} names the file {name!r}; expected plain names of .safetensors or .jsonl")
    try:
        content = (place / name).read_bytes()
    except OSError as error:
        raise InputError(f"{place} is incomplete: no {name} ({error.strerror}); copy the whole directory") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"{place / name} is not the file the model was saved with (checksum differs); copy it again")
    return content


def _plain(arrays: Tensors) -> dict[str, NDArray[Any]]:
    # safetensors writes the memory as it lies: anything but C order would come back transposed.
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def check_target(place: Path, force: bool) -> None:
    """Refuse a place that no model directory may be written to: ``force`` replaces a model, and nothing else.

    Raises
    ------
    InputError
        When something is there already.
    """
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not force:
        raise InputError(f"{place} exists; choose another --out, or --force to replace the model there")
    _read_config(place)


def open_workplace(out: str | os.PathLike[str] | None, resume: bool, force: bool) -> tuple[Path | None, Path | None]:
    """Return where a model will be written, and the folder beside it for the checkpoints of its training.

    Raises
    ------
    InputError
        When something is there already, or a training that was interrupted and is not resumed.
    """
    if out is None:
        return None, None
    place = Path(out)
    check_target(place, force)
    work = place.with_name(f"{place.name}.training")
    if work.exists() and not resume:
        raise InputError(f"{work} holds an interrupted training; go on with it by resume, or remove it")
    return place, work


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def move_into_place(partial: Path, place: Path) -> None:
    """Rename a complete directory to its name; one that is there already steps aside and is removed afterwards."""
    if not place.exists():
        os.replace(partial, place)
        return
    aside = place.with_name(f".{place.name}.replaced-{os.getpid()}")
    os.replace(place, aside)
    os.replace(partial, place)
    shutil.rmtree(aside, ignore_errors=True)
