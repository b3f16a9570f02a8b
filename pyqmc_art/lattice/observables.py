"""Observables: pure functions of a field, and where possible of the sums that the compiled loops measure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice.actions import Ising, Potts, equal_bonds
from pyqmc_art.lattice.cluster_averages import AVERAGES
from pyqmc_art.lattice.correlation import Correlation
from pyqmc_art.lattice.field_observables import FIELD_OBSERVABLES, action_of_sums, field_sums
from pyqmc_art.lattice.glass import GLASS_OBSERVABLES, SpinGlass
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import Field, Observable

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Sums = tuple[NDArray[Any], ...]


@runtime_checkable
class SumObservable(Protocol):
    """An observable that needs only the sums the compiled loops measure.

    Discrete models: the number of bonds whose ends agree, and the sum of the spins (Ising) or the number of sites of
    the commonest colour (Potts). Fields: see :func:`pyqmc_art.lattice.field_observables.field_sums`.
    """

    @property
    def name(self) -> str:
        """Its name in series and files."""
        ...

    def __call__(self, action: Any, field: Field) -> Floats:
        """Value for each replica."""
        ...

    def from_sums(self, action: Any, *sums: NDArray[Any]) -> Floats:
        """Value from the sums, any shape."""
        ...


def sums(action: Any, field: Field) -> Sums:
    """Return the sums of a field of shape (replica, *lattice.shape, ...), by NumPy: the obvious version."""
    if isinstance(action, (Phi4, ON)):
        return tuple(field_sums(action, field))
    if isinstance(action, SpinGlass):
        return action.sums(field)
    flat = field.reshape(len(field), action.lattice.sites)
    if isinstance(action, Ising):
        return equal_bonds(action.lattice, field), flat.sum(axis=1, dtype=np.int64)
    most = [np.bincount(colours, minlength=action.q).max() for colours in flat]
    return equal_bonds(action.lattice, field), np.array(most, np.int64)


class _FromSums:
    """Evaluates a field through its sums."""

    def __call__(self, action: Any, field: Field) -> Floats:
        return self.from_sums(action, *sums(action, field))

    def from_sums(self, action: Any, *sums: NDArray[Any]) -> Floats:
        raise TypeError("an observable of sums defines from_sums")


@dataclass(frozen=True)
class Energy(_FromSums):
    """H per site: H = -J sum s s' - h sum s (Ising), H = -J sum delta (Potts), H = -sum s . s' (O(n)).

    Of a spin glass the mean over both copies.
    """

    name: str = "energy"
    models: tuple[str, ...] = ("ising", "potts", "on", "spin-glass")

    def from_sums(self, action: Any, *sums: NDArray[Any]) -> Floats:
        """H / V."""
        if isinstance(action, ON):
            return -sums[0] / action.lattice.sites
        if isinstance(action, SpinGlass):
            return np.asarray(-action.unit * sums[0] / (2 * action.lattice.sites), np.float64)
        equal, magnetization = sums
        if isinstance(action, Ising):
            return action.hamiltonian(2 * equal - action.lattice.bonds, magnetization) / action.lattice.sites
        return np.asarray(-action.J * equal / action.lattice.sites, np.float64)


@dataclass(frozen=True)
class ActionDensity(_FromSums):
    """S per site."""

    name: str = "action"
    models: tuple[str, ...] = ("ising", "potts", "phi4", "on", "spin-glass")

    def from_sums(self, action: Any, *sums: NDArray[Any]) -> Floats:
        """S / V."""
        if isinstance(action, Phi4):
            return action_of_sums(action, sums) / action.lattice.sites
        copies = 2 if isinstance(action, SpinGlass) else 1
        return np.asarray(copies * action.beta * Energy().from_sums(action, *sums), np.float64)


@dataclass(frozen=True)
class MagnetizationPower(_FromSums):
    """A power of the magnetization m per site, or of its modulus.

    Ising: m = sum_x s_x / V. Potts: m = (q max_a n_a / V - 1) / (q - 1). phi^4: m = sum_x phi_x / V. O(n):
    m = |sum_x s_x| / V.
    """

    name: str
    power: int = 1
    modulus: bool = False
    models: tuple[str, ...] = ("ising", "potts", "phi4", "on")

    def from_sums(self, action: Any, *sums: NDArray[Any]) -> Floats:
        """m^power."""
        if isinstance(action, ON):
            total = np.sqrt(np.sum(np.square(sums[1:]), axis=0))
        else:
            total = sums[0] if isinstance(action, Phi4) else sums[1]
        m = total / action.lattice.sites
        if isinstance(action, Potts):
            m = (action.q * m - 1) / (action.q - 1)
        return np.asarray(np.abs(m) if self.modulus else m**self.power, dtype=np.float64)


@dataclass(frozen=True)
class SmallestModes:
    """|m(k_min)|^2: squared modulus of the magnetization's Fourier modes of smallest momentum, averaged over the axes.

    m(k) = (1/V) sum_x s_x exp(i k x), k = 2 pi / L_mu along axis mu. For Potts, the squared moduli of the q indicator
    fields are summed and normalized so that q = 2 agrees with Ising; for O(n) those of the components are summed.
    """

    name: str = "kmin2"
    models: tuple[str, ...] = ("ising", "potts", "phi4", "on")

    def __call__(self, action: Any, field: Field) -> Floats:
        """Value for each replica, shape (replica,)."""
        if isinstance(action, (Ising, Phi4)):
            return self._modes(field.astype(np.float64))
        if isinstance(action, ON):
            return np.asarray(sum(self._modes(field[..., a]) for a in range(action.n)), np.float64)
        total = sum(self._modes((field == a).astype(np.float64)) for a in range(action.q))
        return np.asarray(2 * total, dtype=np.float64)

    @staticmethod
    def _modes(field: Floats) -> Floats:
        axes = range(1, field.ndim)
        value = np.zeros(len(field))
        for axis in axes:
            extent = field.shape[axis]
            line = field.mean(axis=tuple(a for a in axes if a != axis))
            phase = np.exp(2j * np.pi * np.arange(extent) / extent)
            value += np.abs(line @ phase / extent) ** 2
        return value / len(axes)


OBSERVABLES: Final[dict[str, Observable]] = {
    o.name: o
    for o in (
        Energy(),
        ActionDensity(),
        MagnetizationPower("magnetization"),
        MagnetizationPower("abs_magnetization", modulus=True),
        MagnetizationPower("magnetization2", power=2),
        MagnetizationPower("magnetization4", power=4),
        MagnetizationPower("abs_phi", modulus=True, models=("phi4",)),
        SmallestModes(),
        Correlation(),
        *FIELD_OBSERVABLES,
        *GLASS_OBSERVABLES,
    )
}


def defined_for(name: str) -> tuple[Observable, ...]:
    """Return the observables that are defined for an action of this name."""
    return tuple(o for o in OBSERVABLES.values() if name in getattr(o, "models", (name,)))


def default_measure(name: str) -> tuple[str, ...]:
    """Return what is measured of an action when nobody says: its energy, or phi2 where there is none."""
    return ("phi2",) if name == "phi4" else ("energy",)


def find(measure: Iterable[str | Observable], action: Any = None) -> tuple[Observable, ...]:
    """Return the observables of a list of names (or of observables of your own).

    Raises
    ------
    InputError
        For an unknown name, or an observable that is not defined for the action, if one is given.

    Examples
    --------
    >>> [o.name for o in find(["energy", "kmin2"])]
    ['energy', 'kmin2']
    """
    known = {**OBSERVABLES, **AVERAGES}
    found: list[Observable] = []
    for item in measure:
        if isinstance(item, str):
            if item not in known:
                raise unknown("observable", item, known)
            found.append(known[item])
        else:
            found.append(item)
    for o in found if action is not None else ():
        if action.name not in getattr(o, "models", (action.name,)):
            own = ", ".join(each.name for each in defined_for(action.name))
            raise InputError(f"the observable {o.name!r} is not defined for {action.name}; it has {own}")
    return tuple(found)


def evaluate(observable: Observable, targets: tuple[Any, ...], field: Field) -> Floats:
    """Value of an observable on a field of shape (replica, [rung,] *shape); each rung by its own action."""
    if len(targets) == 1:
        return observable(targets[0], field)
    return np.stack([observable(action, field[:, k]) for k, action in enumerate(targets)], axis=1)
