"""Comparing regimes: known p-values, at most 5 % rejections under the null, and planted bugs that reject too often."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.comparisons import (
    adjust_holm,
    average_out_of_fold,
    compare_auc,
    compare_regimes,
    mcnemar,
)
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.stats.ranking import auc

STREAM = Stream.from_seed(12)
LABELS = np.arange(145) < 19


@pytest.mark.parametrize("b, c", list(product(range(6), range(6))))
def test_mcnemar_is_the_binomial_test(b: int, c: int) -> None:
    first = [1] * b + [0] * c + [1, 0]
    second = [0] * b + [1] * c + [1, 0]
    result = mcnemar(first, second)
    known = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert (result.first_only, result.second_only, result.n) == (b, c, b + c + 2)
    assert result.p_value == pytest.approx(known)


def test_mcnemar_is_conservative() -> None:
    """Exact: for every number of differing works the chance of p <= 0.05 is at most 0.05, and 2 to 4 % on average."""
    sizes = []
    for different in range(1, 60):
        p = [mcnemar([1] * b + [0] * (different - b), [0] * b + [1] * (different - b)).p_value
             for b in range(different + 1)]  # fmt: skip
        sizes.append(stats.binom.pmf(np.arange(different + 1), different, 0.5) @ (np.array(p) <= 0.05))
    assert max(sizes) <= 0.05
    assert 0.02 < np.mean(sizes) < 0.04


def test_uncorrected_mcnemar_rejects_too_often() -> None:
    """Planted bug: chi-square without correction exceeds 5 % for several numbers of differing works."""
    sizes = []
    for different in range(6, 60):
        b = np.arange(different + 1)
        rejected = (2 * b - different) ** 2 / different > stats.chi2.ppf(0.95, 1)
        sizes.append(stats.binom.pmf(b, different, 0.5) @ rejected)
    assert max(sizes) > 0.06


def null_pair(generator: np.random.Generator, repeats: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two regimes of equal AUC whose scores of a work share half of their variance, shape (repeats, works)."""
    shared = generator.normal(1.2 * LABELS, np.sqrt(0.5))
    own = generator.normal(0, np.sqrt(0.5), (2, LABELS.size))
    noise = 0.05 * generator.normal(size=(2, repeats, LABELS.size))
    both = (shared + own)[:, None] + noise
    return both[0], both[1]


def test_paired_bootstrap_rejects_a_true_null_at_most_in_5_percent() -> None:
    generator = np.random.default_rng(8)
    rejections = []
    for i in range(400):
        first, second = null_pair(generator)
        rejections.append(compare_auc(first[0], second[0], LABELS, STREAM.fold("null", i), samples=300).p_value < 0.05)
    rate = Rate.count(rejections)
    print(f"rejections under the null: {rate}")
    assert rate.low <= 0.05


def test_repeats_are_no_works() -> None:
    """Planted bug: five repeats of the cross-validation counted as five times the works."""
    generator = np.random.default_rng(9)
    wrong, right = [], []
    for i in range(40):
        first, second = null_pair(generator, repeats=5)
        many = np.tile(LABELS, 5)
        stream = STREAM.fold("repeats", i)
        wrong.append(compare_auc(first.ravel(), second.ravel(), many, stream, samples=200).p_value < 0.05)
        one, other = average_out_of_fold(first), average_out_of_fold(second)
        right.append(compare_auc(one, other, LABELS, stream, samples=200).p_value < 0.05)
    assert Rate.count(wrong).low > 0.2
    assert Rate.count(right).low <= 0.05


def test_pairing_pays() -> None:
    """The same difference is seen with a smaller interval than two independent sets of works would give."""
    generator = np.random.default_rng(10)
    first, second = (one[0] for one in null_pair(generator))
    paired = compare_auc(first, second, LABELS, STREAM)
    same = compare_auc(first, first + 0.1 * (second - first), LABELS, STREAM)
    assert paired.value == pytest.approx(auc(second[:19], second[19:]) - auc(first[:19], first[19:]))
    assert same.high - same.low < 0.5 * (paired.high - paired.low)


def test_interval_and_p_value_agree() -> None:
    """The interval excludes 0 if and only if p is below one minus its confidence (replicates are discrete)."""
    generator = np.random.default_rng(11)
    for i in range(40):
        first, second = (one[0] for one in null_pair(generator))
        second = second + generator.uniform(-0.5, 1) * LABELS
        result = compare_auc(first, second, LABELS, STREAM.fold("agree", i), samples=500)
        excluded = result.low > 0 or result.high < 0
        assert excluded == (result.p_value < 0.05) or abs(result.p_value - 0.05) < 0.01


def test_a_real_difference_is_found() -> None:
    generator = np.random.default_rng(13)
    first, second = (one[0] for one in null_pair(generator))
    better = compare_auc(first, second + 2 * LABELS, LABELS, STREAM)
    assert better.low > 0
    assert better.p_value < 0.01


def test_no_difference_is_not_certainty() -> None:
    """Two regimes that both separate perfectly: p = 1, and an interval as wide as 19 works leave it."""
    result = compare_auc(LABELS * 1.0, LABELS * 2.0, LABELS, STREAM)
    assert (result.value, result.p_value) == (0.0, 1.0)
    assert result.high == -result.low == pytest.approx(1 - 0.025 ** (1 / 19))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_steps(p_values: list[float]) -> None:
    """Step-down: reject the smallest while p <= alpha/(tests left); the adjusted p-values say the same."""
    adjusted = adjust_holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for left, index in zip(range(len(p_values), 0, -1), np.argsort(p_values, kind="stable"), strict=True):
            if p_values[index] * left > alpha:
                break
            rejected.add(int(index))
        assert rejected == set(np.flatnonzero(adjusted <= alpha))


def test_holm_keeps_the_family_wise_error() -> None:
    """Nine true nulls: without Holm a third of the families hold a rejection."""
    p = np.random.default_rng(14).uniform(size=(2000, 9))
    with_holm = Rate.count(any(adjust_holm(row) <= 0.05) for row in p)
    without = Rate.count(any(row <= 0.05) for row in p)
    assert with_holm.low <= 0.05
    assert without.low > 0.3


def test_regimes_are_compared_with_the_reference() -> None:
    generator = np.random.default_rng(15)
    first, second = (one[0] for one in null_pair(generator))
    regimes = {"none": first - 0.6, "same": second - 0.6, "diffusion": second - 1.6 + 2 * LABELS}
    found = compare_regimes(regimes, "none", LABELS, STREAM)
    assert [one.regime for one in found] == ["same", "diffusion"]
    assert found[1].ranking_adjusted < 0.05 < found[0].ranking_adjusted
    raw = [one.verdicts.p_value for one in found]
    assert [one.verdicts_adjusted for one in found] == pytest.approx(adjust_holm(raw))
    shifted = {name: scores + 7.0 for name, scores in regimes.items()}
    again = compare_regimes(shifted, "none", LABELS, STREAM, thresholds=dict.fromkeys(regimes, 7.0))
    assert [one.verdicts for one in again] == [one.verdicts for one in found]


def test_bad_input() -> None:
    with pytest.raises(InputError, match="same works"):
        mcnemar([1, 0], [1])
    with pytest.raises(InputError, match="more than true and false"):
        mcnemar([1, 2], [1, 0])
    with pytest.raises(InputError, match="works 1 were tested in no repeat"):
        average_out_of_fold([[1.0, np.nan], [1.0, np.nan]])
    with pytest.raises(InputError, match="infinite"):
        average_out_of_fold([[np.inf, 1.0]])
    with pytest.raises(InputError, match="between 0 and 1"):
        adjust_holm([0.5, np.nan])
    with pytest.raises(InputError, match="reference regime"):
        compare_regimes({"a": [1.0, 0.0]}, "b", [1, 0], STREAM)
    with pytest.raises(InputError, match="expected one for each of"):
        compare_regimes({"a": [1.0, 0.0]}, "a", [1, 0], STREAM, thresholds={"b": 0.0})
    with pytest.raises(InputError, match="one for each"):
        compare_auc([1.0], [1.0, 2.0], [1, 0], STREAM)
