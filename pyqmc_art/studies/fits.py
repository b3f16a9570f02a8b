"""Least squares with errors that mean something: covariances in, parameters with errors and chi-square out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Measured
from pyqmc_art.stats.autocorrelation import chi_square_probability
from pyqmc_art.stats.estimate import Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearFit:
    """Result of a generalised least-squares fit.

    Attributes
    ----------
    parameters : best values, shape (parameters,)
    covariance : of the parameters, from the errors of the data alone (not inflated by chi-square)
    chi_square, freedom : of the fit
    """

    parameters: Floats
    covariance: Floats
    chi_square: float
    freedom: int

    def parameter(self, index: int) -> Estimate:
        """One parameter with its error."""
        return Estimate(float(self.parameters[index]), math.sqrt(float(self.covariance[index, index])))

    @property
    def reduced(self) -> float | None:
        """chi-square per degree of freedom; None for a fit that has none left."""
        return self.chi_square / self.freedom if self.freedom else None

    @property
    def probability(self) -> float:
        """Probability that chi-square is this large or larger, if the model is right."""
        return chi_square_probability(self.chi_square, self.freedom) if self.freedom else 1.0


def fit_linear(design: ArrayLike, values: ArrayLike, covariance: ArrayLike) -> LinearFit:
    """Fit ``values = design @ parameters`` to correlated data.

    ``p = (A^T C^-1 A)^-1 A^T C^-1 y``, ``cov p = (A^T C^-1 A)^-1``

    Parameters
    ----------
    design : A, shape (data, parameters)
    values : y, shape (data,)
    covariance : C, shape (data, data), or the errors of independent data, shape (data,)

    Returns
    -------
    LinearFit

    Raises
    ------
    InputError
        For fewer data than parameters, or errors that are not positive and finite.

    Examples
    --------
    >>> fit = fit_linear([[1, 0], [1, 1], [1, 2]], [1.0, 3.0, 5.0], [0.1, 0.1, 0.1])
    >>> fit.parameters.round(6).tolist(), fit.freedom
    ([1.0, 2.0], 1)
    """
    a, y, c = (np.asarray(one, np.float64) for one in (design, values, covariance))
    c = np.diag(c**2) if c.ndim == 1 else c
    if a.ndim != 2 or a.shape[0] < a.shape[1] or y.shape != a.shape[:1] or c.shape != (len(y), len(y)):
        raise InputError(
            f"a fit of {a.shape[1] if a.ndim == 2 else '?'} parameters was given {len(y)} data; expected at least as "
            "many data as parameters: use more lattice sizes"
        )
    if not (np.isfinite(y).all() and np.isfinite(c).all() and np.all(np.diag(c) > 0)):
        raise InputError("the data of a fit need finite values and errors above zero; run longer")
    # Whitening by the Cholesky factor is better conditioned than the normal equations.
    whiten = np.linalg.inv(np.linalg.cholesky(c))
    q, r = np.linalg.qr(whiten @ a)
    inverse = np.linalg.inv(r)
    parameters = inverse @ (q.T @ (whiten @ y))
    residual = whiten @ (y - a @ parameters)
    return LinearFit(parameters, inverse @ inverse.T, float(residual @ residual), len(y) - a.shape[1])


@dataclass(frozen=True)
class PowerLaw:
    """``y = a (x / x0)^z``, if asked for times ``exp(b x^-omega)``, fitted to the logarithms."""

    amplitude: Estimate
    exponent: Estimate
    reference: float
    correction: tuple[float, float]
    fit: LinearFit

    def __call__(self, x: ArrayLike) -> Floats:
        """The fitted curve."""
        omega, b = self.correction
        ratio = np.asarray(x, np.float64)
        curve: Floats = self.amplitude.value * (ratio / self.reference) ** self.exponent.value
        return curve * np.exp(b * ratio**-omega) if b else curve


def fit_power_law(
    x: Sequence[float],
    y: Sequence[Measured],
    reference: float = 1.0,
    *,
    omega: float | None = None,
    common: ArrayLike | None = None,
) -> PowerLaw:
    """Fit ``y = a (x / x0)^z`` with the errors of y, or ``a (x / x0)^z exp(b x^-omega)`` where corrections matter.

    The fit is linear in ``ln a``, ``z`` and ``b``: ``ln y`` has the error ``dy / y``, whatever the size of y.

    Parameters
    ----------
    x : positive, shape (data,)
    y : measured numbers, positive
    reference : x0
    omega : exponent of a correction to scaling; None fits a pure power
    common : derivative of each ln y to something uncertain that all share, times its error, shape (data,)

    Returns
    -------
    PowerLaw

    Raises
    ------
    InputError
        For data that are not positive or too few.

    Examples
    --------
    >>> law = fit_power_law([10, 20, 40], [Estimate(3.0, 0.1), Estimate(12.0, 0.4), Estimate(48.0, 1.6)], 10)
    >>> round(law.exponent.value, 6), round(law.amplitude.value, 6)
    (2.0, 3.0)
    """
    where, values = np.asarray(x, np.float64), np.array([one.value for one in y])
    if np.any(where <= 0) or np.any(values <= 0):
        raise InputError(f"a power law is fitted to positive numbers; got x = {where.tolist()}, y = {values.tolist()}")
    relative = np.array([one.error for one in y]) / values
    covariance = np.diag(relative**2)
    if common is not None:
        shared = np.asarray(common, np.float64)
        covariance += np.outer(shared, shared)
    columns = [np.ones(len(where)), np.log(where / reference)]
    if omega is not None:
        columns.append(where**-omega)
    fit = fit_linear(np.stack(columns, axis=1), np.log(values), covariance)
    log_amplitude = fit.parameter(0)
    a = math.exp(log_amplitude.value)
    correction = (omega, float(fit.parameters[2])) if omega is not None else (1.0, 0.0)
    return PowerLaw(Estimate(a, a * log_amplitude.error), fit.parameter(1), reference, correction, fit)
