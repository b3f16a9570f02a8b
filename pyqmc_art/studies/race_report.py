"""What a race says: who gives the most effective samples per CPU-second, what training cost, and when it has paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyqmc_art.protocols import Cell, Curve, Figure, Panel, Table
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.contestants import CONTESTANTS, FLOW, HMC
from pyqmc_art.studies.heats import M_SQUARED, Heat, M, Result, break_even

DISAGREES: Final = 1e-3
"""Averages of M^2 that scatter like this, or more, less often than so are called contradictory."""

_COLUMNS: Final = (
    "#", "kernel", "τ M", "τ M²", "ESS/s M", "ESS/s M²", "training", "pays after", "run"
)  # fmt: skip


def answer(heats: Sequence[Heat]) -> str:
    """Say who won, where training pays, and what the flow is worth beside HMC."""
    paragraphs = [_winners(heats), _training(heats), _flow(heats), _broken(heats)]
    return "\n\n".join(p for p in paragraphs if p)


def _winners(heats: Sequence[Heat]) -> str:
    """The fastest kernel of every target, HMC always beside it."""
    parts = []
    for heat in heats:
        known = [r for r in heat.ranked() if _measured(r)]
        if not known:
            parts.append(f"{heat.label}: no run was long enough to tell")
            continue
        first, hmc = known[0], heat.find(HMC.label)
        text = f"{heat.label}: {first.contestant.label}, {_text(first.pace())}"
        if hmc is not None and hmc is not first:
            text += f" (HMC {_against(hmc)})"
        parts.append(text)
    return f"Most effective samples per CPU-second of the slower of M and M², training not counted: {'; '.join(parts)}."


def _against(hmc: Result) -> str:
    pace = hmc.pace()
    if pace is None:
        return f"less than {_plain(hmc.fastest())}"
    return _text(pace) if pace.reliable else f"about {_plain(pace.value)}, in doubt"


def _training(heats: Sequence[Heat]) -> str:
    """Where a trained kernel beats the best one that needs no training."""
    pays, total = [], 0
    for heat in heats:
        rival = heat.untrained()
        for result in heat.results:
            number = break_even(result, rival)
            total += isinstance(number, Estimate) or number == "never"
            if isinstance(number, Estimate) and rival is not None:
                pays.append(
                    f"{result.contestant.label} at {heat.label} after {number} effective samples "
                    f"(beside {rival.contestant.label})"
                )
    if not total:
        return ""
    count = f"{len(pays)} of the {total}" if pays else f"none of the {total}"
    return f"Training pays in {count} cases that can be decided{': ' if pays else ''}{'; '.join(pays)}."


def _flow(heats: Sequence[Heat]) -> str:
    """The flow beside HMC, size by size, on the symmetric side."""
    parts = []
    for heat in heats:
        flow, hmc = heat.find(FLOW.label), heat.find(HMC.label)
        if heat.broken or flow is None or hmc is None:
            continue
        own, other = flow.pace(), hmc.pace()
        if own is None or other is None:
            continue
        accepted = f"{flow.acceptance:.2f}" if flow.acceptance is not None else "unknown"
        doubt = "" if own.reliable and other.reliable else ", a run too short to be sure"
        parts.append(f"{own.value / other.value:.2g} at L = {heat.size} (accepted {accepted}{doubt})")
    if not parts:
        return ""
    return (
        f"Speed of the flow in units of that of HMC, training not counted: {', '.join(parts)}. Draws of a flow "
        "hardly depend on each other where it fits, and each costs many steps of HMC; what it would win on large "
        "lattices it loses with its acceptance, unless its training grows too."
    )


def _broken(heats: Sequence[Heat]) -> str:
    parts = []
    for heat in heats:
        if heat.broken:
            stuck = [r.contestant.label for r in heat.results if r.stuck]
            parts.append(f"{heat.label}: {', '.join(stuck) or 'none'}")
    if not parts:
        return ""
    return (
        "With two phases a kernel that does not tunnel has no effective sample of M, whatever its M² says. Fewer than "
        f"ten changes of sign were seen of: {'; '.join(parts)}. (The flip φ → −φ of the whole field is an exact "
        "symmetry and costs nothing: composed with it, M² is what ranks. It is left out, because other targets have "
        "no such symmetry.)"
    )


def tables(heats: Sequence[Heat]) -> tuple[Table, ...]:
    """The ranking on every target, and what else the kernels need."""
    return (*(_ranking(heat) for heat in heats), *(_needs(heat) for heat in heats))


def _ranking(heat: Heat) -> Table:
    rows: list[tuple[Cell, ...]] = []
    rival = heat.untrained()
    for rank, result in enumerate(heat.ranked(), start=1):
        speed = result.speed(M)
        rows.append(
            (
                rank if result.pace() is not None else None,
                result.contestant.label,
                None if result.stuck else result.times.tau(M),
                result.times.tau(M_SQUARED),
                f"< {_plain(result.fastest())}" if speed is None else _digits(speed),
                _digits(result.speed(M_SQUARED)),
                None if result.training is None else round(result.training, 1),
                _digits(paid) if isinstance(paid := break_even(result, rival), Estimate) else paid,
                _state(result),
            )
        )
    side = "two phases" if heat.broken else "L/ξ = 4"
    best = "" if rival is None else f" Beside {rival.contestant.label}, the best that needs none."
    return Table(
        f"race-{'broken' if heat.broken else 'diagonal'}-{heat.size}",
        f"{heat.label}, {side}: ranked by effective samples per CPU-second of the slower of M and M²",
        _COLUMNS,
        tuple(rows),
        "τ in steps; a step is a sweep, a trajectory, a draw, or each part of a composition once. ESS/s = 1/(2τ × "
        "CPU time of a step of one chain on one thread, measurements not counted). Pays after: how many effective "
        f"samples until training (in CPU-seconds) and sampling together took less time than sampling without it.{best} "
        "What is in doubt is explained in the notes; its place is a guess.",
    )


def _measured(result: Result) -> bool:
    pace = result.pace()
    return pace is not None and pace.reliable


def _state(result: Result) -> str:
    doubtful = [words for name, words in ((M, "M"), (M_SQUARED, "M²")) if result.times.estimates[name].warnings]
    return f"{'both' if len(doubtful) == 2 else doubtful[0]} in doubt" if doubtful else "ok"


def _needs(heat: Heat) -> Table:
    """Memory, and the averages that all kernels must agree on."""
    rows: list[tuple[Cell, ...]] = []
    volume = heat.action.lattice.sites
    for result in heat.results:
        mean = result.times.estimates[M_SQUARED]
        susceptibility = Estimate(volume * mean.value, volume * mean.error)
        state, weights = round(result.kept / 1024, 2), round(result.weights / 1024, 1) if result.weights else None
        accepted = None if result.acceptance is None else round(result.acceptance, 3)
        cost = Estimate(1e6 * result.times.cpu_seconds, 1e6 * result.times.cpu_error)
        both = (susceptibility, *((result.tunnelling(),) if heat.broken else ()))
        rows.append((result.contestant.label, accepted, cost, *both, result.times.steps, state, weights))
    agreement = heat.agreement()
    columns = ("⟨M²⟩/V", *(("tunnelling",) if heat.broken else ()))
    words = "" if agreement is None else f" χ² over {agreement[1]} reliable runs: p = {agreement[0]:.2g}."
    return Table(
        f"needs-{'broken' if heat.broken else 'diagonal'}-{heat.size}",
        f"{heat.label}: what a step costs, do they agree, and what do they keep?",
        ("kernel", "accepted", "µs/step", *columns, "steps", "state, KiB", "weights, KiB"),
        tuple(rows),
        f"All kernels are exact, so ⟨M²⟩/V must be one number.{words} Steps: measured, of all chains together. "
        "Memory: what one chain keeps from step to step, and what is trained; the libraries, and room for the numbers "
        "between layers, come on top for flows.",
    )


def figures(heats: Sequence[Heat]) -> tuple[Figure, ...]:
    """Speeds of all kernels side by side, and against the lattice size."""
    return tuple(figure for figure in (_bars(heats), _sizes(heats)) if figure.panels)


def _bars(heats: Sequence[Heat]) -> Figure:
    """One panel a target, one position a kernel, in the order of the ranking."""
    panels = []
    for heat in heats:
        ranked = [r for r in heat.ranked() if r.speed(M_SQUARED)]
        curves = []
        for name, words in ((M, "M"), (M_SQUARED, "M²")):
            known = [(k, s) for k, r in enumerate(ranked) if (s := r.speed(name)) is not None]
            curves.append(
                Curve(words, [float(k) for k, _ in known], [s.value for _, s in known], [s.error for _, s in known])
            )
        categories = tuple(r.contestant.label for r in ranked)
        panels.append(Panel(heat.label, "", "ESS per CPU-second", tuple(curves), y_scale="log", categories=categories))
    return Figure(
        "speeds",
        "Effective samples per CPU-second",
        "Each kernel on one thread, training not counted, in the order of the ranking. A kernel without a point for M "
        "did not change the sign of M often enough.",
        tuple(panels),
    )


def _sizes(heats: Sequence[Heat]) -> Figure:
    """Speed against L on the symmetric side."""
    diagonal = [heat for heat in heats if not heat.broken]
    curves = []
    for contestant in CONTESTANTS:
        points = [(heat.size, heat.find(contestant.label)) for heat in diagonal]
        known = [(size, s) for size, r in points if r is not None and (s := r.pace()) is not None]
        x, y = [float(size) for size, _ in known], [s.value for _, s in known]
        if known:
            curves.append(Curve(contestant.label, x, y, [s.error for _, s in known], group=contestant.label))
            curves.append(Curve("", x, y, style="line", group=contestant.label))
    panels = (Panel("the slower of M and M²", "L = 4 ξ", "ESS per CPU-second", tuple(curves), "log", "log"),)
    return Figure(
        "sizes",
        "What remains of the speed on larger lattices",
        "Effective samples of the slower of M and M² per CPU-second along L/ξ = 4, training not counted. Lines join "
        "the points.",
        panels if len(diagonal) > 1 else (),
    )


def notes(heats: Sequence[Heat], flow_sizes: Sequence[int]) -> tuple[str, ...]:
    """How the race was run, what was left out, and which runs were too short."""
    made = [
        "m² = −4, convention A; λ as in each title. One thread; all chains start from fields that HMC (with two "
        "phases: clusters) prepared. HMC has trajectories of length L/4 = ξ, randomised by 30 %, and Omelyan steps "
        "that shrink as L^(−1/2); it was not tuned further. The transforms of Fourier-accelerated HMC run in NumPy, "
        "one field at a time, and compositions are put together in Python: their times per step say so. Clusters: a "
        "Metropolis sweep and a Swendsen-Wang step, for clusters alone change no modulus.",
        "Flows draw 64 chains in one call; fewer would cost more each. Training includes the fields it learns from and "
        "the judgement on the way. CPU times are of this machine as busy as it was.",
    ]
    without = [str(heat.size) for heat in heats if heat.find(FLOW.label) is None]
    if without:
        made.append(
            f"No flow of the whole lattice was trained at L = {', '.join(without)} (flow_sizes is "
            f"{', '.join(map(str, flow_sizes)) or 'empty'}): training would have taken most of the time of the study."
        )
    for heat in heats:
        agreement = heat.agreement()
        if agreement is not None and agreement[0] < DISAGREES:
            made.append(f"Contradiction at {heat.label}: the averages of M² scatter with p = {agreement[0]:.1g}.")
        made += [
            f"In doubt: {r.contestant.label}, {heat.label}: {'; '.join(r.warnings())}."
            for r in heat.results
            if r.warnings()
        ]
    return tuple(made)


def _digits(speed: Estimate | None) -> Cell:
    """A number with its error."""
    return None if speed is None else Estimate(speed.value, speed.error)


def _text(speed: Estimate | None) -> str:
    return "–" if speed is None else str(speed)


def _plain(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"


__all__ = ["answer", "figures", "notes", "tables"]
