r"""Numbers that ask a classifier: inception score, mode score, style fidelity.

.. math:: IS = \exp E_x KL(p(y|x) | p(y)), \quad MS = IS \exp(-KL(p(y) | r(y)))

with p(y) the mean over made and r(y) over real pictures. The form of the mode score with r in the first term is the
inception score again, whatever r is, because the two terms in r cancel; so the one in which they do not is used. A
description of these systems closes the bracket of the divergence too early, which leaves it with one argument.

References
----------
T. Salimans et al., NIPS 2016 (arXiv:1606.03498), section 4. Q. Xu et al., arXiv:1806.07755 (the mode score used here).
Z. Zhou et al., ICLR 2018 (arXiv:1703.02000): the identity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.metrics.halves import SAMPLES, estimate_by_halves
from pyqmc_art.art.metrics.vision import Floats
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.proportions import Rate


def find_inception_score(p: Floats) -> float:
    """Inception score of class probabilities (n, classes).

    Examples
    --------
    Sure of each picture and all classes alike give the number of classes; one answer for all pictures gives 1:

    >>> find_inception_score(np.eye(4)), find_inception_score(np.full((5, 4), 0.25))
    (4.0, 1.0)
    """
    return float(np.exp(_diverge(p, p.mean(axis=0)).mean()))


def find_mode_score(p: Floats, r: Floats) -> float:
    """Mode score of class probabilities of made (n, classes) and real pictures (m, classes).

    Examples
    --------
    >>> find_mode_score(np.eye(4), np.eye(4)), round(find_mode_score(np.eye(4)[:2], np.eye(4)), 12)
    (4.0, 1.0)
    """
    mean = p.mean(axis=0)
    return find_inception_score(p) * float(np.exp(-_diverge(mean[None], r.mean(axis=0))[0]))


def estimate_inception_score(p: ArrayLike, stream: Stream, samples: int = SAMPLES) -> Estimate:
    """Inception score with its error.

    Raises
    ------
    InputError
        When rows are no probabilities.
    """
    made = _checked(p)
    return estimate_by_halves(lambda a: find_inception_score(made[a]), [len(made)], stream, samples=samples)


def estimate_mode_score(
    p: ArrayLike, r: ArrayLike, stream: Stream, groups: NDArray[Any] | None = None, samples: int = SAMPLES
) -> Estimate:
    """Mode score with its error; ``groups`` are the works of the real pictures."""
    made, real = _checked(p), _checked(r)
    if made.shape[1] != real.shape[1]:
        raise InputError(f"{made.shape[1]} and {real.shape[1]} classes; expected those of one classifier")
    return estimate_by_halves(
        lambda a, b: find_mode_score(made[a], real[b]), [len(made), len(real)], stream, groups=[None, groups],
        samples=samples,
    )  # fmt: skip


def find_fidelity(answers: ArrayLike, wanted: ArrayLike) -> Rate:
    """Style fidelity: how often a classifier finds in made pictures the style (artist, genre) they were made in.

    It is an accuracy of the classifier as much as of the generator: show its accuracy on real pictures beside it.

    Examples
    --------
    >>> print(find_fidelity(["Monet", "Monet", "Renoir"], "Monet"))
    2/3 = 0.67 [0.21, 0.94]
    """
    given = np.asarray(answers)
    return Rate.count(given == np.broadcast_to(np.asarray(wanted), given.shape))


def _diverge(p: Floats, q: Floats) -> Floats:
    """KL(p_i | q) of each row; a class that q leaves out and p does not makes it infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0)
    return np.asarray(terms.sum(axis=1), np.float64)


def _checked(p: ArrayLike) -> Floats:
    given = np.asarray(p, np.float64)
    if given.ndim != 2 or not len(given) or not np.all(given >= 0) or not np.allclose(given.sum(axis=1), 1, atol=1e-6):
        raise InputError(f"class probabilities of shape {given.shape} are none; expected rows >= 0 that sum to 1")
    return given
