"""What a denoiser works on: the pixels themselves, or the numbers an autoencoder makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


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
