"""The network that looks through noise: diffusers' UNet2DModel, sized for a CPU."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from pyqmc_art.art.diffusion.path import LEVELS, NoisePath
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

_GROUPS: Final = 8
_SMALLEST: Final = 4


@dataclass(frozen=True)
class DenoiserShape:
    """Which network.

    Parameters
    ----------
    size : side of the pictures in pixels, a power of two from 16
    width : channels at the largest size of the network, a multiple of 8
    depth : blocks at each size
    objective : see :class:`pyqmc_art.art.diffusion.path.NoisePath`
    """

    size: int = 32
    width: int = 32
    depth: int = 1
    objective: str = "flow"

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or self.size not in (16, 32, 64, 128, 256):
            raise InputError(f"resolution is {self.size!r}; expected a power of two from 16 to 256, for instance 32")
        if isinstance(self.width, bool) or not isinstance(self.width, int) or self.width < 8 or self.width % _GROUPS:
            raise InputError(f"width is {self.width!r}; expected a multiple of {_GROUPS}, for instance 32")
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or self.depth < 1:
            raise InputError(f"depth is {self.depth!r}; expected a whole number of at least 1")
        _ = self.path

    @property
    def path(self) -> NoisePath:
        """From pictures to noise."""
        return NoisePath(self.objective)

    def configuration(self) -> dict[str, Any]:
        """What :class:`DenoiserShape` takes, as JSON values."""
        return dataclasses.asdict(self)


class Denoiser(nn.Module):
    """Answers at mixtures of pictures and noise.

    Parameters
    ----------
    side, channels : of the mixtures
    width, depth : see :class:`DenoiserShape`
    classes : that it knows; with any, class ``classes`` stands for none of them
    """

    def __init__(self, side: int, channels: int, width: int, depth: int, classes: int = 0) -> None:
        super().__init__()
        from diffusers.models.unets.unet_2d import UNet2DModel

        self.side, self.channels, self.classes = side, channels, classes
        stages = max(2, int(math.log2(side)) - 2)
        if side < 2 * _SMALLEST:
            raise InputError(f"the network looks at {side} x {side} numbers; expected at least {2 * _SMALLEST} a side")
        self.network = UNet2DModel(
            sample_size=side, in_channels=channels, out_channels=channels, layers_per_block=depth,
            block_out_channels=(width, *[2 * width] * (stages - 1)),
            down_block_types=(*["DownBlock2D"] * (stages - 1), "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", *["UpBlock2D"] * (stages - 1)),
            norm_num_groups=_GROUPS, num_class_embeds=classes + 1 if classes else None,
        )  # fmt: skip

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Answers (n, channels, side, side) at mixtures, times (n,) and classes (n,); none stands for no class."""
        if self.classes and labels is None:
            labels = torch.full((len(x),), self.classes, device=x.device)
        answer: Tensor = self.network(x, t * LEVELS, class_labels=labels, return_dict=False)[0]
        return answer

    def guide(self, x: Tensor, t: Tensor, labels: Tensor | None, guidance: float) -> Tensor:
        """Answers pushed away from those without a class: (1 - g) f(x) + g f(x, class).

        References
        ----------
        J. Ho, T. Salimans, 2022 (arXiv:2207.12598), equation 6 with g = 1 + w.
        """
        if labels is None or guidance == 1 or not self.classes:
            return self(x, t, labels)  # type: ignore[no-any-return]
        both: Tensor = self(
            torch.cat([x, x]), torch.cat([t, t]), torch.cat([labels, torch.full_like(labels, self.classes)])
        )
        with_class, without = both.chunk(2)
        return without + guidance * (with_class - without)


def build_denoiser(shape: DenoiserShape, side: int, channels: int, classes: int, stream: Stream) -> Denoiser:
    """Make the network with random weights, a function of the stream."""
    with torch.random.fork_rng([]):
        torch.manual_seed(stream.fold("weights").key)
        made = Denoiser(side, channels, shape.width, shape.depth, classes)
    return made.to(memory_format=torch.channels_last)
