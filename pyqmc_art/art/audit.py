"""Does an experiment leak? Works on both sides of a split, and labels of tested works that something has read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.splits import Split
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

Judge: TypeAlias = Callable[[NDArray[np.bool_]], ArrayLike]
"""Takes the labels of all works, gives what was concluded of each: thresholds, scores or verdicts, one row a work."""

RELABELLINGS: Final = 2


@dataclass(frozen=True)
class Leak:
    """Two rows of one work in two parts of a split.

    Parameters
    ----------
    split : its name
    parts : ``("train", "validation")``, ``("train", "test")`` or ``("validation", "test")``
    rows : one row in each of these parts
    reason : how the rows are known to be one work
    """

    split: str
    parts: tuple[str, str]
    rows: tuple[int, int]
    reason: str

    def __str__(self) -> str:
        places = " and ".join(f"row {row} in {part}" for part, row in zip(self.parts, self.rows, strict=True))
        return f"{self.split}: {places}: {self.reason}"


def audit_split(split: Split, works: Sequence[str], twins: Iterable[tuple[int, int]] = ()) -> tuple[Leak, ...]:
    """Find works that lie in two parts of a split.

    Parameters
    ----------
    split : of rows, which may be pictures or patches
    works : work of each row
    twins : pairs of rows that show one work whatever ``works`` says, for instance those of
        :func:`pyqmc_art.art.duplicates.find_duplicates`

    Returns
    -------
    one Leak for each work, or pair of twins, and each pair of parts; empty for a sound split

    Raises
    ------
    InputError
        When the split holds a row without a work.

    Examples
    --------
    >>> split = Split("by patch", np.array([0, 1]), np.array([]), np.array([2, 3]))
    >>> for leak in audit_split(split, ["a", "b", "b", "c"], twins=[(0, 3)]):
    ...     print(leak)
    by patch: row 1 in train and row 2 in test: both of the work 'b'
    by patch: row 0 in train and row 3 in test: near-duplicates
    """
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    members = {name: [int(row) for row in rows] for name, rows in parts.items()}
    last = max((row for rows in members.values() for row in rows), default=-1)
    if last >= len(works):
        raise InputError(f"the split {split.name!r} holds row {last}, but only {len(works)} rows have a work")
    # Of several rows of a work in one part the first stands for all.
    first = {name: {works[row]: row for row in reversed(rows)} for name, rows in members.items()}
    place = {row: name for name, rows in members.items() for row in rows}
    leaks = [
        Leak(split.name, (one, other), (first[one][work], first[other][work]), f"both of the work {work!r}")
        for one, other in combinations(parts, 2)
        for work in sorted(first[one].keys() & first[other].keys())
    ]
    for pair in twins:
        if all(row in place for row in pair) and works[pair[0]] != works[pair[1]]:
            i, j = sorted(pair, key=lambda row: list(parts).index(place[row]))
            if place[i] != place[j]:
                leaks.append(Leak(split.name, (place[i], place[j]), (i, j), "near-duplicates"))
    return tuple(leaks)


def audit_labels(judge: Judge, labels: ArrayLike, outer: ArrayLike, stream: Stream) -> tuple[int, ...]:
    """Find the folds whose conclusions move when only the labels of their own test works are changed.

    In each fold half of the works of each class get the other label, twice. What was concluded of its works,
    threshold or score, must stay the same to the bit, for it was to be learned from other works.

    Parameters
    ----------
    judge : the whole procedure, from labels to conclusions
    labels : true for the positive class, one a work
    outer : number of the fold that tests each work
    stream : chooses whose labels are changed

    Returns
    -------
    numbers of the folds that leak, ascending; empty for a sound procedure

    Raises
    ------
    InputError
        When labels, folds and conclusions do not correspond.

    Examples
    --------
    >>> labels, outer, score = np.arange(12) % 2 == 0, np.arange(12) // 6, np.arange(12) ** 2
    >>> def peek(known):  # the threshold of a fold is chosen on the fold itself
    ...     return [score[known & (outer == fold)].min() for fold in outer]
    >>> def choose(known):  # and here on the others
    ...     return [score[known & (outer != fold)].min() for fold in outer]
    >>> [audit_labels(way, labels, outer, Stream.from_seed(1)) for way in (peek, choose)]
    [(0, 1), ()]
    """
    truth, fold = np.asarray(labels).astype(bool), np.asarray(outer)
    if truth.ndim != 1 or truth.shape != fold.shape:
        raise InputError(f"{truth.shape} labels and {fold.shape} fold numbers; expected one each for each work")
    before = _conclude(judge, truth)
    leaking = []
    for number in np.unique(fold):
        tested = fold == number
        own = stream.fold("fold", int(number))
        # A second time for what happens to stay as it is.
        again = (_conclude(judge, _relabel(truth, tested, own.fold("relabelling", i))) for i in range(RELABELLINGS))
        if any(before[tested].tobytes() != after[tested].tobytes() for after in again):
            leaking.append(int(number))
    return tuple(leaking)


def _conclude(judge: Judge, labels: NDArray[np.bool_]) -> NDArray[Any]:
    found = np.asarray(judge(labels.copy()))
    if len(found) != labels.size:
        raise InputError(f"the procedure concluded of {len(found)} works; expected one row for each of {labels.size}")
    return found


def _relabel(truth: NDArray[np.bool_], tested: NDArray[np.bool_], stream: Stream) -> NDArray[np.bool_]:
    """Turn half of each class around: turning all would leave what treats both classes alike as it is."""
    generator = np.random.default_rng(stream.key)
    turned = truth.copy()
    for label in (True, False):
        own = np.flatnonzero(tested & (truth == label))
        turned[generator.permutation(own)[: -(-own.size // 2)]] = not label
    return turned
