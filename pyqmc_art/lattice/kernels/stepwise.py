"""Kernels that are made of others: one step after the other, measurements in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.lattice.observables import evaluate
from pyqmc_art.protocols import Field, Info, Kernel, Observable, Series, State
from pyqmc_art.rng import Stream


class DiscreteKernel(Kernel, Protocol):
    """What a part of a composition or of a ladder offers beyond a :class:`pyqmc_art.protocols.Kernel`."""

    targets: tuple[Any, ...]
    ladder: tuple[float, ...]
    ensemble: str

    @property
    def backend(self) -> str:
        """The backend of the compiled parts."""
        ...

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields to start from."""
        ...

    def measure(self, field: Field, observables: Sequence[Observable]) -> dict[str, NDArray[np.float64]]:
        """Evaluate observables on a field as it is."""
        ...

    def on_ladder(self, targets: Sequence[Any]) -> Self:
        """Return the kernel for fields with a rung axis, each rung with its own target."""
        ...

    def using(self, threads: int) -> Self:
        """Return the kernel with another number of threads."""
        ...


def as_warming(kernel: Any) -> Any:
    """Return a kernel as it is during the warm-up, when some tune their proposals."""
    return kernel.warming() if hasattr(kernel, "warming") else kernel


class StepwiseKernel:
    """``advance`` as a loop over ``step``: the default for kernels that are not one compiled loop."""

    targets: tuple[Any, ...]

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
