"""Flows of one variable: a sum of sigmoids with positive weights turns noise into any given density."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Draw, Field
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]

NOISES: Final = ("normal", "uniform")
MOST_NODES: Final = 4096
_BISECTIONS: Final = 200


class MonotoneFlow1D(nn.Module):
    r"""y = a + c x + sum_i w_i sigmoid(k_i (x - b_i)) with c, w_i, k_i > 0: increasing, so invertible.

    The noise x is normal, or uniform in [0, 1], and q(y) = p(x) / y'(x). For large k_i each sigmoid is a step of height
    w_i at b_i. Steps approximate every increasing function, so also the one that maps the noise to a given density (its
    quantile function): n steps leave an error of 1/n, and trained sigmoids a smaller one. Everything is float64.

    Parameters
    ----------
    nodes : number of sigmoids
    noise : ``"normal"`` or ``"uniform"``; with uniform noise q vanishes outside [y(0), y(1)]

    Raises
    ------
    InputError
        For fewer than one node, or another noise.

    References
    ----------
    Cybenko, Math. Control Signals Syst. 2 (1989) 303; Huang, Krueger, Lacoste, Courville, ICML 2018 (neural
    autoregressive flows), section 3.

    Examples
    --------
    >>> flow = MonotoneFlow1D(8)
    >>> drawn = flow.draw(Stream.from_seed(1), 5)
    >>> bool(np.allclose(flow.encode(Stream.from_seed(1), drawn.field).log_ratio, drawn.log_ratio))
    True
    """

    def __init__(self, nodes: int = 16, noise: str = "normal") -> None:
        super().__init__()
        if isinstance(nodes, bool) or not isinstance(nodes, int) or not 1 <= nodes <= MOST_NODES:
            raise InputError(f"nodes is {nodes!r}; expected a whole number from 1 to {MOST_NODES}")
        if noise not in NOISES:
            raise unknown("noise", noise, NOISES)
        self.noise = noise
        # Nodes at the quantiles of the noise, each as wide as its share: y(x) is close to x at the beginning.
        share = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
        centre = torch.special.ndtri(share) if noise == "normal" else share
        span = 4.0 if noise == "normal" else 1.0
        self.shift = nn.Parameter(torch.tensor(-span / 4 if noise == "normal" else 0.0, dtype=torch.float64))
        self.log_slope = nn.Parameter(torch.tensor(math.log(0.5), dtype=torch.float64))
        self.log_weight = nn.Parameter(torch.full((nodes,), math.log(span / (2 * nodes)), dtype=torch.float64))
        self.log_steepness = nn.Parameter(torch.full((nodes,), math.log(2 * nodes / span), dtype=torch.float64))
        self.centre = nn.Parameter(centre.clone())

    @classmethod
    def from_quantiles(
        cls, quantile: Callable[[Floats], Floats], nodes: int, noise: str = "normal", steepness: float = 4.0
    ) -> Self:
        """Build the flow without training: one step from quantile to quantile for each share 1/nodes of the noise.

        Parameters
        ----------
        quantile : Q(u), increasing, of the target, u in (0, 1)
        nodes : steps
        steepness : of each sigmoid in units of the inverse distance to the next; towards infinity they are steps

        Raises
        ------
        InputError
            If the quantiles are not finite and increasing.

        Examples
        --------
        >>> flow = MonotoneFlow1D.from_quantiles(lambda u: u**2, 50, "uniform")
        >>> bool(abs(flow.draw(Stream.from_seed(1), 10_000).field.mean() - 1 / 3) < 0.02)
        True
        """
        flow = cls(nodes, noise)
        edges = (np.arange(nodes + 1) + 0.5) / (nodes + 1)
        heights = np.diff(np.asarray(quantile(edges), np.float64))
        if heights.shape != (nodes,) or not np.all(heights > 0) or not np.isfinite(heights).all():
            raise InputError("the quantile function must be finite and increasing, of the shape of what it is given")
        ends = torch.from_numpy(edges)
        place = torch.special.ndtri(ends) if noise == "normal" else ends
        small = 1e-3 * float(heights.sum()) / float(place[-1] - place[0])
        with torch.no_grad():
            flow.centre.copy_((place[1:] + place[:-1]) / 2)
            flow.log_weight.copy_(torch.from_numpy(np.log(heights)))
            flow.log_steepness.copy_(torch.log(steepness / (place[1:] - place[:-1])))
            flow.log_slope.fill_(math.log(small))
            # Half-way up the noise is the median of the target.
            flow.shift.zero_()
            middle = torch.tensor([0.0 if noise == "normal" else 0.5], dtype=torch.float64)
            flow.shift.copy_(float(quantile(np.array([0.5]))[0]) - flow(middle)[0][0])
        return flow

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map noise to y: y and ln dy/dx, both of the shape of x."""
        steepness, weight = self.log_steepness.exp(), self.log_weight.exp()
        inside = steepness * (x[..., None] - self.centre)
        step = torch.sigmoid(inside)
        y = self.shift + self.log_slope.exp() * x + (weight * step).sum(-1)
        # s' = s (1 - s), written with both tails so that neither rounds to zero.
        slope = self.log_slope.exp() + (weight * steepness * step * torch.sigmoid(-inside)).sum(-1)
        return y, slope.log()

    @torch.no_grad()
    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map y to noise by bisection: x and ln dx/dy.

        c x alone lies between y - a - sum w and y - a, which brackets x.
        """
        slope, total = self.log_slope.exp(), self.log_weight.exp().sum()
        low, high = (y - self.shift - total) / slope, (y - self.shift) / slope
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if bool(((middle <= low) | (middle >= high)).all()):
                break
            below = self(middle)[0] < y
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        x = (low + high) / 2
        return x, -self(x)[1]

    def log_noise(self, x: Tensor) -> Tensor:
        """Log density of the noise."""
        if self.noise == "normal":
            return -0.5 * (x * x + math.log(2 * math.pi))
        return torch.where((x >= 0) & (x <= 1), 0.0, -math.inf).to(x.dtype)

    def draw_noise(self, stream: Stream, n: int) -> Tensor:
        """Draw noise, shape ``(n,)``."""
        if self.noise == "normal":
            return torch.from_numpy(stream.normal("user", 1, n)[:, 0].copy())
        return torch.from_numpy(stream.uniform("user", np.arange(1), n)[:, 0].copy())

    @torch.no_grad()
    def draw(self, stream: Stream, n: int) -> Draw:
        """Draw ``n`` independent numbers; ``field`` has shape ``(n,)``."""
        x = self.draw_noise(stream, n)
        y, log_slope = self(x)
        return Draw(y.numpy(), None, (self.log_noise(x) - log_slope).numpy())

    @torch.no_grad()
    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        """Give log q of numbers of shape ``(n,)``; -inf outside the reach of uniform noise."""
        x, log_slope = self.inverse(torch.from_numpy(np.array(field, np.float64)))
        return Draw(field, None, (self.log_noise(x) + log_slope).numpy())
