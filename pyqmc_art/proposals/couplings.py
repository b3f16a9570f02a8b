"""Couplings: one colour of the sites is moved site by site, in a way that a network reads off the other colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.proposals.networks import NETWORKS, Reader

LARGEST_LOG_SCALE: Final = 3.0
"""Bound of the logarithm of each scale: no layer can lose more than exp(3) of precision."""


class Coupling(nn.Module):
    """y = x on one colour of the checkerboard, y = g(x) with parameters of a network on the other.

    The network is float32. The field and the log-determinant stay float64: what the network is given when the map is
    inverted then differs by rounding of float64 only, and so does log q.

    Parameters
    ----------
    shape : of the lattice
    colour : 0 or 1, the colour that is read
    hidden, network : of :class:`Reader`
    equivariant : commutes with phi -> -phi: an odd network gives odd parameters, and even ones as products of two
    odd, even : how many parameters of each kind a site has
    condition : couplings that the map depends on, none for 0
    """

    read: Tensor
    moved: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        colour: int,
        hidden: Sequence[int],
        network: str,
        equivariant: bool,
        odd: int,
        even: int,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.shape, self.equivariant, self.odd, self.even = tuple(shape), equivariant, odd, even
        parity = np.indices(self.shape).sum(axis=0).ravel() % 2
        self.register_buffer("read", torch.from_numpy(np.flatnonzero(parity == colour)), persistent=False)
        self.register_buffer("moved", torch.from_numpy(np.flatnonzero(parity != colour)), persistent=False)
        self.net = Reader(self.shape, hidden, odd + (2 if equivariant else 1) * even, network, equivariant)
        self.scales = nn.ParameterList(nn.Parameter(torch.zeros(n, condition)) for n in hidden if condition)
        self.drift = nn.Parameter(torch.zeros(even, condition)) if condition else None

    def parameters_at(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Odd and even parameters at the moved sites, float32 of shapes (n, odd, moved) and (n, even, moved)."""
        kind = next(self.net.parameters()).dtype
        scales = [] if condition is None else [1 + scale @ condition.to(kind) for scale in self.scales]
        out = self.net.read(x, self.read, self.moved, scales)
        t, rest = out[:, : self.odd], out[:, self.odd :]
        even = rest[:, : self.even] * rest[:, self.even :] if self.equivariant else rest
        if self.drift is not None and condition is not None:
            shift = self.drift @ condition.to(even.dtype)
            even = even + shift[:, None]
        return t, even

    def replace(self, x: Tensor, moved: Tensor) -> Tensor:
        """Put new values, (n, moved), at the sites that are moved."""
        return x.flatten(1).index_copy(1, self.moved, moved).reshape(x.shape)

    def pick(self, x: Tensor) -> Tensor:
        """Values at the sites that are moved, (n, moved)."""
        return x.flatten(1).index_select(1, self.moved)


class AffineCoupling(Coupling):
    """y = x on one colour of the checkerboard; y = x exp(s) + t on the other, (s, t) read off the first.

    Parameters
    ----------
    shape : of the lattice
    colour : 0 or 1, the colour that is read
    hidden : channels (``"conv"``) or numbers (``"dense"``) of the hidden layers
    network : ``"conv"``, circular convolutions of three sites along each axis, or ``"dense"``
    equivariant : commutes with phi -> -phi: an odd network (no constants, tanh) gives t, and s as the product of two of
        its outputs
    condition : couplings that the map depends on, none for 0
    """

    def __init__(
        self,
        shape: Sequence[int],
        colour: int,
        hidden: Sequence[int],
        network: str = "conv",
        equivariant: bool = True,
        condition: int = 0,
    ) -> None:
        super().__init__(shape, colour, hidden, network, equivariant, 1, 1, condition)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def _read(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """s and t at the moved sites, float64."""
        t, raw = self.parameters_at(x, condition)
        s = LARGEST_LOG_SCALE * torch.tanh((raw[:, 0] + self.log_scale) / LARGEST_LOG_SCALE)
        return s.double(), t[:, 0].double()

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map x, float64 of shape (n, *shape), to y; and ln |det dy/dx|, shape (n,)."""
        s, t = self._read(x, condition)
        return self.replace(x, self.pick(x) * s.exp() + t), s.sum(1)

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map y to x, and ln |det dx/dy|."""
        s, t = self._read(y, condition)
        return self.replace(y, (self.pick(y) - t) * (-s).exp()), -s.sum(1)


__all__ = ["LARGEST_LOG_SCALE", "NETWORKS", "AffineCoupling", "Coupling"]
