"""Actions: each defines the target ``exp(-S)`` completely, couplings and beta included."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice.couplings import finite
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.glass import SpinGlass
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.spaces import Space, colours, spins
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import Field

MAX_POTTS_STATES = 32767


def equal_bonds(lattice: Lattice, field: Field) -> NDArray[np.int64]:
    """Number of bonds whose two ends agree, for each replica, shape ``(replica,)``."""
    flat = field.reshape(len(field), lattice.sites)
    total = np.zeros(len(field), np.int64)
    for target in lattice.forward.T:
        here = np.flatnonzero(target >= 0)
        total += np.count_nonzero(flat[:, here] == flat[:, target[here]], axis=1)
    return total


@dataclass(frozen=True)
class Ising:
    """Ising model: S = beta H with H = -J sum_<xy> s_x s_y - h sum_x s_x, s = +-1.

    Parameters
    ----------
    lattice : where the spins live
    beta : inverse temperature, finite and not negative
    J : exchange coupling, ferromagnetic when positive
    h : external field

    Raises
    ------
    InputError
        For a coupling that is not a finite number, or a negative beta.

    Examples
    --------
    >>> action = Ising(Lattice((4, 4)), beta=0.4)
    >>> action(np.ones((1, 4, 4), np.int8))
    array([-12.8])
    """

    name: ClassVar[str] = "ising"
    lattice: Lattice
    beta: float
    J: float = 1.0
    h: float = 0.0

    def __post_init__(self) -> None:
        for name in ("beta", "J", "h"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        _check_strength(self.beta, abs(self.J) * self.lattice.bonds + abs(self.h) * self.lattice.sites)

    @property
    def space(self) -> Space:
        """Spins -1 and +1 as int8."""
        return spins()

    def __call__(self, field: Field) -> NDArray[np.float64]:
        """S of each replica, shape ``(replica,)``."""
        bonds = 2 * equal_bonds(self.lattice, field) - self.lattice.bonds
        magnetization = field.reshape(len(field), -1).sum(axis=1, dtype=np.int64)
        return self.beta * self.hamiltonian(bonds, magnetization)

    def hamiltonian(self, bonds: NDArray[np.int64], magnetization: NDArray[np.int64]) -> NDArray[np.float64]:
        """H from the integer sums ``sum_<xy> s s'`` and ``sum_x s``."""
        return -self.J * bonds - self.h * magnetization

    def couplings(self) -> dict[str, float]:
        """The parameters by the names the command line uses."""
        return {"beta": self.beta, "J": self.J, "h": self.h}

    def native(self) -> tuple[str, tuple[float, ...]]:
        """Name and parameters of the compiled model."""
        return self.name, (self.beta, self.J, self.h)


@dataclass(frozen=True)
class Potts:
    """q-state Potts model: S = beta H with H = -J sum_<xy> delta(s_x, s_y), s = 0 .. q-1.

    Parameters
    ----------
    lattice : where the colours live
    q : number of colours, 2 to 32767
    beta : inverse temperature, finite and not negative
    J : coupling, ferromagnetic when positive

    Raises
    ------
    InputError
        For a coupling that is not a finite number, a negative beta, or a q that is not a whole number of at least 2.

    Examples
    --------
    >>> action = Potts(Lattice((4, 4)), q=3, beta=1.0)
    >>> action(np.zeros((1, 4, 4), np.int8))
    array([-32.])
    """

    name: ClassVar[str] = "potts"
    lattice: Lattice
    q: int
    beta: float
    J: float = 1.0

    def __post_init__(self) -> None:
        q = finite("q", self.q)
        if q != int(q) or not 2 <= q <= MAX_POTTS_STATES:
            raise InputError(f"q is {self.q!r}; expected a whole number from 2 to {MAX_POTTS_STATES}")
        object.__setattr__(self, "q", int(q))
        for name in ("beta", "J"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        _check_strength(self.beta, abs(self.J) * self.lattice.bonds)

    @property
    def space(self) -> Space:
        """Colours 0 .. q-1 as int8 (int16 above 127)."""
        return colours(self.q)

    def __call__(self, field: Field) -> NDArray[np.float64]:
        """S of each replica, shape ``(replica,)``."""
        return np.asarray(-self.beta * self.J * equal_bonds(self.lattice, field), np.float64)

    def couplings(self) -> dict[str, float]:
        """The parameters by the names the command line uses."""
        return {"q": self.q, "beta": self.beta, "J": self.J}

    def native(self) -> tuple[str, tuple[float, ...]]:
        """Name and parameters of the compiled model."""
        return self.name, (float(self.q), self.beta, self.J)


def _check_strength(beta: float, largest: float) -> None:
    """Refuse a negative beta, and couplings so large that S of some configuration overflows."""
    if beta < 0:
        raise InputError(f"beta is {beta}; expected beta >= 0 (for an antiferromagnet give J = -1)")
    if not math.isfinite(2 * beta * largest):
        raise InputError(f"beta is {beta} and |H| up to {largest}: their product overflows; give smaller couplings")


ACTIONS: Final[dict[str, Any]] = {kind.name: kind for kind in (Ising, Potts, Phi4, ON, SpinGlass)}


def build(name: str, lattice: Lattice, couplings: Mapping[str, Any]) -> Any:
    """Build an action from its name and its couplings by the names the command line uses.

    Raises
    ------
    InputError
        For an unknown action, a coupling it does not have, or one it needs.

    Examples
    --------
    >>> build("potts", Lattice((8, 8)), {"q": 3, "beta": 1.0}).q
    3
    """
    if name not in ACTIONS:
        raise unknown("action", name, ACTIONS)
    kind = ACTIONS[name]
    own = {f.name: f.default for f in fields(kind) if f.name != "lattice"}
    for key in couplings:
        if key not in own:
            raise InputError(f"the action {name!r} has no coupling {key!r}; it takes {', '.join(own)}")
    missing = [key for key, default in own.items() if default is MISSING and key not in couplings]
    if missing:
        raise InputError(f"the action {name!r} needs {' and '.join(missing)}: give --{' --'.join(missing)}")
    return kind(lattice, **couplings)
