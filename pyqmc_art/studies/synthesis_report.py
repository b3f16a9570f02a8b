"""What the study of synthesizers says: curves over images shown, sheets, nearest training pictures, the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.autoencoder.learner import BOUND
from pyqmc_art.art.metrics.memory import Memory, recall_training
from pyqmc_art.art.metrics.vision import Vision
from pyqmc_art.art.synthesis.curves import Series
from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.art.synthesis.snapshots import lay_out
from pyqmc_art.protocols import Cell, Curve, Figure, Panel, Picture, Table
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.pupils import Pupil

QUESTION: Final = "What do synthesizers learn of a hand, at what cost in images shown, and when do they begin to copy?"
NUMBERS: Final = ("FD", "KID", "precision", "recall", "density", "coverage")
SURE: Final = 3.0
"""Standard errors by which a distance must fall to be called smaller."""
SUSPECTS: Final = 8
HEALTHY, CRAMMED = "many pictures", "few pictures, for long"


@dataclass(frozen=True)
class Course:
    """One kind of synthesizer: trained on many pictures, and on few for too long."""

    healthy: Pupil
    crammed: Pupil

    @property
    def kind(self) -> str:
        """Name of the kind."""
        return self.healthy.lesson.kind

    @property
    def pupils(self) -> tuple[tuple[str, Pupil], ...]:
        """Both, with what they are called."""
        return ((HEALTHY, self.healthy), (CRAMMED, self.crammed))

    @property
    def alarms(self) -> tuple[float, ...]:
        """Thousands of images at the snapshots of the crammed one that raised the flag of copying."""
        return tuple(kimg for kimg, _, flagged in self.crammed.memories if flagged)


@dataclass(frozen=True)
class Story:
    """All that was trained and measured.

    Attributes
    ----------
    courses : one for each kind
    training, few, held_out : pictures of both trainings, and those that nobody learned from
    vision, likeness : what looked, and what looked for copies
    simulated : whether the pictures are
    made : pictures of every measurement
    """

    courses: tuple[Course, ...]
    training: Pool
    few: Pool
    held_out: Pool
    vision: Vision
    likeness: Vision
    simulated: bool
    made: int

    def pool(self, name: str) -> Pool:
        """What a pupil of this name learned from."""
        return self.training if name == HEALTHY else self.few

    @property
    def what(self) -> str:
        """Beginning of every caption."""
        return "Simulated pictures. " if self.simulated else ""


def answer(story: Story) -> str:
    """Two sentences for each kind."""
    return " ".join(_tell(story, course) for course in story.courses)


def tables(story: Story) -> tuple[Table, ...]:
    """Numbers at the snapshots, copying, cost."""
    return (tabulate_numbers(story), tabulate_copying(story), tabulate_cost(story))


def figures(story: Story) -> tuple[Figure, ...]:
    """Curves of all kinds, then sheets and nearest pictures of each."""
    found = [draw_curves(story, name) for name in (HEALTHY, CRAMMED)]
    bounds = [course for course in story.courses if BOUND[-1] in course.healthy.curves]
    found += [draw_bound(story, course) for course in bounds]
    for course in story.courses:
        found += [draw_sheets(story, course, name, pupil) for name, pupil in course.pupils]
        found.append(draw_neighbours(story, course))
    return tuple(found)


def notes(story: Story) -> tuple[str, ...]:
    """What a reader must know of the numbers."""
    return (
        *(("All pictures are simulated.",) if story.simulated else ()),
        f"{story.vision.name} looked; numbers of other eyes, published FID among them, are not comparable.",
        f"Copies were looked for by {story.likeness.name}.",
        f"Compared with {len(story.held_out.names)} held-out pictures, which no synthesizer learned from; they are "
        "the reference of copying, too.",
        "A kind tried with one size, one width and one seed says little of the kind.",
    )


def tabulate_numbers(story: Story) -> Table:
    """Every number at every snapshot."""
    rows: list[tuple[Cell, ...]] = []
    for course in story.courses:
        for name, pupil in course.pupils:
            curves = {title.split(" (")[0]: series for title, series in pupil.curves.items()}
            for k, kimg in enumerate(curves[NUMBERS[0]].kimg):
                values = (_cell(curves[one], k) for one in NUMBERS)
                rows.append((course.kind, name, f"{kimg:g}", *values))
    caption = (
        f"{story.what}{story.made} made pictures against {len(story.held_out.names)} held-out ones, seen by "
        f"{story.vision.name}; standard errors from random halves. Never one of precision and recall alone."
    )
    return Table("numbers", "Distance from pictures never seen", ("synthesizer", "learned from", "kimg", *NUMBERS),
                 tuple(rows), caption)  # fmt: skip


def tabulate_copying(story: Story) -> Table:
    """What every snapshot says of copying."""
    rows: list[tuple[Cell, ...]] = []
    for course in story.courses:
        for name, pupil in course.pupils:
            for kimg, text, flagged in pupil.memories:
                shown = 1000 * kimg / len(story.pool(name))
                rows.append((course.kind, f"{name}: {len(story.pool(name).names)}", f"{kimg:g}", _times(shown),
                             "raised" if flagged else "silent", text.partition(": ")[2]))  # fmt: skip
    columns = ("synthesizer", "learned from", "kimg", "times each was shown", "flag", "what was found")
    caption = (
        f"{story.what}Ratio of the distances to the nearest and second nearest training work, against that of "
        "held-out pictures. Each training work speaks once; the flag is raised below p = 0.001."
    )
    return Table("copying", "Copies of training pictures", columns, tuple(rows), caption)


def tabulate_cost(story: Story) -> Table:
    """Images shown in all, and what was bought with them."""
    rows: list[tuple[Cell, ...]] = []
    for course in story.courses:
        for name, pupil in course.pupils:
            pool, series = story.pool(name), _distance(pupil)
            rows.append((course.kind, f"{name}: {len(pool.names)}", pupil.images, _times(pupil.images / len(pool)),
                         _cell(series, 0), _cell(series, -1)))  # fmt: skip
    columns = ("synthesizer", "learned from", "images shown", "times each", "FD at first", "FD at last")
    caption = f"{story.what}Cost in images shown, whatever the machine; FD ({story.vision.name}) with standard errors."
    return Table("cost", "What it cost", columns, tuple(rows), caption)


def draw_curves(story: Story, name: str) -> Figure:
    """Each number over images shown, one curve for each kind; those of quality beside those of variety."""
    pupils = [(course.kind, dict(course.pupils)[name]) for course in story.courses]
    panels = []
    for title in NUMBERS:
        found = [(kind, _series(pupil, title)) for kind, pupil in pupils]
        curves = tuple(Curve(kind, one.kimg, one.values, one.errors, "line") for kind, one in found)
        panels.append(Panel(title, "images shown (thousands)", title, curves))
    caption = (
        f"{story.what}Against held-out pictures, seen by {story.vision.name}, with standard errors. Distances should "
        "fall. Few pictures known by heart may look as good as many that were learned from: see the flag of copying."
    )
    number = "healthy" if name == HEALTHY else "crammed"
    return Figure(f"curves-{number}", f"Numbers over images shown, {name}", caption, tuple(panels))


def draw_bound(story: Story, course: Course) -> Figure:
    """The evidence lower bound of an autoencoder and its two terms over images shown, one panel for each."""
    panels = tuple(
        Panel(title, "images shown (thousands)", title, tuple(
            Curve(name, series.kimg, series.values, series.errors, "line")
            for name, pupil in course.pupils
            for series in [pupil.curves[title]]
        ))
        for title in BOUND
    )  # fmt: skip
    caption = (
        f"{story.what}On the pictures learned from, nats per image, with standard errors over works. The bound is "
        "minus the sum of the other two and should rise; the divergence is what the latent numbers say of a picture."
    )
    return Figure(f"bound-{course.kind}", f"{course.kind}: the evidence lower bound", caption, panels)


def draw_sheets(story: Story, course: Course, name: str, pupil: Pupil) -> Figure:
    """The same seeds at each snapshot, and pictures learned from."""
    sheets = tuple(Picture(f"{kimg:g} kimg", pixels) for kimg, pixels in _thin(pupil.sheets))
    real = story.pool(name).images
    chosen = np.arange(32) * len(real) // 32 if len(real) >= 32 else np.arange(len(real))
    known = Picture("learned from", lay_out(real[chosen]))
    slug = f"sheets-{course.kind}-{'healthy' if name == HEALTHY else 'crammed'}"
    caption = f"{story.what}Each place has one seed, the same in every sheet."
    return Figure(slug, f"{course.kind}, {name}", caption, (*sheets, known))


def draw_neighbours(story: Story, course: Course) -> Figure:
    """The made pictures most like copies, above the training pictures they are nearest to."""
    parts = []
    for name, pupil in course.pupils:
        made, memory = recall_pictures(story, name, pupil)
        suspects = memory.list_suspects(SUSPECTS)
        pairs = [made[k] for k, _ in suspects], [story.pool(name).images[near] for _, near in suspects]
        state = "copies" if memory.flagged else "no sign of copying"
        parts.append(Picture(f"{name}: {state}", lay_out(np.concatenate([np.stack(row) for row in pairs]), SUSPECTS)))
    caption = (
        f"{story.what}Above: of {story.made} made pictures the eight that are nearest to one training picture in "
        "comparison with any other. Below: those training pictures."
    )
    return Figure(f"neighbours-{course.kind}", f"{course.kind}: nearest training pictures", caption, tuple(parts))


def recall_pictures(story: Story, name: str, pupil: Pupil) -> tuple[NDArray[np.uint8], Memory]:
    """Make pictures and find their nearest training pictures."""
    pool, vision = story.pool(name), story.likeness
    made = pupil.draw(0, story.made)
    held_out = vision.features(story.held_out.images)
    return made, recall_training(vision.features(made), vision.features(pool.images), held_out, pool.owners)


def _tell(story: Story, course: Course) -> str:
    series = _distance(course.healthy)
    first, last = (Estimate(series.values[k], series.errors[k]) for k in (0, -1))
    sure = first.value - last.value > SURE * float(np.hypot(first.error, last.error))
    verb = "falls" if sure else "is not certain to fall"
    raised = sum(flagged for _, _, flagged in course.healthy.memories)
    healthy = f"raises the flag of copying {raised} times" if raised else "never raises the flag of copying"
    shown = f"{len(story.few.names)} pictures"
    onset = (
        f"is first found copying at {alarms[0]:g} kimg, each shown {_times(1000 * alarms[0] / len(story.few))} times "
        f"(flag raised at {len(alarms)} of {len(course.crammed.memories)} snapshots)"
        if (alarms := course.alarms)
        else f"was not found copying within {course.crammed.images / 1000:g} kimg"
    )
    begin, end = series.kimg[0], series.kimg[-1]
    return (
        f"{course.kind}: FD ({story.vision.name}) from held-out pictures {verb}, {first} at {begin:g} kimg and "
        f"{last} at {end:g} kimg, and the synthesizer {healthy}. Trained on {shown}, it {onset}."
    )


def _distance(pupil: Pupil) -> Series:
    return _series(pupil, "FD")


def _series(pupil: Pupil, name: str) -> Series:
    return next(series for title, series in pupil.curves.items() if title.split(" (")[0] == name)


def _cell(series: Series, k: int) -> Estimate:
    return Estimate(series.values[k], series.errors[k])


def _times(count: float) -> str:
    return f"{count:.0f}" if count >= 10 else f"{count:.1f}"


def _thin(sheets: tuple[tuple[float, NDArray[np.uint8]], ...]) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """At most three: the first, one in the middle, the last."""
    for k in sorted({0, (len(sheets) - 1) // 2, len(sheets) - 1}):
        yield sheets[k]
