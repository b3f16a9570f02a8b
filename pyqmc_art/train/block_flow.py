"""The command ``pyqmc-art train block-flow``: proposals of blocks given what surrounds them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError

_Many = Parameter(consume_multiple=True)
_All = Parameter(name="*")


@dataclass(frozen=True)
class BlockFlags:
    """What ``train block-flow`` takes.

    Parameters
    ----------
    shape
        Extents of the lattice that is learnt from, periodic; what is learnt serves others too.
    m2
        Squared mass of phi4.
    lam
        Quartic coupling.
    convention
        A, B, C or D.
    block
        Extents of a block; twice a block must divide the lattice.
    out
        Model directory to write.
    layers
        Couplings.
    hidden
        Widths of the hidden layers of each network.
    mass
        Squared mass of the free field it starts from; default: about as wide as the target.
    fields
        Of a heat-bath chain whose boundaries are learnt from.
    steps
        Of the optimiser.
    train_batch_size
        Blocks of one step.
    learning_rate
        Largest one; it falls as a cosine.
    device
        auto or cpu.
    checkpoint_every
        Steps between checkpoints.
    seed
        Of everything random.
    threads
        Default: OMP_NUM_THREADS, or else all cores.
    resume
        Go on with an interrupted training of the same --out.
    force
        Replace the model that is there.
    """

    shape: Annotated[tuple[int, ...] | None, _Many, options.WHOLE] = None
    m2: float | None = None
    lam: float | None = None
    convention: str = "A"
    block: Annotated[tuple[int, ...] | None, _Many, options.WHOLE] = None
    out: Path | None = None
    layers: Annotated[int, options.WHOLE] = 6
    hidden: Annotated[tuple[int, ...], _Many, options.WHOLE] = (32,)
    mass: float | None = None
    fields: Annotated[int, options.WHOLE] = 512
    steps: Annotated[int, options.WHOLE] = 1000
    train_batch_size: Annotated[int, options.WHOLE] = 256
    learning_rate: float = 3e-3
    device: str = "auto"
    checkpoint_every: Annotated[int, options.WHOLE] = 500
    seed: Annotated[int, options.WHOLE] = 0
    threads: Annotated[int | None, options.WHOLE] = None
    resume: bool = False
    force: bool = False


def block_flow(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[BlockFlags, _All] = BlockFlags(),
) -> int:
    """Train a flow of blocks of phi4: a model directory for sample --kernel blocked-flow, and how good it is."""
    given, _ = options.settle(settings, config)
    chosen = dataclasses.replace(BlockFlags(), **given)
    for key, example in {"shape": "8 8", "m2": "-4", "lam": "8", "block": "4 4", "out": "model"}.items():
        if getattr(chosen, key) is None:
            raise InputError(f"no {key} was given; for instance --{key} {example}")
    if print_config:
        print(options.as_toml(dataclasses.asdict(chosen)))
        return 0
    return _train(chosen)


def _train(chosen: BlockFlags) -> int:
    from pyqmc_art.backends import default_threads
    from pyqmc_art.lattice.geometry import Lattice
    from pyqmc_art.lattice.scalar import Phi4
    from pyqmc_art.monitor import choose_monitor

    action = Phi4(Lattice(chosen.shape or ()), chosen.m2 or 0.0, chosen.lam or 0.0, chosen.convention)
    try:
        from pyqmc_art.proposals.block_flow import BlockShape
        from pyqmc_art.proposals.block_training import BlockTraining, train_block_flow
    except ImportError as reason:
        raise InputError(f"train block-flow needs {reason.name}; pip install 'pyqmc-art[learn]'") from reason
    training = BlockTraining(
        BlockShape(chosen.block or (), chosen.layers, chosen.hidden, chosen.mass),
        fields=chosen.fields, steps=chosen.steps, batch=chosen.train_batch_size, learning_rate=chosen.learning_rate,
        seed=chosen.seed, checkpoint_every=chosen.checkpoint_every, device=chosen.device,
    )  # fmt: skip
    found = train_block_flow(
        action, training, str(chosen.out), resume=chosen.resume, force=chosen.force,
        threads=chosen.threads or default_threads(), monitor=choose_monitor(),
    )  # fmt: skip
    print(f"accepted {found.acceptance} of {found.acceptance.n} blocks in equilibrium")
    print(f"wrote {chosen.out}")
    return 0
