"""Verdicts: all patches count, the sign and the verdict agree, and every reason for abstention abstains."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyqmc_art.art.familiarity import Distance
from pyqmc_art.art.verdicts import (
    HAND,
    MACHINE,
    NONE,
    OTHER,
    Bench,
    PatchScores,
    Verdict,
    average_patches,
    decide,
    join_ratios,
    judge_work,
    level_weights,
    score_work,
)
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.calibration import Calibration, LogRatio, calibrate

STREAM = Stream.from_seed(40)
LEVELS = np.repeat([1, 2, 4], [1, 4, 16])
KEYS = ["work", "log_odds", "interval", "verdict", "votes", "warnings"]


@pytest.fixture(scope="module")
def line() -> Calibration:
    """Well separated classes of many works."""
    generator = np.random.default_rng(1)
    return calibrate(generator.normal(2, 1, 200), generator.normal(-2, 1, 200), STREAM)


def patches(hand: float, human: float | None = None) -> PatchScores:
    return PatchScores(np.full(21, hand), LEVELS, None if human is None else np.full(21, human))


def test_nine_to_seven_is_about_a_half() -> None:
    """The planted bug averages the winning patches alone and calls the same work 73 %."""
    logits = np.array([1.0] * 9 + [-1.0] * 7)
    work = score_work(logits, [4] * 16)
    assert work.votes == (9, 7)
    assert 1 / (1 + math.exp(-work.score)) == pytest.approx(0.5, abs=0.05)
    assert work.spread == pytest.approx(logits.std())
    winners = logits[logits > 0].mean()
    assert 1 / (1 + math.exp(-winners)) > 0.7


def test_levels_weigh_equally() -> None:
    """One whole-picture patch at +3 balances sixteen small ones at -3; by patches they would drown it."""
    logits, levels = [3.0] + [-3.0] * 16, [1] + [4] * 16
    assert score_work(logits, levels).score == pytest.approx(0, abs=1e-12)
    assert score_work(logits, levels, weighting="patch").score == pytest.approx(-3 * 15 / 17)
    weights = level_weights(LEVELS)
    assert [weights[level == LEVELS].sum() for level in (1, 2, 4)] == pytest.approx([1 / 3] * 3)
    features = np.random.default_rng(2).normal(size=(21, 3))
    by_hand = np.mean([features[level == LEVELS].mean(axis=0) for level in (1, 2, 4)], axis=0)
    assert average_patches(features, LEVELS) == pytest.approx(by_hand)


def test_the_order_of_patches_does_not_matter() -> None:
    generator = np.random.default_rng(3)
    logits, order = generator.normal(size=21), generator.permutation(21)
    one, other = score_work(logits, LEVELS), score_work(logits[order], LEVELS[order])
    assert (one.score, one.spread, one.votes) == (pytest.approx(other.score), pytest.approx(other.spread), other.votes)


@pytest.mark.parametrize(
    "hand, human, expected",
    [(2.0, 2.0, HAND), (-2.0, 2.0, OTHER), (2.0, -2.0, MACHINE), (-2.0, -2.0, MACHINE), (2.0, None, HAND),
     (-2.0, None, OTHER)],
)  # fmt: skip
def test_three_outcomes_from_two_scores(line: Calibration, hand: float, human: float | None, expected: str) -> None:
    verdict = judge_work("a", patches(hand, human), Bench(line, None if human is None else line))
    assert verdict.verdict == expected
    assert (verdict.log_odds > 0) == (expected == HAND)
    assert any("was not judged" in one for one in verdict.warnings) == (human is None)


def test_json_has_exactly_the_promised_keys(line: Calibration) -> None:
    verdict = judge_work("a b/é.jpg", patches(0.0, -2.0), Bench(line, line), {"jpeg 70": patches(0.1, -2.1)},
                         Distance(1.0, 2.0, 0.5))  # fmt: skip
    plain = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert list(plain) == KEYS
    assert plain["votes"] == {"hand": int(line.threshold < 0) * 21, "other": int(line.threshold > 0) * 21}
    json.dumps(verdict.details(), allow_nan=False)
    assert verdict.details()["stability"]["flips"] == []
    assert not set(verdict.details()) & set(plain)


def test_abstains_when_the_interval_contains_the_threshold(line: Calibration) -> None:
    verdict = judge_work("a", patches(line.threshold), Bench(line, zones=False))
    assert verdict.verdict == NONE
    assert verdict.interval[0] < 0 < verdict.interval[1]
    assert verdict.log_odds == pytest.approx(0, abs=1e-9)
    assert "contains 0" in verdict.warnings[0]


def test_abstains_when_the_sign_flips_under_reencoding(line: Calibration) -> None:
    steady = {"jpeg 90": patches(2.1), "half size": patches(1.9)}
    assert judge_work("a", patches(2.0), Bench(line), steady).verdict == HAND
    verdict = judge_work("a", patches(2.0), Bench(line), {**steady, "jpeg 70": patches(-1.0)})
    assert verdict.verdict == NONE
    assert verdict.log_odds > 0
    assert verdict.stability is not None
    assert verdict.stability.flips == ("jpeg 70",)
    assert "jpeg 70" in verdict.warnings[0]
    machine = judge_work("a", patches(2.0, 2.0), Bench(line, line), {"jpeg 70": patches(2.0, -2.0)})
    assert machine.verdict == NONE


def test_a_large_shift_without_a_flip_is_called_unstable(line: Calibration) -> None:
    verdict = judge_work("a", patches(1.2), Bench(line), {"jpeg 70": patches(0.6)})
    assert verdict.verdict == HAND
    assert any("unstable" in one for one in verdict.warnings)
    calm = judge_work("a", patches(1.2), Bench(line), {"jpeg 70": patches(1.15)})
    assert not any("unstable" in one for one in calm.warnings)


def test_abstains_out_of_distribution(line: Calibration) -> None:
    near, far = Distance(3.0, 4.0, 0.3), Distance(5.0, 4.0, 0.01)
    assert judge_work("a", patches(2.0), Bench(line), distance=near).verdict == HAND
    verdict = judge_work("a", patches(2.0), Bench(line), distance=far)
    assert verdict.verdict == NONE
    assert "unlike the training works" in verdict.warnings[0]


def test_abstains_in_the_zone(line: Calibration) -> None:
    overlapping = calibrate(
        np.random.default_rng(4).normal(0.5, 1, 300), np.random.default_rng(5).normal(-0.5, 1, 300), STREAM
    )
    work = patches(0.6)
    assert judge_work("a", work, Bench(overlapping, zones=False)).verdict == HAND
    verdict = judge_work("a", work, Bench(overlapping))
    assert verdict.verdict == NONE
    assert "rule out neither" in verdict.warnings[0]


def test_few_works_are_said() -> None:
    """Three works of the other class can never be ruled out: nothing is called the hand, however high its score."""
    few = calibrate([1.0, 1.5, 2.0] * 10, [-1.0, -2.0, -3.0], STREAM)
    verdict = judge_work("a", patches(9.0), Bench(few))
    assert any("calibration not supported: 30 v 3 works" in one for one in verdict.warnings)
    assert verdict.verdict == NONE
    assert 0 < verdict.log_odds <= math.log(4)


def test_the_prior_shifts_the_log_odds(line: Calibration) -> None:
    even, sceptic = (judge_work("a", patches(1.0), Bench(line, prior=prior)) for prior in (0.5, 0.01))
    assert sceptic.log_odds - even.log_odds == pytest.approx(-math.log(99))
    assert even.verdict == HAND
    assert sceptic.verdict != HAND


ratios = st.builds(
    lambda value, below, above: LogRatio(value, value - below, value + above),
    st.floats(-6, 6), st.floats(0, 4), st.floats(0, 4),
)  # fmt: skip


@given(ratios, st.none() | ratios)
def test_sign_interval_and_verdict_never_contradict(hand: LogRatio, human: LogRatio | None) -> None:
    joint, (verdict, reasons) = join_ratios(hand, human), decide(hand, human)
    assert joint.low <= joint.value <= joint.high
    assert (verdict == NONE) == bool(reasons)
    if joint.low <= 0 <= joint.high:
        assert verdict in (NONE, OTHER, MACHINE)
    Verdict("a", joint.value, (joint.low, joint.high), verdict, (0, 0))


def test_joint_log_odds_are_those_of_the_product() -> None:
    p, q = 0.8, 0.7
    hand, human = (LogRatio(math.log(x / (1 - x)), -9, 9) for x in (p, q))
    assert join_ratios(hand, human).value == pytest.approx(math.log(p * q / (1 - p * q)))


@pytest.mark.parametrize(
    "facts, message",
    [
        (dict(verdict="maybe"), "unknown verdict"),
        (dict(log_odds=math.nan), "finite"),
        (dict(log_odds=-1.0, interval=(-2.0, -0.5), verdict=HAND), "contradicts"),
        (dict(interval=(-1.0, 2.0), verdict=HAND), "contradicts"),
        (dict(verdict=MACHINE), "contradicts"),
    ],
)
def test_a_contradictory_verdict_cannot_be_made(facts: dict[str, object], message: str) -> None:
    given = {"work": "a", "log_odds": 1.0, "interval": (0.5, 2.0), "verdict": HAND, "votes": (1, 0)} | facts
    with pytest.raises(InputError, match=message):
        Verdict(**given)


def test_bad_input(line: Calibration) -> None:
    with pytest.raises(NumericalError, match="nan or inf"):
        score_work([math.nan], [1])
    with pytest.raises(InputError, match="one row for each patch"):
        score_work([1.0, 2.0], [1])
    with pytest.raises(InputError, match="at least one patch"):
        score_work([], [])
    with pytest.raises(InputError, match="did you mean 'level'"):
        score_work([1.0], [1], weighting="levels")
    with pytest.raises(InputError, match="no such scores"):
        judge_work("a", patches(1.0), Bench(line, line))
    with pytest.raises(InputError, match="prior is 1"):
        Bench(line, prior=1.0)
