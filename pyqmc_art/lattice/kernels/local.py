"""Local kernels of discrete models: one step is one coloured sweep over all sites."""

from __future__ import annotations

from typing import Any, ClassVar

from pyqmc_art.lattice import acceptance
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.kernels import compiled
from pyqmc_art.lattice.kernels.compiled import CompiledKernel
from pyqmc_art.lattice.kernels.field_local import FieldHeatBath, FieldMetropolis
from pyqmc_art.lattice.kernels.glass import GlassHeatBath
from pyqmc_art.ops import discrete


class _LocalKernel(CompiledKernel):
    def _prepare(self) -> None:
        # Asked for its error: a lattice whose colouring cannot close has no coloured sweep.
        _ = self.action.lattice.colours
        self._rule, self._table = self._tabulate()

    def _tabulate(self) -> tuple[str, acceptance.Table]:
        raise TypeError(f"{type(self).__name__} must define _tabulate")

    def _worth_threads(self, fields: int, steps: int) -> bool:
        sites = self.action.lattice.sites
        if not (self._rule == "ising" and self.backend == "cpp" and discrete.can_be_packed(self.action.lattice)):
            return super()._worth_threads(fields, steps)
        # Many times faster; and where threads share a field, each half sweep of it must outlast their meeting.
        shared = fields >= self.threads or sites >= 2 * compiled.WORTH_A_THREAD
        return shared and fields * sites * steps >= 64 * compiled.WORTH_A_THREAD

    def _run(self, batch: discrete.Batch) -> None:
        if self._rule == "ising" and discrete.can_be_packed(batch.geometry):
            self._operations.multispin_steps(batch, self._table)
        else:
            self._operations.local_steps(batch, self._rule, self._table)

    def _ising(self) -> list[Ising]:
        return [a for a in self.targets if isinstance(a, Ising)]

    def _potts(self) -> list[Potts]:
        return [a for a in self.targets if isinstance(a, Potts)]


class Metropolis(_LocalKernel):
    """Metropolis sweep: propose a flip (Ising) or another colour (Potts) at every site, accept with min(1, exp(-dS)).

    A change that costs (next to) nothing is accepted with probability 15/16, so that the coloured sweep is irreducible
    at every coupling (see :data:`pyqmc_art.lattice.acceptance.LARGEST_UPHILL_ACCEPTANCE`).

    Raises
    ------
    InputError
        Where the colouring of the lattice cannot close (odd periodic extents).

    References
    ----------
    Metropolis, Rosenbluth, Rosenbluth, Teller, Teller, J. Chem. Phys. 21 (1953) 1087.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.rng import Stream
    >>> kernel = Metropolis(Ising(Lattice((8, 8)), beta=0.3))
    >>> stream = Stream.from_seed(1)
    >>> state = kernel.init(kernel.start(stream, replicas=2))
    >>> state, info = kernel.step(stream, state)
    >>> state.field.shape, state.step
    ((2, 8, 8), 1)
    """

    name: ClassVar[str] = "metropolis"
    fields: ClassVar[Any] = FieldMetropolis

    def _tabulate(self) -> tuple[str, acceptance.Table]:
        if isinstance(self.action, Ising):
            return "ising", acceptance.ising_flips(self._ising(), acceptance.metropolis)
        return "potts-metropolis", acceptance.potts_acceptances(self._potts())


class HeatBath(_LocalKernel):
    """Heat-bath sweep: draw every site from its conditional distribution given its neighbours.

    Raises
    ------
    InputError
        Where the colouring of the lattice cannot close (odd periodic extents).

    References
    ----------
    Creutz, Phys. Rev. D 21 (1980) 2308; for spins, Glauber, J. Math. Phys. 4 (1963) 294.
    """

    name: ClassVar[str] = "heat-bath"
    fields: ClassVar[Any] = FieldHeatBath
    glasses: ClassVar[Any] = GlassHeatBath
    tally_name: ClassVar[str] = "changed"

    def _tabulate(self) -> tuple[str, acceptance.Table]:
        if isinstance(self.action, Ising):
            return "ising", acceptance.ising_flips(self._ising(), acceptance.heat_bath)
        return "potts-heat-bath", acceptance.potts_weights(self._potts())


__all__ = ["HeatBath", "Metropolis"]
