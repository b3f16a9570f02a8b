"""What the autocorrelation times of a study say: an answer in words and tables of Estimates."""

from __future__ import annotations

from collections.abc import Iterable

from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.protocols import Cell, Figure, Table
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies import relaxation_figures
from pyqmc_art.studies.fits import PowerLaw
from pyqmc_art.studies.relaxation import ROLES, Relaxation, beta_label, is_ordered, role_label
from pyqmc_art.studies.times import WARMUP_IN_TAU, tunnelling_time
from pyqmc_art.studies.updates import (
    FIXED_EIGHTY,
    FIXED_ZERO,
    HEAT_BATH,
    METROPOLIS,
    NEAR_ZERO,
    SWENDSEN_WANG,
    UPDATES,
    WOLFF_FLIPS,
)

LOCAL_Z = 2.17
"""Dynamic critical exponent of local dynamics in two dimensions, the literature's."""

CONSERVED_Z = 3.75
"""4 - eta with eta = 1/4: local dynamics that conserve the magnetization."""

TALK = (1.56, 2.48)
"""a and z of the curve a (L/10)^z, as read off the talk."""

POOR = 0.01
"""A fit is called poor when chi-square would be exceeded less often than this."""


def answer(relaxation: Relaxation) -> str:
    """Say what was found, from the fits alone."""
    paragraphs = [_local(relaxation), _cluster(relaxation), _fixed(relaxation), _talk(relaxation)]
    return "\n\n".join(p for p in paragraphs if p)


def _local(relaxation: Relaxation) -> str:
    parts = [
        f"z = {_exponent(law)} for {label} ({law.exponent.deviation(LOCAL_Z):+.1f} sigma from {LOCAL_Z})"
        for label in (METROPOLIS.label, HEAT_BATH.label)
        if (law := relaxation.law(label, ISING_CRITICAL_BETA, "order"))
    ]
    if not parts:
        return ""
    return (
        f"At β_c the time of m² grows as τ = a (L/10)^z with {_joined(parts)}. The literature's {LOCAL_Z} belongs to "
        "large L; a fit over lattices as small as these sees an effective exponent, and its error is statistical only."
    )


def _cluster(relaxation: Relaxation) -> str:
    laws = {
        label: law
        for label in (SWENDSEN_WANG.label, WOLFF_FLIPS)
        if (law := relaxation.law(label, ISING_CRITICAL_BETA, "order"))
    }
    if not laws:
        return ""
    text = (
        "Cluster updates hardly slow down: "
        + _joined([f"z = {_exponent(law)} for {label}" for label, law in laws.items()])
        + " (literature: about 0.2, or a logarithm)."
    )
    return text + _advantage(relaxation)


def _advantage(relaxation: Relaxation) -> str:
    """Compare the speeds of the best local and the best cluster update on the largest common lattice."""
    local = (METROPOLIS.label, HEAT_BATH.label)
    cluster = (SWENDSEN_WANG.label, WOLFF_FLIPS)
    common = [set(relaxation.sizes(label, ISING_CRITICAL_BETA)) for label in (*local, *cluster)]
    sizes = sorted(set.intersection(*common))
    if not sizes:
        return ""
    size = sizes[-1]
    best = []
    for labels in (local, cluster):
        speeds = [(relaxation.speed(label, ISING_CRITICAL_BETA, size, "order"), label) for label in labels]
        known = [(speed.value, label) for speed, label in speeds if speed is not None]
        if not known:
            return ""
        best.append(max(known))
    (slow, slow_label), (fast, fast_label) = best
    ratio = fast / slow
    words = f"{ratio:.1f} times the" if ratio >= 1.05 else f"only {ratio:.2f} times the"
    return (
        f" At L = {size} the better of them ({fast_label.split(',')[0]}) gives {words} independent m² per CPU-second "
        f"of the better local update ({slow_label})."
    )


def _fixed(relaxation: Relaxation) -> str:
    swift = [
        f"z = {_exponent(law)} at {label.split(',')[0]}"
        for label in (FIXED_ZERO.label, FIXED_EIGHTY.label)
        if (law := relaxation.law(label, ISING_CRITICAL_BETA, "kmin2"))
    ]
    text = ""
    if swift:
        text = "At fixed magnetization exchanges of any two spins relax |m(k)|² at β_c with " + _joined(swift) + "."
    slow = relaxation.law(NEAR_ZERO.label, ISING_CRITICAL_BETA, "kmin2")
    if slow:
        text += (
            f" Exchanges of neighbours carry the magnetization from site to site and are far slower: "
            f"z = {_exponent(slow)} at m = 0 ({slow.exponent.deviation(CONSERVED_Z):+.1f} sigma from the "
            f"{CONSERVED_Z} = 4 − η of a conserved order parameter)."
        )
    return text


def _talk(relaxation: Relaxation) -> str:
    beta = next(iter(relaxation.betas()), ISING_CRITICAL_BETA)
    laws = [
        (label, law)
        for label in (HEAT_BATH.label, FIXED_ZERO.label, FIXED_EIGHTY.label)
        if (law := relaxation.law(label, beta, "kmin2"))
    ]
    if not laws:
        return ""
    parts = [f"{law.amplitude} (L/10)^z with z = {_exponent(law)} for {label}" for label, law in laws]
    nearest = min(laws, key=lambda one: abs(one[1].amplitude.value / TALK[0] - 1))
    return (
        f"The talk's curve, τ = {TALK[0]} (L/10)^{TALK[1]} as read off the talk, does not say what was measured in "
        f"which unit of time; ours at {beta_label(beta)}, for |m(k)|² in sweeps (or V exchanges): "
        f"{_joined(parts)}. Nearest in size at L = 10 is {nearest[0]}, {nearest[1].amplitude.value / TALK[0]:.1f} "
        "times the talk's."
    )


def tables(relaxation: Relaxation) -> tuple[Table, ...]:
    """Fits at each beta, times and speeds at each beta, tunnelling times."""
    betas = relaxation.betas()
    return (
        *(_fits(relaxation, beta) for beta in betas),
        *(_times(relaxation, beta) for beta in betas),
        *_tunnelling(relaxation, [b for b in betas if b >= ISING_CRITICAL_BETA]),
    )


def _fits(relaxation: Relaxation, beta: float) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for label in relaxation.labels():
        for role in ROLES:
            law = relaxation.law(label, beta, role)
            if law is None:
                continue
            used = ", ".join(str(size) for size, _ in relaxation.points(label, beta, role))
            reduced = None if law.fit.reduced is None else round(law.fit.reduced, 2)
            rows.append((label, role_label(role, beta), law.amplitude, law.exponent, reduced, used))
    return Table(
        f"fits-{beta:g}",
        f"Fits τ = a (L/10)^z at {beta_label(beta)}",
        ("update", "observable", "a", "z", "χ²/dof", "L"),
        tuple(rows),
        "Weighted fits of ln τ. The errors of a and z come from the errors of τ alone; where χ²/dof is well above "
        "1 one power does not describe these sizes"
        + (": beyond β_c the correlation length is finite and τ levels off." if is_ordered(beta) else "."),
    )


def _times(relaxation: Relaxation, beta: float) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for label in relaxation.labels():
        for size in relaxation.sizes(label, beta):
            taus = [relaxation.tau(label, beta, size, role) for role in ROLES]
            speeds = [relaxation.speed(label, beta, size, role) for role in ROLES]
            doubtful = any(not tau.reliable for tau in taus if tau is not None)
            rows.append((label, size, *taus, *map(_rate, speeds), "unreliable" if doubtful else "ok"))
    names = [role_label(role, beta) for role in ROLES]
    return Table(
        f"times-{beta:g}",
        f"Autocorrelation times and speeds at {beta_label(beta)}",
        ("update", "L", *(f"τ {name}" for name in names), *(f"ESS/s {name}" for name in names), "run"),
        tuple(rows),
        "τ in steps: one sweep, all bonds (Swendsen-Wang), V exchanges (fixed m), one sweep of all rungs "
        "(tempering). ESS/s: effective samples per CPU-second of one thread, 1/(2τ × the cost of a step without "
        "measurements). The run is ok unless the notes say what is wrong with it.",
    )


def _rate(speed: Estimate | None) -> Cell:
    """A speed to two digits: the clock of a busy machine is not worth more."""
    return None if speed is None else float(f"{speed.value:.2g}")


def _tunnelling(relaxation: Relaxation, betas: list[float]) -> Iterable[Table]:
    rows: list[tuple[Cell, ...]] = []
    for update in UPDATES:
        sizes = sorted({size for label, _, size in relaxation.times if label == update.label})
        for size in sizes:
            cells: list[Cell] = []
            for beta in betas:
                times = relaxation.times.get((update.label, beta, size))
                seen = times is not None and "magnetization" in times.series
                cells.append(tunnelling_time(times.series["magnetization"], times.every) if seen and times else None)
            if any(cell is not None for cell in cells):
                rows.append((update.label, size, *cells))
    if rows:
        yield Table(
            "tunnelling",
            "Tunnelling time of the sign of m, in steps",
            ("update", "L", *(beta_label(beta) for beta in betas)),
            tuple(rows),
            "Mean number of steps between changes of the sign of m, counted from beyond half of <|m|> to beyond "
            "half of it on the other side. A lower bound stands where fewer than ten were seen. Cluster updates "
            "choose the sign anew at every step; local ones get stuck beyond β_c, and tempering sends them over "
            "the top.",
        )


def figures(relaxation: Relaxation) -> tuple[Figure, ...]:
    """Pictures of the fields, times at criticality, and the talk's figure."""
    return relaxation_figures.draw(relaxation, TALK)


def notes(relaxation: Relaxation, length: float) -> tuple[str, ...]:
    """How the runs were made, and which of them were too short."""
    made = (
        f"Each run is doubled until all chains together are about {length:g} times the slowest τ; local updates "
        "start from configurations that clusters prepared, exchanges of neighbours from exchanges of any two, the "
        f"others warm up for {WARMUP_IN_TAU} τ or more.",
        "Times come from the Gamma method (Wolff 2004). A fit to lattices of one decade gives an effective exponent.",
    )
    reasons = []
    for (label, beta, size), times in relaxation.times.items():
        warnings = sorted({w for estimate in times.estimates.values() for w in estimate.warnings})
        if warnings:
            reasons.append(f"Not fitted: {label}, {beta_label(beta)}, L = {size}: {'; '.join(warnings)}.")
    return (*made, *reasons)


def _exponent(law: PowerLaw) -> str:
    if law.fit.freedom and law.fit.probability < POOR and law.fit.reduced is not None:
        return f"{law.exponent} (χ²/dof = {law.fit.reduced:.1f}: not one power)"
    return str(law.exponent)


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
