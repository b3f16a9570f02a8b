"""A variational autoencoder of patches: what surrounds a patch, and a few latent numbers, give its new values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.patches import check_block, count_rim
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.ops.patches import LARGEST
from pyqmc_art.rng import Stream

_LAST_GAIN = 0.3
_WIDEST = 20.0
_FARTHEST = 1e3


@dataclass(frozen=True)
class VaeShape:
    """What the local updates are made of.

    Parameters
    ----------
    block : extents of a patch; empty means one site
    latents : numbers z; without any the decoder is a normal density of each site alone
    hidden : widths of the hidden layers of decoder and encoder
    """

    block: tuple[int, ...] = ()
    latents: int = 1
    hidden: tuple[int, ...] = (8,)

    def __post_init__(self) -> None:
        most = LARGEST["latents"]
        if isinstance(self.latents, bool) or not isinstance(self.latents, int) or not 0 <= self.latents <= most:
            raise InputError(f"latents is {self.latents!r}; expected a whole number from 0 to {most}")
        widest = LARGEST["layer"]
        if any(isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= widest for n in self.hidden):
            raise InputError(f"hidden is {self.hidden}; expected widths from 1 to {widest}, for instance 8")

    def extents(self, dimension: int) -> tuple[int, ...]:
        """Extents of a patch on a lattice of so many dimensions."""
        return self.block or (1,) * dimension

    def configuration(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden), "block": list(self.block)}


class LocalVae(nn.Module):
    r"""Decoder p(y | z, around) and encoder r(z | y, around) of patches; p(z) is standard normal.

    phi^4: the decoder gives mean and log dispersion of each site. O(2): a point a inside the circle for each vector,
    with density (1 - |a|^2) / (2 pi |s - a|^2). Everything is float64.

    Parameters
    ----------
    action : phi^4 or O(2) on a periodic square or hypercubic lattice; its extents do not enter
    plan : patch and layers
    stream : of the first weights

    Raises
    ------
    InputError
        For another action or lattice, or a patch that is too large.

    References
    ----------
    Kingma, Welling, ICLR 2014 (arXiv:1312.6114).

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> vae = LocalVae(Phi4(Lattice((4, 4)), m2=-4, lam=8), VaeShape(latents=2))
    >>> [tuple(layer.weight.shape) for layer in vae.decoder]
    [(8, 6), (2, 8)]
    """

    def __init__(self, action: Any, plan: VaeShape | None = None, stream: Stream | None = None) -> None:
        super().__init__()
        plan = plan or VaeShape()
        if getattr(action, "name", "") not in ("phi4", "on") or action.components > 2:
            raise InputError("learned local updates are there for phi4, and for on with n 2")
        self.action, self.plan = action, plan
        self.block = check_block(action.lattice, plan.extents(action.lattice.dimension))
        self.size, self.rim, self.components = math.prod(self.block), count_rim(self.block), action.components
        if self.size > LARGEST["size"] or self.rim > LARGEST["rim"]:
            raise InputError(
                f"a block of {self.block} has {self.size} sites and {self.rim} bonds outwards; at most "
                f"{LARGEST['size']} and {LARGEST['rim']} fit"
            )
        self.scale = action.width if isinstance(action, Phi4) else 1.0
        given = self.components * self.rim
        with torch.random.fork_rng([]):
            torch.manual_seed((stream or Stream.from_seed(0)).fold("first weights").key)
            self.decoder = _layers(given + plan.latents, plan.hidden, 2 * self.size)
            read = given + self.components * self.size
            self.encoder = _layers(read, plan.hidden, 2 * plan.latents) if plan.latents else nn.ModuleList()

    def forward(self, around: Tensor, values: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log p(y | z, around) of each patch, z drawn by the encoder, and KL(r(z | y, around) || p(z)).

        Parameters
        ----------
        around, values : in the frame of :func:`pyqmc_art.proposals.patch_data.collect_patches`, shapes (n, rim,
            components) and (n, size, components)
        noise : standard normal, shape (n, latents)
        """
        flat = around.flatten(1) / self.scale
        if not self.plan.latents:
            out = _apply(self.decoder, flat)
            return self._surprise(out, values), torch.zeros(len(values), dtype=out.dtype, device=out.device)
        code = _apply(self.encoder, torch.cat([flat, values.flatten(1) / self.scale], dim=1))
        mean, spread = code[:, : self.plan.latents], code[:, self.plan.latents :].clamp(-_WIDEST, _WIDEST)
        z = mean + spread.exp() * noise
        divergence = 0.5 * (mean * mean + (2 * spread).exp() - 1 - 2 * spread).sum(dim=1)
        return self._surprise(_apply(self.decoder, torch.cat([flat, z], dim=1)), values), divergence

    def _surprise(self, out: Tensor, values: Tensor) -> Tensor:
        """-log p of the values, in units of the fields."""
        if self.components == 1:
            spread = out[:, self.size :].clamp(-_WIDEST, _WIDEST)
            off = (values[..., 0] / self.scale - out[:, : self.size]) * (-spread).exp()
            return (0.5 * off * off + spread + 0.5 * math.log(2 * math.pi) + math.log(self.scale)).sum(dim=1)
        point = out.reshape(len(out), self.size, 2).clamp(-_FARTHEST, _FARTHEST)
        square = 1 + (point * point).sum(dim=2)
        off = values - point / square.sqrt()[..., None]
        return ((square * (off * off).sum(dim=2)).log() + math.log(2 * math.pi)).sum(dim=1)


def _layers(inputs: int, hidden: Sequence[int], outputs: int) -> nn.ModuleList:
    layers = nn.ModuleList(nn.Linear(a, b, dtype=torch.float64) for a, b in pairwise((inputs, *hidden, outputs)))
    with torch.no_grad():
        for parameter in layers[-1].parameters():
            parameter.mul_(_LAST_GAIN)
    return layers


def _apply(layers: nn.ModuleList, x: Tensor) -> Tensor:
    for number, layer in enumerate(layers):
        x = layer(x)
        if number + 1 < len(layers):
            x = x * torch.rsqrt(1 + x * x)
    return x
