"""ln Z of continuous fields by annealed importance sampling and by thermodynamic integration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.couplings import whole
from pyqmc_art.lattice.field_exact import colour_noise, free_field
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.kernels.field import start_field
from pyqmc_art.lattice.observables import find
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream
from pyqmc_art.stats.autocorrelation import gamma_method

Floats = NDArray[np.float64]

MOST: Final = 10**7
_LEAST_MASS: Final = 0.1


@dataclass(frozen=True)
class FreeEnergy:
    """ln Z with its standard error.

    Attributes
    ----------
    value, error : ln Z, and one standard deviation
    effective : effective number of annealed paths (of ``count``), or of measurements
    count : how many there were
    quadrature : part of ``error`` that comes from the nodes of an integral, 0 for annealing
    """

    value: float
    error: float
    effective: float
    count: int
    quadrature: float = 0.0


def reference_mass(action: Phi4) -> float:
    """m2 of the free field a path starts from: about as wide at each site as the target is."""
    g, _, _ = action.coefficients
    return max(_LEAST_MASS, 0.5 / (g * action.width**2) - action.lattice.coordination)


def along(action: Phi4 | ON, t: float) -> Any:
    """The target at t = 1, a free field or beta = 0 at t = 0; S is linear in t between them."""
    if isinstance(action, ON):
        return replace(action, beta=t * action.beta)
    return replace(action, m2=(1 - t) * reference_mass(action) + t * action.m2, lam=t * action.lam)


def reference_log_partition(action: Phi4 | ON) -> float:
    """Exact ln Z at t = 0. O(n): the spheres have their area as measure."""
    if isinstance(action, ON):
        area = math.log(2) + 0.5 * action.n * math.log(math.pi) - math.lgamma(0.5 * action.n)
        return action.lattice.sites * area
    return free_field(along(action, 0.0)).log_partition


def _draw_reference(action: Phi4 | ON, stream: Stream, n: int) -> Field:
    """Independent exact fields at t = 0, shape (n, *lattice.shape, ...)."""
    shape = (n, *action.lattice.shape, *action.space.shape)
    if isinstance(action, ON):
        return np.stack([start_field(action, stream.shifted(r), "hot") for r in range(n)]).reshape(shape)
    white = np.stack([start_field(action, stream.shifted(r), "hot") for r in range(n)]).reshape(shape) / action.width
    return colour_noise(along(action, 0.0), white)


def _prepared(action: Any) -> tuple[Any, float]:
    """The action in convention A with the shift of its ln Z, or what keeps it from having a path."""
    if isinstance(action, ON):
        return action, 0.0
    if not isinstance(action, Phi4):
        raise InputError(f"ln Z by these methods is defined for phi4 and on actions, not for {action!r}")
    lattice = action.lattice
    if not all(lattice.periodic) or lattice.kind not in ("square", "hypercubic"):
        raise InputError(
            f"the path starts from a free field drawn by its momenta; the lattice is {lattice.kind} "
            f"{lattice.boundary}, expected a periodic hypercubic one"
        )
    return action.to("A"), action.log_partition_shift


def annealed_log_partition(
    action: Phi4 | ON,
    kernel: str = "hmc",
    options: Mapping[str, Any] | None = None,
    *,
    steps: int = 100,
    replicas: int = 500,
    seed: int = 0,
    threads: int | None = None,
) -> FreeEnergy:
    r"""ln Z by annealed importance sampling: ln Z_1 - ln Z_0 = ln < exp(-W) > over paths from reference to target.

    Each replica starts from an exact draw at t = 0. At each of ``steps`` moves of t it pays W += S' - S and then does
    one step of the kernel at the new t. The average of exp(-W) is exact however fast t moves (Jarzynski 1997); how much
    it scatters says how many paths count.

    Parameters
    ----------
    action : the target
    kernel, options : as :func:`pyqmc_art.lattice.kernels.compose.build` takes them
    steps : moves of t
    replicas : independent paths
    seed : of all random numbers

    Returns
    -------
    ln Z in the convention of the action, with its error

    References
    ----------
    Neal, Stat. Comput. 11 (2001) 125. Jarzynski, Phys. Rev. Lett. 78 (1997) 2690.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> found = annealed_log_partition(Phi4(Lattice((2, 2)), m2=-4, lam=8), steps=40, replicas=400)
    >>> bool(abs(found.value - 0.914433978) < 5 * found.error)
    True
    """
    target, shift = _prepared(action)
    steps, replicas = whole("steps", steps, 1, MOST), whole("replicas", replicas, 2, MOST)
    stream = Stream.from_seed(seed).fold("anneal")
    field = _draw_reference(target, stream.fold("reference"), replicas)
    work = np.zeros(replicas)
    now = along(target, 0.0)
    for k in range(1, steps + 1):
        then = along(target, k / steps)
        work += then(field) - now(field)
        now = then
        if k < steps:
            mover: Any = build(kernel, now, options, threads=threads)
            state = mover.init(field)
            state, _ = mover.step(stream.fold("path", k), state)
            field = state.field
    least = float(work.min())
    weights = np.exp(least - work)
    mean = float(weights.mean())
    # The error of ln <w> to first order.
    error = float(weights.std(ddof=1) / (math.sqrt(replicas) * mean))
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    value = reference_log_partition(target) + math.log(mean) - least + shift
    return FreeEnergy(value, error, effective, replicas)


def integrated_log_partition(
    action: Phi4 | ON,
    kernel: str = "hmc",
    options: Mapping[str, Any] | None = None,
    *,
    nodes: int = 10,
    steps: int = 2000,
    replicas: int = 16,
    seed: int = 0,
    threads: int | None = None,
) -> FreeEnergy:
    r"""ln Z by thermodynamic integration: ln Z_1 - ln Z_0 = - int_0^1 < dS/dt >_t dt by Gauss's rule.

    Parameters
    ----------
    action : the target
    kernel, options : as :func:`pyqmc_art.lattice.kernels.compose.build` takes them
    nodes : values of t, each with a run of its own; at least 4
    steps, replicas : measured steps of each run, behind steps / 4 of warm-up, and its chains
    seed : of all random numbers

    Returns
    -------
    ln Z in the convention of the action; its error joins those of the runs (Gamma method) and, as ``quadrature``, the
    difference to what polynomials of a degree lower by two make of the same runs

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> found = integrated_log_partition(Phi4(Lattice((2, 2)), m2=-4, lam=8), steps=400)
    >>> bool(abs(found.value - 0.914433978) < 5 * found.error)
    True
    """
    target, shift = _prepared(action)
    nodes = whole("nodes", nodes, 4, 1000)
    stream = Stream.from_seed(seed).fold("integrate")
    slope = _slope(target)
    x, w = np.polynomial.legendre.leggauss(nodes)
    means, errors, effective = np.zeros(nodes), np.zeros(nodes), 0.0
    for k, t in enumerate(0.5 * (x + 1)):
        here: Any = build(kernel, along(target, float(t)), options, threads=threads)
        own = stream.fold("node", k)
        state = here.init(here.start(own.fold("start"), replicas))
        warm = here.warming() if hasattr(here, "warming") else here
        state, _, _ = warm.advance(own, state, max(1, steps // 4))
        names = ("energy",) if isinstance(target, ON) else ("phi2", "phi4")
        state, series, _ = here.advance(own, state, steps, 1, find(names))
        estimate = gamma_method(slope(series))
        means[k], errors[k], effective = estimate.value, estimate.error, effective + (estimate.ess or 0.0)
    lower = np.polynomial.legendre.legfit(x, means, nodes - 3)
    quadrature = abs(0.5 * float(w @ means) - float(lower[0]))
    statistical = 0.5 * math.sqrt(float(w**2 @ errors**2))
    value = reference_log_partition(target) - 0.5 * float(w @ means) + shift
    return FreeEnergy(value, math.hypot(statistical, quadrature), effective, nodes * steps * replicas, quadrature)


def _slope(action: Phi4 | ON) -> Callable[[Mapping[str, Floats]], Floats]:
    """dS/dt along the path, from the measured series."""
    sites = action.lattice.sites
    if isinstance(action, ON):
        return lambda series: action.beta * sites * series["energy"]
    difference = action.m2 - reference_mass(action)
    return lambda series: sites * (difference * series["phi2"] + action.lam * series["phi4"])


__all__ = [
    "FreeEnergy",
    "along",
    "annealed_log_partition",
    "integrated_log_partition",
    "reference_log_partition",
    "reference_mass",
]
