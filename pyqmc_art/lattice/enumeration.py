"""All configurations of a small lattice: probabilities, moments, densities of states and exact independent draws.

A configuration is named by its code, the digits of its sites in base q with site 0 the most significant one (Ising:
digit 0 is spin -1). ``spin_sum`` restricts everything to the Ising configurations of fixed ``sum_x s_x``: the target
of kernels that conserve the magnetization.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts, equal_bonds
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream

SpinAction: TypeAlias = Ising | Potts

MAX_CONFIGURATIONS: Final = 2**22
_BLOCK: Final = 2**16


def configuration_count(action: SpinAction, spin_sum: int | None = None) -> int:
    """Number of configurations, q^V or, at fixed spin sum M, the binomial coefficient of V over (V + M)/2.

    Raises
    ------
    InputError
        For a spin sum that no configuration has, or one asked of a Potts model.
    """
    sites = action.lattice.sites
    if spin_sum is None:
        return int(len(action.space.values) ** sites)
    if not isinstance(action, Ising):
        raise InputError(f"a fixed spin sum was asked of the {action.name} model; only Ising spins have one")
    if abs(spin_sum) > sites or (sites + spin_sum) % 2:
        raise InputError(
            f"spin sum {spin_sum} cannot occur on {sites} sites; expected one of {-sites}, {2 - sites}, ..., {sites}"
        )
    return math.comb(sites, (sites + spin_sum) // 2)


def configuration_codes(action: SpinAction, spin_sum: int | None = None) -> NDArray[np.int64]:
    """Codes of all configurations in increasing order, shape ``(configurations,)``.

    Raises
    ------
    InputError
        For more than 2^22 configurations.
    """
    count = configuration_count(action, spin_sum)
    sites = action.lattice.sites
    if count > MAX_CONFIGURATIONS:
        size = f"{count}" if count < 10**12 else f"about 10^{int(math.log10(count))}"
        raise InputError(
            f"enumerating the {action.name} model on the shape {action.lattice.shape} means {size} configurations; "
            f"at most {MAX_CONFIGURATIONS} are possible: use a smaller lattice"
        )
    if spin_sum is None:
        return np.arange(count, dtype=np.int64)
    up = (sites + spin_sum) // 2
    chosen = np.fromiter(chain.from_iterable(combinations(range(sites), up)), np.int64, count * up)
    return np.sort((np.int64(1) << chosen.reshape(count, up)).sum(axis=1, dtype=np.int64))


def decode(action: SpinAction, codes: NDArray[np.int64]) -> Field:
    """Fields of some codes, shape ``(len(codes), *lattice.shape)``."""
    values = action.space.values
    flat = np.empty((len(codes), action.lattice.sites), action.space.dtype)
    rest = codes
    for site in reversed(range(action.lattice.sites)):
        rest, digit = np.divmod(rest, len(values))
        flat[:, site] = values.start + values.step * digit
    return flat.reshape(len(codes), *action.lattice.shape)


def encode(action: SpinAction, field: Field) -> NDArray[np.int64]:
    """Code of each replica, shape ``(replica,)``; the inverse of :func:`decode`.

    Raises
    ------
    InputError
        For a lattice with so many sites that the codes exceed 63 bits, or a field of the wrong shape or dtype.
    """
    values = action.space.values
    sites = action.lattice.sites
    if len(values) ** sites > 2**63:
        raise InputError(f"configurations of {sites} sites with {len(values)} values each have no 63-bit code")
    action.space.check(field, action.lattice.shape)
    codes = np.zeros(len(field), np.int64)
    for column in field.reshape(len(field), sites).T:
        codes = codes * len(values) + (column.astype(np.int64) - values.start) // values.step
    return codes


def enumerate_fields(action: SpinAction, spin_sum: int | None = None) -> Field:
    """All configurations in the order of their codes, shape ``(configurations, *lattice.shape)``.

    Raises
    ------
    InputError
        For more than 2^22 configurations, or an impossible spin sum.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> enumerate_fields(Ising(Lattice((2,)), beta=1.0)).tolist()
    [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    """
    return decode(action, configuration_codes(action, spin_sum))


def _blocks(action: SpinAction, spin_sum: int | None) -> Iterator[Field]:
    """All configurations, some at a time."""
    codes = configuration_codes(action, spin_sum)
    for begin in range(0, len(codes), _BLOCK):
        yield decode(action, codes[begin : begin + _BLOCK])


def boltzmann_probabilities(action: SpinAction, spin_sum: int | None = None) -> NDArray[np.float64]:
    """Probability exp(-S)/Z of each configuration in the order of :func:`enumerate_fields`.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> boltzmann_probabilities(Ising(Lattice((2,)), beta=0.0))
    array([0.25, 0.25, 0.25, 0.25])
    """
    log_weight = -np.concatenate([action(fields) for fields in _blocks(action, spin_sum)])
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum(), np.float64)


def sample_exactly(action: SpinAction, n: int, stream: Stream, spin_sum: int | None = None) -> Field:
    """Draw independent fields exactly from exp(-S)/Z by inversion of the cumulative distribution.

    Parameters
    ----------
    action : Ising or Potts with at most 2^22 configurations
    n : number of fields
    stream : source of the n uniform numbers; field r depends on r and the stream only
    spin_sum : restrict the ensemble to this sum of the spins

    Returns
    -------
    fields of shape ``(n, *lattice.shape)``

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> sample_exactly(Ising(Lattice((2, 2)), beta=20.0, h=1.0), 1, Stream.from_seed(1)).tolist()
    [[[1, 1], [1, 1]]]
    """
    codes = configuration_codes(action, spin_sum)
    cumulative = np.cumsum(boltzmann_probabilities(action, spin_sum))
    uniform = stream.fold("exact draw").uniform("start", np.zeros(1, np.int64), n)[:, 0]
    chosen = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    return decode(action, codes[np.minimum(chosen, len(codes) - 1)])


def macrostates(action: SpinAction, field: Field) -> NDArray[np.int64]:
    """Two integers of each replica: bonds and order, shape ``(replica, 2)``.

    Ising: ``sum_<xy> s_x s_y`` and ``sum_x s_x``. Potts: the number of equal bonds and ``max_a n_a``, the number of
    sites of the most frequent colour. They determine S and the magnetization.
    """
    equal = equal_bonds(action.lattice, field)
    flat = field.reshape(len(field), -1)
    if isinstance(action, Ising):
        return np.stack([2 * equal - action.lattice.bonds, flat.sum(axis=1, dtype=np.int64)], axis=1)
    if action.q <= action.lattice.sites:
        most = np.max([np.count_nonzero(flat == a, axis=1) for a in range(action.q)], axis=0)
    else:
        most = np.max([np.count_nonzero(flat == column[:, None], axis=1) for column in flat.T], axis=0)
    return np.stack([equal, most.astype(np.int64)], axis=1)


@dataclass(frozen=True)
class DensityOfStates:
    """Number of configurations of each (bonds, order), the integers of :func:`macrostates`; it knows no temperature.

    Attributes
    ----------
    bonds, order, count : int64 arrays of equal length, sorted by bonds, then order
    """

    bonds: NDArray[np.int64]
    order: NDArray[np.int64]
    count: NDArray[np.int64]

    def hamiltonian(self, action: SpinAction) -> NDArray[np.float64]:
        """H of each macrostate."""
        if isinstance(action, Ising):
            return action.hamiltonian(self.bonds, self.order)
        return np.asarray(-action.J * self.bonds, np.float64)

    def magnetization(self, action: SpinAction) -> NDArray[np.float64]:
        """Magnetization per site of each macrostate; (q max_a n_a/V - 1)/(q - 1) for Potts."""
        density = self.order / action.lattice.sites
        return density if isinstance(action, Ising) else (action.q * density - 1) / (action.q - 1)

    def log_weight(self, action: SpinAction) -> NDArray[np.float64]:
        """ln of count exp(-beta H) of each macrostate."""
        return np.asarray(np.log(self.count) - action.beta * self.hamiltonian(action), np.float64)

    def probabilities(self, action: SpinAction) -> NDArray[np.float64]:
        """Probability of each macrostate."""
        log_weight = self.log_weight(action)
        weight = np.exp(log_weight - log_weight.max())
        return np.asarray(weight / weight.sum(), np.float64)


def density_of_states(action: SpinAction, spin_sum: int | None = None) -> DensityOfStates:
    """Count the configurations of each (bonds, order) by enumeration.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> density = density_of_states(Ising(Lattice((4,)), beta=1.0))
    >>> density.bonds.tolist(), density.order.tolist(), density.count.tolist()
    ([-4, 0, 0, 0, 4, 4], [0, -2, 0, 2, -4, 4], [2, 4, 4, 4, 1, 1])
    """
    states: NDArray[np.int64] = np.empty((0, 2), np.int64)
    counts: NDArray[np.int64] = np.empty(0, np.int64)
    for fields in _blocks(action, spin_sum):
        fresh, fresh_counts = np.unique(macrostates(action, fields), axis=0, return_counts=True)
        states, place = np.unique(np.concatenate([states, fresh]), axis=0, return_inverse=True)
        merged = np.zeros(len(states), np.int64)
        np.add.at(merged, place.reshape(-1), np.concatenate([counts, fresh_counts]))
        counts = merged
    return DensityOfStates(states[:, 0], states[:, 1], counts)


@dataclass(frozen=True)
class Moments:
    """Exact expectation values; ``energy`` is H per site, ``magnetization`` m per site.

    ``specific_heat`` is beta^2 (<H^2> - <H>^2)/V. ``magnetization2`` and ``magnetization4`` are <m^2> and <m^4>.
    ``log_partition`` is ln Z, of the restricted sum at fixed spin sum.
    """

    log_partition: float
    energy: float
    specific_heat: float
    magnetization: float
    abs_magnetization: float
    magnetization2: float
    magnetization4: float


def exact_moments(action: SpinAction, spin_sum: int | None = None) -> Moments:
    """Exact expectation values by enumeration.

    Examples
    --------
    Two spins and the double bond between them, <s s'> = tanh 2 beta:

    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> round(exact_moments(Ising(Lattice((2,)), beta=0.5)).energy, 10) == round(-math.tanh(1.0), 10)
    True
    """
    density = density_of_states(action, spin_sum)
    log_weight = density.log_weight(action)
    top = float(log_weight.max())
    weight = np.exp(log_weight - top)
    total = float(weight.sum())
    probability = weight / total
    sites = action.lattice.sites
    energy = density.hamiltonian(action)
    mean = float(probability @ energy)
    m = density.magnetization(action)
    return Moments(
        log_partition=top + math.log(total),
        energy=mean / sites,
        specific_heat=action.beta**2 * float(probability @ (energy - mean) ** 2) / sites,
        magnetization=float(probability @ m),
        abs_magnetization=float(probability @ np.abs(m)),
        magnetization2=float(probability @ m**2),
        magnetization4=float(probability @ m**4),
    )
