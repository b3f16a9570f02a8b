"""Which action each step of a training is for: one, a ramp of couplings, or a range of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.proposals.shapes import FlowShape
from pyqmc_art.rng import Stream

_COUPLINGS: Final = ("m2", "lam")


@dataclass(frozen=True)
class Curriculum:
    """The action of step 0, 1, ..., a pure function of the number of the step.

    Parameters
    ----------
    action : of the result
    begin : couplings of step 0, of which the others are those of ``action``
    ramp : steps in which they go in a straight line to those of ``action`` (adiabatic retraining)
    plan : of the flow; one with ranges of couplings is trained on couplings drawn from them
    stream : of these draws

    Raises
    ------
    InputError
        For a coupling that is not known, a ramp without steps, or both a ramp and ranges.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> targets = Curriculum(Phi4(Lattice((4, 4)), -4.0, 5.0), {"lam": 9.0}, ramp=8)
    >>> [targets.at(step).lam for step in (0, 2, 8, 100)]
    [9.0, 8.0, 5.0, 5.0]
    """

    action: Phi4
    begin: Mapping[str, float] = field(default_factory=dict)
    ramp: int = 0
    plan: FlowShape = field(default_factory=FlowShape)
    stream: Stream = field(default_factory=lambda: Stream.from_seed(0))

    def __post_init__(self) -> None:
        for name in self.begin:
            if name not in _COUPLINGS:
                raise unknown("coupling", name, _COUPLINGS)
        if self.begin and self.ramp < 1:
            raise InputError(f"a ramp from {dict(self.begin)} has {self.ramp} steps; expected at least 1")
        if self.begin and self.plan.condition is not None:
            raise InputError("a flow for a range of couplings is trained on all of them at once; leave the ramp out")
        if self.begin:
            self.at(0)

    def at(self, step: int) -> Phi4:
        """Action of one step."""
        if self.plan.condition is not None:
            share = self.stream.fold("couplings", step).uniform("user", np.arange(2), 1)[0]
            ranges = zip(_COUPLINGS, self.plan.condition, share, strict=True)
            drawn = {name: float(low + (high - low) * s) for name, (low, high), s in ranges}
            return replace(self.action, m2=drawn["m2"], lam=drawn["lam"])
        if not self.begin or step >= self.ramp:
            return self.action
        left = 1 - step / self.ramp
        moved = {name: getattr(self.action, name) for name in self.begin}
        here: dict[str, Any] = {name: end + left * (self.begin[name] - end) for name, end in moved.items()}
        return replace(self.action, **here)
