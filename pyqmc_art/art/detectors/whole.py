"""Trainings of a whole network for one detector: one for each fold and one for all, each resumable by its name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.detectors.features import Extractor, FeatureTable, Floats, Pixels
from pyqmc_art.art.detectors.heads import Head
from pyqmc_art.art.detectors.network import NetworkExtractor
from pyqmc_art.art.detectors.tuning import TuneOptions, tune_network
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream

if TYPE_CHECKING:
    from pyqmc_art.art.detectors.training import DetectorOptions


@dataclass(frozen=True)
class Tuner:
    """Trains a network on some of the pictures and scores others.

    Attributes
    ----------
    extractor : where every training starts
    options : of each training
    roles : of the pictures
    strata, stream : of the works held out for stopping early
    pretrain : whether to train on originals and proxies first
    work : folder of checkpoints; None keeps none
    patches : of all pictures
    """

    extractor: NetworkExtractor
    options: TuneOptions
    roles: tuple[str, ...]
    strata: tuple[str, ...]
    stream: Stream
    pretrain: bool
    work: Path | None
    resume: bool
    monitor: Monitor | None
    patches: FeatureTable | None = None

    @classmethod
    def of(
        cls, extractor: Extractor, rows: Manifest, options: DetectorOptions, stream: Stream,
        work: Path | None, resume: bool, monitor: Monitor | None,
    ) -> Tuner:  # fmt: skip
        """Make a tuner for the rows of a detector."""
        if not isinstance(extractor, NetworkExtractor) or options.tune is None:
            raise InputError(f"{options.backbone} has no network to tune; choose a network")
        roles = tuple(row.role for row in rows)
        if options.pretrain and "proxy" not in roles:
            raise InputError("pre-training needs rows of role proxy; there are none among the chosen ones")
        return cls(extractor, options.tune, roles, rows.strata, stream, options.pretrain, work, resume, monitor)

    @property
    def pixels(self) -> Pixels:
        """What has to be collected into ``patches``."""
        return Pixels(self.extractor.spec)

    def train(self, pictures: NDArray[np.intp], labels: NDArray[np.bool_], name: str) -> tuple[NetworkExtractor, Head]:
        """Train on these pictures."""
        roles = np.array(self.roles)[pictures]
        return tune_network(
            self.extractor, self._patches.take(pictures), labels, self.options, self.stream,
            first=labels | (roles == "proxy") if self.pretrain else None,
            groups=[self.strata[i] for i in pictures], out=None if self.work is None else self.work / name,
            resume=self.resume, monitor=self.monitor,
        )  # fmt: skip

    def learn(self, train: NDArray[np.intp], labels: NDArray[np.bool_], test: NDArray[np.intp]) -> Floats:
        """Train on some pictures and score others."""
        trained, head = self.train(train, labels, f"without-{int(test.min()):06d}")
        table = self.describe(trained, test)
        return table.pool(head.logits(table.values))

    def describe(self, trained: NetworkExtractor, pictures: NDArray[np.intp]) -> FeatureTable:
        """Features of some pictures by a trained network."""
        table = self._patches.take(pictures)
        return replace(table, values=trained.features(table.values))

    def read_log(self) -> list[str]:
        """Lines that the training on all pictures logged."""
        if self.work is None:
            return []
        return [line for path in sorted(self.work.glob("all/*/log.jsonl")) for line in path.read_text().splitlines()]

    @property
    def _patches(self) -> FeatureTable:
        if self.patches is None:
            raise InputError("the tuner has no patches yet; collect them with its pixels first")
        return self.patches
