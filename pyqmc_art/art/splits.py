"""Splits by work: all rows of one work on one side, the sublabels spread evenly, every work tested equally often.

A split assigns works, never rows or patches, so that two parts cannot share a work. Which part a work falls into
depends on its name and the stream, never on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.roles import MACHINE_ROLES, hand_key
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

FOLDS: Final = 6
REPEATS: Final = 3
TALK_SPLITS: Final = 10
TALK_TEST: Final = Fraction(3, 18)
"""The talk's 13:2:3 for training, validation and test: 72, 11 and 17 %."""
VALIDATION: Final = Fraction(2, 15)
"""Validation's share of the works that are not tested: 2 of 13 + 2."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Numbers of the rows of each part, ascending; a row may be in none of them."""

    name: str
    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True)
class Works:
    """What a split looks at: one entry a work, in an order that does not depend on the order of the rows.

    Parameters
    ----------
    names : of the works, ascending
    strata : sublabel of each work
    labels : class of each work; each class must be in every part
    rows : numbers of the rows of each work
    """

    names: tuple[str, ...]
    strata: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, works: Sequence[str], strata: Sequence[str], labels: Sequence[object] | None = None) -> Works:
        """Collect rows into works; a work of several sublabels is a stratum, and a class, of its own kind.

        Raises
        ------
        InputError
            When the lengths differ.
        """
        classes: Sequence[object] = [""] * len(works) if labels is None else labels
        if not len(works) == len(strata) == len(classes):
            raise InputError(f"{len(works)} works, {len(strata)} strata and {len(classes)} labels; expected equal")
        members: dict[str, list[int]] = {}
        for row, work in enumerate(works):
            members.setdefault(work, []).append(row)
        names = tuple(sorted(members))
        return cls(
            names,
            tuple(" & ".join(sorted({strata[i] for i in members[name]})) for name in names),
            tuple(" & ".join(sorted({str(classes[i]) for i in members[name]})) for name in names),
            tuple(tuple(members[name]) for name in names),
        )

    @classmethod
    def of_manifest(cls, manifest: Manifest, labels: Sequence[object] | None = None) -> Works:
        """Collect the rows of a manifest, stratified by role and maker."""
        return cls.of(manifest.works, manifest.strata, labels)

    def among(self, rows: Rows) -> Works:
        """Keep the works that have a row among these."""
        inside = set(rows.tolist())
        chosen = [i for i, members in enumerate(self.rows) if inside & set(members)]
        return Works(
            tuple(self.names[i] for i in chosen),
            tuple(self.strata[i] for i in chosen),
            tuple(self.labels[i] for i in chosen),
            tuple(self.rows[i] for i in chosen),
        )

    def rows_of(self, chosen: NDArray[np.bool_]) -> Rows:
        """Rows of the chosen works, ascending."""
        return np.array(sorted(row for i in np.flatnonzero(chosen) for row in self.rows[i]), np.int64)


def _shuffled(works: Works, stream: Stream) -> Rows:
    """Order works class by class and stratum by stratum, at random within: each stratum is a run of neighbours."""
    keys = [(works.labels[i], works.strata[i], stream.fold(name).key, name) for i, name in enumerate(works.names)]
    return np.array(sorted(range(len(works)), key=keys.__getitem__), np.int64)


def _phase(stream: Stream, period: int) -> int:
    return stream.fold("phase").key % period


def _every(count: int, share: Fraction, phase: int) -> NDArray[np.bool_]:
    """Pick a share of ``count`` neighbours evenly: any run of n holds floor or ceil of ``n * share``."""
    a, b = share.numerator, share.denominator
    steps = (np.arange(count + 1) * a + phase) // b
    return np.asarray(np.diff(steps) > 0, bool)


def _pick(works: Works, among: NDArray[np.bool_], share: Fraction, stream: Stream) -> NDArray[np.bool_]:
    """Pick a share of the works that are ``among``, within one work of it in every stratum."""
    order = _shuffled(works, stream)
    order = order[among[order]]
    picked = np.zeros(len(works), bool)
    picked[order[_every(len(order), share, _phase(stream, share.denominator))]] = True
    return picked


def _split(works: Works, test: NDArray[np.bool_], validation: Fraction, name: str, stream: Stream) -> Split:
    rest = ~test
    chosen = _pick(works, rest, validation, stream.fold("validation"))
    return Split(name, works.rows_of(rest & ~chosen), works.rows_of(chosen), works.rows_of(test))


def works_needed(test: Fraction, validation: Fraction = VALIDATION) -> int:
    """Fewest works of a class such that each part of every split holds one of them.

    Examples
    --------
    >>> works_needed(Fraction(1, 6)), works_needed(Fraction(1, 6), Fraction(0))
    (10, 6)
    """
    needed = 2
    while True:
        tested = (needed * test.numerator) // test.denominator
        most_tested = -(-needed * test.numerator // test.denominator)
        rest = needed - most_tested
        held = (rest * validation.numerator) // validation.denominator
        most_held = -(-rest * validation.numerator // validation.denominator)
        if tested >= 1 and (held >= 1 or not validation) and rest - most_held >= 1:
            return needed
        needed += 1


def _require(works: Works, test: Fraction, validation: Fraction, what: str) -> None:
    """Refuse when a class has too few works for every part to hold one."""
    if not 0 <= validation < 1:
        raise InputError(f"validation is {validation}; expected a share of the works from 0 to below 1")
    needed = works_needed(test, validation)
    if not len(works):
        raise InputError(f"there are no works; {what} needs at least {needed} of each class")
    for label in sorted(set(works.labels)):
        count = works.labels.count(label)
        # A work of two classes stands on its own; it is nobody's quota.
        if count < needed and " & " not in label:
            whose = f"class {label!r} has" if label else "there are"
            raise InputError(
                f"{whose} {count} work{'s' if count != 1 else ''}, but {what} needs at least {needed}, so that every "
                "part holds one; add works, take fewer folds or leave out the validation part"
            )


def split_folds(
    works: Works, stream: Stream, folds: int = FOLDS, repeats: int = REPEATS, validation: Fraction = VALIDATION
) -> list[Split]:
    """Repeated grouped and stratified folds: each repeat tests every work exactly once.

    Parameters
    ----------
    works : see :class:`Works`
    stream : of the random order
    folds : parts, each tested once in a repeat
    repeats : how often it is done, each time in another order
    validation : share of the works that are not tested

    Raises
    ------
    InputError
        When a class has too few works, saying how many are needed.
    """
    if folds < 2 or repeats < 1:
        raise InputError(f"{folds} folds and {repeats} repeats; expected at least 2 and 1")
    _require(works, Fraction(1, folds), validation, f"a split into {folds} folds")
    splits = []
    for repeat in range(repeats):
        own = stream.fold("folds", repeat)
        order = _shuffled(works, own)
        fold = np.empty(len(works), np.int64)
        fold[order] = (np.arange(len(works)) + _phase(own, folds)) % folds
        for k in range(folds):
            name = f"repeat {repeat + 1}, fold {k + 1}"
            splits.append(_split(works, fold == k, validation, name, own.fold("fold", k)))
    return splits


def split_talk(works: Works, stream: Stream, count: int = TALK_SPLITS) -> list[Split]:
    """The talk's random splits, 13:2:3 for training, validation and test, here by work and stratified.

    Ten of them never test some works; :func:`split_folds` tests all equally often.

    Raises
    ------
    InputError
        When a class has too few works, saying how many are needed.
    """
    _require(works, TALK_TEST, VALIDATION, "a 13:2:3 split")
    everything = np.ones(len(works), bool)
    splits = []
    for number in range(count):
        own = stream.fold("talk", number)
        test = _pick(works, everything, TALK_TEST, own.fold("test"))
        splits.append(_split(works, test, VALIDATION, f"random {number + 1}", own))
    return splits


def leave_one_out(
    works: Works, makers: Sequence[str], stream: Stream, what: str = "maker", validation: Fraction = VALIDATION
) -> list[Split]:
    """For each maker: train without anything of his, test on all of it and on a sixth of everybody else's works.

    Parameters
    ----------
    works : see :class:`Works`
    makers : of each row, for instance its forger; empty for rows that take part as everybody else
    stream : of the random choice
    what : what errors call a maker

    Raises
    ------
    InputError
        With fewer than two makers, or too few other works.
    """
    if len(makers) != sum(map(len, works.rows)):
        raise InputError(f"{len(makers)} makers for {sum(map(len, works.rows))} rows; expected one per row")
    known = sorted({maker for maker in makers if maker})
    if len(known) < 2:
        raise InputError(
            f"leaving one {what} out needs at least 2 of them, but the manifest names "
            f"{'only ' + known[0] if known else 'none'}"
        )
    splits = []
    for maker in known:
        own = stream.fold("left out").fold(maker)
        his = np.array([any(makers[row] == maker for row in rows) for rows in works.rows], bool)
        others = works.among(works.rows_of(~his))
        _require(others, Fraction(1, FOLDS), validation, f"leaving out the {what} {maker!r}")
        test = his | _pick(works, ~his, Fraction(1, FOLDS), own.fold("test"))
        splits.append(_split(works, test, validation, f"without {maker}", own))
    return splits


def leave_one_forger_out(
    manifest: Manifest, stream: Stream, labels: Sequence[object] | None = None, validation: Fraction = VALIDATION
) -> list[Split]:
    """Leave out each known forger in turn; forgeries by unknown hands, who may be that forger, take no part.

    Raises
    ------
    InputError
        With fewer than two known forgers.
    """
    rows = manifest.rows
    makers = [hand_key(row.hand) if row.role == "forgery" else "" for row in rows]
    kept = [i for i, row in enumerate(rows) if row.role != "forgery" or makers[i]]
    return _left_out(manifest, kept, makers, stream, "forger", labels, validation)


def leave_one_generator_out(
    manifest: Manifest, stream: Stream, labels: Sequence[object] | None = None, validation: Fraction = VALIDATION
) -> list[Split]:
    """Leave out each generator in turn (its name, or the role where no name is given).

    Raises
    ------
    InputError
        With fewer than two generators.
    """
    makers = [hand_key(row.maker) if row.role in MACHINE_ROLES else "" for row in manifest.rows]
    return _left_out(manifest, range(len(manifest)), makers, stream, "generator", labels, validation)


def _left_out(
    manifest: Manifest, kept: Sequence[int], makers: Sequence[str], stream: Stream, what: str,
    labels: Sequence[object] | None, validation: Fraction,
) -> list[Split]:  # fmt: skip
    classes = None if labels is None else [labels[i] for i in kept]
    works = Works.of_manifest(manifest.keep(kept), classes)
    back = np.array(kept, np.int64)
    return [
        Split(split.name, back[split.train], back[split.validation], back[split.test])
        for split in leave_one_out(works, [makers[i] for i in kept], stream, what, validation)
    ]


def split_inner(works: Works, split: Split, stream: Stream, folds: int = 5) -> list[Split]:
    """Folds of the training and validation works of one split, for calibration and thresholds.

    Nothing of the outer test part enters; the validation parts are empty.

    Raises
    ------
    InputError
        When a class has fewer works than folds.
    """
    inside = works.among(np.concatenate([split.train, split.validation]))
    named = stream.fold("inner").fold(split.name)
    return split_folds(inside, named, folds, repeats=1, validation=Fraction(0))
