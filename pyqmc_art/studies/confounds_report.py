"""What the trials of contrasts say: an answer in words, a table of verdicts, one table and one panel a contrast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pyqmc_art.art.claims import STATUSES, SUPPORTED
from pyqmc_art.protocols import Cell, Curve, Figure, Panel, Table
from pyqmc_art.stats.ranking import Score
from pyqmc_art.studies.contrasts import Contrast
from pyqmc_art.studies.controls import Trial
from pyqmc_art.studies.evidence import BASELINES, FILES, Evidence

RAW, EQUAL = "files as they came", "equalised"
SHORT: Final = {
    RAW: "files", EQUAL: "equalised", "within one source": "one source", "within one genre": "one genre",
    FILES: "format", "equalised metadata": "slope", "subject": "subject", "source alone": "source",
    "genre alone": "genre",
}  # fmt: skip
"""What a row of a table is called under the bars of a figure."""
BASELINE: Final = "sees no brush"
Expected = Mapping[Contrast, tuple[str, ...]]


def answer(trials: Sequence[Trial], expected: Expected, simulated: bool) -> str:
    """Say what was found, from the verdicts alone."""
    found = {status: [one for one in trials if one.status == status] for status in STATUSES}
    parts = [f"{len(own)} {status} ({_named(own)})" for status, own in found.items() if own]
    said = f"Of {len(trials)} {'simulated ' if simulated else ''}contrasts: {'; '.join(parts)}."
    if simulated:
        right = [one for one in trials if one.status in expected[one.contrast]]
        wrong = [one for one in trials if one not in right]
        said += (
            f" {len(right)} of {len(trials)} verdicts are right, the truth being known: one painter goes by several "
            "names, and only one of the other names is another hand." + (f" Wrong: {_named(wrong)}." if wrong else "")
        )
    return "\n\n".join([said, *(_sentence(one) for one in trials if one.claims)])


def _named(trials: Sequence[Trial]) -> str:
    return ", ".join(one.contrast.label for one in trials)


def _sentence(trial: Trial) -> str:
    """What the better detector says, and why that is or is not believed."""
    name, claim = max(trial.claims.items(), key=lambda item: item[1].score.value)
    ruling = trial.rulings[name]
    label = trial.contrast.label
    said = (
        f"{label[:1].upper()}{label[1:]}, {_works(trial)}: {name} reaches AUC {_brief(claim.score)} on equalised works"
    )
    if ruling.status == SUPPORTED:
        others = [f"{one}: {own.status}" for one, own in trial.rulings.items() if own.status != SUPPORTED]
        besides = f" ({', '.join(others)})" if others else ""
        return f"{said}, and no control explains it{besides}."
    return f"{said}; {ruling.status}: {'; '.join(ruling.reasons)}."


def _reasons(trial: Trial) -> str:
    """Reasons of the detectors whose rulings make the verdict, each said once."""
    rulings = {name: one for name, one in trial.rulings.items() if one.status == trial.status and one.reasons}
    if len({one.reasons for one in rulings.values()}) == 1:
        return "; ".join(next(iter(rulings.values())).reasons)
    return ". ".join(f"{name}: {'; '.join(one.reasons)}" for name, one in rulings.items())


def tables(trials: Sequence[Trial], expected: Expected, simulated: bool) -> tuple[Table, ...]:
    """Verdicts of all contrasts, then the measures of each."""
    return (_verdicts(trials, expected, simulated), *(_measures(one, simulated) for one in trials if one.claims))


def _verdicts(trials: Sequence[Trial], expected: Expected, simulated: bool) -> Table:
    # The page wraps the first two columns only.
    columns = ("planted", "because", "works", "verdict", "right answer") if simulated else (
        "contrast", "because", "works", "verdict",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for one in trials:
        truth = (" or ".join(expected[one.contrast]),) if simulated else ()
        because = _reasons(one) or "no control explains it"
        rows.append((one.contrast.label, because, f"{one.works[0]} v {one.works[1]}", one.status, *truth))
    caption = (
        "A claim is supported when at least one detector ranks equalised works above chance, beats every baseline that "
        "sees no brush (paired bootstrap over works), and does so within one source and one genre; it is refused when "
        "a control does as well or the contrast is gone in a control; not decided when works are too few or a control "
        "that is needed cannot be made. 95 % intervals over works."
    )
    title = "Verdicts (simulated)" if simulated else "Verdicts"
    return Table("verdicts", title, columns, tuple(rows), caption)


def _measures(trial: Trial, simulated: bool) -> Table:
    names = tuple(trial.claims)
    rows: list[tuple[Cell, ...]] = []
    for what, scores in measures(trial):
        if BASELINE in scores:
            rows.append((what, _cell(scores[BASELINE]), *("" for _ in names[1:])))
        else:
            rows.append((what, *(_cell(scores[name]) for name in names)))
        chance = _chance(trial, what)
        if chance:
            rows.append((f"{what}, labels shuffled", *(f"97.5 % below {chance[name]:.3f}" for name in names)))
    rows += [
        (f"within one {one.column}", one.reason, *("" for _ in names[1:]))
        for one in trial.within.values()
        if not one.scores and (one.needed or one.alone is not None or len(one.values) == 1)
    ]
    rows.append(("claim", *(trial.rulings[name].status for name in names)))
    label = f"{trial.contrast.label} (simulated)" if simulated else trial.contrast.label
    within = "; ".join(f"{one.column} control {one.reason}" for one in trial.within.values() if one.scores)
    caption = (
        f"{trial.contrast}: {_works(trial)}. AUC over works, held out, with 95 % interval and works; what sees no "
        "brush stands once." + (f" {within[:1].upper()}{within[1:]}." if within else "")
    )
    slug = "".join(c if c.isalnum() else "-" for c in trial.contrast.label.casefold())
    return Table(f"contrast-{slug}", label, ("AUC", *names), tuple(rows), caption)


def _chance(trial: Trial, what: str) -> Mapping[str, float]:
    found = {EQUAL: trial.chance} | {f"within one {one.column}": one.chance for one in trial.within.values()}
    return found.get(what, {})


def measures(trial: Trial) -> Iterable[tuple[str, Mapping[str, Score]]]:
    """Every AUC of a trial: what it is of -> detector, or ``"sees no brush"``, -> Score."""
    yield RAW, trial.raw
    yield EQUAL, {name: claim.score for name, claim in trial.claims.items()}
    for one in trial.within.values():
        if one.scores:
            yield f"within one {one.column}", one.scores
    for name in (FILES, *BASELINES):
        yield name, {BASELINE: trial.baselines[name]}
    for one in trial.within.values():
        if one.alone is not None:
            yield f"{one.column} alone", {BASELINE: one.alone}


def figures(trials: Sequence[Trial], simulated: bool) -> tuple[Figure, ...]:
    """Bars of every AUC with its interval, one panel a contrast."""
    panels = tuple(_panel(one) for one in trials if one.claims)
    if not panels:
        return ()
    marked = " (simulated)" if simulated else ""
    caption = (
        "AUC over works with 95 % intervals; the dashed line is 1/2, no information. A claim survives when the bar "
        "“equalised” stands above those of “format” (metadata of the files), “slope” (of the equalised pictures) and "
        "“subject”, and the bars “one source” and “one genre” above the line, intervals included; “source” and "
        "“genre” are what these columns alone tell."
    )
    return (Figure("controls", f"Detectors, baselines and controls{marked}", caption, panels),)


def _panel(trial: Trial) -> Panel:
    found = list(measures(trial))
    curves = [Curve("1/2", (-0.5, len(found) - 0.5), (0.5, 0.5), style="dashed")]
    for name in (*trial.claims, BASELINE):
        places = [(k, scores[name]) for k, (_, scores) in enumerate(found) if name in scores]
        limits = ([one.low for _, one in places], [one.high for _, one in places])
        values = [one.value for _, one in places]
        curves.append(Curve(name, [float(k) for k, _ in places], values, style="bars", limits=limits))
    title = f"{trial.contrast.label}: {trial.status}"
    return Panel(title, "", "AUC", tuple(curves), categories=tuple(SHORT[what] for what, _ in found))


def notes(evidence: Evidence) -> tuple[str, ...]:
    """What a reader must know about pictures and method."""
    said = [
        "“File metadata” is the metadata baseline on the files as they came: size, format, JPEG quality, bytes per "
        "pixel, spectral slope. “Subject” sees a thumbnail of 16 x 16 pixels and the colours; a subject that shows in "
        "neither is caught by the genre control alone, if the manifest has a column genre.",
        "Models of the source and genre controls are trained and tested within one source or genre; few works remain, "
        "so that a true contrast may be refused for want of them.",
        "Held-out scores share their training works, so that with few works even shuffled labels reach AUCs well off "
        "1/2: a detector must surpass what 97.5 % of 400 shufflings stay below (a ridge regression on its features), "
        "and a baseline's AUC below 1/2 means nothing.",
    ]
    if evidence.simulated:
        said.insert(0, "All pictures are simulated: the procedural painter's, with biases planted on purpose.")
    return (*said, *evidence.notes)


def _works(trial: Trial) -> str:
    return f"{trial.works[0]} v {trial.works[1]} works"


def _cell(score: Score) -> str:
    return f"{_brief(score)}, {score.positives} v {score.negatives}"


def _brief(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
