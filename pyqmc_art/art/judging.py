"""Judging pictures by a trained detector: verdicts with maps, neighbours, input checks and what they rest on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.claims import REFUSED
from pyqmc_art.art.detectors.linear import LinearDetector, PatchDetector
from pyqmc_art.art.duplicates import take_fingerprint
from pyqmc_art.art.entries import Entry, read_entries, take_capture
from pyqmc_art.art.familiarity import MINIMUM_WORKS, Capture, CaptureRange, Distance, Familiarity, learn_familiarity
from pyqmc_art.art.patches import plan_patches
from pyqmc_art.art.pictures import Picture, UnreadablePicture
from pyqmc_art.art.prints import Match
from pyqmc_art.art.rehearsal import Rehearsal
from pyqmc_art.art.variants import vary
from pyqmc_art.art.verdicts import NONE, Bench, PatchScores, Verdict, average_patches, judge_work
from pyqmc_art.errors import InputError
from pyqmc_art.stats.calibration import Calibration

Floats = NDArray[np.float64]

SMALLEST: Final = 32
"""Shorter side in pixels below which nobody can judge a picture."""
ENLARGED: Final = 0.5
"""Share of the needed pixels below which a picture that is shown whole is enlarged too much for a verdict."""
NEIGHBOURS: Final = 5


@dataclass(frozen=True)
class Patch:
    """One patch of a picture: its level of the pyramid, its box in the picture's own pixels, and what it says.

    Attributes
    ----------
    level : cells along each side
    box : left, top, right, bottom
    evidence : natural log-likelihood ratio, positive for the hand, as if the patch were a work
    """

    level: int
    box: tuple[float, float, float, float]
    evidence: float


@dataclass(frozen=True)
class Neighbour:
    """A training work near the judged one: its entry, its number among the entries, and the distance of features."""

    entry: Entry
    number: int
    distance: float


@dataclass(frozen=True)
class Opinion:
    """Everything that is said of one picture.

    Attributes
    ----------
    verdict : the outcome, or none
    path, sha256, capture : the file, and how it was captured
    patches : level by level; empty for detectors that look at the picture as a whole
    region : what the detector looked at, in the picture's own pixels
    neighbours : nearest training works, nearest first
    match : the training picture that this one resembles, and whether it is the same photograph; None if there is none
    held_out : whether the log-odds are those of models that had not seen the work, because this one has
    """

    verdict: Verdict
    path: Path
    sha256: str
    capture: Capture
    patches: tuple[Patch, ...]
    region: tuple[float, float, float, float]
    neighbours: tuple[Neighbour, ...]
    match: Match | None
    held_out: bool

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; the verdict's own keys come first."""
        return {
            **self.verdict.to_json(),
            **self.verdict.details(),
            "sha256": self.sha256,
            "capture": dataclasses.asdict(self.capture),
            "region": list(self.region),
            "patches": [dataclasses.asdict(one) for one in self.patches],
            "nearest": [
                {"path": one.entry.path, "work": one.entry.work, "role": one.entry.role, "hand": one.entry.hand,
                 "distance": one.distance}
                for one in self.neighbours
            ],
            "resembles": None if self.match is None else dataclasses.asdict(self.match),
            "held_out": self.held_out,
        }  # fmt: skip


class Judge:
    """A trained detector at work.

    Parameters
    ----------
    detector : as :func:`pyqmc_art.art.detectors.catalogue.load_detector` gives it
    prior : the user's probability that a human work is by the hand
    prior_human : the user's probability that a work is by a human

    Raises
    ------
    InputError
        For a detector without calibration, or a prior that is none.
    """

    def __init__(self, detector: LinearDetector, prior: float = 0.5, prior_human: float = 0.5) -> None:
        if "calibration" not in detector.facts:
            raise InputError("this detector has no calibration; train it again with train detector")
        self.detector = detector
        human = detector.facts.get("human_calibration") if detector.human is not None else None
        self.bench = Bench(
            Calibration.from_json(detector.facts["calibration"]),
            None if human is None else Calibration.from_json(human), prior, prior_human,
        )  # fmt: skip
        self.entries = read_entries(detector.works)
        self.hand = str(detector.facts.get("options", {}).get("hand", "the hand"))
        self.rehearsal = Rehearsal.from_json(detector.facts.get("rehearsal"))

    @cached_property
    def range(self) -> CaptureRange | None:
        """How the training works were captured; None when the model does not know."""
        captures = [one.capture for one in self.entries]
        plan = self.detector.preparation
        patch = plan.equaliser.size if plan is not None else self.patch_size
        return CaptureRange.of(captures, patch) if captures else None

    @cached_property
    def familiarity(self) -> Familiarity | None:
        """The training works in feature space; None when they are too few."""
        reference = self.detector.reference
        if reference is None or len(reference) < MINIMUM_WORKS:
            return None
        return learn_familiarity(reference)

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return self.detector.spec.size if isinstance(self.detector, PatchDetector) else SMALLEST

    @property
    def needed(self) -> int:
        """Shorter side in pixels from which on nothing is enlarged."""
        plan = self.detector.preparation
        if plan is None:
            return self.patch_size
        factor = plan.equaliser.factor
        return int(np.ceil(plan.equaliser.size * (1.0 if isinstance(factor, str) else factor)))

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why no skill may be claimed of this model against its whole contrast; empty if it may."""
        claims = self.detector.facts.get("claims", ())
        return tuple(reason for one in claims[:1] if one["status"] == REFUSED for reason in one["reasons"])

    def judge(self, picture: Picture) -> Opinion:
        """Judge one picture.

        Raises
        ------
        UnreadablePicture
            When it is too small for anybody.
        """
        if min(picture.width, picture.height) < SMALLEST:
            size = f"{picture.width} x {picture.height}"
            raise UnreadablePicture(picture.path, f"has {size} pixels; at least {SMALLEST} on each side are needed")
        view = self._look(picture)
        capture = take_capture(picture, view.prepared)
        far = None if self.familiarity is None else self.familiarity.measure(view.features)
        doubts = [f"the model may not be relied on: {reason}" for reason in self.refusals]
        doubts += [*picture.warnings, *(self.range.check(capture) if self.range is not None else ())]
        against = []
        if view.enlarged:
            against.append(f"too small: the model needs {self.needed} pixels on the shorter side")
        if far is None:
            doubts.append("the training works are too few to tell whether this one is like them")
        match = None if self.detector.prints is None else self.detector.prints.find(take_fingerprint(picture.pixels))
        match = self._same_file(picture) or match
        variants = {name: self._look(other).scores for name, other in vary(picture, self.needed)}
        name = str(picture.path)
        verdict = judge_work(name, view.scores, self.bench, variants, far, doubts)
        held_out = match is not None and match.same_capture
        if match is not None:
            verdict = self._recall(verdict, match, far, doubts)
        return Opinion(
            _abstain(verdict, against), picture.path, picture.sha256, capture, view.patches, view.region,
            self._nearest(view.features), match, held_out,
        )  # fmt: skip

    def _same_file(self, picture: Picture) -> Match | None:
        numbers = [k for k, one in enumerate(self.entries) if one.sha256 == picture.sha256]
        return Match(numbers[0], 1.0, 1.0) if numbers else None

    def _recall(self, verdict: Verdict, match: Match, far: Distance | None, doubts: Sequence[str]) -> Verdict:
        """Replace what the model says of a work it was trained on by what models said that had not seen it."""
        entry = self.entries[match.number]
        if not match.same_capture:
            what = f"the training work {entry.path} ({entry.role}, correlation {match.similarity:.2f})"
            if match.close:
                note = f"a crop, another photograph or a copy of {what}: the model has seen nearly this picture"
                return _abstain(verdict, [note])
            note = f"resembles {what}: the log-odds may not be independent of it"
            return dataclasses.replace(verdict, warnings=(*verdict.warnings, note))
        same = [one for one in self.entries if (one.work, one.role) == (entry.work, entry.role)]
        human = [one.human for one in same if one.human is not None]
        scores = PatchScores(
            [float(np.mean([one.score for one in same]))], [1], [float(np.mean(human))] if human else None
        )
        bench = self.bench if human else dataclasses.replace(self.bench, human=None)
        note = (
            f"the model was trained on this work ({entry.path}, {entry.role}): log-odds, interval and verdict are "
            "those of models that had not seen it; votes, map and stability are of the model that has, too favourable"
        )
        held = judge_work(verdict.work, scores, bench, None, far, [note, *doubts])
        tried = verdict.stability
        against = [one.removeprefix("no verdict: ") for one in verdict.warnings if tried is not None and tried.flips
                   and "changes under re-encoding" in one]  # fmt: skip
        kept = dataclasses.replace(held, votes=verdict.votes, spread=verdict.spread, stability=tried)
        return _abstain(kept, against)

    def _look(self, picture: Picture) -> _View:
        """Prepare a picture, describe and score it."""
        prepared, done, enlarged = picture, None, False
        preparation = self.detector.preparation
        if preparation is not None:
            whole = preparation.equaliser.factor == "whole"
            enlarged = min(picture.width, picture.height) < self.needed * (ENLARGED if whole else 1.0)
            if enlarged:
                plan = dataclasses.replace(preparation.equaliser, factor="whole")
                preparation = dataclasses.replace(preparation, equaliser=plan)
            prepared, done = preparation.apply(picture), preparation.plan(picture)
        seen, levels = self.detector.extractor.extract(prepared)
        human = None if self.detector.human is None or self.bench.human is None else self.detector.human.logits(seen)
        scores = PatchScores(self.detector.head.logits(seen), levels, human)
        frame = np.array([[0.0, 0.0, prepared.width, prepared.height]])
        boxes = frame
        if isinstance(self.detector, PatchDetector):
            spec = self.detector.spec
            boxes = np.asarray(plan_patches(prepared.width, prepared.height, spec.levels, spec.square)[0], np.float64)
        if done is not None:
            boxes, frame = done.locate(boxes), done.locate(frame)
        features = average_patches(seen, levels)
        return _View(prepared, scores, features, boxes, _as_box(frame[0]), enlarged, self.bench)

    def _nearest(self, features: Floats) -> tuple[Neighbour, ...]:
        reference = self.detector.reference
        if reference is None or not self.entries:
            return ()
        scale = reference.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        apart = np.sqrt(np.mean(((reference - features) / scale) ** 2, axis=1))
        first: dict[str, int] = {}
        for number, entry in enumerate(self.entries):
            first.setdefault(entry.work, number)
        numbers = list(first.values())
        near = np.argsort(apart, kind="stable")[:NEIGHBOURS]
        return tuple(Neighbour(self.entries[numbers[k]], numbers[k], float(apart[k])) for k in near)


@dataclass(frozen=True)
class _View:
    """What a detector sees in one picture."""

    prepared: Picture
    scores: PatchScores
    features: Floats
    boxes: Floats
    region: tuple[float, float, float, float]
    enlarged: bool
    bench: Bench

    @property
    def patches(self) -> tuple[Patch, ...]:
        line = self.bench.hand
        logits = np.asarray(self.scores.hand, np.float64)
        rows = zip(self.boxes, np.asarray(self.scores.levels).tolist(), logits, strict=True)
        return tuple(Patch(int(level), _as_box(box), line.log_ratio(float(logit)).value) for box, level, logit in rows)


def _as_box(values: Floats) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(x) for x in values)
    return left, top, right, bottom


def _abstain(verdict: Verdict, reasons: Sequence[str]) -> Verdict:
    """Take a verdict back, for these reasons."""
    if not reasons:
        return verdict
    said = tuple(f"no verdict: {reason}" for reason in reasons if f"no verdict: {reason}" not in verdict.warnings)
    return dataclasses.replace(verdict, verdict=NONE, warnings=said + verdict.warnings)
