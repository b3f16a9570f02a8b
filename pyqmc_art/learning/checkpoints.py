"""Checkpoints of a training: tensors in one safetensors file, facts in JSON, the directory renamed when complete."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn
from torch.optim import Optimizer

from pyqmc_art.errors import StoreError
from pyqmc_art.learning.pretrained import move_into_place, write_durably

KEPT: Final = 2
_NAME: Final = re.compile(r"checkpoint-(\d{8})")
_TENSORS: Final = "state.safetensors"
_FACTS: Final = "state.json"


@dataclass(frozen=True)
class TrainingState:
    """Everything the next step depends on; the streams are counter-based, so there is no generator among it.

    Attributes
    ----------
    step : steps done
    tensors : ``group/name`` -> tensor, the groups being model, optimizer, ema and best
    facts : small JSON facts
    """

    step: int
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def group(self, name: str) -> dict[str, Tensor]:
        """Tensors of one group by their own names."""
        prefix = name + "/"
        return {key[len(prefix) :]: value for key, value in self.tensors.items() if key.startswith(prefix)}


def named(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put tensors into a group; each is copied, so that tied weights are stored for themselves."""
    return {f"{group}/{name}": value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Moments and counters of an optimiser as ``parameter/name``; its options are configuration, not state."""
    return {
        f"{number}/{name}": value
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo :func:`optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, own = name.partition("/")
        state.setdefault(int(number), {})[own] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def restore_model(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load all weights.

    Raises
    ------
    StoreError
        When they are those of another network.
    """
    try:
        model.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise StoreError(f"{where} holds another network: {str(error).splitlines()[-1].strip()}") from error


def write_state(folder: Path, state: TrainingState) -> Path:
    """Write ``checkpoint-<step>`` and remove all but the newest two.

    Raises
    ------
    StoreError
        When the disk refuses; older checkpoints are untouched.
    """
    from safetensors.torch import save

    place = folder / f"checkpoint-{state.step:08d}"
    content = save(dict(state.tensors))
    facts = {"step": state.step, "tensors": hashlib.sha256(content).hexdigest(), "facts": dict(state.facts)}
    partial = folder / f".{place.name}.partial-{os.getpid()}"
    try:
        partial.mkdir(parents=True)
        write_durably(partial / _TENSORS, content)
        write_durably(partial / _FACTS, json.dumps(facts).encode())
        move_into_place(partial, place)
    except OSError as error:
        raise StoreError(f"cannot write the checkpoint {place} ({error.strerror}); is there room?") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for old in list_checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a folder, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(place for place in folder.iterdir() if _NAME.fullmatch(place.name) and (place / _FACTS).is_file())


def read_state(place: Path) -> TrainingState:
    """Read one checkpoint.

    Raises
    ------
    StoreError
        When it is damaged or incomplete.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        facts = json.loads((place / _FACTS).read_text("utf-8"))
        content = (place / _TENSORS).read_bytes()
        if hashlib.sha256(content).hexdigest() != facts["tensors"]:
            raise ValueError("its checksum differs")
        return TrainingState(int(facts["step"]), load(content), dict(facts["facts"]))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StoreError(
            f"the checkpoint {place} is damaged ({error}); remove it to resume from the one before"
        ) from error
