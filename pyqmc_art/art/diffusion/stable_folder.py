"""Whether a local directory holds a complete Stable Diffusion pipeline, and what is missing when it does not."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyqmc_art.errors import InputError

_INDEX: Final = "model_index.json"
_KINDS: Final = {"StableDiffusionXL": "stable-diffusion-xl", "StableDiffusion": "stable-diffusion"}
_ENDINGS: Final = ("Pipeline", "Img2ImgPipeline", "InpaintPipeline")
_NEEDED: Final = {
    "stable-diffusion": ("scheduler", "text_encoder", "tokenizer", "unet", "vae"),
    "stable-diffusion-xl": ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae"),
}
_WEIGHTS: Final = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
_BLOCK: Final = 2**24


@dataclass(frozen=True)
class StableFolder:
    """A complete pipeline on disk.

    Attributes
    ----------
    path : of the directory
    kind : ``"stable-diffusion"`` (1.x, 2.x) or ``"stable-diffusion-xl"``
    variant : ``"fp16"`` where only such weights are there, else None
    weights : all files of weights
    inpaints : whether the network was made for inpainting alone, with nine channels
    size : side of the pictures in pixels that it was trained for
    """

    path: Path
    kind: str
    variant: str | None
    weights: tuple[Path, ...]
    inpaints: bool
    size: int

    def digest(self) -> str:
        """Name the weights and settings by their content: the beginning of a sha256."""
        total = hashlib.sha256()
        for file in sorted({*self.weights, *self.path.rglob("*.json"), *self.path.rglob("merges.txt")}):
            total.update(f"{file.relative_to(self.path).as_posix()}\0".encode())
            with file.open("rb") as content:
                while block := content.read(_BLOCK):
                    total.update(block)
        return total.hexdigest()[:16]


def looks_stable(folder: Path) -> bool:
    """Whether a directory is, or was meant to be, a pipeline of diffusers rather than a model of this package."""
    return (folder / _INDEX).exists() or ((folder / "unet").is_dir() and not (folder / "config.json").exists())


def open_folder(folder: str | os.PathLike[str]) -> StableFolder:
    """Check that a directory holds everything a pipeline needs; nothing is ever fetched.

    Raises
    ------
    InputError
        For no such directory, another pipeline, and parts that are missing, damaged or pickles: all of them by name.
    """
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"the directory {place} does not exist; give a local copy of a Stable Diffusion pipeline")
    if not (place / _INDEX).is_file():
        raise InputError(f"{place} is no complete pipeline: no {_INDEX}; copy the whole directory")
    index = _read_json(place / _INDEX)
    named = str(index.get("_class_name"))
    kind = _find_kind(named)
    if kind is None:
        raise InputError(f"{place} holds a {named}; expected Stable Diffusion 1.x, 2.x or XL")
    missing: list[str] = []
    weights: list[Path] = []
    for part in _NEEDED[kind]:
        lacking, found = _look(place / part, part)
        missing += lacking
        weights += found
    if missing:
        raise InputError(f"{place} is incomplete: {'; '.join(missing)}. Copy the whole directory")
    for file in weights:
        _check_weights(file)
    fp16 = any(file.name.split(".")[1] == "fp16" for file in weights)
    network, outside = (_read_json(place / part / "config.json") for part in ("unet", "vae"))
    doublings = len(outside.get("block_out_channels", [0] * 4)) - 1
    side = network.get("sample_size")
    size = (side if isinstance(side, int) else 64) * 2**doublings
    inpaints = network.get("in_channels") == 9
    return StableFolder(place, kind, "fp16" if fp16 else None, tuple(weights), inpaints, size)


def _find_kind(named: str) -> str | None:
    for start, kind in _KINDS.items():
        if named in [start + ending for ending in _ENDINGS]:
            return kind
    return None


def _look(folder: Path, part: str) -> tuple[list[str], list[Path]]:
    """What a part lacks, in words, and its files of weights."""
    if not folder.is_dir():
        return [f"no {part}"], []
    if part == "scheduler":
        return _lacking(folder, "scheduler_config.json"), []
    if part.startswith("tokenizer"):
        if (folder / "tokenizer.json").is_file():
            return [], []
        return _lacking(folder, "vocab.json") + _lacking(folder, "merges.txt"), []
    lacking, stem = _lacking(folder, "config.json"), _WEIGHTS.get(part, "model")
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        if (folder / name).is_file():
            return lacking, [folder / name]
        shards = folder / f"{name}.index.json"
        if shards.is_file():
            files = sorted({str(file) for file in _read_json(shards).get("weight_map", {}).values()})
            return lacking + [w for file in files for w in _lacking(folder, file)], [folder / file for file in files]
    pickles = sorted(file.name for file in folder.glob("*") if file.suffix in (".bin", ".ckpt", ".pt"))
    said = f" (only {pickles[0]}, a pickle, which is never read)" if pickles else ""
    return [*lacking, f"no {part}/{stem}.safetensors{said}"], []


def _lacking(folder: Path, name: str) -> list[str]:
    return [] if (folder / name).is_file() else [f"no {folder.name}/{name}"]


def _check_weights(file: Path) -> None:
    """Read the header of a file of weights; it holds the length of all the rest."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np"):
            pass
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} is damaged ({error}); copy it again") from None


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}); copy it again") from None
    if not isinstance(found, dict):
        raise InputError(f"{file} holds no settings; copy it again")
    return found
