"""Which contrasts survive their controls? Hands, roles and styles against everything else that tells pictures apart."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pyqmc_art.art.claims import MINIMUM_WORKS
from pyqmc_art.art.layouts import open_manifest
from pyqmc_art.art.pictures import read_picture
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies import confounds_report as report
from pyqmc_art.studies.contrasts import Contrast, parse_contrast, propose_contrasts
from pyqmc_art.studies.controls import Effort, Trial, try_contrast
from pyqmc_art.studies.evidence import (
    Evidence,
    check_pictures,
    choose_extractors,
    collect_evidence,
    merge_works,
    plan_equalisation,
)
from pyqmc_art.studies.gallery import DETECTORS
from pyqmc_art.studies.plantings import plant
from pyqmc_art.studies.shelf import Shelf

QUESTION = "Which contrasts survive their controls?"


@dataclass(frozen=True)
class Confounds:
    """Contrasts between groups of pictures, each with its baselines and its format, source and genre controls.

    Parameters
    ----------
    manifest
        Manifest or folder of pictures; without one, a simulated collection with planted biases is painted.
    contrasts
        Each one a line such as "Hokusai: hand=Katsushika Hokusai v rest & role=original"; without any, the hand v other
        originals, and every other role v originals.
    hand
        Whose works are set against the other originals where no contrasts are given; default: who has most.
    folds
        Parts into which works are split.
    repeats
        How often, each time in another order.
    factor
        Reduction of the equalised pictures: common, whole, or a number.
    detectors
        Names of detectors.
    works
        Simulated works of each name.
    """

    manifest: Path | None = None
    contrasts: tuple[str, ...] = ()
    hand: str = ""
    folds: int = 5
    repeats: int = 1
    factor: str = "common"
    detectors: tuple[str, ...] = DETECTORS
    works: int = 30

    name: ClassVar[str] = "confounds"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": {"works": 60, "folds": 6, "repeats": 3},
    }

    def __post_init__(self) -> None:
        """Refuse what would only fail after the pictures were read."""
        Effort(self.folds, self.repeats)
        parsed = [parse_contrast(text) for text in self.contrasts]
        labels = [one.label for one in parsed]
        for label in labels:
            if labels.count(label) > 1:
                raise InputError(
                    f"two contrasts are called {label!r}; give each a label of its own: 'label: ... v ...'"
                )
        if self.manifest is None and (self.contrasts or self.hand):
            raise InputError("contrasts and hand are for your own pictures; add manifest = FILE-OR-FOLDER")
        if self.works < 2 * MINIMUM_WORKS:
            raise InputError(f"works is {self.works}; expected at least {2 * MINIMUM_WORKS} simulated works of a name")

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Put every contrast on trial."""
        begun = time.perf_counter()
        evidence, expected = self._paint(stream, monitor) if self.manifest is None else self._read(out, stream, monitor)
        effort = Effort(self.folds, self.repeats)
        trials: list[Trial] = []
        monitor.start(self.name, len(expected))
        try:
            for contrast in expected:
                trials.append(try_contrast(evidence, contrast, effort, stream))
                monitor.advance(1, contrast=contrast.label)
        finally:
            monitor.finish()
        return Findings(
            study=self.name,
            question=QUESTION,
            answer=report.answer(trials, expected, evidence.simulated),
            tables=report.tables(trials, expected, evidence.simulated),
            figures=report.figures(trials, evidence.simulated),
            configuration=dataclasses.asdict(self),
            notes=report.notes(evidence),
            seconds=time.perf_counter() - begun,
        )

    def _paint(self, stream: Stream, monitor: Monitor) -> tuple[Evidence, Mapping[Contrast, tuple[str, ...]]]:
        extractors, notes = choose_extractors(self.detectors)
        planted = plant(stream.fold("painter"), self.works)
        equaliser, said = plan_equalisation(planted.manifest, self.factor)
        evidence = collect_evidence(
            planted.manifest, planted.pictures, extractors, equaliser, stream, monitor,
            notes=(*notes, _equalised(said)), simulated=True,
        )  # fmt: skip
        return evidence, planted.expected

    def _read(self, out: Path, stream: Stream, monitor: Monitor) -> tuple[Evidence, Mapping[Contrast, tuple[str, ...]]]:
        extractors, missing = choose_extractors(self.detectors)
        listed = open_manifest(self.manifest or "", strict=False)
        contrasts = [parse_contrast(text) for text in self.contrasts]
        chosen = contrasts or list(propose_contrasts(listed, self.hand, MINIMUM_WORKS))
        # What takes no part is not read: the smallest picture decides how far all are reduced.
        sides = [side for contrast in chosen for side in contrast.select(listed)]
        checked, left_out = check_pictures(listed.keep(np.flatnonzero(np.any(sides, axis=0)).tolist()))
        kept, twins = merge_works(checked)
        equaliser, said = plan_equalisation(kept, self.factor)
        evidence = collect_evidence(
            kept, lambda: map(read_picture, kept.paths), extractors, equaliser, stream, monitor,
            shelf=Shelf(out / "features"), notes=(*left_out, *twins, *missing, _equalised(said)),
        )  # fmt: skip
        return evidence, dict.fromkeys(chosen, ())


def _equalised(said: str) -> str:
    return f"Equalised pictures: {said}, then one JPEG of random quality 70 to 90."
