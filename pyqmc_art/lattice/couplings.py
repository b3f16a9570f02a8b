"""Checks of couplings."""

from __future__ import annotations

import math

from pyqmc_art.errors import InputError


def finite(name: str, value: object) -> float:
    """Return a coupling as a finite float, or say what is wrong with it."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise InputError(f"{name} is {value!r}; expected a finite number")
    return number


def whole(name: str, value: object, least: int, most: int) -> int:
    """Return a whole number between two bounds, or say what is wrong with it."""
    # A large whole number would be rounded on its way to a float and back.
    number = value if isinstance(value, int) and not isinstance(value, bool) else finite(name, value)
    if number != int(number) or not least <= number <= most:
        raise InputError(f"{name} is {value!r}; expected a whole number from {least} to {most}")
    return int(number)
