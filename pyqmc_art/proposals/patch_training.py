"""What the trainings of local updates and of flows of blocks share: fields of a chain, cut into patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pyqmc_art.errors import InputError
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.proposals.patch_data import HELD_OUT

_EVALUATIONS: Final = 10
_WARMUP: Final = 50


@dataclass(frozen=True, kw_only=True)
class PatchTraining:
    """How to train what proposes patches.

    Parameters
    ----------
    fields : of the heat-bath chain that is learnt from, one in eight of them held out
    steps, batch, learning_rate : of the optimiser (Adam, cosine); patches of one step
    seed : of the chain, first weights and noise
    checkpoint_every : steps
    device : ``"auto"`` or ``"cpu"``

    Raises
    ------
    InputError
        For a number that is not possible.
    """

    fields: int = 512
    steps: int = 1000
    batch: int = 256
    learning_rate: float = 3e-3
    seed: int = 0
    checkpoint_every: int = 500
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("fields", HELD_OUT)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
        _ = self.fit_options

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop."""
        every = max(1, self.steps // _EVALUATIONS) if isinstance(self.steps, int) else 1
        warmup = min(_WARMUP, self.steps) if isinstance(self.steps, int) else 0
        return FitOptions(
            self.steps, self.learning_rate, warmup=warmup, clip=10.0, device=self.device,
            checkpoint_every=self.checkpoint_every, evaluate_every=every,
        )  # fmt: skip
