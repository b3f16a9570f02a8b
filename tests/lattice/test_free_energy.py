"""ln Z by annealing and by integration, against exact values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice import free_energy
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.field_exact import colour_noise, free_field, transfer_operator
from pyqmc_art.lattice.free_energy import (
    FreeEnergy,
    along,
    annealed_log_partition,
    integrated_log_partition,
    reference_log_partition,
)
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON

XY = ON(Lattice((2,), boundary="open"), 2, 1.5)
EXACT: tuple[tuple[Any, float], ...] = (
    (Phi4(Lattice((2, 2)), -4, 8), 0.914433978),
    (Phi4(Lattice((3, 3)), -4, 8), 1.4765287),
    (Phi4(Lattice((4, 4)), -4, 8), 2.405136),
    (Phi4(Lattice((4, 2)), -1, 1.5, "C"), transfer_operator(Phi4(Lattice((4, 2)), -1, 1.5, "C")).log_partition),
    (Phi4(Lattice((4, 4)), 0.6, 0.0), free_field(Phi4(Lattice((4, 4)), 0.6, 0.0)).log_partition),
    (XY, 2 * math.log(2 * math.pi) + math.log(np.i0(1.5))),
)


@pytest.mark.parametrize(("action", "exact"), EXACT, ids=str)
@pytest.mark.parametrize("method", [annealed_log_partition, integrated_log_partition])
def test_exact_values(method: Any, action: Any, exact: float) -> None:
    kernel = "hmc" if isinstance(action, Phi4) else "heat-bath"
    found: FreeEnergy = method(action, kernel, seed=3, threads=1)
    assert abs(found.value - exact) < 5 * found.error + 1e-12
    assert found.error < 0.05
    assert found.effective > 1


def test_more_steps_waste_fewer_paths() -> None:
    action = EXACT[2][0]
    brief, long = (annealed_log_partition(action, steps=n, replicas=300, threads=1) for n in (3, 60))
    assert long.effective > brief.effective
    assert abs(brief.value - EXACT[2][1]) < 6 * brief.error


def test_a_forgotten_step_of_work_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that jumps to the target without paying for its first tenth."""
    action, exact = EXACT[0]
    right = free_energy.along
    monkeypatch.setattr(free_energy, "along", lambda a, t: right(a, max(t, 0.1)))
    monkeypatch.setattr(free_energy, "reference_log_partition", lambda a: free_field(right(a, 0.0)).log_partition)
    start = right(action, 0.0)
    monkeypatch.setattr(free_energy, "colour_noise", lambda a, noise: colour_noise(start, noise))
    found = annealed_log_partition(action, replicas=2000, threads=1)
    assert abs(found.value - exact) > 5 * found.error


def test_the_path_ends_where_it_should() -> None:
    action = EXACT[1][0]
    assert along(action, 1.0) == action
    assert along(action, 0.0).lam == 0
    assert reference_log_partition(ON(Lattice((3,)), 3, 2.0)) == pytest.approx(3 * math.log(4 * math.pi))


def test_what_has_no_path_is_refused() -> None:
    with pytest.raises(InputError, match="phi4 and on actions"):
        annealed_log_partition(Ising(Lattice((4, 4)), 0.4))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="periodic hypercubic"):
        integrated_log_partition(Phi4(Lattice((4, 4), boundary="open"), 1, 1))
    with pytest.raises(InputError, match="nodes is 2"):
        integrated_log_partition(EXACT[0][0], nodes=2)
    with pytest.raises(InputError, match="replicas is 1"):
        annealed_log_partition(EXACT[0][0], replicas=1)
