"""What the kernels of discrete models share: fields in a batch, compiled steps, measurements fused into them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.backends import default_threads, resolve
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.cluster_averages import ClusterAverage, ClusterSums, count_columns
from pyqmc_art.lattice.glass import SpinGlass
from pyqmc_art.lattice.observables import SumObservable, evaluate
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops import discrete
from pyqmc_art.protocols import Field, Info, Observable, Series, State
from pyqmc_art.rng import Stream

MAX_STEPS = 2**32
START_SITES = 2**18  # sites drawn at a time: the words in flight take a few dozen bytes each
WORTH_A_THREAD = 2**16  # site updates; starting a thread costs about as much as this many
Target = Ising | Potts


def start_fields(action: Target, stream: Stream, count: int, how: str) -> Field:
    """Make fields to start from, shape (count, *lattice.shape): ``"hot"`` uniform, ``"cold"`` all sites alike."""
    space, sites = action.space, action.lattice.sites
    field = np.full((count, sites), space.values[-1] if action.name == "ising" else 0, space.dtype)
    if how == "hot":
        values = np.array(space.values, space.dtype)
        for r in range(count):
            for first in range(0, sites, START_SITES):
                index = np.arange(first, min(first + START_SITES, sites))
                uniform = stream.shifted(r).uniform("start", index, 1)[0]
                field[r, index] = values[np.int64(uniform * len(values))]
    return field.reshape(count, *action.lattice.shape)


class CompiledKernel:
    """A kernel of a discrete model whose steps run in compiled code.

    Parameters
    ----------
    action : the target, an Ising or Potts action
    backend : ``"cpp"``, ``"numba"``, ``"python"``, ``"cuda"``; None takes what :func:`pyqmc_art.backends.resolve` says
    threads : how many threads the compiled steps may use; None takes OMP_NUM_THREADS, or else all cores

    A subclass says what one step is (``_run``), prepares its tables from ``self.targets`` (``_prepare``) and names what
    it tallies. ``conserves`` names what keeps it from reaching every field by itself. ``self.targets`` holds one
    action, or one for each rung of a ladder (``on_ladder``).
    """

    name: ClassVar[str]
    tally_name: ClassVar[str] = "acceptance"
    models: ClassVar[tuple[type[Ising] | type[Potts], ...]] = (Ising, Potts)
    options: ClassVar[tuple[str, ...]] = ()
    ensemble: str = "canonical"
    conserves: str = ""
    fields: ClassVar[Any] = None
    glasses: ClassVar[Any] = None

    def __new__(cls, action: Any = None, *options: Any, **more: Any) -> Any:
        """Make the kernel, or the one that does the same for a continuous field or a spin glass."""
        if cls.fields is not None and isinstance(action, (Phi4, ON)):
            return cls.fields(action, *options, **more)
        if cls.glasses is not None and isinstance(action, SpinGlass):
            return cls.glasses(action, *options, **more)
        return super().__new__(cls)

    def __init__(self, action: Target, *, backend: str | None = None, threads: int | None = None) -> None:
        if not isinstance(action, self.models):
            names = " or ".join(sorted(m.name for m in self.models))
            given = getattr(action, "name", type(action).__name__)
            raise InputError(f"the kernel {self.name!r} is defined for {names} actions, not for {given!r}")
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise InputError(f"threads is {threads!r}; expected a whole number of at least 1")
        self.action = action
        self.backend = resolve(backend)
        self.threads = threads or default_threads()
        self.targets: tuple[Target, ...] = (action,)
        self.ladder: tuple[float, ...] = ()
        self._operations = self._find_operations()
        self._prepare()
        if self.backend == "cuda":
            self._try_out()

    def _try_out(self) -> None:
        """Do no steps on no fields: a device has not all operations, and says so before a file is begun."""
        nothing, none = np.empty((0, self.action.lattice.sites), self.action.space.dtype), np.empty(0, np.int64)
        self._run(self._batch(Stream(0), 0, nothing, 0, 1, self._empty_sums(0, 0, 0), none))

    def _find_operations(self) -> Any:
        """The compiled operations of the backend."""
        return discrete.operations(self.backend)

    def _empty_sums(self, measurements: int, count: int, columns: int = 2) -> NDArray[Any]:
        """Room for the sums that the steps measure."""
        return np.zeros((measurements, count, columns), np.int64)

    def _prepare(self) -> None:
        """Compute the tables of ``self.targets``, one row for each rung."""
        raise TypeError(f"{type(self).__name__} must define _prepare")

    def _run(self, batch: Any) -> None:
        """Do the steps of a batch."""
        raise TypeError(f"{type(self).__name__} must define _run")

    @property
    def rungs(self) -> int:
        """Number of copies in the target."""
        return len(self.targets)

    def on_ladder(self, targets: Sequence[Target]) -> Self:
        """Return this kernel for fields of shape (replica, rung, *shape), each rung with its own target."""
        kernel = copy.copy(self)
        kernel.targets = tuple(targets)
        kernel.ladder = tuple(a.beta for a in targets)
        kernel._prepare()
        return kernel

    def warming(self) -> Self:
        """Return this kernel as it is during the warm-up; only kernels that tune something differ."""
        return self

    def using(self, threads: int) -> Self:
        """Return this kernel with another number of threads; the configurations stay the same, byte for byte."""
        kernel = copy.copy(self)
        kernel.threads = threads
        return kernel

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and options by the names the command line uses."""
        return {"kernel": self.name}

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields to start from: ``"hot"`` independent and uniform, ``"cold"`` all sites alike.

        Returns
        -------
        Field of shape (replicas, [rungs,] *lattice.shape)
        """
        copies = self._copies(stream)
        return start_fields(self.action, copies, replicas * self.rungs, how).reshape(self._shape(replicas))

    def _copies(self, stream: Stream) -> Stream:
        """The stream with its replicas counted in copies: on a ladder each has as many as there are rungs."""
        return replace(stream, replica=stream.replica * self.rungs)

    def _shape(self, replicas: int) -> tuple[int, ...]:
        rungs = (self.rungs,) if self.ladder else ()
        return (replicas, *rungs, *self.action.lattice.shape)

    def init(self, field: Field) -> State:
        """Take over a field (copied) as the state before the first step.

        Raises
        ------
        InputError, NumericalError
            For a wrong shape or dtype, or a value outside the space.
        """
        shape = ((self.rungs,) if self.ladder else ()) + self.action.lattice.shape
        self.action.space.check(field, shape)
        return State(np.array(field, order="C"))

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        """Do one step; the field of ``state`` is updated in place."""
        state, _, info = self.advance(stream, state, 1)
        return state, info

    def advance(
        self, stream: Stream, state: State, n: int, every: int = 1, observables: Sequence[Observable] = ()
    ) -> tuple[State, Series, Info]:
        """Do ``n`` steps, measuring after every ``every``-th; the field of ``state`` is updated in place.

        Parameters
        ----------
        stream : its key and first replica; the step comes from ``state``
        state : as :meth:`init` or an earlier call returned it

        Returns
        -------
        state, {name: measurements of shape (n // every, replica, [rung])}, info
        """
        replicas = len(state.field)
        if state.step + n > MAX_STEPS:
            raise InputError(f"step {state.step + n} is beyond 2^32, where the random stream would repeat itself")
        tally = np.zeros(replicas * self.rungs, np.int64)
        fused = [o for o in observables if isinstance(o, SumObservable) or self._averages(o)]
        whole = len(fused) == len(observables)
        stretch = n if whole or n < every else every
        series: dict[str, list[NDArray[np.float64]]] = {o.name: [] for o in observables}
        done = 0
        while done < n:
            todo = min(stretch, n - done)
            averages = [o for o in fused if isinstance(o, ClusterAverage)]
            columns = count_columns(averages, self.action.lattice) if averages else 2 if fused else 0
            of_fields = not averages or len(averages) < len(fused)
            sums = self._steps(stream, state, todo, every, columns, tally, of_fields=of_fields)
            done += todo
            if todo < every:
                continue
            for o in observables:
                if o in fused:
                    series[o.name].append(self._from_sums(o, sums))
                else:
                    series[o.name].append(evaluate(o, self.targets, state.field)[None])
        per_step = float(tally.sum()) / (max(n, 1) * len(tally) * self._attempts())
        return (
            state,
            {name: np.concatenate(parts) for name, parts in series.items() if parts},
            {self.tally_name: per_step},
        )

    def measure(self, field: Field, observables: Sequence[Observable]) -> dict[str, NDArray[np.float64]]:
        """Evaluate observables on a field as it is: name -> values of shape (replica, [rung])."""
        values: dict[str, NDArray[np.float64]] = {}
        sums: NDArray[Any] | None = None
        for o in observables:
            if isinstance(o, SumObservable):
                if sums is None:
                    count = len(field) * self.rungs
                    sums = self._empty_sums(1, count)
                    tally = np.zeros(count, np.int64)
                    self._operations.measure(self._batch(Stream(0), 0, field, 1, 1, sums, tally))
                values[o.name] = self._from_sums(o, sums)[0]
            elif isinstance(o, ClusterAverage) and self._averages(o):
                values[o.name] = o.plain(self.action, field)
            else:
                values[o.name] = evaluate(o, self.targets, field)
        return values

    def _averages(self, observable: Observable) -> bool:
        """Whether the steps measure this observable as an average over the orientations of their clusters."""
        return False

    def _from_clusters(self, average: ClusterAverage, sums: NDArray[Any]) -> NDArray[np.float64]:
        """Evaluate what is summed over clusters, behind the second column."""
        return average.from_clusters(self.action, ClusterSums.read(self.action.lattice, sums))

    def _attempts(self) -> int:
        """What one unit of the tally is divided by, for each step: by default the sites."""
        return self.action.lattice.sites

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
        sums = self._empty_sums(n // every if columns else 0, len(tally), columns)
        batch = self._batch(stream.fold(self.name), state.step, state.field, n, every, sums, tally)
        self._run(batch if of_fields else replace(batch, of_fields=False))
        state.step += n
        return sums

    def _batch(
        self,
        stream: Stream,
        step: int,
        field: Field,
        n: int,
        every: int,
        sums: NDArray[Any],
        tally: NDArray[np.int64],
    ) -> Any:
        sites = self.action.lattice.sites
        return discrete.Batch(
            geometry=self.action.lattice,
            field=field.reshape(len(tally), sites),
            rungs=self.rungs,
            q=self.action.q if isinstance(self.action, Potts) else 0,
            key=stream.key,
            first_replica=stream.replica * self.rungs,
            first_step=step,
            steps=n,
            every=every,
            sums=sums,
            tally=tally,
            threads=self.threads if self._worth_threads(len(tally), n) else 1,
        )

    def _worth_threads(self, fields: int, steps: int) -> bool:
        """Whether so many passes over so many fields take longer than to start threads and to let them meet."""
        sites = self.action.lattice.sites
        shared = fields >= self.threads or sites >= WORTH_A_THREAD // 16  # they meet after each pass over a field
        return shared and fields * sites * steps >= WORTH_A_THREAD

    def _from_sums(self, observable: Any, sums: NDArray[Any]) -> NDArray[np.float64]:
        """Evaluate the sums (measurements, batch, columns) of every rung by its own action."""
        if isinstance(observable, ClusterAverage):
            return self._from_clusters(observable, sums)
        by_rung = sums.reshape(len(sums), sums.shape[1] // self.rungs, self.rungs, sums.shape[2])
        own = by_rung[..., :2] if by_rung.dtype == np.int64 else by_rung
        values = [observable.from_sums(a, *np.moveaxis(own[:, :, k], -1, 0)) for k, a in enumerate(self.targets)]
        return np.stack(values, axis=2) if self.ladder else values[0]
