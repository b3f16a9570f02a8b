"""Judgements of continuous fields: the exact draws are exact, and broken kernels are caught."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.field_exact import transfer_operator
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.custom import CustomKernel
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops import plain_scalar
from pyqmc_art.protocols import Info, State
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.field_trials import judge_flow, plan_fields
from pyqmc_art.testing.fields import FIELD_STARTS, draw_fields, field_start_p_value, same_law
from pyqmc_art.testing.verdict import BUDGET

TORUS = Phi4(Lattice((2, 2)), -4.0, 8.0)
CASE = Case("hmc", TORUS, {"trajectory": 0.7, "md_steps": 8})
N = 30_000
STREAM = Stream.from_seed(21)


@pytest.mark.parametrize("action", [TORUS, Phi4(Lattice((4,)), 0.3, 0.5, "D"), Phi4(Lattice((3, 2)), 0.8, 0.0)])
def test_exact_draws_have_the_exact_averages(action: Phi4) -> None:
    fields = draw_fields(action, N, STREAM)
    squares = (fields**2).reshape(N, -1).mean(axis=1)
    error = squares.std() / np.sqrt(N)
    assert abs(squares.mean() - transfer_operator(action).phi2) < 5 * error


def test_exact_draws_of_unit_vectors() -> None:
    """Two XY spins with one bond: <s . s'> = I_1 / I_0."""
    action = ON(Lattice((2,), boundary="open"), n=2, beta=1.0)
    fields = draw_fields(action, N, STREAM)
    action.space.check(fields, (2,))
    products = (fields[:, 0] * fields[:, 1]).sum(axis=1)
    assert abs(products.mean() - 0.4463899658965345) < 5 * products.std() / np.sqrt(N)


def test_a_lattice_too_large_for_exact_draws_is_refused() -> None:
    with pytest.raises(InputError, match="are accepted"):
        draw_fields(Phi4(Lattice((8, 8)), -4.0, 8.0), 10, STREAM)


def test_the_same_law_and_another_one() -> None:
    one, two = draw_fields(TORUS, N, STREAM), draw_fields(TORUS, N, STREAM.fold("other"))
    assert BUDGET.passes(same_law(TORUS, one, two))
    assert not BUDGET.passes(same_law(TORUS, one, draw_fields(replace(TORUS, lam=8.4), N, STREAM.fold("other"))))


class Stale(HMC):
    """Uses the momenta of the first trajectory for all others."""

    def _run(self, batch: Any) -> None:
        for _ in range(batch.steps):
            super()._run(replace(batch, first_step=0, steps=1))


class OffCoupling(HMC):
    """Decides by another quartic coupling."""

    def _prepare(self) -> None:
        super()._prepare()
        self._couplings[:, 2] *= 1.05


class Scaling(CustomKernel):
    """Stretches the whole field; the decision needs the Jacobian."""

    name = "scaling"
    jacobian = True

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        here = stream.at(state.step)
        count = len(state.field)
        factor = np.exp(0.3 * (2 * here.uniform("user", np.arange(1), count)[:, 0] - 1))
        new = state.field * factor[:, None, None]
        log_ratio = self.action(state.field) - self.action(new)
        if self.jacobian:
            log_ratio = log_ratio + self.action.lattice.sites * np.log(factor)
        accept = here.uniform("user", np.arange(1, 2), count)[:, 0] < np.exp(np.minimum(0, log_ratio))
        state.field[accept] = new[accept]
        state.step += 1
        return state, {"acceptance": float(accept.mean())}


class WithoutJacobian(Scaling):
    jacobian = False


def p_value(kernel: Any) -> float:
    return field_start_p_value(CASE, kernel, N, STREAM, 6)


def test_stale_momenta_are_caught() -> None:
    assert not BUDGET.passes(p_value(Stale(TORUS, 0.7, 8, threads=1)))
    assert BUDGET.passes(p_value(HMC(TORUS, 0.7, 8, threads=1)))


def test_a_coupling_off_by_five_percent_is_caught() -> None:
    assert not BUDGET.passes(p_value(OffCoupling(TORUS, 0.7, 8, threads=1)))


def test_a_missing_jacobian_is_caught() -> None:
    assert not BUDGET.passes(p_value(WithoutJacobian(TORUS)))
    assert BUDGET.passes(p_value(Scaling(TORUS)))


def test_a_wrong_neighbour_in_the_force_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chain is exact all the same; but the energy error is no longer of the order of the integrator."""
    from pyqmc_art.lattice.kernels.integrators import INTEGRATORS

    right = plain_scalar.force

    def wrong(phi: Any, neighbours: Any, couplings: Any, i: int) -> float:
        table = neighbours.copy()
        table[i, 0] = table[i, 1]
        return right(phi, table, couplings, i)

    assert all(row.sound for row in judge_flow(INTEGRATORS["leapfrog"]))
    monkeypatch.setattr(plain_scalar, "force", wrong)
    assert not all(row.sound for row in judge_flow(INTEGRATORS["leapfrog"]))


@pytest.mark.parametrize("case", FIELD_STARTS, ids=lambda case: case.name)
def test_exact_starts_stay_exact(case: Case) -> None:
    assert BUDGET.passes(field_start_p_value(case, case.build(threads=1), 10_000, STREAM, 4))


def test_the_plan_of_the_certificate_holds_and_fails() -> None:
    """A small plan: every row of a right kernel holds, a broken builder fails some."""

    def broken(case: Case) -> Any:
        return OffCoupling(case.action, threads=1, **case.options) if case.kernel == "hmc" else case.build()

    for build, holds in ((Case.build, True), (broken, False)):
        rows = [row for trial in plan_fields(STREAM, build, 6000, 4, 4, 600) for row in trial()]
        sound = [row.sound and (row.p_value is None or row.p_value > 1e-7) for row in rows]
        assert all(sound) == holds
