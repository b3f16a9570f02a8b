"""Evaluations during a training, and the contradictions that stop it: planted ones do, healthy flows do not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from pyqmc_art.errors import NumericalError  # noqa: E402
from pyqmc_art.proposals import training as module  # noqa: E402
from pyqmc_art.proposals.examination import Examiner, stop_contradictions  # noqa: E402
from pyqmc_art.proposals.flow import Flow, FlowShape  # noqa: E402
from pyqmc_art.proposals.samples import draw_samples  # noqa: E402
from pyqmc_art.proposals.training import FlowTraining, train_flow  # noqa: E402
from pyqmc_art.rng import Stream  # noqa: E402
from pyqmc_art.testing.torus import TORUS  # noqa: E402

STREAM = Stream.from_seed(14)
LN_Z = 0.914433978
FIELDS = draw_samples(TORUS, 8, STREAM.fold("fields"), 1)
SMALL = FlowTraining(FlowShape(2, (4,)), steps=20, batch=64, draws=500, device="cpu")


def examine(flow: Any, forward: float = 0.0) -> dict[str, Any]:
    score = Examiner(flow, FIELDS, forward, STREAM)(flow)
    return {"step": 1, "score": score.value, **score.facts}


@pytest.mark.parametrize("plan", [FlowShape(2, (4,)), FlowShape(6, kind="continuous", bins=2)])
def test_healthy_flows_lie_on_both_sides_of_ln_z(plan: FlowShape) -> None:
    flow = Flow(TORUS, plan, STREAM)
    found = examine(flow)
    assert found["lower"] - 5 * found["lower_error"] < LN_Z < found["upper"] + 5 * found["upper_error"]
    assert found["round_trip"] < 1e-3
    assert ("halving" in found) == (plan.kind == "continuous")
    assert 0 < found["ess"] <= 1
    assert found["draws"] == 2048
    assert found["score"] == found["lower"]
    assert examine(flow, 1.0)["score"] == -found["upper"]
    stop_contradictions([found] * 5)


def test_three_contradictions_in_a_row_stop() -> None:
    fine = {"step": 1, "lower": 0.9, "lower_error": 0.01, "upper": 1.0, "upper_error": 0.01, "round_trip": 1e-9}
    wrong = {**fine, "lower": 1.0 + 5.1 * math.hypot(0.01, 0.01)}
    nearly = {**fine, "lower": 1.0 + 4.9 * math.hypot(0.01, 0.01)}
    stop_contradictions([wrong, wrong])
    stop_contradictions([wrong, wrong, fine])
    stop_contradictions([wrong, wrong, nearly])
    with pytest.raises(NumericalError, match="in 3 evaluations running"):
        stop_contradictions([fine, wrong, wrong, wrong])
    for name, said in (("round_trip", "inverting a draw"), ("halving", "halving the steps")):
        for value in (0.5, math.nan):
            with pytest.raises(NumericalError, match=said):
                stop_contradictions([{**fine, name: value}])


def test_a_wrong_log_q_stops_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: every draw is given too low a density by a constant, which no gradient sees."""
    right = Flow.push

    def push(self: Any, z: Any, log_base: Any, condition: Any = None) -> Any:
        phi, log_q = right(self, z, log_base, condition)
        return phi, log_q - 2.0

    monkeypatch.setattr(Flow, "push", push)
    monkeypatch.setattr(Examiner, "__call__", without_round_trip(Examiner.__call__))
    with pytest.raises(NumericalError, match="No density"):
        train_flow(TORUS, replace(SMALL, steps=60), threads=1)


def without_round_trip(call: Any) -> Any:
    """Make the first guard blind, so that the other one is tested."""

    def examine_blindly(self: Any, model: Any) -> Any:
        score = call(self, model)
        return replace(score, facts={**score.facts, "round_trip": 0.0})

    return examine_blindly


def test_too_few_steps_of_an_integrator_stop_a_training() -> None:
    plan = FlowShape(1, kind="continuous", bins=4)
    with pytest.raises(NumericalError, match="more --layers, which are its steps"):
        train_flow(TORUS, replace(SMALL, plan=plan, steps=60, learning_rate=0.1), threads=1)


def test_resumed_trainings_stop_at_the_same_step(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history of evaluations is a part of the checkpoint: contradictions before a resume count."""
    seen: list[list[int]] = []

    def note(history: Any) -> None:
        seen.append([one["step"] for one in history])

    monkeypatch.setattr(module, "stop_contradictions", note)
    right = module.fit
    monkeypatch.setattr(module, "fit", lambda *a, **k: right(*a, **k, until=10))
    monkeypatch.setattr(module, "save_flow", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train_flow(TORUS, SMALL, tmp_path / "m", threads=1)
    monkeypatch.setattr(module, "fit", right)
    monkeypatch.undo()
    monkeypatch.setattr(module, "stop_contradictions", note)
    found = train_flow(TORUS, SMALL, tmp_path / "m", threads=1, resume=True)
    assert seen[-1] == list(range(1, 21))
    assert [one["step"] for one in found.history] == seen[-1]
    assert all(np.isfinite(one["loss"]) for one in found.history)
