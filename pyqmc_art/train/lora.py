"""The command ``pyqmc-art train lora``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pyqmc_art import options
from pyqmc_art.data import tell
from pyqmc_art.train.flags import ALL, needing, settle, show
from pyqmc_art.train.pictures import NEEDED, PictureFlags

if TYPE_CHECKING:
    from pyqmc_art.art.diffusion.lora import LoraTraining


@dataclass(frozen=True, kw_only=True)
class LoraFlags(PictureFlags):
    """What ``train lora`` takes beside pictures.

    Parameters
    ----------
    base
        Local directory of a Stable Diffusion pipeline.
    prompt
        Sentence that will mean such pictures.
    resolution
        Side of the images in pixels; default: what the pipeline was trained for.
    rank
        Of the changes.
    steps
        Of the sampler, for the sheets.
    guidance
        For the sheets.
    """

    base: Path | None = None
    prompt: str | None = None
    resolution: Annotated[int | None, options.WHOLE] = None
    rank: Annotated[int, options.WHOLE] = 4
    steps: Annotated[int, options.WHOLE] = 20
    guidance: float = 7.5
    kimg: float = 0.5
    snapshot_kimg: float = 0.0
    metrics: str = "none"


def lora(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[LoraFlags, ALL] = LoraFlags(),
) -> int:
    """Train small changes to a local Stable Diffusion network on pictures, for generate --lora."""
    chosen = settle(settings, config, {**NEEDED, "base": "stable-diffusion-2", "prompt": "'a painting by me'"})
    if print_config:
        return show(chosen)
    with needing("train lora", "text"):
        from pyqmc_art.art.diffusion.lora_command import train_command
    return tell(train_command(chosen.errand, _plan(chosen), Path(str(chosen.base))))


def _plan(chosen: LoraFlags) -> LoraTraining:
    from pyqmc_art.art.diffusion.lora import LoraTraining
    from pyqmc_art.art.diffusion.stable_folder import open_folder

    size = chosen.resolution or open_folder(Path(str(chosen.base))).size
    usual = LoraTraining(chosen.prompt or "", size)
    return LoraTraining(
        chosen.prompt or "", size, chosen.rank, chosen.steps, chosen.guidance,
        batch=chosen.train_batch_size or usual.batch, learning_rate=chosen.learning_rate or usual.learning_rate,
        **chosen.pace,
    )  # fmt: skip
