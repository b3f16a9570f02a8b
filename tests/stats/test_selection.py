"""Chosen by weights: the chain and the rejection reproduce the target when the weights are exact, and only then."""

import numpy as np
import pytest
from scipy import stats

from pyqmc_art.errors import InputError
from pyqmc_art.stats.selection import average_blocks, reject, walk

TARGET = np.array([0.5, 0.25, 0.15, 0.1])
PROPOSED = np.array([0.1, 0.2, 0.3, 0.4])


def p_value(states):
    counts = np.bincount(states, minlength=4)
    return stats.chisquare(counts, TARGET * counts.sum()).pvalue


def ends_of_chains(log_ratio, seed=1, chains=40_000, steps=3):
    """Where independent chains stand after a few steps if they start in equilibrium."""
    generator = np.random.default_rng(seed)
    start = generator.choice(4, chains, p=TARGET)
    offered = generator.choice(4, (steps, chains), p=PROPOSED)
    path = walk(log_ratio[offered], generator.uniform(size=(steps, chains)), log_ratio[start])
    last = path[-1]
    return np.where(last < 0, start, offered[np.maximum(last, 0), np.arange(chains)])


def test_the_optimal_judge_makes_a_chain_that_keeps_the_target():
    """D = p/(p + q) gives D/(1 - D) = p/q: every chain starts in equilibrium and must stay in it."""
    optimal = TARGET / (TARGET + PROPOSED)
    assert p_value(ends_of_chains(np.log(optimal / (1 - optimal)))) > 1e-3


@pytest.mark.parametrize("wrong", ["too sure", "too cautious", "one state a little off"])
def test_a_wrong_judge_is_noticed(wrong):
    log_ratio = np.log(TARGET / PROPOSED)
    planted = {
        "too sure": 1.2 * log_ratio, "too cautious": 0.8 * log_ratio,
        "one state a little off": log_ratio + np.array([0.15, 0, 0, 0]),
    }[wrong]  # fmt: skip
    assert p_value(ends_of_chains(planted)) < 1e-6


def test_rejection_gives_the_target():
    generator = np.random.default_rng(3)
    offered = generator.choice(4, 60_000, p=PROPOSED)
    log_ratio = np.log(TARGET / PROPOSED)
    kept = offered[reject(log_ratio[offered], generator.uniform(size=60_000))]
    assert p_value(kept) > 1e-3
    assert len(kept) / 60_000 == pytest.approx(1 / 5, abs=0.01)
    eager = offered[reject(log_ratio[offered], generator.uniform(size=60_000), gamma=2.0)]
    assert len(eager) > len(kept)
    assert p_value(eager) < 1e-6


def test_a_long_chain_takes_what_comes_first_and_forgets_it():
    generator = np.random.default_rng(5)
    offered = generator.choice(4, (400, 300), p=PROPOSED)
    log_ratio = np.log(TARGET / PROPOSED)
    path = walk(log_ratio[offered], generator.uniform(size=(400, 300)))
    assert (path[0] == 0).all()
    assert p_value(offered[path[-1], np.arange(300)]) > 1e-3


def test_weighted_averages_know_of_correlated_members():
    generator = np.random.default_rng(6)
    deviations = []
    for _ in range(300):
        units = np.repeat(np.arange(60), 5)
        x = np.repeat(generator.normal(size=60), 5)
        found = average_blocks(x, 0.5 * x - 0.125, units)
        deviations.append((found.value - 0.5) / found.error)
    assert np.std(deviations) == pytest.approx(1.0, abs=0.2)


def test_bad_input():
    with pytest.raises(InputError, match="steps, chains"):
        walk(np.zeros(3), np.zeros(3))
    with pytest.raises(InputError, match="gamma"):
        reject(np.zeros(3), np.zeros(3), -1.0)
    with pytest.raises(InputError, match="two independent"):
        average_blocks(np.zeros(3), np.zeros(3), np.zeros(3))
