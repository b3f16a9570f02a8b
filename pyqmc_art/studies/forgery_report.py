"""What the forgery study says: its answer, tables and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pyqmc_art.art.claims import SUPPORTED, Claim, tabulate_claims
from pyqmc_art.art.scorecard import POSITIVE, Outcomes, count_recalls, score_contrast
from pyqmc_art.protocols import Cell, Curve, Figure, Panel, Picture, Table
from pyqmc_art.stats.comparisons import RegimeComparison, compare_regimes
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.stats.ranking import Score
from pyqmc_art.studies.gallery import Gallery, hand_name
from pyqmc_art.studies.grids import SAMPLES, Grid, judge_name
from pyqmc_art.studies.talk import CONFIRMED, FORGERY, OPEN, REFUTED, Verdict, judge_talk, tabulate_talk

WITHOUT: Final = "no synthetic"
WITH: Final = "forgeries"
OTHERS: Final = "others of them in training"
FEW: Final = 20
"""With fewer forgeries than this the answer says that they decide little."""


@dataclass(frozen=True)
class Story:
    """The grid and what was concluded from it.

    Attributes
    ----------
    grid : all outcomes
    gap : hidden distance of the simulated forgers' hands; without meaning for real pictures
    claims : what may be said of each detector
    talk : what becomes of the talk's claims
    """

    grid: Grid
    gap: float
    claims: tuple[Claim, ...]
    talk: tuple[Verdict, ...]

    @classmethod
    def of(cls, grid: Grid, gap: float) -> Story:
        """Judge all claims."""
        claims = tuple(
            grid.claim(f"{judge_name(judge)}: {words}", judge, regime, role)
            for judge in grid.detectors
            for regime, role, words in (
                (WITHOUT, "proxy", "originals from proxies"),
                (WITHOUT, FORGERY, "originals from human forgeries, none of them in training"),
                (WITH, FORGERY, f"originals from human forgeries, {OTHERS}"),
            )
        )
        return cls(grid, gap, claims, judge_talk(grid))

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """Regimes without and with human forgeries in training, the one without synthetic pictures first."""
        return {
            key: tuple(one.name for one in self.grid.regimes if one.forgeries == wanted)
            for key, wanted in ((WITHOUT, False), (WITH, True))
        }


def answer(story: Story) -> str:
    """Two to four sentences."""
    grid = story.grid
    told = [
        f"{judge_name(judge)} {grid.recall(judge, WITHOUT, FORGERY)} and {grid.recall(judge, WITH, FORGERY)}"
        for judge in grid.detectors
    ]
    best = max((grid.area(judge, WITH, FORGERY) for judge in grid.baselines), key=lambda one: one.value)
    whose = "Simulated pictures" if grid.gallery.simulated else f"Pictures of {hand_name(grid.gallery.hand)}"
    few = f"; {grid.count(FORGERY)} forgeries decide little" if grid.count(FORGERY) < FEW else ""
    sentences = [
        f"{whose}: human forgeries caught when trained without any, and when trained on others of them: "
        f"{'; '.join(told)}{few}.",
        _gains(story),
        f"The best of the baselines, which see no brush, reaches {best}, forgeries in training; {_allowed(story)}. "
        f"{_marks(story)}.",
    ]
    if grid.gallery.simulated:
        sentences.append(_truth(story))
    return " ".join(filter(None, sentences))


def tables(story: Story) -> tuple[Table, ...]:
    """All tables, what matters most first."""
    found = [headline(story), *tabulate_talk(story.talk)]
    found.append(tabulate_claims(story.claims, title="What may be claimed of the detectors"))
    found += [comparisons(story, family) for family in story.families if len(story.families[family]) > 1]
    found += [contrasts(story, role) for role in ("proxy", FORGERY)]
    found += [recalls(story, family) for family in story.families]
    return tuple(found)


def figures(story: Story) -> tuple[Figure, ...]:
    """Recall of human forgeries, and ranking, against the regime."""
    return (draw_recalls(story), draw_areas(story), *draw_samples(story.grid.gallery))


def headline(story: Story) -> Table:
    """Human forgeries caught in each regime, with what the baselines reach beside it."""
    grid = story.grid
    rows = tuple(
        (
            judge_name(judge),
            regime,
            *(str(grid.recall(judge, regime, role)) for role in (FORGERY, POSITIVE)),
            _cell(grid.area(judge, regime, FORGERY)),
            *(_cell(grid.area(name, regime, FORGERY)) for name in grid.baselines),
        )
        for judge in grid.detectors
        for regime in grid.names
    )
    baselines = [judge_name(name) for name in grid.baselines]
    columns = (
        "detector", "trained on", "forgeries caught", "originals kept", "AUC", *(f"AUC, {name}" for name in baselines),
    )  # fmt: skip
    caption = (
        f"{_what(story)}Originals and proxies are always in training. Works judged rightly at thresholds chosen on "
        "other works, with Wilson 95 % intervals; AUC of originals against human forgeries with logit-DeLong limits. "
        "The baselines see size, format and quality, or a thumbnail, and no brush."
    )
    return Table("headline", "Human forgeries caught", columns, rows, caption)


def comparisons(story: Story, family: str) -> Table:
    """Every regime against the one without synthetic pictures: verdicts and ranking, Holm-adjusted."""
    rows: list[tuple[Cell, ...]] = []
    for judge in (*story.grid.detectors, *story.grid.baselines):
        for one in _compare(story, judge, family):
            rows.append(
                (
                    judge_name(judge), one.regime, f"{one.ranking.value:+.3f}",
                    f"[{one.ranking.low:+.3f}, {one.ranking.high:+.3f}]", f"{one.ranking_adjusted:.2g}",
                    f"{one.verdicts.second_only} v {one.verdicts.first_only} of {one.verdicts.n}",
                    f"{one.verdicts_adjusted:.2g}",
                )
            )  # fmt: skip
    words = "with human forgeries" if family == WITH else "without human forgeries"
    columns = (
        "judge",
        "regime",
        "gain in AUC",
        "95 % interval",
        "Holm p",
        "better v worse verdicts",
        "Holm p, McNemar",
    )
    caption = (
        f"Originals and human forgeries, judged in each regime and in '{family}' ({words} in training). Gain: AUC "
        "minus AUC, paired bootstrap over works. Verdicts: works that only one of the two regimes judged rightly, "
        "exact McNemar test. Holm over the regimes of one judge. A gain that the baselines show too is none of the "
        "hand."
    )
    name = f"comparisons-{'with' if family == WITH else 'without'}"
    return Table(name, f"What synthetic pictures change, {words} in training", columns, tuple(rows), caption)


def contrasts(story: Story, role: str) -> Table:
    """AUC, average precision and balanced accuracy of originals against one role, the baselines' AUC beside them."""
    grid = story.grid
    rows: list[tuple[Cell, ...]] = []
    for judge in grid.detectors:
        for regime in grid.names:
            one = score_contrast(grid.outcomes[judge, regime], (role,), grid.stream.fold(role), samples=SAMPLES // 4)
            rows.append(
                (
                    judge_name(judge), regime, f"{one.auc.positives} v {one.auc.negatives}", _cell(one.auc),
                    _cell(one.average_precision), _cell(one.balanced_accuracy),
                    *(_cell(grid.area(name, regime, role)) for name in grid.baselines),
                )
            )  # fmt: skip
    plural = "proxies" if role == "proxy" else "human forgeries"
    columns = ("detector", "trained on", "n", "AUC", "average precision", "balanced accuracy",
               *(f"AUC, {judge_name(name)}" for name in grid.baselines))  # fmt: skip
    caption = (
        f"{_what(story)}95 % intervals over works: AUC by logit-DeLong, average precision by BCa, accuracy by Wilson."
    )
    return Table(f"contrast-{role}", f"Originals against {plural}", columns, tuple(rows), caption)


def recalls(story: Story, family: str) -> Table:
    """Recall per sublabel, one column for each regime of a family; of the baselines per role."""
    grid = story.grid
    regimes = story.families[family]
    rows: list[tuple[Cell, ...]] = []
    for judge in (*grid.detectors, *grid.baselines):
        found = [_count(grid, judge, regime, fine=judge in grid.detectors) for regime in regimes]
        for label, rate in found[0].items():
            rows.append((judge_name(judge), label, rate.n, *(str(one[label]) for one in found)))
    words = "with" if family == WITH else "without"
    caption = (
        f"{_what(story)}Works judged rightly, of all works of the sublabel, each by models that saw nothing of it; "
        "Wilson 95 % intervals. A column is a regime; roles that it names were in training, the others never."
    )
    return Table(f"recalls-{words}", f"Works judged rightly, trained {words} human forgeries", ("judge", "works", "n",
                 *regimes), tuple(rows), caption)  # fmt: skip


def draw_recalls(story: Story) -> Figure:
    """Human forgeries caught, bars with Wilson limits."""
    grid = story.grid
    categories = story.families[WITHOUT]
    panels = []
    for judge in grid.detectors:
        curves = []
        for family, words in ((WITHOUT, "no forgeries in training"), (WITH, "other forgeries in training")):
            rates = [grid.recall(judge, regime, FORGERY) for regime in story.families[family]]
            curves.append(_curve(words, [(r.value, r.low, r.high) for r in rates], "bars"))
        rates = [grid.recall("metadata", regime, FORGERY) for regime in story.families[WITH]]
        words = "equalised metadata, other forgeries in training"
        curves.append(_curve(words, [(r.value, r.low, r.high) for r in rates], "bars"))
        title = f"{judge_name(judge)}, n = {grid.count(FORGERY)}"
        panels.append(Panel(title, "synthetic pictures in training", "human forgeries caught", tuple(curves),
                            categories=categories))  # fmt: skip
    caption = (
        f"{_what(story)}Share of human forgeries called 'not the hand', Wilson 95 % intervals over works. See whether "
        "the bars rise from left to right, and whether they rise above the baseline's."
    )
    return Figure("recalls", "Human forgeries caught", caption, tuple(panels))


def draw_areas(story: Story) -> Figure:
    """AUC of originals against human forgeries, detectors and baselines."""
    grid = story.grid
    panels = []
    for family, words in ((WITHOUT, "no forgeries in training"), (WITH, "other forgeries in training")):
        curves = []
        for judge in (*grid.detectors, *grid.baselines):
            areas = [grid.area(judge, regime, FORGERY) for regime in story.families[family]]
            curves.append(_curve(judge_name(judge), [(a.value, a.low, a.high) for a in areas], "points"))
        panels.append(Panel(words, "synthetic pictures in training", "AUC, originals v forgeries", tuple(curves),
                            categories=story.families[WITHOUT]))  # fmt: skip
    caption = (
        f"{_what(story)}0.5 is chance. Logit-DeLong 95 % intervals over works. A detector that stands no higher than "
        "the baselines has learned how the pictures were collected."
    )
    return Figure("areas", "Ranking of originals and human forgeries", caption, tuple(panels))


def draw_samples(gallery: Gallery) -> tuple[Figure, ...]:
    """Pictures that trained synthesizers made, beside originals; none without any."""
    if not gallery.samples:
        return ()
    what = "The originals are simulated. " if gallery.simulated else ""
    caption = f"{what}Made pictures of the first seeds, as they came, beside originals at the same size."
    parts = tuple(Picture(title, pixels) for title, pixels in gallery.samples)
    return (Figure("samples", "What trained synthesizers made", caption, parts),)


def _gains(story: Story) -> str:
    """What diffusion pictures change for detectors that know no human forgery."""
    effects = {effect.label: effect for one in story.talk for effect in one.effects}
    steps = [
        f"{judge_name(judge)} {found.text}{', refused since a baseline does as well' if found.refused else ''}"
        for judge in story.grid.detectors
        if (found := effects.get(f"{judge_name(judge)}, diffusion")) is not None
    ]
    return f"Diffusion pictures in training change the AUC against forgeries by: {'; '.join(steps)}." if steps else ""


def _known(story: Story) -> dict[str, Claim]:
    """For each detector the claim that it tells originals from forgeries, others of them in training."""
    return {
        name: one
        for name in map(judge_name, story.grid.detectors)
        for one in story.claims
        if one.statement.startswith(f"{name}:") and one.statement.endswith(OTHERS)
    }


def _allowed(story: Story) -> str:
    claims = [f"{one.status} for {name}" for name, one in _known(story).items()]
    return f"that a detector sees more than they do is {', '.join(claims)}"


def _marks(story: Story) -> str:
    counts = {word: sum(one.verdict == word for one in story.talk) for word in (CONFIRMED, REFUTED, OPEN)}
    return f"Of {len(story.talk)} claims of the talk, " + ", ".join(f"{n} {word}" for word, n in counts.items())


def _truth(story: Story) -> str:
    """What was found beside what is known of the simulated forgers."""
    found = [name for name, one in _known(story).items() if one.status == SUPPORTED]
    names = " and ".join(found) if found else "no detector"
    if story.gap > 0:
        return (
            f"The hidden truth: the forgers' hands lie {story.gap:g} from the master's, so that forgeries can be told; "
            f"{names} found it."
        )
    return f"The hidden truth: the forgers' hands are the master's, so that nobody can tell; {names} claimed to."


def _compare(story: Story, judge: str, family: str) -> tuple[RegimeComparison, ...]:
    grid = story.grid
    regimes = story.families[family]
    first = grid.outcomes[judge, regimes[0]]
    chosen = first.select([POSITIVE, FORGERY])
    scores = {regime: np.asarray(grid.outcomes[judge, regime].scores)[chosen] for regime in regimes}
    return compare_regimes(
        scores, regimes[0], first.select([POSITIVE])[chosen], grid.stream.fold("gain"),
        sublabels=first.names()[chosen].tolist(), samples=SAMPLES,
    )  # fmt: skip


def _count(grid: Grid, judge: str, regime: str, *, fine: bool) -> dict[str, Rate]:
    """Recalls by role, and of detectors also by maker where a role has several."""
    one = grid.outcomes[judge, regime]
    rates = count_recalls(Outcomes(one.scores, one.roles, (), one.thresholds))
    if fine:
        detailed = count_recalls(one)
        for label, rate in detailed.items():
            role = label.split(" / ")[0]
            if label not in rates and rate.n < rates[role].n:
                rates[label] = rate
    order = {label: k for k, label in enumerate(grid.roles)}
    return dict(sorted(rates.items(), key=lambda item: (order[item[0].split(" / ")[0]], item[0])))


def _curve(label: str, values: list[tuple[float, float, float]], style: str) -> Curve:
    middle, low, high = (list(column) for column in zip(*values, strict=True))
    return Curve(label, [float(k) for k in range(len(values))], middle, style=style, limits=(low, high))


def _cell(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def _what(story: Story) -> str:
    return "Simulated pictures. " if story.grid.gallery.simulated else ""
