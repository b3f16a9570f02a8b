"""Flows of fields: invertible, with the right density, symmetric; exact whether trained or not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

import pyqmc_art as qa  # noqa: E402
from pyqmc_art.errors import InputError  # noqa: E402
from pyqmc_art.lattice.geometry import Lattice  # noqa: E402
from pyqmc_art.lattice.scalar import Phi4  # noqa: E402
from pyqmc_art.proposals.couplings import AffineCoupling  # noqa: E402
from pyqmc_art.proposals.flow import Flow, FlowShape  # noqa: E402
from pyqmc_art.proposals.objectives import base_batches, evaluate_action, reverse_kl  # noqa: E402
from pyqmc_art.rng import Stream  # noqa: E402
from pyqmc_art.testing.fields import draw_fields  # noqa: E402
from pyqmc_art.testing.torus import TORUS, torus_p_value  # noqa: E402
from pyqmc_art.testing.verdict import BUDGET  # noqa: E402

STREAM = Stream.from_seed(8)
LN_Z = 0.914433978


def crooked(action: Phi4, plan: FlowShape, size: float = 0.4) -> Any:
    """Return a flow of random weights: trained to nothing sensible."""
    flow = Flow(action, plan, STREAM)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return flow


PLANS = [
    (TORUS, FlowShape(4, (4,))),
    (TORUS, FlowShape(3, (5, 4), "dense", equivariant=False)),
    (Phi4(Lattice((3, 4)), 0.5, 0.3, "D"), FlowShape(4, (4, 4), equivariant=False)),
    (Phi4(Lattice((5,)), -1.0, 1.0, "C"), FlowShape(3, (4,), mass=0.7)),
    (Phi4(Lattice((2, 2, 3)), -1.0, 1.0, "B"), FlowShape(3, (3,))),
    (Phi4(Lattice((2, 2, 2, 2)), 1.0, 1.0), FlowShape(2, (6,), "dense")),
]
IDS = ["conv", "dense", "odd extent", "one axis", "three axes", "four axes"]


@pytest.mark.parametrize(("action", "plan"), PLANS, ids=IDS)
def test_round_trip_and_determinant(action: Phi4, plan: FlowShape) -> None:
    """The log-determinant against autograd's Jacobian (networks in float64, so that both are precise)."""
    flow = crooked(action, plan)
    z = torch.from_numpy(flow.base.draw(STREAM, 5).field)
    phi, log_det = flow(z)
    back, log_back = flow.inverse(phi.detach())
    # Networks are float32, but what they read is the same up to rounding of float64.
    assert torch.allclose(back, z, atol=1e-5)
    assert torch.allclose(log_back, -log_det, atol=1e-4)
    exact = flow.double()
    one = z[:1]
    jacobian = torch.autograd.functional.jacobian(lambda x: exact(x)[0].flatten(), one).reshape(z[0].numel(), -1)
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(exact(one)[1].item(), abs=1e-9)
    assert torch.allclose(exact.inverse(exact(z)[0])[0], z, atol=1e-10)


@pytest.mark.parametrize(("action", "plan"), PLANS, ids=IDS)
def test_every_parameter_has_a_gradient_and_is_trained(action: Phi4, plan: FlowShape) -> None:
    flow = crooked(action, plan, 0.2)
    reverse_kl(action)(flow, base_batches(flow, 8, STREAM)(0)).backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name


def test_symmetries() -> None:
    """phi -> -phi where asked for, and even translations always, for convolutions."""
    action = Phi4(Lattice((4, 6)), -1, 1)
    z = torch.from_numpy(qa.FreeProposal(action).draw(STREAM, 4).field)
    even, plain = (crooked(action, FlowShape(4, (4, 4), equivariant=e)) for e in (True, False))
    for flow in (even, plain):
        phi, log_det = flow(z)
        moved, log_moved = flow(z.roll((1, 3), dims=(1, 2)))
        assert torch.allclose(moved, phi.roll((1, 3), dims=(1, 2)), atol=1e-5)
        assert torch.allclose(log_moved, log_det, atol=1e-4)
        mirrored, log_mirrored = flow(-z)
        is_odd = torch.allclose(mirrored, -phi, atol=1e-5) and torch.allclose(log_mirrored, log_det, atol=1e-4)
        assert is_odd == (flow is even)


def test_the_density_is_normalized() -> None:
    """The mean of exp(log r - log q) is 1 for every density r, here of a free field."""
    flow = crooked(TORUS, FlowShape(4, (4,)), 0.1)
    drawn = flow.draw(STREAM, 50_000)
    other = qa.FreeProposal(TORUS, 2.0)
    ratio = np.exp(other.encode(STREAM, drawn.field).log_ratio - drawn.log_ratio)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(len(ratio))


def test_single_precision_does_not_reach_the_weights() -> None:
    """log q of a draw and of the same field by inversion agree far better than float32 sums of this size would."""
    action = Phi4(Lattice((16, 16)), -4, 8)
    flow = crooked(action, FlowShape(8, (4, 4)), 0.05)
    drawn = flow.draw(STREAM, 4)
    again = flow.encode(STREAM, drawn.field)
    assert drawn.field.dtype == drawn.log_ratio.dtype == np.float64
    assert np.abs(again.log_ratio - drawn.log_ratio).max() < 1e-4
    np.testing.assert_array_equal(flow.draw(STREAM, 4).field, drawn.field)


@pytest.mark.parametrize(
    ("flow", "steps"),
    [
        (Flow(TORUS, FlowShape(4, (4,)), STREAM), 4),
        (crooked(TORUS, FlowShape(4, (4,)), 0.15), 4),
        (crooked(TORUS, FlowShape(3, (6,), "dense", equivariant=False), 0.15), 4),
    ],
    ids=["untrained", "badly trained", "badly trained, no symmetry"],
)
def test_exact_starts_stay_exact(flow: Any, steps: int) -> None:
    kernel = qa.Independence(TORUS, flow)
    mixed = qa.Composition([(1, qa.HMC(TORUS, 0.3, 2, threads=1)), (1, kernel)])
    for moved in (kernel, mixed):
        starts = draw_fields(TORUS, 20_000, STREAM.fold("starts"))
        state, _, _ = moved.advance(STREAM.fold("steps"), moved.init(starts), steps)
        assert BUDGET.passes(torus_p_value(TORUS, state.field))
        assert not np.array_equal(state.field, starts)


def test_a_forgotten_determinant_is_caught() -> None:
    """Forgotten both ways, as if couplings preserved volume; the scales must vary, for a constant would drop out."""
    flow = crooked(TORUS, FlowShape(3, (6,), "dense", equivariant=False), 0.1)
    with torch.no_grad():
        for layer in flow.layers:
            layer.net[-1].weight.mul_(3)

    def holds() -> bool:
        kernel = qa.Independence(TORUS, flow)
        state = kernel.init(draw_fields(TORUS, 60_000, STREAM.fold("starts")))
        return BUDGET.passes(torus_p_value(TORUS, kernel.advance(STREAM.fold("steps"), state, 8)[0].field))

    assert holds()
    for name in ("forward", "inverse"):
        right = getattr(flow, name)
        setattr(flow, name, lambda x, right=right: (right(x)[0], torch.zeros(len(x), dtype=torch.float64)))
    assert not holds()


@pytest.mark.parametrize("size", [0.0, 0.05])
def test_ln_z_of_the_torus(size: float) -> None:
    found = qa.judge_proposal(TORUS, crooked(TORUS, FlowShape(4, (4,)), size), 60_000)
    assert abs(found.log_partition.deviation(LN_Z)) < 5
    assert found.lower_bound.value < LN_Z


def test_the_gradient_of_the_action() -> None:
    action = Phi4(Lattice((3, 2)), -1.0, 0.7, "D")
    field = torch.randn(2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: evaluate_action(action, x), (field,))


def test_bad_input() -> None:
    with pytest.raises(InputError, match="layers is 0"):
        FlowShape(layers=0)
    with pytest.raises(InputError, match="hidden is"):
        Flow(TORUS, FlowShape(hidden=()))
    with pytest.raises(InputError, match="unknown network 'convv'"):
        AffineCoupling((2, 2), 0, (4,), "convv")
    with pytest.raises(InputError, match="use network 'dense'"):
        Flow(Phi4(Lattice((2, 2, 2, 2)), 1.0, 1.0))
    with pytest.raises(InputError, match="periodic"):
        Flow(replace(TORUS, lattice=Lattice((4, 4), boundary="open")))
