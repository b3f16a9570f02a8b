"""What ``verify --all`` asks of flows: exact however they are trained, and ln Z from one that is trained well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from pyqmc_art.lattice.field_exact import transfer_operator
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.kernels.compose import Composition
from pyqmc_art.lattice.kernels.independence import Independence, judge_proposal
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.fields import draw_fields
from pyqmc_art.testing.row import Row
from pyqmc_art.testing.torus import TORUS, torus_p_value
from pyqmc_art.testing.verdict import compare

TRAINED: Final = "trained"


@dataclass(frozen=True)
class FlowCase:
    """A flow of the 2 x 2 torus and how it came by its weights.

    Attributes
    ----------
    label : what it is
    shape : options of its layers
    noise : standard deviation of numbers added to its first weights
    steps : of a training
    lam : coupling that it is trained for; the target's is 8
    """

    label: str
    shape: dict[str, Any]
    noise: float = 0.0
    steps: int = 0
    lam: float = TORUS.lam

    def build(self) -> Any:
        """Make the flow, always the same.

        Raises
        ------
        ImportError
            Without torch, or what its training needs.
        """
        from pyqmc_art.proposals.flow import Flow, FlowShape
        from pyqmc_art.proposals.training import FlowTraining, train_flow

        plan, stream = FlowShape(**self.shape), Stream.from_seed(11).fold(self.label)
        flow = Flow(TORUS, plan, stream)
        flow.threads = 1
        random = np.random.default_rng(stream.fold("noise").key)
        for parameter in flow.parameters():
            weights = parameter.data
            weights += weights.new_tensor(self.noise * random.normal(size=tuple(weights.shape)))
        if self.steps:
            options = FlowTraining(
                plan, self.steps, learning_rate=6e-3, draws=2048, seed=3, device="cpu", path_gradient=True
            )
            flow.load_state_dict(train_flow(replace(TORUS, lam=self.lam), options, threads=1).flow.state_dict())
        return flow


_AFFINE: Final = {"layers": 4, "hidden": (4,)}

FLOW_CASES: Final = (
    FlowCase("untrained", _AFFINE),
    FlowCase("crooked", {**_AFFINE, "equivariant": False}, noise=0.15),
    FlowCase("crooked mixture", {"layers": 2, "hidden": (4,), "equivariant": False, "mixture": True}, noise=0.2),
    FlowCase("crooked splines", {"layers": 2, "hidden": (4,), "kind": "spline", "bins": 4}, noise=0.1),
    FlowCase("crooked, continuous", {"layers": 6, "kind": "continuous", "bins": 2}, noise=0.05),
    FlowCase("badly trained", _AFFINE, steps=10, lam=2.0),
    FlowCase(TRAINED, {**_AFFINE, "fourier": True}, steps=150),
)
"""From flows that nobody trained to one that fits; every one must leave its target as it is."""


def judge_flows(stream: Stream, draws: int, moves: int, build: Callable[[FlowCase], Any] = FlowCase.build) -> list[Row]:
    """Exact starts stay exact under each flow, alone and between trajectories; ln Z from the trained one.

    What is measured beside the p-value is the acceptance: a chain that never moves would be exact, too. Where torch is
    not installed, one row says so.
    """
    rows = []
    for case in FLOW_CASES:
        try:
            flow = build(case)
        except ImportError as reason:
            return [Row("flow", "all flows", skipped=f"{reason}; pip install 'pyqmc_art[learn]'")]
        rows += _judge_flow(case.label, flow, stream.fold(case.label), draws, moves)
        if case.label == TRAINED:
            rows.append(_judge_partition(flow, stream))
    return rows


def _judge_flow(label: str, flow: Any, stream: Stream, draws: int, moves: int) -> list[Row]:
    plain: Any = Independence(TORUS, flow)
    mixed: Any = Composition([(1, compose.build("hmc", TORUS, {"trajectory": 0.3, "md_steps": 2})), (1, plain)])
    rows, target = [], f"exact starts (acceptance), {Case('', TORUS).target}"
    for name, kernel in (("flow", plain), ("hmc+flow", mixed)):
        own = stream.fold(name)
        starts = draw_fields(TORUS, draws, own.fold("starts"))
        state, _, info = kernel.advance(own, kernel.init(starts), moves)
        moved = float(info["acceptance"]) if kernel is plain else None
        p_value = torus_p_value(TORUS, state.field)
        rows.append(
            Row(f"{name}({label})", target, measured=moved, p_value=p_value, sound=moved is None or moved > 0.0)
        )
    return rows


def _judge_partition(flow: Any, stream: Stream) -> Row:
    exact = transfer_operator(TORUS).log_partition
    weights = judge_proposal(TORUS, flow, 50_000, seed=stream.key >> 1)
    found = compare(weights.log_partition, exact)
    target = f"ln Z, {Case('', TORUS).target}"
    return Row(f"flow({TRAINED})", target, exact, weights.log_partition, found.deviation, found.p_value)
