"""What the study of mode collapse found, as tables and figure data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.modes import CONFIDENCE, TENTH
from pyqmc_art.protocols import Cell, Curve, Figure, Findings, Panel, Table
from pyqmc_art.stats.estimate import Estimate

if TYPE_CHECKING:
    from pyqmc_art.studies.mode_collapse import Trained, Walk

Floats = NDArray[np.float64]

_BINS: Final = 40
_SHOWN: Final = 200  # steps of a walk
_VERDICTS: Final = (
    f"Lost: the share of draws in a phase lies below {TENTH:g} of the target's, with the upper end of an interval of "
    f"{CONFIDENCE:.1%} (Clopper and Pearson). Hollow: drawn often enough, but more than {TENTH:g} of the target's "
    "fields in that phase have a larger weight than any draw there: unseen. Undecided: the weights of the draws rest "
    "on too few to judge by. Gaps: all but a few fields of both phases are reached, and the weights of those few are "
    "so large that the ESS by fields is below a tenth of the draws' own. The share of weights is what reweighted draws "
    "take for the share of M > 0; by symmetry it is 1/2. ln Z is compared with annealed importance sampling, in which "
    "no flow takes part; a flow that sees one of two phases is ln 2 = 0.693 too low, and its error does not know."
)
_DRAWS: Final = "N draws of each flow. A flow that has lost a phase has the numbers of a good flow for one phase."
_LIMITS: Final = (
    "E_q[ln w] is a lower bound of ln Z; E_p[ln w], over fields of the target that are independent of the training, is "
    "an upper one (at the last evaluation). The ESS by fields is 1/(E_p[w] E_p[1/w]); it hangs on the one field that "
    "fits the flow least, and where it is tiny its order alone is given."
)
_WALKS: Final = (
    "32 chains of each kernel, all started in the phase of positive magnetization; the first quarter of the steps is "
    "left out. Of each way the flow that draws one phase most rarely takes part. Every kernel is exact, and its share "
    "tends to 1/2. A kernel that does not cross in the time given reports another share with a small error, or with "
    "none: error bars know of fluctuations that were seen."
)


def tell(
    name: str,
    question: str,
    flows: Sequence[Trained],
    walks: Sequence[Walk],
    reference: Estimate,
    modes: Mapping[str, Floats],
    configuration: Mapping[str, Any],
    seconds: float,
) -> Findings:
    """Put what was measured into words, tables and figures."""
    return Findings(
        study=name,
        question=question,
        answer=_answer(flows, walks),
        tables=(_verdicts(flows, reference), _draws(flows), _limits(flows), _walks(walks)),
        figures=(_densities(flows, modes), _tellers(flows), _bounds(flows, reference), _paths(walks)),
        configuration=configuration,
        notes=(
            f"ln Z by annealed importance sampling: {reference} from {reference.n} paths.",
            "Fields of the target come from hybrid Monte Carlo, 64 chains from hot starts; the symmetry turns half of "
            "them to either phase, so that no chain needs to tunnel.",
            "A factor of ten stands in the verdicts. It is a convention; the numbers beside it are measured.",
        ),
        seconds=seconds,
    )


def _by_way(flows: Sequence[Trained]) -> dict[str, list[Trained]]:
    found: dict[str, list[Trained]] = {}
    for flow in flows:
        found.setdefault(flow.way, []).append(flow)
    return found


def find_rarest(flows: Sequence[Trained]) -> int:
    """Position of the flow that draws one of the phases most rarely."""
    rarest = [min(mode.occupation.value for mode in flow.report.modes) for flow in flows]
    return rarest.index(min(rarest))


def _answer(flows: Sequence[Trained], walks: Sequence[Walk]) -> str:
    parts = []
    for way, own in _by_way(flows).items():
        counted = {
            v: sum(flow.report.verdict == v for flow in own)
            for v in ("healthy", "gaps", "hollow", "collapsed", "undecided")
        }
        said = ", ".join(f"{count} {verdict}" for verdict, count in counted.items() if count)
        parts.append(f"{way}: {said} of {len(own)}")
    stuck = [walk.kernel for walk in walks if walk.crossings == 0]
    return (
        f"Flows by the way they were trained: {'; '.join(parts)}. Of {len(walks)} kernels whose chains began in one "
        f"phase, {len(stuck)} never reached the other: {'; '.join(stuck) or 'none'}."
    )


def _verdicts(flows: Sequence[Trained], reference: Estimate) -> Table:
    columns = (
        "trained by", "flow", "verdict", "drawn with M > 0", "share of weights", "unseen, M > 0", "unseen, M < 0",
        "ln Z - annealed",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for flow in flows:
        up, down = flow.report.modes
        found = flow.report.weights.log_partition
        apart = Estimate(found.value - reference.value, math.hypot(found.error, reference.error))
        verdict = "; ".join([flow.report.verdict, *_faults(flow)])
        rows.append(
            (flow.way, flow.number, verdict, str(up.occupation), up.reweighted, up.unseen, down.unseen, apart)
        )  # fmt: skip
    return Table("verdicts", "Which flows have lost a phase", columns, tuple(rows), _VERDICTS)


def _faults(flow: Trained) -> list[str]:
    signs = ("M > 0", "M < 0")
    modes = zip(signs, flow.report.modes, strict=True)
    return [f"{sign} {mode.verdict}" for sign, mode in modes if mode.verdict in ("lost", "hollow")]


def _draws(flows: Sequence[Trained]) -> Table:
    columns = ("trained by", "flow", "N", "ESS", "longest rejection run", "largest share", "Pareto k", "acceptance")
    rows: list[tuple[Cell, ...]] = []
    for flow in flows:
        w = flow.report.weights
        k = None if w.pareto_k is None else f"{w.pareto_k:.2f}"
        ess, share, accepted = f"{w.effective / w.count:.3f}", f"{w.largest_share:.2g}", f"{w.acceptance:.3f}"
        rows.append((flow.way, flow.number, w.count, ess, w.longest_rejection, share, k, accepted))
    return Table("draws", "What the draws say by themselves", columns, tuple(rows), _DRAWS)


def _limits(flows: Sequence[Trained]) -> Table:
    columns = ("trained by", "flow", "E_q[ln w]", "ln Z", "E_p[ln w]", "ESS by fields", "training, s")
    rows: list[tuple[Cell, ...]] = []
    for flow in flows:
        w, last = flow.report.weights, flow.history[-1]
        upper = Estimate(last["upper"], last["upper_error"])
        told = flow.report.forward
        fields: Cell = told if told.value > 1e-4 else f"{told.value:.0e}"
        rows.append(
            (flow.way, flow.number, w.lower_bound, w.log_partition, upper, fields, round(flow.seconds, 1))
        )  # fmt: skip
    return Table("limits", "What fields of the target add", columns, tuple(rows), _LIMITS)


def _walks(walks: Sequence[Walk]) -> Table:
    columns = (
        "kernel",
        "share of steps with M > 0",
        "deviation from 1/2, sigma",
        "crossings per 1000 steps",
        "accepted",
    )
    rows: list[tuple[Cell, ...]] = []
    for walk in walks:
        apart = walk.share.deviation(0.5)
        sigmas = f"{apart:.1f}" if math.isfinite(apart) else "no error known"
        accepted = None if walk.acceptance is None else round(walk.acceptance, 3)
        rows.append((walk.kernel, walk.share, sigmas, round(1000 * walk.crossings, 2), accepted))
    return Table("walks", "Chains that began in one phase", columns, tuple(rows), _WALKS)


def _densities(flows: Sequence[Trained], modes: Mapping[str, Floats]) -> Figure:
    target = np.concatenate([field.reshape(-1, *field.shape[2:]).mean(axis=(1, 2)) for field in modes.values()])
    reach = 1.2 * float(np.abs(target).max())
    edges = np.linspace(-reach, reach, _BINS + 1)
    x = ((edges[1:] + edges[:-1]) / 2).tolist()
    panels = []
    for way, own in _by_way(flows).items():
        flow = own[find_rarest(own)]
        weights = np.exp(flow.log_weights - flow.log_weights.max())
        curves = (
            Curve("target (HMC, both phases)", x, _histogram(target, edges), style="line"),
            Curve("draws of the flow", x, _histogram(flow.magnetization, edges), style="dashed"),
            Curve("draws, reweighted", x, _histogram(flow.magnetization, edges, weights), style="line"),
        )
        panels.append(Panel(f"{way}: {flow.report.verdict}", "M / V", "density", curves))
    caption = "Of each way the flow that draws one phase most rarely. Weights mend what was drawn too rarely; they "
    caption += "cannot mend what was never drawn."
    return Figure("densities", "The two phases, and what the flows draw", caption, tuple(panels))


def _histogram(values: Floats, edges: Floats, weights: Floats | None = None) -> list[float]:
    found, _ = np.histogram(values, edges, density=True, weights=weights)
    return [float(one) for one in found]


def _tellers(flows: Sequence[Trained]) -> Figure:
    ways = list(_by_way(flows))
    place = [float(ways.index(flow.way)) for flow in flows]
    ups = [flow.report.modes[0] for flow in flows]
    occupation = (
        Curve("draws", place, [up.occupation.value for up in ups],
              limits=([up.occupation.low for up in ups], [up.occupation.high for up in ups])),
        Curve("weights", place, [up.reweighted.value for up in ups], [up.reweighted.error for up in ups]),
    )  # fmt: skip
    unseen = tuple(
        Curve(label, place, [flow.report.modes[k].unseen.value for flow in flows],
              [flow.report.modes[k].unseen.error for flow in flows])
        for k, label in enumerate(("M > 0", "M < 0"))
    )  # fmt: skip
    panels = (
        Panel("Share of the phase with M > 0 (target: 1/2)", "", "share", occupation, categories=tuple(ways)),
        Panel("Unseen fields of the target", "", "unseen share", unseen, categories=tuple(ways)),
    )
    caption = "Left: draws with intervals of 99.9 %, and the share of their weights, all flows. Right: fields of the "
    caption += "target whose weight is larger than that of any draw in their phase."
    return Figure("tellers", "What tells of a collapse", caption, panels)


def _bounds(flows: Sequence[Trained], reference: Estimate) -> Figure:
    panels = []
    for way, own in _by_way(flows).items():
        history = own[find_rarest(own)].history
        steps = [float(one["step"]) for one in history]
        curves = tuple(
            Curve(
                label, steps, [one[key] - reference.value for one in history], [one[f"{key}_error"] for one in history]
            )
            for label, key in (("E_q[ln w] - ln Z", "lower"), ("E_p[ln w] - ln Z", "upper"))
        )
        panels.append(Panel(way, "step of training", "distance", curves))
    caption = (
        "Flows as in the first figure. The lower bound comes from draws, the upper one from fields of the target; both "
        "meet at 0 when the flow is the target. Of a collapse the upper one alone knows."
    )
    return Figure("bounds", "Bounds of ln Z during training", caption, tuple(panels))


def _paths(walks: Sequence[Walk]) -> Figure:
    panels = []
    for walk in walks:
        y = [float(one) for one in walk.magnetization[:_SHOWN]]
        curve = Curve("first chain", list(range(1, len(y) + 1)), y, style="line")
        panels.append(Panel(walk.kernel, "step", "M / V", (curve,)))
    caption = "Magnetization of one chain of each kernel from its start in the phase of positive magnetization."
    return Figure("paths", "Chains between the phases", caption, tuple(panels))
