r"""Repairing B by what a judge says: D/(1 - D) as an estimate of p_A/p_B, and what it cannot repair.

A half of A is learned from, the other half is kept to compare with. Each part of B gets its weights from judges that
learned from the other parts, and whose logits were calibrated on parts that they had not learned from either. So no
member is weighed by a judge that has seen it, and nothing is compared with what the judges learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.contest import Contest, Judge, Predict, hold_contest
from pyqmc_art.appraise.tables import FEWEST_UNITS, SEGMENTS, Table
from pyqmc_art.errors import unknown
from pyqmc_art.protocols import Cell, Curve, Figure, Panel
from pyqmc_art.protocols import Table as Sheet
from pyqmc_art.rng import Stream
from pyqmc_art.stats.discriminants import fit_discriminant
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.importance import HEAVY_TAIL, Weights, summarize_weights
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.stats.selection import reject, walk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

METHODS: Final = ("mh", "drs", "reweight")
_WORDS: Final = {"mh": "Metropolis chain", "drs": "rejection", "reweight": "reweighting"}
_BINS: Final = 30


@dataclass(frozen=True, eq=False)
class Weighed:
    """Log weights that held-out judges give.

    Attributes
    ----------
    b : ln p_A/p_B of each member of B, up to a constant, shape (n,)
    kept : numbers of the members of A that nothing learned from
    a : the same of these members, averaged over the judges
    spoke : the judge of each part
    """

    b: Floats
    kept: Integers
    a: Floats
    spoke: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Correction:
    """B corrected towards A.

    Attributes
    ----------
    method : ``"mh"``, ``"drs"`` or ``"reweight"``
    weighed : log weights
    offered : numbers of the members of B that were offered: independent ones, or all of them for reweighting
    offered_units : the independent unit of each of them
    chosen : numbers of the members of B in the corrected ensemble, repetitions of the chain included
    acceptance : share of what was offered
    weights : what the weights of the offered members say: ESS, tail, largest share
    unseen : members of A, kept apart, whose weight is larger than that of any member of B
    contest : of the kept half of A and a part of B that rejection leaves; None where that is too little
    observables : name -> kept half of A, B, corrected B
    """

    method: str
    weighed: Weighed
    offered: Integers
    offered_units: Integers
    chosen: Integers
    acceptance: Rate
    weights: Weights
    unseen: Rate
    contest: Contest | None
    observables: dict[str, tuple[Estimate, Estimate, Estimate]]

    @property
    def misses(self) -> bool:
        """Whether more of A is unseen than the heaviest members of B stand for."""
        independent = max(1, len(np.unique(self.offered_units)))
        return self.unseen.low > 2 * self.weights.largest_share * len(self.offered) / independent

    def to_json(self) -> dict[str, Any]:
        """The numbers as JSON values."""
        w = self.weights
        hits = None if self.contest is None else self.contest.hits
        return {
            "method": self.method, "acceptance": self.acceptance.value, "offered": self.acceptance.n,
            "accepted": self.acceptance.k, "ess": w.effective, "ess_share": w.effective / w.count,
            "largest_share": w.largest_share, "k_hat": w.pareto_k, "longest_rejection": w.longest_rejection,
            "unseen": {"k": self.unseen.k, "n": self.unseen.n, "interval": [self.unseen.low, self.unseen.high]},
            "c2st_after": None if hits is None else {
                "accuracy": hits.accuracy.value, "n_eff": hits.n_effective, "p_value": hits.p_value,
                "interval": [hits.accuracy.low, hits.accuracy.high],
            },
            "observables": {
                name: {"a": a.to_dict(), "b": b.to_dict(), "corrected": c.to_dict()}
                for name, (a, b, c) in self.observables.items()
            },
        }  # fmt: skip

    def lines(self) -> list[str]:
        """What was done and what is left, in sentences."""
        w = self.weights
        k = "not known" if w.pareto_k is None else f"{w.pareto_k:.2f}"
        lines = [
            f"corrected by {_WORDS[self.method]}: accepted {self.acceptance}; ESS {w.effective:.0f} of {w.count}; "
            f"largest weight share {w.largest_share:.2g}; k-hat {k}; longest rejection run {w.longest_rejection}"
        ]
        if w.pareto_k is not None and w.pareto_k > HEAVY_TAIL:
            lines.append(f"k-hat is above {HEAVY_TAIL}: the largest weights have not been seen, do not trust averages")
        lines.append(
            f"what weights cannot repair: {self.unseen} of A's members lie where B has nothing of such a weight"
            + ("; that part of A is missing in B" if self.misses else "")
        )
        if self.contest is None:
            lines.append("after the correction too few members are left for a classifier two-sample test")
        else:
            lines.append(f"classifier two-sample test after the correction: {self.contest.hits}")
        return lines

    def tables(self) -> list[Sheet]:
        """Tables for a report."""
        w = self.weights
        numbers: tuple[tuple[Cell, ...], ...] = (
            ("accepted", str(self.acceptance)), ("ESS", f"{w.effective:.0f} of {w.count}"),
            ("largest weight share", f"{w.largest_share:.2g}"),
            ("k-hat", None if w.pareto_k is None else f"{w.pareto_k:.2f}"),
            ("longest rejection run", w.longest_rejection), ("members of A unseen in B", str(self.unseen)),
            ("two-sample test after", "too few left" if self.contest is None else str(self.contest.hits)),
        )  # fmt: skip
        sheets = [Sheet("correction", f"Correction by {_WORDS[self.method]}", ("what", "value"), numbers)]
        if self.observables:
            columns = ("observable", "A, kept half", "B", "B corrected", "B - A, sigma", "corrected - A, sigma")
            rows: list[tuple[Cell, ...]] = [
                (name, a, b, c, f"{b.deviation(a):+.1f}", f"{c.deviation(a):+.1f}")
                for name, (a, b, c) in self.observables.items()
            ]
            caption = "The half of A that is compared with was not learned from."
            sheets.append(Sheet("corrected", "Before and after", columns, tuple(rows), caption))
        return sheets

    def figures(self) -> list[Figure]:
        """Figure of the weights."""
        both = np.concatenate([self.weighed.a, self.weighed.b])
        low, high = np.quantile(both, [0.001, 0.999])
        edges = np.linspace(low, high, _BINS + 1)
        if not edges[-1] > edges[0]:
            return []
        x = ((edges[1:] + edges[:-1]) / 2).tolist()
        curves = tuple(
            Curve(label, x, np.histogram(values, edges, density=True)[0].tolist(), style="line")
            for label, values in (("A, kept half", self.weighed.a), ("B", self.weighed.b))
        )
        caption = (
            "Logarithm of the estimated ratio of densities, ln D/(1 - D), of held-out members. What lies to the right "
            "of all of B cannot be had by weighing B."
        )
        return [Figure("weights", "Weights", caption, (Panel("", "ln p_A / p_B, estimated", "density", curves),))]


def weigh(a: Table, b: Table, judges: Sequence[Judge], stream: Stream) -> Weighed:
    """Estimate ln p_A/p_B of members of B, and of a half of A, by judges that learned from others."""
    learned = np.flatnonzero(a.segments % 2 == 0)
    kept = np.flatnonzero(a.segments % 2 == 1)
    half = a.take(learned)
    logits = np.empty(len(b))
    of_kept = np.zeros(len(kept))
    spoke = []
    for part in range(SEGMENTS):
        test = np.flatnonzero(b.segments == part)
        rest = b.take(np.flatnonzero(b.segments != part))
        judge, predict = _learn(half, rest, judges, stream.fold("part", part))
        spoke.append(judge.name)
        logits[test] = predict(b.views[judge.view][test])
        of_kept += predict(a.views[judge.view][kept]) / SEGMENTS
    return Weighed(logits, kept, of_kept, tuple(spoke))


def _learn(a: Table, b: Table, judges: Sequence[Judge], stream: Stream) -> tuple[Judge, Predict]:
    """The judge of the smallest held-out loss, with logits calibrated on parts that it has not learned from."""
    truth = np.repeat([True, False], [len(a), len(b)])
    folds = np.concatenate([a.segments, b.segments])
    best: tuple[float, Judge, Predict] | None = None
    for judge in judges:
        x = np.concatenate([a.views[judge.view], b.views[judge.view]])
        predict, loss = judge.learn(x, truth, folds, stream.fold(judge.name))
        if best is None or loss < best[0]:
            best = (loss, judge, predict)
    if best is None:
        raise unknown("judge", "none", [judge.name for judge in judges])
    _, judge, predict = best
    x = np.concatenate([a.views[judge.view], b.views[judge.view]])
    held = np.empty(len(x))
    # Parts of A have even numbers; a part of B goes with its neighbour.
    thirds = folds // 2
    for third in np.unique(thirds):
        test = thirds == third
        held[test] = judge.learn(x[~test], truth[~test], folds[~test], stream.fold(judge.name))[0](x[test])
    line = fit_discriminant(held[:, None], truth, folds, (1e-6,))
    return judge, lambda other: line.logits(predict(other)[:, None])


def correct(
    a: Table, b: Table, judges: Sequence[Judge], method: str, stream: Stream, weighed: Weighed | None = None
) -> Correction:
    """Correct B towards A; see :class:`Correction`.

    Parameters
    ----------
    a, b : tables
    judges : the best of them speaks
    method : ``"mh"``, ``"drs"`` or ``"reweight"``
    stream : of judges and acceptances
    weighed : from :func:`weigh`, or log weights of another origin; None weighs

    Raises
    ------
    InputError
        For an unknown method.
    """
    if method not in METHODS:
        raise unknown("method of correction", method, METHODS)
    found = weigh(a, b, judges, stream.fold("weigh")) if weighed is None else weighed
    independent = np.flatnonzero(b.spoken)
    independent = np.random.default_rng(stream.fold("order").key).permutation(independent)
    offered = np.arange(len(b)) if method == "reweight" else independent
    logs = found.b[offered]
    chance = stream.uniform("user", np.arange(len(offered)), 1)[0]
    weights = summarize_weights(logs, chance)
    kept = independent[reject(found.b[independent], stream.fold("rest").uniform("user", independent, 1)[0])]
    if method == "mh":
        path = walk(logs[:, None], chance[:, None])[:, 0]
        moved = int((np.diff(path) != 0).sum())
        chosen, accepted = offered[path], Rate.of(moved, len(path) - 1)
    elif method == "drs":
        chosen, accepted = kept, Rate.of(len(kept), len(independent))
    else:
        chosen, accepted = offered, Rate.of(len(offered), len(offered))
    largest = float(found.b.max())
    spoken = a.spoken[found.kept]
    unseen = Rate.count(found.a[spoken] > largest)
    again = _test_again(a, b, found, kept, judges, stream)
    return Correction(method, found, offered, b.units[offered], chosen, accepted, weights, unseen, again, {})


def _test_again(
    a: Table, b: Table, found: Weighed, kept: Integers, judges: Sequence[Judge], stream: Stream
) -> Contest | None:
    """Two-sample test of the half of A that was kept and what rejection leaves of B, in parts cut anew."""
    halves = []
    for table, chosen in ((a, found.kept), (b, np.sort(kept))):
        part = table.take(chosen)
        _, order = np.unique(part.units, return_inverse=True)
        count = int(order.max()) + 1 if len(order) else 0
        if count < FEWEST_UNITS:
            return None
        cut = order.reshape(-1) * SEGMENTS // count
        halves.append(Table(part.name, part.views, part.units, cut, part.spoken))
    return hold_contest(halves[0], halves[1], judges, stream.fold("again"))
