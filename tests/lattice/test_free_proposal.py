"""The Gaussian proposal: its density is normalized, its fields are those it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, multivariate_normal

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.free_proposal import FreeProposal
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import CONVENTIONS, Phi4
from pyqmc_art.rng import Stream

STREAM = Stream.from_seed(4)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("shape", [(2, 2), (5,), (3, 2, 2)])
def test_the_density_is_that_of_a_normal_law(shape: tuple[int, ...], convention: str) -> None:
    """Against SciPy, with the covariance read off the quadratic form of S."""
    action = Phi4(Lattice(shape), -1.0, 1.0, convention)
    proposal = FreeProposal(action, mass=0.8)
    free, sites = Phi4(Lattice(shape), 0.8, 0.0), action.lattice.sites
    quadratic = -free.force(np.eye(sites).reshape(sites, *shape)).reshape(sites, sites)
    law = multivariate_normal(cov=np.linalg.inv(quadratic) * action.normalization**2)
    drawn = proposal.draw(STREAM, 7)
    assert drawn.latent is None
    np.testing.assert_allclose(drawn.log_ratio, law.logpdf(drawn.field.reshape(7, sites)), rtol=1e-10)
    np.testing.assert_array_equal(proposal.encode(STREAM, drawn.field).log_ratio, drawn.log_ratio)


def test_the_fields_have_the_variance_of_every_mode() -> None:
    action = Phi4(Lattice((4, 2)), 0.3, 0.5)
    proposal = FreeProposal(action)
    field = proposal.draw(STREAM, 20_000).field
    assert 2 * proposal.free(field).mean() == pytest.approx(8, abs=5 * np.sqrt(2 * 8 / 20_000))
    magnetization = field.sum(axis=(1, 2)) * np.sqrt(2 * proposal.free.m2 / 8)
    assert kstest(magnetization, "norm").pvalue > 1e-6


def test_a_field_depends_on_its_replica_and_step_only() -> None:
    proposal = FreeProposal(Phi4(Lattice((3, 3)), -4, 8))
    whole = proposal.draw(STREAM.at(5), 6).field
    np.testing.assert_array_equal(proposal.draw(STREAM.at(5).shifted(4), 2).field, whole[4:])
    assert not np.array_equal(proposal.draw(STREAM.at(6), 6).field, whole)


def test_what_has_no_free_proposal_is_refused() -> None:
    with pytest.raises(InputError, match="not for 'ising'"):
        FreeProposal(Ising(Lattice((4, 4)), 0.4))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="periodic lattice"):
        FreeProposal(Phi4(Lattice((4, 4), boundary="open"), -4, 8))
    with pytest.raises(InputError, match="hypercubic"):
        FreeProposal(Phi4(Lattice((3, 3), kind="triangular"), 1, 1))
    for mass in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError):
            FreeProposal(Phi4(Lattice((4, 4)), -4, 8), mass)
