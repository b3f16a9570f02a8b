"""A flow of a block given what surrounds it: domain-wise proposals whose quality does not depend on the volume."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.block_action import BlockAction
from pyqmc_art.lattice.free_blocks import FreeBlocks
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.proposals.couplings import LARGEST_LOG_SCALE
from pyqmc_art.protocols import Draw
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]

_LAST_GAIN: Final = 0.3
MOST_LAYERS: Final = 1000


@dataclass(frozen=True)
class BlockShape:
    """What a flow of blocks is made of.

    Parameters
    ----------
    block : extents of a block
    layers : couplings, the colours in turn
    hidden : widths of the hidden layers of each network
    mass : m2 of the free field it starts from, in convention A; None takes one as wide as the target
    """

    block: tuple[int, ...]
    layers: int = 6
    hidden: tuple[int, ...] = (32,)
    mass: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layers, bool) or not isinstance(self.layers, int) or not 1 <= self.layers <= MOST_LAYERS:
            raise InputError(f"layers is {self.layers!r}; expected a whole number from 1 to {MOST_LAYERS}")
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in self.hidden):
            raise InputError(f"hidden is {self.hidden}; expected widths of at least 1, for instance 32")

    def configuration(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden), "block": list(self.block)}


class _Coupling(nn.Module):
    """y = x on one colour of the block; on the other y = t + c e^s sinh(d asinh((x - m) / c)).

    s, t, m and d > 0 are read off the first colour and the surroundings. d < 1 makes tails lighter than those of a
    normal number, |y| ~ |x|^d: 1/2 gives those of a quartic potential, which an affine map of one site cannot.
    """

    mask: Tensor

    def __init__(self, mask: NDArray[np.float64], hidden: Sequence[int], scale: float) -> None:
        super().__init__()
        size, self.scale = len(mask), scale
        self.register_buffer("mask", torch.from_numpy(mask), persistent=False)
        layers: list[nn.Module] = []
        for one, two in pairwise((2 * size, *hidden, 4 * size)):
            layers += [nn.Linear(one, two, dtype=torch.float64), nn.Tanh()]
        layers.pop()
        with torch.no_grad():
            for weight in layers[-1].parameters():
                weight.mul_(_LAST_GAIN)
        self.net = nn.Sequential(*layers)

    def _read(self, x: Tensor, around: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """s, t / c, ln d and m / c on all sites, zero on those that are read."""
        given = torch.cat([x * self.mask, around], dim=-1) / self.scale
        s, t, d, m = (self.net(given) * (1 - self.mask).repeat(4)).chunk(4, dim=-1)
        bound = LARGEST_LOG_SCALE
        return bound * torch.tanh(s / bound), t, torch.tanh(d), m

    def forward(self, x: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
        """Map x, shape (..., sites), to y; and ln |det dy/dx|, shape (...)."""
        s, t, d, m = self._read(x, around)
        power, v = d.exp(), x / self.scale - m
        u = power * torch.asinh(v)
        moved = t + s.exp() * torch.sinh(u)
        log_det = s + d + torch.cosh(u).log() - 0.5 * torch.log1p(v * v)
        y = torch.where(self.mask > 0, x, self.scale * moved)
        return y, (log_det * (1 - self.mask)).sum(dim=-1)

    def inverse(self, y: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
        """Map y to x, and ln |det dx/dy|."""
        s, t, d, m = self._read(y, around)
        u = torch.asinh((y / self.scale - t) * (-s).exp())
        v = torch.sinh(u * (-d).exp())
        log_det = s + d + torch.cosh(u).log() - 0.5 * torch.log1p(v * v)
        x = torch.where(self.mask > 0, y, self.scale * (v + m))
        return x, -(log_det * (1 - self.mask)).sum(dim=-1)


class BlockFlow(nn.Module):
    """Free blocks through couplings that see the boundary; proposes for ``Blocked``.

    log q(x | boundary) = log q_free(z | boundary) - ln |det dx/dz|. Networks see the boundary through the free field
    that costs least inside, with the sign that makes the sum of the boundary positive: q(-x | -boundary) is
    q(x | boundary). Everything is float64.

    Parameters
    ----------
    action : phi^4 on a periodic square or hypercubic lattice; its extents do not enter
    plan : block and layers
    stream : of the first weights

    Attributes
    ----------
    threads : of torch while it draws; None changes nothing
    digest : of the weights, once they are those of a model directory

    References
    ----------
    Finkenrath, arXiv:2201.02216.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> flow = BlockFlow(Phi4(Lattice((8, 8)), m2=-4, lam=8), BlockShape((2, 2), layers=2))
    >>> stream, boundary = Stream.from_seed(1), np.ones((3, 8, 8))
    >>> drawn = flow.propose(stream, boundary)
    >>> bool(np.allclose(flow.encode(stream, drawn.field, boundary).log_ratio, drawn.log_ratio))
    True
    """

    def __init__(self, action: Phi4, plan: BlockShape, stream: Stream | None = None) -> None:
        super().__init__()
        self.action, self.plan, self.block = action, plan, tuple(plan.block)
        self.free = FreeBlocks(action, plan.block, plan.mass)
        self.part = BlockAction(action, plan.block)
        self.threads: int | None = None
        self.digest = ""
        parity = np.indices(self.block).sum(axis=0).ravel() % 2
        with torch.random.fork_rng([]):
            torch.manual_seed((stream or Stream.from_seed(0)).fold("first weights").key)
            self.layers = nn.ModuleList(
                _Coupling((parity == k % 2).astype(np.float64), plan.hidden, action.width) for k in range(plan.layers)
            )

    def forward(self, z: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
        """Map free blocks z, shape (..., sites), to fields; and ln |det dx/dz|, shape (...)."""
        total = torch.zeros(z.shape[:-1], dtype=torch.float64, device=z.device)
        for layer in self.layers:
            z, log_det = layer(z, around)
            total = total + log_det
        return z, total

    def inverse(self, x: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
        """Map fields to free blocks, and ln |det dz/dx|."""
        total = torch.zeros(x.shape[:-1], dtype=torch.float64, device=x.device)
        layers: list[Any] = list(self.layers)
        for layer in reversed(layers):
            x, log_det = layer.inverse(x, around)
            total = total + log_det
        return x, total

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @torch.no_grad()
    def propose(self, stream: Stream, boundary: Floats) -> Draw:
        """Draw values for every block."""
        sign, boundary = _turned(boundary)
        start, around = self.free.propose(stream, boundary), self.free.mean(boundary)
        with limit_torch(self.threads):
            x, log_det = self(torch.from_numpy(start.field).to(self.device), torch.from_numpy(around).to(self.device))
        return Draw(sign * x.cpu().numpy(), None, start.log_ratio - log_det.cpu().numpy())

    @torch.no_grad()
    def encode(self, stream: Stream, field: Floats, boundary: Floats) -> Draw:
        """Give log q of values that something else made, by inversion."""
        sign, boundary = _turned(boundary)
        around = torch.from_numpy(self.free.mean(boundary)).to(self.device)
        with limit_torch(self.threads):
            z, log_det = self.inverse(torch.from_numpy(sign * field).to(self.device), around)
        start = self.free.encode(stream, z.cpu().numpy(), boundary)
        return Draw(field, None, start.log_ratio + log_det.cpu().numpy())

    def lack(self, noise: Tensor, boundary: Tensor, around: Tensor) -> Tensor:
        """-log weight, S + log q, of values drawn from ``noise``: its mean over noise is the reverse KL - ln Z.

        Parameters
        ----------
        noise : standard normal, shape (n, sites)
        boundary : with a positive sum, shape (n, bonds outwards)
        around : the free field that costs least inside, shape (n, sites)
        """
        root = torch.from_numpy(self.free.root).to(noise.device)
        x, log_det = self(around + noise @ root.T, around)
        log_base = self.free.log_norm - 0.5 * (noise * noise).sum(dim=-1)
        value: Tensor = _Part.apply(x, boundary, self.part) + log_base - log_det
        return value


class _Part(torch.autograd.Function):
    """S of blocks and its gradient, both by the lattice wing: there is no second version of S for torch."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, boundary: Tensor, part: BlockAction) -> Tensor:
        inside, outside = values.detach().cpu().numpy(), boundary.detach().cpu().numpy()
        ctx.save_for_backward(torch.from_numpy(-part.force(inside, outside)).to(values.device))
        return torch.from_numpy(part(inside, outside)).to(values.device)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return slope * gradients[0][..., None], None, None


def _turned(boundary: Floats) -> tuple[Floats, Floats]:
    """The sign of the sum of each boundary, and the boundaries with a positive one."""
    sign = np.where(boundary.sum(axis=-1, keepdims=True) < 0, -1.0, 1.0)
    return sign, sign * boundary
