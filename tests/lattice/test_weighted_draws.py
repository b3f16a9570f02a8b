"""Averages over the target from draws of a proposal: exact values, honest errors, a planted stale density."""

from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.field_exact import free_field
from pyqmc_art.lattice.field_observables import Correlator
from pyqmc_art.lattice.free_proposal import FreeProposal
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.independence import judge_proposal
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.weighted_draws import measure_proposal
from pyqmc_art.protocols import Draw
from pyqmc_art.rng import Stream

FREE = Phi4(Lattice((4, 4)), m2=1.0, lam=0.0)
EXACT = free_field(FREE).phi2


class Forgetful(FreeProposal):
    """Stretches its fields and gives the density that they would have had without that."""

    def draw(self, stream: Stream, n: int) -> Draw:
        """Draw fields with a density that is not theirs."""
        return self.encode(stream, 1.05 * super().draw(stream, n).field)


def test_a_free_field_from_draws_of_another_mass() -> None:
    draws = measure_proposal(FREE, FreeProposal(FREE, mass=0.9), ("phi2", "action"), 20_000, seed=1)
    assert abs(draws.average("phi2").deviation(EXACT)) < 4
    assert abs(draws.average("action").deviation(0.5)) < 4
    assert draws.average("phi2").n == 20_000
    assert draws.weights == judge_proposal(FREE, FreeProposal(FREE, mass=0.9), 20_000, seed=1)
    plain = draws.series["phi2"]
    # Without the weights it is the average over the proposal.
    assert abs(plain.mean() - EXACT) > 5 * plain.std() / np.sqrt(len(plain))


def test_a_wrong_density_is_noticed() -> None:
    draws = measure_proposal(FREE, Forgetful(FREE, mass=0.9), ("phi2",), 20_000, seed=1)
    assert abs(draws.average("phi2").deviation(EXACT)) > 4


def test_the_error_is_the_scatter() -> None:
    found = [
        measure_proposal(FREE, FreeProposal(FREE, mass=0.8), ("phi2",), 1000, seed=seed).average("phi2")
        for seed in range(150)
    ]
    scatter = np.std([one.value for one in found])
    # The standard deviation of 150 numbers is known to 6 %.
    assert np.mean([one.error for one in found]) == pytest.approx(scatter, rel=0.3)


def test_a_function_of_averages() -> None:
    draws = measure_proposal(FREE, FreeProposal(FREE, mass=0.9), ("phi2", "magnetization2"), 20_000, seed=2)
    same = draws.derived(lambda a: float(a[0]), ("phi2",))
    plain = draws.average("phi2")
    assert same.value == pytest.approx(plain.value, abs=0.1 * plain.error)
    assert same.error == pytest.approx(plain.error, rel=0.3)
    ratio = draws.derived(lambda a: float(a[0] / a[1]), ("magnetization2", "phi2"))
    # <M^2>/V^2 = 1/(2 m2 V) for a free field.
    assert abs(ratio.deviation(1 / (2 * 16) / EXACT)) < 4


def test_bad_input() -> None:
    proposal = FreeProposal(FREE)
    with pytest.raises(InputError, match="n is 1"):
        measure_proposal(FREE, proposal, ("phi2",), 1)
    with pytest.raises(InputError, match="phi3"):
        measure_proposal(FREE, proposal, ("phi3",), 10)
    with pytest.raises(InputError, match="expected one number"):
        measure_proposal(FREE, proposal, (Correlator(),), 10)
    draws = measure_proposal(FREE, proposal, ("phi2",), 50)
    with pytest.raises(InputError, match="50 draws do not make 100 blocks"):
        draws.derived(lambda a: float(a[0]), ("phi2",))
    with pytest.raises(InputError, match="energy"):
        draws.average("energy")
