"""May a score be claimed? Only if it beats the baselines, work by work, that see no brush."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Table
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import SAMPLES
from pyqmc_art.stats.comparisons import Difference, compare_auc
from pyqmc_art.stats.ranking import Score, Sublabels, delong_interval

SUPPORTED: Final = "supported"
REFUSED: Final = "refused"
UNDECIDED: Final = "not decided"
STATUSES: Final = (SUPPORTED, REFUSED, UNDECIDED)

MINIMUM_WORKS: Final = 5
"""With fewer works of a class, five equal ranks are no evidence: nothing is decided."""


@dataclass(frozen=True)
class Claim:
    """A statement about a detector, and whether the works and the baselines allow it.

    Parameters
    ----------
    statement : what is claimed
    status : ``"supported"``, ``"refused"`` or ``"not decided"``
    reasons : why, in words; of a supported claim what still speaks against it, often nothing
    score : AUC of the detector
    baselines : name -> AUC of a baseline on the same works
    advantages : name -> AUC of the detector minus that of the baseline, paired over works
    """

    statement: str
    status: str
    reasons: tuple[str, ...]
    score: Score
    baselines: Mapping[str, Score]
    advantages: Mapping[str, Difference]

    @property
    def rivals(self) -> tuple[str, ...]:
        """Names of the baselines that do as well as the detector; two at chance are no rivals."""
        return _find_rivals(self.score, self.baselines, self.advantages)

    def __str__(self) -> str:
        why = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"{self.statement}: {self.status}{why}"


def judge_claim(
    statement: str,
    model: ArrayLike,
    baselines: Mapping[str, ArrayLike],
    labels: ArrayLike,
    stream: Stream,
    *,
    sublabels: Sublabels = None,
    confidence: float = 0.95,
    samples: int = SAMPLES,
) -> Claim:
    """Judge the claim that a detector tells two classes apart by more than its baselines see.

    With A the AUC of the detector and B that of a baseline on the same works, the claim is

    * refused if a baseline does as well: ``A - B <= 0``, or the interval of ``A - B`` reaches 0 while B itself lies
      above 1/2; or if A lies below 1/2;
    * supported if A lies above 1/2 and every ``A - B`` above 0;
    * else not decided: the works are too few.

    "Above" and "below" mean with the whole interval. All baselines have to be beaten, so that each is compared at the
    full confidence (an intersection of tests needs no correction).

    Parameters
    ----------
    statement : what is claimed
    model : out-of-fold score of each work, larger for the positive class
    baselines : name -> out-of-fold scores of the same works
    labels : 1 (or true) for the positive class, one a work
    stream : of the bootstrap
    sublabels : strata of the works within the classes
    confidence : of all intervals
    samples : of the bootstrap

    Returns
    -------
    Claim

    Raises
    ------
    InputError
        Without baselines, or if scores and labels do not correspond.

    References
    ----------
    R. L. Berger, Technometrics 24 (1982) 295 (intersection-union tests).

    Examples
    --------
    What is a matter of the file format is no claim about the hand:

    >>> labels = np.arange(60) < 30
    >>> score = labels + np.random.default_rng(1).normal(0, 0.5, 60)
    >>> print(judge_claim("a hand", score, {"metadata": labels}, labels, Stream.from_seed(1)).status)
    refused
    """
    if not baselines:
        raise InputError(f"no baseline was given for the claim {statement!r}; expected at least one, for instance "
                         "the scores of the metadata baseline")  # fmt: skip
    truth = np.asarray(labels).astype(bool)
    given = {name: np.asarray(one, np.float64) for name, one in {"": model, **baselines}.items()}
    for name, one in given.items():
        if one.shape != truth.shape:
            raise InputError(f"{name or 'the detector'} has scores of shape {one.shape} for {truth.size} works; "
                             "expected one for each")  # fmt: skip
    areas = {name: delong_interval(one[truth], one[~truth], confidence) for name, one in given.items()}
    own = areas.pop("")
    better = {
        name: compare_auc(given[name], given[""], truth, stream.fold(name), sublabels, confidence, samples)
        for name in areas
    }
    status, reasons = _decide(own, areas, better)
    return Claim(statement, status, tuple(reasons), own, areas, better)


def _decide(own: Score, areas: Mapping[str, Score], better: Mapping[str, Difference]) -> tuple[str, list[str]]:
    """Status, and the reasons for it."""
    if min(own.positives, own.negatives) < MINIMUM_WORKS:
        return UNDECIDED, [f"{own.positives} v {own.negatives} works are too few, at least {MINIMUM_WORKS} are needed"]
    equal = _find_rivals(own, areas, better)
    if equal:
        return REFUSED, [f"the {name} baseline does as well: {areas[name]}, the detector {own}" for name in equal]
    if own.high < 0.5:
        return REFUSED, [f"the detector ranks the wrong way round: {own}"]
    if own.low <= 0.5:
        return UNDECIDED, [f"the detector may be at chance: {own}"]
    close = [name for name, one in better.items() if one.low <= 0]
    if close:
        return UNDECIDED, [f"it may be no better than the {name} baseline: {better[name]}" for name in close]
    return SUPPORTED, [
        f"the {name} baseline sees something, too: {one}" for name, one in areas.items() if one.low > 0.5
    ]


def _find_rivals(own: Score, areas: Mapping[str, Score], better: Mapping[str, Difference]) -> tuple[str, ...]:
    equal = [name for name, one in better.items() if one.value <= 0 or (one.low <= 0 and areas[name].low > 0.5)]
    # Two detectors at chance are equal, too; that decides nothing.
    return tuple(name for name in equal if own.low > 0.5 or areas[name].low > 0.5)


def tabulate_claims(claims: Sequence[Claim], name: str = "claims", title: str = "What may be claimed") -> Table:
    """Make a table of claims: every AUC with its interval and the numbers of works, the baselines beside it."""
    names = list(dict.fromkeys(baseline for one in claims for baseline in one.baselines))
    rows = tuple(
        (
            one.statement,
            one.status,
            f"{one.score.positives} v {one.score.negatives}",
            _cell(one.score),
            *(_cell(one.baselines[baseline]) if baseline in one.baselines else None for baseline in names),
            "; ".join(one.reasons),
        )
        for one in claims
    )
    columns = ("claim", "status", "works", "AUC", *(f"{baseline} baseline" for baseline in names), "because")
    caption = (
        "A claim is refused where a baseline that sees no brush does as well on the same works (paired bootstrap). "
        "95 % intervals over works."
    )
    return Table(name, title, columns, rows, caption)


def _cell(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
