"""Couplings by rational-quadratic splines: each moved site goes through an increasing curve of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, softmax, softplus

from pyqmc_art.errors import InputError
from pyqmc_art.proposals.couplings import LARGEST_LOG_SCALE, Coupling

MOST_BINS: Final = 64
_LEAST_BIN: Final = 1e-3  # share of the reach
_LEAST_SLOPE: Final = 1e-3
_UNIT: Final = math.log(math.expm1(1 - _LEAST_SLOPE))  # softplus of it is the slope 1


class Knots(NamedTuple):
    """Knots (x, y) and the slopes there, each of shape (..., bins + 1)."""

    x: Tensor
    y: Tensor
    slope: Tensor


def follow_spline(x: Tensor, knots: Knots) -> tuple[Tensor, Tensor]:
    """Map x by the spline: y and ln dy/dx; straight lines of the outermost slopes go on outside.

    References
    ----------
    Gregory, Delbourgo, IMA J. Numer. Anal. 2 (1982) 123; Durkan, Bekasov, Murray, Papamakarios, NeurIPS 2019
    (arXiv:1906.04032), equations 4 and 5.
    """
    (x0, x1), (y0, y1), (d0, d1) = _find_bin(x, knots.x, knots)
    width, height = x1 - x0, y1 - y0
    mean = height / width
    t = ((x - x0) / width).clamp(0, 1)
    inner = mean + (d1 + d0 - 2 * mean) * t * (1 - t)
    y = y0 + height * (mean * t * t + d0 * t * (1 - t)) / inner
    slope = mean * mean * (d1 * t * t + 2 * mean * t * (1 - t) + d0 * (1 - t) ** 2) / (inner * inner)
    low, high = x < x0, x > x1
    y = torch.where(low, y0 + d0 * (x - x0), torch.where(high, y1 + d1 * (x - x1), y))
    slope = torch.where(low, d0, torch.where(high, d1, slope))
    return y, slope.log()


def unfollow_spline(y: Tensor, knots: Knots) -> tuple[Tensor, Tensor]:
    """Map y back: x and ln dx/dy, by the quadratic equation of its bin in the form without cancellation."""
    (x0, x1), (y0, y1), (d0, d1) = _find_bin(y, knots.y, knots)
    width, height = x1 - x0, y1 - y0
    mean = height / width
    rise = (y - y0).clamp(min=0).minimum(height)
    bend = d1 + d0 - 2 * mean
    a = height * (mean - d0) + rise * bend
    b = height * d0 - rise * bend
    root = (b * b + 4 * a * mean * rise).clamp(min=0).sqrt()
    x = x0 + width * (2 * mean * rise / (b + root)).clamp(0, 1)
    low, high = y < y0, y > y1
    x = torch.where(low, x0 + (y - y0) / d0, torch.where(high, x1 + (y - y1) / d1, x))
    return x, -follow_spline(x, knots)[1]


def _find_bin(value: Tensor, edges: Tensor, knots: Knots) -> Iterator[tuple[Tensor, Tensor]]:
    """Both ends, in x, in y and of the slope, of the bin of each value."""
    bins = edges.shape[-1] - 1
    place = (value[..., None] >= edges[..., 1:-1]).sum(-1, keepdim=True).clamp(max=bins - 1)
    return ((v.gather(-1, place)[..., 0], v.gather(-1, place + 1)[..., 0]) for v in knots)


class SplineCoupling(Coupling):
    """y = x on one colour of the checkerboard; y = e^s g(x) + t on the other, g an increasing spline for each site.

    g has ``bins`` pieces within ``reach`` of zero and goes on as a straight line. With the symmetry g is odd: its
    pieces lie between 0 and ``reach``.

    Parameters
    ----------
    shape : of the lattice
    colour : 0 or 1, the colour that is read
    hidden : widths of the hidden layers
    network : ``"conv"`` or ``"dense"``
    equivariant : commutes with phi -> -phi
    bins : pieces
    reach : where the straight lines begin, in units of the field
    condition : couplings that the map depends on, none for 0
    """

    def __init__(
        self,
        shape: Sequence[int],
        colour: int,
        hidden: Sequence[int],
        network: str = "conv",
        equivariant: bool = True,
        bins: int = 8,
        reach: float = 3.0,
        condition: int = 0,
    ) -> None:
        if isinstance(bins, bool) or not isinstance(bins, int) or not 2 <= bins <= MOST_BINS:
            raise InputError(f"bins is {bins!r}; expected a whole number from 2 to {MOST_BINS}")
        super().__init__(shape, colour, hidden, network, equivariant, 1, 3 * bins + 2, condition)
        self.bins, self.reach = bins, reach
        # A network of many products begins near zero, and so does its gradient; these constants begin at the identity.
        self.constants = torch.nn.Parameter(torch.zeros(3 * bins + 2))

    def _read(self, x: Tensor, condition: Tensor | None) -> tuple[Knots, Tensor, Tensor]:
        """Knots, s and t at the moved sites, (n, moved, ...), float64."""
        odd, even = self.parameters_at(x, condition)
        t = odd[:, 0].double()
        raw = even.transpose(1, 2).double() + self.constants.double()
        k = self.bins
        low = 0.0 if self.equivariant else -self.reach
        edges = [self._edges(raw[..., :k], low), self._edges(raw[..., k : 2 * k], low)]
        slopes = _LEAST_SLOPE + softplus(raw[..., 2 * k : 3 * k + 1] + _UNIT)
        return Knots(edges[0], edges[1], slopes), LARGEST_LOG_SCALE * torch.tanh(raw[..., -1] / LARGEST_LOG_SCALE), t

    def _edges(self, raw: Tensor, low: float) -> Tensor:
        share = _LEAST_BIN + (1 - _LEAST_BIN * self.bins) * softmax(raw, dim=-1)
        return low + (self.reach - low) * pad(share.cumsum(-1), (1, 0))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map x, float64 of shape (n, *shape), to y; and ln |det dy/dx|, shape (n,)."""
        knots, s, t = self._read(x, condition)
        here = self.pick(x)
        y, log_slope = follow_spline(here.abs() if self.equivariant else here, knots)
        y = (torch.where(here < 0, -y, y) if self.equivariant else y) * s.exp() + t
        return self.replace(x, y), (log_slope + s).sum(1)

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map y to x, and ln |det dx/dy|."""
        knots, s, t = self._read(y, condition)
        here = (self.pick(y) - t) * (-s).exp()
        x, log_slope = unfollow_spline(here.abs() if self.equivariant else here, knots)
        x = torch.where(here < 0, -x, x) if self.equivariant else x
        return self.replace(y, x), (log_slope - s).sum(1)
