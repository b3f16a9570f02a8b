r"""How often a judge is right, and how often it would be by chance: an exact test for two classes of any sizes.

In each round a judge that has seen nothing of the members at hand says "A" or "B" of each. If both classes have the
same distribution, every assignment of the labels to the members is equally likely. Given that P of n_A + n_B members
were called A, the number H of true ones among them is hypergeometric; over rounds it is a sum of such numbers.

The binomial law with probability 1/2 is the same without the two numbers n_A and P being fixed. It is exact for labels
that were tossed; for a given number of members of each class it is close for n_A = n_B and wrong for other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.stats import hypergeom

from pyqmc_art.errors import InputError
from pyqmc_art.stats.ranking import Score, balanced_accuracy

LEAST_SHOWN: Final = 1e-300


def show_p_value(p: float) -> str:
    """Two digits of a p-value; one too small for a number of the machine is no zero.

    Examples
    --------
    >>> show_p_value(0.0312), show_p_value(0.0)
    ('0.031', 'below 1e-300')
    """
    return f"{p:.2g}" if p >= LEAST_SHOWN else f"below {LEAST_SHOWN:g}"


@dataclass(frozen=True)
class Round:
    """One round: ``a_right`` of ``a`` members of A were called A, and ``b_right`` of ``b`` members of B were called B.

    Raises
    ------
    InputError
        For counts that are impossible.
    """

    a: int
    b: int
    a_right: int
    b_right: int

    def __post_init__(self) -> None:
        if not (0 <= self.a_right <= self.a and 0 <= self.b_right <= self.b):
            raise InputError(f"{self} is impossible; expected no more right answers than members")

    @classmethod
    def of(cls, logits_a: NDArray[np.float64], logits_b: NDArray[np.float64]) -> Round:
        """Count answers: above zero means A."""
        return cls(len(logits_a), len(logits_b), int((logits_a > 0).sum()), int((logits_b <= 0).sum()))


@dataclass(frozen=True)
class Hits:
    """What a judge got right in several rounds.

    Attributes
    ----------
    rounds : in their order
    accuracy : mean of the shares of A and of B that were recognised, with its interval; 1/2 is chance
    n_effective : 4 n_A n_B / (n_A + n_B): as many members, half of each class, would have told as much
    p_value : probability of so many right answers or more, if A and B have the same distribution (exact)
    p_above : that of more; the p-value is a number of few values, and between the two it could be drawn at random
    binomial : probability that the binomial law gives to this accuracy or a better one of ``n_effective`` tosses

    Examples
    --------
    >>> print(Hits.of([Round(10, 10, 9, 8)]))
    accuracy 0.850 [0.633, 0.933] of 20 (p = 0.0027)
    """

    rounds: tuple[Round, ...]
    accuracy: Score
    n_effective: float
    p_value: float
    p_above: float
    binomial: float

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> Hits:
        """Count the right answers of rounds.

        Raises
        ------
        InputError
            When there is no member of one of the classes.

        References
        ----------
        D. Lopez-Paz, M. Oquab, ICLR 2017 (arXiv:1610.06545), section 3 (the binomial test); N. Mantel, W. Haenszel,
        J. Natl. Cancer Inst. 22 (1959) 719 (several tables with fixed margins).
        """
        usable = tuple(one for one in rounds if one.a and one.b)
        if not usable:
            raise InputError("no round tests members of both classes; more of both are needed")
        a, b = sum(one.a for one in usable), sum(one.b for one in usable)
        law = np.ones(1)
        for one in usable:
            said = one.a_right + one.b - one.b_right
            law = np.convolve(law, hypergeom.pmf(np.arange(one.a + 1), one.a + one.b, one.a, said))
        right = sum(one.a_right for one in usable)
        answers_a = np.repeat([1.0, -1.0], [right, a - right])
        right_b = sum(one.b_right for one in usable)
        answers_b = np.repeat([-1.0, 1.0], [right_b, b - right_b])
        accuracy = balanced_accuracy(answers_a, answers_b, 0.0)
        n = 4 * a * b / (a + b)
        k = accuracy.value * n
        binomial = 1.0 if k <= 0 else float(special.betainc(k, n - k + 1, 0.5))
        at, above = float(law[right:].sum()), float(law[right + 1 :].sum())
        return cls(usable, accuracy, n, min(1.0, at), above, binomial)

    def __str__(self) -> str:
        low, high = self.accuracy.low, self.accuracy.high
        n = f"{self.n_effective:.0f}"
        return f"accuracy {self.accuracy.value:.3f} [{low:.3f}, {high:.3f}] of {n} (p = {show_p_value(self.p_value)})"
