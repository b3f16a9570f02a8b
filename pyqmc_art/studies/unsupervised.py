"""Originals against forgeries, judged by somebody who never saw a forgery."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pyqmc_art.art.claims import REFUSED, SUPPORTED, Claim
from pyqmc_art.art.novelty import METHODS
from pyqmc_art.errors import unknown
from pyqmc_art.protocols import Curve, Figure, Findings, Monitor, Panel, Table
from pyqmc_art.rng import Stream
from pyqmc_art.studies.familiarities import CEILING, PROXIES_ONLY, SUPERVISED, Familiarities, judge_familiarities
from pyqmc_art.studies.grids import judge_name
from pyqmc_art.studies.sources import GallerySource

QUESTION: Final = (
    "Can forgeries and machine-made pictures be told from originals without a single one of them in training, by how "
    "unlike the originals they look?"
)
HEADLINE: Final = "mahalanobis"
"""The method that the answer speaks of: named before any number was seen, so that it is not the luckiest of four."""
FEWEST: Final = 10


@dataclass(frozen=True)
class Unsupervised(GallerySource):
    """One-class scores, judged on held-out originals against every other role.

    Parameters
    ----------
    methods
        mahalanobis, neighbours, reconstruction or one-class SVM.
    """

    methods: tuple[str, ...] = METHODS

    name: ClassVar[str] = "unsupervised"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {"repeats": 5, "originals": 120, "proxies": 120, "forgeries": 40, "machines": 40},
    }

    def __post_init__(self) -> None:
        """Refuse what would only fail later."""
        super().__post_init__()
        for method in self.methods:
            if method not in METHODS:
                raise unknown("method", method, METHODS)

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Score every work, and say how well originals are told from each role."""
        begun = time.perf_counter()
        gallery = self.open_gallery(out, monitor).judged()
        found = judge_familiarities(
            gallery, tuple(dict.fromkeys((HEADLINE, *self.methods))), stream, folds=self.folds, repeats=self.repeats,
            strengths=self.strengths, monitor=monitor,
        )  # fmt: skip
        return Findings(
            study=self.name,
            question=QUESTION,
            answer=_answer(found),
            tables=(_areas(found), _baselines(found), _claims(found)),
            figures=(_figure(found),),
            configuration=dataclasses.asdict(self),
            notes=(*gallery.notes, *_notes(found)),
            seconds=time.perf_counter() - begun,
        )


def _answer(found: Familiarities) -> str:
    role = "forgery" if "forgery" in found.roles else found.roles[-1]
    parts = []
    for judge in found.gallery.detectors:
        claim, deficit = found.claim(judge, HEADLINE, role), found.deficit(judge, HEADLINE, role)
        parts.append(
            f"{judge_name(judge)}: {claim.score}, {_status(claim)}; all labels in training would add "
            f"{deficit.value:+.3f} [{deficit.low:+.3f}, {deficit.high:+.3f}]"
        )
    seen = {
        status: [
            f"{judge_name(judge)} v {other}"
            for judge in found.gallery.detectors
            for other in found.roles
            if other != role and found.claim(judge, HEADLINE, other).status == status
        ]
        for status in (SUPPORTED, REFUSED)
    }
    said = (
        f" Of the other roles it supports {', '.join(seen[SUPPORTED]) or 'none'}"
        f" and refuses {', '.join(seen[REFUSED]) or 'none'}: there a baseline does as well."
    )
    return f"By the distance from the originals alone, originals v {role}: {'; '.join(parts)}.{said}"


def _rows(found: Familiarities, judge: str) -> tuple[str, ...]:
    return tuple(way for way in (*found.methods, *SUPERVISED) if (judge, way) in found.scores)


def _columns(found: Familiarities) -> tuple[str, ...]:
    return tuple(f"v {role} ({found.count('original')} v {found.count(role)})" for role in found.roles)


def _areas(found: Familiarities) -> Table:
    rows = tuple(
        (judge_name(judge), way, *(_cell(found, judge, way, role) for role in found.roles))
        for judge in found.gallery.detectors
        for way in _rows(found, judge)
    )
    caption = (
        f"AUC of held-out originals against each role, with 95 % intervals over works; above, the numbers of works. "
        f"The methods saw originals only. {PROXIES_ONLY!r} was trained on these two, {CEILING!r} on every role "
        "(held-out works all the same): the ceiling."
    )
    return Table("areas", "Told by likeness alone", ("detector", "method", *_columns(found)), rows, caption)


def _baselines(found: Familiarities) -> Table:
    rows = tuple(
        (judge_name(judge), way, *(_cell(found, judge, way, role) for role in found.roles))
        for judge in found.baselines
        for way in found.methods
    )
    caption = "The same methods on what sees no brush: AUC with 95 % intervals over works."
    return Table("baselines", "The baselines", ("baseline", "method", *_columns(found)), rows, caption)


def _claims(found: Familiarities) -> Table:
    rows = []
    for judge in found.gallery.detectors:
        for way in found.methods:
            claims = [found.claim(judge, way, role) for role in found.roles]
            rows.append((judge_name(judge), way, *map(_status, claims)))
    caption = (
        "Supported: the interval of the AUC lies above 1/2, and above each baseline's with the same method (paired "
        "bootstrap over works). Refused: these baselines do as well. Each cell stands for itself; of so many, some are "
        "supported by chance."
    )
    return Table("claims", "What may be claimed", ("detector", "method", *_columns(found)), tuple(rows), caption)


def _status(claim: Claim) -> str:
    return f"{claim.status}: {', '.join(claim.rivals)}" if claim.status == REFUSED and claim.rivals else claim.status


def _cell(found: Familiarities, judge: str, way: str, role: str) -> str:
    one = found.area(judge, way, role)
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _figure(found: Familiarities) -> Figure:
    panels = []
    for judge in found.gallery.detectors:
        curves = []
        for way in _rows(found, judge):
            areas = [found.area(judge, way, role) for role in found.roles]
            places = [float(number) for number in range(len(areas))]
            limits = ([one.low for one in areas], [one.high for one in areas])
            curves.append(Curve(way, places, [one.value for one in areas], group=way, limits=limits))
        curves.append(Curve("1/2", [-0.5, len(found.roles) - 0.5], [0.5, 0.5], style="dashed", group="half"))
        panels.append(
            Panel(judge_name(judge), "originals against", "AUC over works", tuple(curves), categories=found.roles)
        )
    note = " Simulated pictures." if found.gallery.simulated else ""
    caption = (
        "Held-out originals against each role. All but the last two methods learned from originals alone; below 1/2 "
        f"the others look more like the originals than the originals do. 95 % intervals over works.{note}"
    )
    return Figure("areas", "Likeness to the originals", caption, tuple(panels))


def _notes(found: Familiarities) -> tuple[str, ...]:
    few = [f"{role} {found.count(role)}" for role in found.roles if found.count(role) < FEWEST + 1]
    notes = [f"The answer speaks of {HEADLINE}, chosen beforehand; the other methods are shown beside it."]
    if few:
        notes.append(f"Few works decide little: {', '.join(few)}.")
    return tuple(notes)
