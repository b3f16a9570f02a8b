"""Figures: figure data to SVG for a page, and to PNG, SVG or PDF files.

Labels are plain text (write Greek letters and powers as characters: ``β``, ``L²``); ``$`` has no meaning. The same data
gives the same bytes: no date, no random identifiers.
"""

from __future__ import annotations

import errno
import io
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyqmc_art.errors import InputError, StoreError, unknown
from pyqmc_art.protocols import Figure, Panel, Picture
from pyqmc_art.report.palette import DARK, LIGHT, SHAPES, Key, Style, assign, is_photograph, keys, state_keys
from pyqmc_art.report.panels import SMALL, draw_panel, draw_picture, marker_size
from pyqmc_art.report.svg import fit_into_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from matplotlib.figure import SubFigure

THEMES: Final = ("auto", "light", "dark")
FORMATS: Final = ("png", "svg", "pdf")
PANEL_INCHES: Final = (4.2, 2.95)
PICTURE_INCHES: Final = 2.6

_SETTINGS: Final[dict[Any, Any]] = {
    "svg.hashsalt": "pyqmc_art",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.family": ["DejaVu Sans"],
    "text.parse_math": False,
    "text.usetex": False,
    "axes.unicode_minus": True,
    "path.simplify": True,
}

_Part = Panel | Picture
_Styles = Mapping[tuple[str, str, str], Style]


def draw(figure: Figure, *, theme: str = "auto") -> str:
    """Draw a whole figure, with titles and legend, as one SVG element that scales with the width of its place.

    Parameters
    ----------
    figure : the data
    theme : ``"light"``, ``"dark"``, or ``"auto"``: colours are then CSS custom properties ``--qa-ink``, ``--qa-c1``
        and so on that the page may set for each colour scheme, with the light colours as fallback

    Returns
    -------
    str
        ``<svg ...>...</svg>``

    Raises
    ------
    InputError
        For data that cannot be drawn: unequal lengths, an unknown style, scale or theme, a picture that is not 2D.

    Examples
    --------
    >>> from pyqmc_art.protocols import Curve
    >>> panel = Panel("", "L", "τ", (Curve("wolff", [8, 16], [1.1, 1.3], [0.1, 0.1]),), x_scale="log")
    >>> draw(Figure("tau", "Times", "Flat.", (panel,)))[:4]
    '<svg'
    """
    return _render(figure, figure.panels, theme, titles=True)


def draw_part(figure: Figure, index: int, *, theme: str = "auto") -> str:
    """Draw one panel or picture of a figure without title and legend, in the colours it has in the whole figure."""
    return _render(figure, (figure.panels[index],), theme, titles=False, name=f"{figure.name}-{index}")


def legends(figure: Figure) -> tuple[tuple[Key, ...], tuple[tuple[Key, ...], ...]]:
    """Legend common to all panels, and what each panel has of its own (empty where the common one says it all)."""
    styles = assign(figure)
    each = [keys(p, styles) if isinstance(p, Panel) else () for p in figure.panels]
    states = state_keys(tuple(p for p in figure.panels if isinstance(p, Picture)))
    distinct = {frozenset(k) for k in each if k}
    if len(distinct) > 1:
        return states, tuple(each)
    common = next((k for k in each if k), ())
    return (*common, *states), ((),) * len(each)


def draw_file(figure: Figure, path: str | os.PathLike[str], *, dpi: float = 160, theme: str = "light") -> Path:
    """Write a figure to a file whose suffix decides the format: .png, .svg or .pdf.

    Raises
    ------
    InputError
        For another suffix, an unknown theme, or data that cannot be drawn.
    StoreError
        If the file cannot be written; an older file of that name is then untouched.
    """
    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(f"cannot draw to {str(target)!r}: its suffix must be one of .png, .svg, .pdf")
    if kind == "svg":
        content = draw(figure, theme=theme).encode()
    else:
        colours = _colours(theme)
        with _settings(), _canvas(figure, figure.panels, colours, titles=True) as canvas:
            canvas.set_facecolor(colours["paper"])
            stream = io.BytesIO()
            metadata = {"CreationDate": None} if kind == "pdf" else {"Software": None}
            canvas.savefig(stream, format=kind, dpi=dpi, metadata=metadata)
        content = stream.getvalue()
    write_atomically(target, content)
    return target


def write_atomically(target: Path, content: bytes) -> None:
    """Write a file beside its place and move it there, so that nobody ever sees half of it.

    Raises
    ------
    InputError
        If there can be no such file.
    StoreError
        If the disk is full or fails.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as reason:
        message = f"cannot write {str(target)!r}: {reason.strerror}; nothing was overwritten"
        full = reason.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
        raise (StoreError(message) if full else InputError(f"{message}; give another path")) from reason


def _colours(theme: str) -> Mapping[str, str]:
    if theme not in THEMES:
        raise unknown("theme", theme, THEMES)
    return DARK if theme == "dark" else LIGHT


def _render(figure: Figure, parts: Sequence[_Part], theme: str, *, titles: bool, name: str = "") -> str:
    colours = _colours(theme)
    with _settings(), _canvas(figure, parts, colours, titles=titles) as canvas:
        stream = io.StringIO()
        canvas.savefig(stream, format="svg", transparent=True, metadata=dict.fromkeys(_METADATA))
    title = " · ".join(dict.fromkeys(filter(None, (figure.title, parts[0].title if len(parts) == 1 else ""))))
    return fit_into_page(stream.getvalue(), prefix=name or figure.name, title=title, variables=theme == "auto")


@contextmanager
def _settings() -> Iterator[None]:
    """Matplotlib's own defaults with ours on top, whatever the user's configuration says; restored afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcParams.update({k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"})
        matplotlib.rcParams.update(_SETTINGS)
        yield


@contextmanager
def _canvas(figure: Figure, parts: Sequence[_Part], colours: Mapping[str, str], *, titles: bool) -> Iterator[Canvas]:
    """Lay out panels in a grid, each with its own legend below, and the common legend at the foot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    styles = assign(figure)
    pictures = tuple(p for p in figure.panels if isinstance(p, Picture) and not is_photograph(p))
    common, own = legends(figure) if titles else ((), ((),) * len(parts))
    only_pictures = bool(parts) and all(isinstance(p, Picture) for p in parts)
    columns = max(1, min(len(parts), 4 if only_pictures else 2))
    rows = max(1, math.ceil(len(parts) / columns))
    width, height = (PICTURE_INCHES, PICTURE_INCHES) if only_pictures else PANEL_INCHES
    if only_pictures:
        height *= max(_proportion(p) for p in parts)
    foot = 0.24 * _legend_rows(common, columns * width)
    tallest = 0.22 * max((_legend_rows(k, width) for k in own), default=0)
    head = 0.25 if titles and only_pictures else 0.0
    pad = 0.0 if only_pictures and not titles else 0.03
    layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad)
    canvas = Canvas(figsize=(columns * width, rows * (height + tallest + head) + foot), layout=layout)
    FigureCanvasAgg(canvas)
    cells = canvas.subfigures(rows, columns, squeeze=False).ravel() if parts else ()
    for cell, part, legend in zip(cells, parts, own, strict=False):
        cell.set_facecolor("none")
        axes = cell.subplots()
        if isinstance(part, Picture):
            draw_picture(axes, part, pictures, colours)
            if titles:
                axes.set_title(part.title, fontsize=9, color=colours["ink"])
        else:
            draw_panel(axes, part if titles else replace(part, title=""), styles, colours)
        _add_legend(cell, legend, width, colours)
    _add_legend(canvas, common, columns * width, colours)
    yield canvas


def _proportion(picture: _Part) -> float:
    """Height of a picture over its width, within reason."""
    shape = picture.values.shape if isinstance(picture, Picture) else ()
    return min(max(shape[0] / shape[1], 0.1), 10.0) if len(shape) >= 2 and min(shape) else 1.0


def _entry_inches(legend: Sequence[Key]) -> float:
    return 0.45 + 0.078 * max((len(k.label) for k in legend), default=0)


def _legend_rows(legend: Sequence[Key], width: float) -> int:
    columns = max(1, int(width / _entry_inches(legend)))
    return math.ceil(len(legend) / columns)


def _add_legend(place: Canvas | SubFigure, legend: Sequence[Key], width: float, colours: Mapping[str, str]) -> None:
    if not legend:
        return
    handles = [_handle(key, colours) for key in legend]
    columns = max(1, min(len(legend), int(width / _entry_inches(legend))))
    place.legend(
        handles, [k.label for k in legend], loc="outside lower center", ncols=columns, frameon=False,
        fontsize=SMALL, labelcolor=colours["ink"], handlelength=2.0, columnspacing=1.6, borderpad=0.2,
    )  # fmt: skip


def _handle(key: Key, colours: Mapping[str, str]) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.markers import MarkerStyle
    from matplotlib.patches import Patch
    from matplotlib.path import Path as Outline

    colour = colours.get(key.style.colour, key.style.colour)
    if key.kind in ("bars", "state"):
        return Patch(facecolor=colour, edgecolor=colours["frame"], linewidth=0.6)
    if key.kind == "band":
        return Patch(facecolor=colour, alpha=0.3)
    if key.kind == "points":
        face = colours["paper"] if key.style.hollow else colour
        shape = SHAPES[key.style.shape]
        marker = MarkerStyle(Outline((*shape, shape[0]), closed=True))
        return Line2D([], [], linestyle="none", marker=marker, markersize=marker_size(key.style),
                      markerfacecolor=face, markeredgecolor=colour)  # fmt: skip
    return Line2D([], [], color=colour, linewidth=1.6, linestyle=(0, (4.5, 2.5)) if key.kind == "dashed" else "-")


_METADATA: Final = ("Date", "Creator", "Format", "Type")
