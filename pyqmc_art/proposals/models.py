"""Flows as model directories that remember their action, convention and lattice, and refuse any other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice import actions
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.learning.pretrained import Pretrained, read_pretrained, write_pretrained
from pyqmc_art.proposals.flow import Flow, FlowShape

KIND: Final = "flow"


def describe_action(action: Any) -> dict[str, Any]:
    """Action, lattice and couplings, as a model directory and a run file name them."""
    return {"action": action.name, **action.lattice.configuration(), **action.couplings()}


def save_flow(flow: Flow, folder: str | os.PathLike[str], facts: Mapping[str, Any], force: bool = False) -> Path:
    """Write a flow as a directory of ``config.json`` and ``flow.safetensors``.

    Parameters
    ----------
    facts : about the training, kept beside it
    force : replace a model that is there

    Raises
    ------
    InputError
        When something is there already.
    StoreError
        When the disk refuses.
    """
    configuration = {"target": describe_action(flow.action), "plan": flow.plan.configuration(), "training": dict(facts)}
    return write_pretrained(folder, Pretrained(KIND, configuration, {"flow": _tensors(flow)}), force)


def load_flow(folder: str | os.PathLike[str], action: Any = None, threads: int | None = None) -> Flow:
    """Read a flow; its ``digest`` names the weights.

    Parameters
    ----------
    action : what will be sampled; None takes the one it was trained for
    threads : of torch while it draws; None changes nothing

    Raises
    ------
    InputError
        When it was trained for another action, convention or lattice, or the directory is damaged.
    """
    stored = read_pretrained(folder, (KIND,))
    try:
        target, plan = dict(stored.configuration["target"]), dict(stored.configuration["plan"])
        trained = _rebuild(target)
        flow = Flow(trained, FlowShape.from_configuration(plan))
        flow.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in stored.tensors["flow"].items()})
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{folder} holds no complete flow ({' '.join(str(error).split())}); train it again") from None
    if action is not None and action != trained and flow.covers(action):
        flow = flow.at(action)
    elif action is not None and action != trained:
        asked, known = describe_action(action), describe_action(trained)
        keys = [key for key in {**known, **asked} if known.get(key) != asked.get(key)]
        differs = ", ".join(f"{key} {known.get(key)} -> {asked.get(key)}" for key in keys)
        raise InputError(f"the flow in {folder} was trained for another target ({differs}); train one for this")
    flow.eval()
    flow.threads, flow.digest = threads, digest_of(flow)
    return flow


def digest_of(flow: Flow) -> str:
    """A short digest of the weights."""
    total = hashlib.sha256()
    for name, array in sorted(_tensors(flow).items()):
        total.update(name.encode())
        total.update(array.tobytes())
    return total.hexdigest()[:16]


def _tensors(flow: Flow) -> dict[str, NDArray[Any]]:
    return {name: value.detach().cpu().numpy() for name, value in flow.state_dict().items()}


def _rebuild(target: dict[str, Any]) -> Any:
    name = target.pop("action")
    boundary = target.pop("boundary")
    boundary = boundary if isinstance(boundary, str) else tuple(boundary)
    lattice = Lattice(tuple(target.pop("shape")), target.pop("lattice"), boundary)
    return actions.build(name, lattice, target)
