"""Snapshots of a training: a sheet of pictures from fixed seeds, and numbers for a curve over images shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.pictures import write_picture
from pyqmc_art.art.synthesis.maker import Maker
from pyqmc_art.errors import StoreError

COLUMNS: Final = 8
ROWS: Final = 4
SUFFIX: Final = "-kimg.png"
_GAP: Final = 2

Measure: TypeAlias = Callable[[Maker], Mapping[str, float | str]]
"""Numbers about a synthesizer, for the curve over the images shown."""


@dataclass(frozen=True)
class Snapshots:
    """When snapshots are taken and where they go.

    Parameters
    ----------
    folder : of the sheets; None writes none
    every : steps
    last : step, after which there is one in any case
    sheet : pictures of each
    first : step after which there is one more, where learning is fastest; 0 for none
    """

    folder: Path | None
    every: int
    last: int
    sheet: int = COLUMNS * ROWS
    first: int = 0

    def due(self, step: int) -> bool:
        """Whether there is one after so many steps."""
        return step % self.every == 0 or step in (self.first, self.last)

    def take(self, synthesizer: Maker, kimg: float, measure: Measure | None) -> dict[str, float | str]:
        """Write the sheet of the same seeds as ever, and measure; ``kimg`` were shown in all trainings."""
        facts: dict[str, float | str] = {"kimg": kimg}
        if self.folder is not None:
            sheet = lay_out(synthesizer.draw(range(self.sheet)), COLUMNS)
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot make {self.folder} ({error.strerror}); is there room?") from error
            write_picture(self.folder / f"{kimg:09.3f}{SUFFIX}", sheet)
        if measure is not None:
            facts |= measure(synthesizer)
        return facts


def lay_out(images: NDArray[np.uint8], columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Lay images (n, h, w, 3) out in rows on a white sheet.

    Examples
    --------
    >>> lay_out(np.zeros((5, 4, 4, 3), np.uint8), columns=3).shape
    (14, 20, 3)
    """
    n, height, width, _ = images.shape
    across = min(columns, n)
    rows = -(-n // across)
    sheet = np.full((rows * (height + _GAP) + _GAP, across * (width + _GAP) + _GAP, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = (k * (side + _GAP) + _GAP for k, side in zip(divmod(number, across), (height, width), strict=True))
        sheet[top : top + height, left : left + width] = image
    return sheet
