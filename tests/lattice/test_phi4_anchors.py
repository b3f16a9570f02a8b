"""phi^4 on the line L / xi = 4 against values measured once by an independent program (64 chains of plain NumPy)."""

from __future__ import annotations

import math

import pytest

from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream
from pyqmc_art.testing.trials import estimate_means

# L, lam, susceptibility, its error, <phi^2>, its error, Ising energy, its error
MEASURED = (
    (8, 8.0, 0.746, 0.004, 0.14338, 0.00009, 0.04433, 0.00008),
    (6, 6.975, 1.066, 0.007, 0.16125, 0.00016, 0.05834, 0.00018),
    (8, 6.008, 1.912, 0.015, 0.18386, 0.00013, 0.07579, 0.00019),
    (10, 5.55, 2.864, 0.038, 0.19892, 0.00016, 0.08835, 0.00024),
    (12, 5.276, 4.07, 0.08, 0.21039, 0.00019, 0.09914, 0.00029),
    (14, 5.113, 5.40, 0.09, 0.21855, 0.00016, 0.10689, 0.00027),
)


@pytest.mark.slow
@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"L={row[0]}, lam={row[1]}")
@pytest.mark.parametrize("kernel", ["hmc", "heat-bath+2*wolff"])
def test_anchors(row: tuple[float, ...], kernel: str) -> None:
    size, lam = int(row[0]), row[1]
    action = Phi4(Lattice((size, size)), -4.0, lam)
    options = {"md_steps": 12, "randomise": 0.3} if kernel == "hmc" else {}
    names = ("susceptibility", "phi2", "ising_energy")
    means = estimate_means(build(kernel, action, options), Stream.from_seed(1).fold(kernel), names, 64, 500, 4000)
    for name, value, error in zip(names, row[2::2], row[3::2], strict=True):
        found = means[name][0]
        limit = 3 if name == "susceptibility" else 4
        assert abs(found.value - value) < limit * math.hypot(found.error, error), (name, str(found), value)
