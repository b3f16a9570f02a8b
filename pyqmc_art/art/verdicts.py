"""From patch scores to a verdict on a work: log-odds with interval, votes, and when to give no verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.familiarity import Distance
from pyqmc_art.errors import InputError, NumericalError, unknown
from pyqmc_art.stats.calibration import Calibration, LogRatio, prior_log_odds

Floats = NDArray[np.float64]

HAND: Final = "the hand"
OTHER: Final = "another hand"
MACHINE: Final = "machine-made"
NONE: Final = "no verdict"
VERDICTS: Final = (HAND, OTHER, MACHINE, NONE)

WEIGHTINGS: Final = ("level", "patch")
TOLERANCE: Final = 1.0
"""A re-encoding that moves the log-odds further than this (a factor e of the odds) is reported as unstable."""


@dataclass(frozen=True)
class PatchScores:
    """What the detectors say of each patch of one work.

    Parameters
    ----------
    hand : log-odds of the hand against all others, shape (n,)
    levels : level of the pyramid of each patch, shape (n,)
    human : log-odds of human against machine-made, shape (n,); None without such a detector
    """

    hand: ArrayLike
    levels: ArrayLike
    human: ArrayLike | None = None


@dataclass(frozen=True)
class WorkScore:
    """Score of one work: the mean over its patches, their spread (standard deviation) and their votes.

    Parameters
    ----------
    score : weighted mean logit
    spread : weighted standard deviation of the logits; 0 for a single patch
    votes : patches above and below the threshold
    """

    score: float
    spread: float
    votes: tuple[int, int]


def level_weights(levels: ArrayLike, weighting: str = "level") -> Floats:
    """Weight of each patch, summing to 1: every level of the pyramid counts equally, or every patch.

    Examples
    --------
    >>> level_weights([1, 2, 2, 2, 2])
    array([0.5  , 0.125, 0.125, 0.125, 0.125])
    """
    if weighting not in WEIGHTINGS:
        raise unknown("weighting", weighting, WEIGHTINGS)
    given = np.asarray(levels)
    if given.ndim != 1 or not given.size:
        raise InputError(f"levels have shape {given.shape}; expected one level for each of at least one patch")
    if weighting == "patch":
        return np.full(given.size, 1 / given.size)
    names, inverse, counts = np.unique(given, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (names.size * counts[inverse]), np.float64)


def average_patches(values: ArrayLike, levels: ArrayLike, weighting: str = "level") -> Floats:
    """Average values of patches (scores or features) to one of the work.

    Parameters
    ----------
    values : shape (n,) or (n, features)
    levels : level of each patch
    weighting : ``"level"`` or ``"patch"``

    Returns
    -------
    shape () or (features,)
    """
    weights = level_weights(levels, weighting)
    given = np.asarray(values, np.float64)
    if given.ndim < 1 or len(given) != weights.size:
        raise InputError(f"values have shape {given.shape} for {weights.size} levels; expected one row for each patch")
    if not np.all(np.isfinite(given)):
        raise NumericalError("some patch values are nan or inf: the detector failed on this picture")
    return np.asarray(np.tensordot(weights, given, axes=1), np.float64)


def score_work(logits: ArrayLike, levels: ArrayLike, threshold: float = 0.0, weighting: str = "level") -> WorkScore:
    """Score a work by all of its patches, never by the winning ones alone.

    ``score = sum_i w_i l_i`` with equal weight per level; the votes count patches and only stand beside it.

    Parameters
    ----------
    logits : log-odds of each patch, shape (n,)
    levels : level of each patch
    threshold : the votes are counted above and below it
    weighting : ``"level"`` or ``"patch"``

    Returns
    -------
    WorkScore

    Examples
    --------
    Nine patches against seven are hardly evidence:

    >>> work = score_work([1.0] * 9 + [-1.0] * 7, [4] * 16)
    >>> work.votes, round(1 / (1 + math.exp(-work.score)), 2)
    ((9, 7), 0.53)
    """
    given = np.asarray(logits, np.float64)
    if given.ndim != 1:
        raise InputError(f"logits have shape {given.shape}; expected one number a patch")
    score = float(average_patches(given, levels, weighting))
    spread = math.sqrt(float(average_patches((given - score) ** 2, levels, weighting)))
    return WorkScore(score, spread, (int(np.sum(given > threshold)), int(np.sum(given < threshold))))


@dataclass(frozen=True)
class Stability:
    """How log-odds and outcome change when the same picture is encoded, scaled or cropped otherwise.

    Parameters
    ----------
    log_odds : variant -> log-odds of the hand
    outcomes : variant -> what its log-odds alone would say
    flips : variants whose outcome differs from the picture's as given
    shift : greatest change of the log-odds
    """

    log_odds: Mapping[str, float]
    outcomes: Mapping[str, str]
    flips: tuple[str, ...]
    shift: float


@dataclass(frozen=True)
class Verdict:
    """What is said of one work.

    Parameters
    ----------
    work : its name or path
    log_odds : posterior log-odds of the hand, never missing; positive favours the hand
    interval : its limits
    verdict : ``"the hand"``, ``"another hand"``, ``"machine-made"`` or ``"no verdict"``
    votes : patches for the hand and against it
    warnings : reasons to doubt
    stability : under re-encoding; None if not tried
    spread : standard deviation of the patch scores
    human : log-odds of human against machine-made; None if not judged
    distance : from the training works; None if not measured
    prior : prior probabilities that were assumed

    Raises
    ------
    InputError
        If the verdict contradicts the log-odds or their interval, or a number is not finite.
    """

    work: str
    log_odds: float
    interval: tuple[float, float]
    verdict: str
    votes: tuple[int, int]
    warnings: tuple[str, ...] = ()
    stability: Stability | None = None
    spread: float = 0.0
    human: LogRatio | None = None
    distance: Distance | None = None
    prior: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise unknown("verdict", self.verdict, VERDICTS)
        low, high = self.interval
        if not (math.isfinite(low) and math.isfinite(high) and low <= self.log_odds <= high):
            raise InputError(f"log-odds {self.log_odds} in [{low}, {high}]; expected finite numbers in this order")
        if (self.verdict == HAND and low <= 0) or (self.verdict in (OTHER, MACHINE) and high >= 0):
            raise InputError(f"{self.verdict!r} contradicts log-odds in [{low}, {high}]; expected {NONE!r}")

    def to_json(self) -> dict[str, Any]:
        """Keys ``work, log_odds, interval, verdict, votes, warnings``; votes are patches for and against the hand."""
        return {
            "work": self.work,
            "log_odds": self.log_odds,
            "interval": list(self.interval),
            "verdict": self.verdict,
            "votes": {"hand": self.votes[0], "other": self.votes[1]},
            "warnings": list(self.warnings),
        }

    def details(self) -> dict[str, Any]:
        """What a report adds: spread, the human-or-machine ratio, distance, stability and priors."""
        human, far, tried = self.human, self.distance, self.stability
        return {
            "spread": self.spread,
            "human": None if human is None else {"log_odds": human.value, "interval": [human.low, human.high]},
            "distance": None if far is None else {"value": far.value, "limit": far.limit, "p_value": far.p_value},
            "stability": None
            if tried is None
            else {
                "log_odds": dict(tried.log_odds),
                "outcomes": dict(tried.outcomes),
                "flips": list(tried.flips),
                "shift": tried.shift,
            },
            "prior": dict(self.prior),
        }


@dataclass(frozen=True)
class Bench:
    """The judges of one model, learned on training works: calibrations, priors and rules of abstention.

    Parameters
    ----------
    hand : calibration of the hand against others
    human : calibration of human against machine-made; None without such a detector
    prior : the user's prior probability of the hand among human works
    prior_human : the user's prior probability that the work is human
    weighting : of the patches
    zones : whether the calibrations' zones of no verdict are respected
    tolerance : change of the log-odds under re-encoding that is reported as unstable
    """

    hand: Calibration
    human: Calibration | None = None
    prior: float = 0.5
    prior_human: float = 0.5
    weighting: str = "level"
    zones: bool = True
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        prior_log_odds(self.prior)
        prior_log_odds(self.prior_human)

    def weigh(self, patches: PatchScores) -> tuple[LogRatio, LogRatio | None, WorkScore, WorkScore | None]:
        """Posterior log-odds of the hand among humans and of human, and the scores they come from."""
        own = score_work(patches.hand, patches.levels, self.hand.threshold, self.weighting)
        hand = self.hand.log_ratio(own.score).shifted(prior_log_odds(self.prior))
        if self.human is None:
            return hand, None, own, None
        if patches.human is None:
            raise InputError("the bench judges human or machine, but these patches have no such scores; score them")
        made = score_work(patches.human, patches.levels, self.human.threshold, self.weighting)
        return hand, self.human.log_ratio(made.score).shifted(prior_log_odds(self.prior_human)), own, made


def judge_work(
    work: str,
    patches: PatchScores,
    bench: Bench,
    variants: Mapping[str, PatchScores] | None = None,
    distance: Distance | None = None,
    warnings: Sequence[str] = (),
) -> Verdict:
    """Judge one work: one of three outcomes, or no verdict.

    The log-odds of the hand join both judgements, ``P(hand) = P(human) P(hand | human)``. There is no verdict if an
    interval that decides contains 0 or the score lies in the zone where the calibration rules out neither class, if the
    outcome changes under re-encoding, or if the work is unlike the training works.

    Parameters
    ----------
    work : its name or path
    patches : scores of its patches
    bench : the calibrated judges
    variants : name of a re-encoding, rescaling or crop -> scores of its patches
    distance : from the training works
    warnings : of the input checks, passed on

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        For scores and levels that do not correspond.
    NumericalError
        If a score is not finite.
    """
    hand, human, own, made = bench.weigh(patches)
    joint = join_ratios(hand, human)
    verdict, reasons = decide(hand, human)
    if verdict != NONE and bench.zones:
        reasons += _zone_reasons(bench, verdict, own, made)
    stability = _compare_variants(bench, hand, human, variants) if variants else None
    doubts = list(warnings)
    if stability is not None and stability.flips:
        reasons.append(f"the outcome changes under re-encoding ({', '.join(stability.flips)})")
    elif stability is not None and stability.shift > bench.tolerance:
        doubts.append(f"unstable: re-encoding moves the log-odds by {stability.shift:.2f}")
    if distance is not None and distance.far:
        reasons.append(f"unlike the training works: {distance}")
    judges = (("", bench.hand), ("human or machine: ", bench.human))
    doubts += [f"{what}{one.reason}" for what, one in judges if one is not None and one.reason]
    if human is None:
        doubts.append("human or machine-made was not judged: 'another hand' may also be a machine")
    return Verdict(
        work,
        joint.value,
        (joint.low, joint.high),
        NONE if reasons else verdict,
        own.votes,
        tuple([f"no verdict: {reason}" for reason in reasons] + doubts),
        stability,
        own.spread,
        human,
        distance,
        {"hand": bench.prior, "human": bench.prior_human} if human is not None else {"hand": bench.prior},
    )


def join_ratios(hand: LogRatio, human: LogRatio | None) -> LogRatio:
    """Log-odds that a work is human *and* of the hand: ``-log(e^-a + e^-b + e^(-a-b))`` of both log-odds.

    It grows with both, so that the limits join the limits.

    Examples
    --------
    >>> print(join_ratios(LogRatio(0.0, 0.0, 0.0), LogRatio(0.0, 0.0, 0.0)))
    -1.10 [-1.10, -1.10]
    """
    if human is None:
        return hand
    pairs = ((hand.value, human.value), (hand.low, human.low), (hand.high, human.high))
    value, low, high = (-float(np.logaddexp.reduce([-a, -b, -a - b])) for a, b in pairs)
    return LogRatio(value, low, high)


def decide(hand: LogRatio, human: LogRatio | None) -> tuple[str, list[str]]:
    """Turn both log-odds with their intervals into an outcome and the reasons against one.

    Parameters
    ----------
    hand : of the hand, if the work is human
    human : of human against machine; None if not judged

    Returns
    -------
    one of ``VERDICTS``, and why it is ``"no verdict"``
    """
    if human is not None and human.high < 0:
        return MACHINE, []
    if human is not None and human.low <= 0:
        return NONE, [f"human or machine is open, the interval of the log-odds {human} contains 0"]
    if hand.high < 0:
        return OTHER, []
    joint = join_ratios(hand, human)
    if joint.low > 0:
        return HAND, []
    return NONE, [f"the hand is open, the interval of the log-odds {joint if hand.low > 0 else hand} contains 0"]


def _zone_reasons(bench: Bench, verdict: str, own: WorkScore, made: WorkScore | None) -> list[str]:
    reasons = []
    if bench.human is not None and made is not None and bench.human.zone.contains(made.score):
        reasons.append(f"at level {bench.human.zone.alpha} the training works rule out neither human nor machine")
    if verdict != MACHINE and bench.hand.zone.contains(own.score):
        reasons.append(f"at level {bench.hand.zone.alpha} the training works rule out neither the hand nor others")
    return reasons


def _compare_variants(
    bench: Bench, hand: LogRatio, human: LogRatio | None, variants: Mapping[str, PatchScores]
) -> Stability:
    """Compare what the log-odds alone, without their intervals, say of each variant."""
    reference, value = _point_outcome(hand, human)
    weighed = {name: _point_outcome(*bench.weigh(patches)[:2]) for name, patches in variants.items()}
    log_odds = {name: one[1] for name, one in weighed.items()}
    outcomes = {name: one[0] for name, one in weighed.items()}
    flips = tuple(name for name, outcome in outcomes.items() if outcome != reference)
    return Stability(log_odds, outcomes, flips, max(abs(one - value) for one in log_odds.values()))


def _point_outcome(hand: LogRatio, human: LogRatio | None) -> tuple[str, float]:
    points = [None if one is None else LogRatio(one.value, one.value, one.value) for one in (hand, human)]
    point, other = points[0] or hand, points[1]
    return decide(point, other)[0], join_ratios(point, other).value
