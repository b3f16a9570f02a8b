"""Flows beside a plain torch RealNVP of the same layers and weights: draws, and steps of training, by CPU time.

bijx stands beside them where it is installed: the same layers, weights of its own.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import numpy as np
import pytest

from benchmarks.judgement import Verdict
from benchmarks.race import ROUNDS, note
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream

torch = pytest.importorskip("torch", reason="flows are networks of torch")
pytest.importorskip("accelerate", reason="the training loop needs it")

LAYERS, HIDDEN = 8, (12, 12)
DRAWS, BATCH = 2048, 256
SHAPES = ((8, 8), (14, 14))
STREAM = Stream.from_seed(5)
COLUMNS = ["pyqmc_art", "plain torch", *(["bijx"] if find_spec("bijx") else [])]


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


@lru_cache
def make_bijx(shape):
    """The flow of bijx, and whether its log q is that of its Jacobian."""
    from benchmarks.bijx_flow import BijxFlow

    flow = BijxFlow(shape, LAYERS, HIDDEN, -4.0, 8.0)
    gap = flow.gap()
    return flow, Verdict(gap < 1e-3, f"log q to {gap:.1g}")


def time_it(paddock, benchmark, section, shape, column, unit, run, work, verdict):
    assert verdict.passed, verdict.source
    name = f"{LAYERS} couplings of {'-'.join(map(str, HIDDEN))} on {'x'.join(map(str, shape))}"
    benchmark.group = f"{section}: {name}"
    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1, iterations=1)
    if not benchmark.disabled:
        cost = 1e9 * np.array(benchmark.stats.stats.data) / work
        note(paddock, benchmark, section, name, column, unit, cost, verdict)


@pytest.mark.parametrize("column", ["pyqmc_art", "plain torch"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layers(benchmark, paddock, shape, column):
    """From noise that is there to fields with their densities."""
    _, ours, plain, verdict = make_pair(shape)
    flow = ours if column == "pyqmc_art" else plain
    z = torch.from_numpy(ours.base.draw(STREAM, DRAWS).field)
    z = z if flow is ours else z.float()

    def run():
        with torch.no_grad():
            flow(z)

    work = DRAWS * z[0].numel()
    time_it(paddock, benchmark, "flow layers", shape, column, "site of a field", run, work, verdict)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_draws(benchmark, paddock, shape, column):
    """Noise included: ours are reproducible free fields, theirs normal numbers of torch."""
    _, ours, plain, verdict = make_pair(shape)
    if column == "bijx":
        plain, verdict = make_bijx(shape)

    def run():
        with torch.no_grad():
            ours.draw(STREAM, DRAWS) if column == "pyqmc_art" else plain.draw(DRAWS)

    work = DRAWS * ours.action.lattice.sites
    time_it(paddock, benchmark, "flow draws", shape, column, "site of a field", run, work, verdict)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training(benchmark, paddock, shape, column):
    """One step of Adam on the reverse KL divergence, noise and action included."""
    from benchmarks.plain_realnvp import plain_action
    from pyqmc_art.proposals.objectives import base_batches, reverse_kl

    work = BATCH * shape[0] * shape[1]
    if column == "bijx":
        other, verdict = make_bijx(shape)
        time_it(
            paddock, benchmark, "flow training", shape, column, "site of a field", lambda: other.train(BATCH), work,
            verdict,
        )  # fmt: skip
        return
    action, ours, plain, verdict = make_pair(shape)
    mine = column == "pyqmc_art"
    flow = ours if mine else plain
    batches, loss = base_batches(ours, BATCH, STREAM), reverse_kl(action)
    # No step may change the weights much, or the rounds would time different flows.
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-7)
    number = iter(range(10**9))

    def run():
        if mine:
            value = loss(ours, batches(next(number)))
        else:
            phi, log_q = plain.draw(BATCH)
            value = (plain_action(phi, action.m2, action.lam) + log_q).mean()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    time_it(paddock, benchmark, "flow training", shape, column, "site of a field", run, work, verdict)
