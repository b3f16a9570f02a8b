"""Every error this package raises on purpose.

A message says what was given, what was expected and what to do; the command line prints it as it is and
turns the class into an exit status.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PyqmcError(Exception):
    """Root of all errors raised on purpose; ``exit_status`` is what the command line ends with."""

    exit_status = 1


class InputError(PyqmcError, ValueError):
    """Something the user gave cannot be used; nothing was computed, written or overwritten."""

    exit_status = 2


class BackendUnavailable(InputError):
    """A backend was asked for by name and is not installed here; an explicit request never falls back."""


class DeviceError(PyqmcError):
    """A device ran out of memory or failed; what it was given is as it was before."""


class StoreError(PyqmcError):
    """A file could not be read or written; what was stored up to the last block is still readable."""


class NumericalError(PyqmcError):
    """A field or a series stopped being finite."""


class Interrupted(PyqmcError):
    """The user stopped a run that can be resumed."""

    exit_status = 3


def unknown(what: str, given: object, known: Iterable[str]) -> InputError:
    """Build the error for a name that is not in a list, naming the nearest one that is.

    Examples
    --------
    >>> raise unknown("kernel", "metropilis", ["metropolis", "wolff"])
    Traceback (most recent call last):
    pyqmc_art.errors.InputError: unknown kernel 'metropilis'; did you mean 'metropolis'? Known: metropolis, wolff
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]!r}?" if near else "."
    return InputError(f"unknown {what} {given!r}{guess} Known: {', '.join(names)}")
