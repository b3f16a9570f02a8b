"""The claims of the talk, each marked by a rule that is written down before any number is seen.

Ostmeyer et al., PLOS ONE 19(2) e0295967 (2024), as told in a talk. Its figures are not known here; only what it says in
words is put to the test, on other pictures and with other detectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyqmc_art.art.claims import REFUSED
from pyqmc_art.art.roles import hand_key
from pyqmc_art.protocols import Table
from pyqmc_art.stats.comparisons import Difference, adjust_holm
from pyqmc_art.studies.gallery import hand_name
from pyqmc_art.studies.grids import Grid, Term, judge_name

CONFIRMED: Final = "confirmed"
REFUTED: Final = "refuted"
OPEN: Final = "not decided here"
ALPHA: Final = 0.05
ALIKE: Final = 0.05
"""Gains in AUC that differ by less than this, with their whole interval, count as alike."""
FORGERY: Final = "forgery"


@dataclass(frozen=True)
class Effect:
    """A difference of AUCs, Holm-adjusted, and whether a baseline forbids to make anything of it.

    Attributes
    ----------
    label : what is compared
    found : the difference, with interval
    adjusted : its p-value, adjusted over the effects of one claim
    refused : why nothing may be made of it; empty when something may
    """

    label: str
    found: Difference
    adjusted: float
    refused: str = ""

    @property
    def positive(self) -> bool:
        """Whether it lies above 0."""
        return self.found.low > 0 and self.adjusted < ALPHA

    @property
    def negative(self) -> bool:
        """Whether it lies below 0."""
        return self.found.high < 0 and self.adjusted < ALPHA

    @property
    def text(self) -> str:
        """The difference with its interval."""
        return f"{self.found.value:+.3f} [{self.found.low:+.3f}, {self.found.high:+.3f}]"


@dataclass(frozen=True)
class Verdict:
    """What becomes of one claim.

    Attributes
    ----------
    claim, rule : what is said, and when it counts as confirmed or refuted
    verdict : ``"confirmed"``, ``"refuted"`` or ``"not decided here"``
    effects : the numbers it rests on
    remark : what else there is to say
    """

    claim: str
    rule: str
    verdict: str
    effects: tuple[Effect, ...] = ()
    remark: str = ""


def judge_talk(grid: Grid) -> tuple[Verdict, ...]:
    """Mark every claim of the talk."""
    return (
        judge_always(grid), judge_gan(grid), judge_swin(grid), judge_excess(grid), judge_unseen(grid),
        judge_modigliani(grid),
    )  # fmt: skip


def tabulate_talk(verdicts: Sequence[Verdict]) -> tuple[Table, Table]:
    """Make the table of the talk's claims, and that of the numbers they rest on."""
    marks = tuple((one.claim, one.rule, one.verdict) for one in verdicts)
    effects = tuple(
        (one.claim, effect.label, effect.text, f"{effect.found.positives} v {effect.found.negatives}",
         f"{effect.adjusted:.2g}", effect.refused or None)
        for one in verdicts for effect in one.effects
    )  # fmt: skip
    caption = (
        "Differences of AUC (originals against human forgeries, unless said otherwise) with 95 % intervals of a "
        "paired bootstrap over works; n: originals v others; p-values adjusted by Holm over the comparisons of one "
        "claim. Nothing is made of a number that a baseline reaches as well."
    )
    remarks = " ".join(one.remark for one in verdicts if one.remark)
    columns = ("claim", "comparison", "difference of AUC", "n", "Holm p", "refused because")
    return (
        Table("talk", "Claims of the talk", ("claim", "rule", "verdict"), marks, remarks),
        Table("talk-evidence", "What these verdicts rest on", columns, effects, caption),
    )


def judge_always(grid: Grid) -> Verdict:
    """Diffusion always helps."""
    claim = "Diffusion pictures in training always help against human forgeries."
    rule = (
        "AUC with diffusion minus without, for each detector, with and without forgeries in training. Confirmed: all "
        "intervals above 0, Holm p < 0.05. Refuted: one below 0."
    )
    effects = find_gains(grid, "diffusion")
    return Verdict(claim, rule, decide_always(effects), effects)


def decide_always(effects: Sequence[Effect]) -> str:
    """Decide a claim that must hold everywhere."""
    sound = [one for one in effects if not one.refused]
    if any(one.negative for one in sound):
        return REFUTED
    return CONFIRMED if effects and len(sound) == len(effects) and all(one.positive for one in effects) else OPEN


def judge_gan(grid: Grid) -> Verdict:
    """GAN pictures help or not depending on the classifier."""
    claim = "GAN pictures help or do not, depending on the classifier."
    rule = (
        "Gain in AUC by raw or tuned GAN pictures, of one detector minus that of another. Confirmed: one interval "
        f"without 0, Holm p < 0.05. Refuted: all within ±{ALIKE}."
    )
    pairs = [(a, b) for i, a in enumerate(grid.detectors) for b in grid.detectors[i + 1 :]]
    found, doubts = [], []
    for first, second in pairs:
        for plain, more in _steps(grid, "raw GAN") + _steps(grid, "tuned GAN"):
            terms = [
                Term(sign * way, judge, regime, FORGERY)
                for sign, judge in ((1, second), (-1, first))
                for way, regime in ((1, more), (-1, plain))
            ]
            found.append((f"{more}: {judge_name(second)} over {judge_name(first)}", grid.combine(terms)))
            each = (_doubt(grid, judge, more) for judge in (first, second))
            doubts.append("; ".join(dict.fromkeys(reason for doubt in each for reason in doubt.split("; ") if reason)))
    effects = _adjust(found, doubts)
    return Verdict(claim, rule, decide_differs(effects), effects)


def decide_differs(effects: Sequence[Effect]) -> str:
    """Decide whether a gain differs between detectors."""
    sound = [one for one in effects if not one.refused]
    if any(one.positive or one.negative for one in sound):
        return CONFIRMED
    alike = all(one.found.low > -ALIKE and one.found.high < ALIKE for one in sound)
    return REFUTED if sound and len(sound) == len(effects) and alike else OPEN


def judge_swin(grid: Grid) -> Verdict:
    """Diffusion and GAN together overfit Swin Base."""
    claim = "Diffusion and GAN pictures together overfit Swin Base."
    rule = "About one network: decided only with Swin Base among the detectors, trained as a whole."
    effects = _adjust(
        [
            (f"{judge_name(judge)}: {both} over {one}", grid.gain(judge, one, both, FORGERY))
            for judge in grid.detectors
            for one, both in (
                ("diffusion", "diffusion + GAN"),
                ("forgeries + diffusion", "forgeries + diffusion + GAN"),
            )
            if {one, both} <= set(grid.names) and FORGERY in grid.roles
        ]
    )
    return Verdict(claim, rule, OPEN, effects, "No weights of Swin Base are at hand; what stands there is of others.")


def judge_excess(grid: Grid) -> Verdict:
    """Too much synthetic data makes a detector of generators."""
    claim = "Too much synthetic data makes a detector of generators."
    rule = (
        "From no synthetic pictures to the most. Confirmed: for one detector the AUC against human forgeries falls "
        "(interval below 0, Holm p < 0.05) while that against synthetic pictures rises. Refuted: synthetic pictures "
        "outnumber the originals and the AUC against forgeries rises for every detector."
    )
    fullest = max(grid.regimes, key=lambda one: (not one.forgeries, sum(map(grid.count, one.synthetic))))
    if not fullest.synthetic or FORGERY not in grid.roles:
        return Verdict(claim, rule, OPEN, (), "There are no synthetic pictures, or no forgeries.")
    amount = sum(map(grid.count, fullest.synthetic))
    # Works that are in training and never judged count, too.
    rows = zip(grid.gallery.manifest, grid.gallery.roles, strict=True)
    originals = len({row.work for row, role in rows if role == "original"})
    against_forgeries = _adjust(
        [(judge_name(judge), grid.gain(judge, grid.names[0], fullest.name, FORGERY)) for judge in grid.detectors],
        [_doubt(grid, judge, fullest.name) for judge in grid.detectors],
    )
    against_machines = _adjust(
        [
            (f"{judge_name(judge)}, sum of AUCs against {', '.join(fullest.synthetic)}", grid.combine([
                Term(sign, judge, regime, role)
                for role in fullest.synthetic for sign, regime in ((1, fullest.name), (-1, grid.names[0]))
            ]))
            for judge in grid.detectors
        ]
    )  # fmt: skip
    verdict = decide_excess(against_forgeries, against_machines, amount > originals)
    remark = f"The most synthetic pictures in training: {amount} beside {originals} originals."
    return Verdict(claim, rule, verdict, (*against_forgeries, *against_machines), remark)


def decide_excess(forgeries: Sequence[Effect], machines: Sequence[Effect], outnumbered: bool) -> str:
    """Decide whether human forgeries are forgotten over synthetic pictures."""
    if any(one.negative and other.positive for one, other in zip(forgeries, machines, strict=True)):
        return CONFIRMED
    gained = all(one.positive and not one.refused for one in forgeries)
    return REFUTED if forgeries and gained and outnumbered else OPEN


def judge_unseen(grid: Grid) -> Verdict:
    """Unseen GAN pictures are easy, unseen diffusion pictures are hard."""
    claim = "Unseen GAN pictures are easy, unseen diffusion pictures are hard."
    rule = (
        "AUC against tuned GAN pictures when trained on diffusion, minus AUC against diffusion pictures when trained "
        "on tuned GAN. Confirmed: above 0 for every detector, Holm p < 0.05. Refuted: below 0 for every detector."
    )
    if not {"diffusion", "tuned GAN"} <= set(grid.names):
        return Verdict(claim, rule, OPEN, (), "Tuned GAN or diffusion pictures are missing.")
    found, doubts = [], []
    for judge in grid.detectors:
        terms = [Term(1, judge, "diffusion", "tuned-gan"), Term(-1, judge, "tuned GAN", "diffusion")]
        seen = (grid.area(judge, "diffusion", "tuned-gan"), grid.area(judge, "tuned GAN", "diffusion"))
        found.append((f"{judge_name(judge)} ({seen[0].value:.3f} minus {seen[1].value:.3f})", grid.combine(terms)))
        doubts.append(_doubt(grid, judge, "diffusion", "tuned-gan"))
    effects = _adjust(found, doubts)
    return Verdict(claim, rule, decide_every(effects), effects)


def decide_every(effects: Sequence[Effect]) -> str:
    """Decide a claim about a sign that every detector must show."""
    if not effects or any(one.refused for one in effects):
        return OPEN
    if all(one.positive for one in effects):
        return CONFIRMED
    return REFUTED if all(one.negative for one in effects) else OPEN


def judge_modigliani(grid: Grid) -> Verdict:
    """No diffusion advantage for Modigliani."""
    claim = "For Modigliani diffusion pictures bring no advantage."
    rule = (
        f"Decided on pictures of Modigliani only. Confirmed: every gain below {ALIKE} with its whole interval. "
        "Refuted: one interval above 0, Holm p < 0.05."
    )
    if "modigliani" not in hand_key(grid.gallery.hand):
        return Verdict(
            claim, rule, OPEN, (), f"These are pictures of {hand_name(grid.gallery.hand)}, not of Modigliani."
        )
    effects = find_gains(grid, "diffusion")
    sound = [one for one in effects if not one.refused]
    if any(one.positive for one in sound):
        return Verdict(claim, rule, REFUTED, effects)
    none = bool(effects) and all(one.found.high < ALIKE for one in effects)
    return Verdict(claim, rule, CONFIRMED if none else OPEN, effects)


def find_gains(grid: Grid, synthetic: str) -> tuple[Effect, ...]:
    """Gains in AUC against human forgeries by one kind of synthetic pictures, for each detector and both families."""
    steps = [(judge, *step) for judge in grid.detectors for step in _steps(grid, synthetic)]
    return _adjust(
        [(f"{judge_name(judge)}, {more}", grid.gain(judge, plain, more, FORGERY)) for judge, plain, more in steps],
        [_doubt(grid, judge, more) for judge, _, more in steps],
    )


def _steps(grid: Grid, synthetic: str) -> list[tuple[str, str]]:
    """Pairs of regimes without and with one kind of synthetic pictures."""
    pairs = (("no synthetic", synthetic), ("forgeries", f"forgeries + {synthetic}"))
    return [pair for pair in pairs if set(pair) <= set(grid.names) and FORGERY in grid.roles]


def _doubt(grid: Grid, judge: str, regime: str, role: str = FORGERY) -> str:
    """Why nothing may be made of a detector's scores in a regime; empty when something may."""
    found = grid.claim("", judge, regime, role)
    return "; ".join(reason.split(":")[0] for reason in found.reasons) if found.status == REFUSED else ""


def _adjust(found: Sequence[tuple[str, Difference]], doubts: Sequence[str] = ()) -> tuple[Effect, ...]:
    adjusted = adjust_holm([one.p_value for _, one in found]) if found else ()
    given = doubts or [""] * len(found)
    return tuple(
        Effect(label, one, float(p), doubt) for (label, one), p, doubt in zip(found, adjusted, given, strict=True)
    )
