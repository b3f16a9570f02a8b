"""Multi-histogram reweighting without histograms: runs at several beta give averages at all beta in between.

References: A. M. Ferrenberg and R. H. Swendsen, Phys. Rev. Lett. 63 (1989) 1195; M. R. Shirts and J. D. Chodera,
J. Chem. Phys. 129 (2008) 124105.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.errors import InputError, NumericalError, unknown
from pyqmc_art.stats.autocorrelation import Floats, checked_series, gamma_method
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.resampling import MINIMUM_BLOCKS, block_edges, block_length

MINIMUM_EFFECTIVE: Final = 50.0
"""Fewest effective samples that an average at another beta is computed from."""

BLOCKS: Final = 40
"""Jackknife blocks of each run at most (one of each replica if there are more replicas)."""

_TOLERANCE: Final = 1e-10
_ITERATIONS: Final = 200


@dataclass(frozen=True)
class Run:
    """A series of energies sampled at one beta, and what was measured beside them.

    Parameters
    ----------
    beta : inverse temperature of the run; the weight was ``exp(-beta H)``
    energy : H itself, extensive (not per site), shape (measurements, replicas)
    observables : name -> series of the same shape

    Examples
    --------
    >>> Run(0.4, np.zeros((10, 2))).energy.shape
    (10, 2)
    """

    beta: float
    energy: Floats
    observables: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the series, and put H and its square among the observables."""
        if not math.isfinite(self.beta):
            raise InputError(f"beta is {self.beta}; expected the finite inverse temperature of the run")
        where = f"of the run at beta = {self.beta}"
        energy = checked_series(self.energy, f"the energy {where}")
        observables = {name: checked_series(one, f"{name} {where}") for name, one in self.observables.items()}
        for name, one in observables.items():
            if one.shape != energy.shape:
                raise InputError(f"{name} {where} has shape {one.shape}; expected that of the energy, {energy.shape}")
        object.__setattr__(self, "energy", energy)
        object.__setattr__(self, "observables", {**observables, "H": energy, "H2": energy**2})


@dataclass(frozen=True)
class _Sample:
    """Weighted counts of each distinct energy: all that the weights at another beta depend on."""

    counts: Floats  # of each energy, shape (energies,)
    drawn: Floats  # effective samples of each run, shape (runs,)
    sums: Floats  # of each observable over the samples at an energy, shape (observables, energies)

    def without(self, run: int, where: NDArray[np.intp], weight: float, values: Floats) -> _Sample:
        """Return the same with some samples of one run left out."""
        counts, sums, drawn = self.counts.copy(), self.sums.copy(), self.drawn.copy()
        np.subtract.at(counts, where, weight)
        np.subtract.at(sums.T, where, weight * values.T)
        drawn[run] -= weight * len(where)
        return _Sample(counts, drawn, sums)


class Reweighting:
    """Averages and free energies at any beta from runs at one or several beta.

    With ``w_k = 1/(2 tau_k)`` per sample and ``a_k = w_k N_k`` the density of states is estimated as
    ``g(H) = sum_k w_k n_k(H) / sum_k a_k exp(f_k - beta_k H)`` and ``f_k = -ln sum_H g(H) exp(-beta_k H)``. Energies
    are not binned: each distinct value of H is its own bin. Errors are by a jackknife over blocks of every run, the f_k
    solved anew each time. One run alone is the single-histogram method.

    Parameters
    ----------
    runs : one or several, all with the same observables; at any beta, in any order
    minimum_effective : refuse averages from fewer effective samples than this
    blocks : jackknife blocks of each run at most; the time an error takes is proportional to it

    Raises
    ------
    InputError
        If there is no run, their observables differ, or neighbouring runs do not overlap.
    NumericalError
        If the equations for f_k do not converge.

    References
    ----------
    Ferrenberg and Swendsen (1989); Shirts and Chodera (2008), eq. (11).

    Examples
    --------
    Two levels, H = 0 and 1, sampled at beta = 0 and looked at where 1/(1 + e) of them is up:

    >>> up = np.random.default_rng(1).integers(0, 2, size=(4000, 1))
    >>> energy = Reweighting([Run(0.0, up)]).mean("H", 1.0)
    >>> bool(abs(energy.deviation(1 / (1 + np.e))) < 3)
    True
    """

    def __init__(self, runs: Sequence[Run], minimum_effective: float = MINIMUM_EFFECTIVE, blocks: int = BLOCKS) -> None:
        if not runs:
            raise InputError("there are no runs to reweight; give at least one")
        if blocks < MINIMUM_BLOCKS:
            raise InputError(f"blocks is {blocks}; expected at least {MINIMUM_BLOCKS} jackknife blocks of each run")
        self.runs = sorted(runs, key=lambda run: run.beta)
        self.names = sorted(self.runs[0].observables)
        for run in self.runs:
            if sorted(run.observables) != self.names:
                raise InputError(
                    f"the run at beta = {run.beta} has the observables {', '.join(sorted(run.observables))} and that "
                    f"at beta = {self.runs[0].beta} has {', '.join(self.names)}; expected the same in each"
                )
        self.minimum_effective = minimum_effective
        self.blocks = blocks
        self.betas = np.array([run.beta for run in self.runs])
        self._averages = [gamma_method(run.energy) for run in self.runs]
        # A tau below 1/2 (noise, anticorrelation) must not pretend more samples than there are.
        self._weights = [1 / max(1.0, 2 * (average.tau_int or 0.5)) for average in self._averages]
        energies = np.concatenate([run.energy.ravel() for run in self.runs])
        self._offset = float(energies.mean())  # smaller exponents round less; put back in ln Z
        distinct, where = np.unique(energies, return_inverse=True)
        self._energies = distinct - self._offset
        self._where = np.split(where, np.cumsum([run.energy.size for run in self.runs])[:-1])
        self._all = self._gather()
        start = -self._integrated_ln_z()
        self._f = solve_free_energies(self.betas, self._energies, self._all.counts, self._all.drawn, start)
        for left, right in zip(self.betas[:-1], self.betas[1:], strict=True):
            self._check_overlap(float(left + right) / 2, f"the runs at beta = {left} and {right} do not overlap")

    def mean(self, name: str, beta: float) -> Estimate:
        """Average of an observable at ``beta``; ``"H"`` is the energy and ``"H2"`` its square.

        Raises
        ------
        InputError
            If the observable is unknown, or ``beta`` lies outside what the runs cover.
        """
        return self.curve(name, [beta])[0]

    def curve(self, name: str, betas: ArrayLike) -> list[Estimate]:
        """Averages of an observable at several beta; their errors are correlated."""
        return self.derived(lambda means: means[0], [name], betas)

    def derived(self, function: Callable[[Floats], float], names: Sequence[str], betas: ArrayLike) -> list[Estimate]:
        """Estimate a function of several averages at each of several beta.

        Parameters
        ----------
        function : takes the averages, shape (len(names),), and returns one number
        names : the observables averaged
        betas : where, shape (points,)

        Returns
        -------
        list of Estimates; ``ess`` is the effective number of samples at that beta

        Raises
        ------
        InputError
            If an observable is unknown, or a beta lies outside what the runs cover.

        Examples
        --------
        The fluctuations ``<H^2> - <H>^2`` of one spin in a field, 1/cosh^2(beta):

        >>> spin = 2 * np.random.default_rng(1).integers(0, 2, size=(4000, 1)) - 1
        >>> (width,) = Reweighting([Run(0.0, spin)]).derived(lambda m: m[1] - m[0] ** 2, ["H", "H2"], [0.5])
        >>> bool(abs(width.deviation(1 / np.cosh(0.5) ** 2)) < 3)
        True
        """
        for name in names:
            if name not in self.names:
                raise unknown("observable", name, self.names)
        rows = [self.names.index(name) for name in names]
        points = np.atleast_1d(np.asarray(betas, np.float64))
        effective = [self._check_beta(float(beta)) for beta in points]

        def measure(sample: _Sample, log_density: Floats) -> Floats:
            weights = _normalised(log_density[:, None] - np.outer(self._energies, points), sample.counts)
            means = sample.sums[rows] @ weights
            return np.array([float(function(one)) for one in means.T])

        return self._estimates(measure, effective)

    def ln_z(self, beta: float, reference: float | None = None) -> Estimate:
        """``ln Z(beta) - ln Z(reference)``; the reference is the smallest beta of the runs unless given.

        Raises
        ------
        InputError
            If one of the two lies outside what the runs cover.
        """
        ends = np.array([beta, self.betas[0] if reference is None else reference])
        effective = [min(self._check_beta(float(end)) for end in ends)]

        def measure(sample: _Sample, log_density: Floats) -> Floats:
            upper, lower = (log_sum(log_density - end * self._energies, sample.counts) for end in ends)
            return np.array([upper - lower - (ends[0] - ends[1]) * self._offset])

        return self._estimates(measure, effective)[0]

    def effective_samples(self, beta: float) -> float:
        """Effective number of independent samples at ``beta``: ``(sum w)^2 / sum w^2``, autocorrelation included."""
        log_weights = self._log_density(self._f, self._all) - beta * self._energies
        twice = log_sum(2 * log_weights, self._all.counts)
        return math.exp(2 * log_sum(log_weights, self._all.counts) - twice)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Why the errors should not be trusted."""
        notes = []
        for run, average in zip(self.runs, self._averages, strict=True):
            notes += [f"the run at beta = {run.beta}: {warning}" for warning in average.warnings]
            needed, blocks = block_length(run.energy[None]), self._blocks(run)
            shortest = min(stop - start for start, stop in blocks)
            if shortest < needed or len(blocks) * run.energy.shape[1] < MINIMUM_BLOCKS:
                notes.append(
                    f"the run at beta = {run.beta} is split in blocks of {shortest} measurements where "
                    f"{needed} were needed: run longer"
                )
        return tuple(notes)

    def _gather(self) -> _Sample:
        size, repeats = len(self._energies), [run.energy.size for run in self.runs]
        where, weights = np.concatenate(self._where), np.repeat(self._weights, repeats)

        def gather(one: Floats | float) -> Floats:
            return np.bincount(where, weights * one, size).astype(np.float64)

        series = [np.concatenate([run.observables[name].ravel() for run in self.runs]) for name in self.names]
        return _Sample(gather(1.0), np.array(repeats) * self._weights, np.stack([gather(one) for one in series]))

    def _blocks(self, run: Run) -> list[tuple[int, int]]:
        """Return the jackknife's blocks: long compared with tau, and no more than asked for."""
        measurements, replicas = run.energy.shape
        wanted = max(block_length(run.energy[None]), math.ceil(run.energy.size / self.blocks))
        return block_edges(measurements, min(wanted, max(1, measurements * replicas // MINIMUM_BLOCKS)))

    def _jackknife_samples(self) -> Iterator[tuple[int, _Sample]]:
        """Each run in turn without each of its blocks."""
        for k, run in enumerate(self.runs):
            where = self._where[k].reshape(run.energy.shape)
            values = np.stack([run.observables[name] for name in self.names])
            for start, stop in self._blocks(run):
                for r in range(run.energy.shape[1]):
                    block = slice(start, stop)
                    yield k, self._all.without(k, where[block, r], self._weights[k], values[:, block, r])

    def _estimates(self, measure: Callable[[_Sample, Floats], Floats], effective: Sequence[float]) -> list[Estimate]:
        """Evaluate on all samples and on the jackknife's, whose scatter adds up over the independent runs."""
        values = measure(self._all, self._log_density(self._f, self._all))
        if not np.isfinite(values).all():
            raise NumericalError(f"the function is {values.tolist()}; expected finite numbers at each beta")
        replicates: list[list[Floats]] = [[] for _ in self.runs]
        for k, sample in self._jackknife_samples():
            f = solve_free_energies(self.betas, self._energies, sample.counts, sample.drawn, self._f)
            replicates[k].append(measure(sample, self._log_density(f, sample)))
        variance = np.zeros(len(values))
        for of_run in replicates:
            variance += (len(of_run) - 1) * np.var(of_run, axis=0)
        n = sum(run.energy.size for run in self.runs)
        return [
            Estimate(value, math.sqrt(square), n=n, ess=ess, warnings=self.warnings)
            for value, square, ess in zip(values, variance, effective, strict=True)
        ]

    def _log_density(self, f: Floats, sample: _Sample) -> Floats:
        """``-ln sum_k a_k exp(f_k - beta_k H)``: the density of states for each sample at H."""
        exponents = f[:, None] - np.outer(self.betas, self._energies)
        density: Floats = -np.logaddexp.reduce(np.log(sample.drawn)[:, None] + exponents, axis=0)
        return density

    def _integrated_ln_z(self) -> Floats:
        """Return a start for -f: ``d ln Z / d beta = -<H>``, by the trapezoid rule between the runs."""
        means = np.array([run.energy.mean() for run in self.runs]) - self._offset
        return np.concatenate([[0.0], np.cumsum(-np.diff(self.betas) * (means[1:] + means[:-1]) / 2)])

    def _check_beta(self, beta: float) -> float:
        if not math.isfinite(beta):
            raise InputError(f"beta is {beta}; expected a finite number")
        return self._check_overlap(beta, f"beta = {beta:g} lies outside what the runs cover")

    def _check_overlap(self, beta: float, complaint: str) -> float:
        effective = self.effective_samples(beta)
        if effective < self.minimum_effective:
            raise InputError(
                f"{complaint}: at beta = {beta:g} the weights leave {effective:.1f} effective samples, and at least "
                f"{self.minimum_effective:g} are needed; the runs are at beta = "
                f"{', '.join(f'{b:g}' for b in self.betas)}: add one nearer, or run longer"
            )
        return effective


def solve_free_energies(betas: Floats, energies: Floats, counts: Floats, drawn: Floats, start: Floats) -> Floats:
    """Solve ``exp(-f_i) = sum_H c(H) exp(-beta_i H) / sum_k a_k exp(f_k - beta_k H)`` with ``f_0 = 0``.

    The f minimise the convex ``sum_H c(H) ln sum_k a_k exp(f_k - beta_k H) - sum_k a_k f_k``; Newton's method, with its
    step halved until the function falls.

    Parameters
    ----------
    betas : of the runs, shape (runs,)
    energies : distinct energies, shape (energies,)
    counts : c, weighted counts of the energies from all runs, shape (energies,)
    drawn : a, weighted counts of the runs, shape (runs,)
    start : first guess, shape (runs,)

    Returns
    -------
    f of shape (runs,)

    Raises
    ------
    NumericalError
        If the equations are not satisfied to a relative 1e-10 after 200 iterations.

    References
    ----------
    Shirts and Chodera (2008), appendix C.

    Examples
    --------
    >>> solve_free_energies(np.array([0.5]), np.arange(2.0), np.array([3.0, 2.0]), np.array([5.0]), np.zeros(1))
    array([0.])
    """
    f: Floats = start - start[0]
    boltzmann = np.log(drawn)[:, None] - np.outer(betas, energies)

    def objective(trial: Floats) -> float:
        return float(counts @ np.logaddexp.reduce(boltzmann + trial[:, None], axis=0) - drawn @ trial)

    for _ in range(_ITERATIONS):
        exponents = boltzmann + f[:, None]
        shares = np.exp(exponents - np.logaddexp.reduce(exponents, axis=0))  # of the runs in each energy
        expected = shares @ counts
        gradient = expected - drawn
        if np.all(np.abs(gradient) <= _TOLERANCE * drawn):
            return f
        hessian = np.diag(expected) - (shares * counts) @ shares.T
        step = np.zeros(len(f))
        step[1:] = -np.linalg.lstsq(hessian[1:, 1:], gradient[1:], rcond=None)[0]
        now, length = objective(f), 1.0
        # Close to the minimum the function is flat to rounding and cannot judge the step.
        while length > 1e-6 and objective(f + length * step) > now + 1e-12 * abs(now):
            length /= 2
        f = f + length * step
    raise NumericalError(
        f"the free energies of the runs at beta = {betas.tolist()} did not converge in {_ITERATIONS} iterations; "
        "the runs hardly overlap: add runs in between"
    )


def log_sum(exponents: Floats, counts: Floats) -> float:
    """``ln sum c exp(x)`` without overflow; counts that left-out blocks brought to zero do not contribute."""
    top = float(exponents[counts > 0].max())
    return top + math.log(float(counts @ np.exp(np.minimum(exponents - top, 0.0))))


def _normalised(log_weights: Floats, counts: Floats) -> Floats:
    """Weights of shape (energies, points) whose sums over the samples at all energies are one."""
    weights: Floats = np.exp(log_weights - log_weights.max(axis=0))
    weights /= counts @ weights
    return weights
