"""Can forged fields be told from genuine ones, and do weights of a judge repair them? Exact weights say how well."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.appraisal import Appraisal
from pyqmc_art.appraise.contest import BASIC
from pyqmc_art.appraise.correction import Correction, Weighed
from pyqmc_art.appraise.correction import correct as apply_correction
from pyqmc_art.appraise.ensembles import appraise_fields, find_corrected
from pyqmc_art.appraise.fields import FieldSet, measure_both
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.resampling import jackknife
from pyqmc_art.studies import forged_fields_report as report
from pyqmc_art.studies.counterfeits import (
    CHAINS,
    Counterfeit,
    draw_scalar,
    draw_spins,
    forge_scalar,
    forge_spins,
    generate_scalar,
    wrap,
)

Floats = NDArray[np.float64]

QUESTION: Final = (
    "Can a judge tell forged fields from Monte Carlo, do its weights repair them, and how far is its Metropolis from "
    "the exact one?"
)


@dataclass(frozen=True, eq=False)
class Tried:
    """One forgery before the judge.

    Attributes
    ----------
    forgery : what it is
    appraisal : with the correction by the judge's weights
    exact : the correction by the exact weights; None, like all that follows, where these are not known
    best : accuracy of the best possible judge, whose logit is the exact one
    correlation, slope : of the judge's log weights with the exact ones among members of B; None where those are all
        the same
    agreement : share of steps in which both chains, offered the same fields and random numbers, decide alike
    log_weights : exact and judged ones of the members of B
    """

    forgery: Counterfeit
    appraisal: Appraisal
    exact: Correction | None
    best: float | None
    correlation: Estimate | None
    slope: Estimate | None
    agreement: float | None
    log_weights: tuple[Floats, Floats] | None


@dataclass(frozen=True)
class ForgedFields:
    """Forgeries of phi^4 and of the Ising model in two dimensions, judged and corrected.

    Parameters
    ----------
    extent
        Sites along each of two axes.
    m2
        Squared mass (convention A).
    lam
        Quartic coupling.
    beta
        Of the Ising model.
    strength
        Relative change of lam and of the smoothing.
    heat
        Relative change of beta.
    each
        Fields of each of 64 chains.
    training
        Steps of the flow's training.
    generators
        Steps of the diffusion model's training; the adversarial network makes half as many.
    """

    extent: int = 6
    m2: float = -4.0
    lam: float = 6.975
    beta: float = 0.4
    strength: float = 0.1
    heat: float = 0.02
    each: int = 24
    training: int = 60
    generators: int = 300

    name: ClassVar[str] = "forged-fields"
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {},
        "full": {"extent": 8, "lam": 6.008, "each": 64, "training": 400, "generators": 2000},
    }

    def __post_init__(self) -> None:
        """Refuse what cannot be judged."""
        for name, least in (("extent", 4), ("each", 8), ("training", 10), ("generators", 10)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {least}")
        for name in ("strength", "heat"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number between 0 and 1")

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Forge, judge, correct, and compare with the exact weights."""
        begun = time.perf_counter()
        lattice = Lattice((self.extent, self.extent))
        action, spins = Phi4(lattice, self.m2, self.lam), Ising(lattice, beta=self.beta)
        monitor.start(self.name, 10)
        try:
            genuine = wrap("phi^4", draw_scalar(action, self.each, stream.fold("genuine")), action)
            others = forge_scalar(action, self.each, self.strength, self.training, stream.fold("forgeries"))
            others += generate_scalar(action, self.each, self.generators, stream.fold("generators"))
            cases = [(genuine, one) for one in others]
            magnets = wrap("Ising", draw_spins(spins, self.each, stream.fold("spins")), spins)
            cases.append((magnets, forge_spins(spins, self.each, self.heat, stream.fold("forged spins"))))
            monitor.advance(1)
            tried = []
            for a, forgery in cases:
                tried.append(try_forgery(a, forgery, stream.fold(forgery.name)))
                monitor.advance(1, forgery=forgery.name, verdict=tried[-1].appraisal.verdict)
        finally:
            monitor.finish()
        told = {**dataclasses.asdict(self), "chains": CHAINS}
        return report.tell(self.name, QUESTION, tried, told, time.perf_counter() - begun)


def try_forgery(a: FieldSet, forgery: Counterfeit, stream: Stream) -> Tried:
    """Appraise a forgery, correct it by the judge and by the exact weights, and compare."""
    b = forgery.fields
    found = appraise_fields(a, b, stream, correct="mh")
    own = found.correction
    if own is None:
        raise InputError("the appraisal made no correction; ask for one")
    if forgery.weigh is None:
        return Tried(forgery, found, None, None, None, None, None, None)
    logs = [forgery.weigh(one.raw.reshape(-1, *one.raw.shape[2:])) for one in (a, b)]
    weighed = Weighed(logs[1], own.weighed.kept, logs[0][own.weighed.kept], ("exact",))
    # The same stream: both chains are offered the same fields and the same random numbers.
    exact = apply_correction(a.table, b.table, BASIC, "mh", stream.fold("correct"), weighed)
    exact = find_corrected(a, b, measure_both(a, b, a.action), exact)
    moves = [np.diff(one.chosen) != 0 for one in (own, exact)]
    correlation, slope = _compare_weights(logs[1], own.weighed.b)
    return Tried(
        forgery, found, exact, find_best_accuracy(logs[0], logs[1]), correlation, slope,
        float((moves[0] == moves[1]).mean()), (logs[1], own.weighed.b),
    )  # fmt: skip


def find_best_accuracy(of_a: Floats, of_b: Floats) -> float:
    """Accuracy of a judge with the exact log weights of members of A and of B, which it normalises over B.

    Examples
    --------
    >>> find_best_accuracy(np.array([0.0, np.inf]), np.zeros(2))
    0.75
    """
    top = float(of_b.max())
    norm = top + float(np.log(np.exp(of_b - top).mean()))
    # A part of A that B lacks lowers the density of A elsewhere.
    seen = np.isfinite(of_a)
    shift = float(np.log(seen.mean())) if seen.any() else 0.0
    return float(((of_a - norm + shift > 1e-9).mean() + (of_b - norm + shift <= 1e-9).mean()) / 2)


def _compare_weights(exact: Floats, judged: Floats) -> tuple[Estimate | None, Estimate | None]:
    """Correlation and slope of the judge's log weights with the exact ones; None where these do not vary."""
    if not np.isfinite(exact).all() or exact.std() < 1e-9:
        return None, None
    x, y = exact - exact.mean(), judged - judged.mean()
    series = [one[:, None] for one in (x, y, x * x, y * y, x * y)]
    block = max(1, len(x) // 100)

    def find_slope(m: Floats) -> float:
        return float((m[4] - m[0] * m[1]) / (m[2] - m[0] ** 2))

    def find_correlation(m: Floats) -> float:
        scale = (m[2] - m[0] ** 2) * (m[3] - m[1] ** 2)
        return float((m[4] - m[0] * m[1]) / np.sqrt(scale)) if scale > 0 else 0.0

    return jackknife(find_correlation, series, block), jackknife(find_slope, series, block)
