"""Affine couplings as a physicist writes them in torch in an afternoon: masks, circular convolutions, float32."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

BOUND = 3.0


class PlainCoupling(nn.Module):
    """y = x on one colour, x exp(s) + t on the other; everything is computed at all sites and masked."""

    def __init__(self, shape: Sequence[int], colour: int, hidden: Sequence[int]) -> None:
        super().__init__()
        rows, columns = torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")
        self.register_buffer("mask", ((rows + columns) % 2 == colour).float())
        layers: list[nn.Module] = []
        for one, two in zip((1, *hidden), (*hidden, 2), strict=True):
            layers += [nn.Conv2d(one, two, 3, padding=1, padding_mode="circular"), nn.LeakyReLU()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x to y, and ln |det|."""
        out = self.net((x * self.mask)[:, None])
        s = BOUND * torch.tanh(out[:, 1] / BOUND) * (1 - self.mask)
        return x * s.exp() + out[:, 0] * (1 - self.mask), s.sum((1, 2))


class PlainFlow(nn.Module):
    """Normal noise through couplings."""

    def __init__(self, shape: Sequence[int], layers: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.layers = nn.ModuleList(PlainCoupling(shape, k % 2, hidden) for k in range(layers))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map noise to fields, and ln |det|."""
        total = z.new_zeros(len(z))
        for layer in self.layers:
            z, log_det = layer(z)
            total = total + log_det
        return z, total

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw fields with log q."""
        z = torch.randn(n, *self.shape)
        phi, log_det = self(z)
        return phi, -0.5 * (z * z + math.log(2 * math.pi)).sum((1, 2)) - log_det


def plain_action(phi: Tensor, m2: float, lam: float) -> Tensor:
    """S of convention A."""
    gradient = sum((phi.roll(1, axis) - phi) ** 2 for axis in (1, 2))
    total: Tensor = (gradient + m2 * phi**2 + lam * phi**4).sum((1, 2))
    return total
