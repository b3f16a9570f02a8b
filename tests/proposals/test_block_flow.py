"""Flows of blocks: invertible, with the right density, exact whether trained or not; their directories and command."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

import pyqmc_art as qa  # noqa: E402
from pyqmc_art.errors import InputError  # noqa: E402
from pyqmc_art.lattice.block_action import BlockAction  # noqa: E402
from pyqmc_art.lattice.geometry import Lattice  # noqa: E402
from pyqmc_art.lattice.kernels.blocked import Blocked, BlockedFlow  # noqa: E402
from pyqmc_art.lattice.kernels.compose import build  # noqa: E402
from pyqmc_art.lattice.scalar import Phi4  # noqa: E402
from pyqmc_art.proposals.block_flow import BlockFlow, BlockShape  # noqa: E402
from pyqmc_art.proposals.block_training import BlockTraining, load_block_flow, train_block_flow  # noqa: E402
from pyqmc_art.proposals.vae_models import load_model  # noqa: E402
from pyqmc_art.rng import Stream  # noqa: E402
from pyqmc_art.testing.fields import draw_fields, same_law  # noqa: E402
from pyqmc_art.testing.torus import TORUS, torus_p_value  # noqa: E402
from pyqmc_art.testing.verdict import BUDGET  # noqa: E402

STREAM = Stream.from_seed(12)
RING = Phi4(Lattice((4,)), -1.0, 0.5, "D")
SMALL = BlockTraining(BlockShape((2,), 4, (6,)), fields=64, steps=150, batch=128, device="cpu", checkpoint_every=50)


def crooked(action: Phi4, plan: BlockShape, size: float = 0.3) -> Any:
    """Return a flow of random weights: trained to nothing sensible."""
    flow = BlockFlow(action, plan, STREAM)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return flow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a flow of the blocks of a ring once."""
    place = tmp_path_factory.mktemp("blocks") / "a model"
    train_block_flow(RING, SMALL, place, threads=1)
    return place


@pytest.mark.parametrize(("action", "block"), [(TORUS, (1, 1)), (RING, (2,)), (Phi4(Lattice((4, 8)), -4, 6), (2, 2))])
def test_round_trip_and_determinant(action: Phi4, block: tuple[int, ...]) -> None:
    flow = crooked(action, BlockShape(block, 4, (5,)))
    boundary = STREAM.normal("user", flow.part.patches.around.shape[2], 6)
    around = torch.from_numpy(flow.free.mean(boundary))
    z = torch.from_numpy(STREAM.fold("z").normal("user", flow.free.size, 6))
    x, log_det = flow(z, around)
    back, log_back = flow.inverse(x, around)
    assert torch.allclose(back, z, atol=1e-9)
    assert torch.allclose(log_back, -log_det, atol=1e-9)
    jacobian = torch.autograd.functional.jacobian(lambda one: flow(one, around[0])[0], z[0])
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(log_det[0].item(), abs=1e-9)


def test_encode_inverts_propose_and_mirrors() -> None:
    flow = crooked(RING, BlockShape((2,), 3, (4,)))
    boundary = STREAM.normal("user", 14, 5).reshape(5, 7, 2)
    drawn = flow.propose(STREAM, boundary)
    np.testing.assert_allclose(flow.encode(STREAM, drawn.field, boundary).log_ratio, drawn.log_ratio, atol=1e-9)
    np.testing.assert_allclose(flow.encode(STREAM, -drawn.field, -boundary).log_ratio, drawn.log_ratio, atol=1e-9)


def test_the_gradient_of_a_block_and_of_the_loss() -> None:
    action = Phi4(Lattice((4, 8)), -2.0, 3.0, "D")
    part, values, boundary = BlockAction(action, (2, 2)), STREAM.normal("user", 4, 1)[0], STREAM.normal("seed", 8, 1)[0]
    for k in range(4):
        step = 1e-6 * np.eye(4)[k]
        slope = (part(values + step, boundary) - part(values - step, boundary)) / 2e-6
        assert -part.force(values, boundary)[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)
    flow = crooked(action, BlockShape((2, 2), 2, (3,)), 0.1)
    noise, outside = torch.from_numpy(STREAM.normal("user", 4, 3)), torch.from_numpy(STREAM.normal("seed", 8, 3))
    around = torch.from_numpy(flow.free.mean(outside.numpy()))
    flow.lack(noise, outside, around).sum().backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name


def test_the_density_is_normalized() -> None:
    flow, other = crooked(RING, BlockShape((2,), 3, (4,)), 0.15), BlockFlow(RING, BlockShape((2,), 1, (2,), 1.0)).free
    boundary = np.tile([0.5, 0.9], (1, 50_000, 1))
    drawn = flow.propose(STREAM, boundary)
    ratio = np.exp(other.encode(STREAM, drawn.field, boundary).log_ratio - drawn.log_ratio)
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(ratio.size)


@pytest.mark.parametrize("size", [0.0, 0.3], ids=["untrained", "badly trained"])
def test_exact_starts_stay_exact(size: float) -> None:
    for action, block in ((TORUS, (1, 1)), (RING, (2,))):
        plain = Blocked(action, crooked(action, BlockShape(block, 3, (4,)), size))
        for kernel in (plain, qa.Composition([(1, qa.HMC(action, 0.3, 2, threads=1)), (1, plain)])):
            starts = draw_fields(action, 10_000, STREAM.fold("starts"))
            state, _, _ = kernel.advance(STREAM.fold("steps"), kernel.init(starts), 3)
            other = draw_fields(action, 10_000, STREAM.fold("others"))
            p_value = torus_p_value(TORUS, state.field) if action is TORUS else same_law(action, state.field, other)
            assert BUDGET.passes(p_value)


def test_a_forgotten_determinant_is_caught() -> None:
    flow = crooked(RING, BlockShape((2,), 3, (4,)), 0.4)
    kernel = Blocked(RING, flow)

    def holds() -> bool:
        state, _, _ = kernel.advance(STREAM, kernel.init(draw_fields(RING, 20_000, STREAM.fold("starts"))), 4)
        return BUDGET.passes(same_law(RING, state.field, draw_fields(RING, 20_000, STREAM.fold("others"))))

    assert holds()
    for name in ("forward", "inverse"):
        right = getattr(flow, name)
        setattr(flow, name, lambda x, a, right=right: (right(x, a)[0], torch.zeros(x.shape[:-1], dtype=torch.float64)))
    assert not holds()


def test_training_helps_and_directories_are_checked(model: Path, tmp_path: Path) -> None:
    kernel = BlockedFlow(RING, model, load=load_model)
    starts = draw_fields(RING, 5000, STREAM)
    rates = [
        k.step(STREAM, k.init(starts))[1]["acceptance"] for k in (Blocked(RING, BlockFlow(RING, SMALL.plan)), kernel)
    ]
    assert rates[1] > rates[0] + 0.05
    larger: Any = build("blocked-flow", replace(RING, lattice=Lattice((12,))), {"model": model}, load=load_model)
    assert larger.step(STREAM, larger.init(larger.start(STREAM, 50)))[1]["nonfinite"] == 0.0
    for other, message in (
        (replace(RING, lam=0.6), "lam 0.5 -> 0.6"),
        (RING.to("A"), "convention D -> A"),
        (replace(RING, lattice=Lattice((4, 4))), "trained in 1 dimensions"),
        (replace(RING, lattice=Lattice((6,))), "extent 6"),
    ):
        with pytest.raises(InputError, match=message):
            BlockedFlow(other, model, load=load_model)
    with pytest.raises(InputError, match="other weights"):
        BlockedFlow(RING, model, "abc", load=load_model)
    with pytest.raises(InputError, match="holds a block flow"):
        from pyqmc_art.proposals.models import load_flow

        load_flow(model)
    assert load_block_flow(model).digest == kernel.configuration()["model_digest"]
    with pytest.raises(InputError, match="no model for the kernel"):
        build("vae-local", RING, {"model": model}, load=load_model)


def test_bad_plans() -> None:
    with pytest.raises(InputError, match="layers is 0"):
        BlockShape((2,), 0)
    with pytest.raises(InputError, match="hidden is"):
        BlockShape((2,), 1, (0,))
    with pytest.raises(InputError, match="fields is 2"):
        BlockTraining(BlockShape((2,)), fields=2)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from pyqmc_art.cli import main

    monkeypatch.chdir(tmp_path)
    train = "train block-flow --shape 4 4 --m2 -4 --lam 8 --block 2 2 --fields 16 --steps 10 --layers 2 --hidden 4"
    run = "sample phi4 --m2 -4 --lam 8 --shape 4 4 --kernel heat-bath+blocked-flow --model m --warmup 2 --threads 1"
    assert main([*train.split(), "--out", "m", "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert "accepted 0." in said and "wrote m" in said
    for steps, out in (("12", "whole.h5"), ("5", "part.h5")):
        assert main([*run.split(), "--steps", steps, "--out", out]) == 0
    assert main("sample --resume part.h5 --steps 12 --threads 1".split()) == 0  # noqa: SIM905
    one, two = (qa.open_ensemble(tmp_path / name) for name in ("whole.h5", "part.h5"))
    np.testing.assert_array_equal(one.series["phi2"], two.series["phi2"])
    assert main([*train.split()]) == 2
    assert "no out was given" in capsys.readouterr().err
