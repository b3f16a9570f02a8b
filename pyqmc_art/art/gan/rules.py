"""How the two players play: losses, penalties, phases, augmentation, and who is held back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from pyqmc_art.art.gan.augment import AUGMENTATIONS
from pyqmc_art.art.gan.objectives import LOSSES
from pyqmc_art.errors import InputError, unknown

BALANCES: Final = ("off", "warn", "hold")


@dataclass(frozen=True)
class Rules:
    """How the two players play.

    Parameters
    ----------
    loss : ``"non-saturating"``, ``"minimax"`` or ``"hinge"``
    augment : ``"none"``, ``"diff"`` or ``"ada"``
    slope, slope_every : weight of R1, taken once in so many steps with so many times the weight; 0 leaves it out
    path, path_every : the same for the path-length penalty of a style-based generator
    phases : steps of the discriminator alone and then of the generator alone, in turn; (0, 0) moves both in each step
    average : half-life of the averaged generator, in thousands of images
    balance : ``"warn"`` when one player wins for long; ``"hold"`` also stops a winning discriminator
    target : of the mean sign of the discriminator at real images, by which ADA is steered
    pace : thousands of images in which the probability of ADA may go from 0 to 1
    betas : of Adam
    """

    loss: str = "non-saturating"
    augment: str = "diff"
    slope: float = 0.0
    slope_every: int = 16
    path: float = 0.0
    path_every: int = 4
    phases: tuple[int, int] = (0, 0)
    average: float = 1.0
    balance: str = "warn"
    target: float = 0.6
    pace: float = 50.0
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        for name, known in (("loss", LOSSES), ("augment", AUGMENTATIONS), ("balance", BALANCES)):
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        for name in ("slope", "path", "average"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value}; expected a number of at least 0")
        if min(self.slope_every, self.path_every) < 1 or not (math.isfinite(self.pace) and self.pace > 0):
            raise InputError("slope_every, path_every and pace must be above 0")
        if min(self.phases) < 0 or (min(self.phases) == 0) != (max(self.phases) == 0):
            raise InputError(f"phases are {self.phases}; expected two numbers of steps above 0, or none")

    def moves_critic(self, step: int) -> bool:
        """Whether the phases let the discriminator learn in this step."""
        alone, other = self.phases
        return not alone or step % (alone + other) < alone

    def moves_generator(self, step: int) -> bool:
        """Whether the phases let the generator learn in this step."""
        alone, other = self.phases
        return not alone or step % (alone + other) >= alone
