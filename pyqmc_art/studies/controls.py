"""A contrast on trial: held-out scores of works, the baselines, and the controls that a claim must survive.

The *format control* is equalisation: one size, one downscale factor, one random JPEG. The *source control* trains and
tests within one source; where several sources hold both sides, their AUCs are averaged with the weights
``m n / (m + n)`` of m v n works. The *genre control* is the same with genres.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.claims import MINIMUM_WORKS, REFUSED, SUPPORTED, UNDECIDED, Claim, judge_claim
from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.detectors.heads import assign_folds, count_works, make_learner
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.comparisons import average_out_of_fold
from pyqmc_art.stats.crossvalidation import Learner, score_out_of_fold
from pyqmc_art.stats.ranking import Score, delong_interval
from pyqmc_art.studies.chance import LEVEL, areas_of_chance
from pyqmc_art.studies.contrasts import Contrast, read_groups
from pyqmc_art.studies.evidence import BASELINES, FILES, Evidence

Floats = NDArray[np.float64]
SOURCE: Final = "source"
"""The column without which no claim is supported; a genre that nobody named is not asked for."""
STRENGTHS: Final = (1e-4, 3e-3, 1e-1)
SAMPLES: Final = 1000


@dataclass(frozen=True)
class Effort:
    """How scores are held out.

    Parameters
    ----------
    folds : parts, over works; fewer where a class has fewer works
    repeats : how often, each time in another order; the scores are averaged
    """

    folds: int = 6
    repeats: int = 2

    def __post_init__(self) -> None:
        if self.folds < 2 or self.repeats < 1:
            raise InputError(f"folds is {self.folds} and repeats {self.repeats}; expected at least 2 and 1")


@dataclass(frozen=True)
class Within:
    """The contrast within one value of a column, such as one source.

    Parameters
    ----------
    column : ``"source"`` or ``"genre"``
    values : those with enough works of both sides; empty when the control is not possible
    scores : detector -> AUC within them; empty when the control is not possible
    chance : detector -> what shuffled labels reach there in 2.5 % of cases
    alone : AUC of the column's value alone, held out; None where no row has the column
    reason : why the control is not possible, or what it was
    needed : whether pictures differ in the column at all
    """

    column: str
    values: tuple[str, ...]
    scores: Mapping[str, Score]
    chance: Mapping[str, float]
    alone: Score | None
    reason: str
    needed: bool


@dataclass(frozen=True)
class Ruling:
    """What is said of one detector's claim, and why."""

    status: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """A contrast with everything that was held against it.

    Parameters
    ----------
    contrast : which works
    works : positive and negative ones
    raw : detector -> AUC on the pictures as they came
    claims : detector -> AUC on the equalised pictures, beside the baselines
    chance : detector -> what shuffled labels reach in 2.5 % of cases
    within : column -> the control within it
    rulings : detector -> what may be claimed
    """

    contrast: Contrast
    works: tuple[int, int]
    raw: Mapping[str, Score]
    claims: Mapping[str, Claim]
    chance: Mapping[str, float]
    within: Mapping[str, Within]
    rulings: Mapping[str, Ruling]

    @property
    def status(self) -> str:
        """Supported if one detector's claim is; else refused if one is; else not decided."""
        found = [one.status for one in self.rulings.values()]
        return next((status for status in (SUPPORTED, REFUSED) if status in found), UNDECIDED)

    @property
    def baselines(self) -> Mapping[str, Score]:
        """AUC of the baselines, the same for every detector; none where works were too few to hold any out."""
        return next((claim.baselines for claim in self.claims.values()), {})


@dataclass(frozen=True)
class Task:
    """Rows of one contrast: which are positive, and what every part of a split gets its share of."""

    evidence: Evidence
    labels: NDArray[np.bool_]
    strata: tuple[str, ...]
    effort: Effort
    stream: Stream

    @classmethod
    def of(cls, evidence: Evidence, contrast: Contrast, effort: Effort, stream: Stream, columns: Sequence[str]) -> Task:
        """Take the rows of a contrast out of the evidence; each part gets its share of every source and genre."""
        positive, negative = contrast.select(evidence.manifest)
        rows = np.flatnonzero(positive | negative)
        own = evidence.take(rows)
        texts = [read_groups(own.manifest, column) for column in columns]
        strata = tuple("|".join(words) for words in zip(*texts, strict=True)) if texts else ("",) * len(rows)
        return cls(own, positive[rows], strata, effort, stream)

    @property
    def works(self) -> tuple[str, ...]:
        """Work of each row."""
        return self.evidence.manifest.works

    @property
    def counts(self) -> tuple[int, int]:
        """Positive and negative works."""
        return count_works(self.works, self.labels)

    def among(self, rows: NDArray[np.int64], name: str) -> Task:
        """Keep some rows, split by a stream of their own."""
        strata = tuple(self.strata[i] for i in rows)
        return Task(self.evidence.take(rows), self.labels[rows], strata, self.effort, self.stream.fold(name))

    def judge(self, learner: Learner) -> Floats:
        """Held-out score of each row, averaged over the repeats.

        Those of a fold are standardised: each fold has a model of its own, whose offset leans away from the works it
        was not shown, so that without information the AUC of pooled scores would lie below 1/2.
        """
        rows = np.arange(self.labels.size)
        runs = []
        for repeat in range(self.effort.repeats):
            folds = self.folds(repeat)
            scores = score_out_of_fold(learner, rows, self.labels, folds)
            runs.append(standardise(scores, folds))
        return average_out_of_fold(np.array(runs))

    def score(self, table: FeatureTable) -> Floats:
        """Held-out score of each work by a line through features; see :attr:`sides` for the order."""
        return self.by_work(self.judge(make_learner(table, self.stream.fold("head"), strengths=STRENGTHS)))

    def folds(self, repeat: int = 0) -> NDArray[np.int64]:
        """Fold of each row."""
        parts = min(self.effort.folds, *self.counts)
        return assign_folds(self.works, self.labels, self.stream.fold("folds", repeat), parts, self.strata)

    def shuffle(self, table: FeatureTable) -> Floats:
        """AUCs that these works and features reach with labels that mean nothing; see :mod:`.chance`."""
        features, folds = self.by_work(table.pool(table.values)), self.by_work(self.folds())
        return areas_of_chance(features, self.sides, folds.astype(np.int64), self.stream.fold("chance"))

    def by_work(self, values: NDArray[Any]) -> Floats:
        """Average over the rows of one work and side."""
        _, inverse, counts = np.unique(self._keys(), return_inverse=True, return_counts=True)
        sums = np.zeros((counts.size, *values.shape[1:]))
        np.add.at(sums, inverse, values)
        return np.asarray((sums.T / counts).T, np.float64)

    @property
    def sides(self) -> NDArray[np.bool_]:
        """Which works are positive; a work on both sides is two."""
        return np.array([key.endswith("|1") for key in np.unique(self._keys())], bool)

    def area(self, scores: Floats) -> Score:
        """AUC of scores of works."""
        return delong_interval(scores[self.sides], scores[~self.sides])

    def _keys(self) -> NDArray[np.str_]:
        return np.array([f"{work}|{int(label)}" for work, label in zip(self.works, self.labels, strict=True)])


def try_contrast(
    evidence: Evidence, contrast: Contrast, effort: Effort, stream: Stream, columns: Sequence[str] = ("source", "genre")
) -> Trial:
    """Put a contrast on trial.

    Parameters
    ----------
    evidence : features of all pictures
    contrast : which of them
    effort : of holding out
    stream : of folds and bootstraps
    columns : of the controls within

    Raises
    ------
    InputError
        For a contrast that selects nothing.
    """
    task = Task.of(evidence, contrast, effort, stream.fold(str(contrast)), columns)
    works = task.counts
    if min(works) < MINIMUM_WORKS:
        few = f"{works[0]} v {works[1]} works are too few; at least {MINIMUM_WORKS} on each side are needed"
        rulings = {name: Ruling(UNDECIDED, (few,)) for name in evidence.detectors}
        return Trial(contrast, works, {}, {}, {}, {}, rulings)
    own = task.evidence
    raw = {name: task.area(task.score(own.raw[name])) for name in own.detectors}
    baselines = {FILES: task.score(own.raw[FILES])} | {name: task.score(own.equal[name]) for name in BASELINES}
    claims = {}
    for name in own.detectors:
        scores, named = task.score(own.equal[name]), task.stream.fold("claim").fold(name)
        claims[name] = judge_claim(contrast.label, scores, baselines, task.sides, named, samples=SAMPLES)
    within = {column: control_within(task, column) for column in columns}
    chance = {name: float(np.quantile(task.shuffle(own.equal[name]), LEVEL)) for name in own.detectors}
    rulings = {name: rule(claims[name], raw[name], chance[name], within, name) for name in own.detectors}
    return Trial(contrast, works, raw, claims, chance, within, rulings)


def control_within(task: Task, column: str) -> Within:
    """Repeat the contrast within each value of a column that has enough works of both sides."""
    texts = np.array(read_groups(task.evidence.manifest, column), object)
    if not np.any(texts != ""):
        return Within(column, (), {}, {}, None, f"not possible: the manifest names no {column}", column == SOURCE)
    values = sorted(set(texts))
    if len(values) == 1:
        return Within(column, (values[0],), {}, {}, None, f"not needed: all pictures have one {column}", False)
    alone = task.area(task.by_work(task.judge(_value_learner(texts))))
    counts = {value: task.among(np.flatnonzero(texts == value), value) for value in values if value}
    usable = {value: part for value, part in counts.items() if min(part.counts) >= MINIMUM_WORKS}
    if not usable:
        most = max((min(part.counts) for part in counts.values()), default=0)
        why = f"no {column} has both" if not most else f"no {column} has {MINIMUM_WORKS} works of both (at most {most})"
        return Within(column, (), {}, {}, alone, f"not possible: {why}", True)
    scores, chance = {}, {}
    for name in task.evidence.detectors:
        areas = [part.area(part.score(part.evidence.equal[name])) for part in usable.values()]
        scores[name] = average_areas(areas)
        shuffled = np.array([part.shuffle(part.evidence.equal[name]) for part in usable.values()])
        chance[name] = float(np.quantile(_weigh(areas) @ shuffled, LEVEL))
    said = ", ".join(f"{value} ({part.counts[0]} v {part.counts[1]})" for value, part in usable.items())
    return Within(column, tuple(usable), scores, chance, alone, f"within {said}", True)


def standardise(scores: Floats, folds: NDArray[np.int64]) -> Floats:
    """Give the scores of every fold mean 0 and standard deviation 1, whatever their labels; equal ones become 0.

    Examples
    --------
    >>> standardise(np.array([1.0, 3.0, 5.0, 5.0]), np.array([0, 0, 1, 1])).tolist()
    [-1.0, 1.0, 0.0, 0.0]
    """
    counts = np.bincount(folds)
    centred = scores - (np.bincount(folds, scores) / counts)[folds]
    spread = np.sqrt(np.bincount(folds, centred**2) / counts)[folds]
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)


def average_areas(areas: Sequence[Score]) -> Score:
    """Average AUCs of separate works with weights ``m n / (m + n)``; the limits combine theirs (MOVER).

    ``low = A - sqrt(sum_s w_s^2 (A_s - l_s)^2)`` with weights that sum to 1, and likewise above.

    References
    ----------
    P. van Elteren, Bull. Inst. Int. Stat. 37 (1960) 351 (weights); G. Y. Zou, A. Donner, Stat. Med. 27 (2008) 1693.

    Examples
    --------
    >>> one = Score("AUC", 0.8, 0.6, 0.9, 10, 10)
    >>> print(average_areas([one, one]))
    AUC 0.800 [0.659, 0.871], 20 v 20
    """
    if len(areas) == 1:
        return areas[0]
    weights = _weigh(areas)
    value = float(sum(w * one.value for w, one in zip(weights, areas, strict=True)))
    below = math.hypot(*(w * (one.value - one.low) for w, one in zip(weights, areas, strict=True)))
    above = math.hypot(*(w * (one.high - one.value) for w, one in zip(weights, areas, strict=True)))
    positives, negatives = sum(one.positives for one in areas), sum(one.negatives for one in areas)
    return replace(
        areas[0], value=value, low=max(0.0, value - below), high=min(1.0, value + above), positives=positives,
        negatives=negatives, method="MOVER of " + " and ".join(dict.fromkeys(one.method for one in areas)),
    )  # fmt: skip


def _weigh(areas: Sequence[Score]) -> Floats:
    weights = np.array([one.positives * one.negatives / (one.positives + one.negatives) for one in areas])
    return np.asarray(weights / weights.sum(), np.float64)


def _value_learner(texts: NDArray[np.object_]) -> Learner:
    """Learn nothing but how often a value occurs on either side: ``log (p + 1/2)/(P + 1) - log (n + 1/2)/(N + 1)``."""

    def learn(train: NDArray[np.intp], labels: NDArray[np.bool_], test: NDArray[np.intp]) -> Floats:
        def rate(value: str, side: NDArray[np.bool_]) -> float:
            return math.log((np.sum(texts[train][side] == value) + 0.5) / (np.sum(side) + 1))

        return np.array([rate(value, labels) - rate(value, ~labels) for value in texts[test]])

    return learn


def rule(claim: Claim, raw: Score, chance: float, within: Mapping[str, Within], detector: str) -> Ruling:
    """Say whether one detector's claim survives everything that was held against it.

    It is refused if a baseline does as well, if it is gone after equalisation or within one source or genre (the
    interval holds 1/2, or labels that mean nothing reach as much), or if no source has both sides and the source alone
    does as well; not decided if the works are too few, the detector may be at chance, or a control that is needed
    cannot be made; supported otherwise.
    """
    refused = _equal_baselines(claim) if claim.status == REFUSED else []
    open_: list[str] = list(claim.reasons) if claim.status == UNDECIDED else []
    if raw.low > 0.5 and claim.score.low <= 0.5:
        refused.append(f"format control: {_words(raw)} as the files came, {_words(claim.score)} equalised")
    if claim.score.low > 0.5 and claim.score.value <= chance:
        open_.append(f"the detector may be at chance: {_words(claim.score)}, and shuffled labels reach {chance:.2f}")
    if claim.score.low > 0.5:
        for one in within.values():
            against, missing = _hold_against(one, detector, claim.score)
            refused += against
            open_ += missing
    if refused:
        return Ruling(REFUSED, tuple(refused))
    if open_:
        return Ruling(UNDECIDED, tuple(open_))
    return Ruling(SUPPORTED, claim.reasons)


def _hold_against(within: Within, detector: str, whole: Score) -> tuple[list[str], list[str]]:
    """What a control within a column says against a claim, and what it leaves open."""
    own, alone = within.scores.get(detector), within.alone
    if own is not None:
        said = f"{within.column} control: only {_words(own)} {within.reason}"
        if own.low <= 0.5:
            return [said], []
        limit = within.chance[detector]
        return [f"{said}, where shuffled labels reach {limit:.2f}"] if own.value <= limit else [], []
    if not within.needed:
        return [], []
    said = f"{within.column} control {within.reason}"
    if alone is not None and alone.low > 0.5 and alone.value >= whole.low:
        return [f"{said}, and the {within.column} alone does as well, {_words(alone)}"], []
    return [], [said]


def _equal_baselines(claim: Claim) -> list[str]:
    equal = [name for name, one in claim.advantages.items() if one.low <= 0 and claim.baselines[name].low > 0.5]
    return [f"{name} does as well, {_words(claim.baselines[name])}" for name in equal] or list(claim.reasons)


def _words(score: Score) -> str:
    return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"
