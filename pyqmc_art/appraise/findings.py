"""An appraisal as tables and figure data, for a report to draw."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from pyqmc_art.appraise.appraisal import DIFFERENT, LEVEL, PICTURES, Appraisal
from pyqmc_art.protocols import Cell, Curve, Figure, Findings, Panel, Table
from pyqmc_art.stats.hits import Hits, show_p_value

QUESTION: Final = "Are A and B the same distribution, and if not, where does it show?"
_TESTS: Final = {
    "c2st": "A judge that learned from earlier members says of later ones whether they are of A or of B.",
    "spectrum": "The largest difference of the spectra in any ring or sector, under 999 permutations of units.",
    "observables": "The largest deviation among all observables, by Holm's rule.",
}


def tell(found: Appraisal) -> Findings:
    """Put an appraisal into words, tables and figures."""
    tables = [_tests(found), _judges(found)]
    if found.observables:
        tables.append(_observables(found))
    tables.append(_distances(found))
    figures = [_spectra(found), *found.figures]
    if found.correction is not None:
        tables += found.correction.tables()
        figures += found.correction.figures()
    return Findings(
        study="appraise", question=QUESTION, answer=_answer(found), tables=tuple(tables), figures=tuple(figures),
        configuration=dict(found.configuration), notes=found.notes, seconds=found.seconds,
    )  # fmt: skip


def _answer(found: Appraisal) -> str:
    hits = found.contest.hits
    said = (
        f"A and B differ: p = {show_p_value(found.p_value)} for all tests together."
        if found.verdict == DIFFERENT
        else f"No test tells A and B apart at {LEVEL:.0%} (p = {show_p_value(found.p_value)} for all together). "
        "That is no proof that they are the same: the intervals say how large a difference may have gone unseen."
    )
    parts = [f"A: {found.sizes[0]}. B: {found.sizes[1]}.", said]
    parts.append(f"The judge recognises members with {hits}; 0.5 is chance.")
    if found.spectrum.peaks:
        where = ", ".join(f"{one:.3f}" for one in found.spectrum.peaks)
        parts.append(f"The spectrum of B has peaks above that of A at {where} cycles for each site or pixel.")
    if found.memory.flagged:
        parts.append(f"Members of B are near copies of members of A: {found.memory}.")
    if found.baseline is not None and found.baseline.p_value < LEVEL:
        parts.append(
            f"Size and format of the files alone tell A and B apart ({found.baseline}): what the judge saw may come of "
            "how the files were made, and nothing is claimed about the pictures."
        )
    if found.correction is not None:
        parts += found.correction.lines()
    return "\n\n".join(parts)


def _tests(found: Appraisal) -> Table:
    rows: list[tuple[Cell, ...]] = [(name, show_p_value(p), _TESTS[name]) for name, p in found.p_values.items()]
    caption = f"Each p-value by itself; all together by Holm's rule p = {show_p_value(found.p_value)}."
    return Table("tests", "Tests", ("test", "p-value", "what it asks"), tuple(rows), caption)


def _judges(found: Appraisal) -> Table:
    columns = ("judge", "accuracy", "95 % interval", "n_eff", "p-value", "rounds spoken")
    spoke = found.contest.spoke
    rows = [_hits_row("the judge that spoke", found.contest.hits, f"{len(spoke)} of {len(spoke)}")]
    rows += [_hits_row(name, hits, f"{spoke.count(name)} of {len(spoke)}") for name, hits in found.contest.each.items()]
    if found.baseline is not None:
        rows.append(_hits_row("size and format alone", found.baseline, "never"))
    caption = (
        "Accuracy is the mean of the shares of A and B that were recognised. n_eff counts independent members: one of "
        "each block of a chain, or of each work. In each round that judge speaks whose held-out loss on earlier rounds "
        "is smallest; p-values of single judges are not corrected for their number."
    )
    return Table("judges", "Classifier two-sample test", columns, tuple(rows), caption)


def _hits_row(name: str, hits: Hits, spoke: str) -> tuple[Cell, ...]:
    score = hits.accuracy
    interval = f"[{score.low:.3f}, {score.high:.3f}]"
    return name, f"{score.value:.3f}", interval, round(hits.n_effective), show_p_value(hits.p_value), spoke


def _observables(found: Appraisal) -> Table:
    ordered = sorted(found.observables, key=lambda one: -abs(one.sigmas) if math.isfinite(one.sigmas) else 0.0)
    rows: list[tuple[Cell, ...]] = [(one.name, one.a, one.b, f"{one.sigmas:+.1f}") for one in ordered]
    caption = "Errors by the Gamma method, autocorrelation included; the most different first."
    return Table("observables", "Observables", ("observable", "A", "B", "B - A, sigma"), tuple(rows), caption)


def _distances(found: Appraisal) -> Table:
    memory = found.memory
    rows: tuple[tuple[Cell, ...], ...] = (
        (f"kernel distance, {found.kid_features}", found.kid, "unbiased: 0 for equal distributions"),
        (
            "members of A with a near copy in B",
            str(memory.near),
            f"p = {show_p_value(memory.p_value)}, {memory.reference}",
        ),
        ("copies", "yes" if memory.flagged else "no sign", "flag: p below 0.001"),
    )
    return Table("distances", "Distances", ("what", "value", "remark"), rows)


def _spectra(found: Appraisal) -> Figure:
    spectrum, p = found.spectrum, found.spectrum.profiles
    rings = len(spectrum.frequency)
    start = 1 if found.kind == PICTURES else 0
    ring, sector = slice(start, rings), slice(rings, None)
    x, angle = spectrum.frequency[ring].tolist(), spectrum.direction.tolist()
    log = "log" if spectrum.unit == "power" and (p.a[ring] > 0).all() and (p.b[ring] > 0).all() else "linear"
    marks = tuple((one, "peak") for one in spectrum.peaks)
    where = "cycles per site" if found.kind != PICTURES else "cycles per pixel"
    panels = [
        Panel("Rings", where, spectrum.unit, _pair(found, x, ring), y_scale=log, marks=marks),
        Panel("Rings: B - A", where, "standard errors", _deviations(x, p.z[ring], p.critical)),
    ]
    if angle:
        panels.append(Panel("Directions", "degrees", spectrum.unit, _pair(found, angle, sector)))
    caption = (
        "Means with pointwise 95 % bands of a bootstrap over independent blocks or works. In the second panel a line "
        "marks what the largest deviation of all rings and sectors exceeds by chance once in twenty times."
    )
    return Figure("spectra", "Spectra", caption, tuple(panels))


def _pair(found: Appraisal, x: list[float], part: slice) -> tuple[Curve, ...]:
    p = found.spectrum.profiles
    curves = []
    for label, mean, band in (("A", p.a, p.a_band), ("B", p.b, p.b_band)):
        low, high = (np.asarray(one[part]).tolist() for one in band)
        curves.append(Curve(label, x, mean[part].tolist(), limits=(low, high)))
    return tuple(curves)


def _deviations(x: list[float], z: np.ndarray, critical: float) -> tuple[Curve, ...]:
    flat = [critical] * len(x)
    return (
        Curve("(B - A) / error", x, np.asarray(z).tolist()),
        Curve("5 % of the largest", x, flat, style="dashed", group="limit"),
        Curve("5 % of the largest", x, [-one for one in flat], style="dashed", group="limit"),
    )
