"""The infinite lattice: Onsager's energy, Yang's magnetization and the exact critical points."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import ellipkm1

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice.couplings import finite

ISING_CRITICAL_BETA: Final = math.log(1 + math.sqrt(2)) / 2
"""Critical beta of the Ising model on the square lattice (J = 1, h = 0)."""


def onsager_energy(beta: float, J: float = 1.0) -> float:
    r"""Energy per site of the Ising model on the infinite square lattice without a field.

    .. math::
        E/V = -J \coth(2K) [1 + \tfrac{2}{\pi} (2\tanh^2 2K - 1) K_1(\kappa)], \quad
        \kappa = 2 \sinh 2K/\cosh^2 2K, \quad K = \beta J

    Parameters
    ----------
    beta : inverse temperature, not negative
    J : exchange coupling of any sign

    Raises
    ------
    InputError
        For a negative beta or a coupling that is not finite.

    References
    ----------
    L. Onsager, Phys. Rev. 65, 117 (1944), eq. (116).

    Examples
    --------
    >>> round(onsager_energy(ISING_CRITICAL_BETA), 8)
    -1.41421356
    """
    K = abs(_checked_beta(beta) * finite("J", J))
    if K < 0.01:  # the bracket cancels: high-temperature series instead, up to tanh(K)^9
        t = math.tanh(K)
        return -abs(J) * (2 * t + 4 * t**3 + 8 * t**5 + 24 * t**7)
    tanh = math.tanh(2 * K)
    gap = 2 * tanh**2 - 1  # 1 - kappa^2 = gap^2
    singular = 0.0 if abs(gap) < 1e-150 else 2 / math.pi * gap * float(ellipkm1(gap**2))
    return -abs(J) / tanh * (1 + singular)


def spontaneous_magnetization(beta: float, J: float = 1.0) -> float:
    """Spontaneous magnetization (1 - sinh(2 beta J)^-4)^(1/8) of the infinite square lattice; 0 above T_c.

    Where J is not positive it is 0, too.

    References
    ----------
    C. N. Yang, Phys. Rev. 85, 808 (1952), eq. (96).

    Examples
    --------
    >>> round(spontaneous_magnetization(0.5), 6), spontaneous_magnetization(0.4)
    (0.911319, 0.0)
    """
    K = _checked_beta(beta) * finite("J", J)
    if K <= ISING_CRITICAL_BETA:
        return 0.0
    inverse = 2 * math.exp(-2 * K) / -math.expm1(-4 * K)  # 1/sinh 2K
    return float((1 - inverse**4) ** 0.125)


def ising_critical_beta(kind: str = "square") -> float:
    """Exact critical beta of the ferromagnetic Ising model (J = 1): square, triangular or honeycomb lattice.

    References
    ----------
    R. M. F. Houtappel, Physica 16, 425 (1950).

    Examples
    --------
    >>> [round(ising_critical_beta(kind), 8) for kind in ("square", "triangular", "honeycomb")]
    [0.44068679, 0.27465307, 0.65847895]
    """
    return potts_critical_beta(2, kind) / 2  # s s' = 2 delta - 1


def potts_critical_beta(q: int, kind: str = "square") -> float:
    """Exact transition beta of the ferromagnetic q-state Potts model (J = 1) on a planar lattice.

    With v = e^beta - 1: v^2 = q (square), v^3 + 3 v^2 = q (triangular), v^3 = 3 q v + q^2 (honeycomb).

    Raises
    ------
    InputError
        For q below 2 or a lattice whose transition is not known exactly.

    References
    ----------
    F. Y. Wu, Rev. Mod. Phys. 54, 235 (1982), eqs. (4.31) to (4.33).

    Examples
    --------
    >>> round(potts_critical_beta(3), 8)
    1.00505254
    """
    if finite("q", q) < 2:
        raise InputError(f"q is {q!r}; expected a number of at least 2")
    polynomials = {
        "square": (1.0, 0.0, -q),
        "triangular": (1.0, 3.0, 0.0, -q),
        "honeycomb": (1.0, 0.0, -3.0 * q, -(float(q) ** 2)),
    }
    if kind not in polynomials:
        raise unknown("lattice with an exact critical point", kind, polynomials)
    if kind == "square":
        return math.log1p(math.sqrt(q))
    roots = np.roots(polynomials[kind])
    return math.log1p(float(roots.real.max()))


def _checked_beta(beta: float) -> float:
    number = finite("beta", beta)
    if number < 0:
        raise InputError(f"beta is {beta}; expected beta >= 0 (for an antiferromagnet give J = -1)")
    return number
