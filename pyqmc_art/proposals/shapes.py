"""What a flow is made of, checked when it is said."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from pyqmc_art.errors import InputError, unknown

MOST_LAYERS: Final = 1000
KINDS: Final = ("affine", "spline", "continuous")
_CONDITIONS: Final = ("m2", "lam")


@dataclass(frozen=True)
class FlowShape:
    """What a flow is made of.

    Parameters
    ----------
    layers : couplings, the colours in turn; of a continuous flow the steps of its integrator
    hidden : widths of the hidden layers of each network
    network : ``"conv"`` or ``"dense"``
    equivariant : whether phi -> -phi is a symmetry of every layer, and so of q
    mass : m2 of the free field it starts from, in convention A; None takes one as wide as the target
    kind : ``"affine"`` or ``"spline"`` couplings, or ``"continuous"``
    bins : pieces of each spline, or sines of a continuous flow
    fourier : trained spectra before the first layer and behind the last
    mixture : q is half the density of the field and half that of its mirror image; the layers are then not equivariant
    condition : ranges (low, high) of m2 and of lam that one flow is for; None: it is for one action

    Raises
    ------
    InputError
        For numbers out of range, or choices that contradict each other.
    """

    layers: int = 8
    hidden: tuple[int, ...] = (12, 12)
    network: str = "conv"
    equivariant: bool = True
    mass: float | None = None
    kind: str = "affine"
    bins: int = 8
    fourier: bool = False
    mixture: bool = False
    condition: tuple[tuple[float, float], tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layers, bool) or not isinstance(self.layers, int) or not 1 <= self.layers <= MOST_LAYERS:
            raise InputError(f"layers is {self.layers!r}; expected a whole number from 1 to {MOST_LAYERS}")
        if self.kind not in KINDS:
            raise unknown("kind of flow", self.kind, KINDS)
        if self.mixture and self.equivariant:
            raise InputError("layers that commute with phi -> -phi need no mixture; ask for one of the two")
        if self.kind == "continuous" and not self.equivariant:
            raise InputError("a continuous flow always commutes with phi -> -phi; it needs no mixture")
        for name, ends in zip(_CONDITIONS, self.condition or (), strict=False):
            if len(ends) != 2 or not all(math.isfinite(end) for end in ends) or not ends[0] <= ends[1]:
                raise InputError(f"the range of {name} is {tuple(ends)}; expected two finite numbers, low and high")

    @classmethod
    def from_configuration(cls, stored: Mapping[str, Any]) -> Self:
        """Undo :meth:`configuration`.

        Raises
        ------
        TypeError, KeyError
            If it holds something else.
        """
        condition = stored.get("condition")
        ranges = None if condition is None else tuple((float(low), float(high)) for low, high in condition)
        return cls(**{**stored, "hidden": tuple(stored["hidden"]), "condition": ranges})

    def configuration(self) -> dict[str, Any]:
        """As JSON can hold it."""
        condition = None if self.condition is None else [list(ends) for ends in self.condition]
        return {**dataclasses.asdict(self), "hidden": list(self.hidden), "condition": condition}

    def place(self, couplings: Mapping[str, Any]) -> tuple[float, ...]:
        """Where couplings lie in the ranges, each from -1 to 1; empty for a flow of one action.

        Raises
        ------
        InputError
            If they lie outside.
        """
        found = []
        for name, (low, high) in zip(_CONDITIONS, self.condition or (), strict=False):
            value = float(couplings[name])
            if not low <= value <= high:
                raise InputError(f"{name} is {value}; this flow was made for {name} from {low} to {high}")
            found.append(0.0 if low == high else 2 * (value - low) / (high - low) - 1)
        return tuple(found)

    def centre(self) -> dict[str, float]:
        """The couplings in the middle of the ranges."""
        return {name: (low + high) / 2 for name, (low, high) in zip(_CONDITIONS, self.condition or (), strict=False)}
