"""The classifier two-sample test: a judge that has not seen them is asked which members are of A, which of B.

The parts of both ensembles are judged one after the other, each by judges that learned from the parts before it. If A
and B have the same distribution, what the judges learned says nothing of the labels that follow, and the answers are
counted by an exact law. In the usual cross-validation each part is judged by what was learned from all others, so that
the labels of one part decide on the answers in another and the other way round; the answers of equal distributions are
then correlated, and p-values from a law for independent answers are too small.

Of several judges the one speaks whose loss on held-out parts *of what it learned from* is smallest: choosing among
them costs nothing in exactness, and there is one p-value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.tables import SEGMENTS, Table
from pyqmc_art.rng import Stream
from pyqmc_art.stats.discriminants import fit_discriminant, spread_features
from pyqmc_art.stats.hits import Hits, Round

Floats = NDArray[np.float64]
Predict = Callable[[NDArray[Any]], Floats]
Learn = Callable[[NDArray[Any], NDArray[np.bool_], NDArray[np.int64], Stream], tuple[Predict, float]]
"""Takes members, which of them are of A, their folds, and a stream; returns what gives log-odds of others, and the mean
loss on held-out folds."""

CURVE_STRENGTHS: Final = (1e-1, 1e-2, 1e-3)
"""Ridges that are tried where there are many more functions than features."""

LEARNED: Final = 2
"""Parts that are only learned from."""


@dataclass(frozen=True)
class Judge:
    """A judge: its name, the view it looks at, and how it learns."""

    name: str
    view: str
    learn: Learn


@dataclass(frozen=True)
class Contest:
    """What the test found.

    Attributes
    ----------
    hits : of the judges that spoke
    each : of every judge by itself
    spoke : name of the judge that spoke in each round
    """

    hits: Hits
    each: dict[str, Hits]
    spoke: tuple[str, ...]


def learn_line(
    x: NDArray[Any], truth: NDArray[np.bool_], folds: NDArray[np.int64], stream: Stream
) -> tuple[Predict, float]:
    """Logistic regression on standardised features."""
    found = fit_discriminant(x, truth, folds)
    return found.logits, found.loss


def learn_curve(
    x: NDArray[Any], truth: NDArray[np.bool_], folds: NDArray[np.int64], stream: Stream
) -> tuple[Predict, float]:
    """Logistic regression on smooth random functions of the features beside the features themselves."""
    found = fit_discriminant(spread_features(x, x, stream), truth, folds, CURVE_STRENGTHS)

    def predict(other: NDArray[Any]) -> Floats:
        return found.logits(spread_features(other, x, stream))

    return predict, found.loss


def hold_contest(a: Table, b: Table, judges: Sequence[Judge], stream: Stream) -> Contest:
    """Test whether two tables are of one distribution.

    Parameters
    ----------
    a, b : with the same views
    judges : at least one
    stream : of what judges draw

    Raises
    ------
    InputError
        When nothing is left to be judged.

    References
    ----------
    D. Lopez-Paz, M. Oquab, ICLR 2017 (arXiv:1610.06545).
    """
    rounds: dict[str, list[Round]] = {judge.name: [] for judge in judges}
    spoken: list[Round] = []
    spoke: list[str] = []
    for part in range(LEARNED, SEGMENTS):
        losses: dict[str, float] = {}
        before = [np.flatnonzero(one.segments < part) for one in (a, b)]
        now = [np.flatnonzero((one.segments == part) & one.spoken) for one in (a, b)]
        truth = np.repeat([True, False], [len(one) for one in before])
        folds = np.concatenate([one.segments[chosen] for one, chosen in zip((a, b), before, strict=True)])
        for judge in judges:
            views = [one.views[judge.view] for one in (a, b)]
            x = np.concatenate([view[chosen] for view, chosen in zip(views, before, strict=True)])
            predict, losses[judge.name] = judge.learn(x, truth, folds, stream.fold(judge.name, part))
            answers = [predict(view[chosen]) for view, chosen in zip(views, now, strict=True)]
            rounds[judge.name].append(Round.of(answers[0], answers[1]))
        best = min(losses, key=lambda name: losses[name])
        spoke.append(best)
        spoken.append(rounds[best][-1])
    return Contest(Hits.of(spoken), {name: Hits.of(own) for name, own in rounds.items()}, tuple(spoke))


BASIC: Final = (Judge("line", "features", learn_line), Judge("curve", "features", learn_curve))
"""Judges that need nothing but NumPy."""
