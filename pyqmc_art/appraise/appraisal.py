"""What an appraisal found, as numbers, words and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.contest import Contest
from pyqmc_art.rng import Stream
from pyqmc_art.stats.comparisons import adjust_holm
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.hits import Hits, show_p_value
from pyqmc_art.stats.profiles import Profiles, compare_profiles, find_peaks

if TYPE_CHECKING:
    from pyqmc_art.appraise.correction import Correction
    from pyqmc_art.art.metrics.memory import Memory
    from pyqmc_art.art.rows import Problem
    from pyqmc_art.protocols import Figure

Floats = NDArray[np.float64]

FIELDS: Final = "fields"
PICTURES: Final = "pictures"
LEVEL: Final = 0.05
DIFFERENT: Final = "different"
NOT_TOLD_APART: Final = "not told apart"


@dataclass(frozen=True, eq=False)
class SpectrumComparison:
    """Spectra of A and B with one p-value for all rings and sectors together.

    Attributes
    ----------
    profiles : rings first, then sectors
    frequency : of the rings, cycles for each site or pixel
    direction : of the sectors, degrees
    unit : what the curves are: power, or its logarithm
    peaks : frequencies at which the spectrum of B rises to a peak that A does not have
    """

    profiles: Profiles
    frequency: Floats
    direction: Floats
    unit: str
    peaks: tuple[float, ...] = ()

    @classmethod
    def of(
        cls, a: Floats, b: Floats, frequency: Floats, direction: Floats, unit: str, stream: Stream
    ) -> SpectrumComparison:
        """Compare curves, one an independent unit, rings first and then sectors."""
        found = compare_profiles(a, b, stream)
        rings = len(frequency)
        peaks = find_peaks(a[:, :rings], b[:, :rings], found.critical)
        return cls(found, frequency, direction, unit, tuple(float(frequency[k]) for k in peaks))

    def to_json(self) -> dict[str, Any]:
        """Curves, bands, peaks and the p-value."""
        p, rings = self.profiles, len(self.frequency)
        parts = {"radial": (slice(0, rings), self.frequency), "angular": (slice(rings, None), self.direction)}
        curves = {
            name: {
                "x": x.tolist(), "a": p.a[part].tolist(), "b": p.b[part].tolist(), "a_band": p.a_band[:, part].tolist(),
                "b_band": p.b_band[:, part].tolist(), "z": p.z[part].tolist(),
            }
            for name, (part, x) in parts.items()
        }  # fmt: skip
        peaks = list(self.peaks)
        return {"p_value": p.p_value, "critical_z": p.critical, "unit": self.unit, "peaks": peaks, **curves}


@dataclass(frozen=True)
class Compared:
    """One observable in both ensembles."""

    name: str
    a: Estimate
    b: Estimate

    @property
    def sigmas(self) -> float:
        """How far B lies above A in combined standard errors."""
        return self.b.deviation(self.a)

    @property
    def p_value(self) -> float:
        """Probability of so large a deviation, normal and two-sided; 1 where it is not known."""
        return 1.0 if math.isnan(self.sigmas) else math.erfc(abs(self.sigmas) / math.sqrt(2))


@dataclass(frozen=True, eq=False)
class Appraisal:
    """What was found about two ensembles.

    Attributes
    ----------
    kind : ``"fields"`` or ``"pictures"``
    a, b : how they are called
    sizes : a line about each
    contest : the classifier two-sample test
    spectrum : of both
    kid, kid_features : kernel distance and the features it was taken in
    memory : nearest neighbours of members of B in A
    observables : of fields
    baseline : for pictures: how well size and format of the files alone tell them apart
    figures : where the forgery shows
    correction : of B towards A, if asked for
    notes : what else to know
    problems : files that could not be read
    """

    kind: str
    a: str
    b: str
    sizes: tuple[str, str]
    contest: Contest
    spectrum: SpectrumComparison
    kid: Estimate
    kid_features: str
    memory: Memory
    observables: tuple[Compared, ...] = ()
    baseline: Hits | None = None
    figures: tuple[Figure, ...] = ()
    correction: Correction | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    seed: int = 0
    seconds: float = 0.0
    configuration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def p_values(self) -> dict[str, float]:
        """The tests, each with its own p-value; that of observables is Holm's smallest."""
        found = {"c2st": self.contest.hits.p_value, "spectrum": self.spectrum.profiles.p_value}
        if self.observables:
            found["observables"] = float(adjust_holm([one.p_value for one in self.observables]).min())
        return found

    @property
    def p_value(self) -> float:
        """Of all tests together, by Holm's rule."""
        return float(adjust_holm(list(self.p_values.values())).min())

    @property
    def verdict(self) -> str:
        """``"different"`` when a test says so at 5 % (all of them together), else ``"not told apart"``."""
        return DIFFERENT if self.p_value < LEVEL else NOT_TOLD_APART

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        hits = self.contest.hits
        record: dict[str, Any] = {
            "kind": self.kind, "a": self.a, "b": self.b, "verdict": self.verdict, "p_value": self.p_value,
            "c2st": {
                **_hits_json(hits),
                "judges": {name: _hits_json(one) for name, one in self.contest.each.items()},
                "spoke": list(self.contest.spoke),
            },
            "spectrum": self.spectrum.to_json(),
            "kid": {
                "value": self.kid.value, "error": _number(self.kid.error), "n": self.kid.n,
                "features": self.kid_features,
            },
            "nearest": {
                "copies": self.memory.flagged, "p_value": self.memory.p_value, "near": self.memory.near.k,
                "n": self.memory.near.n, "interval": [self.memory.near.low, self.memory.near.high],
                "reference": self.memory.reference, "median_distance": float(np.median(self.memory.distances)),
            },
        }  # fmt: skip
        if self.observables:
            record["observables"] = {
                one.name: {"a": one.a.to_dict(), "b": one.b.to_dict(), "sigmas": _number(one.sigmas)}
                for one in self.observables
            }
        if self.baseline is not None:
            record["files_alone"] = _hits_json(self.baseline)
        if self.correction is not None:
            record["correction"] = self.correction.to_json()
        problems = [str(one) for one in self.problems]
        return record | {"notes": list(self.notes), "problems": problems, "seed": self.seed}

    def summary(self) -> str:
        """Everything in a few lines."""
        lines = [
            f"A: {self.sizes[0]}", f"B: {self.sizes[1]}",
            f"{self.verdict} (p = {show_p_value(self.p_value)} for {', '.join(self.p_values)} together)",
            f"classifier two-sample test: {self.contest.hits}; judge: {_last(self.contest.spoke)}",
            f"spectrum: p = {show_p_value(self.spectrum.profiles.p_value)}"
            + (f"; peaks of B at {', '.join(f'{f:.3f}' for f in self.spectrum.peaks)}" if self.spectrum.peaks else ""),
            f"kernel distance ({self.kid_features}): {self.kid}",
            f"nearest neighbours: {self.memory}",
        ]  # fmt: skip
        worst = sorted(self.observables, key=lambda one: -abs(one.sigmas) if math.isfinite(one.sigmas) else 0.0)
        lines += [f"  {one.name}: A {one.a}, B {one.b}, {one.sigmas:+.1f} sigma" for one in worst[:6]]
        if self.baseline is not None:
            lines.append(f"size and format of the files alone: {self.baseline}")
        if self.correction is not None:
            lines += self.correction.lines()
        return "\n".join([*lines, *(f"note: {one}" for one in self.notes)])


def _hits_json(hits: Hits) -> dict[str, Any]:
    score = hits.accuracy
    return {
        "accuracy": score.value, "n_eff": hits.n_effective, "p_value": hits.p_value,
        "interval": [score.low, score.high],
        "binomial_p_value": hits.binomial, "n_a": score.positives, "n_b": score.negatives,
    }  # fmt: skip


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _last(spoke: tuple[str, ...]) -> str:
    return spoke[-1] if len(set(spoke)) == 1 else ", ".join(spoke)
