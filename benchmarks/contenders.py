"""Who is timed: our kernels as a user calls them, with one interface for peers beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.observables import find
from pyqmc_art.protocols import Field
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case

UNITS: Final = {
    "metropolis": "spin update",
    "heat-bath": "spin update",
    "swendsen-wang": "site",
    "wolff": "flipped site",
    "constrained": "exchange",
}
"""What one unit of work of each kernel is."""


class Runner(Protocol):
    """A contender with the configurations it has loaded.

    ``overhead`` is the CPU time in seconds of each step that is no part of the update in question, ``setup`` that of
    each call of ``run``, however many steps it does.
    """

    overhead: float
    setup: float

    def run(self, steps: int) -> float:
        """Do ``steps`` steps of every configuration and return the work done, in the kernel's unit."""
        ...

    def fields(self) -> Field:
        """Copy the configurations, shape ``(n, *shape)``, int8 spins or colours as :mod:`pyqmc_art` has them."""
        ...


class Contender(Protocol):
    """Somebody who can run cases."""

    @property
    def name(self) -> str:
        """The column of the tables."""
        ...

    def supports(self, case: Case) -> bool:
        """Whether it knows the model and the kernel."""
        ...

    def load(self, case: Case, fields: Field, stream: Stream) -> Runner:
        """Take over equilibrium configurations, shape ``(n, *shape)``, or make ``n`` of its own."""
        ...


def is_plain_ising(case: Case, dimensions: tuple[int, ...]) -> bool:
    """Ferromagnet without a field on a periodic (hyper)cube."""
    lattice, action = case.action.lattice, case.action
    return (
        isinstance(action, Ising)
        and (action.J, action.h) == (1.0, 0.0)
        and lattice.kind in ("square", "hypercubic")
        and lattice.dimension in dimensions
        and len(set(lattice.shape)) == 1
        and all(lattice.periodic)
    )


def seed_of(stream: Stream, index: int = 0) -> int:
    """A 31-bit seed for somebody else's generator."""
    return int(stream.fold("peer").integers("seed", np.array([index]), 1)[0, 0] >> np.uint64(32))


def steps_to_judge(case: Case) -> int:
    """Steps between the starting configurations and the judgement: several spins' lifetimes."""
    return {"swendsen-wang": 10, "wolff": 30}.get(case.kernel, 50)


@dataclass(frozen=True)
class Ours:
    """pyqmc_art; ``isa`` forces an instruction set, for one process knows several; ``measure`` after every step."""

    name: str = "pyqmc_art"
    backend: str | None = None
    threads: int = 1
    isa: str | None = None
    measure: tuple[str, ...] = ()

    def supports(self, case: Case) -> bool:
        """Every case is ours."""
        return True

    def load(self, case: Case, fields: Field, stream: Stream) -> OurRunner:
        """Build the kernel and take over the configurations."""
        return OurRunner(self, case, fields, stream)

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Choose the instruction set; the compiled module asks for it at each call."""
        before = os.environ.get("PYQMC_ISA")
        if self.isa is not None:
            os.environ["PYQMC_ISA"] = self.isa
        try:
            yield
        finally:
            if before is not None:
                os.environ["PYQMC_ISA"] = before
            elif self.isa is not None:
                del os.environ["PYQMC_ISA"]


class OurRunner:
    """A kernel and its state."""

    overhead = setup = 0.0

    def __init__(self, ours: Ours, case: Case, fields: Field, stream: Stream) -> None:
        self._ours, self._case, self._stream = ours, case, stream
        self._kernel = case.build(ours.backend, threads=ours.threads)
        self._state = self._kernel.init(fields)
        self._observables = find(ours.measure)

    def run(self, steps: int) -> float:
        """Advance as :func:`pyqmc_art.sample` does between two measurements."""
        with self._ours.chosen():
            self._state, _, info = self._kernel.advance(self._stream, self._state, steps, 1, self._observables)
        sites = float(steps * self._state.field.size)
        return sites * info["turned"] if self._case.kernel == "wolff" else sites

    def fields(self) -> Field:
        """Copy the configurations."""
        return self._state.field.copy()
