"""Works judged by how they resemble the originals alone: no label of any other work enters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.claims import Claim, judge_claim
from pyqmc_art.art.novelty import score_familiarity
from pyqmc_art.art.scorecard import POSITIVE
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.comparisons import Difference, average_out_of_fold, compare_auc
from pyqmc_art.stats.ranking import Score, delong_interval
from pyqmc_art.studies.gallery import BASELINES, FILES, Gallery
from pyqmc_art.studies.grids import judge_name
from pyqmc_art.studies.regimes import ALWAYS, Exhibits, score_works

Floats = NDArray[np.float64]

PROXIES_ONLY = "originals v proxies"
CEILING = "all labels"
SUPERVISED = (PROXIES_ONLY, CEILING)
"""Beside the methods without labels: a detector that never saw a forgery, and one that saw all kinds."""


def score_by_originals(
    gallery: Gallery, table_name: str, method: str, stream: Stream, *, folds: int, repeats: int = 1
) -> Floats:
    """Score every work by its resemblance to originals, of which its own fold is left out.

    The originals are dealt into folds of equal size, all other works into folds by their names. A work is scored by the
    originals of the other folds, whether it is an original or not: so that a forgery from the distribution of the
    originals is exchangeable with them.

    Parameters
    ----------
    gallery : the pictures; of their labels only "original of the hand" is used
    table_name : of a detector or baseline
    method : one of :data:`pyqmc_art.art.novelty.METHODS`
    stream : of the folds
    folds, repeats : of the cross-validation

    Returns
    -------
    one score for each entry of ``Exhibits.of(gallery)``, larger for what resembles the originals

    Raises
    ------
    InputError
        For too few originals.
    """
    shown = Exhibits.of(gallery)
    table = gallery.table(table_name)
    pictures = table.pool(table.values)
    features = np.stack([pictures[list(members)].mean(axis=0) for members in shown.members])
    scores = np.empty((repeats, len(shown)))
    for repeat in range(repeats):
        outer = _deal(shown, stream.fold("folds", repeat), folds)
        for number in range(folds):
            tested = outer == number
            scores[repeat, tested] = score_familiarity(features[shown.labels & ~tested], features[tested], method)
    return average_out_of_fold(scores)


def _deal(shown: Exhibits, stream: Stream, folds: int) -> NDArray[np.int64]:
    """Fold of each entry."""
    originals = sorted({work for work, own in zip(shown.works, shown.labels, strict=True) if own})
    if len(originals) < folds:
        raise InputError(f"{len(originals)} works are originals; expected at least {folds}, one for each fold")
    order = sorted(originals, key=lambda work: stream.fold("originals").fold(work).key)
    # A forgery that was merged with its model into one work shares the model's fold.
    place = {work: number % folds for number, work in enumerate(order)}
    others = stream.fold("others")
    return np.array([place.get(work, others.fold(work).key % folds) for work in shown.works], np.int64)


@dataclass(frozen=True)
class Familiarities:
    """Scores of all works by every method.

    Attributes
    ----------
    gallery : the pictures
    methods : that use originals alone
    scores : (detector or baseline, method) -> scores of the entries; ``SUPERVISED`` for detectors only
    shown : the entries
    stream : of the bootstraps
    """

    gallery: Gallery
    methods: tuple[str, ...]
    scores: Mapping[tuple[str, str], Floats]
    shown: Exhibits
    stream: Stream

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles beside the originals, in order of appearance."""
        return tuple(role for role in dict.fromkeys(self.shown.roles) if role != POSITIVE)

    @property
    def baselines(self) -> tuple[str, ...]:
        """Baselines on what the detectors see, and the one on the files."""
        return (*(name for name in self.gallery.tables if name in BASELINES), FILES)

    def count(self, role: str) -> int:
        """Number of works of a role."""
        return self.shown.roles.count(role)

    def area(self, judge: str, method: str, role: str) -> Score:
        """AUC of the held-out originals against the works of a role."""
        own = self.scores[judge, method]
        return delong_interval(own[self.shown.labels], own[self._select(role)])

    def claim(self, judge: str, method: str, role: str) -> Claim:
        """Whether the detector tells originals from a role by more than the baselines do with the same method."""
        chosen = self.shown.labels | self._select(role)
        rivals = {judge_name(name): self.scores[name, method][chosen] for name in self.baselines}
        statement = f"{judge_name(judge)}, {method}: originals v {role}"
        return judge_claim(
            statement, self.scores[judge, method][chosen], rivals, self.shown.labels[chosen],
            self.stream.fold("claim"), sublabels=[self.shown.strata[i] for i in np.flatnonzero(chosen)],
        )  # fmt: skip

    def deficit(self, judge: str, method: str, role: str) -> Difference:
        """AUC with all labels minus AUC of a method, paired over works."""
        chosen = self.shown.labels | self._select(role)
        first, second = (self.scores[judge, one][chosen] for one in (method, CEILING))
        strata = [self.shown.strata[i] for i in np.flatnonzero(chosen)]
        return compare_auc(first, second, self.shown.labels[chosen], self.stream.fold("deficit"), strata)

    def _select(self, role: str) -> NDArray[np.bool_]:
        return np.array([one == role for one in self.shown.roles], bool)


def judge_familiarities(
    gallery: Gallery,
    methods: Sequence[str],
    stream: Stream,
    *,
    folds: int,
    repeats: int,
    strengths: Sequence[float],
    monitor: Monitor,
) -> Familiarities:
    """Score all works by every method, on every detector and baseline, and by the two supervised detectors.

    Raises
    ------
    InputError
        When there are too few works, or no role beside the originals.
    """
    shown = Exhibits.of(gallery)
    present = [role for role in dict.fromkeys(shown.roles) if role not in ALWAYS]
    if not present:
        raise InputError("there are only originals and proxies; add forgeries or machine-made pictures to judge")
    ways = {PROXIES_ONLY: (), CEILING: tuple(present)} if "proxy" in shown.roles else {CEILING: tuple(present)}
    judges = (*gallery.tables, FILES)
    monitor.start("methods", len(judges) * len(methods) + len(gallery.detectors) * len(ways))
    scores: dict[tuple[str, str], Floats] = {}
    try:
        for judge in judges:
            for method in methods:
                scores[judge, method] = score_by_originals(
                    gallery, judge, method, stream.fold("originals"), folds=folds, repeats=repeats
                )
                monitor.advance(1, judge=judge, method=method)
        for judge in gallery.detectors:
            for way, roles in ways.items():
                found = score_works(
                    gallery, judge, roles, stream.fold("supervised"), folds=folds, repeats=repeats, strengths=strengths
                )
                scores[judge, way] = np.asarray(found.scores, np.float64)
                monitor.advance(1, judge=judge, method=way)
    finally:
        monitor.finish()
    return Familiarities(gallery, tuple(methods), scores, shown, stream.fold("bootstrap"))
