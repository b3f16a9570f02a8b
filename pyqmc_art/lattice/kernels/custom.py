"""The extension point: a kernel of your own in a few lines of Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.kernels.compiled import Target, start_fields
from pyqmc_art.lattice.kernels.field import start_field
from pyqmc_art.lattice.kernels.stepwise import StepwiseKernel
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import Field, State
from pyqmc_art.rng import Stream


class CustomKernel(StepwiseKernel):
    """A kernel whose step you write; sampling, files, resuming and compositions then work as for any other.

    Subclass it, give it a ``name``, and write ``step``: update ``state.field``, add 1 to ``state.step``, and take
    random numbers from ``stream.at(state.step)``, so that a resumed run repeats them. Arrays that the next step needs
    beside the field go to ``state.extra``. Options of the kernel belong into ``configuration``.

    Parameters
    ----------
    action : the target; ``step`` must leave exp(-S) of it invariant

    Examples
    --------
    >>> import numpy as np
    >>> from pyqmc_art.lattice.actions import Ising
    >>> from pyqmc_art.lattice.chain import sample
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> class GlobalFlip(CustomKernel):
    ...     name = "global-flip"
    ...     def step(self, stream, state):
    ...         new = -state.field
    ...         draws = stream.at(state.step).uniform("user", np.arange(1), len(new))[:, 0]
    ...         accept = draws < np.exp(self.action(state.field) - self.action(new))
    ...         state.field[accept] = new[accept]
    ...         state.step += 1
    ...         return state, {"acceptance": float(accept.mean())}
    >>> action = Ising(Lattice((4, 4)), beta=0.1, h=0.5)
    >>> run = sample(action, GlobalFlip(action), steps=50, warmup=0, replicas=3, measure=("magnetization",))
    >>> run.series["magnetization"].shape
    (50, 3)
    """

    name: ClassVar[str]
    backend: ClassVar[str] = "python"
    rungs: ClassVar[int] = 1
    ladder: ClassVar[tuple[float, ...]] = ()
    ensemble: str = "canonical"

    def __init__(self, action: Target | Phi4 | ON) -> None:
        self.action = action
        self.targets = (action,)

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and options; a file remembers them."""
        return {"kernel": self.name}

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields to start from: ``"hot"`` independent at every site, ``"cold"`` all sites alike."""
        action: Any = self.action
        if not isinstance(action, (Phi4, ON)):
            return start_fields(action, stream, replicas, how)
        fields = [start_field(action, stream.shifted(r), how) for r in range(replicas)]
        return np.stack(fields).reshape(replicas, *action.lattice.shape, *action.space.shape)

    def init(self, field: Field) -> State:
        """Take over a field (copied) as the state before the first step."""
        self.action.space.check(field, self.action.lattice.shape)
        return State(field.copy(order="C"))

    def on_ladder(self, targets: Sequence[Any]) -> Self:
        """Refuse, unless a subclass can update all rungs of a ladder."""
        raise InputError(f"the kernel {self.name!r} cannot be the inner kernel of tempering; it has no on_ladder")

    def using(self, threads: int) -> Self:
        """Return this kernel: plain Python runs on one thread."""
        return self
