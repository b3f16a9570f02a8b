"""All measured autocorrelation times of a study: looked up by update, beta and size, and fitted against the size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.fits import PowerLaw, fit_power_law
from pyqmc_art.studies.times import Times
from pyqmc_art.studies.updates import UPDATES, WOLFF, WOLFF_FLIPS, Update

REFERENCE: Final = 10.0
"""L in tau = a (L / 10)^z."""

ROLES: Final = ("energy", "order", "kmin2")
"""What is measured: ``order`` stands for m² up to beta_c and for |m| beyond, where m² hardly fluctuates."""

AT_CRITICALITY: Final = 1e-7


def is_critical(beta: float) -> bool:
    """Whether a beta is the critical one, to the digits one types."""
    return abs(beta - ISING_CRITICAL_BETA) < AT_CRITICALITY


def is_ordered(beta: float) -> bool:
    """Whether a beta lies beyond the critical one."""
    return beta > ISING_CRITICAL_BETA and not is_critical(beta)


def beta_label(beta: float) -> str:
    """``β = 0.44`` or ``β_c``."""
    return "β_c" if is_critical(beta) else f"β = {beta:g}"


def order_name(beta: float) -> str:
    """Name of the observable that plays the role ``order`` at a beta."""
    return "abs_magnetization" if is_ordered(beta) else "magnetization2"


def role_label(role: str, beta: float) -> str:
    """How an observable is written in tables and figures."""
    if role == "order":
        return "|m|" if is_ordered(beta) else "m²"
    return {"energy": "energy", "kmin2": "|m(k)|²"}[role]


@dataclass
class Relaxation:
    """Times of every update at every point, filled by the study."""

    times: dict[tuple[str, float, int], Times] = field(default_factory=dict)

    def add(self, update: Update, beta: float, size: int, times: Times) -> None:
        """Keep what was measured at one point."""
        self.times[update.label, beta, size] = times

    def labels(self) -> Iterator[str]:
        """Updates as tables list them; Wolff twice, in its two units of time."""
        for update in UPDATES:
            if any(label == update.label for label, _, _ in self.times):
                yield update.label
                if update is WOLFF:
                    yield WOLFF_FLIPS

    def betas(self) -> list[float]:
        """All beta, ascending."""
        return sorted({beta for _, beta, _ in self.times})

    def sizes(self, label: str, beta: float) -> list[int]:
        """Sizes at which an update was measured."""
        return sorted(size for own, b, size in self.times if own == _measured(label) and b == beta)

    def tau(self, label: str, beta: float, size: int, role: str) -> Estimate | None:
        """tau_int of one point in steps, or in units of V flips; None where there is none."""
        times = self.times.get((_measured(label), beta, size))
        name = order_name(beta) if role == "order" else role
        tau = times.tau(name) if times is not None and name in times.estimates else None
        if tau is None or times is None or label != WOLFF_FLIPS:
            return tau
        return Estimate(tau.value * times.turned, tau.error * times.turned, n=tau.n, warnings=tau.warnings)

    def speed(self, label: str, beta: float, size: int, role: str) -> Estimate | None:
        """Effective samples per CPU-second of one point."""
        times = self.times.get((_measured(label), beta, size))
        name = order_name(beta) if role == "order" else role
        return times.ess_per_second(name) if times is not None and name in times.estimates else None

    def points(self, label: str, beta: float, role: str, *, reliable: bool = True) -> list[tuple[int, Estimate]]:
        """Sizes with their tau: those to be trusted, or those not."""
        found = [(size, self.tau(label, beta, size, role)) for size in self.sizes(label, beta)]
        return [(size, tau) for size, tau in found if tau is not None and tau.reliable == reliable]

    def law(self, label: str, beta: float, role: str) -> PowerLaw | None:
        """Fit ``tau = a (L/10)^z`` to the reliable points; None if there are fewer than two."""
        points = self.points(label, beta, role)
        if len(points) < 2:
            return None
        return fit_power_law([size for size, _ in points], [tau for _, tau in points], REFERENCE)


def _measured(label: str) -> str:
    return WOLFF.label if label == WOLFF_FLIPS else label
