"""What a model would have said of works it had not seen: the error rates that stand beside its verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.roles import ROLES
from pyqmc_art.art.verdicts import HAND, VERDICTS, Bench, PatchScores, judge_work
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.calibration import Calibration, calibrate
from pyqmc_art.stats.crossvalidation import Learner, score_out_of_fold
from pyqmc_art.stats.proportions import Rate

Floats = NDArray[np.float64]
Pictures = NDArray[np.intp]
Split = Callable[[Pictures], NDArray[np.int64]]
Study = Callable[[Pictures, NDArray[np.bool_]], tuple[Callable[[Pictures], Floats], Learner]]


@dataclass(frozen=True)
class Foresight:
    """Held-out scores of one judgement with, for each fold, a calibration that saw nothing of that fold.

    Parameters
    ----------
    scores : held-out log-odds, one a picture; nan where the judgement does not apply
    folds : number of the fold that tests each picture; -1 where the judgement does not apply
    lines : fold -> calibration by the inner cross-validation of its training works
    """

    scores: Floats
    folds: NDArray[np.int64]
    lines: Mapping[int, Calibration]


def foresee(
    study: Study, works: Sequence[str], labels: NDArray[np.bool_], folds: NDArray[np.int64], split: Split | None,
    stream: Stream,
) -> Foresight:  # fmt: skip
    """Score every picture by a model that saw no picture of its work, and calibrate without it.

    For each outer fold the other works are split again, and their inner out-of-fold scores, averaged to works, give the
    calibration. Labels of the outer test works are handed to nothing.

    Parameters
    ----------
    study : learns from pictures and their labels; gives how it scores others, and the learner of an inner
        cross-validation that leaves as it is whatever was chosen here
    works : of the pictures
    labels : true for the positive class
    folds : outer fold of each picture
    split : gives training pictures their inner fold numbers, keeping works together; None calibrates nothing
    stream : of the bootstraps
    """
    scores, lines = np.empty(labels.size), {}
    for number in np.unique(folds):
        test, train = np.flatnonzero(folds == number), np.flatnonzero(folds != number)
        known = labels[train]
        score, learn = study(train, known)
        scores[test] = score(test)
        if split is not None:
            inner = score_out_of_fold(learn, train, known, split(train))
            own = [works[i] for i in train.tolist()]
            lines[int(number)] = calibrate_works(inner, own, known, stream.fold("outer fold", int(number)))
    return Foresight(scores, folds, lines)


def calibrate_works(scores: ArrayLike, works: Sequence[str], labels: NDArray[np.bool_], stream: Stream) -> Calibration:
    """Calibrate on scores of pictures, averaged to works first."""
    given, own = np.asarray(scores, np.float64), np.asarray(list(works))
    sides = []
    for chosen in (labels, ~labels):
        _, inverse, counts = np.unique(own[chosen], return_inverse=True, return_counts=True)
        sides.append(np.bincount(inverse, given[chosen]) / counts)
    return calibrate(sides[0], sides[1], stream)


@dataclass(frozen=True)
class Rehearsal:
    """Verdicts on held-out works, counted: role -> outcome -> works.

    Parameters
    ----------
    counts : outcomes that did not occur may be missing
    """

    counts: Mapping[str, Mapping[str, int]]

    def rate(self, role: str, verdict: str) -> Rate:
        """Share of the works of a role that were given a verdict, with Wilson's interval."""
        own = self.counts[role]
        return Rate.of(own.get(verdict, 0), sum(own.values()))

    @property
    def wrong(self) -> Rate:
        """Works that are not the hand's and were called so, of all these."""
        others = {role: own for role, own in self.counts.items() if role != "original"}
        return Rate.of(
            sum(own.get(HAND, 0) for own in others.values()), sum(sum(own.values()) for own in others.values())
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {role: {name: own.get(name, 0) for name in VERDICTS} for role, own in self.counts.items()}

    @classmethod
    def from_json(cls, record: Any) -> Rehearsal | None:
        """Undo :meth:`to_json`; None when there is none, InputError when it cannot be read."""
        if not record:
            return None
        try:
            return cls({str(role): {str(k): int(n) for k, n in own.items()} for role, own in record.items()})
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"the model's held-out verdicts cannot be read ({error}); train it again") from error


def rehearse(
    roles: Sequence[str], labels: NDArray[np.bool_], works: Sequence[str], hand: Foresight, human: Foresight | None
) -> Rehearsal:
    """Give every held-out work the verdict of models and calibrations that saw nothing of it, at prior 1/2.

    An ``original`` of another hand than the one in question is counted as a proxy. Distance and stability are not
    looked at.
    """
    named = [
        "original" if own else "proxy" if role == "original" else role for role, own in zip(roles, labels, strict=True)
    ]
    members: dict[tuple[str, str], list[int]] = {}
    for number, key in enumerate(zip(works, named, strict=True)):
        members.setdefault(key, []).append(number)
    counts: dict[str, Counter[str]] = {}
    for (work, role), pictures in members.items():
        verdict = _verdict(work, pictures, hand, human)
        counts.setdefault(role, Counter())[verdict] += 1
    return Rehearsal({role: dict(counts[role]) for role in ROLES if role in counts})


def _verdict(work: str, pictures: list[int], hand: Foresight, human: Foresight | None) -> str:
    first = pictures[0]
    judged = human is not None and human.folds[first] >= 0
    own = PatchScores(
        [float(hand.scores[pictures].mean())], [1],
        [float(human.scores[pictures].mean())] if human is not None and judged else None,
    )  # fmt: skip
    made = human.lines[int(human.folds[first])] if human is not None and judged else None
    return judge_work(work, own, Bench(hand.lines[int(hand.folds[first])], made)).verdict
