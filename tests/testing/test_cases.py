"""The catalogue: unique names, sizes as promised, nothing left out."""

from __future__ import annotations

import re

import pytest

from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import KINDS, Lattice
from pyqmc_art.lattice.kernels.compose import KERNELS
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import (
    ENERGIES,
    EXACT,
    IRREDUCIBLE,
    LADDERS,
    PORTABLE,
    REPRESENTATIVE,
    TIMED,
    Case,
    draw_cases,
    legal_kernels,
)
from pyqmc_art.testing.fields import FIELD_STARTS


def test_names_are_unique() -> None:
    for group in (EXACT, IRREDUCIBLE, LADDERS, PORTABLE, ENERGIES, TIMED):
        assert len({case.name for case in group}) == len(group)


def test_sizes() -> None:
    assert all(case.configurations <= 2**16 for case in (*EXACT, *LADDERS))
    assert all(case.configurations <= 4096 and case.action.lattice.sites <= 12 for case in IRREDUCIBLE)
    assert all(case in EXACT for case in REPRESENTATIVE)


def test_everything_can_be_built() -> None:
    for case in (*EXACT, *IRREDUCIBLE, *LADDERS, *PORTABLE, *ENERGIES, *TIMED):
        kernel = case.build(threads=1)
        assert kernel.targets == case.targets


FIELD_KERNELS = {"hmc", "overrelaxation"}
"""Kernels that only continuous fields have."""

LEARNED = {"flow", "blocked-flow", "vae-local"}
"""Kernels of a trained model; they are judged with proposals and networks that need no training."""


def test_every_kernel_is_there() -> None:
    for groups in ((EXACT, LADDERS), (ENERGIES,), (PORTABLE,), (REPRESENTATIVE, LADDERS)):
        assert {case.kernel for group in groups for case in group} >= set(KERNELS) - FIELD_KERNELS - LEARNED
    assert {part for case in FIELD_STARTS for part in re.findall(r"[a-z][\w-]+", case.kernel)} >= FIELD_KERNELS


def test_every_kind_of_model_is_there() -> None:
    lattices = [case.action.lattice for case in EXACT]
    assert {lattice.kind for lattice in lattices} == set(KINDS)
    assert {lattice.dimension for lattice in lattices} == {1, 2, 3, 4}
    assert {lattice.periodic for lattice in lattices} >= {(True, True), (False, False), (True, False), (False, True)}
    ising = [case.action for case in EXACT if isinstance(case.action, Ising)]
    assert {(a.J > 0, (a.h > 0) - (a.h < 0)) for a in ising} == {(j, h) for j in (True, False) for h in (-1, 0, 1)}
    assert {case.action.q for case in EXACT if isinstance(case.action, Potts)} >= {2, 3, 4, 5, 200}


def test_spin_sums_and_exact_values() -> None:
    free = Case("constrained", Ising(Lattice((4, 5)), 0.0), {"magnetization": 0.8})
    assert free.spin_sum == 16
    assert free.configurations == 190
    # All arrangements alike: <s s'> = (M^2 - V) / (V (V - 1)) on each of 2 V bonds.
    assert free.exact_values() == {"energy": (pytest.approx(-2 * (16**2 - 20) / (20 * 19)),)}
    inner = Case("tempering", Ising(Lattice((4, 4)), 0.4), {"ladder": (0.3, 0.4), "inner": "constrained"})
    assert inner.spin_sum == 0
    assert Case("wolff", Ising(Lattice((4, 4)), 0.4)).spin_sum is None
    in_field = Case("tempering", Ising(Lattice((4,)), 1.0, J=0.0, h=1.0), {"ladder": (0.3, 0.4)})
    assert in_field.exact_values()["magnetization"] == pytest.approx((0.2913126, 0.3799490))
    assert in_field.exact_values()["energy"] == pytest.approx((-0.2913126, -0.3799490))


def test_legal_kernels() -> None:
    assert legal_kernels(Ising(Lattice((4, 4)), 0.4)) == ("metropolis", "heat-bath", "swendsen-wang", "wolff")
    assert legal_kernels(Potts(Lattice((4, 4)), 3, 0.4, J=-1.0)) == ("metropolis", "heat-bath")
    assert legal_kernels(Potts(Lattice((4, 3)), 3, 0.4)) == ("swendsen-wang", "wolff")


def test_drawn_cases() -> None:
    drawn = draw_cases(Stream.from_seed(1), 40)
    assert drawn == draw_cases(Stream.from_seed(1), 40)
    assert drawn[:3] == draw_cases(Stream.from_seed(1), 3)
    assert drawn != draw_cases(Stream.from_seed(2), 40)
    assert {case.kernel for case in drawn} == {"metropolis", "heat-bath", "swendsen-wang", "wolff"}
    assert len({case.action.lattice.shape for case in drawn}) > 30
