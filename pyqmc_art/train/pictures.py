"""What the commands that train makers of pictures take in common.

Annotations are objects here, not text: the command line looks at them from the modules of the sub-classes.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError

if TYPE_CHECKING:
    from pyqmc_art.art.synthesis.command import Choice

MANY = Parameter(consume_multiple=True)
ALL = Parameter(name="*")
_Flags = TypeVar("_Flags", bound="PictureFlags")


@dataclass(frozen=True, kw_only=True)
class PictureFlags:
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
    out
        Model directory to write.
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
    checkpoint_every
        Steps between checkpoints.
    device
        auto or cpu.
    precision
        no (float32), or bf16: faster where the processor multiplies such numbers, and slightly other weights.
    seed
        Of everything random.
    threads
        Default: OMP_NUM_THREADS, or else all cores.
    resume
        Go on with an interrupted training of the same --out.
    force
        Replace the model that is there.
    dry_run
        Say what would be done and what it costs, and stop.
    """

    manifest: Path | None = None
    role: Annotated[tuple[str, ...] | None, MANY] = None
    hand: str | None = None
    levels: Annotated[tuple[int, ...], MANY, options.WHOLE] = (1,)
    out: Path | None = None
    kimg: float = 50.0
    train_batch_size: Annotated[int | None, options.WHOLE] = None
    learning_rate: float | None = None
    no_mirror: bool = False
    snapshot_kimg: float = 5.0
    metrics: str = "auto"
    metrics_size: Annotated[int, options.WHOLE] = 64
    checkpoint_every: Annotated[int, options.WHOLE] = 200
    device: str = "auto"
    precision: str = "no"
    seed: Annotated[int, options.WHOLE] = 0
    threads: Annotated[int | None, options.WHOLE] = None
    resume: bool = False
    force: bool = False
    dry_run: bool = False

    @property
    def choice(self) -> "Choice":
        """The pictures that were chosen."""
        from pyqmc_art.art.synthesis.command import Choice

        return Choice(Path(str(self.manifest)), self.role or (), self.hand, self.levels)

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


def settle(settings: _Flags, config: Path | None) -> _Flags:
    """Join flags and a configuration file, and require what is needed.

    Raises
    ------
    InputError
        Without a manifest, or without a place for the model.
    """
    given, _ = options.settle(settings, config)
    chosen = dataclasses.replace(type(settings)(), **given)
    for key, example in {"manifest": "pictures/manifest.csv", "out": "model"}.items():
        if getattr(chosen, key) is None:
            raise InputError(f"no {key} was given; for instance --{key} {example}")
    return chosen


def announce(text: str) -> None:
    """Tell at once what will be done."""
    print(text, flush=True)
