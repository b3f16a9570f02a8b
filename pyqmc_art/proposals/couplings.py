"""Affine couplings: one half of the sites is scaled and shifted by what a network reads off the other half."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError, unknown

NETWORKS: Final = ("conv", "dense")
LARGEST_LOG_SCALE: Final = 3.0
"""Bound of the logarithm of each scale: no layer can lose more than exp(3) of precision."""

_CONVOLUTIONS: Final = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_LAST_GAIN: Final = 0.3


class AffineCoupling(nn.Module):
    """y = x on one colour of the checkerboard; y = x exp(s) + t on the other, (s, t) read off the first.

    The network is float32. The field and the log-determinant stay float64: what the network is given when the map is
    inverted then differs by rounding of float64 only, and so does log q.

    Parameters
    ----------
    shape : of the lattice
    colour : 0 or 1, the colour that is read
    hidden : channels (``"conv"``) or numbers (``"dense"``) of the hidden layers
    network : ``"conv"``, circular convolutions of three sites along each of up to three axes, or ``"dense"``
    equivariant : commutes with phi -> -phi: an odd network (no constants, tanh) gives t, and s as the product of two of
        its outputs
    """

    mask: Tensor

    def __init__(
        self, shape: Sequence[int], colour: int, hidden: Sequence[int], network: str = "conv", equivariant: bool = True
    ) -> None:
        super().__init__()
        if network not in NETWORKS:
            raise unknown("network", network, NETWORKS)
        if network == "conv" and len(shape) not in _CONVOLUTIONS:
            raise InputError(f"the lattice has {len(shape)} axes; convolutions have up to 3, use network 'dense'")
        if not hidden or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in hidden):
            raise InputError(f"hidden is {tuple(hidden)}; expected the widths of the hidden layers, for instance 12 12")
        self.shape, self.dense, self.equivariant = tuple(shape), network == "dense", equivariant
        parity = np.indices(self.shape).sum(axis=0) % 2
        self.register_buffer("mask", torch.from_numpy((parity == colour).astype(np.float64)), persistent=False)
        self.outputs = 3 if equivariant else 2
        self.net = self._make_network(hidden)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def _make_network(self, hidden: Sequence[int]) -> nn.Sequential:
        sites = int(np.prod(self.shape))
        first, last = (sites, self.outputs * sites) if self.dense else (1, self.outputs)
        layers: list[nn.Module] = []
        for one, two in pairwise((first, *hidden, last)):
            if self.dense:
                layers.append(nn.Linear(one, two, bias=not self.equivariant))
            else:
                kind = _CONVOLUTIONS[len(self.shape)]
                layers.append(kind(one, two, 3, padding=1, padding_mode="circular", bias=not self.equivariant))
            layers.append(nn.Tanh() if self.equivariant else nn.LeakyReLU())
        layers.pop()
        with torch.no_grad():
            for weight in layers[-1].parameters():
                weight.mul_(_LAST_GAIN)
        return nn.Sequential(*layers)

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """s and t on all sites, zero on those that are read; float64."""
        given = (x * self.mask).to(self.log_scale.dtype)
        flat = given.reshape(len(x), -1) if self.dense else given[:, None]
        out = self.net(flat).reshape(len(x), self.outputs, *self.shape)
        raw = out[:, 1] * out[:, 2] if self.equivariant else out[:, 1]
        s = LARGEST_LOG_SCALE * torch.tanh((raw + self.log_scale) / LARGEST_LOG_SCALE)
        moved = 1 - self.mask
        return s.double() * moved, out[:, 0].double() * moved

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x, float64 of shape (n, *shape), to y; and ln |det dy/dx|, shape (n,)."""
        s, t = self._read(x)
        return x * s.exp() + t, s.flatten(1).sum(1)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map y to x, and ln |det dx/dy|."""
        s, t = self._read(y)
        return (y - t) * (-s).exp(), -s.flatten(1).sum(1)
