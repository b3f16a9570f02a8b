"""A measured number: value, standard error and how they came about."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Any, Final

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Measured

_DIGITS_OF_A_DOUBLE: Final = 17
_PLAIN_EXPONENTS: Final = range(-5, 7)
"""Powers of ten of the larger of value and error that are printed without an exponent."""


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error; ``str`` prints ``0.4406(3)``.

    Parameters
    ----------
    value : the estimate
    error : standard error (one sigma), not negative; nan (or None) where it is not known
    tau_int : integrated autocorrelation time in steps (1/2 of a step for independent steps); None for a series
        without variance and for numbers that are no time averages
    tau_int_error : standard error of ``tau_int``
    n : number of measurements, summed over the replicas
    ess : effective sample size ``n / (2 tau)`` with tau in units of measurements
    error_error : standard error of ``error``
    window : summation window of the autocorrelation function, in measurements
    replica_q : probability that replicas scatter as much as these or more, if they sample the same target
    warnings : why the error should not be trusted; empty when nothing is known against it

    Raises
    ------
    InputError
        If the error is negative.

    Examples
    --------
    >>> print(Estimate(0.44063, 0.0003))
    0.4406(3)
    >>> print(Estimate(-1.43366, 0.00012), Estimate(12.34, 1.24), Estimate(3.1e-9, 2e-11))
    -1.43366(12) 12.3(1.2) 3.10(2)e-09
    >>> Estimate(1.5, 0.25).deviation(1.0)
    2.0
    """

    value: float
    error: float = math.nan
    tau_int: float | None = None
    tau_int_error: float | None = None
    n: int | None = None
    ess: float | None = None
    error_error: float | None = None
    window: int | None = None
    replica_q: float | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Store plain floats, and nan for an error that is not known."""
        object.__setattr__(self, "value", float(self.value))
        object.__setattr__(self, "error", math.nan if self.error is None else float(self.error))
        if self.error < 0:
            raise InputError(f"error is {self.error}; expected a standard error, which is never negative")

    @property
    def reliable(self) -> bool:
        """Whether nothing is known against the error; ``warnings`` says what is."""
        return not self.warnings

    def __str__(self) -> str:
        """Return ``0.4406(3)``."""
        return _bracket_notation(self.value, self.error)

    def __format__(self, spec: str) -> str:
        """Pad and align as text."""
        return format(str(self), spec)

    def deviation(self, exact: float | Measured) -> float:
        """Return how many sigmas the value lies above an exact number or an independent measurement.

        Parameters
        ----------
        exact : the number to compare with; if it has an error, the two are added in quadrature

        Returns
        -------
        ``(value - exact) / sigma``; 0 or plus/minus infinity if sigma is 0, nan if it is not known

        Examples
        --------
        >>> Estimate(1.5, 0.3).deviation(Estimate(1.0, 0.4))
        1.0
        """
        target, other = (exact.value, exact.error) if isinstance(exact, Measured) else (float(exact), 0.0)
        difference, sigma = self.value - target, math.hypot(self.error, other)
        if sigma == 0.0:
            return 0.0 if difference == 0.0 else math.copysign(math.inf, difference)
        return difference / sigma

    def to_dict(self, details: bool = False) -> dict[str, Any]:
        """Return the numbers as JSON can hold them: what is not finite becomes None.

        Parameters
        ----------
        details : add the error of the error, the window, the replica Q and the warnings

        Examples
        --------
        >>> Estimate(1.0, float("nan"), n=10).to_dict()
        {'value': 1.0, 'error': None, 'tau_int': None, 'tau_int_error': None, 'n': 10, 'ess': None}
        """
        names = ["value", "error", "tau_int", "tau_int_error", "n", "ess"]
        if details:
            names += ["error_error", "window", "replica_q"]
        numbers: dict[str, Any] = {name: _json_number(getattr(self, name)) for name in names}
        return numbers | {"warnings": list(self.warnings)} if details else numbers


def _json_number(number: float | int | None) -> float | int | None:
    if number is None or not math.isfinite(number):
        return None
    return int(number) if isinstance(number, int) else float(number)


def _bracket_notation(value: float, error: float) -> str:
    """``0.4406(3)``: one digit of the error, two when the first is a 1."""
    if not math.isfinite(value):
        return str(value)
    if error == 0.0 or not math.isfinite(error):
        return f"{value:.10g}({error:g})"
    with localcontext(Context(prec=60)):
        number, sigma = Decimal(repr(value)), Decimal(repr(error))
        place = _last_place(sigma)
        if number:  # no digits that a double does not have
            place = max(place, number.adjusted() - _DIGITS_OF_A_DOUBLE + 1)
        number, sigma = _rounded(number, place), _rounded(sigma, place)
        exponent = max(x.adjusted() for x in (number, sigma) if x)
        if exponent in _PLAIN_EXPONENTS:
            return _plain(number, sigma, place)
        return f"{_plain(number.scaleb(-exponent), sigma.scaleb(-exponent), place - exponent)}e{exponent:+03d}"


def _last_place(sigma: Decimal) -> int:
    """Power of ten of the last digit worth printing; stable under its own rounding (0.00196 is 0.002, not 0.0020)."""
    place = sigma.adjusted() - int(sigma.as_tuple().digits[0] == 1)
    rounded = _rounded(sigma, place)
    return rounded.adjusted() - int(rounded.as_tuple().digits[0] == 1)


def _rounded(number: Decimal, place: int) -> Decimal:
    return number.quantize(Decimal((0, (1,), place)))


def _plain(number: Decimal, sigma: Decimal, place: int) -> str:
    decimals = max(0, -place)
    if decimals and sigma < 1:  # in units of the last digit
        sigma = sigma.scaleb(decimals)
        return f"{number:z.{decimals}f}({sigma:.0f})"
    return f"{number:z.{decimals}f}({sigma:.{decimals}f})"
