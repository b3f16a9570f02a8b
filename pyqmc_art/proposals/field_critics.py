"""A small network that learns to tell two sets of fields apart, from the fields themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyqmc_art.errors import InputError
from pyqmc_art.learning.fit import fit
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.schedules import Shuffled
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.proposals.field_networks import FieldCritic, build
from pyqmc_art.rng import Stream
from pyqmc_art.stats.discriminants import balance_weights

Floats = NDArray[np.float64]

STEPS: Final = 200
_BATCH: Final = 128
_EVERY: Final = 25
_HELD: Final = 3
"""One part in so many is held out, to say when to stop and how well it went."""
_CHUNK: Final = 1024


def learn_critic(
    x: NDArray[Any], truth: NDArray[np.bool_], folds: NDArray[np.int64], stream: Stream, steps: int = STEPS
) -> tuple[Callable[[NDArray[Any]], Floats], float]:
    """Train a critic on fields; the weights of the smallest loss on held-out folds are kept.

    Parameters
    ----------
    x : fields, shape (n, rows, columns, components)
    truth : true for A
    folds : fold of each field; the last third of them is held out
    stream : of everything random
    steps : of the training

    Returns
    -------
    What gives log-odds of A of other fields, and the loss on the held-out folds

    Raises
    ------
    InputError
        For fields on another number of axes, or classes that are not in both shares.
    """
    if x.ndim != 4 or min(x.shape[1:3]) < 3:
        raise InputError(
            f"fields have shape {x.shape[1:-1]}; the network judges fields on two axes of at least 3 sites"
        )
    names, place = np.unique(folds, return_inverse=True)
    held = place.reshape(-1) >= len(names) - max(1, len(names) // _HELD)
    if any(part.all() or not part.any() for part in (truth[held], truth[~held])):
        raise InputError("a share of the fields is of one class; a network that stops in time needs both in both")
    scale = float(x[~held].std()) or 1.0
    given = _as_tensor(x, scale)
    labels = torch.from_numpy(np.where(truth, 1.0, -1.0).astype(np.float32))
    seen, kept = (torch.from_numpy(np.flatnonzero(part)) for part in (~held, held))
    weights = torch.zeros(len(x))
    for part in (held, ~held):
        weights[torch.from_numpy(part)] = torch.from_numpy(balance_weights(truth[part]).astype(np.float32))

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        return (weights[batch] * softplus(-labels[batch] * model(given[batch]))).mean()

    def evaluate(model: nn.Module) -> float:
        with torch.inference_mode():
            return -float(loss(model, kept))

    order = Shuffled(len(seen), min(_BATCH, len(seen)), stream.fold("order"))
    critic = build(FieldCritic, stream, x.shape[3])
    options = FitOptions(steps, learning_rate=5e-3, device="cpu", checkpoint_every=0, evaluate_every=_EVERY)
    with limit_torch(1):
        result = fit(
            critic, loss, lambda k: seen[torch.from_numpy(order(k))], options, stream=stream.fold("fit"),
            evaluate=evaluate, label="critic of fields",
        )  # fmt: skip

    def predict(other: NDArray[Any]) -> Floats:
        fields = _as_tensor(other, scale)
        with torch.inference_mode():
            parts = [critic(fields[k : k + _CHUNK]).double().numpy() for k in range(0, len(fields), _CHUNK)]
        return np.concatenate(parts) if parts else np.zeros(0)

    return predict, float("inf") if result.best is None else -result.best


def _as_tensor(x: NDArray[Any], scale: float) -> Tensor:
    """Fields as (n, components, rows, columns) of variance 1."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x / scale, -1, 1), np.float32))
