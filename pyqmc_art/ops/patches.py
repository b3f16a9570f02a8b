"""What learned updates of patches are made of, as plain arrays: which sites they hold, and the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError

LARGEST: Final = {"size": 16, "rim": 64, "latents": 16, "layer": 64}
"""What the compiled loops have room for: sites of a patch and around it, latent numbers, and numbers of a layer."""


@dataclass(frozen=True)
class Patches:
    """The patches of a lattice: two colours, of which no two of one colour touch.

    Attributes
    ----------
    members : int32, shape (2, patches, size): the sites of each patch
    around : int32, shape (2, patches, rim): the sites across the bonds that lead out of it
    inner : int32, shape (bonds, 2): the bonds inside, as positions in a patch
    outer : int32, shape (rim,): where in the patch each bond outwards starts
    """

    members: NDArray[np.int32]
    around: NDArray[np.int32]
    inner: NDArray[np.int32]
    outer: NDArray[np.int32]


@dataclass(frozen=True)
class Network:
    """Layers of a network: x -> offset + W x, bent by x / sqrt(1 + x^2) but for the last.

    Attributes
    ----------
    sizes : int64, shape (layers + 1,): numbers that go in, and that come out of each layer
    weights : float64: for every layer and output its offset, then the weights of its inputs

    Examples
    --------
    >>> network = Network.join([(np.array([[1.0, 2.0]]), np.array([0.5]))])
    >>> network.sizes.tolist(), network.weights.tolist()
    ([2, 1], [0.5, 1.0, 2.0])
    """

    sizes: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def join(cls, layers: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> Network:
        """Build a network from pairs of weights (outputs, inputs) and offsets (outputs,).

        Raises
        ------
        InputError
            When the layers do not fit together, hold numbers that are not finite, or are too wide.
        """
        if not layers:
            return cls(np.zeros(1, np.int64), np.zeros(0))
        sizes = [layers[0][0].shape[-1]]
        parts = []
        for weight, offset in layers:
            if weight.ndim != 2 or weight.shape[1] != sizes[-1] or offset.shape != weight.shape[:1]:
                raise InputError(f"a layer of shape {weight.shape} cannot follow one of {sizes[-1]} outputs")
            if len(weight) > LARGEST["layer"]:
                raise InputError(f"a layer has {len(weight)} outputs; expected at most {LARGEST['layer']}")
            if not (np.isfinite(weight).all() and np.isfinite(offset).all()):
                raise InputError("the network holds numbers that are not finite; train it again")
            sizes.append(len(weight))
            parts.append(np.concatenate([offset[:, None], weight], axis=1).ravel())
        return cls(np.array(sizes, np.int64), np.ascontiguousarray(np.concatenate(parts), np.float64))


@dataclass(frozen=True)
class LocalNetwork:
    """A trained decoder and encoder of patches.

    Attributes
    ----------
    decoder : (around, latents) -> mean and log dispersion of each site, or of each unit vector two numbers
    encoder : (around, patch) -> mean and log dispersion of each latent; without layers where there are none
    latents : how many
    """

    decoder: Network
    encoder: Network
    latents: int
