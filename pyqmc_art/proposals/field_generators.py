r"""Generators of fields whose density nobody knows: a diffusion model and a generative adversarial network, both small.

They propose nothing that could be made exact (see :mod:`pyqmc_art.proposals.flow` for that): they are forgers for the
judge of ensembles. Fields live on two periodic axes and are scaled to variance 1 for the networks.

Sources: J. Ho, A. Jain, P. Abbeel, NeurIPS 2020 (arXiv:2006.11239), algorithms 1 and 2; A. Nichol, P. Dhariwal, ICML
2021 (arXiv:2102.09672), equation 17 (the cosine schedule); I. Goodfellow et al., NIPS 2014 (arXiv:1406.2661);
L. Mescheder, A. Geiger, S. Nowozin, ICML 2018 (arXiv:1801.04406), equation 9 (the slope penalty).
"""

from __future__ import annotations

from dataclasses import dataclass
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
from pyqmc_art.learning.turns import Turn, call_frozen
from pyqmc_art.proposals.field_networks import FieldCritic, FieldMap, build
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]

LEVELS: Final = 60
"""Steps of the noising path of the diffusion model."""
NOISES: Final = 4
"""Channels of white noise that the generator of the adversarial network starts from."""
_BATCH: Final = 128
_SLOPE: Final = 0.5
_CHUNK: Final = 512


@dataclass(frozen=True, eq=False)
class Diffusion:
    r"""Denoises white noise in ``LEVELS`` steps.

    :math:`x_t = \sqrt{\bar\alpha_t} x + \sqrt{1 - \bar\alpha_t} \epsilon`; the network estimates epsilon.
    """

    network: nn.Module
    scale: float
    shape: tuple[int, int]

    def draw(self, stream: Stream, n: int) -> Floats:
        """Draw fields (n, rows, columns); field k is a function of the stream and k alone."""
        parts = []
        kept = _signal()
        for first in range(0, n, _CHUNK):
            count = min(_CHUNK, n - first)
            own = stream.shifted(first)
            x = _noise(own.fold("start"), count, 1, self.shape)
            for t in range(LEVELS - 1, -1, -1):
                before = kept[t - 1] if t else torch.ones(())
                alpha = kept[t] / before
                with torch.inference_mode():
                    found = self.network(_with_level(x, kept[t].expand(count)))
                mean = (x - (1 - alpha) / (1 - kept[t]).sqrt() * found) / alpha.sqrt()
                # The spread that is right for data of variance 1; the other usual choice is right for a single field.
                spread = (1 - alpha).sqrt()
                x = mean + spread * _noise(own.fold("step", t), count, 1, self.shape) if t else mean
            parts.append(x[:, 0].double().numpy() * self.scale)
        return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Adversarial:
    """Turns white noise into fields at once."""

    network: nn.Module
    scale: float
    shape: tuple[int, int]

    def draw(self, stream: Stream, n: int) -> Floats:
        """Draw fields (n, rows, columns); field k is a function of the stream and k alone."""
        parts = []
        for first in range(0, n, _CHUNK):
            count = min(_CHUNK, n - first)
            with torch.inference_mode():
                made = self.network(_noise(stream.shifted(first), count, NOISES, self.shape))
            parts.append(made[:, 0].double().numpy() * self.scale)
        return np.concatenate(parts)


def train_diffusion(fields: Floats, steps: int, stream: Stream) -> Diffusion:
    """Train a diffusion model on fields.

    Parameters
    ----------
    fields : shape (n, rows, columns)
    steps : of the training
    stream : of everything random

    Raises
    ------
    InputError
        For fields of another shape.

    Examples
    --------
    >>> white = np.random.default_rng(1).normal(size=(64, 4, 4))
    >>> train_diffusion(white, 2, Stream.from_seed(1)).draw(Stream.from_seed(2), 3).shape
    (3, 4, 4)
    """
    scale, batches = _prepare(fields, stream)
    kept = _signal()

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        level = kept[torch.randint(LEVELS, (len(batch),))]
        noise = torch.randn_like(batch)
        seen = level.sqrt()[:, None, None, None] * batch + (1 - level).sqrt()[:, None, None, None] * noise
        error: Tensor = (model(_with_level(seen, level)) - noise).square().mean()
        return error

    network = build(FieldMap, stream, 2, 1)
    options = FitOptions(steps, learning_rate=3e-3, ema=0.98, device="cpu", checkpoint_every=0)
    with limit_torch(1):
        fit(network, loss, batches, options, stream=stream.fold("fit"), label="diffusion of fields")
    return Diffusion(network, scale, _axes(fields))


class _Players(nn.Module):
    """A generator and a critic."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = FieldMap(NOISES, 1)
        self.critic = FieldCritic()


def train_adversarial(fields: Floats, steps: int, stream: Stream) -> Adversarial:
    """Train a generative adversarial network on fields, by the non-saturating loss with a penalty on the slope.

    Parameters
    ----------
    fields, steps, stream : as in :func:`train_diffusion`

    Examples
    --------
    >>> white = np.random.default_rng(1).normal(size=(64, 4, 4))
    >>> train_adversarial(white, 2, Stream.from_seed(1)).draw(Stream.from_seed(2), 3).shape
    (3, 4, 4)
    """
    scale, batches = _prepare(fields, stream, _BATCH // 2)

    def criticise(model: nn.Module, batch: Tensor) -> Tensor:
        players: Any = model
        made = call_frozen(players.generator, torch.randn(len(batch), NOISES, *batch.shape[2:])).detach()
        real = batch.requires_grad_()
        said = players.critic(real)
        (slope,) = torch.autograd.grad(said.sum(), real, create_graph=True)
        penalty = slope.square().sum(dim=(1, 2, 3)).mean()
        total: Tensor = softplus(-said).mean() + softplus(players.critic(made)).mean() + _SLOPE * penalty
        return total

    def deceive(model: nn.Module, batch: Tensor) -> Tensor:
        players: Any = model
        made = players.generator(torch.randn(len(batch), NOISES, *batch.shape[2:]))
        return softplus(-call_frozen(players.critic, made)).mean()

    players = build(_Players, stream)
    turns = [
        Turn("critic", "critic", criticise, betas=(0.5, 0.99)),
        Turn("maker", "generator", deceive, betas=(0.5, 0.99)),
    ]
    options = FitOptions(steps, learning_rate=2e-3, device="cpu", checkpoint_every=0)
    with limit_torch(1):
        fit(players, turns, batches, options, stream=stream.fold("fit"), label="adversarial network of fields")
    generator = players.get_submodule("generator")
    return Adversarial(generator, scale, _axes(fields))


def _prepare(fields: Floats, stream: Stream, batch: int = _BATCH) -> tuple[float, Any]:
    if fields.ndim != 3 or len(fields) < 2 or min(fields.shape[1:]) < 3:
        raise InputError(f"fields have shape {fields.shape}; expected (n, rows, columns), at least 3 x 3")
    scale = float(fields.std()) or 1.0
    data = torch.from_numpy((fields / scale).astype(np.float32))[:, None]
    order = Shuffled(len(fields), min(batch, len(fields)), stream.fold("order"))
    return scale, lambda number: data[torch.from_numpy(order(number))].clone()


def _axes(fields: Floats) -> tuple[int, int]:
    return int(fields.shape[1]), int(fields.shape[2])


def _signal() -> Tensor:
    """Share of the signal's variance at each level, alpha-bar, shape (LEVELS,)."""
    t = torch.arange(LEVELS + 1) / LEVELS
    squares = torch.cos((t + 0.008) / 1.008 * torch.pi / 2).square()
    return (squares[1:] / squares[0]).clamp(1e-3, 0.9999)


def _with_level(x: Tensor, kept: Tensor) -> Tensor:
    """Fields with a channel that says how much signal is left: its log-odds, halved."""
    level = 0.5 * torch.log(kept / (1 - kept))
    return torch.cat([x, level[:, None, None, None].expand_as(x)], dim=1)


def _noise(stream: Stream, n: int, channels: int, shape: tuple[int, int]) -> Tensor:
    drawn = stream.normal("user", channels * shape[0] * shape[1], n)
    return torch.from_numpy(drawn.astype(np.float32).reshape(n, channels, *shape))
