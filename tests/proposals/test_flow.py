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
from pyqmc_art.backends import list_available  # noqa: E402
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
    # A differential equation of velocities this large would need more steps than a test has; splines become steep.
    size = size / {"affine": 1, "spline": 4, "continuous": 8}[plan.kind]
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return flow


RANGES = ((-4.5, -3.0), (7.0, 9.0))
PLANS = {
    "conv": (TORUS, FlowShape(4, (4,))),
    "dense": (TORUS, FlowShape(3, (5, 4), "dense", equivariant=False)),
    "odd extent": (Phi4(Lattice((3, 4)), 0.5, 0.3, "D"), FlowShape(4, (4, 4), equivariant=False)),
    "one axis": (Phi4(Lattice((5,)), -1.0, 1.0, "C"), FlowShape(3, (4,), mass=0.7)),
    "three axes": (Phi4(Lattice((2, 2, 3)), -1.0, 1.0, "B"), FlowShape(3, (3,))),
    "four axes": (Phi4(Lattice((2, 2, 2, 2)), 1.0, 1.0), FlowShape(2, (6,), "dense")),
    "four axes, conv": (Phi4(Lattice((2, 2, 2, 3)), 1.0, 1.0), FlowShape(2, (3,), equivariant=False)),
    "spline": (TORUS, FlowShape(3, (4,), kind="spline", bins=4)),
    "spline, no symmetry": (Phi4(Lattice((3, 2)), -1.0, 1.0), FlowShape(3, (4,), equivariant=False, kind="spline")),
    "fourier": (Phi4(Lattice((4, 3)), -1.0, 1.0, "D"), FlowShape(2, (4,), fourier=True)),
    "continuous": (TORUS, FlowShape(24, kind="continuous", bins=3)),
    "continuous, one axis": (
        Phi4(Lattice((5,)), 1.0, 1.0, "B"),
        FlowShape(24, kind="continuous", bins=3, fourier=True),
    ),
    "ranges": (TORUS, FlowShape(3, (4,), fourier=True, condition=RANGES)),
    "ranges, spline": (TORUS, FlowShape(2, (4,), equivariant=False, kind="spline", condition=RANGES)),
    "ranges, continuous": (TORUS, FlowShape(24, kind="continuous", bins=2, condition=RANGES)),
}
ALL = pytest.mark.parametrize(("action", "plan"), PLANS.values(), ids=PLANS.keys())


@ALL
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
    # The steps of an integrator leave an error of their fourth power; everything else is exact.
    near = 1e-5 if plan.kind == "continuous" else 1e-9
    jacobian = torch.autograd.functional.jacobian(lambda x: exact(x)[0].flatten(), one).reshape(z[0].numel(), -1)
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(exact(one)[1].item(), abs=near)
    assert torch.allclose(exact.inverse(exact(z)[0])[0], z, atol=near)
    assert abs(exact(one)[1].item()) > 1e-3


@ALL
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
        (Flow(TORUS, FlowShape(2, (4,), kind="spline", bins=4), STREAM), 4),
        (crooked(TORUS, FlowShape(2, (4,), kind="spline", bins=4), 0.1), 4),
        (crooked(TORUS, FlowShape(2, (4,), fourier=True), 0.15), 4),
        (Flow(TORUS, FlowShape(6, kind="continuous", bins=2), STREAM), 4),
        (crooked(TORUS, FlowShape(6, kind="continuous", bins=2), 0.4), 4),
        (crooked(TORUS, FlowShape(2, (4,), equivariant=False, mixture=True), 0.2), 4),
        (crooked(TORUS, FlowShape(2, (4,), condition=RANGES), 0.15), 4),
    ],
    ids=[
        "untrained", "badly trained", "no symmetry", "spline, untrained", "spline", "fourier", "continuous, untrained",
        "continuous", "mixture", "ranges",
    ],
)  # fmt: skip
def test_exact_starts_stay_exact(flow: Any, steps: int) -> None:
    kernel = qa.Independence(TORUS, flow)
    mixed = qa.Composition([(1, qa.HMC(TORUS, 0.3, 2, threads=1)), (1, kernel)])
    for moved in (kernel, mixed):
        starts = draw_fields(TORUS, 10_000, STREAM.fold("starts"))
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
        setattr(flow, name, lambda x, c=None, right=right: (right(x)[0], torch.zeros(len(x), dtype=torch.float64)))
    assert not holds()


@pytest.mark.parametrize("size", [0.0, 0.05])
def test_ln_z_of_the_torus(size: float) -> None:
    found = qa.judge_proposal(TORUS, crooked(TORUS, FlowShape(4, (4,)), size), 60_000)
    assert abs(found.log_partition.deviation(LN_Z)) < 5
    assert found.lower_bound.value < LN_Z


@pytest.mark.skipif("cpp" not in list_available(), reason="the compiled module is not built")
@pytest.mark.parametrize("name", ["conv", "odd extent", "three axes", "four axes, conv", "spline", "ranges"])
def test_compiled_networks_are_the_networks_of_torch(name: str) -> None:
    """Fields, densities and all gradients to the precision of float32."""
    flow, found = crooked(*PLANS[name], 0.2), {}
    for backend in ("cpp", "python"):
        with qa.use_backend(backend):
            flow.zero_grad()
            loss = reverse_kl(flow.action)(flow, base_batches(flow, 21, STREAM)(0))
            loss.backward()
            slopes = torch.cat([p.grad.flatten().double() for p in flow.parameters()])
            found[backend] = (float(loss.detach()), slopes, flow.draw(STREAM, 5).field)
    one, two = found["cpp"], found["python"]
    assert one[0] == pytest.approx(two[0], rel=1e-4)
    assert float((one[1] - two[1]).abs().max()) < 1e-3 * float(two[1].abs().max())
    np.testing.assert_allclose(one[2], two[2], atol=1e-4)
    assert not np.array_equal(one[2], two[2])


def test_the_gradient_of_the_action() -> None:
    action = Phi4(Lattice((3, 2)), -1.0, 0.7, "D")
    field = torch.randn(2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: evaluate_action(action, x), (field,))


def test_the_mixture_is_symmetric_and_both_halves_count() -> None:
    """log q of the mixture is the mean of the density of a field and of its mirror image."""
    flow = crooked(TORUS, FlowShape(2, (4,), equivariant=False, mixture=True), 0.3)
    drawn = flow.draw(STREAM, 2000)
    plain = crooked(TORUS, FlowShape(2, (4,), equivariant=False), 0.3)
    both = [plain.encode(STREAM, sign * drawn.field).log_ratio for sign in (1, -1)]
    np.testing.assert_allclose(drawn.log_ratio, np.logaddexp(*both) - math.log(2), atol=1e-5)
    np.testing.assert_allclose(flow.encode(STREAM, -drawn.field).log_ratio, drawn.log_ratio, atol=1e-5)
    assert np.abs(both[0] - both[1]).max() > 0.5
    # The plain flow prefers one sign; the draws of the mixture do not.
    total = drawn.field.sum(axis=(1, 2))
    assert abs(total.mean()) < 5 * total.std() / math.sqrt(len(total))
    one_sided = plain.draw(STREAM, 2000).field.sum(axis=(1, 2))
    assert abs(one_sided.mean()) > 5 * one_sided.std() / math.sqrt(len(one_sided))


def test_a_flow_for_ranges_changes_with_the_couplings() -> None:
    flow = crooked(TORUS, FlowShape(2, (4,), fourier=True, condition=RANGES), 0.2)
    other = flow.at(replace(TORUS, m2=-3.5, lam=7.5))
    one, two = flow.draw(STREAM, 4), other.draw(STREAM, 4)
    assert not np.allclose(one.field, two.field)
    np.testing.assert_allclose(other.encode(STREAM, two.field).log_ratio, two.log_ratio, atol=1e-5)
    assert flow.at(TORUS).draw(STREAM, 4).field.tobytes() == one.field.tobytes()
    with pytest.raises(InputError, match="not for"):
        flow.at(TORUS.to("D"))
    with pytest.raises(InputError, match="not for"):
        crooked(TORUS, FlowShape(2, (4,))).at(replace(TORUS, lam=8.5))


def test_more_steps_of_an_integrator_change_less() -> None:
    """The error of the log-determinant falls like the fourth power of the step."""
    flow = crooked(TORUS, FlowShape(4, kind="continuous", bins=2), 1.0)
    z = torch.from_numpy(flow.base.draw(STREAM, 20).field)
    errors = []
    for steps in (4, 8, 16):
        flow.layers[0].steps = steps
        errors.append(flow.layers[0].halving_error(z))
    assert 3 < math.log2(errors[0] / errors[1]) < 5.5
    assert 3 < math.log2(errors[1] / errors[2]) < 5.5


def test_bad_input() -> None:
    with pytest.raises(InputError, match="layers is 0"):
        FlowShape(layers=0)
    with pytest.raises(InputError, match="hidden is"):
        Flow(TORUS, FlowShape(hidden=()))
    with pytest.raises(InputError, match="unknown network 'convv'"):
        AffineCoupling((2, 2), 0, (4,), "convv")
    with pytest.raises(InputError, match="use network 'dense'"):
        AffineCoupling((2, 2, 2, 2, 2), 0, (4,))
    with pytest.raises(InputError, match="unknown kind of flow 'afine'; did you mean 'affine'"):
        FlowShape(kind="afine")
    with pytest.raises(InputError, match="ask for one of the two"):
        FlowShape(mixture=True)
    with pytest.raises(InputError, match="always commutes"):
        FlowShape(kind="continuous", equivariant=False)
    with pytest.raises(InputError, match="the range of lam is"):
        FlowShape(condition=((-4, -3), (8, 7)))
    with pytest.raises(InputError, match="bins is 1"):
        Flow(TORUS, FlowShape(kind="spline", bins=1))
    with pytest.raises(InputError, match="frequencies is 0"):
        Flow(TORUS, FlowShape(kind="continuous", bins=0))
    with pytest.raises(InputError, match="625 sites"):
        Flow(Phi4(Lattice((25, 25)), 1.0, 1.0), FlowShape(kind="continuous"))
    with pytest.raises(InputError, match=r"this flow was made for lam from 7\.0 to 9\.0"):
        Flow(replace(TORUS, lam=10.0), FlowShape(condition=RANGES))
    with pytest.raises(InputError, match="unit depends on the couplings"):
        Flow(TORUS.to("B"), FlowShape(condition=RANGES))
    with pytest.raises(InputError, match="periodic"):
        Flow(replace(TORUS, lattice=Lattice((4, 4), boundary="open")))
