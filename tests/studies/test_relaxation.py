from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies import relaxation_figures, relaxation_report
from pyqmc_art.studies.relaxation import Relaxation, beta_label, is_ordered, order_name, role_label
from pyqmc_art.studies.times import Times
from pyqmc_art.studies.updates import HEAT_BATH, METROPOLIS, SWENDSEN_WANG, WOLFF, WOLFF_FLIPS

Z = 2.17


def times(tau: float, *, turned: float = 1.0, warnings: tuple[str, ...] = ()) -> Times:
    estimate = Estimate(0.0, 1.0, tau_int=tau, tau_int_error=0.05 * tau, n=1000, warnings=warnings)
    names = ("energy", "magnetization2", "kmin2")
    series = {"energy": np.zeros((10, 2)), "magnetization": np.ones((10, 2))}
    return Times(dict.fromkeys(names, estimate), series, 1, 0, 1e-6, turned, np.ones((2, 4, 4), np.int8))


@pytest.fixture
def relaxation() -> Relaxation:
    found = Relaxation()
    for size in (10, 20, 40):
        for update, a, z in ((METROPOLIS, 4.0, Z), (HEAT_BATH, 9.0, Z), (SWENDSEN_WANG, 2.5, 0.25)):
            found.add(update, ISING_CRITICAL_BETA, size, times(a * (size / 10) ** z))
        # One cluster turns a share L^-0.25 of the sites; in V flips tau does not grow.
        share = 0.6 * (size / 10) ** -0.25
        found.add(WOLFF, ISING_CRITICAL_BETA, size, times(1.2 / share, turned=share))
    return found


def test_fits_return_what_went_in(relaxation: Relaxation) -> None:
    law = relaxation.law(METROPOLIS.label, ISING_CRITICAL_BETA, "order")
    assert law is not None
    assert law.exponent.value == pytest.approx(Z) and law.amplitude.value == pytest.approx(4.0)
    in_clusters = relaxation.law(WOLFF.label, ISING_CRITICAL_BETA, "order")
    in_flips = relaxation.law(WOLFF_FLIPS, ISING_CRITICAL_BETA, "order")
    assert in_clusters is not None and in_flips is not None
    assert in_clusters.exponent.value == pytest.approx(0.25)
    assert in_flips.exponent.value == pytest.approx(0.0, abs=1e-9) and in_flips.amplitude.value == pytest.approx(1.2)


def test_times_in_wrong_units_give_another_z(relaxation: Relaxation) -> None:
    for size in (10, 20, 40):
        # Counting proposed sites instead of sweeps: a factor L^2.
        relaxation.add(METROPOLIS, ISING_CRITICAL_BETA, size, times(4.0 * (size / 10) ** Z * (size / 10) ** 2))
    law = relaxation.law(METROPOLIS.label, ISING_CRITICAL_BETA, "order")
    assert law is not None and law.exponent.deviation(Z) > 10
    assert f"{law.exponent.deviation(2.17):+.1f} sigma" in relaxation_report.answer(relaxation)


def test_runs_that_are_too_short_are_shown_and_not_fitted(relaxation: Relaxation) -> None:
    relaxation.add(METROPOLIS, ISING_CRITICAL_BETA, 60, times(1.0, warnings=("far too short",)))
    law = relaxation.law(METROPOLIS.label, ISING_CRITICAL_BETA, "order")
    assert law is not None and law.exponent.value == pytest.approx(Z)
    labels = [c.label for c in relaxation_figures.critical(relaxation).panels[0].curves]
    assert "Metropolis (run too short)" in labels
    assert any("far too short" in note and "L = 60" in note for note in relaxation_report.notes(relaxation, 1000.0))


def test_speed_is_the_inverse_of_tau_times_cost(relaxation: Relaxation) -> None:
    speed = relaxation.speed(SWENDSEN_WANG.label, ISING_CRITICAL_BETA, 10, "order")
    assert speed is not None and speed.value == pytest.approx(1 / (2 * 2.5 * 1e-6))
    # In whichever unit tau is counted, a CPU-second is a CPU-second.
    of_clusters = relaxation.speed(WOLFF.label, ISING_CRITICAL_BETA, 10, "order")
    of_flips = relaxation.speed(WOLFF_FLIPS, ISING_CRITICAL_BETA, 10, "order")
    assert of_clusters is not None and of_flips is not None and of_clusters.value == of_flips.value


def test_the_order_parameter_follows_the_phase() -> None:
    assert [order_name(b) for b in (0.44, ISING_CRITICAL_BETA, 0.46)] == [
        "magnetization2",
        "magnetization2",
        "abs_magnetization",
    ]
    assert [is_ordered(b) for b in (0.44, ISING_CRITICAL_BETA, 0.46)] == [False, False, True]
    assert role_label("order", 0.48) == "|m|" and role_label("order", 0.44) == "m²"
    assert beta_label(ISING_CRITICAL_BETA) == "β_c" and beta_label(0.46) == "β = 0.46"
