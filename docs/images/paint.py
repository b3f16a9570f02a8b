"""Draw the contact sheet of the procedural painter: python docs/images/paint.py (a few seconds)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pyqmc_art import art
from pyqmc_art.art.collection import paint_all, plan_collection
from pyqmc_art.rng import Stream

ROLES = ("original", "forgery", "proxy", "diffusion")
COLUMNS, SIZE, SHOWN, GAP = 6, 256, 118, 4


def make_sheet() -> Image.Image:
    """One row for each role; the forgeries copy originals of the first row."""
    stream = Stream.from_seed(18)
    plan = plan_collection(stream, dict.fromkeys(ROLES, COLUMNS), SIZE, copies=True)
    step = SHOWN + GAP
    sheet = np.full((len(ROLES) * step - GAP, COLUMNS * step - GAP, 3), 255, np.uint8)
    columns = dict.fromkeys(ROLES, 0)
    for pixels, commission in paint_all(plan):
        top, left = ROLES.index(commission.role) * step, columns[commission.role] * step
        sheet[top : top + SHOWN, left : left + SHOWN] = art.resample(pixels, (SHOWN, SHOWN), filter="lanczos")
        columns[commission.role] += 1
    return Image.fromarray(sheet)


def main() -> None:
    """Write painter.png beside this file; 256 colours keep it small."""
    small = make_sheet().quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(Path(__file__).with_name("painter.png"), optimize=True)


if __name__ == "__main__":
    main()
