"""DC-GAN: transposed convolutions up, strided convolutions down, batch normalisation in between.

References
----------
A. Radford, L. Metz, S. Chintala, ICLR 2016 (arXiv:1511.06434), section 3.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from pyqmc_art.art.gan.network import Critic, Generator, list_widths


class ConvolutionalGenerator(Generator):
    """From a vector to 4 x 4 pixels, then doubled by transposed convolutions."""

    def __init__(self, size: int, width: int, latent: int) -> None:
        super().__init__()
        self.size, self.latent = size, latent
        widths = list_widths(size, width)[:-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, bias=False), *_activate(widths[0])]
        for below, above in pairwise(widths):
            layers += [nn.ConvTranspose2d(below, above, 4, 2, 1, bias=False), *_activate(above)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh())
        self.apply(_start)

    def forward(self, z: Tensor, noise: tuple[Tensor, ...] = (), truncation: float = 1.0) -> Tensor:
        """Images of latent vectors; truncation shortens the vectors."""
        images: Tensor = self.layers((z * truncation)[:, :, None, None])
        return images


class ConvolutionalCritic(Critic):
    """Strided convolutions down to 4 x 4 pixels, then one logit."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        widths = list_widths(size, width)[:-1][::-1]
        stages: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(0.2))]
        for below, above in pairwise(widths):
            norm = nn.BatchNorm2d(above)
            stages.append(nn.Sequential(nn.Conv2d(below, above, 4, 2, 1, bias=False), norm, nn.LeakyReLU(0.2)))
        self.layers = nn.Sequential(*stages, nn.Conv2d(widths[-1], 1, 4))
        self.apply(_start)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        logits: Tensor = self.layers(images)
        return logits.flatten()

    def stages(self) -> list[nn.Module]:
        """The convolutions, from the image up."""
        return list(self.layers)


def _activate(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()


def _start(layer: nn.Module) -> None:
    """Small normal weights, as section 4 of the paper has them."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        torch.nn.init.zeros_(layer.bias)
