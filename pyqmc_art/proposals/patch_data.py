"""Patches with what is around them, cut from the fields of a chain: what local proposals learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.kernels.local import HeatBath
from pyqmc_art.lattice.patches import cut_patches
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream

HELD_OUT: Final = 8
"""One of so many fields is not trained on."""

_CHAINS: Final = 16
_WARMUP: Final = 300
_BETWEEN: Final = 10
_EARLY: Final = (1, 1, 2, 4)


class PatchData(NamedTuple):
    """Patches in the frame networks see: ``around`` (n, rim, components) and ``values`` (n, size, components)."""

    around: NDArray[np.float64]
    values: NDArray[np.float64]


def collect_patches(action: Any, block: Sequence[int], fields: Field) -> PatchData:
    """Cut fields into patches and what is around them, turned into the frame in which networks see them.

    phi^4: the sum of what is around is positive. O(2): it points along the first axis.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.lattice.scalar import Phi4
    >>> action = Phi4(Lattice((4, 4)), m2=-4, lam=8)
    >>> data = collect_patches(action, (1, 1), -np.ones((3, 4, 4)))
    >>> data.around.shape, data.values.shape, float(data.values.min())
    ((48, 4, 1), (48, 1, 1), 1.0)
    """
    patches, c = cut_patches(action.lattice, block), action.components
    flat = np.asarray(fields, np.float64).reshape(len(fields), action.lattice.sites, c)
    around = flat[:, patches.around].reshape(-1, patches.around.shape[2], c)
    values = flat[:, patches.members].reshape(-1, patches.members.shape[2], c)
    total = around.sum(axis=1)
    if c == 1:
        sign = np.where(total < 0, -1.0, 1.0)[:, None]
        return PatchData(around * sign, values * sign)
    square = (total * total).sum(axis=1, keepdims=True)
    axis = np.where(square > 1e-30, total / np.sqrt(np.maximum(square, 1e-30)), np.array([1.0, 0.0]))
    turn = np.stack([axis, np.stack([-axis[:, 1], axis[:, 0]], axis=1)], axis=1)
    return PatchData(np.einsum("nab,nrb->nra", turn, around), np.einsum("nab,nsb->nsa", turn, values))


def make_fields(action: Any, n: int, stream: Stream, threads: int | None = None) -> NDArray[np.float64]:
    """Make fields of a heat-bath chain, shape (n, *lattice.shape, ...); neighbours in the array are independent."""
    kernel: Any = HeatBath(action, threads=threads)
    own = stream.fold("chain")
    state = kernel.init(kernel.start(own, min(n, _CHAINS)))
    state, _, _ = kernel.advance(own, state, _WARMUP)
    kept = []
    for _ in range(-(-n // len(state.field))):
        state, _, _ = kernel.advance(own, state, _BETWEEN)
        kept.append(state.field.copy())
    return np.ascontiguousarray(np.concatenate(kept)[:n])


def make_early_fields(action: Any, n: int, stream: Stream, threads: int | None = None) -> NDArray[np.float64]:
    """Make fields on their way to equilibrium: n of each start, hot and cold, after 1, 2, 4 and 8 heat-bath sweeps.

    Their surroundings are such as equilibrium hardly ever shows and a chain must be able to leave; the values of the
    sites that were updated last are exact draws given their surroundings all the same.
    """
    kernel: Any = HeatBath(action, threads=threads)
    kept = []
    for how in ("hot", "cold"):
        own = stream.fold(f"early {how}")
        state = kernel.init(kernel.start(own, n, how))
        for sweeps in _EARLY:
            state, _, _ = kernel.advance(own, state, sweeps)
            kept.append(state.field.copy())
    return np.concatenate(kept)


def split_patches(
    action: Any, block: Sequence[int], chain: NDArray[np.float64], stream: Stream, threads: int | None = None
) -> tuple[PatchData, PatchData]:
    """Patches to learn from, some of them on their way to equilibrium, and patches of fields that are held out."""
    held = max(1, len(chain) // HELD_OUT)
    early = make_early_fields(action, max(1, len(chain) // (8 * len(_EARLY))), stream, threads)
    seen = collect_patches(action, block, np.concatenate([chain[held:], early]))
    return seen, collect_patches(action, block, chain[:held])


def check_fields(action: Any, fields: NDArray[np.float64]) -> NDArray[np.float64]:
    """Refuse fields that are not those of the action, or too few of them."""
    action.space.check(fields, action.lattice.shape)
    if len(fields) < HELD_OUT:
        raise InputError(f"{len(fields)} fields were given; expected at least {HELD_OUT}")
    return fields
