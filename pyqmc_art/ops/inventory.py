"""What this installation can compute with."""

from __future__ import annotations

import importlib
from typing import Any

from pyqmc_art import backends
from pyqmc_art.ops import devices


def take() -> dict[str, Any]:
    """Return backends, the one in use, instruction sets, threads and devices.

    Examples
    --------
    >>> "backends" in take()
    True
    """
    available = backends.list_available()
    facts: dict[str, Any] = {
        "backends": list(available),
        "backend_in_use": backends.resolve(),
        "threads": backends.default_threads(),
    }
    if "cpp" in available:
        core = importlib.import_module("pyqmc_art._core")
        facts["instruction_sets"] = core.available_isas()
        facts["instruction_set_in_use"] = core.isa()
    facts["devices"] = ["cpu"]
    if "cuda" in available:
        names, reason = devices.list_devices()
        facts["devices"] += names
        facts["cuda"] = f"{devices.STATUS}; {reason}" if reason else devices.STATUS
    return facts
