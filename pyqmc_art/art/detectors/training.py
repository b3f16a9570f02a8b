"""From a manifest to a detector: chosen rows, held-out scores, calibration, baselines, a model directory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.degrade import Equaliser
from pyqmc_art.art.detectors.baselines import MetadataExtractor, SubjectExtractor
from pyqmc_art.art.detectors.catalogue import DEFAULT, detector_class, make_extractor
from pyqmc_art.art.detectors.features import Extractor, FeatureTable, Floats, average_works, collect_tables, make_table
from pyqmc_art.art.detectors.heads import BALANCES, assign_folds, count_works, fit_head, make_learner
from pyqmc_art.art.detectors.linear import LinearDetector, Preparation
from pyqmc_art.art.detectors.scoreboard import Contrast, compare_roles
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Picture, UnreadablePicture, read_each
from pyqmc_art.art.roles import MACHINE_ROLES, resolve_role
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.calibration import Calibration, calibrate
from pyqmc_art.stats.crossvalidation import Learner, score_out_of_fold

if TYPE_CHECKING:
    from pyqmc_art.art.detectors.tuning import TuneOptions


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

    def summary(self) -> str:
        """Say in a few lines what held-out works show."""
        return "\n".join(map(str, self.contrasts))


def select_rows(manifest: Manifest, hand: str, contrast: Sequence[str] = ()) -> tuple[Manifest, NDArray[np.bool_]]:
    """Choose the originals of a hand and its contrast; give the rows and which are the hand's.

    Raises
    ------
    InputError
        When either is empty.
    """
    positive = manifest.authentic(hand)
    roles = {resolve_role(word) for word in contrast}
    negative = ~positive & np.array([not roles or row.role in roles for row in manifest], bool)
    if not positive.any():
        raise InputError(f"the manifest names {hand}, but in no row of role original: nothing to learn from")
    if not negative.any():
        there = ", ".join(f"{role} {n}" for role, n in manifest.roles().items())
        wanted = f"of role {', '.join(sorted(roles))} " if roles else ""
        raise InputError(f"no row {wanted}to set against {hand}; the manifest holds {there}")
    chosen = np.flatnonzero(positive | negative)
    return manifest.keep(chosen.tolist()), positive[chosen]


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
    if place is not None and place.exists() and not force and any(place.iterdir() if place.is_dir() else [place]):
        raise InputError(f"{place} exists; choose another --out, or --force to replace the model there")
    rows, labels = select_rows(manifest, options.hand, options.contrast)
    stream = Stream.from_seed(options.seed).fold("detector")
    extractor = make_extractor(
        options.backbone, weights=options.weights, size=options.size, levels=options.levels, square=options.square,
        stream=stream.fold("weights"),
    )  # fmt: skip
    folds = assign_folds(rows.works, labels, stream.fold("folds"), options.folds, rows.strata)
    if announce is not None:
        from pyqmc_art.art.detectors.price import announce_cost

        announce_cost(extractor, rows, options, announce)
    album = _Album(rows, options, stream, monitor)
    task = _Task(labels, [row.role for row in rows], options.balance, folds, stream)
    work = None if place is None else place.with_name(place.name + ".training")
    if options.tune is None:
        detector, scores, tables = _train_frozen(extractor, album, task)
    else:
        detector, scores, tables = _train_whole(extractor, album, task, options, work, resume, monitor)
    baselines = {name: task.held_out(table) for name, table in tables.items()}
    contrasts = compare_roles(rows, labels, {options.backbone: scores, **baselines})
    detector = replace(
        detector,
        preparation=album.preparation,
        works=_list_works(rows, album.digests, labels, scores),
        facts=_facts(options, rows, labels, scores, contrasts, stream) | dict(detector.facts),
    )
    if place is not None:
        detector.save_pretrained(place, force)
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return Training(detector, place, scores, rows, labels, contrasts)


@dataclass(frozen=True)
class _Task:
    """Whom to tell from whom, and which model scores which picture."""

    labels: NDArray[np.bool_]
    kinds: Sequence[str]
    balance: str
    folds: NDArray[np.int64]
    stream: Stream

    def held_out(self, table: FeatureTable) -> Floats:
        """Score every picture by a head that saw nothing of its work."""
        return self.score(make_learner(table, self.stream.fold("head"), self.kinds, self.balance))

    def score(self, learner: Learner) -> Floats:
        return score_out_of_fold(learner, np.arange(self.labels.size), self.labels, self.folds)


@dataclass
class _Album:
    """The pictures of the chosen rows, read one after the other, and the baselines' view of them."""

    rows: Manifest
    options: DetectorOptions
    stream: Stream
    monitor: Monitor | None
    digests: list[str] = field(default_factory=list)
    files: list[tuple[NDArray[Any], NDArray[np.int64]]] = field(default_factory=list)

    @property
    def preparation(self) -> Preparation | None:
        plan = self.options.equaliser
        return None if plan is None else Preparation(plan, self.stream.fold("equalise").key)

    def tables(self, extractor: Extractor) -> tuple[FeatureTable, dict[str, FeatureTable]]:
        """Table of the extractor, and those of the baselines."""
        own, metadata, subject = collect_tables(
            (extractor, MetadataExtractor(), SubjectExtractor()), self._pictures(), self.rows.works, self.monitor
        )
        tables = {"metadata baseline": metadata, "subject baseline": subject}
        if self.preparation is not None:
            tables["metadata of the files"] = make_table(self.files, self.rows.works)
        return own, tables

    def _pictures(self) -> Iterator[Picture]:
        failures: list[UnreadablePicture] = []
        for found in read_each(self.rows.paths):
            if isinstance(found, UnreadablePicture):
                failures.append(found)
                continue
            self.digests.append(found.sha256)
            if self.preparation is None:
                yield found
            else:
                self.files.append(MetadataExtractor().extract(found))
                yield self.preparation.apply(found)
        if failures:
            raise InputError(f"{len(failures)} pictures cannot be read:\n" + "\n".join(map(str, failures)))


def _train_frozen(
    extractor: Extractor, album: _Album, task: _Task
) -> tuple[LinearDetector, Floats, dict[str, FeatureTable]]:
    table, baselines = album.tables(extractor)
    scores = task.held_out(table)
    head = fit_head(table, task.labels, task.stream.fold("head"), kinds=task.kinds, balance=task.balance)
    detector = detector_class(extractor.kind)(extractor, head, reference=_reference(table))
    return _with_human_head(detector, table, album.rows, task), scores, baselines


def _train_whole(
    extractor: Extractor, album: _Album, task: _Task, options: DetectorOptions, work: Path | None, resume: bool,
    monitor: Monitor | None,
) -> tuple[LinearDetector, Floats, dict[str, FeatureTable]]:  # fmt: skip
    from pyqmc_art.art.detectors.whole import Tuner

    tuner = Tuner.of(extractor, album.rows, options, task.stream.fold("tune"), work, resume, monitor)
    patches, baselines = album.tables(tuner.pixels)
    tuner = replace(tuner, patches=patches)
    scores = task.score(tuner.learn)
    everything = np.arange(task.labels.size)
    trained, head = tuner.train(everything, task.labels, "all")
    table = tuner.describe(trained, everything)
    detector = detector_class(trained.kind)(trained, head, reference=_reference(table))
    return replace(detector, facts={"log": tuner.read_log()}), scores, baselines


def _with_human_head(detector: LinearDetector, table: FeatureTable, rows: Manifest, task: _Task) -> LinearDetector:
    """Add a head for human against machine-made, if there are works of both; photographs are neither."""
    chosen = np.array([i for i, row in enumerate(rows) if row.role != "photo"])
    human = np.array([rows.rows[i].role not in MACHINE_ROLES for i in chosen])
    works = [table.works[i] for i in chosen]
    parts = min(task.folds.max() + 1, *count_works(works, human)) if human.any() and not human.all() else 0
    if parts < 2:
        return detector
    own, stream = table.take(chosen), task.stream.fold("human")
    folds = assign_folds(works, human, stream.fold("folds"), int(parts))
    held = score_out_of_fold(make_learner(own, stream), np.arange(chosen.size), human, folds)
    line = _calibrate(held, works, human, stream)
    return replace(detector, human=fit_head(own, human, stream), facts={"human_calibration": line.to_json()})


def _reference(table: FeatureTable) -> NDArray[np.float32]:
    return average_works(table.pool(table.values), table.works)[0].astype(np.float32)


def _calibrate(scores: Floats, works: Sequence[str], labels: NDArray[np.bool_], stream: Stream) -> Calibration:
    own = np.asarray(works)
    positive, negative = (average_works(scores[chosen], own[chosen].tolist())[0] for chosen in (labels, ~labels))
    return calibrate(positive, negative, stream.fold("calibration"))


def _facts(
    options: DetectorOptions, rows: Manifest, labels: NDArray[np.bool_], scores: Floats,
    contrasts: Sequence[Contrast], stream: Stream,
) -> dict[str, Any]:  # fmt: skip
    positives, negatives = count_works(rows.works, labels)
    return {
        "options": asdict(options),
        "works": {"hand": positives, "contrast": negatives},
        "roles": rows.roles(),
        "calibration": _calibrate(scores, rows.works, labels, stream).to_json(),
        "contrasts": [one.to_json() for one in contrasts],
    }


def _list_works(rows: Manifest, digests: Sequence[str], labels: NDArray[np.bool_], scores: Floats) -> str:
    """One line a training picture: what the model was made of, and the held-out score."""
    lines = [
        {"work": row.work, "sha256": digest, "path": row.path, "role": row.role, "hand": row.hand, "title": row.title,
         "source": row.source, "basis": row.basis, "label": int(label), "score": float(score)}
        for row, digest, label, score in zip(rows, digests, labels, scores, strict=True)
    ]  # fmt: skip
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
