"""Flows beside a plain torch RealNVP of the same layers and weights: draws, and steps of training, by CPU time.

bijx stands beside them where it is installed: the same layers, weights of its own.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from itertools import count

import pytest

from benchmarks.judgement import Verdict
from benchmarks.race import Repeated, time_in_turn
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="flows are networks of torch")
pytest.importorskip("accelerate", reason="the training loop needs it")

LAYERS, HIDDEN = 8, (12, 12)
DRAWS, BATCH = 2048, 256
SHAPES = ((8, 8), (14, 14))
STREAM = Stream.from_seed(5)
WITH_BIJX = find_spec("bijx") is not None


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_pair(shape):
    """Our flow and the plain one with its weights, and whether they are the same function."""
    from benchmarks.plain_realnvp import PlainFlow
    from pyqmc_art.proposals.flow import Flow, FlowShape

    action = Phi4(Lattice(shape), -4.0, 8.0)
    ours, plain = Flow(action, FlowShape(LAYERS, HIDDEN, equivariant=False)), PlainFlow(shape, LAYERS, HIDDEN)
    for one, two in zip(ours.layers, plain.layers, strict=True):
        two.net.load_state_dict(one.net.state_dict())
    z = torch.from_numpy(ours.base.draw(STREAM, 64).field)
    with torch.no_grad():
        (phi, log_det), (other, log_other) = ours(z), plain(z.float())
    gap = max(float((phi - other).abs().max()), float((log_det - log_other).abs().max()))
    return action, ours, plain, Verdict(gap < 1e-3, f"the same fields and densities to {gap:.1g}")


def make_bijx(shape):
    """The flow of bijx, and whether its log q is that of its Jacobian."""
    from benchmarks.bijx_flow import BijxFlow

    flow = BijxFlow(shape, LAYERS, HIDDEN, -4.0, 8.0)
    gap = flow.gap()
    return flow, Verdict(gap < 1e-3, f"log q to {gap:.1g}")


def time_all(paddock, benchmark, section, shape, runners):
    assert all(verdict.passed for _, verdict in runners.values())
    name = f"{LAYERS} couplings of {'-'.join(map(str, HIDDEN))} on {'x'.join(map(str, shape))}"
    time_in_turn(paddock, benchmark, section, name, "site of a field", runners)


def repeat(run, work):
    """A function as a runner whose every call does so much work."""

    def call():
        run()
        return work

    return Repeated(call)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layers(benchmark, paddock, shape):
    """From noise that is there to fields with their densities."""
    _, ours, plain, verdict = make_pair(shape)
    z = torch.from_numpy(ours.base.draw(STREAM, DRAWS).field)
    flows = {"pyqmc_art": (ours, z), "plain torch": (plain, z.float())}
    runners = {}
    for column, (flow, noise) in flows.items():
        runners[column] = repeat(torch.no_grad()(partial(flow, noise)), z.numel()), verdict
    time_all(paddock, benchmark, "flow layers", shape, runners)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_draws(benchmark, paddock, shape):
    """Noise included: ours are reproducible free fields, theirs normal numbers of torch."""
    _, ours, plain, verdict = make_pair(shape)
    draws = {
        "pyqmc_art": (partial(ours.draw, STREAM, DRAWS), verdict),
        "plain torch": (partial(plain.draw, DRAWS), verdict),
    }
    if WITH_BIJX:
        flow, judged = make_bijx(shape)
        draws["bijx"] = partial(flow.draw, DRAWS), judged
    work = DRAWS * ours.action.lattice.sites
    runners = {column: (repeat(torch.no_grad()(draw), work), judged) for column, (draw, judged) in draws.items()}
    time_all(paddock, benchmark, "flow draws", shape, runners)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training(benchmark, paddock, shape):
    """One step of Adam on the reverse KL divergence, noise and action included."""
    from benchmarks.plain_realnvp import plain_action
    from pyqmc_art.proposals.objectives import base_batches, reverse_kl

    action, ours, plain, verdict = make_pair(shape)
    batches, loss, number = base_batches(ours, BATCH, STREAM), reverse_kl(action), count()

    def our_loss():
        return loss(ours, batches(next(number)))

    def plain_loss():
        phi, log_q = plain.draw(BATCH)
        return (plain_action(phi, action.m2, action.lam) + log_q).mean()

    work = BATCH * action.lattice.sites
    runners = {
        "pyqmc_art": (repeat(stepper(ours, our_loss), work), verdict),
        "plain torch": (repeat(stepper(plain, plain_loss), work), verdict),
    }
    if WITH_BIJX:
        flow, judged = make_bijx(shape)
        runners["bijx"] = repeat(partial(flow.train, BATCH), work), judged
    time_all(paddock, benchmark, "flow training", shape, runners)


def stepper(flow, loss):
    """A step of Adam. None may change the weights much, or the rounds would time different flows."""
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-7)

    def step():
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
