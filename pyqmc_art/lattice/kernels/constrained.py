"""Updates at constrained magnetization: pair exchanges, exact for the ensemble of fixed M."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice import acceptance
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.couplings import finite
from pyqmc_art.lattice.kernels.compiled import CompiledKernel
from pyqmc_art.ops import discrete
from pyqmc_art.protocols import Field, State
from pyqmc_art.rng import Stream


class Constrained(CompiledKernel):
    """Pair exchange at fixed magnetization; one step attempts V exchanges.

    The target is exp(-S) restricted to configurations of magnetization ``m`` per site. Two unequal spins are exchanged
    with the Metropolis probability.

    Parameters
    ----------
    magnetization : m in [-1, 1]; V (1 + m) / 2, the number of up spins, must be an integer
    exchange : ``"long-range"`` (any two sites), ``"local"`` (neighbours) or ``"mixed"`` (in turn)

    Raises
    ------
    InputError
        For an action other than Ising, an m that V spins cannot have, or an unknown exchange.

    References
    ----------
    Kawasaki, Phys. Rev. 145 (1966) 224.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> kernel = Constrained(Ising(Lattice((10, 10)), beta=0.44), magnetization=0.8)
    >>> kernel.start(Stream.from_seed(3), replicas=2).sum(axis=(1, 2))
    array([80, 80])
    """

    name: ClassVar[str] = "constrained"
    models: ClassVar[tuple[type[Ising] | type[Potts], ...]] = (Ising,)
    options: ClassVar[tuple[str, ...]] = ("magnetization", "exchange")

    def __init__(
        self,
        action: Ising,
        magnetization: float = 0.0,
        exchange: str = "long-range",
        *,
        backend: str | None = None,
        threads: int | None = None,
    ) -> None:
        if exchange not in discrete.RANGES:
            raise unknown("exchange", exchange, discrete.RANGES)
        self.exchange = exchange
        self.magnetization = finite("magnetization", magnetization)
        super().__init__(action, backend=backend, threads=threads)
        sites = action.lattice.sites
        up = sites * (1 + self.magnetization) / 2
        # A decimal fraction such as 0.8 is not exact in binary; a thousandth of a spin is no doubt about the count.
        if not -1 <= self.magnetization <= 1 or abs(up - round(up)) > 1e-3:
            raise InputError(
                f"magnetization is {magnetization}, which would need {up:g} of {sites} spins up; "
                f"give m = 2 n / {sites} - 1 for a whole number n from 0 to {sites}"
            )
        self.up = round(up)
        self.ensemble = f"fixed magnetization {2 * self.up - sites}/{sites}"

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and options by the names the command line uses."""
        return {"kernel": self.name, "magnetization": self.magnetization, "exchange": self.exchange}

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields of the right magnetization: ``"hot"`` in random order, ``"cold"`` the up spins first."""
        sites = self.action.lattice.sites
        field = np.full((replicas * self.rungs, sites), -1, np.int8)
        copies = self._copies(stream)
        for r in range(len(field)):
            keys = copies.shifted(r).integers("start", np.arange(sites), 1)[0]
            order = np.argsort(keys, kind="stable") if how == "hot" else np.arange(sites)
            field[r, order[: self.up]] = 1
        return field.reshape(self._shape(replicas))

    def init(self, field: Field) -> State:
        """Take over a field (copied); its magnetization must be the constrained one."""
        state = super().init(field)
        total = state.field.reshape(-1, self.action.lattice.sites).sum(axis=1, dtype=np.int64)
        wanted = 2 * self.up - self.action.lattice.sites
        if np.any(total != wanted):
            raise InputError(f"a field has magnetization sum {total[total != wanted][0]}; the kernel keeps {wanted}")
        return state

    def _prepare(self) -> None:
        self._table = acceptance.exchanges([a for a in self.targets if isinstance(a, Ising)])

    def _run(self, batch: discrete.Batch) -> None:
        self._operations.exchange_steps(batch, self._table, self.exchange)
