"""Hand series over to other statistics packages: pyerrors and ArviZ, imported only when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from pyqmc_art.errors import InputError
from pyqmc_art.stats.autocorrelation import checked_series

_PYERRORS_MINIMUM: Final = 5


def to_pyerrors(series: ArrayLike, name: str, every: int = 1) -> Any:
    """Turn a series into a ``pyerrors.Obs`` whose replicas are called ``name|r0``, ``name|r1``, ...

    Parameters
    ----------
    series : shape (measurements, replicas); pyerrors wants at least 5 measurements
    name : of the ensemble; observables of the same ensemble are correlated in pyerrors, so give all the same name
    every : steps from one measurement to the next; configurations are numbered by steps

    Returns
    -------
    pyerrors.Obs, on which ``gamma_method(S=1.5)`` is still to be called

    Raises
    ------
    InputError
        If pyerrors is not installed, the series too short, or the name empty or with a ``|``.

    Examples
    --------
    >>> to_pyerrors(np.ones(9), "")
    Traceback (most recent call last):
    pyqmc_art.errors.InputError: name is ''; expected the name of the ensemble, without '|' (it marks the replica)
    """
    if not name or "|" in name:
        raise InputError(f"name is {name!r}; expected the name of the ensemble, without '|' (it marks the replica)")
    data = checked_series(series)
    if len(data) < _PYERRORS_MINIMUM:
        raise InputError(f"the series has {len(data)} measurements in each replica; pyerrors needs {_PYERRORS_MINIMUM}")
    if every < 1:
        raise InputError(f"every is {every}; expected the steps from one measurement to the next, at least 1")
    pyerrors = _library("pyerrors")
    width = len(str(data.shape[1] - 1))  # pyerrors sorts by name
    names = [f"{name}|r{r:0{width}d}" for r in range(data.shape[1])]
    steps = range(every, every * len(data) + 1, every)
    return pyerrors.Obs(list(np.ascontiguousarray(data.T)), names, idl=[steps] * len(names))


def to_arviz(series: Mapping[str, ArrayLike]) -> Any:
    """Turn named series into an ``arviz.InferenceData`` with replicas as chains and measurements as draws.

    Parameters
    ----------
    series : name -> array of shape (measurements, replicas, ...); all with the same measurements and replicas

    Returns
    -------
    arviz.InferenceData with the group ``posterior``

    Raises
    ------
    InputError
        If ArviZ is not installed, or the shapes do not agree.

    Examples
    --------
    >>> to_arviz({"energy": np.ones(3)})
    Traceback (most recent call last):
    pyqmc_art.errors.InputError: series 'energy' has shape (3,); expected (measurements, replicas, ...)
    """
    arrays = {name: np.asarray(values) for name, values in series.items()}
    for name, values in arrays.items():
        if values.ndim < 2:
            raise InputError(f"series {name!r} has shape {values.shape}; expected (measurements, replicas, ...)")
    shapes = {values.shape[:2] for values in arrays.values()}
    if len(shapes) != 1:
        raise InputError(
            f"the series have (measurements, replicas) {sorted(shapes)}; expected one or more series that agree; "
            "convert the others separately"
        )
    arviz = _library("arviz")
    return arviz.from_dict(posterior={name: np.swapaxes(values, 0, 1) for name, values in arrays.items()})


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as reason:
        raise InputError(f"{name} is not installed here ({reason}); install it with: pip install {name}") from reason
