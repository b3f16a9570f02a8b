"""Fourier acceleration of hybrid Monte Carlo: every mode of a free field moves at the same pace."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.field_exact import eigenvalues
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.ops.continuous import FieldBatch
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FourierFlow:
    """Trajectories with the kinetic energy (1/2) sum_k |p_k|^2 / M_k, M_k = 2 g (khat^2 + mass).

    Parameters
    ----------
    action : on a periodic hypercubic lattice
    mass : added to khat^2, positive; in a free field m2 makes all frequencies 1

    References
    ----------
    Duane, Kenway, Pendleton, Roweth, Phys. Lett. B 176 (1986) 143.
    """

    action: Phi4
    mass: float

    def __post_init__(self) -> None:
        lattice = self.action.lattice
        if self.mass <= 0:
            raise InputError(f"acceleration is {self.mass}; expected a positive squared mass")
        if lattice.kind not in ("square", "hypercubic") or not all(lattice.periodic):
            raise InputError(
                "Fourier acceleration needs a periodic hypercubic lattice; this one is "
                f"{lattice.kind} {lattice.boundary}"
            )

    @property
    def spectrum(self) -> Floats:
        """M_k, shape ``lattice.shape``."""
        g = self.action.coefficients[0]
        return 2 * g * (eigenvalues(self.action) - self.action.m2 + self.mass)

    def _filter(self, field: Floats, factor: Floats) -> Floats:
        return np.asarray(np.fft.ifftn(np.fft.fftn(field) * factor).real, np.float64)

    def run(
        self, batch: FieldBatch, kicks: Floats, drifts: Floats, spread: float, errors: Floats, measure: Any
    ) -> None:
        """Do the steps of a batch, one field after the other; ``measure`` is called with a batch of one step."""
        spectrum = self.spectrum
        for index in range(len(batch.field)):
            field = batch.field[index].reshape(self.action.lattice.shape)
            for t in range(batch.steps):
                stream = Stream(batch.key, batch.first_step + t, batch.first_replica + index)
                error, end = self._trajectory(field, spectrum, stream, kicks, drifts, spread)
                errors[t, index] = error
                chance = float(stream.uniform("seed", np.arange(1), 1)[0, 0])
                if math.isfinite(error) and (error <= 0 or chance < math.exp(-min(error, 700.0))):
                    field[...] = end
                    batch.tally[index] += 1
                if batch.sums.size and (t + 1) % batch.every == 0:
                    measure(index, batch.sums[(t + 1) // batch.every - 1, index])

    def _trajectory(
        self, field: Floats, spectrum: Floats, stream: Stream, kicks: Floats, drifts: Floats, spread: float
    ) -> tuple[float, Floats]:
        length = 1 + spread * (2 * float(stream.uniform("seed", np.arange(1, 2), 1)[0, 0]) - 1)
        momentum = self._filter(normal_field(stream, field.size).reshape(field.shape), np.sqrt(spectrum))
        with np.errstate(over="ignore", invalid="ignore"):
            before = self._energy(field, momentum, spectrum)
            position = field + length * drifts[0] * self._filter(momentum, 1 / spectrum)
            for kick, drift in zip(kicks, drifts[1:], strict=True):
                momentum = momentum + length * kick * self.action.force(position[None])[0]
                position = position + length * drift * self._filter(momentum, 1 / spectrum)
            return self._energy(position, momentum, spectrum) - before, position

    def _energy(self, field: Floats, momentum: Floats, spectrum: Floats) -> float:
        return float(self.action(field[None])[0]) + 0.5 * float((momentum * self._filter(momentum, 1 / spectrum)).sum())


def normal_field(stream: Stream, count: int) -> Floats:
    """Standard normal numbers of one step, two for each block."""
    bits = stream.bits("site", np.arange((count + 1) // 2), 1)[0].astype(np.uint64)
    words = [(bits[:, i] | bits[:, i + 1] << np.uint64(32)) >> np.uint64(12) for i in (0, 2)]
    radius = np.sqrt(-2 * np.log(1 - words[0] * 2.0**-52))
    angle = 2 * math.pi * (words[1] * 2.0**-52)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]
