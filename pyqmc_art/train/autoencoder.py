"""The command ``pyqmc-art train autoencoder``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pyqmc_art import options
from pyqmc_art.data import tell
from pyqmc_art.train.flags import ALL, MANY, needing, settle, show
from pyqmc_art.train.pictures import NEEDED, MakerFlags

if TYPE_CHECKING:
    from pyqmc_art.art.autoencoder.training import AutoencoderTraining


@dataclass(frozen=True, kw_only=True)
class AutoencoderFlags(MakerFlags):
    """What ``train autoencoder`` takes beside what all makers of pictures take.

    Parameters
    ----------
    resolution
        Side of the images in pixels, a power of two; default: 32, with --tune that of the model.
    width
        Channels at the largest size, a multiple of 8; default: 32.
    halvings
        How often the side is halved on the way to the latent map; default: 2.
    latent
        Channels of the latent map; default: 4.
    kl_weight
        Weight of the divergence: 1 for the evidence lower bound itself; several make a sweep, one model each.
    """

    resolution: Annotated[int | None, options.WHOLE] = None
    width: Annotated[int | None, options.WHOLE] = None
    halvings: Annotated[int | None, options.WHOLE] = None
    latent: Annotated[int | None, options.WHOLE] = None
    kl_weight: Annotated[tuple[float, ...], MANY] = (1.0,)


def autoencoder(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[AutoencoderFlags, ALL] = AutoencoderFlags(),
) -> int:
    """Train a variational autoencoder of pictures: for generate, and for train diffusion --autoencoder."""
    chosen = settle(settings, config, NEEDED)
    if print_config:
        return show(chosen)
    with needing("train autoencoder", "learn,art"):
        from pyqmc_art.art.autoencoder.command import train_command
    return tell(train_command(chosen.errand, _plan(chosen), chosen.tune, chosen.kl_weight))


def _plan(chosen: AutoencoderFlags) -> AutoencoderTraining:
    """Options with the usual values, or with those of the model that is tuned."""
    from pyqmc_art.art.autoencoder.models import read_shape
    from pyqmc_art.art.autoencoder.network import AutoencoderShape
    from pyqmc_art.art.autoencoder.training import AutoencoderTraining

    start = AutoencoderShape() if chosen.tune is None else read_shape(chosen.tune)
    asked: dict[str, Any] = {
        "size": chosen.resolution, "width": chosen.width, "halvings": chosen.halvings, "latent": chosen.latent,
    }  # fmt: skip
    shape = dataclasses.replace(start, **{name: value for name, value in asked.items() if value is not None})
    usual = AutoencoderTraining()
    return AutoencoderTraining(
        shape, chosen.kl_weight[0], chosen.average, batch=chosen.train_batch_size or usual.batch,
        learning_rate=chosen.learning_rate or usual.learning_rate, **chosen.pace,
    )  # fmt: skip
