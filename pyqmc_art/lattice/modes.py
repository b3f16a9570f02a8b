"""Mode collapse: does a proposal reach every mode of its target? Fields of the target say so, its own draws do not.

A proposal that never draws one of two modes has excellent weights: the ESS of its own draws is that of one mode alone,
and ln Z is too low by ln 2 with a small error. Two things tell. Draws can be counted by mode. And fields of the target,
of each mode, can be given to the proposal: a field that it hardly ever draws has a weight beyond all that its own draws
have shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.couplings import whole
from pyqmc_art.lattice.kernels.independence import MOST_DRAWS
from pyqmc_art.protocols import Field, Proposal
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.importance import HEAVY_TAIL, Weights, average_weighted, fit_pareto, summarize_weights
from pyqmc_art.stats.proportions import Rate
from pyqmc_art.stats.resampling import MINIMUM_BLOCKS

Floats = NDArray[np.float64]
Classify = Callable[[Field], NDArray[np.intp]]
"""Number of the mode of each field, in the order in which the modes are given."""

TENTH: Final = 0.1
"""A mode is lost when the proposal gives it less than this part of its share, and hollow when more than this part of it
lies outside of what the draws have seen. A convention, and far from what a draw too few would do."""
CONFIDENCE: Final = 0.999
_SIGMAS: Final = 3.0
_ENOUGH: Final = 50.0  # effective draws that an ESS is believed from


@dataclass(frozen=True)
class Mode:
    """What a proposal does in one mode.

    Attributes
    ----------
    name : of the mode
    share : of the target
    occupation : draws that fall into it, with an interval
    reweighted : share of the weights of all draws; near the target's share only if the mode is reached
    unseen : part of the target's fields in this mode whose weight is larger than that of any draw in it
    forward : ESS within the mode as fields of the target tell it
    reverse : ESS within the mode as the draws tell it; None for fewer than two
    verdict : ``"held"``, ``"lost"`` (hardly drawn), ``"hollow"`` (drawn, but much of it never), ``"undecided"``
        where the weights of its draws rest on fewer than 50 of them or have too heavy a tail
    """

    name: str
    share: float
    occupation: Rate
    reweighted: Estimate
    unseen: Estimate
    forward: Estimate
    reverse: float | None
    verdict: str


@dataclass(frozen=True)
class ModeReport:
    """Verdict on a proposal, mode by mode; ``str`` prints it.

    Attributes
    ----------
    modes : in the order given
    forward : ESS for each draw, as fields of all modes together tell it; too good where most draws lie outside of what
        the target ever visits, which their own ESS then shows
    weights : what the draws alone say
    """

    modes: tuple[Mode, ...]
    forward: Estimate
    weights: Weights

    @property
    def collapsed(self) -> bool:
        """Whether a mode, or much of one, is never drawn: lost or hollow."""
        return self.verdict in ("collapsed", "hollow")

    @property
    def gaps(self) -> bool:
        """Whether fields of the target tell an ESS below a tenth of what the draws claim."""
        claimed = self.weights.effective / self.weights.count
        return self.forward.value + _SIGMAS * self.forward.error < TENTH * claimed

    @property
    def verdict(self) -> str:
        """``"collapsed"`` if a mode is lost, else ``"hollow"``, ``"undecided"``, ``"gaps"`` or ``"healthy"``.

        With gaps every mode is reached, and all but a few of the target's fields in it; a chain that gets into one of
        those stays there for long.
        """
        found = {mode.verdict for mode in self.modes}
        for of_mode, of_all in (("lost", "collapsed"), ("hollow", "hollow"), ("undecided", "undecided")):
            if of_mode in found:
                return of_all
        return "gaps" if self.gaps else "healthy"

    def __str__(self) -> str:
        lines = [f"{self.verdict}: forward ESS {self.forward}; draws: {self.weights}"]
        lines += [
            f"  {m.name}: {m.verdict}; drawn {m.occupation}, target {m.share:.2f}, reweighted {m.reweighted}; unseen "
            f"{m.unseen}; forward ESS inside {m.forward}"
            for m in self.modes
        ]
        return "\n".join(lines)


def divide_by_sign(field: Field) -> NDArray[np.intp]:
    """Mode 0 for fields of positive magnetization, mode 1 for the others."""
    return np.asarray(field.reshape(len(field), -1).sum(axis=1) <= 0, np.intp)


def mirror_modes(fields: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Make fields of both modes of a target that is symmetric under phi -> -phi.

    Half of the chains are turned to positive magnetization and called ``"up"``, the other half to negative, ``"down"``;
    exact by the symmetry, whether or not the chains have tunnelled.

    Parameters
    ----------
    fields : shape (each, chains, *lattice.shape), an even number of chains; those of a run, for instance

    Raises
    ------
    InputError
        For another shape.

    Examples
    --------
    >>> modes = mirror_modes(np.random.default_rng(1).normal(size=(3, 4, 2, 2)))
    >>> {name: field.shape for name, field in modes.items()}
    {'up': (3, 2, 2, 2), 'down': (3, 2, 2, 2)}
    """
    given = np.asarray(fields, np.float64)
    if given.ndim < 3 or given.shape[1] % 2:
        raise InputError(f"fields have the shape {given.shape}; expected (each, chains, *shape), chains an even number")
    half = given.shape[1] // 2
    sign = np.where(given.reshape(*given.shape[:2], -1).sum(axis=2) > 0, 1.0, -1.0)
    turned = given * sign.reshape(*given.shape[:2], *(1 for _ in given.shape[2:]))
    return {"up": turned[:, :half], "down": -turned[:, half:]}


def judge_modes(
    action: Any,
    proposal: Proposal,
    modes: Mapping[str, NDArray[np.float64]],
    n: int = 8192,
    *,
    classify: Classify = divide_by_sign,
    shares: Mapping[str, float] | None = None,
    seed: int = 0,
) -> ModeReport:
    r"""Judge whether a proposal has lost a mode of its target.

    With w = e^{-S}/q the ESS for each draw is ``(E_q w)^2 / E_q w^2 = 1 / (E_p[w] E_p[1/w])``. The left side is all
    that draws of q can tell, the right side is measured on fields of the target; within mode k with p and q restricted
    to it. A single field in a gap of q decides the right side, so modes are judged by shares: of the draws in each
    mode, and of the mode in what the draws have seen.

    Parameters
    ----------
    action : the target
    proposal : draws and encodes; without a latent variable
    modes : name -> fields of the target inside that mode, shape (each, chains, *lattice.shape); chains are independent
    n : draws that are counted
    classify : the number of the mode of each field
    shares : of the modes in the target; None: all alike
    seed : of all random numbers

    Raises
    ------
    InputError
        For fewer than two modes or eight chains, fields that are not of their mode, or shares that do not sum to 1.
    NumericalError
        If the proposal gives a field of the target a density that is no number.

    References
    ----------
    Hackett, Hsieh, Albergo, Boyda, Chen, Chen, Cranmer, Kanwar, Shanahan, arXiv:2107.00734; Nicoli, Anders, Funcke,
    Hartung, Jansen, Kessel, Nakajima, Stornati, arXiv:2302.14082 (forward ESS and mode dropping).

    Examples
    --------
    Free fields are the target here, which has one mode in two halves:

    >>> from pyqmc_art.lattice.free_proposal import FreeProposal
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.lattice.scalar import Phi4
    >>> action = Phi4(Lattice((2, 2)), m2=1.0, lam=0.0)
    >>> fields = FreeProposal(action).draw(Stream.from_seed(2), 320).field.reshape(20, 16, 2, 2)
    >>> judge_modes(action, FreeProposal(action, mass=1.1), mirror_modes(fields)).verdict
    'healthy'
    """
    n, parts = whole("n", n, 2, MOST_DRAWS), _checked_shares(modes, shares)
    stream = Stream.from_seed(seed).fold("modes")
    given = [_weigh_mode(action, proposal, k, name, modes[name], classify, stream) for k, name in enumerate(parts)]
    drawn = proposal.draw(stream.fold("draw"), n)
    with np.errstate(invalid="ignore", over="ignore"):
        logs = np.asarray(-action(drawn.field) - drawn.log_ratio, np.float64)
    weights = summarize_weights(logs, stream.uniform("user", np.arange(n), 1)[0])
    member = classify(drawn.field)
    found = tuple(_judge_mode(name, parts[name], given[k], logs, member == k) for k, name in enumerate(parts))
    return ModeReport(found, _forward_ess(given, list(parts.values())), weights)


def _checked_shares(modes: Mapping[str, Floats], shares: Mapping[str, float] | None) -> dict[str, float]:
    if len(modes) < 2:
        raise InputError(f"{len(modes)} modes were given; expected at least two, for instance those of mirror_modes")
    chains = {name: field.shape[1] for name, field in modes.items()}
    if min(chains.values()) < MINIMUM_BLOCKS or len(set(chains.values())) > 1:
        raise InputError(f"the modes have {chains} chains; expected the same number of each, at least {MINIMUM_BLOCKS}")
    parts = {name: 1 / len(modes) for name in modes} if shares is None else {name: shares[name] for name in modes}
    if min(parts.values()) <= 0 or not math.isclose(sum(parts.values()), 1.0, abs_tol=1e-9):
        raise InputError(f"the shares are {parts}; expected positive numbers that sum to 1")
    return parts


def _weigh_mode(
    action: Any, proposal: Proposal, number: int, name: str, fields: Floats, classify: Classify, stream: Stream
) -> Floats:
    """Log weights of the fields of a mode, shape (each, chains)."""
    each, chains = fields.shape[:2]
    flat = np.ascontiguousarray(fields).reshape(each * chains, *fields.shape[2:])
    strangers = int(np.count_nonzero(classify(flat) != number))
    if strangers:
        raise InputError(f"{strangers} of {len(flat)} fields given for the mode {name!r} are not of it; sort them")
    with np.errstate(invalid="ignore", over="ignore"):
        logs = -action(flat) - proposal.encode(stream.fold("encode", number), flat).log_ratio
    if np.isnan(logs).any():
        raise NumericalError(f"the proposal gives a field of the mode {name!r} a density that is no number; train on")
    return np.asarray(logs, np.float64).reshape(each, chains)


def _forward_ess(given: list[Floats], shares: list[float]) -> Estimate:
    """1 / (E_p[w] E_p[1/w]), with the error of its logarithm from a jackknife over the chains."""
    if any(np.isposinf(logs).any() for logs in given):
        return Estimate(0.0, 0.0)  # a field of the target that is never drawn
    # Averages of w and of 1/w over each chain: shape (modes, 2, chains).
    averages = [[logsumexp(one, axis=0) - math.log(len(one)) for one in (logs, -logs)] for logs in given]
    stack = np.array(averages) + np.log(shares)[:, None, None]
    chains = stack.shape[2]
    value = math.exp(-float((logsumexp(stack, axis=(0, 2)) - math.log(chains)).sum()))
    kept = [np.delete(stack, c, axis=2) for c in range(chains)]
    without = np.array([-(logsumexp(one, axis=(0, 2)) - math.log(chains - 1)).sum() for one in kept])
    return Estimate(value, value * math.sqrt((chains - 1) * float(without.var())))


def _judge_mode(name: str, share: float, given: Floats, logs: Floats, inside: NDArray[np.bool_]) -> Mode:
    occupation = Rate.of(int(inside.sum()), len(inside), CONFIDENCE, "clopper-pearson")
    own = logs[inside & np.isfinite(logs)]
    beyond = (given > (own.max() if len(own) else -math.inf)).mean(axis=0)
    unseen = Estimate(float(beyond.mean()), float(beyond.std(ddof=1)) / math.sqrt(len(beyond)))
    reverse, believed = None, False
    if len(own) > 1:
        shares = np.exp(own - logsumexp(own))
        effective, k = 1 / float((shares**2).sum()), fit_pareto(own)
        reverse, believed = effective / len(own), effective >= _ENOUGH and (k is None or k <= HEAVY_TAIL)
    if occupation.high < TENTH * share:
        verdict = "lost"
    elif not believed:
        verdict = "undecided"  # a few draws have not seen much of anything
    else:
        verdict = "hollow" if unseen.value - _SIGMAS * unseen.error > TENTH else "held"
    reweighted = average_weighted(logs, inside.astype(np.float64))
    return Mode(name, share, occupation, reweighted, unseen, _forward_ess([given], [1.0]), reverse, verdict)


__all__ = ["CONFIDENCE", "TENTH", "Mode", "ModeReport", "divide_by_sign", "judge_modes", "mirror_modes"]
