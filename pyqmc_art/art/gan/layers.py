"""Layers of the light and the style-based networks, in plain torch.

References
----------
T. Karras, S. Laine, M. Aittala, J. Hellsten, J. Lehtinen, T. Aila, CVPR 2020 (arXiv:1912.04958): modulation and
demodulation, equations 1 to 3. B. Liu, Y. Zhu, K. Song, A. Elgammal, ICLR 2021 (arXiv:2101.04775): skip-layer
excitation, equation 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

GAIN = math.sqrt(2.0)
"""Keeps the variance of what a leaky rectifier lets through near 1."""


def activate(x: Tensor) -> Tensor:
    """Leaky rectifier, scaled to keep the variance."""
    return functional.leaky_relu(x, 0.2) * GAIN


class EqualLinear(nn.Module):
    """A dense layer whose weights are scaled when used, so that all of them learn at one speed.

    ``y = x W^T c + b``, with c the rate over the square root of the inputs, b times the rate.
    """

    def __init__(self, inputs: int, outputs: int, start: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), start / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to (n, inputs)."""
        return functional.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv2d(nn.Module):
    """A convolution whose weights are scaled when used; the map keeps its size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.padding = 1 / math.sqrt(inputs * kernel**2), kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to (n, inputs, h, w)."""
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class ModulatedConv2d(nn.Module):
    r"""A convolution whose input channels are scaled by a style, and its outputs back to unit variance.

    .. math:: y_o = d_o \sum_i w_{oi} * (s_i x_i), \quad d_o = (\sum_{i,k} (s_i w_{oik})^2 + \epsilon)^{-1/2}

    The scales are taken out of the kernel, so that all images of a batch share one convolution.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, style: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.affine = EqualLinear(style, inputs, start=1.0)
        self.scale, self.padding, self.demodulate = 1 / math.sqrt(inputs * kernel**2), kernel // 2, demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Apply it to (n, inputs, h, w) under styles (n, style)."""
        scales, weight = self.affine(w), self.weight * self.scale
        y = functional.conv2d(x * scales[:, :, None, None], weight, padding=self.padding)
        if not self.demodulate:
            return y
        power = scales.square() @ weight.square().sum(dim=(2, 3)).T
        return y * torch.rsqrt(power + 1e-8)[:, :, None, None]


def upsample(x: Tensor) -> Tensor:
    """Double a map by the filter (1, 3, 3, 1)/4 along each axis, its border repeated: bilinear interpolation."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def downsample(x: Tensor) -> Tensor:
    """Halve a map by the filter (1, 3, 3, 1)/8 along each axis, its border repeated."""
    line = x.new_tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = torch.outer(line, line).expand(x.shape[1], 1, 4, 4)
    # One kernel for each channel: three times as fast, forth and back, as four slices along each axis.
    return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=x.shape[1])


def add_deviation(x: Tensor, group: int = 4) -> Tensor:
    """Append a channel with the mean standard deviation within groups of the batch, by which sameness shows.

    References
    ----------
    T. Karras, T. Aila, S. Laine, J. Lehtinen, ICLR 2018 (arXiv:1710.10196), section 3.
    """
    n, channels, height, width = x.shape
    members = math.gcd(n, group)
    spread = x.view(members, n // members, channels, height, width).var(dim=0, correction=0)
    mean = torch.sqrt(spread + 1e-8).mean(dim=(1, 2, 3))
    return torch.cat([x, mean.repeat(members)[:, None, None, None].expand(n, 1, height, width)], dim=1)


class Excite(nn.Module):
    """Skip-layer excitation: a small map says how much of each channel of a large one goes on."""

    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Conv2d(small, large, 4), nn.SiLU(), nn.Conv2d(large, large, 1), nn.Sigmoid()
        )

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """Scale the channels of ``large``."""
        gates: Tensor = self.gate(small)
        return large * gates
