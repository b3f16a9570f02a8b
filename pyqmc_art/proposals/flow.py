"""Flows of fields: free fields through invertible layers, with the density they come out with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.free_proposal import FreeProposal
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.proposals.couplings import AffineCoupling
from pyqmc_art.protocols import Draw, Field
from pyqmc_art.rng import Stream

MOST_LAYERS: Final = 1000


@dataclass(frozen=True)
class FlowShape:
    """What a flow of affine couplings is made of.

    Parameters
    ----------
    layers : couplings, the colours in turn
    hidden : widths of the hidden layers of each network
    network : ``"conv"`` or ``"dense"``
    equivariant : whether phi -> -phi is a symmetry of q
    mass : m2 of the free field it starts from, in convention A; None takes one as wide as the target
    """

    layers: int = 8
    hidden: tuple[int, ...] = (12, 12)
    network: str = "conv"
    equivariant: bool = True
    mass: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layers, bool) or not isinstance(self.layers, int) or not 1 <= self.layers <= MOST_LAYERS:
            raise InputError(f"layers is {self.layers!r}; expected a whole number from 1 to {MOST_LAYERS}")

    def configuration(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden)}


class Flow(nn.Module):
    """A free field of phi^4's convention through affine couplings; a :class:`pyqmc_art.protocols.Proposal`.

    log q(phi) = log q_free(z) - ln |det dphi/dz|. The noise comes from the stream and never from torch, so that a seed
    means the same everywhere; networks are float32, fields and log-determinants float64.

    Parameters
    ----------
    action : phi^4 on a periodic hypercubic lattice; extent 2 works
    plan : the layers
    stream : of the first weights

    Attributes
    ----------
    threads : of torch while it draws; None changes nothing
    digest : of the weights, once they are those of a model directory

    Raises
    ------
    InputError
        For an action without free fields, or a network that does not fit the lattice.

    References
    ----------
    Dinh, Sohl-Dickstein, Bengio, ICLR 2017 (arXiv:1605.08803); Albergo, Kanwar, Shanahan, Phys. Rev. D 100 (2019)
    034515.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> flow = Flow(Phi4(Lattice((4, 4)), m2=-4, lam=8), FlowShape(layers=2))
    >>> stream = Stream.from_seed(1)
    >>> drawn = flow.draw(stream, 3)
    >>> bool(np.allclose(flow.encode(stream, drawn.field).log_ratio, drawn.log_ratio))
    True
    """

    def __init__(self, action: Phi4, plan: FlowShape | None = None, stream: Stream | None = None) -> None:
        super().__init__()
        plan = plan or FlowShape()
        self.action, self.plan = action, plan
        self.base = FreeProposal(action, plan.mass)
        self.threads: int | None = None
        self.digest = ""
        stream = stream or Stream.from_seed(0)
        with torch.random.fork_rng([]):
            torch.manual_seed(stream.fold("first weights").key)
            self.layers = nn.ModuleList(
                AffineCoupling(action.lattice.shape, k % 2, plan.hidden, plan.network, plan.equivariant)
                for k in range(plan.layers)
            )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map free fields z, float64 of shape (n, *shape), to phi; and ln |det dphi/dz|, shape (n,)."""
        total = torch.zeros(len(z), dtype=torch.float64, device=z.device)
        for layer in self.layers:
            z, log_det = layer(z)
            total = total + log_det
        return z, total

    def inverse(self, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Map fields to free fields z, and ln |det dz/dphi|."""
        total = torch.zeros(len(phi), dtype=torch.float64, device=phi.device)
        layers: list[Any] = list(self.layers)
        for layer in reversed(layers):
            phi, log_det = layer.inverse(phi)
            total = total + log_det
        return phi, total

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @torch.no_grad()
    def draw(self, stream: Stream, n: int) -> Draw:
        """Draw ``n`` independent fields."""
        start = self.base.draw(stream.fold("base"), n)
        with limit_torch(self.threads):
            phi, log_det = self(torch.from_numpy(start.field).to(self.device))
        return Draw(phi.cpu().numpy(), None, start.log_ratio - log_det.cpu().numpy())

    @torch.no_grad()
    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        """Give log q of fields that something else made, by inversion."""
        with limit_torch(self.threads):
            z, log_det = self.inverse(torch.from_numpy(np.array(field, np.float64)).to(self.device))
        start = self.base.encode(stream, z.cpu().numpy())
        return Draw(field, None, start.log_ratio + log_det.cpu().numpy())
