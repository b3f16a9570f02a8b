"""The one kernel that makes a proposal exact: accept iff log u < w' - w."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.couplings import whole
from pyqmc_art.lattice.kernels.compiled import Target
from pyqmc_art.lattice.kernels.custom import CustomKernel
from pyqmc_art.lattice.kernels.trained import Load, load_model
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.protocols import Draw, Field, Info, Proposal, State
from pyqmc_art.rng import Stream
from pyqmc_art.stats.importance import Weights, summarize_weights

Floats = NDArray[np.float64]


MOST_DRAWS: Final = 10**8
_BATCH: Final = 4096


class Independence(CustomKernel):
    """Metropolis-Hastings with proposals that do not look at the field: accept iff log u < w' - w.

    w = -S(field) - log_ratio is the log weight, log_ratio being log q(field), or with a latent variable
    log q(field, latent) - log r(latent | field). Then exp(-S) is left invariant however badly the proposal was trained.

    The weight of the field is kept in the state *only while nothing else changed the field*. The state also keeps the
    field it belongs to; where another kernel of a composition has moved on, ``encode`` gives the weight anew (and a
    latent is redrawn from r, which leaves the joint target alone because the other kernel did not look at it).

    Parameters
    ----------
    action : the target
    proposal : what draws; it knows its density (:class:`pyqmc_art.protocols.Proposal`)
    name : of the kernel, under which the weight is kept: two proposals of one composition need two names

    Raises
    ------
    InputError
        If the proposal cannot draw and encode.

    References
    ----------
    Tierney, Ann. Stat. 22 (1994) 1701, section 2.3.3. Albergo, Kanwar, Shanahan, Phys. Rev. D 100 (2019) 034515, eq. 7.

    Examples
    --------
    >>> from pyqmc_art.lattice.chain import sample
    >>> from pyqmc_art.lattice.free_proposal import FreeProposal
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.lattice.scalar import Phi4
    >>> action = Phi4(Lattice((2, 2)), m2=-4, lam=8)
    >>> run = sample(action, Independence(action, FreeProposal(action)), steps=500, replicas=20, measure=("phi2",))
    >>> bool(abs(run.series["phi2"].mean() - 0.1714344) < 0.01)
    True
    """

    def __init__(self, action: Target | Phi4 | ON, proposal: Proposal, name: str = "independence") -> None:
        super().__init__(action)
        lacking = [method for method in ("draw", "encode") if not callable(getattr(proposal, method, None))]
        if lacking:
            raise InputError(
                f"the proposal {type(proposal).__name__} has no {' and '.join(lacking)}; a Proposal has both"
            )
        self.proposal = proposal
        self.name = name  # type: ignore[misc]

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and its proposal's; a file remembers them."""
        return {"kernel": self.name, "proposal": type(self.proposal).__name__}

    def start(self, stream: Stream, replicas: int, how: str = "hot") -> Field:
        """Make fields to start from: ``"hot"`` draws of the proposal, ``"cold"`` all sites alike.

        A field that the proposal hardly ever draws has an enormous weight, and the chain would stay there for long.
        """
        if how == "cold":
            return super().start(stream, replicas, how)
        return self.proposal.draw(stream.fold(self.name), replicas).field

    def init(self, field: Field) -> State:
        """Take over a field (copied) as the state before the first step."""
        state = super().init(field)
        # No weight is known yet: NaN differs from every field, itself included.
        state.extra[f"{self.name}_field"] = np.full_like(state.field, np.nan)
        state.extra[f"{self.name}_weight"] = np.full(len(field), np.nan)
        return state

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        """Offer one new field to every replica; the field of ``state`` is updated in place."""
        here, count = stream.fold(self.name).at(state.step), len(state.field)
        now = self._weight(here, state)
        drawn = self.proposal.draw(here.fold("draw"), count)
        then = self._log_weight(drawn)
        usable = np.isfinite(drawn.field.reshape(count, -1)).all(axis=1) & ~np.isnan(then) & (then < np.inf)
        with np.errstate(invalid="ignore"):
            gain = np.where(usable, then, -np.inf) - now
        # 1 - u is uniform in (0, 1]: its logarithm is finite. Two weights of zero leave NaN, which is refused.
        accept = np.log1p(-here.uniform("user", np.arange(1), count)[:, 0]) < gain
        state.field[accept] = drawn.field[accept]
        state.extra[f"{self.name}_field"] = state.field.copy()
        state.extra[f"{self.name}_weight"] = np.where(accept, then, now)
        state.step += 1
        return state, {"acceptance": float(accept.mean()), "nonfinite": float(1 - usable.mean())}

    def _weight(self, stream: Stream, state: State) -> Floats:
        """Log weight of the present fields: the kept one where the field is still the one it belongs to."""
        kept = state.extra.get(f"{self.name}_weight")
        count = len(state.field)
        changed = np.ones(count, bool)
        if kept is not None:
            same = state.field == state.extra[f"{self.name}_field"]
            changed = ~same.reshape(count, -1).all(axis=1)
        if kept is not None and not changed.any():
            return kept
        # All replicas, so that what one of them gets does not depend on which others moved.
        fresh = self._log_weight(self.proposal.encode(stream.fold("encode"), state.field))
        if np.isnan(fresh[changed]).any():
            raise NumericalError(
                f"the proposal of {self.name!r} gives a field of the chain a weight that is no number; "
                "train it further, or start from its own draws"
            )
        return fresh if kept is None else np.where(changed, fresh, kept)

    def _log_weight(self, drawn: Draw) -> Floats:
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(-self.action(drawn.field) - drawn.log_ratio, np.float64)


class FlowKernel(Independence):
    """Independence with a trained flow, as ``--kernel flow --model DIR`` builds it.

    Parameters
    ----------
    action : the target; the model must have been trained for it
    model : its directory
    model_digest : of the weights a run was started with; a resumed run refuses others
    load : reads a directory for an action; whoever builds the kernel hands it in, for models live above this layer

    Raises
    ------
    InputError
        Without a model or a loader, or for a model that is not the one the run was started with.
    """

    name: ClassVar[str] = "flow"
    options: ClassVar[tuple[str, ...]] = ("model", "model_digest")

    def __init__(
        self, action: Any, model: str | Path = "", model_digest: str = "", *, load: Load | None = None
    ) -> None:
        proposal, self._told = load_model(
            "flow", load, model, model_digest, action,
            trainer="train flow", instead="Independence(action, load_flow(directory, action))",
            needs=("draw", "encode"),
        )  # fmt: skip
        super().__init__(action, proposal, "flow")

    def configuration(self) -> dict[str, Any]:
        """The kernel's name, the directory of its model and the digest of its weights."""
        return {"kernel": self.name, **self._told}


def weigh(action: Any, proposal: Proposal, n: int, stream: Stream) -> Floats:
    """Log weights -S - log_ratio of ``n`` independent draws, shape ``(n,)``.

    Raises
    ------
    InputError
        For fewer than two draws.
    """
    n = whole("n", n, 2, MOST_DRAWS)
    parts = []
    for first in range(0, n, _BATCH):
        drawn = proposal.draw(stream.fold("weigh").shifted(first), min(_BATCH, n - first))
        with np.errstate(invalid="ignore", over="ignore"):
            parts.append(-action(drawn.field) - drawn.log_ratio)
    return np.asarray(np.concatenate(parts), np.float64)


def judge_proposal(action: Any, proposal: Proposal, n: int = 65_536, *, seed: int = 0) -> Weights:
    """Judge a proposal by the weights of ``n`` draws: ESS and what it hides, acceptance, and ln Z with an error.

    Parameters
    ----------
    action : the target
    n : draws; an ESS from few of them may be flattering
    seed : of all random numbers

    Examples
    --------
    >>> from pyqmc_art.lattice.free_proposal import FreeProposal
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.lattice.scalar import Phi4
    >>> action = Phi4(Lattice((2, 2)), m2=-4, lam=8)
    >>> found = judge_proposal(action, FreeProposal(action), 20_000)
    >>> bool(abs(found.log_partition.deviation(0.914433978)) < 5)
    True
    """
    stream = Stream.from_seed(seed).fold("judge")
    log_weights = weigh(action, proposal, n, stream)
    return summarize_weights(log_weights, stream.uniform("user", np.arange(len(log_weights)), 1)[0])


__all__ = ["FlowKernel", "Independence", "judge_proposal", "weigh"]
