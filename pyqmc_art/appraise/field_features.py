"""Numbers that describe a field without knowing its action: moments, products of neighbours, the spectrum."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.spectra import Spectrum, take_spectrum

Floats = NDArray[np.float64]

_RINGS: Final = 8
_TINY: Final = 1e-12


def describe_fields(values: Floats) -> tuple[dict[str, Floats], Spectrum]:
    """Describe fields by numbers that translations do not change.

    Parameters
    ----------
    values : shape (n, *shape, components), components those of a vector, or indicators of colours

    Returns
    -------
    name -> one number a field, shape (n,), and the spectra

    Examples
    --------
    >>> numbers, _ = describe_fields(np.ones((2, 4, 4, 1)))
    >>> numbers["mean"].tolist(), numbers["neighbours 1"].tolist()
    ([1.0, 1.0], [1.0, 1.0])
    """
    axes = tuple(range(1, values.ndim - 1))
    mean = values.mean(axis=axes)
    square = (values**2).sum(axis=-1)
    numbers: dict[str, Floats] = {f"mean {k}": one for k, one in enumerate(mean.T, 1)}
    if values.shape[-1] == 1:
        numbers = {"mean": mean[:, 0]}
    modulus = np.sqrt((mean**2).sum(axis=1))
    numbers |= {"modulus of mean": modulus, "square of mean": modulus**2}
    inner = tuple(range(1, square.ndim))
    numbers |= {f"power {2 * k}": (square**k).mean(axis=inner) for k in (1, 2, 3)}
    for axis in axes:
        numbers[f"neighbours {axis}"] = _correlate(values, (axis,), (1,))
    numbers["second neighbours"] = np.mean([_correlate(values, (axis,), (2,)) for axis in axes], axis=0)
    numbers["squares of neighbours"] = np.mean([_correlate(square[..., None], (a,), (1,)) for a in axes], axis=0)
    for axis in axes[1:]:
        numbers[f"diagonal {axes[0]}{axis}"] = _correlate(values, (axes[0], axis), (1, 1))
        numbers[f"antidiagonal {axes[0]}{axis}"] = _correlate(values, (axes[0], axis), (1, -1))
        numbers[f"plaquette {axes[0]}{axis}"] = _go_round(values, axes[0], axis)
    spectrum = take_spectrum(values)
    bands = take_spectrum(values, rings=_RINGS).radial
    numbers |= {f"log power {k}": np.log(bands[:, k] + _TINY) for k in range(bands.shape[1])}
    return numbers, spectrum


def _correlate(values: Floats, axes: tuple[int, ...], steps: tuple[int, ...]) -> Floats:
    """Mean of the scalar product of each site with the one some steps on."""
    product = (values * np.roll(values, [-s for s in steps], axes)).sum(axis=-1)
    return np.asarray(product.reshape(len(product), -1).mean(axis=1), np.float64)


def _go_round(values: Floats, one: int, other: int) -> Floats:
    """Mean of (v_1 . v_2)(v_3 . v_4) around each plaquette."""
    right = np.roll(values, -1, one)
    along = (values * right).sum(axis=-1)
    return np.asarray((along * np.roll(along, -1, other)).reshape(len(values), -1).mean(axis=1), np.float64)
