"""Exact starts and judgements of continuous fields; ``FIELD_CASES`` is their part of the catalogue.

A continuous target has no configurations to count. Replicas that start in exact equilibrium and are moved by an exact
kernel are compared with other exact draws, by two-sample tests of several functions of the field: both samples are
independent draws, so that the p-value needs no burn-in, no autocorrelation time and no tolerance.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.field_exact import chain_energy, free_field, ring_energy, transfer_operator
from pyqmc_art.lattice.field_observables import field_sums
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.verdict import bonferroni

Floats = NDArray[np.float64]

_SMALLEST_SHARE: Final = 1e-4  # of proposals that are accepted as exact starts


def draw_fields(action: Phi4 | ON, n: int, stream: Stream) -> Floats:
    """Draw independent fields from exp(-S)/Z, shape ``(n, *lattice.shape, ...)``.

    Free fields: normal numbers of the covariance of S. phi^4: sites independently from exp(-a phi^2 - b phi^4),
    accepted with exp(-sum g (phi_x - phi_y)^2). O(n): uniform vectors, accepted with exp(-beta sum (1 - s_x . s_y)).

    Raises
    ------
    InputError
        If the lattice is too large for that.

    Examples
    --------
    >>> draw_fields(Phi4(Lattice((2, 2)), -4, 8), 10, Stream.from_seed(1)).shape
    (10, 2, 2)
    """
    random = np.random.default_rng(stream.fold("exact fields").key)
    sites = action.lattice.sites
    shape = (*action.lattice.shape, *action.space.shape)
    if isinstance(action, Phi4) and action.lam == 0:
        quadratic = -action.force(np.eye(sites).reshape(sites, *shape)).reshape(sites, sites)
        root = np.linalg.cholesky(np.linalg.inv(quadratic))
        return np.ascontiguousarray((random.normal(size=(n, sites)) @ root.T).reshape(n, *shape))
    kept: list[Floats] = []
    count, tried = 0, 0
    while count < n:
        proposal = _independent_sites(action, random, 100_000).reshape(-1, *shape)
        sums = field_sums(action, proposal)
        cost = action.coefficients[0] * sums[3] if isinstance(action, Phi4) else action.beta * (
            action.lattice.bonds - sums[0]
        )  # fmt: skip
        kept.append(proposal[random.uniform(size=len(cost)) < np.exp(-cost)])
        count, tried = count + len(kept[-1]), tried + len(cost)
        if count < _SMALLEST_SHARE * tried:
            raise InputError(f"fewer than {_SMALLEST_SHARE:g} of the fields on {action.lattice.shape} are accepted")
    return np.ascontiguousarray(np.concatenate(kept)[:n])


def _independent_sites(action: Phi4 | ON, random: np.random.Generator, n: int) -> Floats:
    sites = action.lattice.sites
    if isinstance(action, ON):
        vectors = random.normal(size=(n, sites, action.n))
        return np.asarray(vectors / np.sqrt((vectors**2).sum(axis=-1, keepdims=True)), np.float64)
    # exp(-a x^2 - b x^4) = exp(-(a + 2 b c) x^2) exp(-b (x^2 - c)^2) exp(b c^2): a normal number, and a rejection.
    _, a, b = action.coefficients
    precision = 0.5 * (a + math.sqrt(a * a + 4 * b))
    centre = (precision - a) / (2 * b)
    out = np.empty(n * sites)
    filled = 0
    while filled < len(out):
        x = random.normal(size=len(out)) * math.sqrt(0.5 / precision)
        x = x[random.uniform(size=len(x)) < np.exp(-b * (x * x - centre) ** 2)][: len(out) - filled]
        out[filled : filled + len(x)] = x
        filled += len(x)
    return out.reshape(n, sites)


def statistics(action: Phi4 | ON, field: Field) -> dict[str, Floats]:
    """Functions of the field that the two-sample tests look at, each of shape ``(replica,)``."""
    flat = field.reshape(len(field), action.lattice.sites, action.components)
    total = flat.sum(axis=1)
    other = action.lattice.forward[0].max()
    return {
        "S": action(field),
        "M": total[:, 0],
        "M^2": (total**2).sum(axis=1),
        "one site": flat[:, 0, 0],
        "last site squared": flat[:, -1, 0] ** 2,
        "one bond": (flat[:, 0] * flat[:, other]).sum(axis=1),
    }


def same_law(action: Phi4 | ON, one: Field, two: Field) -> float:
    """p-value of two sets of independent fields having the same law (Kolmogorov-Smirnov, Bonferroni)."""
    first, second = statistics(action, one), statistics(action, two)
    return bonferroni(
        [float(ks_2samp(first[name], second[name], method="asymp").pvalue) for name in first]
        + [_mean_p_value(first[name], second[name]) for name in first]
    )


def _mean_p_value(one: Floats, two: Floats) -> float:
    error = math.sqrt(one.var() / len(one) + two.var() / len(two))
    return math.erfc(abs(one.mean() - two.mean()) / (math.sqrt(2) * error)) if error > 0 else 1.0


def field_start_p_value(case: Case, kernel: Any, n: int, stream: Stream, steps: int = 3) -> float:
    """Start n replicas in exact equilibrium, move them by ``steps`` steps, and compare them with other exact draws.

    Examples
    --------
    >>> case = Case("hmc", Phi4(Lattice((2, 2)), -4, 8), {"md_steps": 4})
    >>> field_start_p_value(case, case.build(), 5000, Stream.from_seed(1)) > 1e-6
    True
    """
    starts = draw_fields(case.action, n, stream.fold("starts"))
    state, _, _ = kernel.advance(stream.fold("steps"), kernel.init(starts), steps)
    return same_law(case.action, state.field, draw_fields(case.action, n, stream.fold("others")))


def exact_field_values(action: Phi4 | ON) -> dict[str, float]:
    """Exact averages: of phi^4 ``virial`` always, and what free fields, the transfer operator and chains know."""
    if isinstance(action, ON):
        return {"energy": ring_energy(action) if action.lattice.periodic[0] else chain_energy(action)}
    values = {"virial": 1.0}
    if action.lam == 0:
        exact = free_field(action)
    elif action.lattice.sites // action.lattice.shape[0] <= 2:
        exact = transfer_operator(action)
        values["phi4"] = exact.phi4
    else:
        return values
    return {**values, "phi2": exact.phi2, "action": exact.action}


_TINY: Final = (
    Phi4(Lattice((2, 2)), -4.0, 8.0),
    Phi4(Lattice((5,), boundary="open"), 0.5, 0.4, convention="D"),
    Phi4(Lattice((3,)), -1.0, 1.0, convention="C"),
    Phi4(Lattice((4, 4)), 0.7, 0.0),
    Phi4(Lattice((3, 3), kind="triangular"), 1.0, 0.0),
)

_EVEN: Final = Phi4(Lattice((4,), boundary="open"), -1.0, 0.5, convention="D")

_VECTORS: Final = (
    ON(Lattice((2, 2)), 2, 0.5),
    ON(Lattice((4,)), 3, 1.0),
    ON(Lattice((3,), boundary="open"), 4, 0.8),
)

FIELD_STARTS: Final = (
    Case("hmc", _TINY[0], {"trajectory": 0.7, "md_steps": 8, "randomise": 0.4}),
    Case("hmc", _TINY[1], {"md_steps": 3, "integrator": "omelyan2", "randomise": 0.4}),
    Case("hmc", _TINY[2], {"md_steps": 4, "randomise": 0.4}),
    Case("hmc", _TINY[3], {"md_steps": 2, "integrator": "omelyan4", "randomise": 0.4}),
    Case("hmc", _TINY[4], {"md_steps": 3, "integrator": "omelyan2", "randomise": 0.4}),
    Case("hmc", _VECTORS[0], {"trajectory": 1.5, "md_steps": 3, "randomise": 0.4}),
    Case("hmc", _VECTORS[1], {"trajectory": 1.5, "md_steps": 2, "integrator": "omelyan2"}),
    Case("hmc", _VECTORS[2], {"trajectory": 1.5, "md_steps": 1, "integrator": "omelyan4", "randomise": 0.4}),
    *(Case(name, action) for name in ("metropolis", "heat-bath") for action in (_TINY[0], _TINY[3], _EVEN)),
    Case("metropolis+swendsen-wang", _TINY[0]),
    Case("heat-bath+wolff", _EVEN, {"clusters": 3}),
    Case("hmc+wolff", _TINY[2], {"md_steps": 4}),
    *(Case(name, action) for name in ("metropolis", "heat-bath", "swendsen-wang", "wolff") for action in _VECTORS),
    *(Case("heat-bath+4*overrelaxation", action) for action in _VECTORS),
)
"""Cases whose exact starts can be drawn."""

FIELD_MEANS: Final = (
    Case("hmc", Phi4(Lattice((8, 8)), 1.0, 0.0), {"md_steps": 8, "randomise": 0.5}),
    Case("hmc", Phi4(Lattice((4, 4, 4)), 0.5, 0.0), {"md_steps": 4, "integrator": "omelyan2", "randomise": 0.5}),
    Case("hmc", Phi4(Lattice((2, 2)), -4.0, 8.0), {"md_steps": 8, "randomise": 0.5}),
    Case("hmc", Phi4(Lattice((12, 2)), -1.0, 0.5), {"md_steps": 3, "integrator": "omelyan4", "randomise": 0.3}),
    Case("hmc", Phi4(Lattice((8, 8)), -4.0, 6.008), {"md_steps": 10}),
    Case("metropolis", Phi4(Lattice((12, 2)), -1.0, 0.5)),
    Case("heat-bath+wolff", Phi4(Lattice((12, 2)), -1.0, 0.5), {"clusters": 3}),
    Case("heat-bath", Phi4(Lattice((8, 8)), -4.0, 6.008)),
    Case("metropolis+swendsen-wang", Phi4(Lattice((8, 8)), -4.0, 6.008)),
    Case("hmc", ON(Lattice((16,)), 2, 2.0), {"md_steps": 6}),
    Case("hmc", ON(Lattice((12,), boundary="open"), 3, 1.5), {"md_steps": 3, "integrator": "omelyan2"}),
    Case("metropolis", ON(Lattice((12,), boundary="open"), 3, 1.5)),
    Case("heat-bath+2*overrelaxation", ON(Lattice((16,)), 2, 2.0)),
    Case("swendsen-wang", ON(Lattice((15,)), 3, 1.5)),
    Case("wolff", ON(Lattice((11,), boundary="open"), 5, 2.0), {"clusters": 3}),
)
"""Cases of exactly known averages: at least <sum phi dS/dphi> = V, at every coupling."""
