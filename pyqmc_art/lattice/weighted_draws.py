"""Observables from independent draws of a proposal, reweighted to the target, with errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice.couplings import whole
from pyqmc_art.lattice.kernels.independence import MOST_DRAWS
from pyqmc_art.lattice.observables import find
from pyqmc_art.protocols import Observable, Proposal
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.importance import Weights, average_weighted, summarize_weights
from pyqmc_art.stats.resampling import jackknife

Floats = NDArray[np.float64]

_BATCH: Final = 4096
_BLOCKS: Final = 100


@dataclass(frozen=True)
class WeightedDraws:
    """Independent draws of a proposal: what was measured on each, and how much it counts.

    Attributes
    ----------
    log_weights : -S - log q, shape (n,)
    series : observable -> its value on each draw, shape (n,)
    weights : what the log weights say about the proposal; read it before any average
    """

    log_weights: Floats
    series: dict[str, Floats]
    weights: Weights

    def average(self, name: str) -> Estimate:
        """Average an observable over the target.

        Raises
        ------
        InputError
            If it was not measured.
        """
        return average_weighted(self.log_weights, self._values(name))

    def derived(self, function: Callable[[Floats], float], names: Sequence[str]) -> Estimate:
        """Evaluate a function of averages over the target, its error from a jackknife over a hundred blocks of draws.

        Parameters
        ----------
        function : takes the averages, shape (len(names),), and returns one number
        names : the observables averaged

        Raises
        ------
        InputError
            If one was not measured, or there are fewer draws than blocks.
        """
        if len(self.log_weights) < _BLOCKS:
            raise InputError(
                f"{len(self.log_weights)} draws do not make {_BLOCKS} blocks; take n of at least {_BLOCKS}"
            )
        finite = np.isfinite(self.log_weights)
        top = self.log_weights[finite].max()
        counts = np.where(finite, np.exp(np.where(finite, self.log_weights, top) - top), 0.0)
        series = [counts, *(counts * np.where(finite, self._values(name), 0.0) for name in names)]
        found = jackknife(
            lambda means: function(means[1:] / means[0]), [one[:, None] for one in series], len(counts) // _BLOCKS
        )
        doubts = (*found.warnings, *self.weights.log_partition.warnings)
        return Estimate(found.value, found.error, n=len(counts), ess=self.weights.effective, warnings=doubts)

    def _values(self, name: str) -> Floats:
        if name not in self.series:
            raise unknown("observable", name, self.series)
        return self.series[name]


def measure_proposal(
    action: Any, proposal: Proposal, measure: Sequence[str | Observable], n: int = 65_536, *, seed: int = 0
) -> WeightedDraws:
    r"""Measure observables on independent draws of a proposal and weight them to the target.

    ``<O> = sum w O / sum w`` with ``w = exp(-S) / q``: an independence chain without the chain. The weights are those
    of :func:`pyqmc_art.judge_proposal` with the same n and seed.

    Parameters
    ----------
    action : the target
    measure : observables by name, or functions of (action, field) with a name, of one number for each field
    n : draws
    seed : of all random numbers

    Raises
    ------
    InputError
        For an observable that is unknown or not one number for each field, or fewer than two draws.

    Examples
    --------
    >>> from pyqmc_art.lattice.free_proposal import FreeProposal
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> from pyqmc_art.lattice.scalar import Phi4
    >>> action = Phi4(Lattice((2, 2)), m2=-4, lam=8)
    >>> draws = measure_proposal(action, FreeProposal(action), ("phi2",), 20_000)
    >>> abs(draws.average("phi2").deviation(0.1714344)) < 4
    True
    """
    n = whole("n", n, 2, MOST_DRAWS)
    observables = find([measure] if isinstance(measure, str) else list(measure), action)
    stream = Stream.from_seed(seed).fold("judge")
    logs: list[Floats] = []
    values: dict[str, list[Floats]] = {o.name: [] for o in observables}
    for first in range(0, n, _BATCH):
        drawn = proposal.draw(stream.fold("weigh").shifted(first), min(_BATCH, n - first))
        with np.errstate(invalid="ignore", over="ignore"):
            logs.append(np.asarray(-action(drawn.field) - drawn.log_ratio, np.float64))
        for o in observables:
            values[o.name].append(_one_each(o, action, drawn.field))
    log_weights = np.concatenate(logs)
    weights = summarize_weights(log_weights, stream.uniform("user", np.arange(n), 1)[0])
    return WeightedDraws(log_weights, {name: np.concatenate(parts) for name, parts in values.items()}, weights)


def _one_each(observable: Observable, action: Any, field: NDArray[Any]) -> Floats:
    found = np.asarray(observable(action, field), np.float64)
    if found.shape != (len(field),):
        raise InputError(
            f"{observable.name} gives an array {found.shape[1:]} for each field; expected one number. Measure its "
            "components as observables of their own"
        )
    return found


__all__ = ["WeightedDraws", "measure_proposal"]
