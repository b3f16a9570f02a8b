"""The heat bath of spin glasses: one bit for each copy, and the copies of many replicas side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice import acceptance
from pyqmc_art.lattice.glass import SpinGlass
from pyqmc_art.lattice.kernels.compiled import CompiledKernel
from pyqmc_art.lattice.observables import evaluate
from pyqmc_art.ops import glass
from pyqmc_art.protocols import Field, Observable
from pyqmc_art.rng import Stream


class GlassHeatBath(CompiledKernel):
    """Heat-bath sweep of both copies of a spin glass; what ``HeatBath`` makes for a ``SpinGlass`` action.

    The copies of up to 32 replicas are 64 bits of a word, and up to eight words are updated at once, so that 256
    replicas take hardly longer than one. Every copy has random digits of its own.

    Raises
    ------
    InputError
        For a lattice with more than six neighbours, or where its colouring cannot close.

    References
    ----------
    Creutz, Phys. Rev. D 21 (1980) 2308; Bhanot, Duke, Salvador, J. Stat. Phys. 44 (1986) 985.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> kernel = GlassHeatBath(SpinGlass(Lattice((4, 4, 4)), beta=0.8))
    >>> stream = Stream.from_seed(1)
    >>> state, info = kernel.step(stream, kernel.init(kernel.start(stream, replicas=3)))
    >>> state.field.shape
    (3, 4, 4, 4, 2)
    """

    name: ClassVar[str] = "heat-bath"
    tally_name: ClassVar[str] = "changed"
    models: ClassVar[tuple[Any, ...]] = (SpinGlass,)
    action: Any
    targets: tuple[Any, ...]

    def __init__(self, action: Any, *, backend: str | None = None, threads: int | None = None) -> None:
        super().__init__(action, backend=backend, threads=threads)

    def _find_operations(self) -> Any:
        return glass.operations(self.backend)

    def _prepare(self) -> None:
        self._tables = tabulate(self.targets)

    def _shape(self, replicas: int) -> tuple[int, ...]:
        return (*super()._shape(replicas), 2)

    def _attempts(self) -> int:
        return 2 * int(self.action.lattice.sites)

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields to start from: ``"hot"`` independent and uniform, ``"cold"`` all spins +1 in both copies.

        Returns
        -------
        Field of shape (replicas, [rungs,] *lattice.shape, 2)
        """
        count, size = replicas * self.rungs, 2 * self.action.lattice.sites
        field = np.ones((count, size), np.int8)
        if how == "hot":
            for k in range(count):
                draws = self._copies(stream).shifted(k).integers("start", np.arange(size), 1)[0]
                field[k] -= 2 * (draws >> np.uint64(62)).astype(np.int8)
        return field.reshape(self._shape(replicas))

    def measure(self, field: Field, observables: Sequence[Observable]) -> dict[str, NDArray[np.float64]]:
        """Evaluate observables on a field as it is: name -> values of shape (replica, [rung])."""
        return {o.name: evaluate(o, self.targets, field) for o in observables}

    def _batch(
        self, stream: Stream, step: int, field: Field, n: int, every: int, sums: NDArray[Any], tally: NDArray[np.int64]
    ) -> glass.GlassBatch:
        return glass.GlassBatch(
            tables=self._tables,
            field=field.reshape(len(tally), self.action.lattice.sites, 2),
            key=stream.key,
            first_replica=stream.replica,
            first_step=step,
            steps=n,
            every=every,
            sums=sums,
            tally=tally[: self.rungs],
            threads=self.threads if self._worth_threads(2 * len(tally), n) else 1,
        )

    def _run(self, batch: glass.GlassBatch) -> None:
        self._operations.glass_steps(batch)


def tabulate(targets: Sequence[SpinGlass]) -> glass.GlassTables:
    """Prepare the tables of spin glasses with the same couplings, one rung for each beta."""
    action = targets[0]
    lattice = action.lattice
    slots = next((n for n in glass.SLOTS if lattice.coordination <= n), None)
    if slots is None:
        raise InputError(
            f"a spin glass has at most {glass.SLOTS[-1]} neighbours, but this {lattice.kind} lattice of "
            f"{lattice.dimension} dimensions has {lattice.coordination}; use one of at most three dimensions"
        )
    neighbours, strengths = _slots(action, slots)
    order = np.argsort(lattice.colour, kind="stable")
    sizes = np.abs(strengths)
    uniform = bool(sizes[0, 0] > 0 and (sizes == sizes[0, 0]).all())
    if uniform:
        row = np.zeros(lattice.sites, np.int64)
        pulls = sizes[:1, :1] * (2 * np.arange(slots + 1) - slots)
    else:
        turned = np.where(strengths[:, :1] < 0, -strengths, strengths).astype(np.int64)
        rows, row = _number_rows(turned, order)
        differs = np.arange(2 ** (slots - 1))[:, None] >> np.arange(slots - 1) & 1
        pulls = rows[:, :1] + rows[:, 1:] @ (1 - 2 * differs.T)
    table = np.stack([acceptance.upward(a.beta, a.unit, pulls) for a in targets])
    here, direction = np.nonzero(lattice.forward >= 0)
    ends = lattice.forward[here, direction]
    return glass.GlassTables(
        order=order.astype(np.int32),
        starts=np.searchsorted(lattice.colour[order], np.arange(lattice.colours + 1)).astype(np.int64),
        neighbours=neighbours,
        negative=np.where(strengths < 0, np.uint64(2**64 - 1), np.uint64(0)),
        uniform=uniform,
        row=row.astype(np.int32),
        **tabulate_digits(table),
        bonds=np.stack([here, ends, action.strengths[here, direction]], axis=1).astype(np.int32),
    )


class _Digits(TypedDict):
    table: NDArray[np.uint64]
    upper: NDArray[np.uint8]
    bytes: NDArray[np.uint8]


def tabulate_digits(table: NDArray[np.uint64]) -> _Digits:
    """Prepare the upper digits of a table, shape (rungs, rows, entries), as the compiled loops read them."""
    digits = table[..., None, :] >> (62 - np.arange(glass.DIGITS, dtype=np.uint64))[:, None] & np.uint64(1)
    padded = np.pad(digits, [(0, 0)] * (digits.ndim - 1) + [(0, -digits.shape[-1] % 4)])
    fours = padded.reshape(*digits.shape[:-1], -1, 4)
    eight, four = table >> np.uint64(63 - 8), table >> np.uint64(63 - glass.DIGITS) & np.uint64(15)
    return {
        "table": np.ascontiguousarray(table),
        "upper": np.ascontiguousarray(8 * (fours @ np.array([1, 2, 4, 8], np.uint64)), np.uint8),
        "bytes": np.stack([eight, four], axis=2).astype(np.uint8),
    }


def _number_rows(rows: NDArray[np.int64], order: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The different rows, and the number of that of each site, in the order in which they are met: so they are read."""
    found, first, number = np.unique(rows[order], axis=0, return_index=True, return_inverse=True)
    met = np.argsort(first)
    row = np.empty(len(order), np.intp)
    row[order] = np.argsort(met)[number.reshape(-1)]
    return found[met], row


def _slots(action: SpinGlass, slots: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Neighbours of each site and the couplings to them, (sites, slots); itself with coupling 0 where there is none."""
    lattice = action.lattice
    sites = np.arange(lattice.sites)
    neighbours = np.repeat(sites[:, None], slots, axis=1).astype(np.int32)
    strengths = np.zeros((lattice.sites, slots), np.int32)
    used = np.zeros(lattice.sites, np.int64)
    for column, target in enumerate(lattice.neighbours.T):
        here = np.flatnonzero(target >= 0)
        origin = here if column % 2 == 0 else target[here]
        neighbours[here, used[here]] = target[here]
        strengths[here, used[here]] = action.strengths[origin, column // 2]
        used[here] += 1
    return neighbours, strengths
