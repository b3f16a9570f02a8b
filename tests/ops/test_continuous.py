"""Numbers of continuous fields: their functions, and memory checks at the border."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.ops import plain_real
from pyqmc_art.ops.continuous import operations

needs_core = pytest.mark.skipif("cpp" not in list_available(), reason="the compiled module is not installed")
UNIFORM = np.random.default_rng(1).uniform(size=2000)


def test_functions_are_those_of_the_library() -> None:
    for u in UNIFORM.tolist():
        assert plain_real.log_of(u) == pytest.approx(math.log(u), rel=4e-16)
        assert plain_real.exp_of(-30 * u) == pytest.approx(math.exp(-30 * u), rel=6e-16)
        cosine, sine = plain_real.circle_at(u)
        assert cosine == pytest.approx(math.cos(2 * math.pi * u), abs=7e-16)
        assert sine == pytest.approx(math.sin(2 * math.pi * u), abs=7e-16)
    assert plain_real.exp_of(-1e9) == pytest.approx(math.exp(-708), rel=1e-12)
    assert plain_real.log_of(1.0) == 0.0


@needs_core
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("field", np.zeros((2, 4, 1), np.float32), "float32"),
        ("field", np.zeros((2, 5, 1)), "shape"),
        ("field", np.zeros((2, 4)), "batch, sites, components"),
        ("couplings", np.zeros((1, 2)), "couplings has shape"),
        ("couplings", np.zeros((3, 3)), "divisible by rungs"),
        ("tally", np.zeros(3, np.int64), "tally has shape"),
        ("sums", np.zeros((1, 2, 4)), "sums has shape"),
        ("neighbours", np.full((4, 4), 9, np.int32), "does not exist"),
    ],
)
def test_memory_is_checked(name: str, value: object, message: str) -> None:
    from pyqmc_art import _core  # type: ignore[attr-defined]

    lattice = Lattice((2, 2))
    given = {
        "neighbours": lattice.neighbours,
        "field": np.zeros((2, 4, 1)),
        "couplings": np.ones((1, 3)),
        "sums": np.zeros((1, 2, 5)),
        "tally": np.zeros(2, np.int64),
        name: value,
    }
    numbers = {"key": 1, "first_replica": 0, "first_step": 0, "steps": 1, "every": 1, "threads": 1}
    with pytest.raises(InputError, match=message):
        _core.FieldBatch(_core.Lattice("square", [2, 2], [True, True]), **given, **numbers)


def test_there_is_no_other_backend() -> None:
    with pytest.raises(InputError, match="continuous fields"):
        operations("cuda")
