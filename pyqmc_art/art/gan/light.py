"""A light GAN for few pictures: skip-layer excitation up, a discriminator that must also reconstruct what it sees.

References
----------
B. Liu, Y. Zhu, K. Song, A. Elgammal, ICLR 2021 (arXiv:2101.04775), sections 3.1 and 3.2. The reconstruction is
compared by absolute differences here, because a perceptual network is not always at hand.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from pyqmc_art.art.gan.layers import Excite
from pyqmc_art.art.gan.network import Critic, Generator, count_doublings, list_widths

_SKIP = 3
"""Doublings between the two ends of an excitation."""
_SEEN = 64
"""Side to which whole images are reconstructed at most."""


class LightGenerator(Generator):
    """Doubling blocks with gated linear units, small maps gating large ones."""

    def __init__(self, size: int, width: int, latent: int) -> None:
        super().__init__()
        self.size, self.latent = size, latent
        widths = list_widths(size, width)
        first = nn.ConvTranspose2d(latent, 2 * widths[0], 4, bias=False)
        self.first = nn.Sequential(first, nn.BatchNorm2d(2 * widths[0]), nn.GLU(dim=1))
        self.blocks = nn.ModuleList(_double(below, above) for below, above in pairwise(widths))
        self.skips = nn.ModuleList(Excite(widths[k], widths[k + _SKIP]) for k in range(len(widths) - _SKIP))
        self.last = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z: Tensor, noise: tuple[Tensor, ...] = (), truncation: float = 1.0) -> Tensor:
        """Images of latent vectors; truncation shortens the vectors."""
        maps: list[Tensor] = [self.first((z * truncation)[:, :, None, None])]
        for number, block in enumerate(self.blocks, start=1):
            grown = block(maps[-1])
            maps.append(self.skips[number - _SKIP](maps[number - _SKIP], grown) if number >= _SKIP else grown)
        return torch.tanh(self.last(maps[-1]))


class LightCritic(Critic):
    """Halving blocks down to 8 x 8 pixels; a logit from there, and two decoders for real images."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        # It ends at 8 pixels, one halving before the others, and needs the channels that are missed there.
        widths = list_widths(size, 2 * width)[1:][::-1]
        self.seen = min(size, _SEEN)
        self.entry = nn.Sequential(nn.Conv2d(3, widths[0], 3, padding=1), nn.LeakyReLU(0.2))
        self.blocks = nn.ModuleList(_Halve(below, above) for below, above in pairwise(widths))
        self.judge = nn.Sequential(nn.Conv2d(widths[-1], widths[-1], 1), nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], 1, 4))
        doublings = count_doublings(self.seen, 8)
        self.whole = _decode(widths[-1], width, doublings)
        self.part = _decode(widths[-2], width, doublings)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images: the mean over their places."""
        return self._score(self._look(images)[-1])

    def examine(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real images, and how badly their maps tell what they show: the whole, and one quarter of it."""
        before, last = self._look(images)[-2:]
        target = functional.adaptive_avg_pool2d(images, self.seen)
        loss = functional.l1_loss(self.whole(last), target)
        top, left = (int(k) for k in torch.randint(2, (2,)))
        side, half = before.shape[-1] // 2, images.shape[-1] // 2
        corner = before[..., top * side : top * side + side, left * side : left * side + side]
        shown = images[..., top * half : top * half + half, left * half : left * half + half]
        guess = functional.adaptive_avg_pool2d(self.part(corner), min(half, self.seen))
        return self._score(last), loss + functional.l1_loss(
            guess, functional.adaptive_avg_pool2d(shown, min(half, self.seen))
        )

    def stages(self) -> list[nn.Module]:
        """Entry, halving blocks and judge, from the image up."""
        return [self.entry, *self.blocks, self.judge]

    def _look(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = [self.entry(images)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def _score(self, features: Tensor) -> Tensor:
        logits: Tensor = self.judge(features)
        return logits.flatten(1).mean(dim=1)


class _Halve(nn.Module):
    """A strided convolution beside a plain average."""

    def __init__(self, below: int, above: int) -> None:
        super().__init__()
        strided = nn.Conv2d(below, above, 4, 2, 1, bias=False)
        self.sharp = nn.Sequential(strided, nn.BatchNorm2d(above), nn.LeakyReLU(0.2))
        plain = nn.Conv2d(below, above, 1, bias=False)
        self.smooth = nn.Sequential(nn.AvgPool2d(2), plain, nn.BatchNorm2d(above), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        mean: Tensor = (self.sharp(x) + self.smooth(x)) / 2
        return mean


def _double(below: int, above: int) -> nn.Sequential:
    grow = nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(
        grow, nn.Conv2d(below, 2 * above, 3, padding=1, bias=False), nn.BatchNorm2d(2 * above), nn.GLU(dim=1)
    )


def _decode(channels: int, width: int, doublings: int) -> nn.Sequential:
    widths = [channels, *(width * 2 ** max(0, doublings - 1 - k) for k in range(doublings))]
    blocks = [_double(below, above) for below, above in pairwise(widths)]
    return nn.Sequential(*blocks, nn.Conv2d(widths[-1], 3, 3, padding=1), nn.Tanh())
