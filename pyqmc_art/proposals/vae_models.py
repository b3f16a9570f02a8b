"""Local updates as model directories; reading one needs no torch."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.learning.pretrained import Pretrained, read_pretrained, write_pretrained
from pyqmc_art.ops.patches import LocalNetwork, Network
from pyqmc_art.proposals.targets import check_same_target, describe_action, rebuild_action

KIND: Final = "local vae"
BLOCK_FLOW: Final = "block flow"
_FLOW: Final = "flow"

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class LoadedVae:
    """Local updates as they were read.

    Attributes
    ----------
    action : what they were trained for
    network : the weights, in units of the fields
    block : extents of a patch
    digest : of the weights
    """

    action: Any
    network: LocalNetwork
    block: tuple[int, ...]
    digest: str

    def kernel_arguments(self) -> dict[str, Any]:
        """What :class:`pyqmc_art.lattice.kernels.field_vae.VaeLocal` takes."""
        return {"network": self.network, "block": self.block}


def export_network(vae: Any) -> LocalNetwork:
    """Bring a :class:`pyqmc_art.proposals.vae.LocalVae` into the form of the compiled loops, units included.

    Parameters
    ----------
    vae : with its present weights
    """
    return fold_scale(_tensors(vae), vae.action, vae.components * vae.rim, vae.size, vae.plan.latents)


def fold_scale(tensors: Arrays, action: Any, given: int, size: int, latents: int) -> LocalNetwork:
    """Fold the unit of the fields into the first and last layers.

    Parameters
    ----------
    tensors : ``decoder.0.weight`` and so on
    given : numbers around a patch
    size : sites of a patch
    """
    scale = action.width if isinstance(action, Phi4) else 1.0
    decoder, encoder = _layers(tensors, "decoder"), _layers(tensors, "encoder")
    decoder[0][0][:, :given] /= scale
    if action.components == 1:
        for part in decoder[-1]:
            part[:size] *= scale
        decoder[-1][1][size:] += math.log(scale)
    if encoder:
        encoder[0][0][:] /= scale
    return LocalNetwork(Network.join(decoder), Network.join(encoder), latents)


def save_vae(vae: Any, folder: str | os.PathLike[str], facts: Mapping[str, Any], force: bool = False) -> Path:
    """Write local updates as a directory of ``config.json`` and ``vae.safetensors``.

    Parameters
    ----------
    vae : a :class:`pyqmc_art.proposals.vae.LocalVae`
    facts : about the training, kept beside it
    force : replace a model that is there

    Raises
    ------
    InputError
        When something is there already.
    StoreError
        When the disk refuses.
    """
    configuration = {"target": describe_action(vae.action), "plan": vae.plan.configuration(), "training": dict(facts)}
    return write_pretrained(folder, Pretrained(KIND, configuration, {"vae": _tensors(vae)}), force)


def load_vae(folder: str | os.PathLike[str], action: Any = None) -> LoadedVae:
    """Read local updates.

    Parameters
    ----------
    action : what will be sampled, on a lattice of any extents; None takes the one it was trained for

    Raises
    ------
    InputError
        When they were trained for another action, convention or kind of lattice, or the directory is damaged.
    """
    stored = read_pretrained(folder, (KIND,))
    try:
        trained, plan = rebuild_action(stored.configuration["target"]), dict(stored.configuration["plan"])
        dimension = trained.lattice.dimension
        block = tuple(int(b) for b in plan["block"]) or (1,) * dimension
        size = math.prod(block)
        given = trained.components * sum(2 * size // b for b in block)
        tensors = stored.tensors["vae"]
        network = fold_scale(tensors, trained, given, size, int(plan["latents"]))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{folder} holds no complete model ({' '.join(str(error).split())}); train it again") from None
    if action is not None:
        check_same_target(action, trained, "model", folder, free=("shape",), dimension=True)
    return LoadedVae(trained, network, block, digest_of(tensors))


def load_model(folder: str | os.PathLike[str], action: Any, threads: int | None = None) -> Any:
    """Read whatever proposes: a flow, a flow of blocks, or local updates.

    Raises
    ------
    InputError
        For anything else, or what was trained for another action.
    """
    kind = read_pretrained(folder, (KIND, BLOCK_FLOW, _FLOW)).kind
    if kind == KIND:
        return load_vae(folder, action)
    if kind == BLOCK_FLOW:
        from pyqmc_art.proposals.block_training import load_block_flow

        return load_block_flow(folder, action, threads)
    from pyqmc_art.proposals.models import load_flow

    return load_flow(folder, action, threads)


def digest_of(tensors: Arrays) -> str:
    """A short digest of the weights."""
    total = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def _tensors(vae: Any) -> dict[str, NDArray[Any]]:
    return {name: value.detach().cpu().numpy().copy() for name, value in vae.state_dict().items()}


def _layers(tensors: Arrays, name: str) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    count = sum(key.startswith(f"{name}.") and key.endswith(".weight") for key in tensors)
    return [
        (np.array(tensors[f"{name}.{k}.weight"], np.float64), np.array(tensors[f"{name}.{k}.bias"], np.float64))
        for k in range(count)
    ]
