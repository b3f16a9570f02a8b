"""Kernels by name, and compositions: ``metropolis+2*wolff`` is one Metropolis sweep, then two Wolff steps."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice.kernels.blocked import BlockedFlow
from pyqmc_art.lattice.kernels.cluster import SwendsenWang, Wolff
from pyqmc_art.lattice.kernels.constrained import Constrained
from pyqmc_art.lattice.kernels.field_local import Overrelaxation
from pyqmc_art.lattice.kernels.field_vae import VaeLocal
from pyqmc_art.lattice.kernels.hmc import HMC
from pyqmc_art.lattice.kernels.independence import FlowKernel
from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
from pyqmc_art.lattice.kernels.stepwise import DiscreteKernel, StepwiseKernel, as_warming
from pyqmc_art.lattice.kernels.tempering import Tempering
from pyqmc_art.lattice.kernels.trained import Load
from pyqmc_art.protocols import Field, Info, Observable, State
from pyqmc_art.rng import Stream

KERNELS: Final[dict[str, Any]] = {
    kernel.name: kernel
    for kernel in (
        Metropolis, HeatBath, Overrelaxation, SwendsenWang, Wolff, HMC, Constrained, Tempering, FlowKernel, VaeLocal,
        BlockedFlow,
    )
}  # fmt: skip
ALIASES: Final = {"vae": VaeLocal.name}
"""Other words for a kernel."""

MAX_REPETITIONS: Final = 2**20
"""The key of a repetition is folded with its number in 20 bits."""


class Composition(StepwiseKernel):
    """The parts one after the other, each with its own random key; one step is all of them once.

    Parameters
    ----------
    parts : pairs of a count and a kernel; all kernels share one action and one ensemble

    Raises
    ------
    InputError
        If the parts do not share one target: the composition would leave none of them invariant.

    Examples
    --------
    >>> from pyqmc_art.lattice.actions import Ising
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> action = Ising(Lattice((8, 8)), beta=0.4)
    >>> Composition([(1, HeatBath(action)), (2, Wolff(action))]).name
    'heat-bath+2*wolff'
    """

    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parts: Sequence[tuple[int, DiscreteKernel]]) -> None:
        if not parts:
            raise InputError("a composition needs at least one kernel")
        for count, kernel in parts:
            if not isinstance(count, int) or not 1 <= count < MAX_REPETITIONS:
                raise InputError(
                    f"a part of a composition is repeated {count!r} times; expected a whole number from 1 to "
                    f"{MAX_REPETITIONS - 1}"
                )
            if kernel.targets != parts[0][1].targets or kernel.ensemble != parts[0][1].ensemble:
                raise InputError(
                    f"{kernel.name!r} samples another target than {parts[0][1].name!r} "
                    f"({kernel.ensemble} against {parts[0][1].ensemble}, or another action); "
                    "the parts of a composition must share one target"
                )
        _check_names(parts)
        self.parts = tuple(parts)
        first = parts[0][1]
        self.action, self.targets, self.ladder, self.ensemble = (
            first.action,
            first.targets,
            first.ladder,
            first.ensemble,
        )
        self.name = "+".join(kernel.name if count == 1 else f"{count}*{kernel.name}" for count, kernel in self.parts)

    @property
    def backend(self) -> str:
        """The backend of the compiled parts."""
        return self.parts[0][1].backend

    @property
    def rungs(self) -> int:
        """Number of copies in the target."""
        return self.parts[0][1].rungs

    def configuration(self) -> dict[str, Any]:
        """The kernels and their options by the names the command line uses."""
        merged: dict[str, Any] = {}
        for _, kernel in self.parts:
            for key, value in kernel.configuration().items():
                if key != "kernel" and merged.setdefault(key, value) != value:
                    raise InputError(f"two parts of {self.name!r} have different {key}: {merged[key]} and {value}")
        return {**merged, "kernel": self.name}

    def on_ladder(self, targets: Sequence[Any]) -> Self:
        """Return this composition for fields with a rung axis."""
        kernel = copy.copy(self)
        kernel.parts = tuple((count, part.on_ladder(targets)) for count, part in self.parts)
        kernel.targets, kernel.ladder = kernel.parts[0][1].targets, kernel.parts[0][1].ladder
        return kernel

    def warming(self) -> Self:
        """Return this composition as it is during the warm-up."""
        kernel = copy.copy(self)
        kernel.parts = tuple((count, as_warming(part)) for count, part in self.parts)
        return kernel

    def using(self, threads: int) -> Self:
        """Return this composition with another number of threads."""
        kernel = copy.copy(self)
        kernel.parts = tuple((count, part.using(threads)) for count, part in self.parts)
        return kernel

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields to start from."""
        return self.parts[0][1].start(stream, replicas, how)

    def init(self, field: Field) -> State:
        """Take over a field (copied) as the state before the first step."""
        return self.parts[0][1].init(field)

    def measure(self, field: Field, observables: Sequence[Observable]) -> dict[str, NDArray[np.float64]]:
        """Evaluate observables on a field as it is."""
        return self.parts[0][1].measure(field, observables)

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        """Do all parts once; the field of ``state`` is updated in place."""
        step = state.step
        info: Info = {}
        for position, (count, kernel) in enumerate(self.parts):
            for turn in range(count):
                # Each part, and each repetition, has its own key: sharing one would replay the same numbers.
                state.step = step
                state, own = kernel.step(stream.fold("part", position << 20 | turn), state)
                info.update({f"{kernel.name} {key}": value for key, value in own.items()})
        return state, info


def _check_names(parts: Sequence[tuple[int, Any]]) -> None:
    """Refuse two proposals that would keep their weights in one place, in compositions of compositions too."""
    known: dict[str, Any] = {}
    waiting = [kernel for _, kernel in parts]
    while waiting:
        kernel = waiting.pop()
        waiting += [part for _, part in getattr(kernel, "parts", ())]
        proposal = getattr(kernel, "proposal", None)
        if proposal is not None and known.setdefault(kernel.name, proposal) is not proposal:
            raise InputError(
                f"two proposals are both named {kernel.name!r}, and one would use the weights of the other; "
                "give each a name of its own: Independence(action, proposal, name=...)"
            )


def build(
    name: str,
    action: Any,
    options: Mapping[str, Any] | None = None,
    *,
    backend: str | None = None,
    threads: int | None = None,
    load: Load | None = None,
) -> DiscreteKernel:
    """Build a kernel, or a composition such as ``"metropolis+2*wolff"``, from its name.

    Parameters
    ----------
    options : kernel options by the names the command line uses; each must belong to one of the parts
    load : reads the model directory of a learned proposal for the action

    Raises
    ------
    InputError
        For an unknown kernel, an option no part has, or a kernel that is not defined for the action.

    Examples
    --------
    >>> from pyqmc_art.lattice.actions import Ising
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> build("metropolis+2*wolff", Ising(Lattice((8, 8)), beta=0.4), {"clusters": 3}).configuration()
    {'clusters': 3, 'kernel': 'metropolis+2*wolff'}
    """
    given = dict(options or {})
    classes = [(count, _class_of(part)) for count, part in _parse(name)]
    inner_names = [part for _, part in _parse(given["inner"])] if given.get("inner") else []
    allowed = {o for _, cls in classes for o in cls.options} | {o for n in inner_names for o in _class_of(n).options}
    for key in given:
        if key not in allowed:
            owners = sorted(k for k, cls in KERNELS.items() if key in cls.options)
            belongs = (
                f"it belongs to {', '.join(owners)}" if owners else f"it takes {', '.join(sorted(allowed)) or 'none'}"
            )
            raise InputError(f"the kernel {name!r} has no option {key!r}; {belongs}")
    parts = [(count, _build_one(cls, action, given, backend, threads, load)) for count, cls in classes]
    kept = {getattr(part, "conserves", "") for _, part in parts}
    if len(kept) == 1 and kept != {""}:
        raise InputError(
            f"the kernel {name!r} keeps {kept.pop()} of a {action.name} field for ever; compose it with one that "
            f"changes it, for instance heat-bath+{name}"
        )
    return parts[0][1] if len(parts) == 1 and parts[0][0] == 1 else Composition(parts)


def _build_one(
    cls: Any, action: Any, given: dict[str, Any], backend: str | None, threads: int | None, load: Load | None
) -> Any:
    own = {key: value for key, value in given.items() if key in cls.options}
    if cls in (FlowKernel, BlockedFlow):
        return cls(action, **own, load=load)
    if cls is VaeLocal:
        return VaeLocal(action, **own, load=load, backend=backend, threads=threads)
    if cls is not Tempering:
        return cls(action, **own, backend=backend, threads=threads)
    if not own.get("ladder"):
        raise InputError("the kernel 'tempering' needs a ladder: --ladder B1 B2 ... with at least two betas")
    rest = {key: value for key, value in given.items() if key not in cls.options}
    inner = build(own.get("inner") or "metropolis", action, rest, backend=backend, threads=threads)
    return Tempering(action, own["ladder"], inner, own.get("parameter"))


def _parse(name: str) -> list[tuple[int, str]]:
    parts = []
    for text in str(name).split("+"):
        match = re.fullmatch(r"\s*(?:(\d+)\s*\*\s*)?([A-Za-z][\w-]*)\s*", text)
        if match is None:
            raise InputError(
                f"kernel {name!r} cannot be read at {text!r}; expected names joined by '+', each with an optional "
                "count, for instance heat-bath+4*wolff"
            )
        parts.append((int(match[1] or 1), match[2]))
    return parts


def _class_of(name: str) -> Any:
    name = ALIASES.get(name, name)
    if name not in KERNELS:
        raise unknown("kernel", name, KERNELS)
    return KERNELS[name]
