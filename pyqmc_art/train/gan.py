"""The command ``pyqmc-art train gan``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pyqmc_art import options
from pyqmc_art.data import tell
from pyqmc_art.errors import InputError
from pyqmc_art.train.flags import ALL, MANY, needing, settle, show
from pyqmc_art.train.pictures import NEEDED, MakerFlags

if TYPE_CHECKING:
    from pyqmc_art.art.gan.training import GanTraining


@dataclass(frozen=True, kw_only=True)
class GanFlags(MakerFlags):
    """What ``train gan`` takes beside what all makers of pictures take.

    Parameters
    ----------
    kind
        dcgan, light or stylegan2; with --tune that of the model.
    resolution
        Side of the images in pixels, a power of two; default: 64, with --tune that of the model.
    width
        Channels at the largest size; default: 32.
    latent
        Length of a latent vector; default: 100.
    freeze
        Stages of the discriminator that keep their weights (Freeze-D).
    loss
        non-saturating, minimax or hinge.
    augment
        none, diff (DiffAugment) or ada.
    r1
        Weight of the penalty on the discriminator's slope.
    path_length
        Weight of the path-length penalty (stylegan2).
    phases
        Steps of the discriminator alone, then of the generator alone; default: both in each step.
    balance
        off, warn, or hold a winning discriminator.
    """

    kind: str | None = None
    resolution: Annotated[int | None, options.WHOLE] = None
    width: Annotated[int | None, options.WHOLE] = None
    latent: Annotated[int | None, options.WHOLE] = None
    freeze: Annotated[int, options.WHOLE] = 0
    loss: str | None = None
    augment: str | None = None
    r1: float | None = None
    path_length: float | None = None
    phases: Annotated[tuple[int, ...], MANY, options.WHOLE] = (0, 0)
    balance: str = "warn"


def gan(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[GanFlags, ALL] = GanFlags(),
) -> int:
    """Train a GAN on pictures, or tune one on a few: a model directory for generate, and sheets on the way."""
    chosen = settle(settings, config, NEEDED)
    if len(chosen.phases) != 2:
        raise InputError(f"phases has {len(chosen.phases)} numbers; expected two, for instance 100 100")
    if print_config:
        return show(chosen)
    with needing("train gan", "learn,art"):
        from pyqmc_art.art.gan.command import train_command
    return tell(train_command(chosen.errand, _plan(chosen), chosen.tune))


def _plan(chosen: GanFlags) -> GanTraining:
    """Options with the defaults of the kind."""
    from pyqmc_art.art.gan.catalogue import GanShape
    from pyqmc_art.art.gan.models import read_shape
    from pyqmc_art.art.gan.rules import Rules
    from pyqmc_art.art.gan.training import GanTraining

    start = GanShape() if chosen.tune is None else read_shape(chosen.tune)
    asked: dict[str, Any] = {
        "kind": chosen.kind,
        "size": chosen.resolution,
        "width": chosen.width,
        "latent": chosen.latent,
    }
    shape = dataclasses.replace(start, **{name: value for name, value in asked.items() if value is not None})
    habit = shape.habit
    phases = (chosen.phases[0], chosen.phases[1])
    rules = Rules(
        chosen.loss or habit.loss, chosen.augment or habit.augment, habit.slope if chosen.r1 is None else chosen.r1,
        path=habit.path if chosen.path_length is None else chosen.path_length, phases=phases, average=chosen.average,
        balance=chosen.balance, betas=habit.betas,
    )  # fmt: skip
    return GanTraining(
        shape, rules, chosen.freeze, batch=chosen.train_batch_size or habit.batch,
        learning_rate=chosen.learning_rate or habit.learning_rate, **chosen.pace,
    )  # fmt: skip
