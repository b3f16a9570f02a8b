"""Binder cumulants as functions of beta, by multi-histogram reweighting, and where those of two sizes cross."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import NDArray

from pyqmc_art.errors import NumericalError
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.reweighting import Reweighting, Run
from pyqmc_art.studies.fits import LinearFit, fit_linear

Floats = NDArray[np.float64]

GRID_POINTS: Final = 13
"""Points in beta at which averages are reweighted. Reweighted averages are analytic in beta, so a polynomial through
Chebyshev nodes is theirs to many digits more than their errors."""

FINE_POINTS: Final = 400

SIZE_RATIO: Final = 2
"""Least ratio of the sizes of a pair: cumulants of neighbouring sizes are too parallel to cross at a sharp place."""


def make_run(beta: float, energy: Floats, square: Floats, fourth: Floats) -> Run:
    """Put into a run what cumulants and their slopes need: m^2, m^4 and their products with H.

    Parameters
    ----------
    beta : of the run
    energy : H itself, shape (measurements, replicas)
    square, fourth : m^2 and m^4, same shape
    """
    observables = {"m2": square, "m4": fourth, "m2H": square * energy, "m4H": fourth * energy}
    return Run(beta, energy, observables)


def cumulant(means: Floats) -> float:
    """``U = 1 - <m^4> / (3 <m^2>^2)`` from the means of m^2 and m^4."""
    return float(1 - means[1] / (3 * means[0] ** 2))


def cumulant_slope(means: Floats) -> float:
    """``dU/dbeta`` from the means of m^2, m^4, m^2 H, m^4 H and H, by ``d<A>/dbeta = <A><H> - <AH>``."""
    m2, m4, m2_energy, m4_energy, energy = means
    d2, d4 = m2 * energy - m2_energy, m4 * energy - m4_energy
    return float(-(d4 / m2**2 - 2 * m4 * d2 / m2**3) / 3)


@dataclass(frozen=True)
class Curve:
    """An average and its standard error as functions of beta: polynomials through the points of a grid."""

    beta: Floats
    estimates: tuple[Estimate, ...]

    @cached_property
    def _values(self) -> Chebyshev:
        return self._through([e.value for e in self.estimates])

    @cached_property
    def _errors(self) -> Chebyshev:
        return self._through([e.error for e in self.estimates])

    def _through(self, values: Sequence[float]) -> Chebyshev:
        return Chebyshev.fit(self.beta, values, len(values) - 1)

    def __call__(self, beta: float) -> Estimate:
        """The average at a beta of the grid's range.

        Raises
        ------
        NumericalError
            Outside of it.
        """
        self._check(beta)
        return Estimate(float(self._values(beta)), abs(float(self._errors(beta))))

    def derivative(self, beta: float) -> float:
        """Derivative of the average to beta."""
        self._check(beta)
        return float(self._values.deriv()(beta))

    def values(self, beta: Floats) -> Floats:
        """Averages at many beta."""
        return np.asarray(self._values(beta), np.float64)

    def _check(self, beta: float) -> None:
        low, high = float(self.beta[0]), float(self.beta[-1])
        if not low <= beta <= high:
            raise NumericalError(
                f"beta = {beta:.6g} lies outside {low:.6g} to {high:.6g}, where the runs are; give the study a "
                "wider window"
            )


@dataclass(frozen=True)
class SizeCurves:
    """What the runs of one lattice size say at every beta between them.

    Parameters
    ----------
    size, sites : L and V
    runs : of :func:`make_run`, at two or more beta
    """

    size: int
    sites: int
    runs: tuple[Run, ...]

    @cached_property
    def reweighting(self) -> Reweighting:
        """The runs as one."""
        return Reweighting(self.runs)

    @cached_property
    def beta(self) -> Floats:
        """The grid: Chebyshev nodes, the ends of the runs included."""
        betas = [run.beta for run in self.runs]
        nodes = (1 - np.cos(np.linspace(0.0, np.pi, GRID_POINTS))) / 2
        return np.asarray(min(betas) + (max(betas) - min(betas)) * nodes, np.float64)

    @cached_property
    def binder(self) -> Curve:
        """U(beta)."""
        return Curve(self.beta, tuple(self.reweighting.derived(cumulant, ["m2", "m4"], self.beta)))

    @cached_property
    def slope(self) -> Curve:
        """dU/dbeta."""
        names = ["m2", "m4", "m2H", "m4H", "H"]
        return Curve(self.beta, tuple(self.reweighting.derived(cumulant_slope, names, self.beta)))

    @cached_property
    def susceptibility(self) -> Curve:
        """``V <m^2>``."""
        return Curve(self.beta, tuple(self.reweighting.derived(lambda m: self.sites * m[0], ["m2"], self.beta)))

    @cached_property
    def energy(self) -> Curve:
        """``<H>/V``."""
        return Curve(self.beta, tuple(self.reweighting.derived(lambda m: m[0] / self.sites, ["H"], self.beta)))

    @cached_property
    def specific_heat(self) -> Curve:
        """``beta^2 (<H^2> - <H>^2) / V``."""
        widths = self.reweighting.derived(lambda m: (m[1] - m[0] ** 2) / self.sites, ["H", "H2"], self.beta)
        scaled = [Estimate(b**2 * w.value, b**2 * w.error) for b, w in zip(self.beta, widths, strict=True)]
        return Curve(self.beta, tuple(scaled))


@dataclass(frozen=True)
class Crossing:
    """Where the cumulants of two sizes are equal.

    Attributes
    ----------
    sizes : the smaller and the larger L
    beta, value : of the crossing
    shifts : standard errors of beta from the smaller and the larger lattice, with signs
    """

    sizes: tuple[int, int]
    beta: Estimate
    value: float
    shifts: tuple[float, float]


def find_crossing(small: SizeCurves, large: SizeCurves) -> Crossing:
    """Find where the cumulants of two sizes cross; the error follows from theirs and the angle between them.

    Raises
    ------
    NumericalError
        If they do not cross where both are known.
    """
    low, high = max(small.beta[0], large.beta[0]), min(small.beta[-1], large.beta[-1])
    beta = np.linspace(low, high, FINE_POINTS)
    difference = large.binder.values(beta) - small.binder.values(beta)
    upward = np.flatnonzero((difference[:-1] < 0) & (difference[1:] >= 0)) if low < high else np.zeros(0, np.intp)
    if not len(upward):
        raise NumericalError(
            f"the Binder cumulants of L = {small.size} and {large.size} do not cross between beta = {low:.6g} and "
            f"{high:.6g}; give the study a wider window, another center or more measurements"
        )
    # Noise may add crossings; the steepest one is where the curves really part.
    i = max(upward, key=lambda k: float(difference[k + 1] - difference[k]))
    where = float(beta[i] - difference[i] * (beta[i + 1] - beta[i]) / (difference[i + 1] - difference[i]))
    angle = large.binder.derivative(where) - small.binder.derivative(where)
    shifts = (small.binder(where).error / angle, -large.binder(where).error / angle)
    value = float(small.binder(where).value)
    return Crossing((small.size, large.size), Estimate(where, math.hypot(*shifts)), value, shifts)


def find_crossings(curves: Sequence[SizeCurves]) -> list[Crossing]:
    """Crossings of each size with the next one that is at least twice as large (any larger one, if there is none)."""
    ordered = sorted(curves, key=lambda one: one.size)
    pairs = []
    for k, small in enumerate(ordered):
        partners = [large for large in ordered[k + 1 :] if large.size >= SIZE_RATIO * small.size]
        pairs += [(small, partners[0])] if partners else []
    if not pairs:
        pairs = [(ordered[0], ordered[-1])]
    return [find_crossing(*pair) for pair in pairs]


def extrapolate(crossings: Sequence[Crossing], power: float) -> tuple[Estimate, LinearFit | None]:
    """Fit ``beta_x(L) = beta_c + c L^-power`` to three crossings or more; fewer leave the one of the largest sizes.

    Two pairs that share a lattice are correlated through it, and the fit knows it.

    Returns
    -------
    beta_c, and the fit (None without one)
    """
    last = max(crossings, key=lambda one: one.sizes)
    if len(crossings) < 3:
        return last.beta, None
    covariance = np.zeros((len(crossings), len(crossings)))
    for i, first in enumerate(crossings):
        for j, second in enumerate(crossings):
            for size, shift in zip(first.sizes, first.shifts, strict=True):
                for other, its_shift in zip(second.sizes, second.shifts, strict=True):
                    covariance[i, j] += shift * its_shift if size == other else 0.0
    design = [[1.0, one.sizes[0] ** -power] for one in crossings]
    fit = fit_linear(design, [one.beta.value for one in crossings], covariance)
    return fit.parameter(0), fit
