"""Which implementation of an operation runs, and on how many threads.

``cuda`` runs only where it is asked for by name: its kernels are compiled and emulated, not yet run on a GPU. The order
is: the explicit argument, `use_backend`, the environment variable ``PYQMC_BACKEND``, and last the first
of ``cpp``, ``numba``, ``python`` that is installed. Only the last step chooses; the other three are requests, and a
request that cannot be met is an error, never a silent replacement. A kernel asks once, when it is constructed.
"""

from __future__ import annotations

import importlib.util
import os
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

from pyqmc_art.errors import BackendUnavailable, InputError, unknown

BACKENDS: Final = ("cuda", "cpp", "numba", "python")
"""Every backend there is, fastest first."""

_DEFAULT_ORDER: Final = ("cpp", "numba", "python")

_MODULES: Final = {"cuda": "pyqmc_art._cuda", "cpp": "pyqmc_art._core", "numba": "numba"}
"""The module whose presence means that a backend is installed; plain Python needs none."""

_PROVIDED_BY: Final = {
    "cuda": "install the CUDA toolkit and run `PYQMC_CUDA=1 pip install .` in the source folder",
    "cpp": "install a C++17 compiler and run `PYQMC_REQUIRE_NATIVE=1 pip install .` in the source folder",
    "numba": "run `pip install numba`",
}

_chosen: ContextVar[str | None] = ContextVar("pyqmc_art_backend", default=None)
_threads: ContextVar[int | None] = ContextVar("pyqmc_art_threads", default=None)


def list_available() -> tuple[str, ...]:
    """Return the names of the backends installed here, fastest first.

    Nothing is imported: only the presence of the modules is looked up.

    Returns
    -------
    tuple of str
        A part of `BACKENDS`; ``python`` is always in it.

    Examples
    --------
    >>> "python" in list_available()
    True
    """
    return tuple(name for name in BACKENDS if _is_available(name))


def resolve(backend: str | None = None) -> str:
    """Return the name of the backend to use.

    Parameters
    ----------
    backend : str, optional
        An explicit request; ``None`` asks `use_backend`, then ``PYQMC_BACKEND``, then takes the first installed.

    Returns
    -------
    str
        One of `BACKENDS`, installed here.

    Raises
    ------
    InputError
        If the requested name is unknown.
    BackendUnavailable
        If the requested backend is not installed here.

    Examples
    --------
    >>> resolve("python")
    'python'
    >>> resolve("pyton")
    Traceback (most recent call last):
    pyqmc_art.errors.InputError: unknown backend 'pyton'; did you mean 'python'? Known: cpp, cuda, numba, python
    """
    requests = (
        ("the argument backend", backend),
        ("use_backend", _chosen.get()),
        ("the environment variable PYQMC_BACKEND", os.environ.get("PYQMC_BACKEND") or None),
    )
    for origin, name in requests:
        if name is not None:
            return _require(name, origin)
    return next(name for name in _DEFAULT_ORDER if _is_available(name))


class use_backend:  # noqa: N801 - read as a verb: use_backend("numba"), or with use_backend("numba"): ...
    """Request a backend for everything constructed from here on, or inside a ``with`` block.

    The request holds in the current context (`contextvars`): another thread or task keeps its own.

    Parameters
    ----------
    name : str or None
        One of `BACKENDS`; ``None`` takes an earlier request back.

    Raises
    ------
    InputError
        If the name is unknown.
    BackendUnavailable
        If the backend is not installed here.

    Examples
    --------
    >>> with use_backend("python"):
    ...     resolve()
    'python'
    """

    def __init__(self, name: str | None) -> None:
        self.name = None if name is None else _require(name, "use_backend")
        self._before: Token[str | None] = _chosen.set(self.name)

    def __enter__(self) -> use_backend:
        """Return the request, which holds already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the request that held before."""
        _chosen.reset(self._before)


class use_threads:  # noqa: N801 - read as a verb: with use_threads(2): ...
    """Request a number of threads for everything in a ``with`` block that is not told another one.

    Parameters
    ----------
    threads : int or None
        At least 1; ``None`` requests nothing.

    Raises
    ------
    InputError
        For a number below 1.

    Examples
    --------
    >>> with use_threads(3):
    ...     default_threads()
    3
    """

    def __init__(self, threads: int | None) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}, expected at least 1")
        self.threads = threads
        self._before: Token[int | None] | None = None

    def __enter__(self) -> use_threads:
        """Hold the request from here on."""
        if self.threads is not None:
            self._before = _threads.set(self.threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the request that held before."""
        if self._before is not None:
            _threads.reset(self._before)


def default_threads() -> int:
    """Return the number of threads to use when nobody says: `use_threads`, ``OMP_NUM_THREADS``, or every usable core.

    Returns
    -------
    int
        At least 1. A result never depends on it, only the time it takes.

    Raises
    ------
    InputError
        If ``OMP_NUM_THREADS`` is set and not a positive integer.
    """
    asked = _threads.get()
    if asked is not None:
        return asked
    given = os.environ.get("OMP_NUM_THREADS", "").strip()
    if not given:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not (given.isascii() and given.isdecimal() and int(given) > 0):
        raise InputError(
            f"OMP_NUM_THREADS is {given!r}, expected a positive integer; unset it to use every core, or pass threads"
        )
    return int(given)


def _is_available(name: str) -> bool:
    return name not in _MODULES or importlib.util.find_spec(_MODULES[name]) is not None


def _require(name: str, origin: str) -> str:
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    if not _is_available(name):
        raise BackendUnavailable(
            f"backend {name!r}, asked for by {origin}, is not installed here; {_PROVIDED_BY[name]}, "
            f"or use one of: {', '.join(list_available())}"
        )
    return name
