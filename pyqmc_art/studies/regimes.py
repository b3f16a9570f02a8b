"""Training regimes: which kinds of pictures a detector learns from, and how it then judges works it never saw."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.detectors.features import FeatureTable, average_works
from pyqmc_art.art.detectors.heads import Head, assign_folds, count_works, fit_head
from pyqmc_art.art.roles import resolve_role
from pyqmc_art.art.scorecard import POSITIVE, Outcomes
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.calibration import calibrate
from pyqmc_art.stats.comparisons import average_out_of_fold
from pyqmc_art.stats.crossvalidation import score_out_of_fold
from pyqmc_art.studies.gallery import Gallery

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

FOLDS: Final = 6
INNER_FOLDS: Final = 4
STRENGTHS: Final = (1e-4, 1e-3, 1e-2, 1e-1)
"""Strengths a head chooses from, by the log-loss of held-out training works."""
ALWAYS: Final = (POSITIVE, "proxy")
"""Roles that every regime trains on."""
CALIBRATION_SAMPLES: Final = 100
RESERVED: Final = -1
"""Fold of works that are trained on in every fold and judged in none."""


@dataclass(frozen=True)
class Regime:
    """What a detector is trained on beside originals and proxies.

    Examples
    --------
    >>> [regime.name for regime in REGIMES][:2]
    ['no synthetic', 'raw GAN']
    >>> REGIMES[-1].name, REGIMES[-1].roles
    ('forgeries + diffusion + GAN', ('forgery', 'diffusion', 'tuned-gan'))
    """

    name: str
    roles: tuple[str, ...]
    without: tuple[str, ...] = ()
    """Strata (``role|maker``) that are left out of training all the same."""

    @property
    def forgeries(self) -> bool:
        """Whether human forgeries are in training."""
        return "forgery" in self.roles

    @property
    def synthetic(self) -> tuple[str, ...]:
        """Roles of machine-made pictures in training."""
        return tuple(role for role in self.roles if role != "forgery")


SYNTHETIC: Final = (
    Regime("no synthetic", ()),
    Regime("raw GAN", ("raw-gan",)),
    Regime("tuned GAN", ("tuned-gan",)),
    Regime("diffusion", ("diffusion",)),
    Regime("diffusion + GAN", ("diffusion", "tuned-gan")),
)
"""The five sets of synthetic pictures, without human forgeries in training."""
REGIMES: Final = SYNTHETIC + tuple(
    Regime("forgeries" if not one.roles else f"forgeries + {one.name}", ("forgery", *one.roles)) for one in SYNTHETIC
)
"""{without, with human forgeries} x {none, raw GAN, tuned GAN, diffusion, diffusion and tuned GAN}."""


def find_regimes(gallery: Gallery, regimes: Sequence[Regime] = REGIMES) -> tuple[Regime, ...]:
    """Regimes all of whose roles the gallery has."""
    there = set(gallery.roles)
    return tuple(regime for regime in regimes if set(regime.roles) <= there)


@dataclass(frozen=True)
class WorkOutcomes(Outcomes):
    """Outcomes that know whose they are.

    Parameters
    ----------
    scores, roles, sublabels, thresholds : see :class:`pyqmc_art.art.scorecard.Outcomes`; the scores are log-odds of the
        hand above the threshold of the fold, averaged over the repeats, so that the threshold is 0
    works : name of each work
    trained : roles that were in training
    supported : share of the folds whose calibration was supported
    """

    works: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
    supported: float = 1.0

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each work was judged rightly."""
        return np.asarray((self.margins > 0) == self.select([POSITIVE]), bool)


@dataclass(frozen=True)
class Exhibits:
    """The works of a gallery as they are judged: the pictures of one work under one role are judged as one.

    Attributes
    ----------
    gallery : where the pictures are
    members : pictures of each entry
    works, roles, makers, strata : of each entry
    """

    gallery: Gallery
    members: tuple[tuple[int, ...], ...]
    works: tuple[str, ...]
    roles: tuple[str, ...]
    makers: tuple[str, ...]
    strata: tuple[str, ...]

    @classmethod
    def of(cls, gallery: Gallery) -> Exhibits:
        """Collect the pictures of a gallery into entries, in order of appearance."""
        found: dict[tuple[str, str], list[int]] = {}
        roles, rows = gallery.roles, gallery.manifest.rows
        for number, (row, role) in enumerate(zip(rows, roles, strict=True)):
            found.setdefault((row.work, role), []).append(number)
        firsts = [rows[numbers[0]] for numbers in found.values()]
        return cls(
            gallery,
            tuple(tuple(numbers) for numbers in found.values()),
            tuple(work for work, _ in found),
            tuple(role for _, role in found),
            tuple("" if row.maker == row.role or row.role == POSITIVE else row.maker for row in firsts),
            tuple(row.stratum for row in firsts),
        )

    def __len__(self) -> int:
        return len(self.works)

    @cached_property
    def labels(self) -> NDArray[np.bool_]:
        """True for originals of the hand."""
        return np.array([role == POSITIVE for role in self.roles], bool)

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """True for what may be judged: no work that is reserved for training.

        Raises
        ------
        InputError
            When a synthesizer learned from a work that would be judged.
        """
        free = set(self.gallery.judged().manifest.works)
        return np.array([work in free for work in self.works], bool)

    def assign(self, stream: Stream, folds: int, among: Indices | None = None) -> NDArray[np.int64]:
        """Fold of each entry: all entries of one work in one fold, roles and makers spread evenly."""
        chosen = np.arange(len(self)) if among is None else among
        return assign_folds(
            [self.works[i] for i in chosen], self.labels[chosen], stream, folds, [self.strata[i] for i in chosen]
        )


def score_works(
    gallery: Gallery,
    table_name: str,
    roles: Sequence[str],
    stream: Stream,
    *,
    folds: int = FOLDS,
    repeats: int = 1,
    balance: str = "kind",
    without: Collection[str] = (),
    strengths: Sequence[float] = STRENGTHS,
) -> WorkOutcomes:
    """Score every work by models that saw nothing of it, trained on originals, proxies and the given roles.

    All works but the reserved ones are dealt into folds, stratified by role and maker, and each is judged once in every
    repeat by the model of its fold, whether its role was in training or not, so that works and the number of models
    behind each score are the same in every regime. The folds depend on the stream alone; give the same stream to
    compare regimes in pairs. Inside a fold, the held-out scores of the training works, split again by work, give the
    threshold; the labels of the fold's own works are used for nothing.

    Parameters
    ----------
    gallery : the pictures
    table_name : name of a detector or baseline of the gallery, or ``"files"``
    roles : in training beside originals and proxies
    stream : of the folds
    folds, repeats : of the outer cross-validation
    balance : of the head; ``"kind"``: every role of the contrast counts the same
    without : strata (``role|maker``) that are left out of training all the same
    strengths : the head chooses from, on training works

    Returns
    -------
    WorkOutcomes, the judged entries in order of appearance in the manifest

    Raises
    ------
    InputError
        For an unknown table or role, a role that no picture has, nothing to train against, too few works, or a
        judged work that a synthesizer learned from.
    """
    trained = tuple(dict.fromkeys([*ALWAYS, *(resolve_role(role) for role in roles)]))
    shown = Exhibits.of(gallery)
    missing = [role for role in trained if role not in shown.roles and role != "proxy"]
    if missing:
        raise InputError(f"no picture has the role {', '.join(missing)}; train on roles that the gallery has")
    learns = np.array([r in trained and s not in without for r, s in zip(shown.roles, shown.strata, strict=True)])
    if not (learns & ~shown.labels).any():
        raise InputError("nothing is left to set against the originals in training; add proxies or another role")
    judge = Judge(shown, gallery.table(table_name), balance, tuple(strengths), stream)
    tested = np.flatnonzero(shown.judged)
    scores = np.empty((repeats, len(shown)))
    supported = []
    for repeat in range(repeats):
        outer = np.full(len(shown), RESERVED)
        outer[tested] = shown.assign(stream.fold("outer", repeat), folds, tested)
        for fold in range(folds):
            test, train = np.flatnonzero(outer == fold), np.flatnonzero((outer != fold) & learns)
            scores[repeat, test], fine = judge.score_fold(train, test, stream.fold(f"repeat {repeat}", fold))
            supported.append(fine)
    roles, makers, works = (tuple(names[i] for i in tested) for names in (shown.roles, shown.makers, shown.works))
    return WorkOutcomes(
        average_out_of_fold(scores[:, tested]), roles, makers, 0.0, works, trained, float(np.mean(supported))
    )


@dataclass(frozen=True)
class Judge:
    """One detector's view of the exhibits, and how its heads are trained."""

    shown: Exhibits
    table: FeatureTable
    balance: str
    strengths: tuple[float, ...]
    stream: Stream

    def score_fold(self, train: Indices, test: Indices, stream: Stream) -> tuple[Floats, bool]:
        """Scores of the tested entries above the threshold that the training entries give; whether it is supported."""
        labels = self.shown.labels[train]
        head = self.fit(train, labels, self.strengths)
        parts = min(INNER_FOLDS, *count_works([self.shown.works[i] for i in train], labels))
        if parts < 2:
            raise InputError("one class has a single work left in a training fold; add works or take fewer folds")
        inner = self.shown.assign(stream.fold("inner"), parts, train)

        def learn(some: Indices, known: NDArray[np.bool_], others: Indices) -> Floats:
            return self.score(self.fit(some, known, (head.strength,)), others)

        held = score_out_of_fold(learn, train, labels, inner)
        line = calibrate(held[labels], held[~labels], stream.fold("calibration"), samples=CALIBRATION_SAMPLES)
        return self.score(head, test) - line.threshold, line.supported

    def fit(self, train: Indices, labels: NDArray[np.bool_], strengths: Sequence[float]) -> Head:
        """Train on some entries."""
        members = [self.shown.members[i] for i in train]
        pictures: Indices = np.concatenate(members)
        counts = [len(one) for one in members]
        kinds = np.repeat([self.shown.roles[i] for i in train], counts)
        return fit_head(
            self.table.take(pictures), np.repeat(labels, counts), self.stream.fold("head"), kinds=kinds.tolist(),
            balance=self.balance, strengths=strengths, folds=INNER_FOLDS,
        )  # fmt: skip

    def score(self, head: Head, test: Indices) -> Floats:
        """Mean log-odds of the pictures of each entry."""
        members = [self.shown.members[i] for i in test]
        part = self.table.take(np.concatenate(members))
        owners = np.repeat(np.arange(len(members)), [len(one) for one in members])
        return average_works(part.pool(head.logits(part.values)), owners.astype(str).tolist())[0]
