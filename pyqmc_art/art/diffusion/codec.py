"""What a denoiser works on: the pixels themselves, or the numbers an autoencoder makes of them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Final

import torch
from torch import Tensor, nn

from pyqmc_art.art.autoencoder.models import load_autoencoder
from pyqmc_art.art.autoencoder.network import Autoencoder
from pyqmc_art.art.synthesis.pool import Pool, as_tensor
from pyqmc_art.errors import InputError

_CHUNK: Final = 64


class Codec(nn.Module, ABC):
    """Turns pictures, nominally from -1 to 1, into what is denoised, and back.

    Attributes
    ----------
    side, channels : of what is denoised
    limit : beyond which what is denoised makes no sense; None where there is no such limit
    """

    side: int
    channels: int
    limit: float | None

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """What is denoised (n, channels, side, side) of pictures (n, 3, size, size)."""

    @abstractmethod
    def decode(self, x: Tensor) -> Tensor:
        """Pictures of what is denoised."""


class PixelCodec(Codec):
    """The pixels themselves."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.side, self.channels, self.limit = size, 3, 1.0

    def encode(self, images: Tensor) -> Tensor:
        """Give the pixels."""
        return images

    def decode(self, x: Tensor) -> Tensor:
        """Give the pixels."""
        return x


class LatentCodec(Codec):
    """Means of an autoencoder's latent map, each channel shifted and scaled to mean 0 and variance 1.

    Parameters
    ----------
    autoencoder : with frozen weights
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        shape = autoencoder.shape
        self.side, self.channels, self.limit = shape.side, shape.latent, None
        self.autoencoder = autoencoder.requires_grad_(False)
        self.register_buffer("shift", torch.zeros(1, shape.latent, 1, 1))
        self.register_buffer("scale", torch.ones(1, shape.latent, 1, 1))

    def encode(self, images: Tensor) -> Tensor:
        """Give the scaled means."""
        scaled: Tensor = (self.autoencoder.encode(images)[0] - self.shift) / self.scale
        return scaled

    def decode(self, x: Tensor) -> Tensor:
        """Give mean pictures."""
        return self.autoencoder.decode(x * self.scale + self.shift)

    def adjust(self, pool: Pool) -> None:
        """Find shift and scale on pictures.

        Raises
        ------
        InputError
            When a channel is the same for all of them, as it is after a collapse.
        """
        self.autoencoder.eval()
        with torch.no_grad():
            means = torch.cat(
                [
                    self.autoencoder.encode(as_tensor(pool.images[a : a + _CHUNK]))[0]
                    for a in range(0, len(pool), _CHUNK)
                ]
            )
            self.shift.copy_(means.mean((0, 2, 3)).view(1, -1, 1, 1))
            self.scale.copy_(means.std((0, 2, 3)).view(1, -1, 1, 1))
        if not (self.scale > 1e-4).all():
            raise InputError(
                "a channel of the autoencoder says nothing about the pictures; train it with less kl_weight"
            )


def open_codec(folder: str | os.PathLike[str], pool: Pool) -> LatentCodec:
    """Make a codec of an autoencoder's model directory, adjusted to pictures.

    Raises
    ------
    InputError
        When the directory cannot be used, or the autoencoder takes pictures of another size.
    """
    network = load_autoencoder(folder).network
    if network.shape.size != pool.images.shape[1]:
        raise InputError(f"{folder} takes {network.shape.size} pixels; the images have {pool.images.shape[1]}")
    codec = LatentCodec(network)
    codec.adjust(pool)
    return codec
