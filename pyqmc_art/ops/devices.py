"""CUDA devices: the compiled module of their kernels, and whether there is anything to run them on.

The kernels are compiled and emulated in tests, not yet run on a GPU.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from pyqmc_art.errors import BackendUnavailable

STATUS: Final = "compiled and emulated, not yet run on a GPU"
"""What is known about the kernels for devices."""


def find_module() -> Any:
    """Return the compiled module of the kernels for devices, once there is a device to run them.

    Raises
    ------
    BackendUnavailable
        Where the module is not built, or there is no device; with the reason the CUDA runtime gives.
    """
    names, reason = list_devices()
    if not names:
        raise BackendUnavailable(
            f"backend 'cuda' has nothing to run on: {reason}; use backend='cpp', or a machine with a GPU and its driver"
        )
    return importlib.import_module("pyqmc_art._cuda")


def list_devices() -> tuple[list[str], str]:
    """Return the names of the devices, and where there are none the reason.

    Examples
    --------
    >>> names, reason = list_devices()
    >>> bool(names) != bool(reason)
    True
    """
    try:
        return list(importlib.import_module("pyqmc_art._cuda").devices()), ""
    except BackendUnavailable as error:
        return [], str(error)
    except ImportError:
        return [], "the kernels for devices are not installed"
