"""The command ``pyqmc-art train diffusion``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pyqmc_art import options
from pyqmc_art.data import tell
from pyqmc_art.train.flags import ALL, needing, settle, show
from pyqmc_art.train.pictures import NEEDED, MakerFlags

if TYPE_CHECKING:
    from pyqmc_art.art.diffusion.training import DiffusionTraining


@dataclass(frozen=True, kw_only=True)
class DiffusionFlags(MakerFlags):
    """What ``train diffusion`` takes beside what all makers of pictures take.

    Parameters
    ----------
    resolution
        Side of the images in pixels, a power of two; default: 32, with --tune or --autoencoder that of the model.
    width
        Channels at the largest size of the network, a multiple of 8; default: 32.
    depth
        Blocks at each size of the network; default: 1.
    objective
        What the network answers: flow, epsilon or v; default: flow.
    classes
        none, role or hand: what pictures can be asked for later; default: none, with --tune that of the model.
    drop
        Share of the examples whose class is hidden, for guidance.
    autoencoder
        Model directory of train autoencoder, whose latent map is denoised in place of the pixels.
    sampler
        For the sheets: heun or euler (flow), ddim or ddpm (epsilon, v).
    steps
        Of that sampler; default: 5 with heun, else 20.
    """

    resolution: Annotated[int | None, options.WHOLE] = None
    width: Annotated[int | None, options.WHOLE] = None
    depth: Annotated[int | None, options.WHOLE] = None
    objective: str | None = None
    classes: str | None = None
    drop: float = 0.1
    autoencoder: Path | None = None
    sampler: str | None = None
    steps: Annotated[int | None, options.WHOLE] = None


def diffusion(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[DiffusionFlags, ALL] = DiffusionFlags(),
) -> int:
    """Train a diffusion model on pictures, or tune one: a model directory for generate, and sheets on the way."""
    chosen = settle(settings, config, NEEDED)
    if print_config:
        return show(chosen)
    with needing("train diffusion", "learn,art"):
        from pyqmc_art.art.diffusion.command import train_command
    return tell(train_command(chosen.errand, _plan(chosen), chosen.tune))


def _plan(chosen: DiffusionFlags) -> DiffusionTraining:
    """Options with the usual values, or with those of the model that is tuned."""
    from pyqmc_art.art.autoencoder.models import read_shape as read_autoencoder
    from pyqmc_art.art.diffusion.denoiser import DenoiserShape
    from pyqmc_art.art.diffusion.models import Manner, read_grouping, read_shape
    from pyqmc_art.art.diffusion.training import DiffusionTraining

    start = DenoiserShape() if chosen.tune is None else read_shape(chosen.tune)[0]
    if chosen.autoencoder is not None and chosen.tune is None:
        start = DenoiserShape(read_autoencoder(chosen.autoencoder).size)
    asked: dict[str, Any] = {
        "size": chosen.resolution, "width": chosen.width, "depth": chosen.depth, "objective": chosen.objective,
    }  # fmt: skip
    shape = dataclasses.replace(start, **{name: value for name, value in asked.items() if value is not None})
    usual = DiffusionTraining()
    classes = chosen.classes or (usual.classes if chosen.tune is None else read_grouping(chosen.tune))
    return DiffusionTraining(
        shape, classes, chosen.drop, chosen.average, str(chosen.autoencoder or ""),
        Manner(chosen.sampler, chosen.steps), batch=chosen.train_batch_size or usual.batch,
        learning_rate=chosen.learning_rate or usual.learning_rate, **chosen.pace,
    )  # fmt: skip
