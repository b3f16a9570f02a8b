r"""Transfer matrix: exact ln Z, mean and variance of H or of the magnetization where the section is small.

The lattice is cut into slices along one axis. What is passed on from slice to slice is not a number exp(ln Z) but, for
each configuration of the last slice, the conditional ensemble of everything before it: its log weight, and mean and
variance of the observable in it. Adding a bond adds to all three. Summing over a spin s combines ensembles,

.. math::
    w = \sum_s w_s, \quad \mu = \sum_s \tfrac{w_s}{w} \mu_s, \quad
    \sigma^2 = \sum_s \tfrac{w_s}{w} [\sigma_s^2 + (\mu_s - \mu)^2],

the law of total variance: no difference of large numbers at any temperature, and derivatives of ln Z without
finite differences. Bonds between slices are added site by site.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.enumeration import SpinAction, decode
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.thermodynamics import Thermodynamics

MAX_SECTION_STATES: Final = 2**16
MAX_WORK: Final = 2**30
_DENSE_STATES: Final = 32
_BLOCK: Final = 2**18


class Cumulants(NamedTuple):
    """Log weight, and mean and variance of an observable: of one ensemble or of an array of them."""

    log: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    def plus(self, log: NDArray[np.float64], mean: NDArray[np.float64]) -> Cumulants:
        """Multiply the weights and shift the observable."""
        return Cumulants(self.log + log, self.mean + mean, self.variance)

    def reshape(self, *shape: int) -> Cumulants:
        """Reshape all three."""
        return Cumulants(*(x.reshape(shape) for x in self))

    def merged(self, axis: int) -> Cumulants:
        """Combine the ensembles along an axis into one: the law of total variance."""
        top = self.log.max(axis=axis, keepdims=True)
        weight = np.exp(self.log - top)
        total = weight.sum(axis=axis, keepdims=True)
        weight /= total
        mean = (weight * self.mean).sum(axis=axis, keepdims=True)
        variance = (weight * (self.variance + (self.mean - mean) ** 2)).sum(axis=axis)
        return Cumulants((top + np.log(total)).squeeze(axis), mean.squeeze(axis), variance)


class _Slices(NamedTuple):
    """The lattice seen along one axis: ``length`` slices of ``sites`` sites with ``states`` configurations each."""

    length: int
    wraps: bool
    sites: int
    states: int
    section: SpinAction | None
    """The same model on one slice; None where a slice is one site (extent 1 is no lattice)."""

    @property
    def work(self) -> int:
        """Ensembles touched, the leading factor of the run time."""
        if self.states <= _DENSE_STATES:
            return int(self.states**3 * 2 * math.log2(self.length))
        # Translations along the periodic axes of the section share their traces.
        lattice = self.section.lattice if self.section else None
        share = math.prod(n for n, p in zip(lattice.shape, lattice.periodic, strict=True) if p) if lattice else 1
        columns = -(-self.states // share) if self.wraps else 1
        return self.states * columns * self.length * self.sites


def _slices(action: SpinAction, axis: int) -> _Slices:
    lattice = action.lattice
    shape = tuple(n for i, n in enumerate(lattice.shape) if i != axis)
    sites = math.prod(shape)
    section = None
    if shape:
        boundary = tuple("periodic" if p else "open" for i, p in enumerate(lattice.periodic) if i != axis)
        part = Lattice(shape, "hypercubic", boundary)
        section = replace(action, lattice=part)
    states = len(action.space.values) ** sites
    return _Slices(lattice.shape[axis], lattice.periodic[axis], sites, states, section)


def _plan(action: SpinAction) -> _Slices | str:
    """Cut along the axis that costs least, or say why none will do."""
    if action.lattice.kind not in ("square", "hypercubic"):
        return f"the transfer matrix is for square and hypercubic lattices, not {action.lattice.kind}"
    cuts = [_slices(action, axis) for axis in range(action.lattice.dimension)]
    usable = [cut for cut in cuts if cut.states <= MAX_SECTION_STATES and cut.work <= MAX_WORK]
    if not usable:
        smallest = min(cut.sites for cut in cuts)
        return f"the transfer matrix would need {len(action.space.values)}^{smallest} states per slice, too many"
    return min(usable, key=lambda cut: cut.work)


def transfer_obstacle(action: SpinAction) -> str | None:
    """Say why the transfer matrix does not apply to an action, or None if it does."""
    plan = _plan(action)
    return plan if isinstance(plan, str) else None


def transfer_cumulants(action: SpinAction, observable: str = "energy") -> tuple[float, float, float]:
    """Ln Z, and mean and variance of an extensive observable.

    Parameters
    ----------
    action : Ising or Potts on a chain, square or hypercubic lattice with any boundaries
    observable : ``"energy"`` (H) or, for Ising, ``"magnetization"`` (sum of all spins)

    Returns
    -------
    ln Z, mean and variance over the whole lattice, not per site

    Raises
    ------
    InputError
        For a lattice of another kind or with too large a section, or an unknown observable.

    Examples
    --------
    >>> log_z, mean, variance = transfer_cumulants(Ising(Lattice((100,), boundary="open"), beta=0.5))
    >>> round(mean / 99, 10) == round(-math.tanh(0.5), 10)
    True
    """
    known = ("energy", "magnetization") if isinstance(action, Ising) else ("energy",)
    if observable not in known:
        raise InputError(f"observable is {observable!r}; expected 'energy', or 'magnetization' for Ising spins")
    plan = _plan(action)
    if isinstance(plan, str):
        raise InputError(plan)
    row = _row(action, plan, observable)
    bond = _bond(action, observable)
    if plan.states <= _DENSE_STATES:
        result = _dense(action, plan, row, bond)
    else:
        result = _trace(action, plan, row, bond) if plan.wraps else _sweep(plan, row, bond)
    return float(result.log), float(result.mean), float(result.variance)


def transfer_matrix(action: SpinAction) -> Thermodynamics:
    """Ln Z, energy and specific heat by :func:`transfer_cumulants`.

    Raises
    ------
    InputError
        For a lattice of another kind or with too large a section.
    """
    log_z, mean, variance = transfer_cumulants(action)
    sites = action.lattice.sites
    return Thermodynamics(log_z, mean / sites, action.beta**2 * variance / sites, "transfer matrix")


def _row(action: SpinAction, plan: _Slices, observable: str) -> Cumulants:
    """Weight and observable of each configuration of one slice, its inner bonds and field."""
    if plan.section is None:
        values = np.array(action.space.values, np.float64)
        h = action.h if isinstance(action, Ising) else 0.0
        energy, spin = -h * values, values
    else:
        fields = decode(plan.section, np.arange(plan.states))
        energy = replace(plan.section, beta=1.0)(fields)
        spin = fields.reshape(plan.states, -1).sum(axis=1, dtype=np.float64)
    mean = energy if observable == "energy" else spin
    return Cumulants(-action.beta * energy, mean, np.zeros_like(mean))


def _bond(action: SpinAction, observable: str) -> Cumulants:
    """Weight and observable of one bond between slices, shape ``(q, q)``."""
    values = np.array(action.space.values, np.float64)
    agree = np.equal.outer(values, values).astype(np.float64)
    energy = -action.J * (2 * agree - 1 if isinstance(action, Ising) else agree)
    mean = energy if observable == "energy" else np.zeros_like(energy)
    return Cumulants(-action.beta * energy, mean, np.zeros_like(mean))


def _advance(state: Cumulants, sites: int, bond: Cumulants) -> Cumulants:
    """Sum over the old slice site by site, shape ``(columns, states)`` to the same."""
    q = len(bond.log)
    columns, states = state.log.shape
    for site in range(sites):
        parts = state.reshape(columns * q**site, q, 1, states // q ** (site + 1))
        state = parts.plus(bond.log[:, :, None], bond.mean[:, :, None]).merged(axis=1)
    return state.reshape(columns, states)


def _sweep(plan: _Slices, row: Cumulants, bond: Cumulants) -> Cumulants:
    """Open ends: one vector from the first slice to the last."""
    state = row.reshape(1, plan.states)
    for _ in range(plan.length - 1):
        state = _advance(state, plan.sites, bond).plus(row.log, row.mean)
    return state.reshape(plan.states).merged(axis=0)


def _trace(action: SpinAction, plan: _Slices, row: Cumulants, bond: Cumulants) -> Cumulants:
    """Periodic: a vector for each first slice, one of each class of translated slices."""
    first, size = _translation_classes(action, plan)
    digits = _digits(plan, len(bond.log))
    per_block = max(1, _BLOCK // (plan.states * len(bond.log)))
    diagonal = []
    for begin in range(0, len(first), per_block):
        here = first[begin : begin + per_block]
        to_next = _between(digits[here], digits, bond)
        state = to_next.plus(row.log[here, None], row.mean[here, None])
        for _ in range(plan.length - 1):
            state = _advance(state.plus(row.log, row.mean), plan.sites, bond)
        diagonal.append([x[np.arange(len(here)), here] for x in state])
    log, mean, variance = (np.concatenate(x) for x in zip(*diagonal, strict=True))
    return Cumulants(log + np.log(size), mean, variance).merged(axis=0)


def _dense(action: SpinAction, plan: _Slices, row: Cumulants, bond: Cumulants) -> Cumulants:
    """Few states: powers of the whole matrix by repeated squaring, for any length."""
    digits = _digits(plan, len(bond.log))
    matrix = _between(digits, digits, bond).plus(row.log[:, None], row.mean[:, None])
    power = _matrix_power(matrix, plan.length if plan.wraps else plan.length - 1)
    if plan.wraps:
        return Cumulants(*(np.diagonal(x) for x in power)).merged(axis=0)
    return power.plus(row.log, row.mean).reshape(-1).merged(axis=0)


def _matrix_power(matrix: Cumulants, exponent: int) -> Cumulants:
    """The matrix to a power of at least 1."""
    power = matrix
    for bit in bin(exponent)[3:]:  # from the second most significant binary digit on
        power = _matmul(power, power)
        if bit == "1":
            power = _matmul(power, matrix)
    return power


def _matmul(a: Cumulants, b: Cumulants) -> Cumulants:
    """Matrix product: sum over the slice in the middle."""
    pairs = (x[:, :, None] + y[None] for x, y in zip(a, b, strict=True))
    return Cumulants(*pairs).merged(axis=1)


def _digits(plan: _Slices, q: int) -> NDArray[np.int64]:
    """Value index of each site in each configuration of a slice, shape ``(states, sites)``."""
    return np.arange(plan.states)[:, None] // q ** np.arange(plan.sites)[::-1] % q


def _between(lower: NDArray[np.int64], upper: NDArray[np.int64], bond: Cumulants) -> Cumulants:
    """All bonds between two slices, for each pair of their configurations."""
    shape = (len(lower), len(upper))
    log, mean = np.zeros(shape), np.zeros(shape)
    for s, t in zip(lower.T, upper.T, strict=True):
        log += bond.log[s[:, None], t]
        mean += bond.mean[s[:, None], t]
    return Cumulants(log, mean, np.zeros(shape))


def _translation_classes(action: SpinAction, plan: _Slices) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One code of each class of translated slices, and the sizes of the classes."""
    q = len(action.space.values)
    smallest = np.arange(plan.states)
    if plan.section is not None:
        lattice = plan.section.lattice
        index = np.arange(lattice.sites).reshape(lattice.shape)
        place = q ** np.arange(lattice.sites)[::-1]
        digits = _digits(plan, q)
        shifts = np.ndindex(*(n if p else 1 for n, p in zip(lattice.shape, lattice.periodic, strict=True)))
        for shift in shifts:
            moved = np.roll(index, shift, axis=tuple(range(lattice.dimension))).reshape(-1)
            smallest = np.minimum(smallest, digits[:, moved] @ place)
    return np.unique(smallest, return_counts=True)
