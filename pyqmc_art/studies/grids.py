"""Grids of outcomes: every training regime judged by every detector and baseline, on the same works and folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.claims import Claim, judge_claim
from pyqmc_art.art.scorecard import POSITIVE
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import bootstrap_works, merge_small_strata
from pyqmc_art.stats.comparisons import Difference, compare_auc
from pyqmc_art.stats.proportions import Rate, clopper_pearson_interval
from pyqmc_art.stats.ranking import Score, auc_statistic, delong_interval
from pyqmc_art.studies.gallery import BASELINES, FILES, Gallery
from pyqmc_art.studies.regimes import Regime, WorkOutcomes, score_works

Floats = NDArray[np.float64]

SAMPLES: Final = 2000
PLAIN_STRENGTHS: Final = (1e-2, 1e-1, 1.0)
"""Strengths of the metadata baselines: held back as much as thousands of features, a dozen numbers would show nothing,
and a baseline must not be weak."""
JUDGE_NAMES: Final = {
    "residual": "residual statistics",
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
    "metadata": "equalised metadata",
    "subject": "subject",
    FILES: "file metadata",
}
"""What tables call detectors and baselines; any other network bears its own name."""


def judge_name(judge: str) -> str:
    """What tables call a detector or baseline."""
    return JUDGE_NAMES.get(judge, judge)


@dataclass(frozen=True)
class Term:
    """One AUC of a sum of AUCs: ``sign`` times that of the originals against works of one role.

    Parameters
    ----------
    sign : +1 or -1
    judge, regime : whose scores
    role : of the negatives
    """

    sign: int
    judge: str
    regime: str
    role: str


@dataclass(frozen=True)
class Grid:
    """Outcomes of all regimes.

    Attributes
    ----------
    gallery : the pictures
    regimes : in order
    outcomes : (detector or baseline, name of the regime) -> outcomes of all works, always in the same order
    stream : of the bootstraps
    """

    gallery: Gallery
    regimes: tuple[Regime, ...]
    outcomes: Mapping[tuple[str, str], WorkOutcomes]
    stream: Stream

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors."""
        return self.gallery.detectors

    @property
    def baselines(self) -> tuple[str, ...]:
        """Baselines on what the detectors see, and the one on the files."""
        return (*(name for name in self.gallery.tables if name in BASELINES), FILES)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the regimes."""
        return tuple(regime.name for regime in self.regimes)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the works, the originals first."""
        found = next(iter(self.outcomes.values())).roles
        return (POSITIVE, *(role for role in dict.fromkeys(found) if role != POSITIVE))

    def select(self, role: str) -> NDArray[np.bool_]:
        """Works of a role, or of one maker of a role: ``"role / maker"``."""
        one = next(iter(self.outcomes.values()))
        return one.select([role]) if role in self.roles else np.asarray(one.names() == role, bool)

    def count(self, role: str) -> int:
        """Number of works of a role or maker."""
        return int(self.select(role).sum())

    def area(self, judge: str, regime: str, role: str) -> Score:
        """AUC of the originals against the works of a role or maker."""
        scores = np.asarray(self.outcomes[judge, regime].scores, np.float64)
        return delong_interval(scores[self.select(POSITIVE)], scores[self.select(role)])

    def recall(self, judge: str, regime: str, role: str) -> Rate:
        """Share of the works of a role or maker that were judged rightly."""
        return Rate.count(self.outcomes[judge, regime].correct[self.select(role)])

    def gain(self, judge: str, first: str, second: str, role: str) -> Difference:
        """AUC of the second regime minus that of the first, originals against a role or maker, paired over works."""
        one, other = self.outcomes[judge, first], self.outcomes[judge, second]
        chosen = self.select(POSITIVE) | self.select(role)
        return compare_auc(
            np.asarray(one.scores)[chosen], np.asarray(other.scores)[chosen], one.select([POSITIVE])[chosen],
            self.stream.fold("gain"), one.names()[chosen].tolist(), samples=SAMPLES,
        )  # fmt: skip

    def claim(self, statement: str, judge: str, regime: str, role: str) -> Claim:
        """Whether the detector tells originals from a role or maker by more than the baselines see, trained alike."""
        one = self.outcomes[judge, regime]
        chosen = self.select(POSITIVE) | self.select(role)
        rivals = {judge_name(name): np.asarray(self.outcomes[name, regime].scores)[chosen] for name in self.baselines}
        return judge_claim(
            statement, np.asarray(one.scores)[chosen], rivals, one.select([POSITIVE])[chosen],
            self.stream.fold("claim"), sublabels=one.names()[chosen].tolist(), samples=SAMPLES,
        )  # fmt: skip

    def combine(self, terms: Sequence[Term]) -> Difference:
        """Sum AUCs with signs, with the interval of a bootstrap that draws the same works for all of them.

        Parameters
        ----------
        terms : at least one; the roles may differ

        Returns
        -------
        Difference; where no sample differs from another, its limits are those of rates of so few works
        """
        any_one = next(iter(self.outcomes.values()))
        positive = np.flatnonzero(any_one.select([POSITIVE]))
        parts = []
        for term in terms:
            negative = np.flatnonzero(self.select(term.role))
            scores = np.asarray(self.outcomes[term.judge, term.regime].scores, np.float64)
            parts.append(
                (term.sign, np.concatenate([positive, negative]), auc_statistic(scores[positive], scores[negative]))
            )
        used = np.unique(np.concatenate([index for _, index, _ in parts]))
        place = np.full(len(any_one.roles), -1)
        place[used] = np.arange(used.size)

        def total(counts: Floats) -> Floats:
            return np.asarray(
                sum(sign * statistic(counts[:, place[index]]) for sign, index, statistic in parts), np.float64
            )

        roles = [any_one.roles[i] for i in used]
        strata = merge_small_strata(roles, any_one.names()[used])
        found = bootstrap_works(total, strata, self.stream.fold("combine"), SAMPLES)
        fewest = min(positive.size, *(index.size - positive.size for _, index, _ in parts))
        if found.degenerate:
            room = 1 - clopper_pearson_interval(fewest, fewest)[0]
            return Difference(found.value, found.value - room, found.value + room, 1.0, positive.size, fewest)
        low, high = found.interval()
        return Difference(found.value, low, high, found.p_value(), positive.size, fewest)


def judge_grid(
    gallery: Gallery,
    regimes: Sequence[Regime],
    stream: Stream,
    *,
    folds: int,
    repeats: int,
    strengths: Sequence[float],
    monitor: Monitor,
) -> Grid:
    """Judge every work in every regime by every detector and baseline; the folds are the same for all of them.

    Raises
    ------
    InputError
        When there are too few works for the folds.
    """
    judges = (*gallery.tables, FILES)
    outcomes: dict[tuple[str, str], WorkOutcomes] = {}
    # Of two generators, one alone is all but the other: what was judged is not judged again.
    known: dict[tuple[str, frozenset[str], frozenset[str]], WorkOutcomes] = {}
    monitor.start("regimes", len(judges) * len(regimes))
    try:
        for judge in judges:
            for regime in regimes:
                key = (judge, frozenset(regime.roles), frozenset(regime.without))
                if key not in known:
                    known[key] = score_works(
                        gallery, judge, regime.roles, stream.fold("folds"), folds=folds, repeats=repeats,
                        without=regime.without,
                        strengths=PLAIN_STRENGTHS if judge in ("metadata", FILES) else strengths,
                    )  # fmt: skip
                outcomes[judge, regime.name] = known[key]
                monitor.advance(1, judge=judge, regime=regime.name)
    finally:
        monitor.finish()
    return Grid(gallery, tuple(regimes), outcomes, stream.fold("bootstrap"))
