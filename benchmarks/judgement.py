"""First correct: what has to be shown before a time is reported.

Two judgements, each within the alpha budget of :mod:`pyqmc_art.testing.verdict`. Our own kernels start in exact
equilibrium on a lattice small enough to enumerate and have to stay there. Everybody, peers included, starts in
equilibrium at the size that is timed, and the mean energy of independent configurations has to stay where it belongs:
at Kaufman's value, with the standard error that Kaufman's specific heat gives (no error is estimated), or where nothing
is known exactly, at the value another algorithm finds, with Gamma-method errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.stats import t as student

from benchmarks.contenders import Ours, Runner, steps_to_judge
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kaufman import kaufman
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream
from pyqmc_art.stats import Estimate, gamma_method
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.verdict import BUDGET, compare, equilibrium_p_value, kernel_step

SMALL: Final = {1: (6,), 2: (4, 4), 3: (2, 2, 2), 4: (2, 2, 2, 2)}
"""Shapes small enough to enumerate with two states to a site; with more states two axes are (2, 4) or (2, 3)."""

DRAWS: Final = 100_000
"""Exact starts; on 4 x 4 sites so many see an error of 1 % in beta."""


@dataclass(frozen=True)
class Reference:
    """Energy per site that a contender has to find.

    Parameters
    ----------
    value, error : <H>/V and its standard error, 0 if it is exact
    spread : standard deviation of the energy of one equilibrium configuration
    source : where they come from
    freedom : degrees of freedom behind ``error`` and ``spread``, infinite if they are exact
    """

    value: float
    error: float
    spread: float
    source: str
    freedom: float = math.inf


@dataclass(frozen=True)
class Verdict:
    """What was found, and whether it is right; numbers that were not asked for are None."""

    passed: bool
    source: str
    reference: float | None = None
    value: float | None = None
    error: float | None = None
    deviation: float | None = None
    p_value: float | None = None
    small_p_value: float | None = None

    @property
    def summary(self) -> str:
        """Say in one line what was compared."""
        parts = []
        if self.deviation is not None:
            parts.append(f"energy {self.value:.5f} +- {self.error:.5f}, {self.source} {self.reference:.5f}")
            parts.append(f"{self.deviation:+.1f} sigma")
        if self.small_p_value is not None:
            parts.append(f"p = {self.small_p_value:.2g} on an enumerable lattice")
        return "; ".join(parts)


def exact_reference(case: Case) -> Reference | None:
    """Kaufman's energy and specific heat, None where they do not apply."""
    if not isinstance(case.action, Ising):
        return None
    try:
        exact = kaufman(case.action)
    except InputError:
        return None
    spread = math.sqrt(exact.specific_heat / case.action.lattice.sites) / case.action.beta
    return Reference(exact.energy, 0.0, spread, "Kaufman")


def measured_reference(case: Case, fields: Field, stream: Stream, measurements: int = 100) -> Reference:
    """Energy by another kernel than the case's, with the error of the Gamma method."""
    kernel = "wolff" if case.kernel == "swendsen-wang" else "swendsen-wang"
    runner = Ours().load(replace(case, kernel=kernel, options={}), fields, stream)
    # As many steps between two measurements as turn about every spin once.
    every = max(1, round(10 * fields.size / runner.run(10)))
    energies = np.empty((measurements, len(fields)))
    for row in energies:
        runner.run(every)
        row[:] = energies_per_site(case, runner.fields())
    estimate = gamma_method(energies)
    freedom = max(1.0, (estimate.ess or 0.0) - 1)
    return Reference(estimate.value, estimate.error, float(energies.std()), f"our {kernel}", freedom)


def energies_per_site(case: Case, fields: Field) -> np.ndarray[Any, np.dtype[np.float64]]:
    """H/V of each field by our own action, whoever made them."""
    return np.asarray(case.action(fields) / (case.action.beta * case.action.lattice.sites))


def judge(case: Case, runner: Runner, reference: Reference | None, small_p_value: float | None = None) -> Verdict:
    """Let a contender move equilibrium configurations, and see whether they stay in equilibrium.

    A runner that leaves a configuration as it was has shown nothing, and does not pass.

    Raises
    ------
    InputError
        If there is nothing to hold it against, neither a reference nor exact starts.
    """
    if reference is None and small_p_value is None:
        raise InputError(f"{case.name} has no reference and no exact starts: nothing can be judged")
    before = runner.fields()
    runner.run(steps_to_judge(case))
    after = runner.fields()
    moved = bool(np.all((after != before).reshape(len(after), -1).any(axis=1)))
    sums = after.reshape(len(after), -1).sum(axis=1, dtype=np.int64)
    kept = case.spin_sum is None or bool(np.all(sums == case.spin_sum))
    small = small_p_value is None or BUDGET.passes(small_p_value)
    passed = moved and kept and small
    if reference is None:
        return Verdict(passed, "exact starts", small_p_value=small_p_value)
    energies = energies_per_site(case, after)
    error = math.hypot(reference.spread / math.sqrt(len(energies)), reference.error)
    found = compare(Estimate(float(energies.mean()), error), reference.value)
    p_value = found.p_value
    if math.isfinite(reference.freedom):
        p_value = float(2 * student.sf(abs(found.deviation), reference.freedom))
    return Verdict(
        passed and BUDGET.passes(p_value),
        reference.source,
        reference.value,
        found.value,
        error,
        found.deviation,
        p_value,
        small_p_value,
    )


def judge_small(ours: Ours, case: Case) -> float:
    """p-value of exact starts that have to stay in equilibrium, on a lattice small enough to enumerate."""
    lattice = case.action.lattice
    shape = SMALL[lattice.dimension]
    if isinstance(case.action, Potts) and lattice.dimension == 2:
        shape = (2, 4) if case.action.q < 6 else (2, 3)
    small = replace(case, action=replace(case.action, lattice=Lattice(shape, lattice.kind)))
    stream = Stream.from_seed(1).fold(case.kernel)
    with ours.chosen():
        step = kernel_step(small.build(ours.backend, threads=ours.threads), stream)
        return equilibrium_p_value(small.action, step, DRAWS, stream.fold("start"), k=3, spin_sum=small.spin_sum)
