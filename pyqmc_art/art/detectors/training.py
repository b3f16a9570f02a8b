"""From a manifest to a detector: chosen rows, held-out scores, calibration, baselines, a model directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.claims import Claim
from pyqmc_art.art.degrade import Equaliser
from pyqmc_art.art.detectors.album import Album, Seen
from pyqmc_art.art.detectors.cache import KeptFeatures
from pyqmc_art.art.detectors.catalogue import DEFAULT, detector_class, make_extractor
from pyqmc_art.art.detectors.features import Extractor, FeatureTable, Floats, average_works
from pyqmc_art.art.detectors.heads import BALANCES, assign_folds, count_works, fit_head, make_learner
from pyqmc_art.art.detectors.linear import LinearDetector, Preparation
from pyqmc_art.art.detectors.price import announce_cost
from pyqmc_art.art.detectors.scoreboard import Contrast, compare_roles, describe_claim, judge_contrasts
from pyqmc_art.art.detectors.selection import select_rows
from pyqmc_art.art.entries import write_entries
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.prints import Prints
from pyqmc_art.art.rehearsal import Foresight, Rehearsal, calibrate_works, foresee, rehearse
from pyqmc_art.art.roles import MACHINE_ROLES
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.learning.pretrained import check_target
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.crossvalidation import Learner, score_out_of_fold

if TYPE_CHECKING:
    from pyqmc_art.art.detectors.tuning import TuneOptions

INNER = 4
"""Folds of the inner cross-validation that calibrates for the works of an outer fold."""


@dataclass(frozen=True)
class DetectorOptions:
    """What to train.

    Parameters
    ----------
    hand : whose originals are the positives
    contrast : roles of the negatives; empty means every other row
    backbone : ``"residual"``, ``"metadata"``, ``"subject"`` or a network of timm
    weights : file of the network's weights, ``"random"``, or None for installed ones
    size, levels, square : of the patches; see :func:`pyqmc_art.art.detectors.catalogue.make_extractor`
    equaliser : plan that every picture goes through, in training and in judging; None takes them as they are
    balance : ``"class"``: hand and contrast count equally; ``"kind"``: moreover every role of the contrast does
    folds : over works, for held-out scores and the calibration
    tune : train the whole network; None keeps it frozen and trains the head
    pretrain : with ``tune``, train on originals and proxies first
    seed : of everything random
    """

    hand: str
    contrast: tuple[str, ...] = ()
    backbone: str = DEFAULT
    weights: str | None = None
    size: int | None = None
    levels: str | tuple[int, ...] = "auto"
    square: str = "center"
    equaliser: Equaliser | None = None
    balance: str = "class"
    folds: int = 5
    tune: TuneOptions | None = None
    pretrain: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.balance not in BALANCES:
            raise unknown("balance", self.balance, BALANCES)
        if self.folds < 2:
            raise InputError(f"folds is {self.folds}; expected at least 2")
        if self.tune is not None and self.backbone in ("residual", "metadata", "subject"):
            raise InputError(f"{self.backbone} has no network to tune; leave --tune out or choose a network")
        if self.pretrain and self.tune is None:
            raise InputError("pre-training needs a network that is trained as a whole: add --tune")
        if self.balance == "kind" and self.tune is not None:
            raise InputError("balance 'kind' is for heads; a network that is tuned balances the two classes")


@dataclass(frozen=True)
class Training:
    """What a training gave.

    Attributes
    ----------
    detector : trained on all chosen rows
    folder : of the model; None if it was not kept
    scores : held-out log-odds of each picture, by models that saw no picture of its work
    rehearsal : verdicts that held-out works would have been given; None when the works are too few
    claims : hand against all of the contrast, then each of its roles: may the score be claimed?
    manifest : the chosen rows
    labels : true for the hand
    contrasts : how well held-out works are told apart: all of the contrast, each of its roles, and the baselines
    """

    detector: LinearDetector
    folder: Path | None
    scores: Floats
    manifest: Manifest
    labels: NDArray[np.bool_]
    contrasts: tuple[Contrast, ...]
    claims: tuple[Claim, ...] = ()
    rehearsal: Rehearsal | None = None

    def summary(self) -> str:
        """Say in a few lines what held-out works show."""
        return "\n".join(map(str, self.contrasts))


def train_detector(
    manifest: Manifest,
    options: DetectorOptions,
    out: str | os.PathLike[str] | None,
    *,
    monitor: Monitor | None = None,
    announce: Callable[[str], None] | None = None,
    resume: bool = False,
    force: bool = False,
) -> Training:
    """Train a detector, with held-out scores, calibration and both baselines beside it.

    Parameters
    ----------
    manifest : all rows; near-duplicates merged into groups before
    options : what to train
    out : model directory; None keeps nothing
    monitor : what a person sees
    announce : told the cost before it starts
    resume : take up the checkpoints that an interrupted tuning left beside ``out``
    force : replace a model that is there

    Raises
    ------
    InputError
        For rows or options that cannot be used, and unreadable pictures, naming all of them.
    Interrupted
        After Ctrl-C in a tuning; it can be resumed.
    """
    place = None if out is None else Path(out)
    if place is not None:
        check_place(place, force)
    rows, labels = select_rows(manifest, options.hand, options.contrast)
    stream = Stream.from_seed(options.seed).fold("detector")
    extractor = _make_extractor(options, stream)
    folds = assign_folds(rows.works, labels, stream.fold("folds"), options.folds, rows.strata)
    if announce is not None:
        announce_cost(extractor, rows, options, announce)
    plan = options.equaliser
    album = Album(rows, None if plan is None else Preparation(plan, stream.fold("equalise").key), monitor)
    task = _Task(labels, [row.role for row in rows], options.balance, folds, stream, options.folds)
    work = None if place is None else place.with_name(place.name + ".training")
    if options.tune is None:
        kept = extractor if work is None else KeptFeatures.of(extractor, work, album.preparation, resume)
        detector, seen, tables = _train_frozen(extractor, kept, album, task)
    else:
        detector, seen, tables = _train_whole(extractor, album, task, options, work, resume, monitor)
    scores = seen.hand.scores
    baselines = {name: task.held_out(table) for name, table in tables.items()}
    contrasts = compare_roles(rows, labels, {options.backbone: scores, **baselines})
    claims = judge_contrasts(rows, labels, scores, baselines, stream.fold("claims"))
    rehearsal = rehearse(task.kinds, labels, rows.works, seen.hand, seen.human) if seen.hand.lines else None
    detector = replace(
        detector,
        preparation=album.preparation,
        works=write_entries(album.entries(labels, seen)),
        prints=Prints.of(album.prints),
        facts=_facts(options, rows, labels, scores, contrasts, stream)
        | {"claims": [describe_claim(one) for one in claims], "nested": options.tune is None}
        | {"rehearsal": None if rehearsal is None else rehearsal.to_json()}
        | dict(detector.facts),
    )
    if place is not None:
        detector.save_pretrained(place, force)
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return Training(detector, place, scores, rows, labels, contrasts, claims, rehearsal)


def check_place(place: Path, force: bool) -> None:
    """Refuse a place for a model before anything is computed.

    Raises
    ------
    InputError
        When something is there that ``force`` was not given for, or the folder above is a file.
    """
    check_target(place, force)
    above = next(folder for folder in place.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{above} is a file; the model {place} needs a folder to lie in")


def price_training(manifest: Manifest, options: DetectorOptions, announce: Callable[[str], None]) -> None:
    """Tell what a training would cost, and train nothing."""
    rows, _ = select_rows(manifest, options.hand, options.contrast)
    extractor = _make_extractor(options, Stream.from_seed(options.seed).fold("detector"))
    announce_cost(extractor, rows, options, announce)


def _make_extractor(options: DetectorOptions, stream: Stream) -> Extractor:
    return make_extractor(
        options.backbone, weights=options.weights, size=options.size, levels=options.levels, square=options.square,
        stream=stream.fold("weights"),
    )  # fmt: skip


@dataclass(frozen=True)
class _Task:
    """Whom to tell from whom, and which model scores which picture."""

    labels: NDArray[np.bool_]
    kinds: Sequence[str]
    balance: str
    folds: NDArray[np.int64]
    stream: Stream
    parts: int

    def held_out(self, table: FeatureTable) -> Floats:
        """Score every picture by a head that saw nothing of its work."""
        return self.score(make_learner(table, self.stream.fold("head"), self.kinds, self.balance))

    def score(self, learner: Learner) -> Floats:
        return score_out_of_fold(learner, np.arange(self.labels.size), self.labels, self.folds)


def _train_frozen(
    extractor: Extractor, kept: Extractor, album: Album, task: _Task
) -> tuple[LinearDetector, Seen, dict[str, FeatureTable]]:
    table, baselines = album.tables(kept)
    hand = _foresee(table, album.rows, task, task.stream.fold("head"))
    head = fit_head(table, task.labels, task.stream.fold("head"), kinds=task.kinds, balance=task.balance)
    detector = detector_class(extractor.kind)(extractor, head, reference=_reference(table))
    detector, human = _with_human_head(detector, table, album.rows, task)
    return detector, Seen(hand, human), baselines


def _foresee(table: FeatureTable, rows: Manifest, task: _Task, stream: Stream) -> Foresight:
    """Held-out scores with nested calibrations, or without these where the training works of a fold cannot be split."""

    def study(
        train: NDArray[np.intp], known: NDArray[np.bool_]
    ) -> tuple[Callable[[NDArray[np.intp]], Floats], Learner]:
        own = [task.kinds[i] for i in train]
        head = fit_head(table.take(train), known, stream, kinds=own, balance=task.balance)

        def score(test: NDArray[np.intp]) -> Floats:
            rest = table.take(test)
            return rest.pool(head.logits(rest.values))

        # The strength chosen on these works: choosing it anew in every inner fold costs thirty times as much.
        return score, make_learner(table, stream, task.kinds, task.balance, (head.strength,))

    def split(pictures: NDArray[np.intp]) -> NDArray[np.int64]:
        works, strata = ([names[i] for i in pictures] for names in (rows.works, rows.strata))
        return assign_folds(works, task.labels[pictures], task.stream.fold("inner"), min(INNER, fewest), strata)

    left = (np.flatnonzero(task.folds != number) for number in np.unique(task.folds))
    fewest = min(min(count_works([rows.works[i] for i in part], task.labels[part])) for part in left)
    stream_of_lines = task.stream.fold("rehearsal")
    return foresee(study, rows.works, task.labels, task.folds, split if fewest > 1 else None, stream_of_lines)


def _train_whole(
    extractor: Extractor, album: Album, task: _Task, options: DetectorOptions, work: Path | None, resume: bool,
    monitor: Monitor | None,
) -> tuple[LinearDetector, Seen, dict[str, FeatureTable]]:  # fmt: skip
    from pyqmc_art.art.detectors.whole import Tuner

    tuner = Tuner.of(extractor, album.rows, options, task.stream.fold("tune"), work, resume, monitor)
    patches, baselines = album.tables(tuner.pixels)
    tuner = replace(tuner, patches=patches)
    scores = task.score(tuner.learn)
    everything = np.arange(task.labels.size)
    trained, head = tuner.train(everything, task.labels, "all")
    table = tuner.describe(trained, everything)
    detector = detector_class(trained.kind)(trained, head, reference=_reference(table))
    detector = replace(detector, facts={"log": tuner.read_log()})
    # Nested trainings of a whole network would take as many times longer: its verdicts are not rehearsed.
    return detector, Seen(Foresight(scores, task.folds, {}), None), baselines


def _with_human_head(
    detector: LinearDetector, table: FeatureTable, rows: Manifest, task: _Task
) -> tuple[LinearDetector, Foresight | None]:
    """Add a head for human against machine-made, if there are works of both; photographs are neither."""
    chosen = np.array([i for i, row in enumerate(rows) if row.role != "photo"])
    human = np.array([rows.rows[i].role not in MACHINE_ROLES for i in chosen])
    works = [table.works[i] for i in chosen]
    parts = min(task.parts, *count_works(works, human)) if human.any() and not human.all() else 0
    if parts < 2:
        return detector, None
    part, stream = table.take(chosen), task.stream.fold("human")
    folds = assign_folds(works, human, stream.fold("folds"), int(parts))
    own = _Task(human, [""] * chosen.size, "class", folds, stream, parts)
    seen = _foresee(part, rows.keep(chosen.tolist()), own, stream)
    line = calibrate_works(seen.scores, works, human, stream.fold("calibration"))
    detector = replace(detector, human=fit_head(part, human, stream), facts={"human_calibration": line.to_json()})
    scores, numbers = np.full(len(rows), np.nan), np.full(len(rows), -1)
    scores[chosen], numbers[chosen] = seen.scores, seen.folds
    return detector, Foresight(scores, numbers, seen.lines) if seen.lines else None


def _reference(table: FeatureTable) -> NDArray[np.float32]:
    return average_works(table.pool(table.values), table.works)[0].astype(np.float32)


def _facts(
    options: DetectorOptions, rows: Manifest, labels: NDArray[np.bool_], scores: Floats,
    contrasts: Sequence[Contrast], stream: Stream,
) -> dict[str, Any]:  # fmt: skip
    positives, negatives = count_works(rows.works, labels)
    return {
        "options": asdict(options),
        "works": {"hand": positives, "contrast": negatives},
        "roles": rows.roles(),
        "calibration": calibrate_works(scores, rows.works, labels, stream.fold("calibration")).to_json(),
        "contrasts": [one.to_json() for one in contrasts],
    }
