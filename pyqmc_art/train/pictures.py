"""What the commands that train makers of pictures take in common.

Annotations are objects here, not text: the command line looks at them from the modules of the sub-classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pyqmc_art import options
from pyqmc_art.monitor import choose_monitor
from pyqmc_art.train.flags import MANY, TrainFlags, announce

if TYPE_CHECKING:
    from pyqmc_art.art.synthesis.command import Errand

NEEDED: Final[Mapping[str, str]] = {"manifest": "pictures/manifest.csv", "out": "model"}
"""Flags that all of these commands need, with an example."""


@dataclass(frozen=True, kw_only=True)
class PictureFlags(TrainFlags):
    """Which pictures, how long, and what is written on the way.

    Parameters
    ----------
    manifest
        Manifest (.csv, .jsonl), or a folder whose sub-folders are named after roles.
    role
        Roles that are learned from; default: all.
    hand
        Only pictures by this hand; some words of the name are enough.
    levels
        Cells along each side for every level of the pyramid that a picture is cut into.
    kimg
        Thousands of images shown in this training.
    train_batch_size
        Images of one step.
    learning_rate
        Of every step.
    no_mirror
        Do not show half of the images mirrored.
    snapshot_kimg
        Thousands of images between sheets of fixed seeds.
    metrics
        What looks at the pictures of a sheet: auto, lite0, random, pixels, or none.
    metrics_size
        Side in pixels at which it looks.
    precision
        no (float32), bf16 (slightly other weights), or auto: bf16 where that is faster (GAN on AMX).
    dry_run
        Say what would be done and what it costs, and stop.
    """

    manifest: Path | None = None
    role: Annotated[tuple[str, ...] | None, MANY] = None
    hand: str | None = None
    levels: Annotated[tuple[int, ...], MANY, options.WHOLE] = (1,)
    kimg: float = 50.0
    train_batch_size: Annotated[int | None, options.WHOLE] = None
    learning_rate: float | None = None
    no_mirror: bool = False
    snapshot_kimg: float = 5.0
    metrics: str = "auto"
    metrics_size: Annotated[int, options.WHOLE] = 64
    checkpoint_every: Annotated[int, options.WHOLE] = 200
    precision: str = "auto"
    dry_run: bool = False

    @property
    def errand(self) -> "Errand":
        """What the command is told beside how to train."""
        from pyqmc_art.art.synthesis.command import Choice, Errand, Metrics

        return Errand(
            choice=Choice(Path(str(self.manifest)), self.role or (), self.hand, self.levels), out=Path(str(self.out)),
            metrics=Metrics(self.metrics, self.metrics_size), monitor=choose_monitor(), announce=announce,
            resume=self.resume, force=self.force, dry_run=self.dry_run, threads=self.cores,
        )  # fmt: skip

    @property
    def pace(self) -> dict[str, Any]:
        """What :class:`pyqmc_art.art.synthesis.course.Plan` takes, but for batch and rate."""
        return {
            "kimg": self.kimg, "mirror": not self.no_mirror, "snapshot_kimg": self.snapshot_kimg, "seed": self.seed,
            "checkpoint_every": self.checkpoint_every, "device": self.device, "precision": self.precision,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MakerFlags(PictureFlags):
    """And how a whole network goes on from another one.

    Parameters
    ----------
    tune
        Model directory to start from.
    average
        Half-life of the averaged weights in thousands of images.
    """

    tune: Path | None = None
    average: float = 1.0
