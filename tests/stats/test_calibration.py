"""Calibration and thresholds: known likelihood ratios, few works, and test labels that cannot get in."""

import dataclasses
import json
import math

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.calibration import (
    MINIMUM_WORKS,
    Calibration,
    abstention_zone,
    calibrate,
    choose_threshold,
    log_ratio_cost,
    prior_log_odds,
)
from pyqmc_art.stats.crossvalidation import NestedScores, calibrate_nested, score_out_of_fold
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.stats.ranking import balanced_accuracy

STREAM = Stream.from_seed(20)
METHODS = ["logistic", "gaussian"]


def normal_scores(generator: np.random.Generator, m: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose log-likelihood ratio is exactly the score: N(+1, 2) against N(-1, 2)."""
    return generator.normal(1, math.sqrt(2), m), generator.normal(-1, math.sqrt(2), n)


@pytest.mark.parametrize("method", METHODS)
def test_true_ratio_is_found(method: str) -> None:
    """20000 works of unequal classes: slope 1 and intercept 0, whatever the ratio of the classes."""
    line = calibrate(*normal_scores(np.random.default_rng(1), 15_000, 5000), STREAM, method, samples=100)
    errors = line.replicates.std(axis=0)
    assert abs(line.slope - 1) < 4 * errors[0]
    assert abs(line.intercept) < 4 * errors[1]
    assert max(errors) < 0.04
    assert line.supported


@pytest.mark.parametrize("method", METHODS)
def test_interval_covers_the_true_ratio(method: str) -> None:
    """Over 100 sets of 60 v 100 works; the planted bug counts each work as ten patches."""
    generator = np.random.default_rng(2)
    held, planted = [], []
    for i in range(100):
        x, y = normal_scores(generator, 60, 100)
        ratio = calibrate(x, y, STREAM.fold("set", i), method, samples=200).log_ratio(1.5)
        held.append(ratio.low <= 1.5 <= ratio.high)
        ratio = calibrate(np.repeat(x, 10), np.repeat(y, 10), STREAM.fold("set", i), method, samples=100).log_ratio(1.5)
        planted.append(ratio.low <= 1.5 <= ratio.high)
    assert Rate.count(held).high >= 0.94
    assert Rate.count(planted).high < 0.7


def test_newton_reaches_the_stationary_point() -> None:
    """The weighted residuals against the targets vanish, also for separated classes."""
    for gap in (0.5, 3.0, 30.0):
        generator = np.random.default_rng(3)
        x, y = generator.normal(gap, 1, 30), generator.normal(-gap, 1, 200)
        line = calibrate(x, y, STREAM, samples=100)
        assert np.all(np.isfinite(line.replicates))
        p, q = (1 / (1 + np.exp(-(line.slope * one + line.intercept))) for one in (x, y))
        residuals = (31 / 32 - p, 1 / 32 - q)
        assert sum(one.mean() for one in residuals) == pytest.approx(0, abs=1e-8)
        assert sum((one * s).mean() for one, s in zip(residuals, (x, y), strict=True)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_few_works_support_no_strong_statement(method: str) -> None:
    """Ten perfectly separated works of a class bound the ratio by eleven to one; unsupported, with the reason."""
    line = calibrate(np.linspace(9, 10, 10), np.linspace(-10, -9, 150), STREAM, method)
    assert line.log_ratio(1e6).high <= math.log(151) + 1e-12
    assert line.log_ratio(-1e6).low >= -math.log(11) - 1e-12
    assert not line.supported
    assert f"10 v 150 works; {MINIMUM_WORKS} of each class are needed" in line.reason


def test_the_rule_of_support() -> None:
    generator = np.random.default_rng(4)
    assert calibrate(*normal_scores(generator, 20, 20), STREAM).supported
    assert not calibrate(*normal_scores(generator, 19, 126), STREAM).supported
    noise = calibrate(generator.normal(0.02, 1, 40), generator.normal(0, 1, 40), STREAM)
    assert "calibration not supported" in noise.reason


@pytest.mark.parametrize("method", METHODS)
def test_reversed_scores_say_nothing(method: str) -> None:
    """Scores that rank backwards are not turned round: every ratio is 1 to 1."""
    line = calibrate([-1.0, -2.0, -3.0] * 10, [1.0, 2.0, 3.0] * 10, STREAM, method)
    assert "no better than chance" in line.reason
    ratio = line.log_ratio(5.0)
    assert (ratio.value, ratio.low, ratio.high) == (0.0, 0.0, 0.0)
    assert math.isfinite(line.threshold)


@pytest.mark.parametrize("scores", [([1.0], [0.0]), ([1.0] * 30, [1.0] * 30), ([1.0, 1.0], [0.0, 0.0])])
@pytest.mark.parametrize("method", METHODS)
def test_degenerate_scores(scores: tuple[list[float], list[float]], method: str) -> None:
    line = calibrate(*scores, STREAM, method)
    ratio = line.log_ratio(0.7)
    assert all(math.isfinite(x) for x in (ratio.value, ratio.low, ratio.high, line.threshold))
    assert not line.supported


def test_threshold_is_where_the_odds_are_even() -> None:
    line = calibrate(*normal_scores(np.random.default_rng(5), 50, 60), STREAM)
    assert line.log_ratio(line.threshold).value == pytest.approx(0, abs=1e-12)


def test_json_round_trip() -> None:
    for m in (5, 50):
        line = calibrate(*normal_scores(np.random.default_rng(6), m, 60), STREAM, alpha=0.05)
        again = Calibration.from_json(json.loads(json.dumps(line.to_json(), allow_nan=False)))
        for one in dataclasses.fields(Calibration):
            assert np.array_equal(getattr(line, one.name), getattr(again, one.name))
    with pytest.raises(InputError, match="no stored calibration"):
        Calibration.from_json({"slope": 1.0})


def test_zone_errs_at_most_alpha_in_each_class() -> None:
    """Exact over the draws of calibration works: at n = 19 and alpha = 0.1 the chance is 2/20."""
    generator = np.random.default_rng(7)
    wrong_positive, wrong_negative = [], []
    for _ in range(2000):
        x, y = normal_scores(generator, 19, 126)
        zone = abstention_zone(x, y, 0.1)
        new_x, new_y = (float(one[0]) for one in normal_scores(generator, 1, 1))
        wrong_positive.append(new_x < zone.low)
        wrong_negative.append(new_y > zone.high)
    assert Rate.count(wrong_positive).low <= 0.1
    assert Rate.count(wrong_negative).low <= 0.1
    assert Rate.count(wrong_negative).high > 0.05


def test_zone_of_too_few_works() -> None:
    zone = abstention_zone([1.0] * 50, [-1.0] * 8, alpha=0.1)
    assert zone.high == math.inf
    assert zone.low == 1.0
    assert zone.contains(1e9)


def test_choose_threshold_maximises_balanced_accuracy() -> None:
    x, y = normal_scores(np.random.default_rng(8), 15, 40)
    best = balanced_accuracy(x, y, choose_threshold(x, y)).value
    grid = np.linspace(-6, 6, 4001)
    assert best >= max(balanced_accuracy(x, y, t).value for t in grid) - 1e-12
    limit = choose_threshold(x, y, false_alarms=0.1)
    assert np.mean(y > limit) == 0.1
    assert choose_threshold([1.0], [1.0]) == 1.0


def test_prior() -> None:
    assert prior_log_odds(0.9) == pytest.approx(math.log(9))
    for prior in (0.0, 1.0, math.nan):
        with pytest.raises(InputError, match="prior is"):
            prior_log_odds(prior)


def test_log_ratio_cost_punishes_overconfidence() -> None:
    x, y = normal_scores(np.random.default_rng(9), 5000, 5000)
    honest = log_ratio_cost(x, y)
    assert honest < min(log_ratio_cost(3 * x, 3 * y), log_ratio_cost(x / 3, y / 3), 1.0)


def mean_difference(features: np.ndarray):
    """A learner of its own: project on the difference of the class means of the training works."""

    def learn(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
        direction = features[train][labels].mean(axis=0) - features[train][~labels].mean(axis=0)
        return features[test] @ direction

    return learn


def nested(features: np.ndarray, labels: np.ndarray, outer: np.ndarray) -> NestedScores:
    return calibrate_nested(mean_difference(features), labels, outer, lambda t: np.arange(t.size) % 4, STREAM,
                            samples=100)  # fmt: skip


def test_test_labels_leave_threshold_and_scores_bit_identical() -> None:
    generator = np.random.default_rng(10)
    features = generator.normal(size=(60, 5))
    labels, outer = np.arange(60) % 2 == 0, np.arange(60) // 20
    first = nested(features, labels, outer)
    for fold in range(3):
        flipped = np.where((outer == fold) & (np.arange(60) % 3 == 0), True, labels)
        other = nested(features, flipped, outer)
        own = outer == fold
        assert np.array_equal(first.thresholds[own], other.thresholds[own])
        assert np.array_equal(first.scores[own], other.scores[own])
        assert np.array_equal(first.log_ratios[own], other.log_ratios[own])
        assert np.array_equal(first.folds[fold].replicates, other.folds[fold].replicates)
        # The other folds train on these works: there the labels must matter.
        assert not np.array_equal(first.thresholds[~own], other.thresholds[~own])


def test_threshold_on_test_labels_inflates() -> None:
    """Pure noise: nested thresholds give 1/2 within the error, the planted bug (best on the test works) does not."""
    honest, planted = [], []
    generator = np.random.default_rng(11)
    for _ in range(60):
        labels, outer = np.arange(60) % 2 == 0, np.arange(60) // 20
        found = nested(generator.normal(size=(60, 5)), labels, outer)
        for fold in range(3):
            own = outer == fold
            x, y = found.scores[own & labels], found.scores[own & ~labels]
            honest.append(balanced_accuracy(x, y, float(found.thresholds[own][0])).value)
            planted.append(balanced_accuracy(x, y, choose_threshold(x, y)).value)
    error = 0.5 / math.sqrt(len(honest) * 20)
    assert abs(np.mean(honest) - 0.5) < 4 * error
    assert np.mean(planted) > 0.5 + 8 * error


def test_works_are_scored_by_models_that_never_saw_them() -> None:
    """Planted leakage: a learner that memorises is right on its training works and knows nothing out of fold."""
    labels = np.random.default_rng(12).integers(0, 2, 200).astype(bool)

    def memorise(train: np.ndarray, known: np.ndarray, test: np.ndarray) -> np.ndarray:
        memory = dict(zip(train.tolist(), known.tolist(), strict=True))
        return np.array([float(memory.get(work, 0.5)) for work in test.tolist()])

    works = np.arange(200)
    assert np.all(score_out_of_fold(memorise, works, labels, works % 5) == 0.5)
    assert np.array_equal(memorise(works, labels, works), labels)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="did you mean 'logistic'"):
        calibrate([1.0], [0.0], STREAM, "logit")
    with pytest.raises(InputError, match="alpha is 0"):
        abstention_zone([1.0], [0.0], 0.0)
    with pytest.raises(InputError, match="expected a finite number"):
        calibrate([1.0], [0.0], STREAM).log_ratio(math.nan)
    with pytest.raises(InputError, match="training works are of one class"):
        nested(np.ones((6, 1)), np.arange(6) < 3, np.arange(6) // 3)
    with pytest.raises(InputError, match="at least two folds"):
        score_out_of_fold(lambda *_: [0.0], np.arange(4), np.arange(4) < 2, np.zeros(4))
    with pytest.raises(InputError, match="false_alarms"):
        choose_threshold([1.0], [0.0], false_alarms=1.0)
