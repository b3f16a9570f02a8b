"""Motifs: scenes made up from a seed, as guides for a painter of any hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pyqmc_art.art.scenes import SCENES
from pyqmc_art.art.sketch import Lots, Sketch
from pyqmc_art.errors import unknown
from pyqmc_art.rng import Stream

_MOODS: Final = (
    ("by day", (0.0, 0.0, 0.0, 1.0)),
    ("at noon", (0.04, 0.0, 0.012, 1.06)),
    ("at dusk", (-0.05, 0.022, 0.012, 1.0)),
    ("at night", (-0.15, -0.006, -0.030, 0.95)),
    ("in autumn", (-0.02, 0.016, 0.018, 0.98)),
    ("in rain", (-0.02, -0.004, -0.008, 0.72)),
)


@dataclass(frozen=True)
class Motif:
    """A scene: its kind and the stream everything in it is drawn from.

    Painters of any hand paint the same motif; who copies a picture paints its motif again.

    Examples
    --------
    >>> motif = Motif.draw(Stream.from_seed(3), kind="harbour")
    >>> motif == Motif.draw(Stream.from_seed(3), kind="harbour")
    True
    """

    kind: str
    stream: Stream

    @classmethod
    def draw(cls, stream: Stream, kind: str | None = None) -> Motif:
        """Draw a motif, of a given kind or of any.

        Raises
        ------
        InputError
            If there is no such kind.
        """
        if kind is None:
            kind = tuple(SCENES)[Lots(stream.fold("kind")).choose(len(SCENES))]
        if kind not in SCENES:
            raise unknown("kind of motif", kind, SCENES)
        return cls(kind, stream)

    @property
    def title(self) -> str:
        """What the picture shows, and when."""
        indoors = self.kind in ("still life", "portrait")
        return self.kind.capitalize() + ("" if indoors else f" {self._mood()[0]}")

    @property
    def mood(self) -> tuple[float, float, float, float]:
        """Shift of lightness, shift of a and b, factor of the chroma."""
        lots = Lots(self.stream.fold("mood shade"))
        shift = self._mood()[1]
        return (
            shift[0] + lots(-0.03, 0.03),
            shift[1] + lots(-0.01, 0.01),
            shift[2] + lots(-0.014, 0.014),
            shift[3] * lots(0.9, 1.1),
        )

    def sketch(self, width: int, height: int, resolution: int = 224) -> Sketch:
        """Lay out the scene for a picture of a size in pixels, on a grid of so many cells along the longer side."""
        lots = Lots(self.stream.fold("scene"))
        sketch = Sketch(width, height, lots.sign(), resolution)
        SCENES[self.kind](sketch, lots, self.stream.fold("forms"))
        return sketch

    def _mood(self) -> tuple[str, tuple[float, float, float, float]]:
        choice = _MOODS[Lots(self.stream.fold("mood")).choose(len(_MOODS))]
        return _MOODS[0] if self.kind in ("still life", "portrait") else choice
