"""AUC and its kin: brute force, edges, coverage at 19 v 126 works, and the planted bugs that must under-cover."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.bootstrap import bootstrap_works, merge_small_strata
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.stats.ranking import (
    Score,
    auc,
    auc_statistic,
    average_precision,
    balanced_accuracy,
    bootstrap_auc,
    bootstrap_average_precision,
    delong_interval,
)

STREAM = Stream.from_seed(19)
FORGERIES, ORIGINALS = 19, 126
scores = st.lists(st.integers(-3, 3), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(scores, scores)
def test_auc_is_the_fraction_of_pairs(x: list[int], y: list[int]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a in x for b in y]
    assert auc(x, y) == pytest.approx(np.mean(pairs))
    assert auc(y, x) == pytest.approx(1 - np.mean(pairs))
    assert auc(x, y) == pytest.approx(stats.mannwhitneyu(x, y).statistic / len(pairs))


@settings(deadline=None, max_examples=60)
@given(scores, scores)
def test_average_precision_by_hand(x: list[int], y: list[int]) -> None:
    total = 0.0
    for level in sorted(set(x + y), reverse=True):
        found, called = sum(a >= level for a in x), sum(a >= level for a in x + y)
        total += sum(a == level for a in x) / len(x) * found / called
    assert average_precision(x, y) == pytest.approx(total)


def test_weights_are_repetitions() -> None:
    """What the bootstrap evaluates is the AUC of the works drawn, each as often as drawn."""
    x, y = np.array([0.0, 1.0, 1.0, 2.0]), np.array([-1.0, 1.0, 3.0])
    counts = np.array([[2.0, 0, 1, 1, 0, 3, 0], [1.0, 1, 1, 1, 1, 1, 1]])
    drawn = [auc(np.repeat(x, c[:4].astype(int)), np.repeat(y, c[4:].astype(int))) for c in counts]
    assert auc_statistic(x, y)(counts) == pytest.approx(drawn)


def test_delong_variance_by_definition() -> None:
    """Placements by loops over pairs; 1000 works a class, so that the logit is nearly linear and t nearly z."""
    generator = np.random.default_rng(3)
    x, y = generator.normal(0.5, 1, 1000), generator.normal(0, 1, 900)
    kernel = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    error = np.sqrt(kernel.mean(axis=1).var(ddof=1) / 1000 + kernel.mean(axis=0).var(ddof=1) / 900)
    score = delong_interval(x, y, confidence=0.6826894921)
    assert (score.high - score.low) / 2 == pytest.approx(error, rel=1e-2)
    bootstrap = bootstrap_works(auc_statistic(x, y), [1] * 1000 + [0] * 900, STREAM, 2000)
    assert bootstrap.error == pytest.approx(error, rel=4 / np.sqrt(2 * 2000))


def test_reflection() -> None:
    x, y = [0.0, 1.0, 2.0, 5.0, 6.0], [-3.0, -1.0, 0.5, -2.0]
    one, other = delong_interval(x, y), delong_interval(np.negative(x), np.negative(y))
    assert (other.value, other.low, other.high) == pytest.approx((1 - one.value, 1 - one.high, 1 - one.low))


@pytest.mark.parametrize("interval", [delong_interval, lambda x, y: bootstrap_auc(x, y, STREAM)])
def test_edges_have_a_defined_interval(interval: Callable[..., Score]) -> None:
    """Perfect separation of m v n works: A^min(m, n) bounds the chance of seeing it."""
    perfect = interval([3.0, 4.0, 5.0], [0.0, 1.0, 2.0, 2.5])
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert perfect.low == pytest.approx(0.025 ** (1 / 3))
    worst = interval([-3.0, -4.0, -5.0], [0.0, 1.0, 2.0, 2.5])
    assert (worst.value, worst.low, worst.high) == pytest.approx((0.0, 0.0, 1 - 0.025 ** (1 / 3)))
    single = interval([1.0], [0.0, 2.0, 3.0])
    assert single.low < 0.05
    assert single.high > 0.8
    constant = interval([1.0] * 6, [1.0] * 5)
    assert constant.low < 0.2
    assert constant.high > 0.8
    assert interval([1.0], [0.0]).low == pytest.approx(0.025)


def test_balanced_accuracy_interval() -> None:
    score = balanced_accuracy([1.0] * 18 + [-1.0], [-1.0] * 100 + [1.0] * 26, 0.0)
    assert score.value == pytest.approx((18 / 19 + 100 / 126) / 2)
    assert 0 < score.low < score.value < score.high < 1
    assert balanced_accuracy([1.0], [-1.0], 0.0).low > 0
    # The recalls are 1/2 each and alike: their mean has the half-width of one over sqrt(2).
    even, rate = balanced_accuracy([1.0, -1.0], [1.0, -1.0], 0.0), Rate.of(1, 2)
    assert even.high - even.low == pytest.approx((rate.high - rate.low) / np.sqrt(2))


def test_strata_are_kept() -> None:
    """Two sublabels far apart: without strata their changing shares would widen the interval."""
    generator = np.random.default_rng(6)
    x = np.concatenate([generator.normal(4, 1, 10), generator.normal(-1, 1, 9)])
    y = generator.normal(0, 1, ORIGINALS)
    names = ["near"] * 10 + ["far"] * 9
    split = bootstrap_auc(x, y, STREAM, positive_sublabels=names)
    pooled = bootstrap_auc(x, y, STREAM)
    assert split.high - split.low < 0.8 * (pooled.high - pooled.low)


def test_small_strata_merge_within_their_class() -> None:
    strata = merge_small_strata([1] * 9 + [0] * 3, ["a"] * 6 + ["b"] * 2 + ["c"] + ["a"] * 3)
    assert strata == [(1, "a")] * 9 + [(0, "others")] * 3


def test_the_stream_fixes_the_bootstrap() -> None:
    generator = np.random.default_rng(7)
    x, y = generator.normal(1, 1, 12), generator.normal(0, 1, 20)
    assert bootstrap_auc(x, y, STREAM) == bootstrap_auc(x, y, STREAM)
    assert bootstrap_auc(x, y, STREAM) != bootstrap_auc(x, y, STREAM.fold("other"))


def test_bad_input() -> None:
    with pytest.raises(InputError, match="negative scores have shape"):
        auc([1.0], [])
    with pytest.raises(InputError, match="1 positive scores are not finite"):
        auc([np.nan, 1.0], [1.0])
    with pytest.raises(InputError, match="2 positive sublabels for 3 works"):
        bootstrap_auc([1.0, 2.0, 3.0], [1.0], STREAM, positive_sublabels=["a", "b"])
    with pytest.raises(InputError, match="samples is 9"):
        bootstrap_auc([1.0, 2.0, 3.0], [1.0], STREAM, samples=9)
    with pytest.raises(InputError, match="confidence"):
        delong_interval([1.0], [0.0], confidence=1.0)


def experiments(count: int, area: float, width: float = 1.0) -> Iterator[tuple[np.ndarray, np.ndarray, Stream]]:
    """Normal scores of 19 v 126 works with a known AUC; ``width`` is the standard deviation of the 19."""
    generator = np.random.default_rng(20240219)
    shift = special.ndtri(area) * np.sqrt(1 + width**2)
    for i in range(count):
        x, y = generator.normal(shift, width, FORGERIES), generator.normal(0, 1, ORIGINALS)
        yield x, y, STREAM.fold("experiment", i)


def delong(x: np.ndarray, y: np.ndarray, stream: Stream) -> tuple[float, float]:
    score = delong_interval(x, y)
    return score.low, score.high


def bca(x: np.ndarray, y: np.ndarray, stream: Stream) -> tuple[float, float]:
    score = bootstrap_auc(x, y, stream, samples=500)
    return score.low, score.high


def percentile(x: np.ndarray, y: np.ndarray, stream: Stream) -> tuple[float, float]:
    """The planted bug: plain percentiles of the same bootstrap."""
    bootstrap = bootstrap_works(auc_statistic(x, y), [1] * x.size + [0] * y.size, stream, 500)
    low, high = np.quantile(bootstrap.replicates, [0.025, 0.975])
    return float(low), float(high)


def measure_coverage(interval: Callable[..., tuple[float, float]], count: int, area: float, width: float = 1.0) -> Rate:
    held = []
    for x, y, stream in experiments(count, area, width):
        low, high = interval(x, y, stream)
        held.append(low <= area <= high)
    return Rate.count(held)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1.0, 1.6])
@pytest.mark.parametrize("area", [0.6, 0.75, 0.87, 0.95, 0.98])
def test_coverage_at_19_v_126(area: float, width: float) -> None:
    """A nominal 95 % interval covers at least 94 %."""
    for name, interval, count in (("logit-DeLong", delong, 4000), ("BCa", bca, 1000)):
        rate = measure_coverage(interval, count, area, width)
        print(f"coverage of the true AUC {area}, width {width}, 19 v 126 works, {name}: {rate}")
        assert rate.value >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("area", [0.87, 0.95])
def test_percentile_bootstrap_under_covers(area: float) -> None:
    rate = measure_coverage(percentile, 2000, area)
    print(f"coverage of the true AUC {area}, 19 v 126 works, percentiles: {rate}")
    assert rate.high < 0.94


def test_coverage_and_planted_bug_at_a_glance() -> None:
    """The quick form: at AUC 0.95 the planted percentile bootstrap is told from both intervals by 300 experiments."""
    assert measure_coverage(delong, 300, 0.95).low > 0.93
    assert measure_coverage(bca, 300, 0.95).low > 0.93
    assert measure_coverage(percentile, 300, 0.95).high < 0.94


def test_bootstrap_over_patches_under_covers() -> None:
    """Planted bug: 10 patches of a work are no 10 works; half of the variance is the work's own."""
    area, shift = 0.8, special.ndtri(0.8) * np.sqrt(2)
    generator = np.random.default_rng(5)
    by_work, by_patch = [], []
    for i in range(80):
        works = generator.normal(0, np.sqrt(0.5), 2 * 20) + np.repeat([shift, 0], 20)
        patches = works[:, None] + generator.normal(0, np.sqrt(0.5), (40, 10))
        means = patches.mean(axis=1)
        # The AUC of the works' means is larger than that of single patches: each is held against its own truth.
        truth = special.ndtr(shift / np.sqrt(2 * (0.5 + 0.5 / 10)))
        score = bootstrap_auc(means[:20], means[20:], STREAM.fold("work", i), samples=300)
        by_work.append(score.low <= truth <= score.high)
        score = bootstrap_auc(patches[:20].ravel(), patches[20:].ravel(), STREAM.fold("patch", i), samples=300)
        by_patch.append(score.low <= area <= score.high)
    assert Rate.count(by_work).high >= 0.95
    assert Rate.count(by_patch).high < 0.85


def test_average_precision_interval_covers() -> None:
    """The population's value at this ratio of classes is the mean of 2000 experiments."""
    truth = np.mean([average_precision(x, y) for x, y, _ in experiments(2000, 0.8)])
    held = []
    for x, y, stream in experiments(200, 0.8):
        score = bootstrap_average_precision(x, y, stream, samples=300)
        held.append(score.low <= truth <= score.high)
    rate = Rate.count(held)
    assert rate.high >= 0.95
