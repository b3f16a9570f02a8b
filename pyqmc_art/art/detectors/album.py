"""The pictures of a training, read one after the other, and everything that is noted of them on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.detectors.baselines import MetadataExtractor, SubjectExtractor
from pyqmc_art.art.detectors.features import Extractor, FeatureTable, collect_tables, make_table
from pyqmc_art.art.detectors.linear import Preparation
from pyqmc_art.art.duplicates import Fingerprint, take_fingerprint
from pyqmc_art.art.entries import Entry, take_capture
from pyqmc_art.art.familiarity import Capture
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Picture, UnreadablePicture, read_each
from pyqmc_art.art.rehearsal import Foresight
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Monitor


@dataclass(frozen=True)
class Seen:
    """What models said of pictures whose works they had not seen."""

    hand: Foresight
    human: Foresight | None


@dataclass
class Album:
    """The pictures of the chosen rows.

    Attributes
    ----------
    rows : what they are
    preparation : done to each first; None for nothing
    monitor : what a person sees
    digests, files, captures, prints : of each picture, filled while they are read: checksum, what the file itself says
        (only with a preparation, which hides it), how it was captured, fingerprint
    """

    rows: Manifest
    preparation: Preparation | None
    monitor: Monitor | None
    digests: list[str] = field(default_factory=list)
    files: list[tuple[NDArray[Any], NDArray[np.int64]]] = field(default_factory=list)
    captures: list[Capture] = field(default_factory=list)
    prints: list[Fingerprint] = field(default_factory=list)

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
            prepared = found if self.preparation is None else self.preparation.apply(found)
            self.digests.append(found.sha256)
            self.prints.append(take_fingerprint(found.pixels))
            self.captures.append(take_capture(found, prepared))
            if self.preparation is not None:
                self.files.append(MetadataExtractor().extract(found))
            yield prepared
        if failures:
            raise InputError(f"{len(failures)} pictures cannot be read:\n" + "\n".join(map(str, failures)))

    def entries(self, labels: NDArray[np.bool_], seen: Seen) -> list[Entry]:
        """What the model remembers of each picture."""
        machine = np.full(labels.size, np.nan) if seen.human is None else seen.human.scores
        return [
            Entry(
                row.work, digest, row.path, row.role, row.hand, row.title, row.source, row.basis,
                int(label), float(score), None if np.isnan(human) else float(human), capture,
            )
            for row, digest, label, score, human, capture in zip(
                self.rows, self.digests, labels, seen.hand.scores, machine, self.captures, strict=True
            )
        ]  # fmt: skip
