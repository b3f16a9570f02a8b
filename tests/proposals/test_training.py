"""Training flows, their directories, and the kernel that is built from one."""

from __future__ import annotations

import json
import shutil
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
from pyqmc_art.lattice.kernels.compose import build  # noqa: E402
from pyqmc_art.proposals import training as module  # noqa: E402
from pyqmc_art.proposals.flow import FlowShape  # noqa: E402
from pyqmc_art.proposals.models import digest_of, load_flow  # noqa: E402
from pyqmc_art.proposals.training import FlowTraining, train_flow  # noqa: E402
from pyqmc_art.rng import Stream  # noqa: E402
from pyqmc_art.testing.torus import TORUS  # noqa: E402

LN_Z = 0.914433978
SMALL = FlowTraining(FlowShape(4, (6,)), steps=120, batch=128, draws=20_000, device="cpu", checkpoint_every=40)
STREAM = Stream.from_seed(2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small flow once."""
    place = tmp_path_factory.mktemp("flows") / "a model"
    train_flow(TORUS, SMALL, place, threads=1)
    return place


def test_training_raises_the_bound_and_ln_z_is_exact(model: Path) -> None:
    facts = json.loads((model / "config.json").read_text())["configuration"]["training"]
    before = qa.judge_proposal(TORUS, module.Flow(TORUS, SMALL.plan), 20_000)
    after = qa.judge_proposal(TORUS, load_flow(model), 100_000, seed=3)
    assert before.lower_bound.value + 10 * before.lower_bound.error < after.lower_bound.value
    assert after.lower_bound.value - 5 * after.lower_bound.error < LN_Z
    assert abs(after.log_partition.deviation(LN_Z)) < 5
    assert after.log_partition.error < 0.01
    assert {"n", "ess", "longest_rejection", "largest_share", "pareto_k"} <= set(facts["judged"])
    assert not model.with_name("a model.training").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "draws"),
    [
        (FlowShape(4, (6,), fourier=True), 600_000),
        (FlowShape(2, (6,), kind="spline", bins=6), 400_000),
        (FlowShape(12, kind="continuous", bins=4), 300_000),
        (FlowShape(4, (6,), equivariant=False, mixture=True), 600_000),
    ],
    ids=["affine and fourier", "spline", "continuous", "mixture"],
)
def test_ln_z_of_the_torus_to_a_thousandth(plan: FlowShape, draws: int) -> None:
    found = train_flow(TORUS, replace(SMALL, plan=plan, steps=400, learning_rate=0.01, draws=draws), threads=1)
    assert found.weights.log_partition.error < 1e-3
    assert abs(found.weights.log_partition.deviation(LN_Z)) < 4.5


def test_a_directory_gives_the_same_flow(model: Path) -> None:
    one, two = load_flow(model, TORUS), load_flow(model)
    assert one.digest == two.digest == digest_of(one)
    np.testing.assert_array_equal(one.draw(STREAM, 5).field, two.draw(STREAM, 5).field)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ema": 0.9, "forward": 0.5, "samples": 128},
        {"path_gradient": True, "begin": {"lam": 4.0}, "plan": FlowShape(2, (4,), equivariant=False, mixture=True)},
        {"plan": FlowShape(2, (4,), kind="spline", fourier=True, condition=((-5.0, -3.0), (7.0, 9.0)))},
    ],
    ids=["reverse", "average and forward", "path, ramp and mixture", "ranges"],
)
def test_resumed_training_gives_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    options = replace(SMALL, **{"steps": 30, "checkpoint_every": 10, "draws": 100, **more})
    whole = train_flow(TORUS, options, tmp_path / "whole", threads=1)
    right = module.fit
    monkeypatch.setattr(module, "fit", lambda *a, **k: right(*a, **k, until=15))
    monkeypatch.setattr(module, "save_flow", stop)
    with pytest.raises(KeyboardInterrupt):
        train_flow(TORUS, options, tmp_path / "part", threads=1)
    monkeypatch.undo()
    with pytest.raises(InputError, match="holds an interrupted training"):
        train_flow(TORUS, options, tmp_path / "part")
    with pytest.raises(InputError, match=r"with other options .*batch 128 -> 64"):
        train_flow(TORUS, replace(options, batch=64), tmp_path / "part", resume=True)
    part = train_flow(TORUS, options, tmp_path / "part", threads=1, resume=True)
    assert part.flow.digest == whole.flow.digest
    assert part.flow.digest != module.digest_of(module.Flow(TORUS, options.plan))
    assert part.history == whole.history


def test_training_goes_on_from_another_coupling(model: Path) -> None:
    """Weights of a neighbouring target are a better beginning than none."""
    near = replace(TORUS, lam=7.5)
    short = replace(SMALL, steps=2, draws=5000, learning_rate=1e-5)
    cold, warm = train_flow(near, short, threads=1), train_flow(near, replace(short, model=str(model)), threads=1)
    bounds = [found.weights.lower_bound for found in (cold, warm)]
    assert bounds[0].value + 5 * bounds[0].error < bounds[1].value
    with pytest.raises(InputError, match="other layers"):
        train_flow(near, replace(short, model=str(model), plan=FlowShape(2)), threads=1)


def test_a_flow_for_ranges_is_good_at_both_ends(tmp_path: Path) -> None:
    plan = FlowShape(2, (4,), fourier=True, condition=((-4.0, -4.0), (5.0, 12.0)))
    train_flow(TORUS, replace(SMALL, plan=plan), tmp_path / "m", threads=1)
    for lam in (5.0, 12.0):
        action = replace(TORUS, lam=lam)
        found = qa.judge_proposal(action, load_flow(tmp_path / "m", action), 5000)
        before = qa.judge_proposal(action, module.Flow(action, plan), 5000)
        assert before.lower_bound.value + 5 * before.lower_bound.error < found.lower_bound.value
    with pytest.raises(InputError, match=r"lam is 13\.0; this flow was made for lam from 5\.0 to 12\.0"):
        load_flow(tmp_path / "m", replace(TORUS, lam=13.0))
    with pytest.raises(InputError, match="convention A -> D"):
        load_flow(tmp_path / "m", TORUS.to("D"))


def stop(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (qa.Phi4(TORUS.lattice, -4.0, 8.1), "lam 8.0 -> 8.1"),
        (TORUS.to("D"), "convention A -> D"),
        (qa.Phi4(qa.Lattice((2, 4)), -4.0, 8.0), "shape"),
        (qa.Ising(qa.Lattice((2, 2)), 0.4), "action phi4 -> ising"),
    ],
)
def test_another_target_is_refused(model: Path, other: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_flow(model, other)


def test_what_is_no_flow_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_flow(tmp_path / "nothing", TORUS)
    damaged = tmp_path / "damaged"
    shutil.copytree(model, damaged)
    config = json.loads((damaged / "config.json").read_text())
    config["configuration"]["plan"]["layers"] = 3
    (damaged / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="no complete flow"):
        load_flow(damaged)
    with pytest.raises(InputError, match="exists"):
        train_flow(TORUS, SMALL, model)
    with pytest.raises(InputError, match="needs a model"):
        build("flow", TORUS)
    with pytest.raises(InputError, match="in Python give"):
        build("flow", TORUS, {"model": str(model)})
    with pytest.raises(InputError, match="batch is 0"):
        FlowTraining(batch=0)
    with pytest.raises(InputError, match="steps is 0"):
        FlowTraining(steps=0)
    with pytest.raises(InputError, match=r"forward is 1\.5"):
        FlowTraining(forward=1.5)
    with pytest.raises(InputError, match="data is for the forward divergence"):
        FlowTraining(data="run.h5")
    with pytest.raises(InputError, match="too many"):
        FlowTraining(FlowShape(condition=((-5.0, -3.0), (7.0, 9.0))), forward=0.5)


def test_the_commands(call: Any, numbers: Any, tmp_path: Path) -> None:
    train = "train flow --shape 2 2 --m2 -4 --lam 8 --layers 2 --hidden 4 --steps 20 --draws 2000 --out m --threads 1"
    status, out, err = call(train)
    assert (status, err) == (0, "")
    for said in ("of N = 2000", "longest rejection run", "largest weight share", "Pareto k", "ln Z", "wrote m"):
        assert said in out, said
    status, _, err = call(train)
    assert status == 2
    assert "exists" in err
    run = "sample phi4 --m2 -4 --lam 8 --shape 2 2 --kernel hmc+flow --model m --warmup 5 --replicas 3 --threads 1"
    assert call(f"{run} --steps 60 --out whole.h5")[0] == 0
    assert call(f"{run} --steps 20 --out part.h5")[0] == 0
    assert call("sample --resume part.h5 --steps 60 --threads 1")[0] == 0
    assert numbers("whole.h5") == numbers("part.h5")
    status, _, err = call(run.replace("--lam 8", "--lam 9") + " --steps 5")
    assert status == 2
    assert "trained for another target (lam 8.0 -> 9.0)" in err
    # Other weights under the same name.
    assert call(f"{train} --seed 1 --force")[0] == 0
    status, _, err = call("sample --resume part.h5 --steps 80")
    assert status == 2
    assert "other weights" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train flow --m2 -4 --lam 8 --out m", "no shape was given"),
        ("train flow --shape 4 4 --lam 8 --out m", "no m2 was given"),
        ("train flow --action ising --shape 4 4 --m2 1 --lam 8 --out m", "flows are trained for phi4"),
        ("train flow --shape 4 4 --m2 -4 --lam 8 --out m --network konv", "did you mean 'conv'"),
        ("sample phi4 --m2 -4 --lam 8 --shape 2 2 --kernel flow --steps 5", "needs a model: --model DIR"),
        ("sample phi4 --m2 -4 --lam 8 --shape 2 2 --kernel flow --model no --steps 5", "does not exist"),
        (
            "sample phi4 --m2 -4 --lam 8 --shape 2 2 --kernel hmc --model no --steps 5",
            "it belongs to blocked-flow, flow, vae-local",
        ),
    ],
)
def test_bad_commands(call: Any, words: str, said: str) -> None:
    status, _, err = call(words)
    assert status == 2
    assert said in err
