"""What the study of unseen makers says: its answer, tables and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pyqmc_art.protocols import Cell, Curve, Figure, Panel, Table
from pyqmc_art.stats.ranking import Score
from pyqmc_art.studies.gallery import hand_name
from pyqmc_art.studies.grids import Grid, judge_name

NOBODY: Final = "originals and proxies alone"
MACHINES: Final = "all generators"
FORGERS: Final = "all forgers"


@dataclass(frozen=True)
class Maker:
    """A generator or a forger.

    Attributes
    ----------
    stratum : as splits call it, ``role|maker``
    role : of the works
    name : empty when nobody knows
    count : works
    """

    stratum: str
    role: str
    name: str
    count: int

    @property
    def label(self) -> str:
        """What outcomes call it: ``role / maker``, or the role alone."""
        return f"{self.role} / {self.name}" if self.name else self.role

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.name or ("unknown forgers" if self.role == "forgery" else self.role)


def alone(maker: Maker) -> str:
    """Name of the regime that trains on one maker."""
    return f"only {maker.title}"


def without(maker: Maker) -> str:
    """Name of the regime that leaves one maker out."""
    return f"all but {maker.title}"


@dataclass(frozen=True)
class Matrix:
    """The grid, and who was tested."""

    grid: Grid
    makers: tuple[Maker, ...]

    @property
    def generators(self) -> tuple[Maker, ...]:
        """Makers that are machines."""
        return tuple(one for one in self.makers if one.role != "forgery")

    @property
    def forgers(self) -> tuple[Maker, ...]:
        """Makers that are human."""
        return tuple(one for one in self.makers if one.role == "forgery")

    def left_out(self, group: tuple[Maker, ...]) -> tuple[Maker, ...]:
        """Makers of a group that were left out of training in turn."""
        return tuple(one for one in group if without(one) in self.grid.names)


def answer(matrix: Matrix) -> str:
    """Two to four sentences."""
    grid = matrix.grid
    whose = "Simulated pictures" if grid.gallery.simulated else f"Pictures of {hand_name(grid.gallery.hand)}"
    sentences: list[str] = []
    for group, everybody, noun in (
        (matrix.generators, MACHINES, "generator"),
        (matrix.forgers, FORGERS, "forger"),
    ):
        left = matrix.left_out(group)
        if not left:
            continue
        parts = []
        for judge in grid.detectors:
            seen = [grid.area(judge, everybody, one.label).value for one in left]
            unseen = [grid.area(judge, without(one), one.label) for one in left]
            worst = min(range(len(left)), key=lambda k: unseen[k].value)
            parts.append(
                f"{judge_name(judge)} {min(seen):.3f} to {max(seen):.3f} seen, and unseen at worst "
                f"{_cell(unseen[worst])} ({left[worst].title}, n = {left[worst].count})"
            )
        what = f"AUC of originals against each {noun}"
        sentences.append(f"{what if sentences else f'{whose}: {what}'}: {'; '.join(parts)}.")
    claims = [grid.claim("", judge, without(one), one.label).status for judge in grid.detectors
              for one in matrix.left_out(matrix.generators)]  # fmt: skip
    if claims:
        counts = ", ".join(f"{claims.count(word)} {word}" for word in dict.fromkeys(claims))
        sentences.append(f"That a detector knows an unseen generator by more than the baselines see: {counts}.")
    if not sentences:
        sentences.append(f"{whose}: there are too few makers to leave one out; the matrix says what there is to say.")
    few = [one for one in matrix.makers if one.count < 20]
    if few and not grid.gallery.simulated:
        sentences.append("Makers of fewer than 20 works decide little: mind the intervals.")
    return " ".join(sentences)


def tables(matrix: Matrix) -> tuple[Table, ...]:
    """The matrix by AUC and by recall, and what leaving a maker out costs."""
    found = [leave_out(matrix, matrix.generators, MACHINES, "generators")]
    found.append(leave_out(matrix, matrix.forgers, FORGERS, "forgers"))
    found += [tabulate(matrix, "areas"), tabulate(matrix, "recalls")]
    return tuple(one for one in found if one.rows)


def figures(matrix: Matrix) -> tuple[Figure, ...]:
    """Seen and unseen, side by side."""
    groups = ((matrix.generators, MACHINES, "generators"), (matrix.forgers, FORGERS, "forgers"))
    return tuple(draw(matrix, *group) for group in groups if matrix.left_out(group[0]))


def leave_out(matrix: Matrix, group: tuple[Maker, ...], everybody: str, plural: str) -> Table:
    """AUC against each maker, in training and left out of it."""
    grid = matrix.grid
    rows: list[tuple[Cell, ...]] = []
    for judge in (*grid.detectors, *grid.baselines):
        for one in matrix.left_out(group):
            key = one.label
            change = grid.gain(judge, everybody, without(one), key)
            status = grid.claim("", judge, without(one), key).status if judge in grid.detectors else None
            rows.append(
                (
                    judge_name(judge), one.title, one.count, _cell(grid.area(judge, everybody, key)),
                    _cell(grid.area(judge, without(one), key)),
                    f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]",
                    str(grid.recall(judge, everybody, key)), str(grid.recall(judge, without(one), key)), status,
                )
            )  # fmt: skip
    columns = ("judge", "maker", "n", "AUC, seen", "AUC, unseen", "change", "caught, seen", "caught, unseen",
               "more than the baselines")  # fmt: skip
    caption = (
        f"{_what(matrix)}Originals against the works of one maker: with others of them in training, and with none, "
        f"all other {plural} in training both times. 95 % intervals over works; last column: whether the detector "
        "beats every baseline on the unseen maker."
    )
    return Table(f"left-out-{plural}", f"{plural.capitalize()} left out of training", columns, tuple(rows), caption)


def tabulate(matrix: Matrix, what: str) -> Table:
    """Training set by tested maker; a star marks makers that were in training."""
    grid = matrix.grid
    rows: list[tuple[Cell, ...]] = []
    for judge in (*grid.detectors, *grid.baselines):
        for regime in grid.regimes:
            cells = []
            for one in matrix.makers:
                seen = one.role in regime.roles and one.stratum not in regime.without
                key = one.label
                found = _cell(grid.area(judge, regime.name, key)) if what == "areas" else str(
                    grid.recall(judge, regime.name, key))  # fmt: skip
                cells.append(f"{found}{' *' if seen else ''}")
            rows.append((judge_name(judge), regime.name, *cells))
    columns = ("judge", "trained on", *(f"{one.title} (n = {one.count})" for one in matrix.makers))
    title = "AUC against each maker" if what == "areas" else "Works of each maker caught"
    caption = (
        f"{_what(matrix)}Rows: who was in training beside originals and proxies; columns: whose works are judged. "
        "A star: others of this maker's works were in training; without one the maker was unseen. 95 % intervals over "
        "works" + (" (logit-DeLong)." if what == "areas" else " (Wilson), at thresholds chosen on training works.")
    )
    return Table(f"matrix-{what}", title, columns, tuple(rows), caption)


def draw(matrix: Matrix, group: tuple[Maker, ...], everybody: str, plural: str) -> Figure:
    """Bars of AUC: seen, left out, with originals and proxies alone, and of the metadata baseline."""
    grid = matrix.grid
    left = matrix.left_out(group)
    panels = []
    for judge in grid.detectors:
        parts = (
            ("in training", judge, [everybody] * len(left), "bars"),
            ("left out, others in training", judge, [without(one) for one in left], "bars"),
            ("originals and proxies alone", judge, [NOBODY] * len(left), "bars"),
            ("equalised metadata, left out", "metadata", [without(one) for one in left], "bars"),
        )
        curves = tuple(
            _curve(label, [grid.area(name, regime, one.label) for regime, one in zip(regimes, left, strict=True)],
                   style)
            for label, name, regimes, style in parts
        )  # fmt: skip
        # No-break spaces: below a narrow panel the number goes to a line of its own, whole.
        titles = tuple(f"{one.title}, n\u00a0=\u00a0{one.count}" for one in left)
        panels.append(Panel(judge_name(judge), "tested", "AUC, originals v maker", curves, categories=titles))
    caption = (
        f"{_what(matrix)}0.5 is chance. 95 % intervals over works. What a maker loses by being left out is what the "
        "detector knows of that maker alone."
    )
    return Figure(plural, f"{plural.capitalize()}, seen and unseen", caption, tuple(panels))


def _curve(label: str, areas: list[Score], style: str) -> Curve:
    limits = ([one.low for one in areas], [one.high for one in areas])
    return Curve(label, [float(k) for k in range(len(areas))], [one.value for one in areas], style=style, limits=limits)


def _cell(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def _what(matrix: Matrix) -> str:
    return "Simulated pictures. " if matrix.grid.gallery.simulated else ""
