"""The judgements that tests, benchmarks and ``verify`` share, and the one alpha budget they are made within.

*Start in equilibrium, stay in equilibrium.* Independent replicas drawn exactly from exp(-S)/Z, moved by a kernel that
leaves exp(-S) invariant, are again independent draws from exp(-S)/Z. So the p-value needs no burn-in, no
autocorrelation time and no tolerance. A kernel that does nothing passes as well: :func:`is_irreducible` is for that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.special import gammaincc

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.enumeration import (
    SpinAction,
    boltzmann_probabilities,
    configuration_codes,
    configuration_count,
    decode,
    density_of_states,
    encode,
    macrostates,
    sample_exactly,
)
from pyqmc_art.protocols import Field, Kernel, Measured
from pyqmc_art.rng import Stream

StepFunction: TypeAlias = Callable[[Field], Field]
"""Moves a batch of fields by one step; the next call must use new random numbers (see :func:`kernel_step`)."""


@dataclass(frozen=True)
class AlphaBudget:
    """False alarms of a whole suite of judgements.

    If everything is correct, at most ``total`` is the probability that any of up to ``judgements`` judgements fails,
    each at level ``alpha = total / judgements`` (Bonferroni; no independence assumed). With fixed seeds the dice are
    thrown once, when a seed or a test is written, and not on every run.

    Examples
    --------
    >>> AlphaBudget(total=1e-3, judgements=1000).passes(1e-5)
    True
    """

    total: float = 1e-3
    judgements: int = 1000

    @property
    def alpha(self) -> float:
        """Level of each judgement."""
        return self.total / self.judgements

    def passes(self, p_value: float) -> bool:
        """Whether a p-value is no reason for an alarm; NaN is one."""
        return p_value >= self.alpha


BUDGET: Final = AlphaBudget()
"""The budget of the test suite: each judgement at 1e-6, at most 1000 of them, one false alarm in 1000 suites."""


@dataclass(frozen=True)
class Comparison:
    """A measured number beside the exact one; ``deviation`` is in standard errors."""

    exact: float
    value: float
    error: float
    deviation: float
    p_value: float


def compare(measured: Measured, exact: float) -> Comparison:
    """Compare a measured value and its standard error with an exact number, two-sided and normal.

    An error of zero agrees with nothing but the exact number itself (to rounding, 1e-12); an error or value that is not
    finite agrees with nothing.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> round(compare(SimpleNamespace(value=1.2, error=0.1), 1.0).p_value, 4)
    0.0455
    """
    value, error = float(measured.value), float(measured.error)
    difference = value - exact
    if not (math.isfinite(difference) and math.isfinite(error) and error >= 0):
        deviation = math.inf
    elif error > 0:
        deviation = difference / error
    else:
        deviation = 0.0 if abs(difference) <= 1e-12 * max(1.0, abs(exact)) else math.copysign(math.inf, difference)
    return Comparison(exact, value, error, deviation, math.erfc(abs(deviation) / math.sqrt(2)))


def bonferroni(p_values: Iterable[float]) -> float:
    """One p-value for several judgements, dependent or not: the smallest times their number; NaN counts as 0.

    Examples
    --------
    >>> bonferroni([0.5, 0.01, 0.3, 0.9])
    0.04
    """
    listed = [0.0 if math.isnan(p) else float(p) for p in p_values]
    if not listed:
        raise InputError("no p-values to combine; expected at least one")
    return min(1.0, len(listed) * min(listed))


def chi_square(counts: ArrayLike, probabilities: ArrayLike, minimum: float = 5.0) -> float:
    r"""Pearson's goodness of fit of independent draws to exact probabilities.

    Parameters
    ----------
    counts : number of draws in each bin, shape ``(bins,)``
    probabilities : exact probability of each bin, shape ``(bins,)``, adding up to 1
    minimum : bins, the least probable first, are merged until each expects at least this many draws

    Returns
    -------
    Probability of :math:`\sum (n - Np)^2/(Np)` as large as this or larger; 0 if an impossible bin was hit. The
    chi-square law is the limit of many draws; with 5 expected in the rarest bins, p-values near 1e-4 are too
    small by a factor of up to about 1.5, far less than an alpha budget by Bonferroni leaves.

    Raises
    ------
    InputError
        For shapes that differ, negative counts, probabilities that do not add up to 1, or so few draws that a single
        bin is left: such a judgement could never fail.

    Examples
    --------
    >>> chi_square([50, 50], [0.5, 0.5]), round(chi_square([60, 40], [0.5, 0.5]), 4)
    (1.0, 0.0455)
    """
    n = np.asarray(counts, np.float64)
    p = np.asarray(probabilities, np.float64)
    if n.ndim != 1 or n.shape != p.shape:
        raise InputError(f"counts {n.shape} and probabilities {p.shape} differ in shape; expected (bins,) for both")
    if not np.all(n >= 0) or not np.all(p >= 0) or abs(p.sum() - 1) > 1e-9:
        raise InputError(
            f"expected counts >= 0 and probabilities >= 0 that add up to 1; they are at least {n.min()} and {p.min()} "
            f"and add up to {p.sum()}"
        )
    if np.any(n[p == 0] > 0):
        return 0.0
    observed, expected = _merged(n, n.sum() * p, minimum)
    if len(expected) < 2:
        raise InputError(f"{int(n.sum())} draws leave a single bin with {minimum} expected; draw more")
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return float(gammaincc((len(expected) - 1) / 2, statistic / 2))


def _merged(
    observed: NDArray[np.float64], expected: NDArray[np.float64], minimum: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge bins, the least expected first; what is left over joins the last merged bin."""
    order = np.argsort(expected, kind="stable")
    expected = expected[order]
    group = np.empty(len(order), np.int64)
    current, inside = 0, 0.0
    for i, e in enumerate(expected.tolist()):
        group[i] = current
        inside += e
        if inside >= minimum:
            current, inside = current + 1, 0.0
    bins = max(1, current)
    group = np.minimum(group, bins - 1)
    merged = np.zeros((2, bins))
    np.add.at(merged[0], group, observed[order])
    np.add.at(merged[1], group, expected)
    return merged[0], merged[1]


def sample_p_value(action: SpinAction, fields: Field, spin_sum: int | None = None) -> float:
    """Judge whether independent fields were drawn from exp(-S)/Z.

    Judgements combined by :func:`bonferroni`: the chi-square of the exact bins (single configurations if there are 20
    draws for each, else bins of equal bonds and order), and the means of the bonds, of the order and of its modulus,
    which see a small error of beta or of a field before the chi-square does.

    Parameters
    ----------
    action : Ising or Potts, small enough to enumerate
    fields : independent fields, shape ``(n, *lattice.shape)``
    spin_sum : the ensemble is restricted to this sum of the spins

    Returns
    -------
    p-value; 0 if a field outside the ensemble is found

    Raises
    ------
    InputError
        If the lattice is too large to enumerate, or the fields are not fields of this action or too few.
    """
    action.space.check(fields, action.lattice.shape)
    n = len(fields)
    states = macrostates(action, fields)
    if spin_sum is not None and np.any(states[:, 1] != spin_sum):
        return 0.0
    density = density_of_states(action, spin_sum)
    probability = density.probabilities(action)
    p_values = []
    if configuration_count(action, spin_sum) * 20 <= n:
        codes = configuration_codes(action, spin_sum)
        counts = np.bincount(np.searchsorted(codes, encode(action, fields)), minlength=len(codes))
        p_values.append(chi_square(counts, boltzmann_probabilities(action, spin_sum)))
    else:
        bins = np.stack([density.bonds, density.order], axis=1)
        _, inverse = np.unique(np.concatenate([bins, states]), axis=0, return_inverse=True)
        p_values.append(chi_square(np.bincount(inverse.reshape(-1)[len(bins) :], minlength=len(bins)), probability))
    bonds, order = states.T
    for exact, drawn in ((density.bonds, bonds), (density.order, order), (np.abs(density.order), np.abs(order))):
        mean = float(probability @ exact)
        variance = float(probability @ (exact - mean) ** 2)
        if variance > 1e-12:
            p_values.append(math.erfc(abs(drawn.mean() - mean) / math.sqrt(2 * variance / n)))
    return bonferroni(p_values)


def equilibrium_p_value(
    action: SpinAction, step: StepFunction, n: int, stream: Stream, k: int = 1, spin_sum: int | None = None
) -> float:
    """Start n independent replicas in exact equilibrium, apply k steps, and judge whether they still are.

    Parameters
    ----------
    action : the target exp(-S), small enough to enumerate
    step : what is judged, fields -> fields
    n : number of replicas; 1e5 on 4 x 4 sites see an error of 1 % in beta with a power above 0.999, 1e4 hardly do
    stream : source of the exact starts
    k : number of steps
    spin_sum : for kernels that conserve the sum of the spins, the sum to start with

    Returns
    -------
    p-value, uniform or larger if the steps leave exp(-S) invariant

    Examples
    --------
    >>> from pyqmc_art.lattice.actions import Ising
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> action = Ising(Lattice((3, 3)), beta=0.3)
    >>> equilibrium_p_value(action, lambda fields: -fields, 20_000, Stream.from_seed(1)) > BUDGET.alpha
    True
    """
    fields = sample_exactly(action, n, stream, spin_sum)
    for _ in range(k):
        fields = step(fields)
    return sample_p_value(action, fields, spin_sum)


def kernel_step(kernel: Kernel, stream: Stream, steps: int = 1) -> StepFunction:
    """Make a step function of a kernel; each call goes on where the previous one ended in the stream.

    Parameters
    ----------
    kernel : a kernel with a single rung
    stream : its random numbers
    steps : steps of the kernel in each call
    """
    done = 0

    def move(fields: Field) -> Field:
        nonlocal done
        state = kernel.init(fields)
        state.step = done
        state, _, _ = kernel.advance(stream, state, steps)
        done += steps
        return state.field

    return move


def sampled_transitions(
    action: SpinAction, step: StepFunction, repeats: int, spin_sum: int | None = None
) -> NDArray[np.int64]:
    """Count the transitions from every configuration of a tiny lattice.

    Parameters
    ----------
    action : its lattice and space give the configurations, at most 4096
    step : fields -> fields; called once with all configurations, each repeated
    repeats : draws from each configuration; a transition of probability p is missed with (1 - p)^repeats
    spin_sum : only the configurations with this sum of the spins

    Returns
    -------
    counts of shape ``(configurations, configurations)``, from row to column, in the order of ``enumerate_fields``

    Raises
    ------
    InputError
        For more than 4096 configurations, or a step that leaves the restricted ensemble.
    """
    count = configuration_count(action, spin_sum)
    if count > 4096:
        raise InputError(f"{count} configurations make too large a transition matrix; expected at most 4096")
    codes = configuration_codes(action, spin_sum)
    reached = encode(action, step(decode(action, np.repeat(codes, repeats))))
    column = np.minimum(np.searchsorted(codes, reached), count - 1)
    if np.any(codes[column] != reached):
        raise InputError(f"the step left the ensemble of spin sum {spin_sum}")
    row = np.repeat(np.arange(count), repeats)
    return np.bincount(row * count + column, minlength=count**2).reshape(count, count)


@dataclass(frozen=True)
class ChainStructure:
    """Strongly connected classes of a Markov chain, and the period if there is a single one (else 0)."""

    classes: int
    period: int


def chain_structure(transition_counts: ArrayLike) -> ChainStructure:
    """Find the strongly connected classes and the period of a chain from its transitions.

    The period is the greatest common divisor of d(i) + 1 - d(j) over all transitions i -> j, where d is the distance
    from any one state.

    Examples
    --------
    >>> chain_structure([[0, 1], [1, 0]])
    ChainStructure(classes=1, period=2)
    """
    matrix: Any = np.asarray(transition_counts)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise InputError(f"transition counts have shape {matrix.shape}; expected (configurations, configurations)")
    graph = csr_array((matrix > 0).astype(np.int8))
    classes, _ = connected_components(graph, directed=True, connection="strong")
    if classes > 1:
        return ChainStructure(int(classes), 0)
    order, predecessor = breadth_first_order(graph, 0, directed=True)
    distance = np.zeros(len(order), np.int64)
    for node in order[1:]:
        distance[node] = distance[predecessor[node]] + 1
    start, end = np.nonzero(matrix)
    return ChainStructure(1, int(np.gcd.reduce(distance[start] + 1 - distance[end])))


def is_irreducible(transition_counts: ArrayLike) -> bool:
    """Whether every configuration leads to every other, without a period: the chain then forgets where it started."""
    return chain_structure(transition_counts) == ChainStructure(1, 1)
