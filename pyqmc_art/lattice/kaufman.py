r"""Kaufman's closed form: the Ising model without a field on a periodic L x M square lattice, any size and temperature.

With :math:`K = |\beta J|`, :math:`\cosh\gamma_k = \cosh^2 2K/\sinh 2K - \cos k` and ``k = 2 pi n/L`` (even sector) or
``2 pi (n + 1/2)/L`` (odd sector),

.. math::
    Z = \tfrac12 (2\sinh 2K)^{LM/2}
        \Big[ \prod_{odd} 2\cosh\tfrac{M\gamma_k}{2} + \prod_{odd} 2\sinh\tfrac{M\gamma_k}{2}
        + \prod_{even} 2\cosh\tfrac{M\gamma_k}{2} + \prod_{even} 2\sinh\tfrac{M\gamma_k}{2} \Big],

where :math:`\gamma_0 = 2K + \ln\tanh K` carries its sign. Each product is, up to a sign, the Pfaffian of fermions that
are periodic or antiperiodic around each axis. A negative J shifts all momenta by pi, which exchanges the sectors of
every axis of odd extent and moves the signs: that, too, is exact.

Everything is computed with w = min(sinh 2K, 1/sinh 2K) <= 1, which never overflows: gamma_k = g_k - ln w with g_k a
smooth function of w, so that neither beta -> 0 nor beta -> infinity cancels large numbers. Primes are d/dK.

References
----------
B. Kaufman, Phys. Rev. 76, 1232 (1949), eqs. (58) and (59).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.thermodynamics import Thermodynamics

_NEGLIGIBLE: Final = 1e-100
_CANCELLATION: Final = 1e-4
"""Smallest share of Z that the four terms may leave after cancelling."""


class _Jet(NamedTuple):
    """A function of K with its first two derivatives."""

    value: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]


def kaufman(action: Ising) -> Thermodynamics:
    """Ln Z, energy and specific heat of the Ising model on a periodic square lattice without a field.

    Parameters
    ----------
    action : Ising on a square lattice, periodic in both axes, h = 0; beta and the sign of J are free

    Returns
    -------
    Thermodynamics

    Raises
    ------
    InputError
        If the action is another one, or for a frustrated torus (J < 0, an odd extent) so cold or so large that
        the four terms of Z cancel.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> round(kaufman(Ising(Lattice((32, 32)), beta=0.4406868)).energy, 8)
    -1.43365853
    """
    lattice = action.lattice
    if lattice.kind != "square" or not all(lattice.periodic):
        axes = ", ".join(lattice.boundary)
        raise InputError(f"Kaufman's formula is for a periodic square lattice, not for {lattice.kind} ({axes})")
    if action.h != 0 and action.beta != 0:
        raise InputError(f"Kaufman's formula is for h = 0, not for h = {action.h}")
    sites = lattice.sites
    K = abs(action.beta * action.J)
    if K < _NEGLIGIBLE:
        return Thermodynamics(sites * math.log(2), 0.0, 0.0, "kaufman")
    length, width = lattice.shape
    log_z, first, second = _log_partition(K, length, width, antiferromagnetic=action.J < 0)
    return Thermodynamics(log_z, -abs(action.J) * first / sites, K**2 * second / sites, "kaufman")


def _log_partition(K: float, length: int, width: int, antiferromagnetic: bool) -> tuple[float, float, float]:
    """Ln Z and its derivatives by K."""
    base, terms = _terms(K, length, width)
    reference = terms[1, 1][0]
    total = np.zeros(3)
    largest = 0.0
    for (a, b), (log, factor) in terms.items():
        sign = 1
        if antiferromagnetic:
            # -P_00 + P_01 + P_10 + P_11 with P_ab(-K) = +-P_a'b'(K); the sign of P_00 beyond K_c is in gamma_0.
            a_source, b_source = a ^ (length % 2), b ^ (width % 2)
            sign = (-1 if (a, b) == (0, 0) else 1) * (-1 if (a_source, b_source) == (0, 0) else 1)
        ratio = _exponential(_Jet(*(x - y for x, y in zip(log, reference, strict=True))))
        term = _product(ratio, factor)
        total += sign * np.array(term)
        largest += abs(float(term.value))
    if total[0] < _CANCELLATION * largest:
        raise InputError(
            f"the antiferromagnet on the shape {(length, width)} is frustrated by an odd extent, and at beta |J| = {K} "
            "the terms of Kaufman's formula cancel; use even extents or a smaller beta"
        )
    mean = total[1] / total[0]
    return (
        float(base.value + reference.value + math.log(total[0])),
        float(base.first + reference.first + mean),
        float(base.second + reference.second + total[2] / total[0] - mean**2),
    )


def _terms(K: float, length: int, width: int) -> tuple[_Jet, dict[tuple[int, int], tuple[_Jet, _Jet]]]:
    """Logarithm of the common factor of Z, and for (odd sector?, cosh?) the rest as a logarithm and a factor."""
    sites = length * width
    log_w, w = _duality(K)
    hot = bool(log_w.first > 0)
    # (2 sinh 2K)^(V/2) / 2 and the (V/2) (-ln w) of all gammas: for w = sinh 2K they cancel.
    share = 0.0 if hot else -float(sites)
    base = _Jet(
        np.asarray((sites / 2 - 1) * math.log(2) + share * log_w.value),
        np.asarray(share * log_w.first),
        np.asarray(share * log_w.second),
    )
    one = _Jet(np.ones(()), np.zeros(()), np.zeros(()))
    terms: dict[tuple[int, int], tuple[_Jet, _Jet]] = {}
    for odd in (1, 0):
        momenta = 2 * np.pi * (np.arange(length) + odd / 2) / length
        g = _smooth_part(K, w, momenta, hot)
        z = _Jet(*(width * (x - y) for x, y in zip(g, log_w, strict=True)))  # M gamma
        half = [width / 2 * x for x in g]
        for cosh in (1, 0):
            tail, factor = _log_one_plus(z, 1 if cosh else -1), one
            if not (odd or cosh):
                # 2 sinh(M gamma_0/2) changes sign at K_c, where its logarithm does not exist: keep it as a factor.
                tail, factor = _Jet(*(x[1:] for x in tail)), _signed_factor(z, -1.0 if hot else 1.0)
            parts = (x.sum() + y.sum() for x, y in zip(half, tail, strict=True))
            terms[odd, cosh] = (_Jet(*parts), factor)
    return base, terms


def _duality(K: float) -> tuple[_Jet, _Jet]:
    """Ln w and w for w = sinh 2K up to the self-dual point and 1/sinh 2K beyond."""
    if math.exp(-4 * K) + 2 * math.exp(-2 * K) > 1:  # sinh 2K < 1
        value = math.sinh(2 * K)
        root = math.hypot(1.0, value)
        log = _Jet(np.asarray(math.log(value)), np.asarray(2 * root / value), np.asarray(-4 / value / value))
        return log, _Jet(np.asarray(value), np.asarray(2 * root), np.asarray(4 * value))
    logarithm = math.log(2) - 2 * K - math.log1p(-math.exp(-4 * K))
    value = math.exp(logarithm)
    root = math.hypot(1.0, value)
    log = _Jet(np.asarray(logarithm), np.asarray(-2 * root), np.asarray(4 * value**2))
    return log, _Jet(np.asarray(value), np.asarray(-2 * value * root), np.asarray(4 * value + 8 * value**3))


def _smooth_part(K: float, w: _Jet, momenta: NDArray[np.float64], hot: bool) -> _Jet:
    """g_k = |gamma_k| + ln w = ln(X + sqrt(X^2 - w^2)) with X = 1 + w^2 - w cos k."""
    v = float(w.value)
    cos = np.cos(momenta)
    X = 1 + v**2 - v * cos
    X_w = 2 * v - cos
    with np.errstate(divide="ignore", invalid="ignore"):  # k = 0 at w = 1 is replaced below
        R = np.sqrt(((1 - v) ** 2 + 2 * v * np.sin(momenta / 2) ** 2) * (X + v))
        R_w = (X * X_w - v) / R
        R_ww = (X_w**2 + 2 * X - 1 - R_w**2) / R
    g_w = (X_w + R_w) / (X + R)
    g_ww = (2 + R_ww) / (X + R) - g_w**2
    g = _Jet(np.log(X + R), g_w * w.first, g_ww * w.first**2 + g_w * w.second)
    if momenta[0] == 0:  # gamma_0 = 2K + ln tanh K
        sign = 1.0 if hot else -1.0
        g.value[0] = sign * (2 * math.log1p(math.exp(-2 * K)) - math.log(2))
        g.first[0] = sign * -4 * math.exp(-2 * K) / (1 + math.exp(-2 * K))
        g.second[0] = sign * 8 * math.exp(-2 * K) / (1 + math.exp(-2 * K)) ** 2
    return g


def _log_one_plus(z: _Jet, sign: int) -> _Jet:
    """ln(1 + sign e^-z), element by element."""
    e = sign * np.exp(-z.value)
    with np.errstate(divide="ignore", invalid="ignore"):  # gamma_0 = 0 in the sinh product is not used
        slope = -e / (1 + e)
        return _Jet(np.log1p(e), slope * z.first, slope * z.second + e / (1 + e) ** 2 * z.first**2)


def _signed_factor(z: _Jet, sign: float) -> _Jet:
    """sign (1 - e^-z) of the first momentum."""
    e = math.exp(-z.value[0])
    value, first, second = 1 - e, e * z.first[0], e * (z.second[0] - z.first[0] ** 2)
    return _Jet(np.asarray(sign * value), np.asarray(sign * first), np.asarray(sign * second))


def _exponential(log: _Jet) -> _Jet:
    """e^log."""
    e = np.exp(log.value)
    return _Jet(e, e * log.first, e * (log.second + log.first**2))


def _product(f: _Jet, g: _Jet) -> _Jet:
    """f times g."""
    return _Jet(
        f.value * g.value,
        f.first * g.value + f.value * g.first,
        f.second * g.value + 2 * f.first * g.first + f.value * g.second,
    )
