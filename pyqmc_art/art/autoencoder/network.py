"""A convolutional variational autoencoder: pictures to maps of numbers with known uncertainty, and back."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

_GROUPS: Final = 8
_SHARPEST: Final = -4.0
_WIDEST: Final = 10.0
_PACE: Final = 0.1


@dataclass(frozen=True)
class AutoencoderShape:
    """Which network.

    Parameters
    ----------
    size : side of the pictures in pixels, a power of two from 16
    width : channels at the largest size, a multiple of 8; twice as many below
    halvings : how often the side is halved on the way to the latent map
    latent : channels of the latent map
    """

    size: int = 32
    width: int = 32
    halvings: int = 2
    latent: int = 4

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or self.size not in (16, 32, 64, 128, 256):
            raise InputError(f"resolution is {self.size!r}; expected a power of two from 16 to 256, for instance 32")
        if isinstance(self.width, bool) or not isinstance(self.width, int) or self.width < 8 or self.width % _GROUPS:
            raise InputError(f"width is {self.width!r}; expected a multiple of {_GROUPS}, for instance 32")
        most = int(math.log2(self.size)) - 1
        if isinstance(self.halvings, bool) or not isinstance(self.halvings, int) or not 1 <= self.halvings <= most:
            raise InputError(f"halvings is {self.halvings!r}; expected 1 to {most} at {self.size} pixels")
        if isinstance(self.latent, bool) or not isinstance(self.latent, int) or self.latent < 1:
            raise InputError(f"latent is {self.latent!r}; expected a whole number of at least 1")

    @property
    def side(self) -> int:
        """Side of the latent map."""
        return int(self.size >> self.halvings)

    def configuration(self) -> dict[str, Any]:
        """What :class:`AutoencoderShape` takes, as JSON values."""
        return dataclasses.asdict(self)


class Autoencoder(nn.Module):
    """Encoder q(z|x), a Gaussian for each latent number, and decoder p(x|z), a Gaussian of one width.

    Parameters
    ----------
    shape : of the networks

    Attributes
    ----------
    log_width : logarithm of that width; in training it follows the width that is best for each batch
    """

    log_width: Tensor

    def __init__(self, shape: AutoencoderShape) -> None:
        super().__init__()
        self.shape = shape
        width, deep = shape.width, 2 * shape.width
        downs: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
        ups: list[nn.Module] = [nn.Conv2d(shape.latent, deep, 3, padding=1), _Residual(deep)]
        for k in range(shape.halvings):
            before = width if k == 0 else deep
            downs += [_Residual(before), nn.Conv2d(before, deep, 3, stride=2, padding=1)]
            after = width if k == shape.halvings - 1 else deep
            ups += [nn.Upsample(scale_factor=2), nn.Conv2d(deep, after, 3, padding=1), _Residual(after)]
        self.encoder = nn.Sequential(*downs, _Residual(deep), *_head(deep, 2 * shape.latent))
        self.decoder = nn.Sequential(*ups, *_head(width, 3))
        # No weight for the optimiser, which moves each by its learning rate at most: the best width lies far off.
        self.register_buffer("log_width", torch.zeros(()))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log variances (n, latent, side, side) of q(z|x) for pictures (n, 3, size, size), from -1 to 1."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return mean, log_variance.clamp(-2 * _WIDEST, _WIDEST)

    def decode(self, z: Tensor) -> Tensor:
        """Mean pictures of p(x|z)."""
        images: Tensor = self.decoder(z)
        return images

    def forward(self, images: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """Both terms of the bound for pictures and standard normal numbers e of the latent map; shapes (n,).

        ln p(x) >= E ln p(x|z) - KL(q(z|x) | p(z)) with z = mean + deviation e and p(z) standard normal.

        References
        ----------
        D. Kingma, M. Welling, ICLR 2014 (arXiv:1312.6114), equations 3 and 10.
        O. Rybkin, K. Daniilidis, S. Levine, ICML 2021 (arXiv:2006.13202), section 3.2 (the best width is the root
        mean square of what is not reconstructed).
        """
        mean, log_variance = self.encode(images)
        decoded = self.decode(mean + (log_variance / 2).exp() * e)
        if self.training:
            with torch.no_grad():
                best = (images - decoded).square().mean().log() / 2
                self.log_width.lerp_(best.float().clamp(min=_SHARPEST), _PACE)
        # A copy, because the next batch changes it in place before a caller may ask for gradients of this one.
        return reconstruct(images, decoded, self.log_width.clone()), diverge(mean, log_variance)


def reconstruct(x: Tensor, decoded: Tensor, log_width: Tensor) -> Tensor:
    """ln p(x|z) of a Gaussian about what was decoded, summed over each example; shape (n,), in nats.

    Examples
    --------
    >>> round(reconstruct(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(())).item(), 4)
    -1.8379
    """
    each = -((x - decoded) * (-log_width).exp()).square() / 2 - log_width - math.log(2 * math.pi) / 2
    return each.flatten(1).sum(1)


def diverge(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of Gaussians from the standard normal one, summed over each example; shape (n,), in nats.

    Examples
    --------
    >>> diverge(torch.ones(1, 3), torch.zeros(1, 3)).item()
    1.5
    """
    return ((mean.square() + log_variance.exp() - 1 - log_variance) / 2).flatten(1).sum(1)


def build_autoencoder(shape: AutoencoderShape, stream: Stream) -> Autoencoder:
    """Make the networks with random weights, a function of the stream."""
    with torch.random.fork_rng([]):
        torch.manual_seed(stream.fold("weights").key)
        made = Autoencoder(shape)
    return made.to(memory_format=torch.channels_last)


class _Residual(nn.Module):
    """x plus two convolutions of it, after group normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.GroupNorm(_GROUPS, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(_GROUPS, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.change(x)
        return changed


def _head(width: int, channels: int) -> tuple[nn.Module, ...]:
    return nn.GroupNorm(_GROUPS, width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1)
