"""Local kernels of continuous fields: one step is one coloured sweep over all sites."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.kernels.field import FieldKernel
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops import continuous
from pyqmc_art.protocols import Info, Observable, Series, State
from pyqmc_art.rng import Stream

WIDTH: Final = "metropolis_width"
_TARGET: Final = 0.5
_LEAST_GAIN: Final = 0.02


class _FieldSweep(FieldKernel):
    """A coloured sweep by one rule."""

    def _prepare(self) -> None:
        # Asked for its error: a lattice whose colouring cannot close has no coloured sweep.
        _ = self.action.lattice.colours
        super()._prepare()

    def _run(self, batch: continuous.FieldBatch) -> None:
        self._operations.local_steps(batch, self.name, np.ones(len(batch.tally)))


class FieldMetropolis(_FieldSweep):
    """Metropolis sweep of phi^4 or O(n): propose a change at every site, accept with min(1, exp(-dS)).

    phi^4: phi' uniform within ``width`` of phi. O(n): s' along s + ``width`` g with a normal vector g. The width is
    part of the state, one for each replica and rung. It is tuned towards half of the proposals being accepted while the
    kernel is :meth:`warming`, which the sampling loop makes it during the warm-up only; after that it stands still.

    Raises
    ------
    InputError
        Where the colouring of the lattice cannot close (odd periodic extents).

    References
    ----------
    Metropolis, Rosenbluth, Rosenbluth, Teller, Teller, J. Chem. Phys. 21 (1953) 1087.
    """

    name: ClassVar[str] = "metropolis"
    _tuning: bool = False

    def warming(self) -> Self:
        """Return this kernel as it is during the warm-up, when it tunes its proposals."""
        kernel = copy.copy(self)
        kernel._tuning = True
        return kernel

    def init(self, field: Any) -> State:
        """Take over a field (copied) as the state before the first step."""
        state = super().init(field)
        self._width(state)
        return state

    def advance(
        self, stream: Stream, state: State, n: int, every: int = 1, observables: Sequence[Observable] = ()
    ) -> tuple[State, Series, Info]:
        """Do ``n`` sweeps, measuring after every ``every``-th; the field of ``state`` is updated in place."""
        if not self._tuning or observables:
            return super().advance(stream, state, n, every, observables)
        accepted = np.zeros(len(state.field) * self.rungs, np.int64)
        for _ in range(n):
            one = np.zeros_like(accepted)
            self._steps(stream, state, 1, 1, 0, one)
            gain = max(_LEAST_GAIN, (1 + state.step) ** -0.5)
            rate = one.reshape(len(state.field), self.rungs) / self.action.lattice.sites
            state.extra[WIDTH] = self._width(state) * np.exp(gain * (rate - _TARGET))
            accepted += one
        per_step = float(accepted.sum()) / (max(n, 1) * len(accepted) * self.action.lattice.sites)
        return state, {}, {self.tally_name: per_step}

    def _width(self, state: State) -> NDArray[np.float64]:
        """Width of the proposals of each replica and rung; part of the state from here on."""
        if WIDTH not in state.extra:
            first = [2 * a.width if isinstance(a, Phi4) else 1.0 for a in self.targets]
            state.extra[WIDTH] = np.tile(first, (len(state.field), 1))
        return state.extra[WIDTH]

    def _steps(
        self,
        stream: Stream,
        state: State,
        n: int,
        every: int,
        columns: int,
        tally: NDArray[np.int64],
        *,
        of_fields: bool = True,
    ) -> NDArray[Any]:
        sums = self._empty_sums(n // every if columns else 0, len(tally))
        batch = self._batch(stream.fold(self.name), state.step, state.field, n, every, sums, tally)
        self._operations.local_steps(batch, self.name, np.ascontiguousarray(self._width(state).ravel()))
        state.step += n
        return sums


class FieldHeatBath(_FieldSweep):
    """Heat-bath sweep of phi^4 or O(n): draw every site from its conditional distribution given its neighbours.

    phi^4: a normal number whose width fits, accepted with what it leaves of the quartic term. O(n): Wood's rejection.
    A site whose 64 attempts all fail stays; whether that happens depends on its neighbours only, so this is as exact.

    References
    ----------
    Creutz, Phys. Rev. D 21 (1980) 2308. Wood, Commun. Stat. Simul. Comput. 23 (1994) 157.
    """

    name: ClassVar[str] = "heat-bath"
    tally_name: ClassVar[str] = "changed"


class Overrelaxation(_FieldSweep):
    """Overrelaxation of O(n): reflect every vector at the sum of its neighbours, which keeps S.

    It never leaves the surface of constant S, so it is used in compositions: ``heat-bath+4*overrelaxation``.

    References
    ----------
    Creutz, Phys. Rev. D 36 (1987) 515.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> action = ON(Lattice((4, 4)), n=3, beta=1.0)
    >>> kernel = Overrelaxation(action)
    >>> state = kernel.init(kernel.start(Stream.from_seed(1), replicas=1))
    >>> before = action(state.field)
    >>> state, info = kernel.step(Stream.from_seed(1), state)
    >>> bool(abs(action(state.field) - before)[0] < 1e-12)
    True
    """

    name: ClassVar[str] = "overrelaxation"
    tally_name: ClassVar[str] = "changed"
    models: ClassVar[tuple[Any, ...]] = (ON,)
    conserves: str = "S"
