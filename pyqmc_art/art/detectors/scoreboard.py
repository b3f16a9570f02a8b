"""How well held-out works are told apart, one contrast at a time, never without counts and interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.claims import Claim, judge_claim
from pyqmc_art.art.detectors.features import Floats, average_works
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.roles import ROLES
from pyqmc_art.rng import Stream
from pyqmc_art.stats.ranking import Score, delong_interval

ALL = "all"
RIVALS = ("metadata baseline", "subject baseline", "metadata of the files")


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
    works = np.array(rows.works)
    return tuple(
        Contrast(name, against, delong_interval(_by_work(own, works, labels), _by_work(own, works, chosen)))
        for name, own in scores.items()
        for against, chosen in _parts(rows, labels)
    )


def judge_contrasts(
    rows: Manifest, labels: NDArray[np.bool_], scores: Floats, baselines: Mapping[str, Floats], stream: Stream
) -> tuple[Claim, ...]:
    """Judge for each contrast whether the score may be claimed; see :func:`pyqmc_art.art.claims.judge_claim`.

    The metadata of the files before they were prepared are a rival, too: a detector may find their traces in prepared
    pictures, where the metadata of the latter show nothing any more.

    Parameters
    ----------
    rows, labels : as in :func:`compare_roles`
    scores : held-out scores of the detector
    baselines : name -> held-out scores of a baseline
    stream : of the bootstrap
    """
    works = np.array(rows.works)
    claims = []
    for against, chosen in _parts(rows, labels):
        truth = np.repeat([True, False], [len(_by_work(scores, works, side)) for side in (labels, chosen)])
        own, *others = (
            np.concatenate([_by_work(one, works, labels), _by_work(one, works, chosen)])
            for one in (scores, *(baselines[name] for name in RIVALS if name in baselines))
        )
        rivals = dict(
            zip((name.removesuffix(" baseline") for name in RIVALS if name in baselines), others, strict=True)
        )
        claims.append(judge_claim(against, own, rivals, truth, stream.fold(against)))
    return tuple(claims)


def _parts(rows: Manifest, labels: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.bool_]]]:
    """All of the contrast, then each of its roles if there are several."""
    roles = np.array([row.role for row in rows])
    parts = [(role, ~labels & (roles == role)) for role in ROLES if np.any(~labels & (roles == role))]
    return [(ALL, ~labels), *(parts if len(parts) > 1 else [])]


def _by_work(scores: Floats, works: NDArray[np.str_], chosen: NDArray[np.bool_]) -> Floats:
    return average_works(scores[chosen], works[chosen].tolist())[0]


def describe_claim(claim: Claim) -> dict[str, Any]:
    """Give a claim as JSON values: against whom, its status, the reasons, and the scores beside each other."""
    return {
        "against": claim.statement,
        "status": claim.status,
        "reasons": list(claim.reasons),
        "auc": asdict(claim.score),
        "baselines": {name: asdict(score) for name, score in claim.baselines.items()},
    }
