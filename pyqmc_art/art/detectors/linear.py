"""A detector: an extractor, one head for the hand, one for human against machine, and what they were trained on."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.degrade import Degradation, Equaliser
from pyqmc_art.art.detectors.features import Extractor, Features, Levels, PatchExtractor
from pyqmc_art.art.detectors.heads import Head
from pyqmc_art.art.patches import Patches, make_patches
from pyqmc_art.art.pictures import Picture
from pyqmc_art.art.prints import Prints
from pyqmc_art.art.verdicts import PatchScores, average_patches
from pyqmc_art.errors import InputError
from pyqmc_art.learning.pretrained import Pretrained, read_pretrained, write_pretrained
from pyqmc_art.protocols import PatchSpec
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]
WORKS: Final = "works.jsonl"


@dataclass(frozen=True)
class Preparation:
    """What is done to every picture, in training and in judging, before anything looks at it.

    Parameters
    ----------
    equaliser : the plan
    key : of the stream its draws come from; with the content of the file it decides, for instance, the JPEG quality
    """

    equaliser: Equaliser
    key: int

    def plan(self, picture: Picture) -> Degradation:
        """Say what is done to one picture."""
        return self.equaliser.plan(picture.width, picture.height, picture.sha256, Stream(self.key))

    def apply(self, picture: Picture) -> Picture:
        """Equalise one picture; what the original file was (format, size in bytes) is no longer told."""
        done = self.plan(picture)
        return dataclasses.replace(
            picture,
            pixels=done.apply(picture.pixels),
            format="JPEG" if done.quality else "equalised",
            quality=done.quality or None,
            path=Path(f"{picture.path} (equalised)"),
        )

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object from which :meth:`from_json` makes the same preparation."""
        return {"equaliser": dataclasses.asdict(self.equaliser), "key": self.key}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Preparation:
        """Undo :meth:`to_json`; InputError when it is none."""
        try:
            plan: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in record["equaliser"].items()}
            return cls(Equaliser(**plan), int(record["key"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"the stored preparation cannot be read ({error}); train the model again") from error


@dataclass(frozen=True)
class LinearDetector(ABC):
    """Judges whole pictures.

    Parameters
    ----------
    extractor : what is seen
    head : log-odds of the hand
    human : log-odds of human against machine-made; None without machine-made training works
    preparation : done to every picture first; None for nothing
    facts : of the training, as JSON values; ``calibration`` among them where it was made
    reference : mean features of the training works, shape (works, d), for comparing others with them
    works : the training pictures as JSONL; ``reference`` follows the first mention of each work
    prints : fingerprints of the training pictures, in the order of ``works``
    """

    kind: ClassVar[str] = ""

    extractor: Extractor
    head: Head
    human: Head | None = None
    preparation: Preparation | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    reference: Features | None = None
    works: str = ""
    prints: Prints | None = None

    def prepare(self, picture: Picture) -> Picture:
        """Do to a picture what was done to the training pictures."""
        return picture if self.preparation is None else self.preparation.apply(picture)

    def extract(self, picture: Picture) -> tuple[Features, Levels]:
        """Prepare a picture and describe it: vectors and their levels."""
        return self.extractor.extract(self.prepare(picture))

    def scores(self, picture: Picture) -> PatchScores:
        """Log-odds of each patch, as verdicts want them."""
        seen, levels = self.extract(picture)
        return PatchScores(self.head.logits(seen), levels, None if self.human is None else self.human.logits(seen))

    def score(self, picture: Picture) -> float:
        """Mean log-odds of a picture, every level counting equally."""
        seen, levels = self.extract(picture)
        return float(average_patches(self.head.logits(seen), levels))

    def describe(self, picture: Picture) -> Floats:
        """Mean features of a picture, to be compared with ``reference``, shape (d,)."""
        return average_patches(*self.extract(picture))

    def save_pretrained(self, folder: str | os.PathLike[str], force: bool = False) -> Path:
        """Write a model directory; see :func:`pyqmc_art.learning.pretrained.write_pretrained`."""
        tensors: dict[str, Mapping[str, NDArray[Any]]] = {"head": self.head.tensors()}
        if self.human is not None:
            tensors["human"] = self.human.tensors()
        if self.reference is not None:
            tensors["reference"] = {"features": self.reference}
        if self.prints is not None:
            tensors["prints"] = self.prints.tensors()
        weights = self.extractor.tensors()
        if weights:
            tensors["extractor"] = weights
        configuration = {
            "extractor": self.extractor.configuration(),
            "preparation": None if self.preparation is None else self.preparation.to_json(),
            "training": dict(self.facts),
        }
        texts = {WORKS: self.works} if self.works else {}
        return write_pretrained(folder, Pretrained(f"{self.kind} detector", configuration, tensors, texts), force)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a model directory.

        Raises
        ------
        InputError
            When it is missing, partial, damaged or holds something else.
        """
        return cls.from_model(read_pretrained(folder, (f"{cls.kind} detector",)), folder)

    @classmethod
    def from_model(cls, model: Pretrained, folder: str | os.PathLike[str]) -> Self:
        """Make the detector of what a directory holds; ``folder`` is only what errors call it."""
        stored, preparation = model.tensors, model.configuration.get("preparation")
        if "head" not in stored or not isinstance(model.configuration.get("extractor"), Mapping):
            raise InputError(f"{folder} lacks a head or the configuration of its extractor; train the model again")
        return cls(
            cls.rebuild(model.configuration["extractor"], stored.get("extractor", {})),
            Head.from_tensors(stored["head"]),
            Head.from_tensors(stored["human"]) if "human" in stored else None,
            None if preparation is None else Preparation.from_json(preparation),
            model.configuration.get("training", {}),
            stored["reference"]["features"] if "features" in stored.get("reference", {}) else None,
            model.texts.get(WORKS, ""),
            Prints.from_tensors(stored["prints"]) if "prints" in stored else None,
        )

    @classmethod
    @abstractmethod
    def rebuild(cls, configuration: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Extractor:
        """Make the extractor from what it stored."""


@dataclass(frozen=True)
class PatchDetector(LinearDetector):
    """Judges patches: a :class:`pyqmc_art.protocols.Detector`."""

    extractor: PatchExtractor

    @property
    def spec(self) -> PatchSpec:
        """How its patches are made."""
        return self.extractor.spec

    def features(self, patches: NDArray[np.uint8]) -> Features:
        """What it sees in patches (n, size, size, 3), shape (n, d)."""
        return self.extractor.features(patches)

    def logits(self, patches: NDArray[np.uint8]) -> Floats:
        """Log-odds of "by the reference hand", shape (n,)."""
        return self.head.logits(self.features(patches))

    def cut(self, picture: Picture) -> Patches[np.uint8]:
        """Prepare a picture and cut it; the boxes are in pixels of the prepared picture."""
        spec = self.spec
        prepared = self.prepare(picture).pixels
        return make_patches(prepared, spec.size, spec.levels, square=spec.square, filter=spec.filter)


def spec_to_json(spec: PatchSpec) -> dict[str, Any]:
    """Give a JSON object from which :func:`spec_from_json` makes the same spec."""
    return dataclasses.asdict(spec)


def spec_from_json(record: Any) -> PatchSpec:
    """Undo :func:`spec_to_json`; InputError when it is none."""
    try:
        stored: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
        return PatchSpec(**stored)
    except (TypeError, AttributeError) as error:
        raise InputError(f"the stored patch specification cannot be read ({error}); train the model again") from error
