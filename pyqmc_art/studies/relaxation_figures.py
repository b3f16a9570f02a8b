"""Figure data of autocorrelation times: fields, times at criticality, exchanges, and the talk's figure."""

from __future__ import annotations

import numpy as np

from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.protocols import Curve, Figure, Panel, Picture
from pyqmc_art.studies.relaxation import REFERENCE, Relaxation, beta_label
from pyqmc_art.studies.updates import (
    FIXED_EIGHTY,
    FIXED_ZERO,
    HEAT_BATH,
    METROPOLIS,
    NEAR_EIGHTY,
    NEAR_ZERO,
    SWENDSEN_WANG,
    WOLFF_FLIPS,
)

_FREE = (METROPOLIS.label, HEAT_BATH.label, SWENDSEN_WANG.label, WOLFF_FLIPS)


def draw(relaxation: Relaxation, talk: tuple[float, float]) -> tuple[Figure, ...]:
    """All figures of the study."""
    return tuple(
        figure
        for figure in (
            fields(relaxation),
            critical(relaxation),
            talks(relaxation, talk),
            exchanges(relaxation),
        )
        if figure.panels
    )


def fields(relaxation: Relaxation) -> Figure:
    """The last configurations of the largest lattices: free and at fixed magnetization."""
    rows = ((SWENDSEN_WANG, "free"), (FIXED_ZERO, "m = 0"), (FIXED_EIGHTY, "m = 0.8"))
    pictures = []
    for update, words in rows:
        for beta in relaxation.betas():
            sizes = relaxation.sizes(update.label, beta)
            if sizes:
                field = relaxation.times[update.label, beta, sizes[-1]].field[0]
                pictures.append(Picture(f"{beta_label(beta)}, {words}", field))
    return Figure(
        "fields",
        "What the spins look like",
        "One configuration each. Free spins have domains of every size near β_c and one dominant sign beyond it. "
        "Where m is held at 0 and β is beyond β_c, the two signs must share the lattice: they separate, and the "
        "walls between them move slowly. At m = 0.8 the minority gathers in droplets, or dissolves.",
        tuple(pictures),
    )


def critical(relaxation: Relaxation) -> Figure:
    """Times of three observables and speed at beta_c for the updates that leave m free."""
    beta = ISING_CRITICAL_BETA
    panels = [
        _panel(relaxation, _FREE, beta, role, title)
        for role, title in (("order", "m²"), ("energy", "energy"), ("kmin2", "|m(k)|² at the smallest k"))
    ]
    curves = []
    for label in _FREE:
        points = [(size, relaxation.speed(label, beta, size, "order")) for size in relaxation.sizes(label, beta)]
        known = [(size, speed) for size, speed in points if speed is not None]
        x, y = [float(size) for size, _ in known], [speed.value for _, speed in known]
        curves += [Curve(label, x, y, [speed.error for _, speed in known], group=label)]
        curves += [Curve("", x, y, style="line", group=label)]
    panels.append(Panel("independent m² per CPU-second", "L", "ESS per CPU-second", tuple(curves), "log", "log"))
    return Figure(
        "critical",
        "Critical slowing down at β_c",
        "Local updates need ever more sweeps as L grows (lines: fits τ = a (L/10)^z), cluster updates hardly any "
        "more. Last panel: what that buys per CPU-second; a cluster step costs more, so look where the lines "
        "cross. Hollow markers, if any: runs too short to be fitted.",
        tuple(panel for panel in panels if panel.curves),
    )


def talks(relaxation: Relaxation, talk: tuple[float, float]) -> Figure:
    """The talk's figure measured again: heat bath and fixed magnetization at each beta."""
    labels = (HEAT_BATH.label, FIXED_ZERO.label, FIXED_EIGHTY.label)
    amplitude, exponent = talk
    panels = []
    for beta in (b for b in relaxation.betas() if b != ISING_CRITICAL_BETA):
        sizes = [s for label in labels for s in relaxation.sizes(label, beta)]
        if not sizes:
            continue
        x = np.geomspace(min(sizes), max(sizes), 2)
        curve = Curve(
            f"{amplitude} (L/10)^{exponent}, as read off the talk",
            x.tolist(),
            (amplitude * (x / REFERENCE) ** exponent).tolist(),
            style="dashed",
        )
        panel = _panel(relaxation, labels, beta, "kmin2", beta_label(beta))
        panels.append(Panel(panel.title, "L", panel.y_label, (*panel.curves, curve), "log", "log"))
    return Figure(
        "talk",
        "Heat bath and exchanges at fixed magnetization beside the talk's curve",
        "τ of |m(k)|² at the smallest momentum, in sweeps or V exchanges of any two sites. Dashed: the talk's "
        "curve, the same in every panel. See whether our points run parallel to it (the same z), and how at the "
        "larger β the free heat bath levels off while the walls and droplets of fixed m keep the exchanges slow.",
        tuple(panels),
    )


def exchanges(relaxation: Relaxation) -> Figure:
    """Exchanges of neighbours against exchanges of any two sites."""
    panels = [
        _panel(relaxation, (swift.label, near.label), ISING_CRITICAL_BETA, "kmin2", swift.label.split(",")[0])
        for swift, near in ((FIXED_ZERO, NEAR_ZERO), (FIXED_EIGHTY, NEAR_EIGHTY))
    ]
    return Figure(
        "exchanges",
        "Which spins are exchanged matters more than how often",
        "τ of |m(k)|² at β_c. Exchanging neighbours makes the magnetization diffuse, which takes ever longer on larger "
        "lattices (steeper line); exchanging any two sites does not have to carry it.",
        tuple(panel for panel in panels if panel.curves),
    )


def _panel(relaxation: Relaxation, labels: tuple[str, ...], beta: float, role: str, title: str) -> Panel:
    curves: list[Curve] = []
    for label in labels:
        for reliable, words in ((True, label), (False, f"{label} (run too short)")):
            points = relaxation.points(label, beta, role, reliable=reliable)
            if points:
                x, y = [float(size) for size, _ in points], [tau.value for _, tau in points]
                curves.append(Curve(words, x, y, [tau.error for _, tau in points], group=label))
        law = relaxation.law(label, beta, role)
        if law is not None:
            sizes = [size for size, _ in relaxation.points(label, beta, role)]
            line = np.geomspace(min(sizes), max(sizes), 2)
            curves.append(Curve("", line.tolist(), law(line).tolist(), style="line", group=label))
    return Panel(title, "L", "τ in steps", tuple(curves), "log", "log")
