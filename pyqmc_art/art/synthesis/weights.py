"""Networks as arrays of a model directory: named, filled in, averaged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pyqmc_art.errors import InputError
from pyqmc_art.learning.pretrained import Pretrained

_RAMP: Final = 0.05


def read_tensors(network: nn.Module) -> dict[str, NDArray[Any]]:
    """Give all parameters and buffers of a network as arrays."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def digest_of(*networks: nn.Module) -> str:
    """A short digest of the weights of networks."""
    total = hashlib.sha256()
    for network in networks:
        for name, array in sorted(read_tensors(network).items()):
            total.update(name.encode())
            total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def fill(part: nn.Module, tensors: Mapping[str, Mapping[str, NDArray[Any]]], name: str, folder: Any) -> None:
    """Load the weights that a model directory holds under a name.

    Raises
    ------
    InputError
        When they are not there, or are those of another network.
    """
    try:
        part.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors[name].items()})
    except (KeyError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"{folder} holds no complete {name} ({reason}); copy or train it again") from None


def average_weights(mean: nn.Module, network: nn.Module, batch: int, shown: int, half_life: float) -> None:
    """Move averaged weights towards the present ones.

    Parameters
    ----------
    mean, network : of one architecture; buffers are copied
    batch : images of the step
    shown : images of this training so far, this step's included
    half_life : of the average in images; at first it grows with what was shown, so that the first weights are soon
        forgotten
    """
    decay = 0.5 ** (batch / max(1.0, min(half_life, _RAMP * shown)))
    with torch.no_grad():
        for kept, value in zip(mean.parameters(), network.parameters(), strict=True):
            kept.lerp_(value, 1 - decay)
        for held, current in zip(mean.buffers(), network.buffers(), strict=True):
            held.copy_(current)


def read_history(stored: Pretrained, folder: Any) -> tuple[Mapping[str, Any], ...]:
    """Read the trainings a model went through from its configuration.

    Raises
    ------
    InputError
        When they are not there, or make no sense.
    """
    try:
        history = tuple(dict(stage) for stage in stored.configuration["history"])
        if not all(int(stage["images"]) >= 0 for stage in history):
            raise ValueError("a negative number of images")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder} does not say how it was trained ({error}); train it again") from None
    return history


def count_images(history: Sequence[Mapping[str, Any]]) -> int:
    """Images shown in all trainings."""
    return sum(int(stage["images"]) for stage in history)
