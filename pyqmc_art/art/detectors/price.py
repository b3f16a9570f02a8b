"""What training a detector will cost, told before it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pyqmc_art.art.detectors.features import Extractor
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.patches import plan_patches
from pyqmc_art.protocols import PatchSpec

if TYPE_CHECKING:
    from pyqmc_art.art.detectors.training import DetectorOptions

_LARGE = 1024
"""Side that is assumed of pictures whose size the manifest does not tell."""


def count_patches(rows: Manifest, spec: PatchSpec, side: int | None = None) -> int:
    """Count the patches of all rows; ``side`` is that of equalised pictures.

    Examples
    --------
    >>> from pyqmc_art.art.rows import Row
    >>> count_patches(Manifest((Row("a.png", "photo", width=600, height=520), Row("b.png", "photo"))), PatchSpec())
    26
    """
    sizes = [(side, side) if side else (row.width or _LARGE, row.height or _LARGE) for row in rows]
    return sum(len(plan_patches(width, height, spec.levels, spec.square)[0]) for width, height in sizes)


def announce_cost(
    extractor: Extractor, rows: Manifest, options: DetectorOptions, announce: Callable[[str], None]
) -> None:
    """Measure and tell the cost of a network; without one there is nothing worth telling."""
    if extractor.kind != "network":
        return
    from pyqmc_art.art.detectors.network import NetworkExtractor, PooledNetwork
    from pyqmc_art.learning.cost import estimate_cost

    if not isinstance(extractor, NetworkExtractor):
        return
    spec, tune = extractor.spec, options.tune
    side = None if options.equaliser is None else options.equaliser.size
    patches = count_patches(rows, spec, side)
    most = "" if side or all(row.width and row.height for row in rows) else " at most"
    network = PooledNetwork(extractor.backbone, extractor.channels)
    shape = (3, spec.size, spec.size)
    if tune is None:
        announce(f"{extractor.name}{most}: {estimate_cost(network, patches, shape=shape, training=False)}")
        return
    # One training for each fold and one on everything.
    passes = tune.epochs * (2 if options.pretrain else 1) * (options.folds + 1)
    cost = estimate_cost(network, patches, passes, shape=shape, batch=tune.batch or 32)
    announce(f"{extractor.name}, {options.folds + 1} trainings of {tune.epochs} epochs{most}: {cost}")
