"""How unlike the works of one hand is a work? Scores that are learned from the hand's works alone."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.art.familiarity import learn_familiarity
from pyqmc_art.errors import InputError, NumericalError, unknown

Floats = NDArray[np.float64]

METHODS: Final = ("mahalanobis", "neighbours", "reconstruction", "one-class SVM")
KEPT: Final = 0.8
"""Share of the variance that the principal components of ``"reconstruction"`` keep."""
OUTSIDE: Final = 0.1
"""nu of ``"one-class SVM"``: share of the hand's own works that may lie outside."""
MINIMUM_WORKS: Final = 10


def score_familiarity(known: ArrayLike, others: ArrayLike, method: str = "mahalanobis") -> Floats:
    """Score works by how familiar they look to somebody who has seen works of one hand and nothing else.

    Features are standardised by the known works. ``"mahalanobis"`` and ``"neighbours"`` are minus the distances of
    :func:`pyqmc_art.art.familiarity.learn_familiarity`; ``"reconstruction"`` is minus ``|z - P z|``, P projecting on
    the first principal components; ``"one-class SVM"`` is the signed distance from a boundary around the known works,
    with a Gaussian kernel of width ``sqrt(p)``.

    Parameters
    ----------
    known : features of works of the hand, shape (works, p), at least ``MINIMUM_WORKS``
    others : features of works to be scored, shape (n, p); none of them may be among the known ones
    method : one of ``METHODS``

    Returns
    -------
    scores, larger for what looks familiar, shape (n,)

    Raises
    ------
    InputError
        For too few works, shapes that do not correspond, or an unknown method.
    NumericalError
        If a feature is not finite.

    References
    ----------
    B. Schoelkopf, J. C. Platt, J. Shawe-Taylor, A. J. Smola, R. C. Williamson, Neural Computation 13 (2001) 1443
    (one-class SVM).

    Examples
    --------
    >>> works = np.random.default_rng(1).normal(size=(41, 5))
    >>> for method in METHODS:
    ...     near, far = score_familiarity(works[1:], [works[0], works[0] + 9], method)
    ...     assert near > far
    """
    x, y = np.asarray(known, np.float64), np.asarray(others, np.float64)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or len(x) < MINIMUM_WORKS:
        raise InputError(f"features have shapes {x.shape} and {y.shape}; expected (works, p) and (n, p), with at least "
                         f"{MINIMUM_WORKS} known works")  # fmt: skip
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise NumericalError("some features are nan or inf; check the pictures they come from")
    if method in ("mahalanobis", "neighbours"):
        familiar = learn_familiarity(x, method)
        return -np.array([familiar.measure(one).value for one in y], np.float64)
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9 * (1 + np.abs(centre)), scale, 1.0)
    z, w = (x - centre) / scale, (y - centre) / scale
    return _reconstruct(z, w) if method == "reconstruction" else _enclose(z, w)


def _reconstruct(known: Floats, others: Floats) -> Floats:
    """Minus what the principal components leave over, ``|z|^2 - sum_k (z a_k)^2`` under a root."""
    _, singular, axes = np.linalg.svd(known, full_matrices=False)
    share = np.cumsum(singular**2) / np.sum(singular**2)
    kept = axes[: 1 + int(np.searchsorted(share, KEPT))]
    left = np.sum(others**2, axis=1) - np.sum((others @ kept.T) ** 2, axis=1)
    return np.asarray(-np.sqrt(np.maximum(0.0, left)), np.float64)


def _enclose(known: Floats, others: Floats) -> Floats:
    from sklearn.svm import OneClassSVM
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        boundary = OneClassSVM(nu=OUTSIDE, gamma=1 / (2 * known.shape[1]), tol=1e-8).fit(known)
        return np.asarray(boundary.decision_function(others), np.float64)
