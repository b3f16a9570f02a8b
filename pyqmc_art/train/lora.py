"""The command ``pyqmc-art train lora``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pyqmc_art import options
from pyqmc_art.data import tell
from pyqmc_art.errors import InputError
from pyqmc_art.train.pictures import ALL, PictureFlags, announce, settle

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
    chosen = settle(settings, config)
    for key, example in {"base": "stable-diffusion-2", "prompt": "'a painting by me'"}.items():
        if getattr(chosen, key) is None:
            raise InputError(f"no {key} was given; for instance --{key} {example}")
    if print_config:
        print(options.as_toml(dataclasses.asdict(chosen)))
        return 0
    return _train(chosen)


def _train(chosen: LoraFlags) -> int:
    from pyqmc_art.backends import default_threads
    from pyqmc_art.monitor import choose_monitor

    try:
        from pyqmc_art.art.diffusion.lora_command import train_command
        from pyqmc_art.art.synthesis.command import Metrics
    except ImportError as reason:
        raise InputError(f"train lora needs {reason.name}; pip install 'pyqmc-art[text]'") from reason
    outcome = train_command(
        Path(str(chosen.base)), chosen.choice, _plan(chosen), Path(str(chosen.out)),
        metrics=Metrics(chosen.metrics, chosen.metrics_size), monitor=choose_monitor(), announce=announce,
        resume=chosen.resume, force=chosen.force, dry_run=chosen.dry_run, threads=chosen.threads or default_threads(),
    )  # fmt: skip
    return tell(outcome)


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
