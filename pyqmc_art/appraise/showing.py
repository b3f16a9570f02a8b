"""Where a forgery shows: contributions of momenta to the difference of two sets of fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.fields import FieldSet
from pyqmc_art.protocols import Figure, Picture
from pyqmc_art.stats.profiles import average_units

Floats = NDArray[np.float64]


def show_momenta(a: FieldSet, b: FieldSet) -> tuple[Figure, ...]:
    """Show in the plane of momenta where B has more or less power than A, in combined standard errors."""
    deviations = find_deviations(a, b)
    if deviations is None:
        return ()
    centred = np.fft.fftshift(deviations)
    ratio = np.fft.fftshift(np.log2(_mean(b) / _mean(a)))
    return (
        Figure(
            "momenta", "Where it shows: the plane of momenta",
            "Momentum zero in the middle. Power of B minus that of A at each momentum, in combined standard "
            "errors of independent blocks; of as many numbers without any difference some reach 3.",
            (Picture("B - A, standard errors", centred),),
        ),
        Figure(
            "ratios", "Where it shows: ratio of the powers",
            "The logarithm of base 2 of the power of B over that of A, momentum zero in the middle.",
            (Picture("log2 of B / A", ratio),),
        ),
    )  # fmt: skip


def find_deviations(a: FieldSet, b: FieldSet) -> Floats | None:
    """Difference of the mean powers at each momentum in combined standard errors; None where there is no plane."""
    if a.spectrum.plane is None:
        return None
    means, errors = [], []
    for one in (a, b):
        plane = one.spectrum.plane
        if plane is None:
            return None
        units = average_units(plane.reshape(len(plane), -1), one.table.units)
        means.append(units.mean(axis=0))
        errors.append(units.var(axis=0, ddof=1) / len(units))
    sigma = np.sqrt(errors[0] + errors[1])
    difference = np.divide(means[1] - means[0], sigma, out=np.zeros_like(sigma), where=sigma > 0)
    return np.asarray(difference.reshape(a.spectrum.plane.shape[1:]), np.float64)


def _mean(one: FieldSet) -> Floats:
    plane = one.spectrum.plane
    return np.ones((1, 1)) if plane is None else np.maximum(plane.mean(axis=0), 1e-300)
