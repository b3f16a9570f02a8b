"""What the arms race says: who catches whom, with intervals, and what the pictures became."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.synthesis.snapshots import lay_out
from pyqmc_art.protocols import Cell, Curve, Figure, Panel, Picture, Table
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.stats.proportions import Rate

QUESTION: Final = (
    "Does a detector recognise the next generator, which was tuned against it, and does learning from it help?"
)
SHOWN: Final = 24


@dataclass(frozen=True, eq=False)
class Generation:
    """Pictures of one generator.

    Attributes
    ----------
    number : of the generation
    images : that are judged; nobody learned from them
    distance : Frechet distance from held-out originals
    kimg : thousands of images shown in all trainings
    """

    number: int
    images: NDArray[np.uint8]
    distance: Estimate
    kimg: float


@dataclass(frozen=True, eq=False)
class Judge:
    """One detector.

    Attributes
    ----------
    number : it learned from generators 0 to this one
    catch : which share of pictures it takes for made
    alarms : the share of held-out originals
    """

    number: int
    catch: Callable[[NDArray[np.uint8]], Rate]
    alarms: Rate


@dataclass(frozen=True, eq=False)
class Race:
    """All generations and all detectors.

    Attributes
    ----------
    generations : 0, 1, ...
    controls : 1, 2, ...: tuned for as long from the same generator, with no detector against them
    judges : 0, 1, ...
    vision : what the distances were seen by
    alarm : share of originals by which thresholds were chosen
    learned, tuning : works that were learned from, and that set the thresholds
    simulated : whether the originals are
    """

    generations: tuple[Generation, ...]
    controls: tuple[Generation, ...]
    judges: tuple[Judge, ...]
    vision: str
    alarm: float
    learned: int
    tuning: int
    simulated: bool

    @cached_property
    def rates(self) -> tuple[tuple[Rate, ...], ...]:
        """Share of each generation (second index) that each detector (first index) takes for made."""
        return tuple(tuple(judge.catch(one.images) for one in self.generations) for judge in self.judges)

    @cached_property
    def spared(self) -> tuple[Rate, ...]:
        """What each detector catches of the next generation if that was not tuned against it."""
        return tuple(judge.catch(one.images) for judge, one in zip(self.judges, self.controls, strict=True))

    @property
    def evaded(self) -> tuple[int, ...]:
        """Detectors that catch less of the next generation than of its control, the intervals apart."""
        return tuple(
            k for k, (row, control) in enumerate(zip(self.rates, self.spared, strict=True))
            if row[k + 1].high < control.low
        )  # fmt: skip

    @property
    def caught_up(self) -> tuple[int, ...]:
        """Detectors that catch more of their newest generation than the detector before them, the intervals apart."""
        return tuple(k for k in range(1, len(self.judges)) if self.rates[k][k].low > self.rates[k - 1][k].high)

    @property
    def what(self) -> str:
        """Beginning of every caption."""
        return "The originals are simulated. " if self.simulated else ""


def answer(race: Race) -> str:
    """Who evades, and who catches up."""
    rounds = range(len(race.judges))
    own = "; ".join(str(race.rates[k][k]) for k in rounds)
    following = "; ".join(str(race.rates[k][k + 1]) for k in rounds)
    spared = "; ".join(map(str, race.spared))
    later = ", ".join(f"{race.rates[k][k]} after {race.rates[k - 1][k]}" for k in rounds if k)
    caught = (
        f" Detectors that learned from it, too, catch more of it in {len(race.caught_up)} of {len(race.judges) - 1} "
        f"cases: {later}."
        if later
        else ""
    )
    return (
        f"Of the newest generator they know, detectors catch {own}; of the next one, tuned against them, {following}; "
        f"of one that was tuned for as long without them, {spared}. The generator evades its detector in "
        f"{len(race.evaded)} of {len(race.judges)} rounds, intervals apart.{caught} FD ({race.vision}) from held-out "
        f"originals goes from {race.generations[0].distance} to {race.generations[-1].distance}; it reaches "
        f"{race.controls[-1].distance} if the last generator is not tuned against its detector."
    )


def tables(race: Race) -> tuple[Table, ...]:
    """Who catches whom, and what became of the pictures."""
    return (tabulate_race(race), tabulate_pictures(race))


def figures(race: Race) -> tuple[Figure, ...]:
    """Rates against the generation, and the pictures."""
    return (draw_rates(race), draw_pictures(race))


def notes(race: Race) -> tuple[str, ...]:
    """What a reader must know."""
    return (
        *(("The originals are simulated.",) if race.simulated else ()),
        f"{race.learned} works were learned from; {race.tuning} others set each detector's threshold, at which "
        f"{race.alarm:.0%} of them would be called made, and others yet are judged.",
        "Judged pictures have seeds that no detector learned from. Intervals are Wilson's, 95 %, over pictures of one "
        "trained generator; another training would give other generators.",
    )


def tabulate_race(race: Race) -> Table:
    """Detection rate of each generation by each detector."""
    rows: list[tuple[Cell, ...]] = []
    for judge, row, control in zip(race.judges, race.rates, race.spared, strict=True):
        known = f"detector {judge.number} (knows 0 to {judge.number})"
        rows.append((known, str(judge.alarms), *(str(rate) for rate in row), str(control)))
    columns = ("detector", "false alarms", *(f"generator {one.number}" for one in race.generations), "next, not tuned "
               "against it")  # fmt: skip
    caption = (
        f"{race.what}Pictures taken for made, 95 % Wilson intervals. Generator k + 1 was tuned against detector k. "
        "The last column is the control: the next generator, tuned for as long from the same one without the detector."
    )
    return Table("race", "Who catches whom", columns, tuple(rows), caption)


def tabulate_pictures(race: Race) -> Table:
    """Distance of each generation from held-out originals, and its control's."""
    controls = {one.number: one for one in race.controls}
    rows = tuple(
        (f"generator {one.number}", f"{one.kimg:g}", one.distance, controls[one.number].distance
         if one.number in controls else None)
        for one in race.generations
    )  # fmt: skip
    caption = (
        f"{race.what}Fréchet distance ({race.vision}) from held-out originals, standard errors from random halves; "
        "smaller is better. A generator may evade a detector by pictures that are no better."
    )
    columns = ("generator", "kimg", "FD", "FD, not tuned against a detector")
    return Table("pictures", "What became of the pictures", columns, rows, caption)


def draw_rates(race: Race) -> Figure:
    """Detection rate of each detector over the generations."""
    curves = []
    for judge, row in zip(race.judges, race.rates, strict=True):
        limits = [rate.low for rate in row], [rate.high for rate in row]
        places = [float(one.number) for one in race.generations]
        curves.append(Curve(f"detector {judge.number}", places, [rate.value for rate in row], limits=limits))
    categories = tuple(f"{one.number}" for one in race.generations)
    caption = (
        f"{race.what}Share of fresh pictures taken for made, 95 % Wilson intervals. Detector k learned from generators "
        "0 to k; generator k + 1 was tuned against it. See whether each curve drops behind its own generator."
    )
    panel = Panel("", "generator", "taken for made", tuple(curves), categories=categories)
    return Figure("race", "Who catches whom", caption, (panel,))


def draw_pictures(race: Race) -> Figure:
    """The same seeds of each generation."""
    parts = tuple(Picture(f"generator {one.number}", lay_out(one.images[:SHOWN])) for one in race.generations)
    return Figure("generations", "Pictures of each generation", f"{race.what}Each place has one seed.", parts)
