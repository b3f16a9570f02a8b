"""Printing, comparing and exporting of Estimates."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Measured
from pyqmc_art.stats.estimate import Estimate

BRACKETS = re.compile(r"(-?\d+(?:\.(\d+))?)\((\d+(?:\.\d+)?)\)(?:e([+-]\d\d+))?")


@pytest.mark.parametrize(
    ("value", "error", "printed"),
    [
        (0.44063, 0.0003, "0.4406(3)"),
        (-1.4336585, 0.00012, "-1.43366(12)"),
        (0.5, 0.0096, "0.500(10)"),
        (0.5, 0.00196, "0.500(2)"),
        (12.34, 1.24, "12.3(1.2)"),
        (12.34, 3.2, "12(3)"),
        (12345.0, 321.0, "12300(300)"),
        (12345.0, 123.0, "12340(120)"),
        (1.5e9, 2e6, "1.500(2)e+09"),
        (3.1e-9, 2e-11, "3.10(2)e-09"),
        (0.0, 0.3, "0.0(3)"),
        (-0.01, 0.3, "0.0(3)"),
        (1e-9, 0.3, "0.0(3)"),
        (0.0, 3e-7, "0(3)e-07"),
        (1.0, 25.0, "0(20)"),
        (1.5, 0.0, "1.5(0)"),
        (-0.44063, math.nan, "-0.44063(nan)"),
        (1.0, math.inf, "1(inf)"),
        (math.nan, 0.1, "nan"),
        (-math.inf, 0.1, "-inf"),
        (1e20, 1e-20, "1.0000000000000000(0)e+20"),
    ],
)
def test_printing(value: float, error: float, printed: str) -> None:
    assert str(Estimate(value, error)) == printed


def parse(printed: str) -> tuple[float, float, float]:
    """Value, error and unit of the last printed digit."""
    match = BRACKETS.fullmatch(printed)
    assert match, printed
    number, decimals, bracket, exponent = match.groups()
    scale = 10.0 ** int(exponent or 0)
    unit = 10.0 ** -len(decimals or "")
    error = float(bracket) * (1.0 if "." in bracket or not decimals or float(bracket) < 1 else unit)
    return float(number) * scale, error * scale, unit * scale


magnitudes = st.floats(min_value=1e-200, max_value=1e200)


@given(value=magnitudes, sign=st.sampled_from([-1.0, 0.0, 1.0]), ratio=st.floats(min_value=1e-14, max_value=1e6))
def test_what_is_printed_is_the_rounded_truth(value: float, sign: float, ratio: float) -> None:
    error = value * ratio
    shown, shown_error, unit = parse(str(Estimate(sign * value, error)))
    # One digit, or two starting with a 1 (0.95 to 1.95): off by at most half a unit in 2, half in 10 just below 2.
    assert shown_error == pytest.approx(error, rel=0.26)
    # The last digit of a number without decimals may stand left of the point.
    assert abs(shown - sign * value) <= 0.5001 * max(unit, shown_error)


@given(value=magnitudes, ratio=st.floats(min_value=1e-12, max_value=1e3))
def test_printing_what_was_printed_changes_nothing(value: float, ratio: float) -> None:
    printed = str(Estimate(value, value * ratio))
    shown, shown_error, _ = parse(printed)
    assert str(Estimate(shown, float(f"{shown_error:.3g}"))) == printed


@given(st.floats(), st.one_of(st.none(), st.floats(min_value=0), st.just(math.nan)))
def test_anything_prints_and_goes_to_strict_json(value: float, error: float | None) -> None:
    estimate = Estimate(value, error)
    assert str(estimate)
    json.dumps(estimate.to_dict(details=True), allow_nan=False)


def test_keys_of_the_dictionary() -> None:
    keys = ["value", "error", "tau_int", "tau_int_error", "n", "ess"]
    assert list(Estimate(1.0, 0.1).to_dict()) == keys
    detailed = Estimate(np.float64(1.0), np.float64(0.1), warnings=("short",)).to_dict(details=True)
    assert list(detailed) == [*keys, "error_error", "window", "replica_q", "warnings"]
    assert detailed["warnings"] == ["short"]
    assert type(detailed["value"]) is float


def test_unknown_error() -> None:
    estimate = Estimate(1.0, None)
    assert math.isnan(estimate.error)
    assert estimate.to_dict()["error"] is None
    assert math.isnan(estimate.deviation(1.0))


def test_negative_error_is_refused() -> None:
    with pytest.raises(InputError, match="never negative"):
        Estimate(1.0, -0.1)


def test_deviation() -> None:
    assert Estimate(1.3, 0.1).deviation(1.0) == pytest.approx(3.0)
    assert Estimate(0.7, 0.3).deviation(Estimate(1.2, 0.4)) == pytest.approx(-1.0)
    assert Estimate(1.0, 0.0).deviation(1.0) == 0.0
    assert Estimate(1.0, 0.0).deviation(2.0) == -math.inf


def test_it_is_measured_and_aligns_in_tables() -> None:
    assert isinstance(Estimate(1.0, 0.1), Measured)
    assert f"{Estimate(0.44063, 0.0003):>12}|" == "   0.4406(3)|"


def test_reliable_means_no_warnings() -> None:
    assert Estimate(1.0, 0.1).reliable
    assert not Estimate(1.0, 0.1, warnings=("too short",)).reliable
