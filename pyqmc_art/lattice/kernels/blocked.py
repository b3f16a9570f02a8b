"""Domain-wise updates: blocks drawn anew given what surrounds them, accepted with the full difference of the action."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.block_action import BlockAction
from pyqmc_art.lattice.kernels.custom import CustomKernel
from pyqmc_art.lattice.kernels.trained import Load, load_model
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Draw, Info, State
from pyqmc_art.rng import Stream

Floats = NDArray[np.float64]


class BlockProposal(Protocol):
    """Draws the sites of blocks given the sites around them; it knows its density and never accepts.

    Values have shape (replicas, blocks, sites of a block), boundaries (replicas, blocks, bonds outwards), in the order
    of :func:`pyqmc_art.lattice.patches.cut_patches`; ``log_ratio`` has shape (replicas, blocks).
    """

    block: tuple[int, ...]

    def propose(self, stream: Stream, boundary: Floats) -> Draw:
        """Draw values for every block."""
        ...

    def encode(self, stream: Stream, field: Floats, boundary: Floats) -> Draw:
        """Say how values that something else made would have been proposed with this boundary."""
        ...


class Blocked(CustomKernel):
    r"""Metropolis-Hastings in blocks: accept iff log u < w' - w, w = -S(block | boundary) - log q(block | boundary).

    S(block | boundary) is every term of S that holds a site of the block, so that its difference is that of the full
    action. Blocks are coloured like a checkerboard; the sites across their bonds belong to the other colour and
    stand still. Where the blocks lie is drawn anew in every step, without looking at the field.

    No weight is kept from step to step: the boundary of a block has changed by the time it is updated again, by
    its neighbours if by nobody else. So compositions with other kernels need no care.

    Parameters
    ----------
    action : phi^4 on a periodic square or hypercubic lattice
    proposal : what draws (:class:`BlockProposal`)
    name : of the kernel

    Raises
    ------
    InputError
        For another action, a proposal without the methods, or extents that twice the block does not divide.

    References
    ----------
    Finkenrath, arXiv:2201.02216.

    Examples
    --------
    >>> from pyqmc_art.lattice.free_blocks import FreeBlocks
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> action = Phi4(Lattice((8, 8)), m2=-4, lam=8)
    >>> kernel = Blocked(action, FreeBlocks(action, (2, 2)))
    >>> stream = Stream.from_seed(1)
    >>> state, info = kernel.step(stream, kernel.init(kernel.start(stream, replicas=3)))
    >>> sorted(info)
    ['acceptance', 'nonfinite']
    """

    def __init__(self, action: Phi4, proposal: BlockProposal, name: str = "blocked") -> None:
        if not isinstance(action, Phi4):
            raise InputError(f"blocks are proposed for phi4, not for {getattr(action, 'name', action)!r}")
        lacking = [method for method in ("propose", "encode") if not callable(getattr(proposal, method, None))]
        if lacking or not hasattr(proposal, "block"):
            raise InputError(f"the proposal {type(proposal).__name__} has no {' and '.join(lacking) or 'block'}")
        super().__init__(action)
        self.proposal = proposal
        self.name = name  # type: ignore[misc]
        self._part = BlockAction(action, proposal.block)
        self._patches = self._part.patches

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and its proposal's; a file remembers them."""
        return {"kernel": self.name, "proposal": type(self.proposal).__name__}

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        """Offer new values to every block once; the field of ``state`` is updated in place."""
        here, count = stream.fold(self.name).at(state.step), len(state.field)
        shape, axes = np.array(self.action.lattice.shape), tuple(range(1, 1 + self.action.lattice.dimension))
        # One place of the blocks for all replicas, so that it does not matter which of them share a call.
        chance = replace(here, replica=0).uniform("start", np.arange(len(shape)), 1)[0]
        shift = tuple(int(s) for s in chance * shape)
        flat = np.roll(state.field, shift, axes).reshape(count, -1)
        found = [self._update(here.fold("colour", colour), flat, colour) for colour in (0, 1)]
        back = tuple(-s for s in shift)
        state.field[...] = np.roll(flat.reshape(state.field.shape), back, axes)
        state.step += 1
        accepted, usable = np.mean(found, axis=0)
        return state, {"acceptance": float(accepted), "nonfinite": float(1 - usable)}

    def _update(self, stream: Stream, flat: Floats, colour: int) -> tuple[float, float]:
        """Update the blocks of one colour in place; the shares that were accepted, and that had a finite weight."""
        members, around = self._patches.members[colour], self._patches.around[colour]
        values, boundary = flat[:, members], flat[:, around]
        now = self._log_weight(self.proposal.encode(stream.fold("encode"), values, boundary), boundary)
        if np.isnan(now).any():
            raise NumericalError(
                f"the proposal of {self.name!r} gives a block of the chain a weight that is no number; train it further"
            )
        drawn = self.proposal.propose(stream.fold("draw"), boundary)
        then = self._log_weight(drawn, boundary)
        usable = np.isfinite(drawn.field).all(axis=-1) & ~np.isnan(then) & (then < np.inf)
        with np.errstate(invalid="ignore"):
            gain = np.where(usable, then, -np.inf) - now
        accept = np.log1p(-stream.uniform("user", np.arange(len(members)), len(flat))) < gain
        flat[:, members] = np.where(accept[..., None], drawn.field, values)
        return float(accept.mean()), float(usable.mean())

    def _log_weight(self, drawn: Draw, boundary: Floats) -> Floats:
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(-self.block_action(drawn.field, boundary) - drawn.log_ratio, np.float64)

    def block_action(self, values: Floats, boundary: Floats) -> Floats:
        """All terms of S that hold a site of the block, shape (replicas, blocks)."""
        return self._part(values, boundary)


class BlockedFlow(Blocked):
    """Blocks by a trained conditional flow, as ``--kernel blocked-flow --model DIR`` builds it.

    Parameters
    ----------
    action : the target; the model must have been trained for it, the extents are free
    model : its directory
    model_digest : of the weights a run was started with; a resumed run refuses others
    load : reads a directory for an action; whoever builds the kernel hands it in, for models live above this layer

    Raises
    ------
    InputError
        Without a model or a loader, or for a model that is not the one the run was started with.
    """

    name: ClassVar[str] = "blocked-flow"
    options: ClassVar[tuple[str, ...]] = ("model", "model_digest")

    def __init__(
        self, action: Any, model: str | Path = "", model_digest: str = "", *, load: Load | None = None
    ) -> None:
        proposal, self._told = load_model(
            "blocked-flow", load, model, model_digest, action,
            trainer="train block-flow", instead="Blocked(action, load_block_flow(directory, action))",
            needs=("propose", "encode", "block"),
        )  # fmt: skip
        super().__init__(action, proposal, "blocked-flow")

    def configuration(self) -> dict[str, Any]:
        """The kernel's name, the directory of its model and the digest of its weights."""
        return {"kernel": self.name, **self._told}


__all__ = ["BlockProposal", "Blocked", "BlockedFlow"]
