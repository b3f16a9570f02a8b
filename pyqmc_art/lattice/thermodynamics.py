"""What an exact method knows about a model: ln Z and its derivatives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thermodynamics:
    """The exact ln Z of a finite lattice, energy and specific heat.

    Attributes
    ----------
    log_partition : ln Z
    energy : <H>/V, that is -(d ln Z/d beta)/V
    specific_heat : beta^2 (<H^2> - <H>^2)/V
    method : ``"kaufman"``, ``"transfer matrix"`` or ``"enumeration"``
    """

    log_partition: float
    energy: float
    specific_heat: float
    method: str
