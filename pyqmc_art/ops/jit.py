"""Plain Python loops under Numba's njit."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import FunctionType, ModuleType
from typing import Any


@cache
def jitted(module: ModuleType) -> Any:
    """Return the functions of a module of plain loops, jitted.

    Each function is rebuilt over a namespace in which the functions it calls are jitted too, so that the module itself
    stays plain Python: the reference and the fallback are one text. Functions from another module of plain loops are
    taken from that module, jitted.
    """
    numba = importlib.import_module("numba")
    namespace = dict(vars(module))
    for name, function in vars(module).items():
        if not isinstance(function, FunctionType):
            continue
        if function.__module__ != module.__name__ and function.__module__.startswith(__package__):
            namespace[name] = getattr(jitted(sys.modules[function.__module__]), function.__name__)
    for name, function in vars(module).items():
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            copy = FunctionType(function.__code__, namespace, name, function.__defaults__, function.__closure__)
            namespace[name] = numba.njit(cache=True, nogil=True)(copy)
    return type("Jitted", (), {name: staticmethod(value) for name, value in namespace.items() if callable(value)})
