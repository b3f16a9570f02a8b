"""Learning rates and orders of examples as functions of the step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.learning.schedules import Schedule, Shuffled
from pyqmc_art.rng import Stream


class TestSchedule:
    def test_cosine_ends_near_zero_after_a_warm_up(self):
        rate = Schedule(2.0, 100, "cosine", warmup=10)
        rates = [rate(step) for step in range(100)]
        assert rates[0] == pytest.approx(0.2) and rates[9] == 2.0 and rates[10] == 2.0
        assert all(a >= b for a, b in pairwise(rates[10:]))
        assert 0 < rates[99] < 0.002

    def test_step(self):
        rate = Schedule(1.0, 100, "step", period=7, gamma=0.1)
        assert rate(6) == 1.0 and rate(7) == pytest.approx(0.1) and rate(14) == pytest.approx(0.01)

    @pytest.mark.parametrize("wrong", [{"kind": "cosin"}, {"peak": 0.0}, {"peak": float("inf")}, {"period": 0}])
    def test_wrong(self, wrong):
        with pytest.raises(InputError):
            Schedule(**{"peak": 1.0, "steps": 3} | wrong)


class TestShuffled:
    def test_every_epoch_is_another_order_of_all(self):
        order = Shuffled(10, 4, Stream.from_seed(2))
        drawn = np.concatenate([order(number) for number in range(5)])
        first, second = drawn[:10], drawn[10:]
        assert sorted(first) == sorted(second) == list(range(10))
        assert first.tolist() != second.tolist()

    def test_it_depends_on_the_number_alone(self):
        order = Shuffled(10, 4, Stream.from_seed(2))
        late = order(7)
        np.testing.assert_array_equal(Shuffled(10, 4, Stream.from_seed(2))(7), late)
        assert order(7).tolist() != Shuffled(10, 4, Stream.from_seed(3))(7).tolist()

    def test_a_batch_may_be_larger_than_an_epoch(self):
        drawn = Shuffled(3, 7, Stream.from_seed(2))(0)
        assert sorted(drawn[:3]) == sorted(drawn[3:6]) == [0, 1, 2]
