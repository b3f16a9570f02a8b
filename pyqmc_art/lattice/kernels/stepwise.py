"""Kernels that are made of others: one step after the other, measurements in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.observables import evaluate
from pyqmc_art.protocols import Field, Info, Observable, Series, State
from pyqmc_art.rng import Stream


class DiscreteKernel(Protocol):
    """What a part of a composition or of a ladder offers beyond :class:`pyqmc_art.protocols.Kernel`."""

    name: str
    action: Any
    targets: tuple[Any, ...]
    ladder: tuple[float, ...]
    ensemble: str

    @property
    def backend(self) -> str: ...

    @property
    def rungs(self) -> int: ...

    def init(self, field: Field) -> State: ...

    def step(self, stream: Stream, state: State) -> tuple[State, Info]: ...

    def advance(
        self, stream: Stream, state: State, n: int, every: int = 1, observables: Sequence[Observable] = ()
    ) -> tuple[State, Series, Info]: ...

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field: ...

    def measure(self, field: Field, observables: Sequence[Observable]) -> dict[str, NDArray[np.float64]]: ...

    def configuration(self) -> dict[str, Any]: ...

    def on_ladder(self, targets: Sequence[Any]) -> Self: ...

    def using(self, threads: int) -> Self: ...


class StepwiseKernel:
    """``advance`` as a loop over ``step``: the default for kernels that are not one compiled loop."""

    name: str
    action: Any
    targets: tuple[Any, ...]
    ladder: tuple[float, ...] = ()
    ensemble: str = "canonical"

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        """Do one step."""
        raise TypeError(f"{type(self).__name__} must define step")

    def measure(self, field: Field, observables: Sequence[Observable]) -> dict[str, NDArray[np.float64]]:
        """Evaluate observables on a field as it is: name -> values of shape (replica, [rung])."""
        return {o.name: evaluate(o, self.targets, field) for o in observables}

    def advance(
        self, stream: Stream, state: State, n: int, every: int = 1, observables: Sequence[Observable] = ()
    ) -> tuple[State, Series, Info]:
        """Do ``n`` steps, measuring after every ``every``-th; the field of ``state`` is updated in place."""
        series = defaultdict(list)
        totals: dict[str, float] = defaultdict(float)
        for done in range(1, n + 1):
            state, info = self.step(stream, state)
            for key, value in info.items():
                totals[key] += value
            if done % every == 0:
                for key, values in self.measure(state.field, observables).items():
                    series[key].append(values)
        return state, {k: np.stack(v) for k, v in series.items()}, {k: v / max(n, 1) for k, v in totals.items()}
