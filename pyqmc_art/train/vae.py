"""The command ``pyqmc-art train vae``: local updates of fields, learnt from a chain."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Final

from pyqmc_art import options
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import choose_monitor
from pyqmc_art.train.flags import ALL, MANY, FieldFlags, needing, require, show

_COUPLINGS: Final = {"phi4": {"m2": "-4", "lam": "8"}, "on": {"beta": "1.0"}}
"""Action -> its couplings with an example."""


@dataclass(frozen=True, kw_only=True)
class VaeFlags(FieldFlags):
    """What ``train vae`` takes beside what all trainings on fields take.

    Parameters
    ----------
    action
        phi4 or on.
    shape
        Extents of the lattice that is learnt from, periodic and even; what is learnt serves others too.
    n
        Components of on; only 2.
    beta
        Inverse temperature of on.
    block
        Extents of a patch; default: one site.
    latents
        Latent numbers of a patch.
    hidden
        Widths of the hidden layers of decoder and encoder.
    fields
        Of a heat-bath chain that are learnt from.
    train_batch_size
        Patches of one step.
    """

    action: str = "phi4"
    shape: Annotated[tuple[int, ...] | None, MANY, options.WHOLE] = None
    n: Annotated[int, options.WHOLE] = 2
    beta: float | None = None
    block: Annotated[tuple[int, ...], MANY, options.WHOLE] = ()
    latents: Annotated[int, options.WHOLE] = 1
    hidden: Annotated[tuple[int, ...], MANY, options.WHOLE] = (8,)
    fields: Annotated[int, options.WHOLE] = 512
    steps: Annotated[int, options.WHOLE] = 2000
    train_batch_size: Annotated[int, options.WHOLE] = 512
    learning_rate: float = 1e-2


def vae(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[VaeFlags, ALL] = VaeFlags(),
) -> int:
    """Train local updates of fields: a model directory for sample --kernel vae-local, and what they are worth."""
    given, _ = options.settle(settings, config)
    chosen = dataclasses.replace(VaeFlags(), **given)
    if chosen.action not in _COUPLINGS:
        raise InputError(f"the action is {chosen.action!r}; local updates are trained for phi4 and on")
    for other in set(_COUPLINGS) - {chosen.action}:
        idle = [name for name in _COUPLINGS[other] if name in given]
        if idle:
            raise InputError(f"{idle[0]} is a coupling of {other}, not of {chosen.action}; leave it out")
    require(chosen, {"shape": "8 8", **_COUPLINGS[chosen.action], "out": "model"})
    if print_config:
        return show(chosen)
    return _train_vae(chosen)


def _train_vae(chosen: VaeFlags) -> int:
    from pyqmc_art.lattice.geometry import Lattice
    from pyqmc_art.lattice.vector import ON

    action = chosen.scalar if chosen.action == "phi4" else ON(Lattice(chosen.shape or ()), chosen.n, chosen.beta or 0.0)
    with needing("train vae", "learn"):
        from pyqmc_art.proposals.vae import VaeShape
        from pyqmc_art.proposals.vae_training import VaeTraining, train_vae
    training = VaeTraining(
        VaeShape(chosen.block, chosen.latents, chosen.hidden),
        fields=chosen.fields, steps=chosen.steps, batch=chosen.train_batch_size, learning_rate=chosen.learning_rate,
        seed=chosen.seed, checkpoint_every=chosen.checkpoint_every, device=chosen.device,
    )  # fmt: skip
    found = train_vae(
        action, training, str(chosen.out), resume=chosen.resume, force=chosen.force,
        threads=chosen.cores, monitor=choose_monitor(),
    )  # fmt: skip
    print(f"accepted {found.acceptance} of {found.acceptance.n} patches in equilibrium")
    print(f"evidence lower bound {found.bound:.4f} per patch, KL term {found.divergence:.4f}")
    print(f"wrote {chosen.out}")
    return 0
