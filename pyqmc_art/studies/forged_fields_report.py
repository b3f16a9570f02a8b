"""What the study of forged fields found, as tables and figure data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pyqmc_art.appraise.appraisal import DIFFERENT, LEVEL
from pyqmc_art.appraise.correction import Correction
from pyqmc_art.protocols import Cell, Curve, Figure, Findings, Panel, Table
from pyqmc_art.stats.comparisons import adjust_holm
from pyqmc_art.stats.hits import show_p_value

if TYPE_CHECKING:
    from pyqmc_art.studies.forged_fields import Tried

_SHOWN: Final = 400
_DETECTION: Final = (
    "Accuracy of a judge that learned from earlier fields, with its 95 % interval and the number of independent "
    "fields; 0.5 is chance. The best possible judge has the exact log weight for its logit; of 'genuine' there is "
    "nothing to tell. All tests together are corrected by Holm's rule; of each, p-values are given."
)
_WEIGHTS: Final = (
    "Among fields of B: correlation and slope of the judge's ln D/(1 - D) with the exact ln p_A/p_B (jackknife errors; "
    "a slope below 1 is a judge that is too cautious). ESS and acceptance of the Metropolis chain by either weights; "
    "both chains are offered the same fields and random numbers, and agree in so many of their decisions. Where the "
    "exact weights are all the same there is neither correlation nor slope."
)
_REPAIR: Final = (
    "The largest deviation of an observable from a half of A that was not learned from, in combined standard errors, "
    "before and after; of about a dozen observables the largest is about 2 without any difference. The last columns "
    "are classifier two-sample tests of what rejection leaves of B. 'Unseen' are fields of A whose weight is larger "
    "than that of any field of B: what no weight repairs."
)


def tell(
    name: str, question: str, tried: Sequence[Tried], configuration: Mapping[str, Any], seconds: float
) -> Findings:
    """Put what was measured into words, tables and figures."""
    return Findings(
        study=name, question=question, answer=_answer(tried),
        tables=(_detection(tried), _weights(tried), _repair(tried)),
        figures=(_accuracies(tried), _scatter(tried), _deviations(tried)), configuration=configuration,
        notes=(
            "How the forgeries were made: "
            + "; ".join(f"{one.forgery.name}: {one.forgery.how}" for one in tried) + ".",
            "Errors of corrected observables hold for given weights; what the judge itself learned wrongly is not in "
            "them.",
            "Nobody knows the density of a diffusion model's or an adversarial network's draws: what a judge makes of "
            "them has no exact weight beside it.",
        ),
        seconds=seconds,
    )  # fmt: skip


def _answer(tried: Sequence[Tried]) -> str:
    caught = [one.forgery.name for one in tried if one.appraisal.verdict == DIFFERENT]
    missed = [one.forgery.name for one in tried if one.appraisal.verdict != DIFFERENT]
    mended = _find_mended([one for one in tried if one.appraisal.verdict == DIFFERENT])
    left = [name for name in caught if name not in mended]
    slopes = [f"{one.forgery.name} {one.slope}" for one in tried if one.slope is not None]
    return (
        f"Told apart from Monte Carlo: {_join(caught)}. Not told apart: {_join(missed)}.\n\n"
        f"Repaired by the weights of the judge, as far as a new judge and the observables see: {_join(mended)}. Not "
        f"repaired, or not known to be: {_join(left)}.\n\n"
        f"Slope of the judge's log weights against the exact ones: {_join(slopes)}."
    )


def _join(names: Sequence[str]) -> str:
    return "; ".join(names) or "none"


def _find_mended(tried: Sequence[Tried]) -> list[str]:
    """Forgeries whose correction nothing complains of: a new judge, the observables, or missing parts of A.

    All complaints together are kept to 5 % by Holm's rule.
    """
    names: list[str] = []
    values: list[float] = []
    for one in tried:
        own = one.appraisal.correction
        if own is not None and own.contest is not None and not own.misses:
            worst = min(1.0, len(own.observables) * math.erfc(_worst_after(own) / math.sqrt(2)))
            names.append(one.forgery.name)
            values.append(min(1.0, 2 * min(worst, own.contest.hits.p_value)))
    if not values:
        return []
    return [name for name, p in zip(names, adjust_holm(values), strict=True) if p >= LEVEL]


def _detection(tried: Sequence[Tried]) -> Table:
    columns = ("forgery", "accuracy", "95 % interval", "n_eff", "p, judge", "best possible", "p, spectrum",
               "p, observables", "verdict")  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for one in tried:
        hits, p = one.appraisal.contest.hits, one.appraisal.p_values
        score = hits.accuracy
        rows.append((
            one.forgery.name, f"{score.value:.3f}", f"[{score.low:.3f}, {score.high:.3f}]", round(hits.n_effective),
            show_p_value(hits.p_value), _show(one.best), show_p_value(p['spectrum']), show_p_value(p['observables']),
            one.appraisal.verdict,
        ))  # fmt: skip
    return Table("detection", "Can a judge tell?", columns, tuple(rows), _DETECTION)


def _weights(tried: Sequence[Tried]) -> Table:
    columns = ("forgery", "correlation", "slope", "ESS, judge", "ESS, exact", "accepted, judge", "accepted, exact",
               "same decisions", "k-hat, judge", "k-hat, exact")  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for one in tried:
        both = (one.appraisal.correction, one.exact)
        ess = [None if own is None else _show(own.weights.effective / own.weights.count) for own in both]
        accepted = [None if own is None else _show(own.acceptance.value) for own in both]
        tails = [_tail(own) for own in both]
        rows.append((one.forgery.name, one.correlation, one.slope, *ess, *accepted, _show(one.agreement), *tails))
    return Table("weights", "How far is the judge's Metropolis from the exact one?", columns, tuple(rows), _WEIGHTS)


def _show(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _tail(own: Correction | None) -> str | None:
    k = None if own is None else own.weights.pareto_k
    return None if k is None or not math.isfinite(k) else f"{k:.2f}"


def _repair(tried: Sequence[Tried]) -> Table:
    columns = ("forgery", "worst before", "worst after, judge", "worst after, exact", "unseen", "judge after, accuracy",
               "p", "exact after, accuracy", "p ")  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for one in tried:
        own = one.appraisal.correction
        if own is None:
            continue
        tests = [_after(which) for which in (own, one.exact)]
        rows.append((
            one.forgery.name, f"{_worst_before(own):.1f}", f"{_worst_after(own):.1f}",
            None if one.exact is None else f"{_worst_after(one.exact):.1f}", str(own.unseen), *tests[0], *tests[1],
        ))  # fmt: skip
    return Table("repair", "Do the weights repair it?", columns, tuple(rows), _REPAIR)


def _after(own: Correction | None) -> tuple[str | None, str | None]:
    if own is None:
        return None, None
    if own.contest is None:
        return "too few left", None
    hits = own.contest.hits
    return (
        f"{hits.accuracy.value:.3f} [{hits.accuracy.low:.3f}, {hits.accuracy.high:.3f}]",
        f"{show_p_value(hits.p_value)}",
    )


def _worst_before(own: Correction) -> float:
    return _largest(b.deviation(a) for a, b, _ in own.observables.values())


def _worst_after(own: Correction) -> float:
    return _largest(c.deviation(a) for a, _, c in own.observables.values())


def _largest(values: Any) -> float:
    return max((abs(one) for one in values if math.isfinite(one)), default=0.0)


def _accuracies(tried: Sequence[Tried]) -> Figure:
    names = tuple(one.forgery.name for one in tried)
    place = [float(k) for k in range(len(tried))]
    scores = [one.appraisal.contest.hits.accuracy for one in tried]
    after = [(k, one.appraisal.correction.contest.hits.accuracy) for k, one in zip(place, tried, strict=True)
             if one.appraisal.correction is not None and one.appraisal.correction.contest is not None]  # fmt: skip
    best = [(k, one.best) for k, one in zip(place, tried, strict=True) if one.best is not None]
    curves = (
        Curve("judge", place, [s.value for s in scores], limits=([s.low for s in scores], [s.high for s in scores])),
        Curve("best possible", [k for k, _ in best], [value for _, value in best]),
        Curve("judge, after its correction", [k for k, _ in after], [s.value for _, s in after],
              limits=([s.low for _, s in after], [s.high for _, s in after])),
    )  # fmt: skip
    panel = Panel("", "", "accuracy", curves, categories=names)
    caption = "Accuracy in telling fields of A from fields of B; 0.5 is chance. Bars are 95 % intervals."
    return Figure("accuracies", "Told apart?", caption, (panel,))


def _scatter(tried: Sequence[Tried]) -> Figure:
    panels = []
    for one in tried:
        if one.slope is None or one.log_weights is None:
            continue
        exact, judged = (x - x.mean() for x in one.log_weights)
        x = exact[:_SHOWN]
        ends = [float(np.quantile(x, 0.01)), float(np.quantile(x, 0.99))]
        curves = (
            Curve("fields of B", x.tolist(), judged[:_SHOWN].tolist()),
            Curve("equal", ends, ends, style="dashed"),
        )
        panels.append(Panel(one.forgery.name, "exact ln W", "judged ln D/(1 - D)", curves))
    caption = f"Log weights of up to {_SHOWN} fields of B, their means taken off. A perfect judge lies on the line."
    return Figure("weights", "The judge's weights and the exact ones", caption, tuple(panels))


def _deviations(tried: Sequence[Tried]) -> Figure:
    panels = []
    for one in tried:
        own = one.appraisal.correction
        if own is None:
            continue
        names = tuple(own.observables)
        place = [float(k) for k in range(len(names))]
        before = [b.deviation(a) for a, b, _ in own.observables.values()]
        judged = [c.deviation(a) for a, _, c in own.observables.values()]
        shown = [("B", before), ("corrected by the judge", judged)]
        if one.exact is not None:
            shown.append(("by the exact weights", [c.deviation(a) for a, _, c in one.exact.observables.values()]))
        curves = tuple(
            Curve(label, place, [value if math.isfinite(value) else 0.0 for value in values]) for label, values in shown
        )
        panels.append(Panel(one.forgery.name, "", "deviation from A, sigma", curves, categories=names))
    caption = "Deviations of observables from the half of A that nothing learned from, in combined standard errors."
    return Figure("deviations", "Observables before and after", caption, tuple(panels))
