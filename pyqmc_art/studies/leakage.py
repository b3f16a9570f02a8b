"""What a leak adds to a score: the same pictures, labels and detector, split soundly and not."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.detectors.catalogue import make_extractor
from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.duplicates import unite
from pyqmc_art.art.roles import resolve_role
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies import leakage_report as report
from pyqmc_art.studies.leaks import Inflation, Samples, measure_inflation
from pyqmc_art.studies.photographs import (
    FEWEST,
    Collection,
    Seen,
    describe_photographs,
    paint_collection,
    read_collection,
)
from pyqmc_art.studies.sources import GallerySource
from pyqmc_art.studies.thresholds import INSIDE, ON_TEST, ThresholdResult, measure_threshold

WAYS: Final = {"patches": ("by work", "by patch"), "twins": ("merged", "as they come")}
"""What is split: the sound way, and the leaky one."""


@dataclass(frozen=True)
class Leakage:
    """Scores with and without a leak.

    Parameters
    ----------
    manifest
        Manifest or folder of pictures; without one, simulated ones are painted.
    hand
        Whose originals are told from the others; not needed when only one hand has originals.
    layout
        Of a folder: auto, or zenodo for your copy of Zenodo record 10276928.
    factor
        common: every picture is reduced by one factor and its middle taken; whole: by its own factor.
    contrast
        Role of the others.
    works
        Works of each class that take part, 0 for all; so many are painted.
    detector
        Extractor under the detector.
    cells
        Patches along each side of a picture.
    patch
        Side of a patch in pixels.
    folds
        Parts of the cross-validation.
    repeats
        Cross-validations with the real labels.
    labellings
        Cross-validations with noise labels, of each kind of split.
    proxy_gap
        Share of the way from the simulated master's hand to that of another painter.
    """

    manifest: str | None = None
    hand: str = ""
    layout: str = "auto"
    factor: str = "common"
    contrast: str = "proxy"
    works: int = 36
    detector: str = "residual"
    cells: int = 4
    patch: int = 64
    folds: int = 6
    repeats: int = 2
    labellings: int = 12
    proxy_gap: float = 0.7

    name: ClassVar[str] = "leakage"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {"works": 120, "repeats": 5, "labellings": 60},
    }

    def __post_init__(self) -> None:
        """Refuse what would only fail later."""
        if resolve_role(self.contrast) == "original":
            raise InputError("contrast is original; expected the role that originals are told from, such as proxy")
        self.source()
        if 0 < self.works < FEWEST or self.works < 0 or (not self.works and self.manifest is None):
            raise InputError(f"works is {self.works}; expected at least {FEWEST}, or 0 for all works of a manifest")
        if self.cells < 2 or self.patch < 32:
            raise InputError(f"cells is {self.cells} and patch {self.patch}; expected at least 2 cells and 32 pixels")
        if self.folds < 2 or self.repeats < 1 or self.labellings < 4:
            raise InputError(
                f"folds, repeats and labellings are {self.folds}, {self.repeats} and {self.labellings}; "
                "expected at least 2, 1 and 4"
            )

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Split in every way, and say what each leak adds."""
        begun = time.perf_counter()
        collection = self._open(out, stream, monitor)
        extractor = make_extractor(self.detector, size=self.patch, levels=(self.cells,), stream=stream.fold("weights"))
        seen = describe_photographs(collection, extractor, stream, monitor)
        results = _measure(self, collection, seen, stream, monitor)
        return Findings(
            study=self.name,
            question=report.QUESTION,
            answer=report.answer(results),
            tables=report.tables(results),
            figures=report.figures(results, collection.simulated),
            configuration=dataclasses.asdict(self),
            notes=(*collection.notes, *report.notes(results)),
            seconds=time.perf_counter() - begun,
        )

    def source(self) -> GallerySource:
        """Say where the pictures of a manifest come from; the other art studies then find them described."""
        return GallerySource(self.manifest, self.hand, self.layout, self.factor, detectors=())

    def _open(self, out: Path, stream: Stream, monitor: Monitor) -> Collection:
        role = resolve_role(self.contrast)
        if self.manifest is None:
            return paint_collection(role, self.works, self.proxy_gap, stream)
        return read_collection(self.source(), role, self.works, out, stream, monitor)


def _measure(study: Leakage, collection: Collection, seen: Seen, stream: Stream, monitor: Monitor) -> report.Results:
    monitor.start(study.name, 4 * (study.repeats + study.labellings) + 2 * (1 + study.labellings))
    works, labels = collection.works, collection.labels

    def advance() -> None:
        monitor.advance(1)

    def compare(samples: Samples, kind: str, groups: tuple[Sequence[str], Sequence[str]]) -> Inflation:
        ways = ((WAYS[kind][0], groups[0]), (WAYS[kind][1], groups[1]))
        return measure_inflation(
            samples, ways, stream.fold(kind), folds=study.folds, repeats=study.repeats, labellings=study.labellings,
            advance=advance,
        )  # fmt: skip

    try:
        own = tuple(works[i] for i in seen.patches.owners)
        cut = compare(Samples(seen.patches.values, own, works, labels), "patches", (own, _numbers(len(own))))
        files = np.asarray(seen.files.pool(seen.files.values), np.float32)
        merged = [str(root) for root in unite(len(files), seen.pairs)]
        twins = compare(Samples(files, seen.files.works, works, labels), "twins", (merged, _numbers(len(files))))
        chosen = tuple(_threshold(study, seen.patches, labels, place, stream, advance) for place in (INSIDE, ON_TEST))
    finally:
        monitor.finish()
    planted = {(i, i + len(works)) for i in range(len(works))}
    return report.Results(
        cut, twins, chosen, len(planted), len(planted & set(seen.pairs)), len(set(seen.pairs) - planted)
    )


def _threshold(
    study: Leakage, table: FeatureTable, labels: NDArray[np.bool_], place: str, stream: Stream, advance: Any
) -> ThresholdResult:
    return measure_threshold(
        table, labels, place, stream.fold("threshold"), folds=study.folds, labellings=study.labellings, advance=advance
    )


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]
