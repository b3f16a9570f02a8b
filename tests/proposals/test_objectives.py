"""What flows are trained for: gradients that agree on average, couplings that move, fields of the target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

import pyqmc_art as qa  # noqa: E402
from pyqmc_art.errors import InputError  # noqa: E402
from pyqmc_art.proposals.curriculum import Curriculum  # noqa: E402
from pyqmc_art.proposals.flow import Flow, FlowShape  # noqa: E402
from pyqmc_art.proposals.objectives import FlowObjective, flow_batches  # noqa: E402
from pyqmc_art.proposals.samples import draw_samples, read_samples  # noqa: E402
from pyqmc_art.rng import Stream  # noqa: E402
from pyqmc_art.testing.torus import TORUS, torus_p_value  # noqa: E402
from pyqmc_art.testing.verdict import BUDGET  # noqa: E402

STREAM = Stream.from_seed(12)
MIXED = FlowShape(2, (3,), equivariant=False, mixture=True)


def crooked(plan: FlowShape, size: float = 0.2) -> Any:
    flow = Flow(TORUS, plan, STREAM)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return flow


def gradients(flow: Any, objective: FlowObjective, count: int, fields: Any = None) -> Any:
    """Gradients of many batches, shape (count, parameters)."""
    batches, found = flow_batches(flow, 64, STREAM, fields), []
    for number in range(count):
        flow.zero_grad()
        objective(flow, batches(number)).backward()
        found.append(torch.cat([p.grad.flatten() for p in flow.parameters()]).double().numpy())
    return np.array(found)


@pytest.mark.parametrize("plan", [FlowShape(2, (3,)), MIXED], ids=["equivariant", "mixture"])
def test_path_gradients_agree_with_plain_ones_on_average(plan: FlowShape) -> None:
    """The term that is left out has the mean zero."""
    flow, targets = crooked(plan), Curriculum(TORUS)
    one, two = (gradients(flow, FlowObjective(targets, path=path), 100) for path in (False, True))
    error = np.hypot(one.std(axis=0), two.std(axis=0)) / np.sqrt(100)
    deviation = (one.mean(axis=0) - two.mean(axis=0)) / np.maximum(error, 1e-12)
    assert np.abs(deviation).max() < 5
    assert np.abs(one.mean(axis=0) / np.maximum(error, 1e-12)).max() > 10


def test_path_gradients_vanish_where_the_flow_is_the_target() -> None:
    """A flow that does nothing is exact for its own base; then every path gradient is zero, plain ones are not."""
    free = qa.Phi4(qa.Lattice((2, 2)), 1.0, 0.0)
    flow = Flow(free, FlowShape(2, (3,), mass=1.0), STREAM)
    with torch.no_grad():
        for layer in flow.layers:
            layer.net[-1].weight.zero_()
    plain, path = (gradients(flow, FlowObjective(Curriculum(free), path=path), 3) for path in (False, True))
    assert np.abs(path).max() < 1e-6
    assert np.abs(plain).max() > 1e-3


def test_the_forward_divergence_falls_and_has_the_right_slope() -> None:
    """Its gradient against differences, on a flow of float64."""
    flow = crooked(MIXED).double()
    fields = draw_samples(TORUS, 2, STREAM.fold("fields"), 1).reshape(-1, 2, 2)
    objective, batch = FlowObjective(Curriculum(TORUS), forward=1.0), flow_batches(flow, 32, STREAM, fields)(3)
    objective(flow, batch).backward()
    weight = flow.layers[0].net[0].weight
    slope = float(weight.grad.flatten()[2])
    values = []
    for step in (1e-5, -2e-5):
        with torch.no_grad():
            weight.view(-1)[2] += step
        values.append(float(objective(flow, batch).detach()))
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


def test_shares_add_up_and_batches_are_functions_of_their_number() -> None:
    flow = crooked(FlowShape(2, (3,)))
    fields = draw_samples(TORUS, 1, STREAM, 1).reshape(-1, 2, 2)
    batches = flow_batches(flow, 16, STREAM, fields)
    for one, two in zip(batches(5)[1:], batches(5)[1:], strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(batches(5)[3], batches(6)[3])
    values = [float(FlowObjective(Curriculum(TORUS), share)(flow, batches(5)).detach()) for share in (0.0, 0.25, 1.0)]
    assert values[1] == pytest.approx(0.75 * values[0] + 0.25 * values[2])


def test_targets_of_every_step() -> None:
    ramp = Curriculum(TORUS, {"m2": -2.0, "lam": 4.0}, ramp=10)
    assert [ramp.at(step).m2 for step in (0, 5, 10, 11)] == [-2.0, -3.0, -4.0, -4.0]
    assert ramp.at(10) == ramp.at(99) == TORUS
    plan = FlowShape(condition=((-5.0, -3.0), (7.0, 9.0)))
    drawn = [Curriculum(TORUS, plan=plan, stream=STREAM).at(step) for step in range(200)]
    assert drawn[3] == Curriculum(TORUS, plan=plan, stream=STREAM).at(3)
    assert abs(np.mean([a.m2 for a in drawn]) + 4) < 0.25
    assert {a.lattice for a in drawn} == {TORUS.lattice}
    assert -5 <= min(a.m2 for a in drawn) < -4.9
    with pytest.raises(InputError, match="unknown coupling 'lamb'; did you mean 'lam'"):
        Curriculum(TORUS, {"lamb": 1.0}, ramp=1)
    with pytest.raises(InputError, match="has 0 steps"):
        Curriculum(TORUS, {"lam": 1.0})
    with pytest.raises(InputError, match="leave the ramp out"):
        Curriculum(TORUS, {"lam": 1.0}, 5, plan)
    with pytest.raises(InputError, match="lam is -1"):
        Curriculum(TORUS, {"lam": -1.0}, ramp=5)


@pytest.mark.parametrize("convention", ["A", "C", "D"])
def test_chains_are_of_the_target(convention: str) -> None:
    action = TORUS.to(convention)
    fields = draw_samples(action, 60, STREAM.fold("chains"), 1)
    assert fields.shape == (60, 64, 2, 2)
    plain = action.convert(fields, "A")
    phi2 = (plain**2).mean(axis=(0, 2, 3))
    assert abs(phi2.mean() - 0.1714344) < 5 * phi2.std() / 8
    assert BUDGET.passes(torus_p_value(TORUS, plain[-1])) or len(plain[-1]) < 200


def test_runs_give_their_fields(tmp_path: Path) -> None:
    run, bare = tmp_path / "run.h5", tmp_path / "bare.h5"
    qa.sample(TORUS, qa.HMC(TORUS, threads=1), steps=20, warmup=5, replicas=3, save_every=5, out=run)
    qa.sample(TORUS, qa.HMC(TORUS, threads=1), steps=20, warmup=5, out=bare)
    assert read_samples(run, TORUS).shape == (4, 3, 2, 2)
    with pytest.raises(InputError, match=r"lam 8\.0 -> 7\.0"):
        read_samples(run, replace(TORUS, lam=7.0))
    with pytest.raises(InputError, match="save-every"):
        read_samples(bare, TORUS)
