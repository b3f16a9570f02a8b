"""How well held-out works are told apart, one contrast at a time, never without counts and interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.detectors.features import Floats, average_works
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.roles import ROLES
from pyqmc_art.stats.ranking import Score, delong_interval

ALL = "all"


@dataclass(frozen=True)
class Contrast:
    """Originals of the hand against one part of the contrast.

    Attributes
    ----------
    detector : whose scores they are
    against : ``"all"`` or one role
    auc : over works, with interval and counts
    """

    detector: str
    against: str
    auc: Score

    def __str__(self) -> str:
        what = "all contrast" if self.against == ALL else f"{self.against} alone"
        return f"{self.detector:24} hand v {what:19} {self.auc}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"detector": self.detector, "against": self.against, "auc": asdict(self.auc)}


def compare_roles(rows: Manifest, labels: NDArray[np.bool_], scores: Mapping[str, Floats]) -> tuple[Contrast, ...]:
    """Rank held-out works of the hand against all of the contrast, and against each role alone.

    Parameters
    ----------
    rows : the pictures
    labels : true for the hand
    scores : name of the detector -> held-out scores of the pictures
    """
    roles = np.array([row.role for row in rows])
    works = np.array(rows.works)
    parts = [(ALL, ~labels)]
    parts += [(role, ~labels & (roles == role)) for role in ROLES if np.any(~labels & (roles == role))]
    if len(parts) == 2:
        del parts[1]
    return tuple(
        Contrast(name, against, delong_interval(_by_work(own, works, labels), _by_work(own, works, chosen)))
        for name, own in scores.items()
        for against, chosen in parts
    )


def _by_work(scores: Floats, works: NDArray[np.str_], chosen: NDArray[np.bool_]) -> Floats:
    return average_works(scores[chosen], works[chosen].tolist())[0]
