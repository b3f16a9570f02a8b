"""Error rates at the level of works: recall per sublabel, and one contrast at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.roles import ROLES
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Table
from pyqmc_art.rng import Stream
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.stats.ranking import (
    Score,
    balanced_accuracy,
    bootstrap_auc,
    bootstrap_average_precision,
    delong_interval,
)

Floats = NDArray[np.float64]
POSITIVE = "original"


@dataclass(frozen=True)
class Outcomes:
    """One score for each work with what is known of it.

    Parameters
    ----------
    scores : one averaged out-of-fold score a work, larger for the hand, shape (works,)
    roles : role of each work, ``"original"`` is the positive class
    sublabels : what tells works of one role apart (forger, generator); ``""`` where nothing does
    thresholds : chosen without this work, one a work or one for all; above it a work counts as an original

    Raises
    ------
    InputError
        For lengths that do not correspond, unknown roles or scores that are not finite.
    """

    scores: ArrayLike
    roles: Sequence[str]
    sublabels: Sequence[str] = ()
    thresholds: ArrayLike = 0.0

    def __post_init__(self) -> None:
        margins = np.asarray(self.scores, np.float64) - np.asarray(self.thresholds, np.float64)
        count = len(self.roles)
        if margins.shape != (count,) or len(self.sublabels) not in (0, count):
            raise InputError(
                f"{margins.shape} scores, {count} roles, {len(self.sublabels)} sublabels; expected one for each work"
            )
        if not np.all(np.isfinite(margins)):
            raise InputError("some scores or thresholds are not finite; expected a number for every work")
        for role in sorted(set(self.roles) - set(ROLES)):
            raise unknown("role", role, ROLES)

    @property
    def margins(self) -> Floats:
        """Scores minus thresholds."""
        return np.asarray(np.asarray(self.scores, np.float64) - np.asarray(self.thresholds, np.float64), np.float64)

    def names(self) -> NDArray[np.object_]:
        """``role`` or ``role / sublabel`` of each work."""
        subs = self.sublabels or [""] * len(self.roles)
        named = [f"{role} / {sub}" if sub else role for role, sub in zip(self.roles, subs, strict=True)]
        return np.array(named, object)

    def select(self, roles: Sequence[str]) -> NDArray[np.bool_]:
        """Works of some roles."""
        return np.isin(np.array(self.roles, object), list(roles))


@dataclass(frozen=True)
class Contrast:
    """The originals against works of some roles: ranking, and accuracy at thresholds chosen on other works.

    Parameters
    ----------
    negatives : their roles
    auc : with logit-DeLong limits; ``auc_bootstrap`` with BCa limits over works, stratified by sublabel
    average_precision, balanced_accuracy : with their intervals
    """

    negatives: tuple[str, ...]
    auc: Score
    auc_bootstrap: Score
    average_precision: Score
    balanced_accuracy: Score


def count_recalls(outcomes: Outcomes, confidence: float = 0.95) -> dict[str, Rate]:
    """Count how many works of each sublabel were judged rightly, with Wilson's interval.

    Parameters
    ----------
    outcomes : scores, roles, sublabels, thresholds
    confidence : of the intervals

    Returns
    -------
    sublabel -> Rate; originals first, then in the order of the roles

    Examples
    --------
    >>> outcomes = Outcomes([1, 2, -1, 3], ["original", "original", "forgery", "forgery"])
    >>> for name, rate in count_recalls(outcomes).items():
    ...     print(name, rate)
    original 2/2 = 1.00 [0.34, 1.00]
    forgery 1/2 = 0.50 [0.09, 0.91]
    """
    names, above = outcomes.names(), outcomes.margins > 0
    rates = {}
    for name in sorted(set(names), key=lambda one: (ROLES.index(one.split(" / ")[0]), one)):
        own = above[names == name]
        rates[name] = Rate.count(own if name.split(" / ")[0] == POSITIVE else ~own, confidence)
    return rates


def score_contrast(outcomes: Outcomes, negatives: Sequence[str], stream: Stream, samples: int = 2000) -> Contrast:
    """Score the originals against works of given roles.

    Parameters
    ----------
    outcomes : scores, roles, sublabels, thresholds
    negatives : roles of the negative class; proxies and forgeries are never pooled
    stream : source of the bootstrap
    samples : bootstrap samples

    Returns
    -------
    Contrast

    Raises
    ------
    InputError
        If proxies and forgeries are to be pooled (the many easy proxies would hide the few forgeries), or a class is
        missing.
    """
    wanted = tuple(negatives)
    if "proxy" in wanted and "forgery" in wanted:
        raise InputError("proxies and forgeries are to be pooled in one number; the many proxies would hide the few "
                         "forgeries: score the two contrasts one by one")  # fmt: skip
    if POSITIVE in wanted or not wanted:
        raise InputError(f"the negative roles are {wanted}; expected at least one role other than {POSITIVE!r}")
    is_positive, is_negative = outcomes.select([POSITIVE]), outcomes.select(wanted)
    if not is_positive.any() or not is_negative.any():
        raise InputError(
            f"{int(is_positive.sum())} originals and {int(is_negative.sum())} works of {wanted}; need both"
        )
    scores, names, margins = np.asarray(outcomes.scores, np.float64), outcomes.names(), outcomes.margins
    x, y, strata = scores[is_positive], scores[is_negative], (names[is_positive], names[is_negative])
    return Contrast(
        wanted,
        delong_interval(x, y),
        bootstrap_auc(x, y, stream.fold("auc"), *strata, samples=samples),
        bootstrap_average_precision(x, y, stream.fold("average precision"), *strata, samples=samples),
        balanced_accuracy(margins[is_positive], margins[is_negative], 0.0),
    )


def tabulate_recalls(outcomes: Outcomes, name: str = "recalls", title: str = "Recall per sublabel") -> Table:
    """Make the table of recalls: one row a sublabel, each rate with n and interval."""
    rows = tuple((label, rate.n, str(rate)) for label, rate in count_recalls(outcomes).items())
    caption = "Works judged rightly at a threshold chosen on other works; Wilson 95 % intervals over works."
    return Table(name, title, ("works", "n", "recall"), rows, caption)


def tabulate_contrasts(
    outcomes: Outcomes, stream: Stream, name: str = "contrasts", title: str = "Originals against each role"
) -> Table:
    """Make the table of contrasts: the originals against every other role by itself."""
    present = [role for role in ROLES if role != POSITIVE and role in outcomes.roles]
    rows = []
    for role in present:
        one = score_contrast(outcomes, (role,), stream.fold(role))
        cells = [_cell(score) for score in (one.auc, one.average_precision, one.balanced_accuracy)]
        rows.append((f"{POSITIVE} v {role}", f"{one.auc.positives} v {one.auc.negatives}", *cells))
    columns = ("contrast", "n", "AUC", "average precision", "balanced accuracy")
    caption = "95 % intervals over works: AUC by logit-DeLong, average precision by BCa, accuracy by Wilson's limits."
    return Table(name, title, columns, tuple(rows), caption)


def _cell(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
