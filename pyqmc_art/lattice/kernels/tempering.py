"""Parallel tempering: the target is the product over a ladder of values of one coupling."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.acceptance import integer_probability
from pyqmc_art.lattice.couplings import finite
from pyqmc_art.lattice.glass import SpinGlass
from pyqmc_art.lattice.kernels.stepwise import DiscreteKernel, StepwiseKernel, as_warming
from pyqmc_art.lattice.observables import OBSERVABLES, Energy
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Field, Info, Observable, State
from pyqmc_art.rng import Stream


class Tempering(StepwiseKernel):
    """One step of an inner kernel on every rung, then exchanges of neighbouring rungs (even and odd pairs in turn).

    Rungs k and k+1 exchange their configurations with probability min(1, exp((c_k - c_{k+1})(X_k - X_{k+1}))), c being
    the coupling of the ladder and X = dS/dc: H for beta, for phi^4 sum phi^2 (m2) or sum phi^4 (lam).
    Fields have shape (replica, rung, *shape), series (measurements, replica, rung).

    Parameters
    ----------
    action : its coupling is replaced by the ladder's
    ladder : two or more different values of it
    inner : the kernel that updates each rung, for the same lattice and couplings
    parameter : name of the coupling; None means beta, or m2 of phi^4

    Raises
    ------
    InputError
        For a ladder of fewer than two values or with a repeated one, an inner kernel of another action, or a coupling
        that S is not linear in.

    References
    ----------
    Hukushima, Nemoto, J. Phys. Soc. Jpn. 65 (1996) 1604.

    Examples
    --------
    >>> from pyqmc_art.lattice.actions import Ising
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.lattice.kernels.local import HeatBath
    >>> action = Ising(Lattice((8, 8)), beta=0.4)
    >>> kernel = Tempering(action, ladder=(0.3, 0.4, 0.5), inner=HeatBath(action))
    >>> kernel.start(Stream.from_seed(1), replicas=2).shape
    (2, 3, 8, 8)
    """

    name: ClassVar[str] = "tempering"
    options: ClassVar[tuple[str, ...]] = ("ladder", "inner", "parameter")

    def __init__(
        self, action: Any, ladder: Sequence[float], inner: DiscreteKernel, parameter: str | None = None
    ) -> None:
        betas = tuple(finite("ladder", beta) for beta in ladder)
        if len(betas) < 2 or len(set(betas)) < len(betas):
            raise InputError(f"ladder is {tuple(ladder)}; expected at least two different betas, in order")
        if inner.ladder:
            raise InputError("the inner kernel of a tempering ladder cannot have a ladder itself")
        self.parameter = parameter or ("m2" if isinstance(action, Phi4) else "beta")
        self._slope, self._factor = _derivative(action, self.parameter)
        if replace(inner.action, **{self.parameter: getattr(action, self.parameter)}) != action:
            raise InputError("the inner kernel of a tempering ladder must be built for the same action")
        self.action = action
        self.ladder = betas
        self.targets = tuple(replace(action, **{self.parameter: value}) for value in betas)
        self.inner = inner.on_ladder(self.targets)
        self.ensemble = inner.ensemble
        # min(1, exp(x)) as an integer below 2^63 needs no more than this much of the exponent.
        self._smallest = -64 * math.log(2)

    @property
    def backend(self) -> str:
        """The backend of the compiled parts."""
        return self.inner.backend

    @property
    def rungs(self) -> int:
        """Number of copies in the target."""
        return len(self.ladder)

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and options by the names the command line uses."""
        inner = self.inner.configuration()
        own = {} if self.parameter == "beta" else {"parameter": self.parameter}
        return {**inner, "kernel": self.name, "ladder": list(self.ladder), "inner": inner["kernel"], **own}

    def on_ladder(self, targets: Sequence[Any]) -> Self:
        """Refuse: a ladder of ladders is not defined."""
        raise InputError("the inner kernel of a tempering ladder cannot have a ladder itself")

    def using(self, threads: int) -> Self:
        """Return this kernel with another number of threads."""
        kernel = copy.copy(self)
        kernel.inner = self.inner.using(threads)
        return kernel

    def warming(self) -> Self:
        """Return this kernel as it is during the warm-up."""
        kernel = copy.copy(self)
        kernel.inner = as_warming(self.inner)
        return kernel

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields to start from, shape (replicas, rungs, *shape)."""
        return self.inner.start(stream, replicas, how)

    def init(self, field: Field) -> State:
        """Take over a field (copied) as the state before the first step."""
        return self.inner.init(field)

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        """One inner step, then exchanges; the field of ``state`` is updated in place."""
        step = state.step
        state, series, info = self.inner.advance(stream.fold("rungs"), state, 1, 1, (self._slope,))
        energy = series[self._slope.name][0] * (self._factor * self.action.lattice.sites)
        accepted = self._exchange(stream.at(step), state.field, energy, first=step % 2)
        return state, {**info, "swaps": accepted}

    def measure(self, field: Field, observables: Sequence[Observable]) -> dict[str, NDArray[np.float64]]:
        """Evaluate observables on a field as it is: name -> values of shape (replica, rung)."""
        return self.inner.measure(field, observables)

    def _exchange(self, stream: Stream, field: Field, energy: NDArray[np.float64], first: int) -> float:
        lower = np.arange(first, self.rungs - 1, 2)
        if len(lower) == 0:
            return 0.0
        beta = np.array(self.ladder)
        gain = (beta[lower] - beta[lower + 1]) * (energy[:, lower] - energy[:, lower + 1])
        draws = stream.integers("swap", lower, len(field))
        accept = draws < self._thresholds(gain)
        for replica, pair in np.argwhere(accept):
            k = lower[pair]
            field[replica, [k, k + 1]] = field[replica, [k + 1, k]]
        return float(accept.mean())

    def _thresholds(self, gain: NDArray[np.float64]) -> NDArray[np.uint64]:
        """Acceptances as integers, by the one exp() all backends share."""
        flat = [integer_probability(math.exp(min(0.0, max(x, self._smallest)))) for x in gain.ravel().tolist()]
        return np.array(flat, np.uint64).reshape(gain.shape)


def _derivative(action: Any, parameter: str) -> tuple[Observable, float]:
    """Observable and factor whose product is dS/dc per site, for a coupling c that S is linear in."""
    if parameter == "beta" and "beta" in action.couplings():
        # A field of a spin glass holds two copies, and its energy is their mean.
        return Energy(), 2.0 if isinstance(action, SpinGlass) else 1.0
    if isinstance(action, Phi4) and parameter in ("m2", "lam"):
        if action.convention not in ("A", "D"):
            raise InputError(
                f"in convention {action.convention} the field itself depends on {parameter}, and rungs could not "
                "exchange theirs; use convention A or D"
            )
        g = action.coefficients[0]
        return (OBSERVABLES["phi2"], g) if parameter == "m2" else (OBSERVABLES["phi4"], g * g)
    linear = "m2, lam" if isinstance(action, Phi4) else "beta"
    raise InputError(f"a ladder of {parameter!r} is not defined for {action.name}; expected {linear}")
