"""Do synthetic pictures help to recognise human forgeries? Ten training regimes, with the baselines beside them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies import forgery_report as report
from pyqmc_art.studies.gallery import Gallery
from pyqmc_art.studies.grids import Grid, judge_grid
from pyqmc_art.studies.regimes import FOLDS, REGIMES, find_regimes
from pyqmc_art.studies.sources import FULL, GallerySource

QUESTION = "Do synthetic pictures in training help to recognise human forgeries?"


@dataclass(frozen=True)
class Forgery(GallerySource):
    """{without, with} human forgeries x {no, raw GAN, tuned GAN, diffusion, both} synthetic pictures in training.

    References
    ----------
    Ostmeyer et al., PLOS ONE 19(2) e0295967 (2024).
    """

    name: ClassVar[str] = "forgery"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {},
        "full": FULL,
    }

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Judge every work in every regime, compare the regimes, mark the claims."""
        begun = time.perf_counter()
        gallery = self.open_gallery(out, monitor)
        check_gallery(gallery, self.folds)
        grid = judge_grid(
            gallery, find_regimes(gallery), stream, folds=self.folds, repeats=self.repeats, strengths=self.strengths,
            monitor=monitor,
        )  # fmt: skip
        return self.tell(grid, time.perf_counter() - begun)

    def tell(self, grid: Grid, seconds: float) -> Findings:
        """Say what a grid shows."""
        story = report.Story.of(grid, self.gap)
        absent = [regime.name for regime in REGIMES if regime.name not in grid.names]
        notes = [
            *grid.gallery.notes,
            "Trained: a line on frozen features, never a whole network. Swin Base and EfficientNet-B0 were not tried: "
            "no weights of them are at hand.",
            f"{self.folds} folds over works, {'once' if self.repeats == 1 else f'{self.repeats} times'}; thresholds "
            "from inner folds of training works.",
        ]
        if absent:
            notes.append(f"Left out, for want of pictures: {', '.join(absent)}.")
        return Findings(
            study=self.name,
            question=QUESTION,
            answer=report.answer(story),
            tables=report.tables(story),
            figures=report.figures(story),
            configuration=dataclasses.asdict(self),
            notes=tuple(notes),
            seconds=seconds,
        )


def check_gallery(gallery: Gallery, folds: int = FOLDS) -> None:
    """Refuse what the question cannot be put to.

    Raises
    ------
    InputError
        Without proxies or forgeries, or with fewer originals than folds.
    """
    roles = gallery.roles
    missing = [role for role in ("proxy", "forgery") if role not in roles]
    if missing:
        there = ", ".join(f"{role} {roles.count(role)}" for role in dict.fromkeys(roles))
        raise InputError(f"no picture has the role {' or '.join(missing)}; this study needs both ({there} are there)")
    count = gallery.judged().roles.count("original")
    if count < folds:
        raise InputError(f"{count} originals of {gallery.hand} for {folds} folds; take fewer folds")
