"""Symplectic integrators as lists of drifts and kicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import unknown


@dataclass(frozen=True)
class Integrator:
    """A time-reversible splitting: drift, kick, drift, ..., kick, drift within one step of unit length.

    Attributes
    ----------
    order : the energy error of a trajectory is of this order in the length of a step
    drifts, kicks : one more drift than kicks; both palindromes that add up to 1
    """

    name: str
    order: int
    drifts: tuple[float, ...]
    kicks: tuple[float, ...]

    def schedule(self, length: float, steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Kicks, and one more drift, of a trajectory of ``steps`` steps; neighbouring drifts are joined.

        Examples
        --------
        >>> INTEGRATORS["leapfrog"].schedule(1.0, 2)
        (array([0.5, 0.5]), array([0.25, 0.5 , 0.25]))
        """
        step = length / steps
        kicks = np.tile(self.kicks, steps) * step
        drifts = np.zeros(len(kicks) + 1)
        for i in range(steps):
            drifts[i * len(self.kicks) :][: len(self.drifts)] += self.drifts
        return kicks, drifts * step


_OMELYAN2: Final = 0.1931833275037836
_FOREST: Final = (0.1786178958448091, -0.2123418310626054, -0.06626458266981849)

INTEGRATORS: Final = {
    each.name: each
    for each in (
        Integrator("leapfrog", 2, (0.5, 0.5), (1.0,)),
        # Omelyan, Mryglod, Folk, Comput. Phys. Commun. 151 (2003) 272, eq. 31.
        Integrator("omelyan2", 2, (_OMELYAN2, 1 - 2 * _OMELYAN2, _OMELYAN2), (0.5, 0.5)),
        # Omelyan, Mryglod, Folk, Comput. Phys. Commun. 146 (2002) 188, eq. 20: xi, lambda, chi.
        Integrator(
            "omelyan4",
            4,
            (_FOREST[0], _FOREST[2], 1 - 2 * (_FOREST[0] + _FOREST[2]), _FOREST[2], _FOREST[0]),
            (0.5 - _FOREST[1], _FOREST[1], _FOREST[1], 0.5 - _FOREST[1]),
        ),
    )
}
"""Every integrator; leapfrog takes one force evaluation a step, omelyan2 two and omelyan4 four."""


def find_integrator(name: str) -> Integrator:
    """Return an integrator by its name.

    Raises
    ------
    InputError
        For an unknown name.
    """
    if name not in INTEGRATORS:
        raise unknown("integrator", name, INTEGRATORS)
    return INTEGRATORS[name]
