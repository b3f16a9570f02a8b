"""What a training will cost, measured on two examples before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError

_PROBE: Final = 2
_PATIENCE: Final = 5.0
_FLOAT_BYTES: Final = 4
_GIB: Final = 2**30


@dataclass(frozen=True)
class Cost:
    """Price of a computation over many images.

    Attributes
    ----------
    parameters, trained : all of the network, and those that are trained
    gflop : of one image, forward; a multiplication and an addition are two
    memory : in GiB: weights, gradients, two moments and what the backward pass keeps of one batch
    images : number of images that pass, epochs included
    seconds_per_image : measured on this machine as busy as it is
    """

    parameters: int
    trained: int
    gflop: float
    memory: float
    images: int
    seconds_per_image: float

    @property
    def seconds(self) -> float:
        """Expected time in all."""
        return self.images * self.seconds_per_image

    def __str__(self) -> str:
        what = f"{self.trained / 1e6:.3g} M of them trained" if self.trained else "frozen"
        return (
            f"{self.parameters / 1e6:.3g} M parameters, {what}; {self.gflop:.3g} GFLOP per image forward; about "
            f"{self.memory:.2g} GiB of memory; {self.images} images in about {say_time(self.seconds)}"
        )


def estimate_cost(
    model: nn.Module, n: int, epochs: int = 1, *, shape: tuple[int, ...] = (3, 224, 224), batch: int = 32,
    training: bool = True,
) -> Cost:  # fmt: skip
    """Measure what passing ``n`` images ``epochs`` times through a network costs; the network is left as it was.

    Parameters
    ----------
    model : takes a float tensor of shape ``(batch, *shape)``
    n, epochs : images and passes
    shape : of one image
    batch : images of one step, for the memory
    training : forward and backward, or only forward

    Raises
    ------
    InputError
        For numbers below 1.

    Examples
    --------
    >>> cost = estimate_cost(nn.Sequential(nn.Flatten(), nn.Linear(12, 5, bias=False)), 10, 3, shape=(3, 2, 2))
    >>> cost.parameters, cost.images, cost.gflop
    (60, 30, 1.2e-07)
    """
    if min(n, epochs, batch) < 1:
        raise InputError(f"n is {n}, epochs {epochs}, batch {batch}; expected at least 1 of each")
    parameters = list(model.parameters())
    trained = [p for p in parameters if p.requires_grad] if training else []
    device = parameters[0].device if parameters else torch.device("cpu")
    images = torch.zeros((_PROBE, *shape), device=device)
    mode = model.training
    # Evaluation mode: the probe must not move the running statistics of a normalisation.
    model.eval()
    try:
        gflop = _count_flops(model, images[:1])
        kept, seconds = _probe(model, images, trained)
        if seconds < _PATIENCE:
            # The first pass also loads libraries and asks for memory; one more is affordable.
            seconds = min(seconds, _probe(model, images, trained)[1])
    finally:
        model.train(mode)
    weights = sum(p.numel() for p in parameters)
    moved = sum(p.numel() for p in trained)
    memory = (weights + 3 * moved) * _FLOAT_BYTES + kept / _PROBE * batch
    return Cost(weights, moved, gflop, memory / _GIB, n * epochs, seconds / _PROBE)


def _count_flops(model: nn.Module, image: Tensor) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    return float(counter.get_total_flops()) / 1e9


def _probe(model: nn.Module, images: Tensor, trained: list[nn.Parameter]) -> tuple[float, float]:
    """Bytes that the backward pass keeps, and seconds, for the images of the probe."""
    storages: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    begun = time.perf_counter()
    with torch.set_grad_enabled(bool(trained)), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = model(images)
    if trained:
        torch.autograd.grad(result.sum(), trained, allow_unused=True)
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return float(sum(storages.values())), time.perf_counter() - begun


def say_time(seconds: float) -> str:
    """Say how long something takes, in the unit that suits it.

    Examples
    --------
    >>> say_time(600), say_time(7200)
    ('10 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
