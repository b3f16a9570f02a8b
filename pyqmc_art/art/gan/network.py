"""What every generator and every discriminator offers, whatever is inside."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError


class Generator(nn.Module, ABC):
    """Turns latent vectors into images.

    Attributes
    ----------
    latent : length of a latent vector
    size : side of the images in pixels
    """

    latent: int
    size: int

    @property
    def noise_sizes(self) -> tuple[int, ...]:
        """Sides of the maps of noise that one image takes beside its latent vector."""
        return ()

    @abstractmethod
    def forward(self, z: Tensor, noise: tuple[Tensor, ...] = (), truncation: float = 1.0) -> Tensor:
        """Images (n, 3, size, size), nominally from -1 to 1, of latent vectors (n, latent).

        ``noise`` holds maps (n, 1, side, side); where it is empty and some is needed, torch's generator draws it.
        ``truncation`` below 1 trades variety for likeness to the average.
        """

    def penalise(self, batch: int, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Path-length penalty and the new running mean of the lengths; zero for a generator without a style space."""
        zero = torch.zeros((), device=mean.device)
        return zero, mean


class Critic(nn.Module, ABC):
    """A discriminator: its logit is positive for images that it takes for real."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits (n,) of images (n, 3, size, size)."""

    def examine(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real images, and a loss of what the discriminator teaches itself on them; none here."""
        logits: Tensor = self(images)
        return logits, torch.zeros((), device=images.device)

    @abstractmethod
    def stages(self) -> list[nn.Module]:
        """Its layers from the image up; Freeze-D keeps the first of them as they are."""

    def freeze(self, count: int) -> None:
        """Keep the weights of the first stages.

        Raises
        ------
        InputError
            When nothing would be left to train.
        """
        there = self.stages()
        if not 0 <= count < len(there):
            raise InputError(
                f"freeze is {count}; this discriminator has {len(there)} stages, expected 0 to {len(there) - 1}"
            )
        for stage in there[:count]:
            stage.requires_grad_(False)


def count_doublings(size: int, start: int = 4) -> int:
    """How often ``start`` pixels are doubled to reach ``size``.

    Raises
    ------
    InputError
        For a size that is no power of two from 16 to 1024.

    Examples
    --------
    >>> count_doublings(64)
    4
    """
    if isinstance(size, bool) or not isinstance(size, int) or size not in (16, 32, 64, 128, 256, 512, 1024):
        raise InputError(f"resolution is {size!r}; expected a power of two from 16 to 1024, for instance 64")
    return int(math.log2(size // start))


def list_widths(size: int, width: int) -> list[int]:
    """Channels at 4, 8, ..., ``size`` pixels: ``width`` at the largest two sizes, then twice, at most eight times.

    Examples
    --------
    >>> list_widths(64, 32)
    [256, 128, 64, 32, 32]
    """
    steps = count_doublings(size)
    return [width * min(8, 2 ** max(0, steps - 1 - k)) for k in range(steps + 1)]
