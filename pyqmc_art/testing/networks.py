"""Networks of learned local updates that nobody trained, or that least squares fitted: exactness needs no more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pyqmc_art.lattice.patches import count_rim, cut_patches
from pyqmc_art.ops.patches import LocalNetwork, Network
from pyqmc_art.rng import Stream


def draw_network(
    action: Any, block: Sequence[int], latents: int, hidden: Sequence[int], size: float, stream: Stream
) -> LocalNetwork:
    """Draw a network with normal weights; ``size`` is their width: 0 sees nothing, 1 is crooked.

    Parameters
    ----------
    action : phi^4 or O(2)
    block : extents of a patch
    """
    random = np.random.default_rng(stream.fold("network").key)
    c, rim, sites = action.components, count_rim(block), math.prod(block)

    def draw(inputs: int, outputs: int, spread: float) -> Network:
        layers = [
            (size * random.normal(size=(b, a)) / math.sqrt(a), size * random.normal(size=b))
            for a, b in pairwise((inputs, *hidden, outputs))
        ]
        layers[-1][1][outputs // 2 :] += spread
        return Network.join(layers)

    decoder = draw(c * rim + latents, 2 * sites, math.log(action.width) if c == 1 else 0.0)
    encoder = draw(c * (rim + sites), 2 * latents, 0.0) if latents else Network.join([])
    return LocalNetwork(decoder, encoder, latents)


def fit_network(action: Any, fields: Any) -> LocalNetwork:
    """Fit a decoder of single phi^4 sites by least squares: a mean linear in what is around, and one dispersion."""
    patches = cut_patches(action.lattice, (1,) * action.lattice.dimension)
    flat = fields.reshape(len(fields), action.lattice.sites)
    total = flat[:, patches.around].sum(axis=-1).ravel()
    values = flat[:, patches.members].ravel()
    slope = float(total @ values / (total @ total))
    spread = math.log(float(np.std(values - slope * total)))
    weight = np.zeros((2, patches.around.shape[2]))
    weight[0] = slope
    return LocalNetwork(Network.join([(weight, np.array([0.0, spread]))]), Network.join([]), 0)
