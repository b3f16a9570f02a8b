r"""Detectors that a generator can be trained against: one network, no batch statistics, a gradient to every pixel.

A generator's loss beside the one of its own game is :math:`w\,\mathrm{softplus}(-d(G(z)))` with the log-odds d of a
frozen detector that a picture is real: the non-saturating loss of a discriminator that does not learn.

References
----------
I. Goodfellow et al., NIPS 2014 (arXiv:1406.2661), section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyqmc_art.art.gan.network import list_widths
from pyqmc_art.art.gan.objectives import discriminate
from pyqmc_art.art.synthesis.pool import as_tensor
from pyqmc_art.errors import InputError
from pyqmc_art.learning.fit import fit
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.schedules import Shuffled
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream

Images = NDArray[np.uint8]
_CHUNK = 64


class RivalNetwork(nn.Module):
    """Strided convolutions down to 4 x 4 pixels, then log-odds that a picture is real."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        widths = [3, *list_widths(size, width)[:-1][::-1]]
        stages = [layer for a, b in pairwise(widths) for layer in (nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2))]
        self.layers = nn.Sequential(*stages, nn.Conv2d(widths[-1], 1, 4))

    def forward(self, images: Tensor) -> Tensor:
        """Log-odds (n,) of images (n, 3, size, size) from -1 to 1."""
        logits: Tensor = self.layers(images)
        return logits.flatten()


@dataclass(frozen=True)
class RivalTraining:
    """How a detector is trained.

    Parameters
    ----------
    width : channels at the largest size
    steps : of the optimiser
    batch : pictures of one step, half of them real
    learning_rate : cosine, from here to nothing
    """

    width: int = 16
    steps: int = 300
    batch: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if self.batch < 2 or self.batch % 2 or self.width < 1:
            raise InputError(f"batch is {self.batch} and width {self.width}; expected an even batch, and at least 1")
        _ = self.fit_options

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop."""
        return FitOptions(self.steps, self.learning_rate, "cosine", device="cpu", log_every=0)


@dataclass(frozen=True, eq=False)
class Rival:
    """A trained detector.

    Attributes
    ----------
    network : frozen
    generations : sets of made pictures it was trained on
    """

    network: RivalNetwork
    generations: int

    def judge(self, images: Images) -> NDArray[np.float64]:
        """Log-odds (n,) that pictures (n, h, w, 3) are real."""
        with torch.inference_mode():
            parts = [self.network(as_tensor(images[a : a + _CHUNK])) for a in range(0, len(images), _CHUNK)]
        return np.concatenate([part.double().numpy() for part in parts]) if parts else np.empty(0)

    def blame(self, images: Tensor) -> Tensor:
        """What a generator pays for images that are told from real ones."""
        logits: Tensor = self.network(images)
        return softplus(-logits).mean()


def train_rival(
    real: Images,
    made: Sequence[Images],
    training: RivalTraining,
    stream: Stream,
    *,
    threads: int | None = None,
    monitor: Monitor | None = None,
) -> Rival:
    """Train a detector of made pictures; every set of them counts the same.

    Parameters
    ----------
    real : uint8 (n, size, size, 3)
    made : of each generation of the generator
    training : how
    stream : of weights and order

    Raises
    ------
    InputError
        Without real pictures, or without made ones.
    """
    if not len(real) or not made or not all(len(one) for one in made):
        raise InputError("a detector needs real pictures and made ones of every generation; one of them is missing")
    with limit_torch(threads), torch.random.fork_rng([]):
        torch.manual_seed(stream.fold("weights").key)
        network = RivalNetwork(real.shape[1], training.width)
        batches = _mix(real, made, training.batch // 2, stream)
        fit(network, _tell, batches, training.fit_options, stream=stream.fold("fit"), monitor=monitor, label="detector")
    return Rival(network.eval().requires_grad_(False), len(made))


def _mix(real: Images, made: Sequence[Images], half: int, stream: Stream) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Give real and made pictures of batch 0, 1, ..., half of each mirrored."""
    orders = [Shuffled(len(one), half, stream.fold("order", k)) for k, one in enumerate((real, *made))]
    turns = stream.fold("mirror")

    def give(number: int) -> tuple[Tensor, Tensor]:
        # Slot k of a batch holds generation (k + number) mod their number, so that each is shown equally often.
        which = [(k + number) % len(made) for k in range(half)]
        chosen = np.stack([made[g][orders[g + 1](number)[k]] for k, g in enumerate(which)])
        turned = turns.at(number).uniform("user", np.arange(2 * half), 1)[0] < 0.5
        both = np.concatenate([real[orders[0](number)], chosen])
        both[turned] = both[turned, :, ::-1]
        return as_tensor(both[:half]), as_tensor(both[half:])

    return give


def _tell(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    real, made = batch
    logits = network(torch.cat([real, made]))
    return discriminate("non-saturating", logits[: len(real)], logits[len(real) :])
