"""All numbers about a set of made pictures at once, under names that say what looked at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.metrics.classes import estimate_inception_score, estimate_mode_score
from pyqmc_art.art.metrics.distances import estimate_frechet_distance, estimate_kernel_distance
from pyqmc_art.art.metrics.diversity import estimate_diversity
from pyqmc_art.art.metrics.halves import SAMPLES
from pyqmc_art.art.metrics.manifolds import NEIGHBOURS, compare_manifolds
from pyqmc_art.art.metrics.memory import Memory, recall_training
from pyqmc_art.art.metrics.vision import Floats, Images, NetworkVision, Vision
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate

FEWEST_FOR_CLASSES: Final = 50


@dataclass(frozen=True, eq=False)
class Gallery:
    """Real pictures, looked at once.

    Attributes
    ----------
    images : uint8 (n, h, w, 3)
    features : of each
    works : of each; None: each is its own
    vision : what looked at them
    """

    images: Images
    features: Floats
    works: NDArray[Any] | None
    vision: Vision

    @classmethod
    def of(cls, images: Images, vision: Vision, works: NDArray[Any] | None = None) -> Gallery:
        """Look at pictures."""
        return cls(images, vision.features(images), works, vision)

    def with_mirrors(self) -> Gallery:
        """The pictures and their mirror images, as members of the same works: what a mirrored training saw."""
        turned = np.ascontiguousarray(self.images[:, :, ::-1])
        works = np.arange(len(self.images)) if self.works is None else self.works
        return Gallery(
            np.concatenate([self.images, turned]), np.concatenate([self.features, self.vision.features(turned)]),
            np.concatenate([works, works]), self.vision,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Appraisal:
    """Numbers about a set of made pictures.

    Attributes
    ----------
    numbers : name, with what looked at the pictures -> estimate
    memory : against the training pictures; None where they were not given
    """

    numbers: dict[str, Estimate]
    memory: Memory | None


def appraise_pictures(
    made: Images,
    real: Gallery,
    stream: Stream,
    *,
    training: Gallery | None = None,
    held_out: Gallery | None = None,
    k: int = NEIGHBOURS,
    samples: int = SAMPLES,
) -> Appraisal:
    """Estimate everything that can be said of made pictures beside real ones.

    Parameters
    ----------
    made : uint8 (n, h, w, 3)
    real : what they are compared with; its vision looks at the made ones, too
    stream : of halves and pairs
    training : pictures that were trained on, mirrored ones included, for the test of copying
    held_out : real pictures that were not, as its reference
    k : neighbours of precision, recall, density and coverage
    samples : halves of each error

    Raises
    ------
    InputError
        For too few pictures.
    """
    vision = real.vision
    seen = vision.features(made)
    numbers = {
        "FD": estimate_frechet_distance(seen, real.features, stream.fold("FD"), real.works, samples),
        "KID": estimate_kernel_distance(seen, real.features, stream.fold("KID"), real.works, samples),
    }
    shares = compare_manifolds(seen, real.features, stream.fold("manifolds"), k, real.works, samples)
    numbers |= {name: getattr(shares, name) for name in ("precision", "recall", "density", "coverage")}
    numbers["diversity"] = estimate_diversity(made, vision, stream.fold("diversity"))
    numbers["diversity of real"] = estimate_diversity(real.images, vision, stream.fold("diversity of real"))
    if isinstance(vision, NetworkVision) and vision.classifier is not None and len(made) >= FEWEST_FOR_CLASSES:
        p, r = vision.probabilities(seen), vision.probabilities(real.features)
        numbers["inception score"] = estimate_inception_score(p, stream.fold("IS"), samples)
        numbers["mode score"] = estimate_mode_score(p, r, stream.fold("MS"), real.works, samples)
    memory = None
    if training is not None:
        memory = recall_training(
            seen, training.features, None if held_out is None else held_out.features, training.works
        )
    return Appraisal({f"{name} ({vision.name})": value for name, value in numbers.items()}, memory)
