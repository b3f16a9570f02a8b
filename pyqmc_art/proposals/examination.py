"""Evaluations of a flow during its training, and what makes the training stop."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pyqmc_art.errors import NumericalError
from pyqmc_art.learning.fit import Score
from pyqmc_art.proposals.continuous import ContinuousFlow
from pyqmc_art.proposals.flow import Flow
from pyqmc_art.proposals.objectives import base_batches
from pyqmc_art.rng import Stream
from pyqmc_art.stats.importance import summarize_weights

HELD_OUT: Final = 2048
LARGEST_CHANGE: Final = 1e-2
"""By which ln q may change by inversion, or when the steps of an integrator are halved: far below what weights vary."""
_RETRACED: Final = 64
_RUN: Final = 3
_ERRORS: Final = 5.0


class Examiner:
    """Scores a flow on draws it is not trained on, and on fields of the target it is not trained on.

    Parameters
    ----------
    flow : whose base is drawn from; its action is the target
    fields : of the target, shape (each, chains, *lattice.shape)
    forward : share of the forward divergence in the score (1 - forward) E_q[ln w] - forward E_p[ln w]
    stream : of the draws
    """

    def __init__(self, flow: Flow, fields: NDArray[np.float64], forward: float, stream: Stream) -> None:
        self.action, self.forward, self.fields = flow.action, forward, fields
        own = stream.fold("held out")
        self.z, self.log_base = base_batches(flow, HELD_OUT, own)(0)
        self.chance = own.uniform("user", np.arange(HELD_OUT), 1)[0]

    def __call__(self, model: nn.Module) -> Score:
        """Score the model; a greater score is better."""
        flow: Any = model
        device = next(model.parameters()).device
        with torch.no_grad():
            z, log_base = self.z.to(device), self.log_base.to(device)
            phi, log_q = flow.push(z, log_base)
            again = flow.log_density(phi[:_RETRACED])
            upper, upper_error = self._weigh_fields(flow, device)
            halving = self._halve(flow, z[:_RETRACED])
        with np.errstate(over="ignore", invalid="ignore"):
            logs = -self.action(phi.cpu().numpy()) - log_q.cpu().numpy()
        found = summarize_weights(logs, self.chance)
        facts = {
            "ess": found.effective / found.count,
            "draws": found.count,
            "acceptance": found.acceptance,
            "lower": found.lower_bound.value,
            "lower_error": found.lower_bound.error,
            "upper": upper,
            "upper_error": upper_error,
            "round_trip": float((again - log_q[:_RETRACED]).abs().max()),
            **halving,
        }
        shown = {f"ESS({found.count})": facts["ess"], "acceptance": found.acceptance}
        backward = self.forward * upper if self.forward else 0.0
        return Score((1 - self.forward) * found.lower_bound.value - backward, facts, shown)

    def _weigh_fields(self, flow: Any, device: torch.device) -> tuple[float, float]:
        """E_p[ln w] with the error that independent chains tell."""
        each, chains = self.fields.shape[:2]
        flat = self.fields.reshape(each * chains, *self.fields.shape[2:])
        log_q = flow.log_density(torch.from_numpy(flat).to(device)).cpu().numpy()
        means = (-self.action(flat) - log_q).reshape(each, chains).mean(axis=0)
        return float(means.mean()), float(means.std(ddof=1)) / math.sqrt(chains)

    def _halve(self, flow: Any, z: torch.Tensor) -> dict[str, float]:
        """Change of ln q when steps of an integrator are halved; empty without one."""
        condition, found = flow.condition, {}
        for layer in flow.layers:
            if isinstance(layer, ContinuousFlow):
                found["halving"] = layer.halving_error(z, condition)
            z, _ = layer(z, condition)
        return found


def stop_contradictions(history: Sequence[Mapping[str, Any]]) -> None:
    """Stop a training whose log q contradicts itself.

    E_q[ln w] <= ln Z <= E_p[ln w] for every density q. An evaluation violates it where the first lies above the last by
    more than five combined standard errors; three in a row are no chance. A draw that is given another density by
    inversion, or by halved steps, says the same at once.

    Raises
    ------
    NumericalError
        With what was found and what to do.
    """
    last = history[-1]
    for name, what, remedy in (
        ("halving", "halving the steps of the integrator", "more --layers, which are its steps"),
        ("round_trip", "inverting a draw", "a lower learning rate, or fewer layers"),
    ):
        if not last.get(name, 0.0) <= LARGEST_CHANGE:
            raise NumericalError(
                f"step {last['step']}: {what} changes ln q by {last[name]:.2g}, more than {LARGEST_CHANGE:g}; the flow "
                f"no longer knows its density. Take {remedy}"
            )
    recent = history[-_RUN:]
    if len(recent) == _RUN and all(_contradicts(one) for one in recent):
        raise NumericalError(
            f"step {last['step']}: E_q[ln w] = {last['lower']:.4g}({last['lower_error']:.2g}) lies above "
            f"E_p[ln w] = {last['upper']:.4g}({last['upper_error']:.2g}) in {_RUN} evaluations running. No density "
            "does that: log q is wrong, or the fields of the target are not its own. Take a lower learning rate, "
            "or check --data"
        )


def _contradicts(one: Mapping[str, Any]) -> bool:
    error = math.hypot(one["lower_error"], one["upper_error"])
    return bool(one["lower"] - one["upper"] > _ERRORS * error)
