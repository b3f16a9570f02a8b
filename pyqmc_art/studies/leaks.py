"""The same samples, labels and detector, split in two ways: what a leak adds to a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.audit import audit_split
from pyqmc_art.art.detectors.features import FeatureTable, average_works
from pyqmc_art.art.detectors.heads import assign_folds, make_learner
from pyqmc_art.art.splits import Split
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import bootstrap_works
from pyqmc_art.stats.comparisons import Difference, average_out_of_fold, compare_auc
from pyqmc_art.stats.crossvalidation import Learner, score_out_of_fold
from pyqmc_art.stats.ranking import Score, auc, delong_interval

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Folds = NDArray[np.int64]

STRENGTH: Final = 0.1
"""Weight of the data against the penalty: one for all splits, for choosing it may leak, too."""


@dataclass(frozen=True)
class Samples:
    """What a detector is trained on, one row of features each: patches, or whole files.

    Parameters
    ----------
    values : features, shape (n, d)
    works : the work that each sample shows
    names : the works, in the order of their labels
    labels : true for the hand, one a work
    """

    values: NDArray[np.float32]
    works: tuple[str, ...]
    names: tuple[str, ...]
    labels: Flags

    def __post_init__(self) -> None:
        if set(self.works) != set(self.names) or len(self.works) != len(self.values):
            raise InputError(f"{len(self.values)} samples of {len(set(self.works))} works for {len(self.names)} names; "
                             "expected a work for each sample, and samples of each work")  # fmt: skip

    def __len__(self) -> int:
        return len(self.works)

    def spread(self, labels: Flags) -> Flags:
        """Label of each sample from the labels of the works."""
        known = dict(zip(self.names, labels.tolist(), strict=True))
        return np.array([known[work] for work in self.works], bool)

    def average(self, scores: Floats) -> Floats:
        """Mean score of each work, in the order of the names."""
        means, found = average_works(scores, self.works)
        place = dict(zip(found, means.tolist(), strict=True))
        return np.array([place[name] for name in self.names], np.float64)

    def learner(self) -> Learner:
        """Train on samples, score samples; every sample of a class counts the same."""
        count = len(self)
        table = FeatureTable(self.values, np.arange(count), np.ones(count, np.int64), tuple(map(str, range(count))))
        return make_learner(table, Stream.from_seed(0), strengths=(STRENGTH,))


@dataclass(frozen=True)
class Noise:
    """Labels that mean nothing: a fair coin for each work, thrown again and again after the folds were made.

    The labels of tested works then say nothing of those that trained, and the expected AUC of a fold is exactly 1/2.

    Parameters
    ----------
    value : mean over the labellings
    low, high : limits of its interval
    labellings : how often the coins were thrown
    works : coins in each
    """

    value: float
    low: float
    high: float
    labellings: int
    works: int

    @classmethod
    def of(cls, values: Sequence[float], works: int, stream: Stream) -> Noise:
        """Average the values of independent labellings."""
        given = np.asarray(values, np.float64)
        found = bootstrap_works(lambda counts: counts @ given / counts.sum(axis=1), [0] * given.size, stream)
        low, high = (found.value, found.value) if found.degenerate else found.interval()
        return cls(found.value, low, high, given.size, works)

    def __str__(self) -> str:
        interval = f"[{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f} {interval}, {self.labellings} labellings of {self.works} works"


@dataclass(frozen=True)
class Way:
    """One way to split the samples, and what came out.

    Parameters
    ----------
    name : of the way
    shared : works that have samples on both sides of a split, averaged over the folds
    real : AUC over works with the real labels, averaged out-of-fold scores
    noise : AUC with noise labels, averaged over folds
    pooled : the same from the scores of all folds together
    scores : of the works, with the real labels
    """

    name: str
    shared: float
    real: Score
    noise: Noise
    pooled: Noise
    scores: Floats


@dataclass(frozen=True)
class Inflation:
    """A leaky way beside the sound one.

    Parameters
    ----------
    sound, leaky : the ways
    real : AUC of the leaky minus the sound way with the real labels, paired over works
    """

    sound: Way
    leaky: Way
    real: Difference


def measure_inflation(
    samples: Samples,
    ways: tuple[tuple[str, Sequence[str]], tuple[str, Sequence[str]]],
    stream: Stream,
    *,
    folds: int,
    repeats: int,
    labellings: int,
    advance: Callable[[], None] = lambda: None,
) -> Inflation:
    """Split samples in a sound and in a leaky way, all else being equal.

    Parameters
    ----------
    samples : what is split
    ways : name and groups of the sound way, then of the leaky one; samples of one group stay together
    stream : of folds and coins
    folds, repeats : of the cross-validation with the real labels
    labellings : draws of noise labels
    advance : called after each cross-validation
    """
    sound, leaky = (
        _try_way(samples, name, groups, stream, (folds, repeats, labellings), advance) for name, groups in ways
    )
    real = compare_auc(sound.scores, leaky.scores, samples.labels, stream.fold("inflation"))
    return Inflation(sound, leaky, real)


def _try_way(
    samples: Samples,
    name: str,
    groups: Sequence[str],
    stream: Stream,
    effort: tuple[int, int, int],
    advance: Callable[[], None],
) -> Way:
    folds, repeats, labellings = effort
    learn, truth = samples.learner(), samples.spread(samples.labels)
    held, shared = [], []
    for repeat in range(repeats):
        fold = assign_folds(groups, truth, stream.fold("real", repeat), folds)
        held.append(samples.average(score_out_of_fold(learn, np.arange(len(samples)), truth, fold)))
        shared.append(count_shared(samples.works, fold))
        advance()
    scores = average_out_of_fold(held)
    in_folds, pooled = [], []
    for draw in range(labellings):
        own = stream.fold("noise", draw)
        # The folds come first and know no labels.
        fold = assign_folds(groups, np.ones(len(samples), bool), own.fold("folds"), folds)
        coins = throw_coins(samples.names, own.fold("coins"))
        found = score_out_of_fold(learn, np.arange(len(samples)), samples.spread(coins), fold)
        in_folds.append(_auc_in_folds(samples, found, fold, coins))
        both = samples.average(found)
        pooled.append(auc(both[coins], both[~coins]))
        advance()
    works = len(samples.names)
    return Way(
        name,
        float(np.mean(shared)),
        delong_interval(scores[samples.labels], scores[~samples.labels]),
        Noise.of(in_folds, works, stream.fold("mean in folds")),
        Noise.of(pooled, works, stream.fold("mean pooled")),
        scores,
    )


def throw_coins(names: Sequence[str], stream: Stream) -> Flags:
    """Throw a fair coin for each work, whatever the order of the works; again if all fall alike."""
    draw = 0
    while True:
        own = stream.fold("throw", draw)
        coins = np.array([own.fold(name).key % 2 == 1 for name in names], bool)
        if 0 < coins.sum() < coins.size:
            return coins
        draw += 1


def count_shared(works: Sequence[str], fold: Folds) -> float:
    """Works with samples on both sides, averaged over the folds."""
    empty = np.empty(0, np.int64)
    splits = [Split("", np.flatnonzero(fold != k), empty, np.flatnonzero(fold == k)) for k in np.unique(fold)]
    return float(np.mean([len(audit_split(split, works)) for split in splits]))


def _auc_in_folds(samples: Samples, scores: Floats, fold: Folds, labels: Flags) -> float:
    """AUC over the works of each fold, averaged; a fold whose works are all of one class has none."""
    known = dict(zip(samples.names, labels.tolist(), strict=True))
    own = np.array(samples.works, object)
    areas = []
    for number in np.unique(fold):
        tested = fold == number
        means, names = average_works(scores[tested], own[tested].tolist())
        truth = np.array([known[name] for name in names], bool)
        if truth.any() and not truth.all():
            areas.append(auc(means[truth], means[~truth]))
    return float(np.mean(areas)) if areas else 0.5
