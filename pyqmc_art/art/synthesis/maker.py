"""What every trained maker of pictures offers, whatever is inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pyqmc_art.rng import Stream


class Maker(Protocol):
    """A trained synthesizer with its name, its weights' digest and what its pictures are in a manifest.

    How it makes pictures (truncation, steps, guidance) belongs to the object, so that a seed alone names a picture.
    """

    @property
    def name(self) -> str:
        """Name of the generator in a manifest."""
        ...

    @property
    def role(self) -> str:
        """What its pictures are in a manifest."""
        ...

    @property
    def digest(self) -> str:
        """Names the weights."""
        ...

    @property
    def kimg(self) -> float:
        """Thousands of images shown in all trainings; not a number where nobody knows."""
        ...

    @property
    def manner(self) -> tuple[tuple[str, str], ...]:
        """How it makes pictures: columns of a manifest, ``prompt`` or columns of its own."""
        ...

    def sample(self, stream: Stream, n: int) -> Tensor:
        """Images float32 (n, 3, height, width) in [0, 1]; image k depends on the stream and k alone."""
        ...

    def draw(self, seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Pictures uint8 (n, height, width, 3), one for each seed, whatever other seeds are asked for."""
        ...
