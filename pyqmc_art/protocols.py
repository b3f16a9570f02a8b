"""READ THIS FIRST: the few abstractions everything else is made of.

*Something proposes, something exact judges, everything measured carries an error bar.*

An :class:`Action` defines the target ``exp(-S)``; a :class:`Kernel` leaves it invariant; an
:class:`Observable` is a pure function of a field; a :class:`Study` turns a configuration into
:class:`Findings` that a report draws. A :class:`Proposal` draws fields whose density is known, and one small
kernel makes it exact. A :class:`Detector` judges patches of pictures, a :class:`Synthesizer` makes pictures. A
:class:`Monitor` is told how far a long computation has come.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from pyqmc_art.lattice.geometry import Lattice
    from pyqmc_art.lattice.spaces import Space
    from pyqmc_art.rng import Stream

Field: TypeAlias = NDArray[Any]
"""Shape ``(replica, *lattice.shape, *space.shape)``, C-contiguous; the replica axis is always there."""

Series: TypeAlias = dict[str, NDArray[np.float64]]
"""Observable name -> measurements of shape ``(measurements, replica, ...)``."""


class Action(Protocol):
    """Everything that defines the target ``exp(-S)``: the couplings *and* beta."""

    name: str
    lattice: Lattice
    space: Space

    def __call__(self, field: Field) -> NDArray[np.float64]:
        """S of each replica, shape ``(replica,)``, dimensionless."""
        ...

    def couplings(self) -> dict[str, float]:
        """The parameters by the names the command line uses."""
        ...

    def native(self) -> tuple[str, tuple[float, ...]]:
        """Name and parameters of the compiled model."""
        ...


class Observable(Protocol):
    """A pure function of a field."""

    @property
    def name(self) -> str:
        """Its name in series and files."""
        ...

    def __call__(self, action: Any, field: Field) -> NDArray[np.float64]:
        """One number (or array) for each replica, shape ``(replica, ...)``."""
        ...


@dataclass
class State:
    """What the next step of a kernel needs: the field and, for some kernels, more plain arrays.

    ``step`` counts the steps done since the start of the run and, with the key of the stream, is the
    whole state of the random numbers. ``extra`` holds plain arrays only (a checkpoint is arrays).
    """

    field: Field
    step: int = 0
    extra: dict[str, NDArray[Any]] = dataclasses.field(default_factory=dict)


Info: TypeAlias = dict[str, float]
"""What a person wants to know about the steps just done, for instance ``{"acceptance": 0.31}``."""


class Kernel(Protocol):
    """A Markov kernel that leaves ``exp(-S)`` of its action invariant."""

    action: Any

    @property
    def name(self) -> str:
        """Its name on the command line."""
        ...

    @property
    def rungs(self) -> int:
        """Number of copies in the target: 1, or the rungs of a tempering ladder."""
        ...

    def init(self, field: Field) -> State:
        """Take over a field (copied) as the state before the first step."""
        ...

    def step(self, stream: Stream, state: State) -> tuple[State, Info]:
        """Do one step."""
        ...

    def advance(
        self, stream: Stream, state: State, n: int, every: int = 1, observables: Sequence[Observable] = ()
    ) -> tuple[State, Series, Info]:
        """Do ``n`` steps, measuring after every ``every``-th; the loop may run in compiled code."""
        ...

    def configuration(self) -> dict[str, Any]:
        """The kernel's name and options by the names the command line uses."""
        ...


class Draw(NamedTuple):
    """Fields and what is known about how they were proposed.

    ``log_ratio`` is log q(field, latent) - log r(latent | field), shape ``(n,)``; without a latent variable it is
    log q(field). Then -S(field) - log_ratio is the log weight of the field, and the only number that exactness needs.
    """

    field: Field
    latent: NDArray[Any] | None
    log_ratio: NDArray[np.float64]


class Proposal(Protocol):
    """Draws fields from a density that it knows; it never accepts.

    Field ``k`` of both methods is a function of the stream's key, its step and replica ``stream.replica + k`` alone.
    """

    def draw(self, stream: Stream, n: int) -> Draw:
        """Draw ``n`` independent fields."""
        ...

    def encode(self, stream: Stream, field: Field, boundary: Field | None = None) -> Draw:
        """Say how fields that something else made would have been proposed.

        Without a latent variable the ratio is log q(field); else the latent is redrawn from r(. | field, boundary).
        """
        ...


@dataclass(frozen=True)
class PatchSpec:
    """How a picture becomes the input of a detector; it is saved with the detector.

    Parameters
    ----------
    size : side of a patch in pixels
    levels : ``"auto"`` or cells along each side of every level of the pyramid
    square : ``"center"`` or ``"squash"``: what happens to cells that are not square
    filter : of the resampling
    mean, std : of the three channels on the scale from 0 to 1; a network gets ``(pixel / 255 - mean) / std``
    """

    size: int = 224
    levels: str | tuple[int, ...] = "auto"
    square: str = "center"
    filter: str = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


class Detector(Protocol):
    """Judges patches: is this by the reference hand? A detector carries its preprocessing with it."""

    @property
    def spec(self) -> PatchSpec:
        """How its patches are made."""
        ...

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Log-odds of "by the reference hand" of patches (n, size, size, 3), shape ``(n,)``."""
        ...

    def features(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What it sees in each patch, shape ``(n, d)``: for comparing a work with the training works."""
        ...

    def save_pretrained(self, folder: str | Path, force: bool = False) -> Path:
        """Write a directory of ``config.json`` and ``*.safetensors``."""
        ...


class Synthesizer(Protocol):
    """Makes pictures from noise."""

    def sample(self, stream: Stream, n: int) -> Tensor:
        """Images float32 (n, 3, height, width) in [0, 1]; image k is a function of the stream's key and k alone."""
        ...


class Monitor(Protocol):
    """Hears how far a long computation has come; it never changes what is computed."""

    def start(self, label: str, total: int, done: int = 0) -> None:
        """A task of ``total`` units begins, ``done`` of them already there."""
        ...

    def advance(self, n: int, **facts: float | str) -> None:
        """``n`` more units are done; ``facts`` are shown beside the bar."""
        ...

    def finish(self) -> None:
        """The task is over, complete or not."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A number with its standard error (an ``Estimate`` is one)."""

    @property
    def value(self) -> float:
        """The number."""
        ...

    @property
    def error(self) -> float:
        """Its standard error."""
        ...


Cell: TypeAlias = str | int | float | Measured | None
"""What a table may hold; an Estimate prints as ``0.4406(3)``."""


@dataclass(frozen=True)
class Table:
    """A table of a report: ``rows`` of cells under ``columns``."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Curve:
    """Points, a line or a band of one figure; ``error`` is the symmetric standard error of ``y``.

    ``limits`` are the lower and upper ends of an interval around each ``y``, drawn in place of ``error``. ``style`` is
    ``"points"`` (markers with error bars), ``"line"``, ``"dashed"``, ``"band"`` (``y`` plus and minus ``error`` filled)
    or ``"bars"``. A curve with the same ``group`` as another shares its colour.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    error: Sequence[float] | None = None
    style: str = "points"
    group: str = ""
    limits: tuple[Sequence[float], Sequence[float]] | None = None


@dataclass(frozen=True)
class Panel:
    """One pair of axes; scales are ``"linear"`` or ``"log"``; ``marks`` are labelled vertical reference lines.

    ``categories`` name the positions 0, 1, 2, ... of a linear x axis; points and bars of several curves then stand
    beside each other.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    x_scale: str = "linear"
    y_scale: str = "linear"
    marks: tuple[tuple[float, str], ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """An image of numbers, shape ``(rows, columns)``, or a photograph, uint8 of shape ``(rows, columns, 3)``."""

    title: str
    values: NDArray[Any]


@dataclass(frozen=True)
class Figure:
    """Figure *data*: the report draws it. ``caption`` says what to see."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel | Picture, ...]


@dataclass(frozen=True)
class Findings:
    """What a study found: the question, the answer in words, tables of Estimates and figure data."""

    study: str
    question: str
    answer: str
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    configuration: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class Study(Protocol):
    """A declared question: a frozen configuration that can be run."""

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Answer it; raw data may be kept under ``out``."""
        ...
