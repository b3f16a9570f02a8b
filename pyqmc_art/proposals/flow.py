"""Flows of fields: free fields through invertible layers, with the density they come out with."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.field_exact import free_field
from pyqmc_art.lattice.free_proposal import FreeProposal
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.learning.threads import limit_torch
from pyqmc_art.proposals.continuous import ContinuousFlow
from pyqmc_art.proposals.couplings import AffineCoupling
from pyqmc_art.proposals.energy import evaluate_action
from pyqmc_art.proposals.shapes import MOST_LAYERS, FlowShape
from pyqmc_art.proposals.spectrum import SpectralScale
from pyqmc_art.proposals.splines import SplineCoupling
from pyqmc_art.protocols import Draw, Field
from pyqmc_art.rng import Stream

_SPLINE_REACH: Final = 4.0  # root mean squares of the free field


class Flow(nn.Module):
    """A free field of phi^4's convention through invertible layers; a :class:`pyqmc_art.protocols.Proposal`.

    log q(phi) = log q_free(z) - ln |det dphi/dz|; with ``mixture`` the mean of that density and its mirror image. The
    noise comes from the stream and never from torch, so that a seed means the same everywhere; networks are float32,
    fields and log-determinants float64.

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
        For an action without free fields or outside of the plan's ranges, or a network that does not fit the lattice.

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
        self.plan = plan or FlowShape()
        if self.plan.condition is not None and getattr(action, "convention", "A") not in ("A", "D"):
            raise InputError("in conventions B and C the field's unit depends on the couplings; use convention A or D")
        # One free field for all couplings of a range.
        middle: dict[str, Any] = dict(self.plan.centre())
        centre = replace(action, **middle) if isinstance(action, Phi4) else action
        self.base = FreeProposal(centre, self.plan.mass)
        self._set_target(action)
        self.threads: int | None = None
        self.digest = ""
        stream = stream or Stream.from_seed(0)
        with torch.random.fork_rng([]):
            torch.manual_seed(stream.fold("first weights").key)
            self.layers = nn.ModuleList(self._make_layers())

    def _set_target(self, action: Any) -> None:
        self.action = action
        place = self.plan.place(action.couplings()) if self.plan.condition is not None else ()
        self.condition = torch.tensor(place, dtype=torch.float64) if place else None

    def _make_layers(self) -> list[nn.Module]:
        plan, shape = self.plan, self.action.lattice.shape
        given = 0 if self.condition is None else len(self.condition)
        width = math.sqrt(free_field(self.base.free).phi2) * self.base.action.normalization
        spectra: list[nn.Module] = [SpectralScale(shape, given) for _ in range(2)] if plan.fourier else []
        if plan.kind == "continuous":
            body: list[nn.Module] = [ContinuousFlow(shape, plan.layers, plan.bins, width, given)]
        elif plan.kind == "spline":
            reach = _SPLINE_REACH * width
            body = [
                SplineCoupling(shape, k % 2, plan.hidden, plan.network, plan.equivariant, plan.bins, reach, given)
                for k in range(plan.layers)
            ]
        else:
            body = [
                AffineCoupling(shape, k % 2, plan.hidden, plan.network, plan.equivariant, given)
                for k in range(plan.layers)
            ]
        return [*spectra[:1], *body, *spectra[1:]]

    def at(self, action: Phi4) -> Flow:
        """Return this flow for other couplings of its range; both share their weights.

        Raises
        ------
        InputError
            For couplings outside of the range, or another lattice or convention.
        """
        if action != self.action and not self.covers(action):
            raise InputError(f"this flow is for {self.action}; not for {action}")
        other = copy.copy(self)
        other._set_target(action)
        return other

    def covers(self, action: Any) -> bool:
        """Whether an action differs from this flow's in couplings only, and the flow is for a range of them."""
        if self.plan.condition is None or not isinstance(action, Phi4):
            return False
        return bool(replace(action, m2=0.0, lam=1.0) == replace(self.action, m2=0.0, lam=1.0))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map free fields z, float64 of shape (n, *shape), to phi; and ln |det dphi/dz|, shape (n,)."""
        total = torch.zeros(len(z), dtype=torch.float64, device=z.device)
        condition = self._condition(condition, z)
        for layer in self.layers:
            z, log_det = layer(z, condition)
            total = total + log_det
        return z, total

    def inverse(self, phi: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map fields to free fields z, and ln |det dz/dphi|."""
        total = torch.zeros(len(phi), dtype=torch.float64, device=phi.device)
        condition = self._condition(condition, phi)
        layers: list[Any] = list(self.layers)
        for layer in reversed(layers):
            phi, log_det = layer.inverse(phi, condition)
            total = total + log_det
        return phi, total

    def _condition(self, given: Tensor | None, field: Tensor) -> Tensor | None:
        here = self.condition if given is None else given
        return None if here is None else here.to(field.device)

    def push(self, z: Tensor, log_base: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map free fields with their log densities to phi, and give log q(phi); differentiable in the weights."""
        phi, log_det = self(z, condition)
        log_q = log_base - log_det
        return phi, self._mix(log_q, phi, condition) if self.plan.mixture else log_q

    def log_density(self, phi: Tensor, condition: Tensor | None = None) -> Tensor:
        """log q of fields, shape (n,); differentiable in the weights and once in the field."""
        log_q = self._log_branch(phi, condition)
        return self._mix(log_q, phi, condition) if self.plan.mixture else log_q

    def _log_branch(self, phi: Tensor, condition: Tensor | None) -> Tensor:
        z, log_det = self.inverse(phi, condition)
        return self.log_base(z) + log_det

    def _mix(self, log_q: Tensor, phi: Tensor, condition: Tensor | None) -> Tensor:
        """ln [q0(phi) + q0(-phi)]/2, the first of which is known."""
        return torch.logaddexp(log_q, self._log_branch(-phi, condition)) - math.log(2)

    def log_base(self, z: Tensor) -> Tensor:
        """log q_free of free fields, shape (n,); differentiable once."""
        scale = self.base.action.normalization
        return -evaluate_action(self.base.free, z / scale) - self.base.log_normalization

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @torch.no_grad()
    def draw(self, stream: Stream, n: int) -> Draw:
        """Draw ``n`` independent fields."""
        start = self.base.draw(stream.fold("base"), n)
        z, log_base = (torch.from_numpy(a).to(self.device) for a in (start.field, start.log_ratio))
        with limit_torch(self.threads):
            phi, log_q = self.push(z, log_base)
        field = phi.cpu().numpy()
        if self.plan.mixture:
            sign = stream.fold("mirror").uniform("user", np.arange(1), n)[:, 0] < 0.5
            field[sign] *= -1
        return Draw(field, None, log_q.cpu().numpy())

    @torch.no_grad()
    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        """Give log q of fields that something else made, by inversion."""
        with limit_torch(self.threads):
            log_q = self.log_density(torch.from_numpy(np.array(field, np.float64)).to(self.device))
        return Draw(field, None, log_q.cpu().numpy())


__all__ = ["MOST_LAYERS", "Flow", "FlowShape"]
