"""Exact values of continuous fields: free fields on any torus, short chains and strips by a transfer operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON

Floats = NDArray[np.float64]

MAX_STATES: Final = 6000
_TAIL: Final = 32.0  # the quadrature reaches to where the weight of a site has fallen by exp(-32)


@dataclass(frozen=True)
class FieldValues:
    """Exact numbers of one action: ln Z and averages per site."""

    log_partition: float
    phi2: float
    phi4: float
    action: float


def eigenvalues(action: Phi4) -> Floats:
    """Eigenvalues of half the quadratic form of S in convention A: phat^2 + m2, shape ``lattice.shape``.

    phat^2 = sum_mu 4 sin^2(p_mu / 2) with p = 2 pi k / L (periodic) or pi k / L (open).

    Raises
    ------
    InputError
        For a lattice that is not hypercubic.
    """
    lattice = action.lattice
    if lattice.kind not in ("square", "hypercubic"):
        raise InputError(f"free fields are known in closed form on hypercubic lattices, not on a {lattice.kind} one")
    total = np.full(lattice.shape, action.m2)
    for axis, (extent, wraps) in enumerate(zip(lattice.shape, lattice.periodic, strict=True)):
        momentum = np.arange(extent) * math.pi / extent * (2 if wraps else 1)
        along = 4 * np.sin(momentum / 2) ** 2
        total += along.reshape([-1 if mu == axis else 1 for mu in range(lattice.dimension)])
    return total


def free_field(action: Phi4) -> FieldValues:
    """Exact values at lam = 0, in the convention of the action.

    ln Z = (V/2) ln 2 pi - (1/2) sum_p ln 2 (phat^2 + m2), <phi^2> = (1/V) sum_p 1 / (2 (phat^2 + m2)), <S> = V/2.

    Raises
    ------
    InputError
        For lam > 0, or a lattice that is not hypercubic.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> exact = free_field(Phi4(Lattice((8, 8)), m2=1, lam=0))
    >>> round(exact.log_partition, 8), round(exact.phi2, 8), exact.action
    (-11.62288526, 0.127087, 0.5)
    """
    _require_free(action)
    double = 2 * eigenvalues(action)
    sites = action.lattice.sites
    log_partition = 0.5 * sites * math.log(2 * math.pi) - 0.5 * float(np.log(double).sum())
    square = action.normalization**2
    phi2 = float((1 / double).mean()) * square
    phi4 = math.nan
    if all(action.lattice.periodic):
        phi4 = 3 * phi2**2  # the same Gaussian at every site
    return FieldValues(log_partition + action.log_partition_shift, phi2, phi4, 0.5 + action.shift / sites)


def colour_noise(action: Phi4, noise: Floats) -> Floats:
    """Turn standard normal noise into independent free fields of convention A: modes over sqrt(2 (phat^2 + m2)).

    Parameters
    ----------
    noise : shape (n, *lattice.shape)

    Raises
    ------
    InputError
        For a lattice that is not periodic and hypercubic.
    """
    if not all(action.lattice.periodic):
        raise InputError(
            f"the boundary is {action.lattice.boundary}; free fields are drawn by their momenta on a periodic lattice"
        )
    axes = tuple(range(1, noise.ndim))
    half = noise.shape[-1] // 2 + 1
    modes = np.fft.rfftn(noise, axes=axes) / np.sqrt(2 * eigenvalues(action))[..., :half]
    return np.ascontiguousarray(np.fft.irfftn(modes, s=noise.shape[1:], axes=axes))


def free_correlator(action: Phi4) -> Floats:
    """Two-point function at zero momentum of a free field along a periodic first axis, t = 0 .. T/2.

    C(t) = (1/T) sum_p cos(p t) / (2 (4 sin^2(p/2) + m2)).
    """
    _require_free(action)
    extent = action.lattice.shape[0]
    if not all(action.lattice.periodic):
        raise InputError(f"the boundary is {action.lattice.boundary}; the correlator is known on a periodic lattice")
    momentum = 2 * math.pi * np.arange(extent) / extent
    weight = 1 / (2 * (4 * np.sin(momentum / 2) ** 2 + action.m2))
    times = np.arange(extent // 2 + 1)
    return np.asarray((np.cos(np.outer(times, momentum)) @ weight) / extent * action.normalization**2)


def _require_free(action: Phi4) -> None:
    if action.lam != 0:
        raise InputError(f"lam is {action.lam}; a free field has lam = 0")


def transfer_operator(action: Phi4, points: int = 40) -> FieldValues:
    """Exact values of a chain, or of a strip one or two sites wide, by quadrature.

    A slice of W sites takes the values of a grid of ``points`` per site.
    T(u, v) = exp(-(U(u) + U(v))/2 - sum_x g (u_x - v_x)^2), U being what belongs to one slice; Z = tr T^L (periodic) or
    its sum with free ends. The trapezoidal rule converges faster than any power for such smooth weights.

    Raises
    ------
    InputError
        For a slice of more than two sites, or a lattice that is not hypercubic.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> exact = transfer_operator(Phi4(Lattice((2, 2)), m2=-4, lam=8))
    >>> round(exact.log_partition, 9), round(exact.phi2, 7)
    (0.914433978, 0.1714344)
    """
    lattice = action.lattice
    width = lattice.sites // lattice.shape[0]
    if lattice.kind not in ("square", "hypercubic") or width > 2:
        raise InputError(
            f"shape {lattice.shape} ({lattice.kind}) has slices of {width} sites; the transfer operator takes "
            "chains and strips of up to two sites (the first axis is the long one)"
        )
    g, a, b = action.coefficients
    if points**width > MAX_STATES:
        raise InputError(f"{points} points for each of {width} sites are too many; at most {MAX_STATES} states")
    grid, step = _grid(action, points)
    states = np.stack(np.meshgrid(*[grid] * width, indexing="ij"), axis=-1).reshape(-1, width)
    squares = states**2
    inside = a * squares + b * squares**2
    inner = inside.sum(axis=1)
    if width == 2:
        bonds = sum(2 if n == 2 and wraps else 1 for n, wraps in _inner_axes(action))
        inner = inner + g * bonds * (states[:, 0] - states[:, 1]) ** 2
    between = ((states[:, None, :] - states[None, :, :]) ** 2).sum(axis=2)
    matrix = np.exp(-0.5 * (inner[:, None] + inner[None, :]) - g * between) * step**width
    phi2, phi4 = squares.mean(axis=1), (squares**2).mean(axis=1)
    if lattice.periodic[0]:
        scale = float(np.linalg.norm(matrix))
        around = np.diagonal(np.linalg.matrix_power(matrix / scale, lattice.shape[0]))
        log_partition = math.log(around.sum()) + lattice.shape[0] * math.log(scale)
        two, four = float(around @ phi2 / around.sum()), float(around @ phi4 / around.sum())
    else:
        log_partition, two, four = _open_chain(matrix, inner, step**width, lattice.shape[0], phi2, phi4)
    # <sum phi dS/dphi> = V fixes S once phi^4 is known: 2 S_2 + 4 S_4 = V.
    energy = 0.5 * (1 - 2 * b * four) + action.shift / lattice.sites
    return FieldValues(log_partition - action.shift, two, four, energy)


def _inner_axes(action: Phi4) -> list[tuple[int, bool]]:
    lattice = action.lattice
    return [(n, w) for n, w in zip(lattice.shape[1:], lattice.periodic[1:], strict=True) if n > 1]


def _grid(action: Phi4, points: int) -> tuple[Floats, float]:
    """A uniform grid that reaches to where a constant field has the weight exp(-_TAIL)."""
    _, a, b = action.coefficients
    # a r^2 + b r^4 = tail, in the form without cancellation.
    root = math.sqrt(a * a + 4 * b * _TAIL)
    reach = math.sqrt(2 * _TAIL / (a + root) if a > 0 else (root - a) / (2 * b))
    grid = np.linspace(-reach, reach, points)
    return grid, float(grid[1] - grid[0])


def _open_chain(
    matrix: Floats, inner: Floats, measure: float, length: int, phi2: Floats, phi4: Floats
) -> tuple[float, float, float]:
    ends = np.exp(-0.5 * inner) * math.sqrt(measure)
    left, scale = [ends], 0.0
    for _ in range(length - 1):
        vector = matrix @ left[-1]
        norm = float(np.linalg.norm(vector))
        scale += math.log(norm)
        left.append(vector / norm)
    two, four = 0.0, 0.0
    for position in range(length):
        density = left[position] * left[length - 1 - position]
        two += float(density @ phi2 / density.sum()) / length
        four += float(density @ phi4 / density.sum()) / length
    return math.log(float(left[-1] @ ends)) + scale, two, four


def chain_energy(action: ON) -> float:
    r"""Exact energy per site of an O(n) chain with open ends.

    The bonds are independent: <s . s'> = I_{n/2}(beta) / I_{n/2-1}(beta).

    References
    ----------
    Stanley, Phys. Rev. 179 (1969) 570.
    """
    if action.lattice.dimension != 1 or action.lattice.periodic[0]:
        raise InputError(f"the lattice is {action.lattice.shape} {action.lattice.boundary}; expected an open chain")
    if action.beta == 0:
        return 0.0
    from scipy.special import ive  # slow to load, and sampling does without

    bond = float(ive(action.n / 2, action.beta) / ive(action.n / 2 - 1, action.beta))
    return -bond * (action.lattice.sites - 1) / action.lattice.sites


def ring_energy(action: ON, terms: int = 200) -> float:
    r"""Exact energy per site of a periodic O(n) chain, for n = 2 (XY) and n = 3 (Heisenberg).

    Z = sum_l d_l lambda_l^L with lambda_l = I_l(beta) and d = 1, 2, 2, ... (n = 2), or the modified spherical Bessel
    functions i_l(beta) and d = 2 l + 1 (n = 3).
    """
    lattice = action.lattice
    if lattice.dimension != 1 or not lattice.periodic[0] or action.n not in (2, 3):
        raise InputError(f"n = {action.n} on {lattice.shape} {lattice.boundary}; expected a ring with n = 2 or 3")
    from scipy.special import ive  # slow to load, and sampling does without

    order = np.arange(terms) + (0.0 if action.n == 2 else 0.5)
    degeneracy = np.where(order == 0, 1.0, 2.0) if action.n == 2 else 2 * np.arange(terms) + 1.0
    first = ive(order, action.beta)
    # I_l' = I_{l+1} + (l / beta) I_l; for n = 3 the factor beta^(-1/2) changes l + 1/2 into l.
    level = np.arange(terms)
    slope = ive(order + 1, action.beta) + level / action.beta * first
    ratio = first / first[0]
    weight = degeneracy * ratio**lattice.sites
    inside = degeneracy * ratio ** (lattice.sites - 1) * slope / first[0]
    return -float(inside.sum() / weight.sum())


__all__ = [
    "FieldValues",
    "chain_energy",
    "eigenvalues",
    "free_correlator",
    "free_field",
    "ring_energy",
    "transfer_operator",
]
