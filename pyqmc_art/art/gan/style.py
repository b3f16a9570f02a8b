"""StyleGAN2: a mapping network, modulated convolutions with noise, FIR resampling; a residual discriminator.

References
----------
T. Karras, S. Laine, M. Aittala, J. Hellsten, J. Lehtinen, T. Aila, CVPR 2020 (arXiv:1912.04958). Written from the
paper. The filter stands before the convolution of a doubled map, and all sizes are free.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from pyqmc_art.art.gan.layers import (
    EqualConv2d,
    EqualLinear,
    ModulatedConv2d,
    activate,
    add_deviation,
    downsample,
    upsample,
)
from pyqmc_art.art.gan.network import Critic, Generator, list_widths

_MAPPING_RATE = 0.01
_W_DECAY = 0.998
PATH_DECAY = 0.99


class Mapping(nn.Module):
    """Latent vectors to styles: normalised, then dense layers; it remembers the average style."""

    mean: Tensor

    def __init__(self, latent: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(latent, latent, rate=_MAPPING_RATE) for _ in range(depth))
        self.register_buffer("mean", torch.zeros(latent))

    def forward(self, z: Tensor) -> Tensor:
        """Styles (n, latent) of latent vectors (n, latent)."""
        w = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers:
            w = activate(layer(w))
        if self.training:
            self.mean.lerp_(w.detach().float().mean(dim=0), 1 - _W_DECAY)
        return w


class StyledConv(nn.Module):
    """A modulated convolution, noise of a learned strength, a bias and the rectifier."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.convolve = ModulatedConv2d(inputs, outputs, 3, style)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Apply it to a map under styles and noise (n, 1, h, w)."""
        return activate(self.convolve(x, w) + noise * self.strength + self.bias[:, None, None])


class StyleGenerator(Generator):
    """A learned constant of 4 x 4 pixels, doubled under styles; the images of all sizes are added up."""

    def __init__(self, size: int, width: int, latent: int, depth: int = 4, mixing: float = 0.9) -> None:
        super().__init__()
        self.size, self.latent, self.mixing = size, latent, mixing
        widths = list_widths(size, width)
        self.mapping = Mapping(latent, depth)
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        pairs = [(widths[0], widths[0])]
        for below, above in pairwise(widths):
            pairs += [(below, above), (above, above)]
        self.convolutions = nn.ModuleList(StyledConv(below, above, latent) for below, above in pairs)
        self.colours = nn.ModuleList(ModulatedConv2d(c, 3, 1, latent, demodulate=False) for c in widths)
        self.colour_bias = nn.Parameter(torch.zeros(3))

    @property
    def noise_sizes(self) -> tuple[int, ...]:
        """One map for each convolution: 4, 8, 8, 16, 16, ..."""
        return tuple(4 * 2 ** ((k + 1) // 2) for k in range(len(self.convolutions)))

    def forward(self, z: Tensor, noise: tuple[Tensor, ...] = (), truncation: float = 1.0) -> Tensor:
        """Images of latent vectors; in training two of them share some images, divided at a random layer."""
        w = self.mapping(z)
        if truncation != 1.0:
            w = self.mapping.mean.lerp(w, truncation)
        layers = len(self.convolutions)
        styles = w[:, None].expand(-1, layers, -1)
        if self.training and self.mixing > 0:
            other = self.mapping(torch.randn(z.shape).to(z))
            crossing = torch.randint(1, layers, (len(z), 1))
            crossing[torch.rand(len(z), 1) >= self.mixing] = layers
            second = (torch.arange(layers) >= crossing).to(z.device)
            styles = torch.where(second[:, :, None], other[:, None], styles)
        return self.synthesise(styles, noise)

    def synthesise(self, styles: Tensor, noise: tuple[Tensor, ...] = ()) -> Tensor:
        """Images under the styles of every layer, (n, layers, latent)."""
        n = len(styles)
        maps = noise or tuple(torch.randn(n, 1, side, side).to(styles) for side in self.noise_sizes)
        x = self.constant.repeat(n, 1, 1, 1)
        x = self.convolutions[0](x, styles[:, 0], maps[0])
        image: Tensor = self.colours[0](x, styles[:, 0])
        for level, colour in enumerate(list(self.colours)[1:]):
            first, second = 2 * level + 1, 2 * level + 2
            x = self.convolutions[first](upsample(x), styles[:, first], maps[first])
            x = self.convolutions[second](x, styles[:, second], maps[second])
            image = upsample(image) + colour(x, styles[:, second])
        return image + self.colour_bias[:, None, None]

    def penalise(self, batch: int, mean: Tensor) -> tuple[Tensor, Tensor]:
        r"""Path-length penalty :math:`E (|J_w^T y| - a)^2` and the new running mean a; equation 4 of the paper."""
        z = torch.randn(batch, self.latent).to(self.constant)
        styles = self.mapping(z)[:, None].expand(-1, len(self.convolutions), -1)
        images = self.synthesise(styles)
        direction = torch.randn(images.shape).to(images) / math.sqrt(images.shape[2] * images.shape[3])
        (slope,) = torch.autograd.grad((images * direction).sum(), styles, create_graph=True)
        lengths = torch.sqrt(slope.square().sum(dim=2).mean(dim=1) + 1e-12)
        moved = mean.lerp(lengths.detach().float().mean(), 1 - PATH_DECAY)
        return (lengths - moved).square().mean(), moved


class StyleCritic(Critic):
    """Residual blocks, halved by the filter, then the deviation within the batch and two dense layers."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        widths = list_widths(size, width)[::-1]
        self.entry = EqualConv2d(3, widths[0], 1)
        self.blocks = nn.ModuleList(_Residual(below, above) for below, above in pairwise(widths))
        self.last = EqualConv2d(widths[-1] + 1, widths[-1], 3)
        self.dense = EqualLinear(widths[-1] * 16, widths[-1])
        self.logit = EqualLinear(widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        x = activate(self.entry(images))
        for block in self.blocks:
            x = block(x)
        x = activate(self.last(add_deviation(x)))
        logits: Tensor = self.logit(activate(self.dense(x.flatten(1))))
        return logits.squeeze(1)

    def stages(self) -> list[nn.Module]:
        """Entry and blocks, then the last layers, from the image up."""
        return [self.entry, *self.blocks, self.last, self.dense, self.logit]


class _Residual(nn.Module):
    def __init__(self, below: int, above: int) -> None:
        super().__init__()
        self.first, self.second = EqualConv2d(below, below, 3), EqualConv2d(below, above, 3)
        self.skip = EqualConv2d(below, above, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.second(downsample(activate(self.first(x)))))
        total: Tensor = (y + self.skip(downsample(x))) / math.sqrt(2)
        return total
