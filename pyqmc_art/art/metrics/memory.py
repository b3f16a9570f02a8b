r"""Is a generator only copying? Each made picture against its nearest training picture.

A copy lies much nearer to one training picture than to any other. So what is looked at is the ratio of the distances to
the nearest and to the second nearest training picture. How small it may be by chance is said by pictures that nobody
made: real ones that were not trained on, or, where there are none, each training picture against the others.

Each training work speaks once, of the first made picture (and of the first reference picture) that it is nearest to. A
generator that makes one picture a thousand times would otherwise be called a copier whenever that picture happens to
lie near a training picture; it has collapsed, which recall says.

The test takes each order of ratios for equally likely if made and reference pictures are alike; then the number K of
made ones below the r-th smallest reference has :math:`P(K \ge k) = P(H \ge k)`, H hypergeometric: k or more
of n made among the first k + r - 1 of n + m. (Works differ in how often they are hit, which this leaves out; that it
does not reject more often than it says is tested by simulation, for equal and for unequal sizes.)

References
----------
C. Meehan, K. Chaudhuri, S. Dasgupta, AISTATS 2020 (arXiv:2004.05675): comparing with held-out pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import hypergeom

from pyqmc_art.art.metrics.distances import check_features
from pyqmc_art.errors import InputError
from pyqmc_art.stats.proportions import Rate

if TYPE_CHECKING:
    from pyqmc_art.art.metrics.vision import Floats

LEVEL: Final = 0.05
"""Share of the reference that counts as suspiciously near."""
SIGNIFICANT: Final = 1e-3
"""p-value below which the flag is raised."""


@dataclass(frozen=True, eq=False)
class Memory:
    """What the nearest training pictures say.

    Attributes
    ----------
    near : of the training works that are nearest to a made picture, those that lie nearer to it than the nearest 5 % of
        the reference do
    p_value : of as many or more, if made pictures were like the reference
    flagged : whether the generator copies
    reference : what was compared with: ``"held-out pictures"`` or ``"training pictures among themselves"``
    nearest : number of the nearest training picture of each made one
    distances, ratios : to it, and over the distance to the second nearest
    threshold : ratio below which a picture is near
    """

    near: Rate
    p_value: float
    flagged: bool
    reference: str
    nearest: NDArray[np.int64]
    distances: Floats
    ratios: Floats
    threshold: float

    def list_suspects(self, count: int) -> list[tuple[int, int]]:
        """Numbers of made pictures and of the training pictures that they are nearest to, the most suspicious first."""
        order = np.argsort(self.ratios, kind="stable")[:count]
        return [(int(k), int(self.nearest[k])) for k in order]

    def __str__(self) -> str:
        verdict = "copies training pictures" if self.flagged else "no sign of copying"
        return f"{verdict}: {self.near} works have a near copy (p = {self.p_value:.2g}, against {self.reference})"


def recall_training(
    made: Floats,
    training: Floats,
    held_out: Floats | None = None,
    works: NDArray[Any] | None = None,
) -> Memory:
    """Test whether made pictures are copies of training pictures.

    Parameters
    ----------
    made, training : features (n, d) and (m, d); mirrored training pictures, if they were shown, are given as members of
        the same works
    held_out : features of real pictures that were not trained on; None takes the training pictures among themselves
    works : work of each training picture: the second nearest is the nearest of another work; None: each is its own

    Raises
    ------
    InputError
        For fewer than three training works, or features of another width.
    """
    x, y = check_features(made, training)
    own = np.arange(len(y)) if works is None else np.unique(works, return_inverse=True)[1]
    if len(own) != len(y) or own.max() < 2:
        raise InputError(f"{own.max() + 1} training works for {len(y)} pictures; expected at least three")
    nearest, distances, ratios = _find_nearest(cdist(x, y), own)
    if held_out is None:
        reference, what = _compare_among(y, own), "training pictures among themselves"
    else:
        other, _, others = _find_nearest(cdist(check_features(held_out, y)[0], y), own)
        reference, what = others[_first_of_each(own[other])], "held-out pictures"
    rank = max(1, math.ceil(LEVEL * len(reference)))
    threshold = float(np.partition(reference, rank - 1)[rank - 1])
    heard = ratios[_first_of_each(own[nearest])]
    count = int((heard < threshold).sum())
    total = len(heard) + len(reference)
    p_value = float(hypergeom.sf(count - 1, total, len(heard), count + rank - 1)) if count else 1.0
    return Memory(
        Rate.of(count, len(heard)), p_value, p_value < SIGNIFICANT, what, nearest, distances, ratios, threshold
    )


def _first_of_each(works: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the first picture that each work is nearest to."""
    return np.unique(works, return_index=True)[1]


def _find_nearest(apart: Floats, works: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Nearest training picture, its distance, and the ratio to the nearest of another work."""
    nearest = apart.argmin(axis=1)
    distances = apart[np.arange(len(apart)), nearest]
    other = np.where(works[None, :] == works[nearest][:, None], np.inf, apart).min(axis=1)
    # Two equal distances, both zero included, are no sign of a copy of one of them.
    ratios = np.divide(distances, other, out=np.ones_like(distances), where=other > 0)
    return nearest, distances, ratios


def _compare_among(training: Floats, works: NDArray[np.int64]) -> Floats:
    """Ratios of training pictures, each against those of other works; one picture speaks for each work."""
    apart = cdist(training, training)
    apart[works[:, None] == works[None, :]] = np.inf
    nearest, _, ratios = _find_nearest(apart[_first_of_each(works)], works)
    return ratios[_first_of_each(works[nearest])]
