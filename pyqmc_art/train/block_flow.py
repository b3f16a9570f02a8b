"""The command ``pyqmc-art train block-flow``: proposals of blocks given what surrounds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pyqmc_art import options
from pyqmc_art.monitor import choose_monitor
from pyqmc_art.train.flags import ALL, MANY, FieldFlags, needing, settle, show


@dataclass(frozen=True, kw_only=True)
class BlockFlags(FieldFlags):
    """What ``train block-flow`` takes beside what all trainings on fields take.

    Parameters
    ----------
    shape
        Extents of the lattice that is learnt from, periodic; what is learnt serves others too.
    block
        Extents of a block; twice a block must divide the lattice.
    layers
        Couplings.
    hidden
        Widths of the hidden layers of each network.
    mass
        Squared mass of the free field it starts from; default: about as wide as the target.
    fields
        Of a heat-bath chain whose boundaries are learnt from.
    train_batch_size
        Blocks of one step.
    """

    shape: Annotated[tuple[int, ...] | None, MANY, options.WHOLE] = None
    block: Annotated[tuple[int, ...] | None, MANY, options.WHOLE] = None
    layers: Annotated[int, options.WHOLE] = 6
    hidden: Annotated[tuple[int, ...], MANY, options.WHOLE] = (32,)
    mass: float | None = None
    fields: Annotated[int, options.WHOLE] = 512


def block_flow(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[BlockFlags, ALL] = BlockFlags(),
) -> int:
    """Train a flow of blocks of phi4: a model directory for sample --kernel blocked-flow, and how good it is."""
    chosen = settle(settings, config, {"shape": "8 8", "m2": "-4", "lam": "8", "block": "4 4", "out": "model"})
    if print_config:
        return show(chosen)
    return _train(chosen)


def _train(chosen: BlockFlags) -> int:
    with needing("train block-flow", "learn"):
        from pyqmc_art.proposals.block_flow import BlockShape
        from pyqmc_art.proposals.block_training import BlockTraining, train_block_flow
    training = BlockTraining(
        BlockShape(chosen.block or (), chosen.layers, chosen.hidden, chosen.mass),
        fields=chosen.fields, steps=chosen.steps, batch=chosen.train_batch_size, learning_rate=chosen.learning_rate,
        seed=chosen.seed, checkpoint_every=chosen.checkpoint_every, device=chosen.device,
    )  # fmt: skip
    found = train_block_flow(
        chosen.scalar, training, str(chosen.out), resume=chosen.resume, force=chosen.force, threads=chosen.cores,
        monitor=choose_monitor(),
    )  # fmt: skip
    print(f"accepted {found.acceptance} of {found.acceptance.n} blocks in equilibrium")
    print(f"wrote {chosen.out}")
    return 0
