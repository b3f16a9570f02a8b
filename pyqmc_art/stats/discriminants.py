r"""Linear discriminants: logistic regression with a ridge whose strength held-out groups choose, in plain NumPy.

.. math:: \ln\frac{D}{1 - D} = z \cdot b + c, \qquad
    \min_{b, c} \sum_i w_i \ln(1 + e^{-y_i (z_i \cdot b + c)}) + \frac{\lambda}{2} n |b|^2

with z the standardised features, y = 1 for A and -1 for B, and weights with which both classes count equally, however
many members they have. The logit is then an estimate of ln p_A/p_B.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Predict = Callable[[Floats], Floats]

STRENGTHS: Final = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Ridges (lambda above) that are tried, the strongest first."""

_STEPS: Final = 40
_FLAT: Final = 1e-9
_FOLDS: Final = 3
_MOST_STEP: Final = 4.0


@dataclass(frozen=True, eq=False)
class Discriminant:
    """Log-odds of A against B, linear in the features.

    Attributes
    ----------
    mean, scale, coefficients : shape (d,); the coefficients are those of standardised features
    intercept : log-odds at the mean
    strength : the ridge that was chosen
    loss : mean logarithmic loss on held-out groups, ln 2 = 0.693 for no information; nan if none was held out
    """

    mean: Floats
    scale: Floats
    coefficients: Floats
    intercept: float
    strength: float
    loss: float

    def logits(self, x: Floats) -> Floats:
        """Log-odds of the rows of features (n, d)."""
        return np.asarray((x - self.mean) / self.scale @ self.coefficients + self.intercept, np.float64)


def balance_weights(truth: Flags) -> Floats:
    """Weight of each member so that both classes count the same, summing to their number.

    Examples
    --------
    >>> balance_weights(np.array([True, False, False, False])).round(2).tolist()
    [2.0, 0.67, 0.67, 0.67]
    """
    count = np.where(truth, truth.sum(), (~truth).sum())
    return np.asarray(truth.size / 2 / count, np.float64)


def fit_discriminant(
    x: Floats, truth: Flags, folds: NDArray[Any], strengths: Sequence[float] = STRENGTHS
) -> Discriminant:
    """Fit a discriminant; of several ridges the one with the smallest loss on held-out folds is taken.

    Parameters
    ----------
    x : features, shape (n, d)
    truth : true for A, shape (n,)
    folds : fold of each member, shape (n,); members that belong together share one
    strengths : ridges to try; one alone is taken as it is

    Raises
    ------
    InputError
        When all members are of one class, or a feature is not finite.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (Springer, 2006), equations 4.96 to 4.100 (Newton's method).

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=(2000, 3)) + np.outer(np.arange(2000) < 1000, [2.0, 0, 0])
    >>> found = fit_discriminant(x, np.arange(2000) < 1000, np.arange(2000) % 3)
    >>> bool(np.isclose(found.coefficients[0] / found.scale[0], 2.0, atol=0.3))
    True
    """
    if truth.all() or not truth.any():
        raise InputError(f"all {truth.size} members are of one class; a discriminant needs both")
    if not np.isfinite(x).all():
        raise InputError("a feature is not finite; check the fields or pictures")
    parts = _merge(folds, truth)
    losses = np.zeros(len(strengths))
    held = 0.0
    for part in np.unique(parts):
        train, test = parts != part, parts == part
        if not all(_both(truth[chosen]) for chosen in (train, test)):
            continue
        weights = balance_weights(truth[test])
        held += weights.sum()
        for k, found in enumerate(_fit_all(x[train], truth[train], strengths)):
            losses[k] += weights @ np.logaddexp(0, -np.where(truth[test], 1, -1) * found.logits(x[test]))
    best = int(np.argmin(losses)) if held else 0
    chosen = _fit_all(x, truth, strengths[: best + 1])[-1]
    return Discriminant(
        chosen.mean, chosen.scale, chosen.coefficients, chosen.intercept, chosen.strength,
        float(losses[best] / held) if held else float("nan"),
    )  # fmt: skip


def spread_features(x: Floats, reference: Floats, stream: Stream, count: int = 100) -> Floats:
    r"""Add random cosine waves to standardised features, so that a line in them is a smooth curve in the features.

    :math:`\sqrt{2/m} \cos(z \cdot u_k / \sqrt d + \varphi_k)` with normal u_k and uniform phases approximates the
    Gaussian kernel of width :math:`\sqrt d`, the usual distance of two members.

    Parameters
    ----------
    x : features, shape (n, d)
    reference : features that say what is standard; those of the training
    stream : of the waves
    count : of the waves

    References
    ----------
    A. Rahimi, B. Recht, NIPS 2007, algorithm 1.
    """
    mean, scale = _standard(reference, np.ones(len(reference)))
    z = np.clip((x - mean) / scale, -6, 6)
    draws = stream.normal("user", count * z.shape[1], 1).reshape(z.shape[1], count)
    phases = 2 * np.pi * stream.fold("phases").uniform("user", np.arange(count), 1)[0]
    waves = np.sqrt(2) * np.cos(z @ draws / np.sqrt(z.shape[1]) + phases)
    return np.concatenate([x, waves], axis=1)


def _both(truth: Flags) -> bool:
    return bool(truth.any() and not truth.all())


def _merge(folds: NDArray[Any], truth: Flags) -> NDArray[np.int64]:
    """At most ``_FOLDS`` folds."""
    names, numbers = np.unique(folds, return_inverse=True)
    return np.asarray(numbers.reshape(-1) * min(_FOLDS, len(names)) // len(names), np.int64)


def _standard(x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    share = weights / weights.sum()
    mean = share @ x
    scale = np.sqrt(share @ (x - mean) ** 2)
    return mean, np.where(scale > _FLAT * (1 + np.abs(mean)), scale, np.inf)


def _fit_all(x: Floats, truth: Flags, strengths: Sequence[float]) -> list[Discriminant]:
    """One fit for each ridge, each starting where the one before it ended."""
    weights = balance_weights(truth)
    mean, scale = _standard(x, weights)
    z, axes = _rotate((x - mean) / scale)
    z = np.concatenate([z, np.ones((len(z), 1))], axis=1)
    target = truth.astype(np.float64)
    line = np.zeros(z.shape[1])
    found = []
    for strength in strengths:
        ridge = np.full(line.size, strength * len(z))
        ridge[-1] = 1e-9 * len(z)
        line = _descend(z, target, weights, ridge, line)
        direction = line[:-1] if axes is None else axes @ line[:-1]
        found.append(Discriminant(mean, scale, direction, float(line[-1]), strength, float("nan")))
    return found


def _descend(z: Floats, target: Floats, weights: Floats, ridge: Floats, line: Floats) -> Floats:
    """Newton's method; steps are cut where the line would turn too far at once."""
    for _ in range(_STEPS):
        p = 0.5 * (1 + np.tanh(z @ line / 2))
        gradient = z.T @ (weights * (target - p)) - ridge * line
        curvature = (z * (weights * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ z + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        largest = float(np.abs(step).max())
        line = line + step * min(1.0, _MOST_STEP / max(largest, 1e-300))
        if largest < 1e-7:
            break
    return line


def _rotate(z: Floats) -> tuple[Floats, Floats | None]:
    """Coordinates in the span of the members where that is smaller than the features: the ridge keeps to it."""
    if len(z) >= z.shape[1]:
        return z, None
    values, vectors = np.linalg.eigh(z @ z.T)
    kept = values > values[-1] * 1e-10
    roots = np.sqrt(values[kept])
    return vectors[:, kept] * roots, z.T @ vectors[:, kept] / roots
