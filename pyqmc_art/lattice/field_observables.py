"""Observables of scalar fields and unit vectors, and what is computed from their averages: pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import Field

Floats = NDArray[np.float64]


def field_sums(action: Phi4 | ON, field: Field) -> Floats:
    """Return the sums the compiled loops measure, by NumPy: the obvious version.

    Returns
    -------
    Shape (columns, replica). phi^4: sum of phi, phi^2, phi^4, and over the bonds of (phi_x - phi_y)^2 and phi_x phi_y.
    O(n): sum over the bonds of s_x . s_y, and the n components of sum_x s_x.
    """
    lattice = action.lattice
    flat = field.reshape(len(field), lattice.sites, action.components)
    squares, products = np.zeros(len(field)), np.zeros(len(field))
    for target in lattice.forward.T:
        here = np.flatnonzero(target >= 0)
        squares += ((flat[:, here] - flat[:, target[here]]) ** 2).sum(axis=(1, 2))
        products += (flat[:, here] * flat[:, target[here]]).sum(axis=(1, 2))
    if isinstance(action, ON):
        return np.stack([products, *flat.sum(axis=1).T])
    powers = [(flat[..., 0] ** k).sum(axis=1) for k in (1, 2, 4)]
    return np.stack([*powers, squares, products])


def action_of_sums(action: Phi4, sums: tuple[Floats, ...]) -> Floats:
    """S of phi^4 from the sums."""
    g, a, b = action.coefficients
    return np.asarray(g * sums[3] + a * sums[1] + b * sums[2] + action.shift, np.float64)


@dataclass(frozen=True)
class ScalarSum:
    """A number for each field of phi^4 that needs one of its sums, divided by V.

    ``phi2`` = (1/V) sum phi^2, ``phi4`` = (1/V) sum phi^4, ``ising_energy`` = (1/2V) sum_<xy> phi_x phi_y: all in the
    convention of the action.
    """

    name: str
    column: int
    factor: float = 1.0
    models: tuple[str, ...] = ("phi4",)

    def __call__(self, action: Phi4, field: Field) -> Floats:
        """Value for each replica."""
        return self.from_sums(action, *field_sums(action, field))

    def from_sums(self, action: Phi4, *sums: Floats) -> Floats:
        """Value from the sums."""
        return self.factor * sums[self.column] / action.lattice.sites


@dataclass(frozen=True)
class Susceptibility:
    """M^2 / V with M = sum phi, or |sum s|^2 / V: its average is the susceptibility where M averages to zero."""

    name: str = "susceptibility"
    models: tuple[str, ...] = ("phi4", "on")

    def __call__(self, action: Phi4 | ON, field: Field) -> Floats:
        """Value for each replica."""
        return self.from_sums(action, *field_sums(action, field))

    def from_sums(self, action: Phi4 | ON, *sums: Floats) -> Floats:
        """Value from the sums."""
        square = sums[0] ** 2 if isinstance(action, Phi4) else np.sum(np.square(sums[1:]), axis=0)
        return np.asarray(square / action.lattice.sites, np.float64)


@dataclass(frozen=True)
class Virial:
    """(1/V) sum phi dS/dphi of phi^4: its average is 1 at every coupling (Schwinger-Dyson equation)."""

    name: str = "virial"
    models: tuple[str, ...] = ("phi4",)

    def __call__(self, action: Phi4, field: Field) -> Floats:
        """Value for each replica."""
        return self.from_sums(action, *field_sums(action, field))

    def from_sums(self, action: Phi4, *sums: Floats) -> Floats:
        """Value from the sums."""
        g, a, b = action.coefficients
        return np.asarray(2 * (g * sums[3] + a * sums[1] + 2 * b * sums[2]) / action.lattice.sites, np.float64)


@dataclass(frozen=True)
class Correlator:
    """Two-point function at zero momentum along the first axis, t = 0 .. T/2.

    C(t) = (1/N) sum_{t'} Phi(t') Phi(t' + t) / V_s with Phi(t) = sum_x phi(t, x), V_s sites in a slice, and N pairs of
    slices t apart (periodic: N = T). For O(n) the product of two vectors is their scalar product.
    """

    name: str = "correlator"
    models: tuple[str, ...] = ("phi4", "on")

    def __call__(self, action: Phi4 | ON, field: Field) -> Floats:
        """Values for each replica, shape (replica, T // 2 + 1)."""
        lattice = action.lattice
        extent = lattice.shape[0]
        slices = field.reshape(len(field), extent, -1, action.components).sum(axis=2)
        out = np.empty((len(field), extent // 2 + 1))
        for t in range(extent // 2 + 1):
            there = np.roll(slices, -t, axis=1)
            product = (slices * there).sum(axis=2)
            pairs = product if lattice.periodic[0] else product[:, : extent - t]
            out[:, t] = pairs.mean(axis=1)
        return out * extent / lattice.sites


@dataclass(frozen=True)
class Helicity:
    """Helicity modulus of the XY model: the average response to a twist, over all axes.

    (1/(d V)) sum_mu [ sum_x cos(theta_x - theta_{x+mu}) - beta (sum_x sin(theta_x - theta_{x+mu}))^2 ]

    References
    ----------
    Teitel, Jayaprakash, Phys. Rev. B 27 (1983) 598, eq. 6.
    """

    name: str = "helicity"
    models: tuple[str, ...] = ("on",)

    def __call__(self, action: ON, field: Field) -> Floats:
        """Value for each replica."""
        if action.n != 2:
            raise InputError(f"the helicity modulus is that of the XY model, but n is {action.n}; expected n = 2")
        lattice = action.lattice
        flat = field.reshape(len(field), lattice.sites, 2)
        total = np.zeros(len(field))
        for target in lattice.forward.T[: lattice.dimension]:
            here = np.flatnonzero(target >= 0)
            one, two = flat[:, here], flat[:, target[here]]
            current = (one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0]).sum(axis=1)
            total += (one * two).sum(axis=(1, 2)) - action.beta * current**2
        return total / (lattice.dimension * lattice.sites)


FIELD_OBSERVABLES: tuple[Any, ...] = (
    ScalarSum("phi", 0),
    ScalarSum("phi2", 1),
    ScalarSum("phi4", 2),
    ScalarSum("ising_energy", 4, 0.5),
    Susceptibility(),
    Virial(),
    Correlator(),
    Helicity(),
)


def binder_cumulant(second: float, fourth: float) -> float:
    """U = 1 - <m^4> / (3 <m^2>^2) from the averages of ``magnetization2`` and ``magnetization4``.

    Examples
    --------
    >>> binder_cumulant(1.0, 3.0)
    0.0
    """
    return 1 - fourth / (3 * second**2)


def second_moment_length(zero: float, smallest: float, extent: int) -> float:
    r"""Second-moment correlation length from <|m(0)|^2> and <|m(k)|^2> at the smallest momentum k = 2 pi / L.

    .. math:: \xi = \frac{1}{2 \sin(\pi / L)} \sqrt{\frac{\langle |m(0)|^2\rangle}{\langle |m(k)|^2\rangle} - 1}

    Parameters
    ----------
    zero, smallest : averages of ``magnetization2`` and ``kmin2``
    extent : L

    Returns
    -------
    The length in lattice units; NaN where the ratio is below 1.

    Examples
    --------
    A free field has <|m(k)|^2> proportional to 1 / (4 sin(k/2)^2 + m^2), and then the length is 1 / m:

    >>> k2 = 4 * math.sin(math.pi / 8) ** 2
    >>> round(second_moment_length(1 / 0.25, 1 / (k2 + 0.25), 8), 12)
    2.0
    """
    ratio = zero / smallest - 1
    return math.sqrt(ratio) / (2 * math.sin(math.pi / extent)) if ratio >= 0 else math.nan


def effective_masses(correlator: ArrayLike) -> Floats:
    r"""Masses of a two-point function that is a cosh around its middle.

    .. math:: m(t) = \operatorname{arcosh}\frac{C(t-1) + C(t+1)}{2 C(t)}, \qquad 0 < t < T/2

    Parameters
    ----------
    correlator : C(0) .. C(T/2), shape (T/2 + 1,)

    Returns
    -------
    m(1) .. m(T/2 - 1); NaN where noise leaves no real value.

    Examples
    --------
    >>> effective_masses(np.cosh(0.3 * (np.arange(6) - 5))).round(12)
    array([0.3, 0.3, 0.3, 0.3])
    """
    c = np.asarray(correlator, np.float64)
    if c.ndim != 1 or len(c) < 3:
        raise InputError(f"the correlator has shape {c.shape}; expected C(0) .. C(T/2) with at least three values")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.arccosh((c[:-2] + c[2:]) / (2 * c[1:-1])), np.float64)


def pole_mass(correlator: ArrayLike) -> float:
    """Average of the effective masses: the inverse of the exponential correlation length.

    Examples
    --------
    >>> round(pole_mass(np.cosh(0.3 * (np.arange(6) - 5))), 12)
    0.3
    """
    return float(np.mean(effective_masses(correlator)))


def exponential_length(correlator: ArrayLike) -> float:
    """Exponential correlation length, 1 / pole mass.

    Examples
    --------
    >>> round(exponential_length(np.cosh(0.25 * (np.arange(6) - 5))), 12)
    4.0
    """
    return 1 / pole_mass(correlator)
