"""What the study of leakage says: tables, bars, and the answer in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pyqmc_art.protocols import Curve, Figure, Panel, Table
from pyqmc_art.stats.ranking import Score
from pyqmc_art.studies.leaks import Inflation, Noise
from pyqmc_art.studies.thresholds import ThresholdResult

QUESTION: Final = (
    "How much better does a detector look when patches or photographs of one work lie on both sides of a split, or "
    "when the threshold is chosen on the works that are tested?"
)
SOUND, LEAKY = "sound", "leaky"

_Pair: TypeAlias = tuple[str, Score | Noise, Score | Noise]
"""What is compared, the sound and the leaky number."""


@dataclass(frozen=True)
class Results:
    """All that was measured.

    Parameters
    ----------
    patches : split by work and by patch
    twins : every work photographed twice, near-duplicates merged and not
    thresholds : chosen inside, chosen on the tested works
    planted, found, false : second photographs, those recognised, and other pairs that were taken for one work
    """

    patches: Inflation
    twins: Inflation
    thresholds: tuple[ThresholdResult, ...]
    planted: int
    found: int
    false: int

    @property
    def inflations(self) -> tuple[tuple[str, Inflation], ...]:
        """What is split, and how it came out."""
        return (("patches", self.patches), ("two photographs of each work", self.twins))


def answer(results: Results) -> str:
    """Answer the question in words, with the numbers."""
    cut, twins, (inside, on_test) = results.patches, results.twins, results.thresholds
    return (
        f"Labels that mean nothing reach an AUC of {_cell(cut.sound.noise)} when works are split, as they must be, "
        f"and {_cell(cut.leaky.noise)} when patches are; {_cell(twins.leaky.noise)} when a second photograph of each "
        f"work is not recognised, {_cell(twins.sound.noise)} when it is. With the real labels the split by patch "
        f"changes the AUC by {cut.real}, the unrecognised photographs by {twins.real}. A threshold chosen on the "
        f"tested works gives noise a balanced accuracy of {_cell(on_test.noise)}; chosen inside, "
        f"{_cell(inside.noise)}."
    )


def tables(results: Results) -> tuple[Table, ...]:
    """Splits, thresholds, and what the product's own audits say of them."""
    return _splits(results), _additions(results), _thresholds(results.thresholds)


def _splits(results: Results) -> Table:
    rows = [
        (what, way.name, kind, f"{way.shared:.1f}", _cell(way.real), _cell(way.noise), _cell(way.pooled))
        for what, one in results.inflations
        for kind, way in ((SOUND, one.sound), (LEAKY, one.leaky))
    ]
    first = results.patches.sound
    caption = (
        f"AUC over works with 95 % intervals; real labels: {first.real.positives} v {first.real.negatives} works. "
        f"Noise: a fair coin for each of {first.noise.works} works, {first.noise.labellings} times; interval over the "
        "labellings. In folds: the mean over the folds of a cross-validation, 1/2 without a leak. Pooled: scores of "
        "all folds ranked together, which tends to less than 1/2 without a leak, for a model is tested on the very "
        "works that it lacks. Shared: works that the audit finds on both sides, mean over the folds."
    )
    columns = ("samples", "split", "kind", "shared works", "real labels", "noise, in folds", "noise, pooled")
    return Table("splits", "The same samples, labels and detector, split in two ways", columns, tuple(rows), caption)


def _additions(results: Results) -> Table:
    rows = tuple(
        (what, f"{one.leaky.name} instead of {one.sound.name}", str(one.real), f"{_excess(one):+.3f}")
        for what, one in results.inflations
    )
    caption = (
        "Difference of AUC with the real labels: paired bootstrap over works, with p-value and numbers of works. With "
        "noise labels: difference of the means in folds."
    )
    columns = ("samples", "leak", "real labels", "noise labels")
    return Table("inflation", "What a leak adds", columns, rows, caption)


def _thresholds(results: Sequence[ThresholdResult]) -> Table:
    rows = tuple((one.place, f"{one.leaking} of {one.folds}", _cell(one.real), _cell(one.noise)) for one in results)
    real, noise = results[0].real, results[0].noise
    caption = (
        f"Balanced accuracy over works, {real.positives} v {real.negatives} with the real labels, {noise.labellings} "
        f"labellings of {noise.works} works with noise. Leaking: the threshold of the fold moves when the labels of "
        "its own tested works are changed, and nothing else."
    )
    columns = ("threshold chosen", "leaking folds", "real labels", "noise labels")
    return Table("thresholds", "Where the threshold comes from", columns, rows, caption)


def figures(results: Results, simulated: bool) -> tuple[Figure, ...]:
    """Bars of the sound and the leaky way beside each other."""
    cut, twins, (inside, on_test) = results.patches, results.twins, results.thresholds
    pairs: list[_Pair] = [
        ("patches, real", cut.sound.real, cut.leaky.real),
        ("patches, noise", cut.sound.noise, cut.leaky.noise),
        ("photographs, real", twins.sound.real, twins.leaky.real),
        ("photographs, noise", twins.sound.noise, twins.leaky.noise),
    ]
    chosen: list[_Pair] = [("real", inside.real, on_test.real), ("noise", inside.noise, on_test.noise)]
    panels = (
        _bars("Patches and photographs of one work on both sides", "samples, labels", "AUC over works", pairs),
        _bars("Threshold chosen inside, or on the tested works", "labels", "balanced accuracy over works", chosen),
    )
    note = " Simulated pictures." if simulated else ""
    caption = (
        "Sound: whole works on one side, thresholds from training works. Leaky: patches or photographs of one work on "
        "both sides, thresholds from the tested works. The dashed line is what noise labels deserve. 95 % intervals: "
        f"real labels over works, noise labels over labellings.{note}"
    )
    return (Figure("leaks", "What leaks add to scores", caption, panels),)


def _bars(title: str, place: str, what: str, pairs: Sequence[_Pair]) -> Panel:
    places = [float(number) for number in range(len(pairs))]
    curves = [
        Curve(
            kind,
            places,
            [one.value for one in column],
            style="bars",
            group=kind,
            limits=([one.low for one in column], [one.high for one in column]),
        )
        for kind, column in ((SOUND, [pair[1] for pair in pairs]), (LEAKY, [pair[2] for pair in pairs]))
    ]
    line = Curve("1/2", [-0.5, len(pairs) - 0.5], [0.5, 0.5], style="dashed", group="half")
    return Panel(title, place, what, (*curves, line), categories=tuple(pair[0] for pair in pairs))


def notes(results: Results) -> tuple[str, ...]:
    """What limits the numbers."""
    found = f"{results.found} of {results.planted} second photographs were recognised as their work"
    beside = f"; {results.false} other pairs were taken for one work" if results.false else ""
    saturated = (
        ("With the real labels the sound score is near 1, so that a leak can add little there.",)
        if results.patches.sound.real.value > 0.97
        else ()
    )
    return (
        f"{found}{beside}. They are made here: cropped by 2 %, resized, saved as JPEG of quality 55 to 95.",
        "One strength of regularisation for all splits; choosing it inside leaky folds would add to the leak.",
        *saturated,
    )


def _excess(one: Inflation) -> float:
    return one.leaky.noise.value - one.sound.noise.value


def _cell(one: Score | Noise) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
