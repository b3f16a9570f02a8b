"""The simplest proposal: a Gaussian free field with a mass of its own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.couplings import finite
from pyqmc_art.lattice.field_exact import colour_noise, free_field
from pyqmc_art.lattice.free_energy import reference_mass
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Draw, Field
from pyqmc_art.rng import Stream


class FreeProposal:
    """Independent free fields with q(phi) = exp(-S_free(phi)) / Z_free; the density is known in closed form.

    Parameters
    ----------
    action : phi^4 on a periodic hypercubic lattice; fields are those of its convention
    mass : m2 of the free field in convention A, positive; None takes one that is about as wide as the target

    Raises
    ------
    InputError
        For another action or lattice, or a mass that is not positive.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> proposal = FreeProposal(Phi4(Lattice((4, 4)), m2=-4, lam=8), mass=2.0)
    >>> stream = Stream.from_seed(1)
    >>> drawn = proposal.draw(stream, 3)
    >>> drawn.field.shape, bool(np.array_equal(proposal.encode(stream, drawn.field).log_ratio, drawn.log_ratio))
    ((3, 4, 4), True)
    """

    def __init__(self, action: Phi4, mass: float | None = None) -> None:
        if not isinstance(action, Phi4):
            raise InputError(f"free fields are proposed for phi4, not for {getattr(action, 'name', action)!r}")
        target = action.to("A")
        self.action = action
        self.free = replace(target, lam=0.0, m2=finite("mass", reference_mass(target) if mass is None else mass))
        colour_noise(self.free, np.zeros((1, *action.lattice.shape)))
        self._log_partition = free_field(self.free).log_partition

    def draw(self, stream: Stream, n: int) -> Draw:
        """Draw ``n`` independent fields."""
        shape = self.action.lattice.shape
        noise = stream.fold("free field").normal("user", self.action.lattice.sites, n).reshape(n, *shape)
        field = colour_noise(self.free, noise) * self.action.normalization
        return Draw(field, None, self._log_density(field))

    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        """Give log q of fields that something else made."""
        return Draw(field, None, self._log_density(field))

    @property
    def log_normalization(self) -> float:
        """log q(phi) is -S_free(phi in convention A) less this number."""
        return self._log_partition + self.action.lattice.sites * math.log(self.action.normalization)

    def _log_density(self, field: NDArray[Any]) -> NDArray[np.float64]:
        free = self.free(field / self.action.normalization)
        return np.asarray(-free - self.log_normalization, np.float64)
