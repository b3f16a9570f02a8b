"""What autocorrelation times along L = 4 xi say: fits with their exponents, tables and figure data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pyqmc_art.protocols import Cell, Curve, Figure, Panel, Table
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.contestants import CLUSTER, CONTESTANTS, FLOW, FOURIER, HMC, METROPOLIS, tune_hmc
from pyqmc_art.studies.fits import PowerLaw, fit_power_law
from pyqmc_art.studies.heats import M_SQUARED, Heat, M
from pyqmc_art.studies.relaxation import REFERENCE

POOR: Final = 0.01
"""A fit is called poor when chi-square would be exceeded less often than this."""

WORK: Final = "HMC, in force evaluations"
"""The runs of HMC with tau in units of one evaluation of the force: its trajectories grow with L."""

FORCES_IN_STEP: Final = 2
"""Force evaluations in a step of the Omelyan integrator of second order."""

_NAMES: Final = ((M, "M"), (M_SQUARED, "M²"))
_LABELS: Final = tuple(
    label for c in CONTESTANTS for label in ((c.label, WORK) if c.label == HMC.label else (c.label,))
)


def find_tau(heat: Heat, label: str, name: str) -> Estimate | None:
    """tau_int of one kernel on one target, in steps or in force evaluations; None where there is none."""
    result = heat.find(HMC.label if label == WORK else label)
    tau = None if result is None else result.times.tau(name)
    if tau is None or label != WORK:
        return tau
    forces = FORCES_IN_STEP * tune_hmc(heat.size)["md_steps"]
    return Estimate(tau.value * forces, tau.error * forces, n=tau.n, warnings=tau.warnings)


def find_points(heats: Sequence[Heat], label: str, name: str, reliable: bool = True) -> list[tuple[int, Estimate]]:
    """Sizes with their tau: those to be trusted, or those not."""
    found = [(heat.size, find_tau(heat, label, name)) for heat in heats]
    return [(size, tau) for size, tau in found if tau is not None and tau.reliable == reliable]


def fit_slowing(heats: Sequence[Heat], label: str, name: str) -> PowerLaw | None:
    """Fit ``tau = a (L / 10)^z`` to the reliable points; None if there are fewer than two."""
    points = find_points(heats, label, name)
    if len(points) < 2:
        return None
    return fit_power_law([size for size, _ in points], [tau for _, tau in points], REFERENCE)


def answer(heats: Sequence[Heat]) -> str:
    """Say how each kernel slows down."""
    parts = [
        f"{label} {_exponent(law)}"
        for label in _LABELS
        if label not in (FLOW.label, FOURIER.label) and (law := fit_slowing(heats, label, _decisive(label)))
    ]
    if not parts:
        return "No kernel was measured well enough at two sizes for a fit."
    text = (
        "Along L = 4 ξ the autocorrelation time grows as τ = a (L/10)^z. z of M, for the kernel with clusters of M²: "
        f"{'; '.join(parts)}. These are effective exponents of small lattices; their errors are statistical only."
    )
    return f"{text}\n\n{_flow(heats)}".rstrip()


def _decisive(label: str) -> str:
    """The observable to quote: clusters flip the sign of M at will, and only M^2 remembers."""
    return M_SQUARED if label == CLUSTER.label else M


def _flow(heats: Sequence[Heat]) -> str:
    parts = []
    for heat in heats:
        result, tau = heat.find(FLOW.label), find_tau(heat, FLOW.label, M)
        if result is not None and tau is not None:
            accepted = f"{result.acceptance:.2f}" if result.acceptance is not None else "unknown"
            doubt = "" if tau.reliable else ", in doubt"
            parts.append(f"{tau} at L = {heat.size} (accepted {accepted}{doubt})")
    if not parts:
        return ""
    return (
        f"τ of the flow is that of its rejections: {', '.join(parts)}. It had the same number of training steps at "
        "every size; a power of L would describe this training and not the flow, which at a fixed acceptance would not "
        "slow down."
    )


def tables(heats: Sequence[Heat]) -> tuple[Table, ...]:
    """Fits, and the times behind them."""
    return _fits(heats), _times(heats)


def _fits(heats: Sequence[Heat]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for label in _LABELS:
        for name, words in _NAMES:
            law = fit_slowing(heats, label, name)
            if law is None or (label == CLUSTER.label and name == M):
                continue
            reduced = None if law.fit.reduced is None else round(law.fit.reduced, 2)
            used = ", ".join(str(size) for size, _ in find_points(heats, label, name))
            rows.append((label, words, law.amplitude, law.exponent, reduced, used))
    return Table(
        "fits",
        "Fits τ = a (L/10)^z along L = 4 ξ",
        ("kernel", "observable", "a", "z", "χ²/dof", "L"),
        tuple(rows),
        "Weighted fits of ln τ to the runs that were long enough; a dash under χ²/dof: two points determine two "
        "parameters, and nothing tests the power. Trajectories of HMC grow as L, so that z in force evaluations is the "
        "one to compare with sweeps. The M of cluster updates is left out: its sign is drawn anew at every step.",
    )


def _times(heats: Sequence[Heat]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for contestant in CONTESTANTS:
        for heat in heats:
            result = heat.find(contestant.label)
            if result is None:
                continue
            times, pace = result.times, result.pace()
            rows.append(
                (
                    contestant.label,
                    heat.size,
                    None if result.acceptance is None else round(result.acceptance, 3),
                    times.tau(M),
                    times.tau(M_SQUARED),
                    Estimate(1e6 * times.cpu_seconds, 1e6 * times.cpu_error),
                    None if pace is None else Estimate(pace.value, pace.error),
                    None if result.training is None else round(result.training, 1),
                    "ok" if not result.warnings() else "in doubt",
                )
            )
    return Table(
        "times",
        "Autocorrelation times along L = 4 ξ",
        ("kernel", "L", "accepted", "τ M", "τ M²", "µs per step", "ESS/s", "training, CPU-s", "run"),
        tuple(rows),
        "τ in steps: a sweep, a trajectory, a draw, each part of a composition once. µs: one step of one chain on one "
        "thread. ESS/s: effective samples of the slower of M and M² per CPU-second, training not counted. What is in "
        "doubt is explained in the notes, and not fitted.",
    )


def figures(heats: Sequence[Heat]) -> tuple[Figure, ...]:
    """Times against L for both observables, and what an effective sample costs."""
    panels = (*(_panel(heats, name, words) for name, words in _NAMES), _costs(heats))
    return (
        Figure(
            "slowing",
            "Critical slowing down along L = 4 ξ",
            "τ in steps against L; lines are fits τ = a (L/10)^z. Last panel: CPU time of an effective sample (of the "
            "slower of M and M²) for each site, where a kernel that does not slow down is flat; training is not in it.",
            panels,
        ),
    )


def _panel(heats: Sequence[Heat], name: str, title: str) -> Panel:
    curves: list[Curve] = []
    for label in (c.label for c in CONTESTANTS):
        for reliable, words in ((True, label), (False, f"{label} (in doubt)")):
            points = find_points(heats, label, name, reliable)
            if points:
                x, y = [float(size) for size, _ in points], [tau.value for _, tau in points]
                curves.append(Curve(words, x, y, [tau.error for _, tau in points], group=label))
        law = fit_slowing(heats, label, name)
        if law is not None:
            sizes = [size for size, _ in find_points(heats, label, name)]
            line = np.geomspace(min(sizes), max(sizes), 2)
            curves.append(Curve("", line.tolist(), law(line).tolist(), style="line", group=label))
    return Panel(title, "L = 4 ξ", "τ in steps", tuple(curves), "log", "log")


def _costs(heats: Sequence[Heat]) -> Panel:
    curves: list[Curve] = []
    for contestant in CONTESTANTS:
        points = [(heat, heat.find(contestant.label)) for heat in heats]
        known = [(heat, pace) for heat, r in points if r is not None and (pace := r.pace()) is not None]
        if known:
            x = [float(heat.size) for heat, _ in known]
            y = [1e6 / (pace.value * heat.action.lattice.sites) for heat, pace in known]
            error = [value * pace.error / pace.value for value, (_, pace) in zip(y, known, strict=True)]
            curves.append(Curve(contestant.label, x, y, error, group=contestant.label))
            curves.append(Curve("", x, y, style="line", group=contestant.label))
    return Panel("cost of an effective sample", "L = 4 ξ", "CPU-µs for each site", tuple(curves), "log", "log")


def notes(heats: Sequence[Heat]) -> tuple[str, ...]:
    """How the runs were made, and which of them were too short."""
    made = [
        "m² = −4, convention A, λ from the literature for ξ = L/4. One thread; all chains start from fields that HMC "
        f"prepared. HMC has trajectories of length L/4, randomised by 30 %; {METROPOLIS.label} tunes its proposals "
        "first. Learned kernels are trained anew at every size, for the same number of steps.",
    ]
    made += [
        f"Not fitted: {r.contestant.label}, L = {heat.size}: {'; '.join(r.warnings())}."
        for heat in heats
        for r in heat.results
        if r.warnings()
    ]
    return tuple(made)


def _exponent(law: PowerLaw) -> str:
    if not law.fit.freedom:
        return f"{law.exponent} (two points)"
    if law.fit.probability < POOR and law.fit.reduced is not None:
        return f"{law.exponent} (χ²/dof = {law.fit.reduced:.1f}: not one power)"
    return str(law.exponent)
