"""The command ``pyqmc-art train vae``: local updates of fields, learnt from a chain."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError

_Many = Parameter(consume_multiple=True)
_All = Parameter(name="*")
_COUPLINGS: Final = {"phi4": {"m2": "-4", "lam": "8"}, "on": {"beta": "1.0"}}
"""Action -> its couplings with an example."""


@dataclass(frozen=True)
class VaeFlags:
    """What ``train vae`` takes.

    Parameters
    ----------
    action
        phi4 or on.
    shape
        Extents of the lattice that is learnt from, periodic and even; what is learnt serves others too.
    m2
        Squared mass of phi4.
    lam
        Quartic coupling of phi4.
    convention
        A, B, C or D, of phi4.
    n
        Components of on; only 2.
    beta
        Inverse temperature of on.
    out
        Model directory to write.
    block
        Extents of a patch; default: one site.
    latents
        Latent numbers of a patch.
    hidden
        Widths of the hidden layers of decoder and encoder.
    fields
        Of a heat-bath chain that are learnt from.
    steps
        Of the optimiser.
    train_batch_size
        Patches of one step.
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

    action: str = "phi4"
    shape: Annotated[tuple[int, ...] | None, _Many, options.WHOLE] = None
    m2: float | None = None
    lam: float | None = None
    convention: str = "A"
    n: Annotated[int, options.WHOLE] = 2
    beta: float | None = None
    out: Path | None = None
    block: Annotated[tuple[int, ...], _Many, options.WHOLE] = ()
    latents: Annotated[int, options.WHOLE] = 1
    hidden: Annotated[tuple[int, ...], _Many, options.WHOLE] = (8,)
    fields: Annotated[int, options.WHOLE] = 512
    steps: Annotated[int, options.WHOLE] = 2000
    train_batch_size: Annotated[int, options.WHOLE] = 512
    learning_rate: float = 1e-2
    device: str = "auto"
    checkpoint_every: Annotated[int, options.WHOLE] = 500
    seed: Annotated[int, options.WHOLE] = 0
    threads: Annotated[int | None, options.WHOLE] = None
    resume: bool = False
    force: bool = False


def vae(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[VaeFlags, _All] = VaeFlags(),
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
    for key, example in {"shape": "8 8", **_COUPLINGS[chosen.action], "out": "model"}.items():
        if getattr(chosen, key) is None:
            raise InputError(f"no {key} was given; for instance --{key} {example}")
    if print_config:
        print(options.as_toml(dataclasses.asdict(chosen)))
        return 0
    return _train_vae(chosen)


def _train_vae(chosen: VaeFlags) -> int:
    from pyqmc_art.backends import default_threads
    from pyqmc_art.lattice.geometry import Lattice
    from pyqmc_art.lattice.scalar import Phi4
    from pyqmc_art.lattice.vector import ON
    from pyqmc_art.monitor import choose_monitor

    lattice = Lattice(chosen.shape or ())
    action: Phi4 | ON = (
        Phi4(lattice, chosen.m2 or 0.0, chosen.lam or 0.0, chosen.convention)
        if chosen.action == "phi4"
        else ON(lattice, chosen.n, chosen.beta or 0.0)
    )
    try:
        from pyqmc_art.proposals.vae import VaeShape
        from pyqmc_art.proposals.vae_training import VaeTraining, train_vae
    except ImportError as reason:
        raise InputError(f"train vae needs {reason.name}; pip install 'pyqmc-art[learn]'") from reason
    training = VaeTraining(
        VaeShape(chosen.block, chosen.latents, chosen.hidden),
        fields=chosen.fields, steps=chosen.steps, batch=chosen.train_batch_size, learning_rate=chosen.learning_rate,
        seed=chosen.seed, checkpoint_every=chosen.checkpoint_every, device=chosen.device,
    )  # fmt: skip
    found = train_vae(
        action, training, str(chosen.out), resume=chosen.resume, force=chosen.force,
        threads=chosen.threads or default_threads(), monitor=choose_monitor(),
    )  # fmt: skip
    print(f"accepted {found.acceptance} of {found.acceptance.n} patches in equilibrium")
    print(f"evidence lower bound {found.bound:.4f} per patch, KL term {found.divergence:.4f}")
    print(f"wrote {chosen.out}")
    return 0
