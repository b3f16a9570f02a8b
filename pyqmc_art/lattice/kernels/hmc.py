"""Hybrid Monte Carlo: trajectories of a fictitious dynamics, each accepted or not by its energy error."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.couplings import finite, whole
from pyqmc_art.lattice.kernels.field import FieldKernel
from pyqmc_art.lattice.kernels.fourier import FourierFlow
from pyqmc_art.lattice.kernels.integrators import find_integrator
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops import continuous
from pyqmc_art.protocols import State
from pyqmc_art.rng import Stream

MAX_MD_STEPS = 2**16


class HMC(FieldKernel):
    """Hybrid Monte Carlo: normal momenta, a trajectory along them, accepted with min(1, exp(-dH)).

    H = sum p^2 / 2 + S. The integrator is time-reversible and preserves the volume of phase space, so that the decision
    makes it exact at every step size. A trajectory whose energy error is not finite is rejected and counted.

    Momenta of O(n) are tangent to the spheres, and its vectors drift along great circles, which is what p^2 / 2 does to
    them; so lengths stay 1 and no constraint is solved for.

    Parameters
    ----------
    action : the target
    trajectory : length of a trajectory in units of the fictitious time, positive
    md_steps : integration steps in one trajectory
    integrator : ``"leapfrog"``, ``"omelyan2"`` or ``"omelyan4"``
    randomise : lengths are drawn from trajectory * [1 - randomise, 1 + randomise], 0 <= randomise < 1. A fixed length
        is not ergodic where it is a period of a mode, as in free fields
    acceleration : squared mass of a kinetic energy that moves all modes alike (:class:`FourierFlow`); None for none.
        For phi^4; the transforms run in NumPy on one thread
    backend : ``"cpp"``, ``"numba"`` or ``"python"``
    threads : of the compiled steps

    Raises
    ------
    InputError
        For an action that has no HMC, a length that is not positive, an unknown integrator, Fourier acceleration of
        unit vectors.

    References
    ----------
    Duane, Kennedy, Pendleton, Roweth, Phys. Lett. B 195 (1987) 216. Great circles: Byrne, Girolami, Scand. J. Stat. 40
    (2013) 825.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> kernel = HMC(Phi4(Lattice((8, 8)), m2=-4, lam=8), md_steps=15)
    >>> stream = Stream.from_seed(1)
    >>> state = kernel.init(kernel.start(stream, replicas=2))
    >>> state, info = kernel.step(stream, state)
    >>> state.field.shape, sorted(info)
    ((2, 8, 8), ['acceptance', 'nonfinite'])
    """

    name: ClassVar[str] = "hmc"
    models: ClassVar[tuple[Any, ...]] = (Phi4, ON)
    options: ClassVar[tuple[str, ...]] = ("trajectory", "md_steps", "integrator", "randomise", "acceleration")

    def __init__(
        self,
        action: Any,
        trajectory: float = 1.0,
        md_steps: int = 10,
        integrator: str = "leapfrog",
        randomise: float = 0.0,
        acceleration: float | None = None,
        *,
        backend: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.trajectory = finite("trajectory", trajectory)
        if self.trajectory <= 0:
            raise InputError(f"trajectory is {trajectory!r}; expected a positive length")
        self.md_steps = whole("md-steps", md_steps, 1, MAX_MD_STEPS)
        self.integrator = find_integrator(integrator)
        self.randomise = finite("randomise", randomise)
        if not 0 <= self.randomise < 1:
            raise InputError(f"randomise is {randomise!r}; expected a fraction of the length, at least 0 and below 1")
        self._kicks, self._drifts = self.integrator.schedule(self.trajectory, self.md_steps)
        self._errors: list[NDArray[np.float64]] = []
        self.acceleration = None if acceleration is None else finite("acceleration", acceleration)
        super().__init__(action, backend=backend, threads=threads)

    def _prepare(self) -> None:
        super()._prepare()
        if self.acceleration is not None:
            if isinstance(self.action, ON):
                raise InputError(
                    "Fourier acceleration is for phi^4: momenta of unit vectors are tangent at every site, and their "
                    "Fourier modes are not independent; leave --acceleration out"
                )
            self._flow = FourierFlow(self.targets[0], self.acceleration)
            if len(self.targets) > 1:
                raise InputError("Fourier acceleration is not defined on a ladder; leave --acceleration out")

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and options by the names the command line uses."""
        return {
            "kernel": self.name,
            "trajectory": self.trajectory,
            "md_steps": self.md_steps,
            "integrator": self.integrator.name,
            "randomise": self.randomise,
            **({} if self.acceleration is None else {"acceleration": self.acceleration}),
        }

    def advance(self, stream: Stream, state: State, n: int, every: int = 1, observables: Any = ()) -> Any:
        """Do ``n`` trajectories, measuring after every ``every``-th; the field of ``state`` is updated in place."""
        self._errors = []
        state, series, info = super().advance(stream, state, n, every, observables)
        lost = sum(int(np.count_nonzero(~np.isfinite(errors))) for errors in self._errors)
        count = max(1, sum(errors.size for errors in self._errors))
        self._errors = []
        return state, series, {**info, "nonfinite": lost / count}

    def energy_errors(self, stream: Stream, state: State, n: int) -> NDArray[np.float64]:
        """Do ``n`` trajectories and return H after less H before each, shape (n, replica * rung).

        In equilibrium the average of exp(-dH) is 1.
        """
        self._errors = []
        super().advance(stream, state, n)
        errors, self._errors = np.concatenate(self._errors), []
        return errors

    def _run(self, batch: continuous.FieldBatch) -> None:
        errors = np.zeros((batch.steps, len(batch.tally)))
        if self.acceleration is None:
            self._operations.hmc_steps(batch, self._kicks, self._drifts, self.randomise, errors)
        else:
            self._flow.run(batch, self._kicks, self._drifts, self.randomise, errors, partial(self._measure_one, batch))
        self._errors.append(errors)

    def _measure_one(self, batch: continuous.FieldBatch, index: int, sums: NDArray[np.float64]) -> None:
        """Measure one field of a batch into one row of sums."""
        room = np.zeros((1, 1, len(sums)))
        one = replace(batch, field=batch.field[index : index + 1], steps=1, every=1, sums=room)
        self._operations.measure(replace(one, tally=np.zeros(1, np.int64)))
        sums[:] = room[0, 0]

    def _attempts(self) -> int:
        return 1

    def _passes(self) -> int:
        return len(self._kicks) + 3
