"""The exactness certificate: every kernel of this machine against exact targets, within one budget of false alarms.

First the oracle is held against itself, then every variant of this machine (backends, instruction sets, threads) must
write the same bytes, then the default backend is judged: by its transitions, from exact starts, and by long runs whose
energy is known. Some of the shapes and couplings are drawn from the seed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from pyqmc_art.backends import resolve
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.enumeration import SpinAction, exact_moments
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.lattice.kaufman import kaufman
from pyqmc_art.lattice.kernels.stepwise import DiscreteKernel
from pyqmc_art.lattice.thermodynamics import Thermodynamics
from pyqmc_art.lattice.transfer import transfer_matrix
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Cell, Findings, Monitor, Table
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.testing import cases
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.field_trials import plan_fields
from pyqmc_art.testing.flow_trials import judge_flows
from pyqmc_art.testing.row import Row, Trial
from pyqmc_art.testing.trials import estimate_means, exact_start_p_value, list_variants, run_variant
from pyqmc_art.testing.verdict import (
    AlphaBudget,
    ChainStructure,
    chain_structure,
    compare,
    kernel_step,
    sampled_transitions,
)

FALSE_ALARM: Final = 1e-6
"""Probability that a certificate fails although everything is correct, at most."""

COLUMNS: Final = ("kernel", "target", "exact value", "measured", "deviation in sigma", "p-value", "verdict")
_NUMERIC: Final = range(2, 6)

_FEW: Final = 128
_MANY: Final = 2**16
_TRANSITIONS: Final = 1000
_ROUNDING: Final = 1e-10

Builder = Callable[[Case], DiscreteKernel]
Method = Callable[[Any], Thermodynamics]


@dataclass(frozen=True)
class Effort:
    """How much is done: draws of each exact start, steps of it, and the size of the long runs."""

    draws: int
    moves: int
    replicas: int
    warmup: int
    steps: int
    drawn: int


QUICK: Final = Effort(draws=100_000, moves=6, replicas=16, warmup=1000, steps=4000, drawn=4)
THOROUGH: Final = Effort(draws=200_000, moves=10, replicas=24, warmup=2000, steps=12_000, drawn=12)


@dataclass(frozen=True)
class Certificate:
    """All judgements of one run of ``certify``.

    Attributes
    ----------
    rows : one for each judgement
    configuration : seed, backend in use, extent
    seconds : how long it took
    """

    rows: tuple[Row, ...]
    configuration: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def budget(self) -> AlphaBudget:
        """False alarms shared by all rows with a p-value (Bonferroni)."""
        return AlphaBudget(FALSE_ALARM, max(1, sum(row.p_value is not None for row in self.rows)))

    def holds(self, row: Row) -> bool:
        """Whether a row is no reason for an alarm."""
        return row.sound and (row.p_value is None or self.budget.passes(row.p_value))

    @property
    def passed(self) -> bool:
        """Whether every row holds."""
        return all(self.holds(row) for row in self.rows)

    @property
    def answer(self) -> str:
        """The result in one sentence."""
        failed = sum(not self.holds(row) for row in self.rows)
        skipped = sum(bool(row.skipped) for row in self.rows)
        made = len(self.rows) - skipped
        backend = self.configuration.get("backend")
        said = f"{failed} of {made} judgements FAILED" if failed else f"All {made} judgements hold"
        return f"{said} on the backend {backend}." + (f" Skipped: {skipped}." if skipped else "")

    @property
    def caption(self) -> str:
        """What the verdicts mean, and what the variants are."""
        return (
            f"A row fails below p = {self.budget.alpha:.2g}: where everything is correct, a certificate fails with "
            f"probability {FALSE_ALARM:g} at most. Rows without a p-value are true or false. "
            f"Variants: {'; '.join(self.configuration.get('variants', ()))}."
        )

    @property
    def findings(self) -> Findings:
        """The certificate as a study's findings: one table."""
        table = Table(
            "certificate",
            "Every kernel against exact targets",
            COLUMNS,
            tuple(self._cells(row) for row in self.rows),
            caption=self.caption,
        )
        return Findings(
            study="verify",
            question="Does every kernel of this machine sample exactly what it claims to?",
            answer=self.answer,
            tables=(table,),
            configuration=self.configuration,
            seconds=self.seconds,
        )

    def _verdict(self, row: Row) -> str:
        if row.skipped:
            return f"skipped: {row.skipped}"
        return "ok" if self.holds(row) else "FAILED"

    def _cells(self, row: Row) -> tuple[Cell, ...]:
        return row.kernel, row.target, row.exact, row.measured, row.deviation, row.p_value, self._verdict(row)

    def render_text(self) -> str:
        """Return the table with aligned columns, and the answer below it."""
        lines = [list(COLUMNS)] + [[_text(cell, i) for i, cell in enumerate(self._cells(row))] for row in self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
        aligned = [
            "  ".join(
                t.rjust(w) if i in _NUMERIC else t.ljust(w) for i, (t, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        rule = "  ".join("-" * w for w in widths)
        body = [line.rstrip() for line in aligned[1:]]
        return "\n".join([aligned[0].rstrip(), rule, *body, "", self.caption, f"{self.answer} ({self.seconds:.0f} s)"])

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON can hold it: what is not finite becomes None."""
        return {
            "passed": self.passed,
            "answer": self.answer,
            "false_alarm": FALSE_ALARM,
            "alpha": self.budget.alpha,
            "seconds": self.seconds,
            "configuration": self.configuration,
            "rows": [self._row_json(row) for row in self.rows],
        }

    def _row_json(self, row: Row) -> dict[str, Any]:
        measured = row.measured
        numbers = {
            "exact": row.exact,
            "measured": measured.value if isinstance(measured, Estimate) else measured,
            "error": measured.error if isinstance(measured, Estimate) else None,
            "deviation": row.deviation,
            "p_value": row.p_value,
        }
        finite = {k: v if v is not None and math.isfinite(v) else None for k, v in numbers.items()}
        verdict = {"verdict": self._verdict(row).lower()}
        if row.skipped:
            verdict = {"verdict": "skipped", "reason": row.skipped}
        return {"kernel": row.kernel, "target": row.target, **finite, **verdict}


def _text(cell: Cell, column: int) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return format(cell, {4: "+.2f", 5: ".3g"}.get(column, ".8f"))
    return str(cell)


def certify(
    all: bool = False,
    seed: int = 0,
    monitor: Monitor | None = None,
    build: Builder = Case.build,
    catalogue: Sequence[Case] | None = None,
    effort: Effort | None = None,
) -> Certificate:
    """Judge every kernel on this machine against exact targets.

    Parameters
    ----------
    all : the whole catalogue and more samples; several minutes instead of one
    seed : of all random numbers, and of some of the shapes and couplings
    monitor : hears the progress
    build : makes the kernel of a case; a power test gives one that makes broken kernels
    catalogue : judge these cases only: from exact starts what can be enumerated quickly, the others by their energy
    effort : how much is done, instead of what ``all`` says

    Examples
    --------
    >>> case = Case("wolff", Ising(Lattice((3, 3)), beta=0.3))
    >>> certificate = certify(catalogue=[case], effort=Effort(10_000, 2, 4, 100, 500, 0))
    >>> certificate.passed, certificate.rows[-1].kernel
    (True, 'wolff')
    """
    begun = time.perf_counter()
    effort = effort or (THOROUGH if all else QUICK)
    trials = _plan(all, Stream.from_seed(seed).fold("verify"), build, catalogue, effort)
    monitor = monitor or Silent()
    monitor.start("verify", len(trials))
    rows: list[Row] = []
    try:
        for trial in trials:
            rows += trial()
            monitor.advance(1)
    finally:
        monitor.finish()
    configuration = {
        "seed": seed,
        "all": all,
        "backend": resolve(),
        "variants": [variant.label for variant in list_variants()],
    }
    return Certificate(tuple(rows), configuration, time.perf_counter() - begun)


def _plan(
    everything: bool, stream: Stream, build: Builder, catalogue: Sequence[Case] | None, effort: Effort
) -> list[Trial]:
    """All trials in the order of the table, each a function of nothing that returns its rows."""
    plan: list[Trial] = [partial(_judge_oracle, *pair) for pair in _oracles()]
    if catalogue is None:
        plan += [partial(_judge_bytes, case, stream) for case in cases.PORTABLE]
        tiny = [case for case in cases.IRREDUCIBLE if everything or case.configurations <= _FEW]
        plan += [partial(_judge_transitions, case, build, stream) for case in tiny]
        enumerable = [*(cases.EXACT if everything else cases.REPRESENTATIVE), *cases.LADDERS]
        known = [*cases.ENERGIES, *cases.draw_cases(stream.fold("drawn"), effort.drawn)]
        fields = plan_fields(stream, build, effort.draws // 8, effort.moves, effort.replicas, effort.steps // 2)
        fields += [partial(judge_flows, stream, effort.draws // 8, effort.moves)] if everything else []
    else:
        fields = []
        enumerable = [case for case in catalogue if case.configurations <= _MANY]
        known = [case for case in catalogue if case.configurations > _MANY]
    plan += [partial(_judge_exact_start, case, build, stream, effort) for case in enumerable]
    plan += [partial(_judge_means, case, build, stream, effort) for case in known]
    return plan + fields


def _oracles() -> list[tuple[SpinAction, str, Method, str, Method]]:
    """Actions to which two exact methods apply."""
    enumeration, transfer, closed = (
        ("enumeration", _enumerated),
        ("transfer matrix", transfer_matrix),
        ("Kaufman", kaufman),
    )
    return [
        (Ising(Lattice((3, 5)), 0.44), *closed, *enumeration),
        (Ising(Lattice((4, 4)), 0.6, J=-1.0), *closed, *enumeration),
        (Ising(Lattice((2, 7)), 0.4, h=-0.2), *transfer, *enumeration),
        (Potts(Lattice((3, 4)), 3, 0.9), *transfer, *enumeration),
        (Ising(Lattice((6, 11)), ISING_CRITICAL_BETA), *closed, *transfer),
    ]


def _enumerated(action: SpinAction) -> Thermodynamics:
    moments = exact_moments(action)
    return Thermodynamics(moments.log_partition, moments.energy, moments.specific_heat, "enumeration")


def _judge_oracle(action: SpinAction, name: str, method: Method, other_name: str, other: Method) -> list[Row]:
    one, two = method(action), other(action)
    pairs = [(getattr(one, key), getattr(two, key)) for key in ("log_partition", "energy", "specific_heat")]
    sound = all(math.isclose(a, b, rel_tol=_ROUNDING, abs_tol=_ROUNDING) for a, b in pairs)
    target = f"ln Z by {name} = {other_name}, {Case('', action).target}"
    return [Row("(oracle)", target, exact=two.log_partition, measured=one.log_partition, sound=sound)]


def _judge_bytes(case: Case, stream: Stream) -> list[Row]:
    """A small lattice on all variants, and one worth several threads on all but plain Python."""
    large = replace(case, action=replace(case.action, lattice=Lattice((96, 64))))
    sound = True
    for each, replicas, steps in ((case, 2, 4), (large, 4, 4)):
        variants = [v for v in list_variants() if each is case or v.backend != "python"]
        sound &= len({run_variant(each, v, stream.fold(each.name), replicas, steps) for v in variants}) <= 1
    return [Row(case.title, f"same bytes on {len(list_variants())} variants, {case.target}", sound=sound)]


def _judge_transitions(case: Case, build: Builder, stream: Stream) -> list[Row]:
    step = kernel_step(build(case), stream.fold("transitions of " + case.name))
    structure = chain_structure(sampled_transitions(case.action, step, _TRANSITIONS, case.spin_sum))
    target = f"irreducible, aperiodic, {case.target}"
    return [Row(case.title, target, sound=structure == ChainStructure(1, 1))]


def _judge_exact_start(case: Case, build: Builder, stream: Stream, effort: Effort) -> list[Row]:
    own = stream.fold("exact starts of " + case.name)
    p_value = exact_start_p_value(case, build(case), effort.draws, own, effort.moves)
    return [Row(case.title, f"exact starts, {case.target}", p_value=p_value)]


def _judge_means(case: Case, build: Builder, stream: Stream, effort: Effort) -> list[Row]:
    own, exact = stream.fold("means of " + case.name), case.exact_values()
    means = estimate_means(build(case), own, exact, effort.replicas, effort.warmup, effort.steps)
    rows = []
    for name, estimates in means.items():
        for target, value, estimate in zip(case.targets, exact[name], estimates, strict=True):
            found = compare(estimate, value)
            of = replace(case, action=target).target
            rows.append(Row(case.title, f"{name}, {of}", value, estimate, found.deviation, found.p_value))
    return rows
