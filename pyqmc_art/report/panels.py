"""Draw one panel or picture on matplotlib axes: curves, limits, ticks and reference lines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Curve, Panel, Picture
from pyqmc_art.report.palette import SHAPES, Style, identity, is_photograph, paint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: Final = ("points", "line", "dashed", "band", "bars")
SCALES: Final = ("linear", "log")
SMALL: Final = 8.5
"""Size of tick labels in points; axis labels are one point larger."""

_Float = NDArray[np.float64]


def draw_picture(axes: Axes, picture: Picture, together: tuple[Picture, ...], colours: Mapping[str, str]) -> None:
    """Draw an image of numbers cell by cell, without interpolation and without axes; a photograph in its colours."""
    values = np.asarray(picture.values)
    if values.ndim != 2 and not is_photograph(picture):
        raise InputError(
            f"picture {picture.title!r} has {values.dtype} values of shape {values.shape}; "
            "expected (rows, columns), or uint8 (rows, columns, 3)"
        )
    axes.set_axis_off()
    if not values.size:
        _say(axes, "no data", colours)
        return
    if is_photograph(picture):
        axes.imshow(values, interpolation="antialiased", aspect="equal")
        return
    axes.imshow(paint(picture, together), interpolation="none", aspect="equal")


def draw_panel(
    axes: Axes, panel: Panel, styles: Mapping[tuple[str, str, str], Style], colours: Mapping[str, str]
) -> None:
    """Draw the curves of a panel with explicit limits and ticks."""
    for scale in (panel.x_scale, panel.y_scale):
        if scale not in SCALES:
            raise unknown("scale", scale, SCALES)
    if panel.categories and panel.x_scale != "linear":
        raise InputError(f"panel {panel.title!r} has categories on a {panel.x_scale} scale; expected a linear one")
    data = [_Data(curve, panel) for curve in panel.curves]
    _dress(axes, panel, colours)
    bars = [d for d in data if d.curve.style == "bars"]
    width = 0.8 / max(1, len(bars)) if panel.categories else _bar_width(bars, panel.x_scale)
    if panel.categories:
        _set_apart([d for d in data if d.curve.style == "points"])
    marks = [x for x, _ in panel.marks if _drawable(x, panel.x_scale)]
    x_values = np.concatenate([*(d.x for d in data), marks, *(e for d in bars for e in _bar_edges(d, bars, width))])
    y_values = np.concatenate([d.extent() for d in data] or [np.zeros(0)])
    axes.set_xscale(panel.x_scale)
    axes.set_yscale(panel.y_scale)
    count = len(panel.categories)
    axes.set_xlim((-0.5, count - 0.5) if count else _limits(x_values, panel.x_scale, 0.05))
    axes.set_ylim(_limits(y_values, panel.y_scale, 0.06))
    for d in data:
        style = styles[identity(d.curve)]
        if d.curve.style == "bars":
            _draw_bars(axes, d, _bar_edges(d, bars, width), colours[style.colour], colours["ink"])
        else:
            _draw_curve(axes, d, style, colours)
    _tick(axes, panel, [d.x for d in data if d.curve.style in ("points", "bars")], labelled=bool(bars))
    if panel.categories:
        _name_categories(axes, panel.categories)
    levels = _draw_marks(axes, panel, colours)
    if panel.title:
        lines = textwrap.fill(panel.title, 46)
        axes.set_title(lines, loc="left", fontsize=10, fontweight="bold", pad=6 + 10 * levels, color=colours["ink"])
    hidden = sum(d.hidden for d in data)
    if not any(d.x.size for d in data):
        _say(axes, "no data", colours)
    elif hidden:
        what = "1 point is" if hidden == 1 else f"{hidden} points are"
        axes.text(1.0, 1.01, f"{what} not positive: not shown on a log scale", transform=axes.transAxes,
                  ha="right", va="bottom", fontsize=SMALL - 1, color=colours["muted"])  # fmt: skip


class _Data:
    """The drawable points of a curve: finite, and positive where the scale is logarithmic."""

    def __init__(self, curve: Curve, panel: Panel) -> None:
        if curve.style not in STYLES:
            raise unknown("curve style", curve.style, STYLES)
        x, y = _numbers(curve.x), _numbers(curve.y)
        error = np.full(len(y), np.nan) if curve.error is None else _numbers(curve.error)
        low, high = (y, y) if curve.limits is None else map(_numbers, curve.limits)
        if not len(x) == len(y) == len(error) == len(low) == len(high):
            raise InputError(
                f"curve {curve.label!r} has {len(x)} x, {len(y)} y, {len(error)} errors and {len(low)} and {len(high)} "
                "limits; expected equally many"
            )
        finite = np.isfinite(x) & np.isfinite(y)
        shown = finite.copy()
        if panel.x_scale == "log":
            shown &= x > 0
        if panel.y_scale == "log":
            shown &= y > 0
        self.curve = curve
        self.log = panel.y_scale == "log"
        self.log_x = panel.x_scale == "log"
        self.hidden = int(np.count_nonzero(finite & ~shown))
        self.x, self.y = x[shown], y[shown]
        error = np.where(np.isfinite(error[shown]), np.abs(error[shown]), 0.0)
        if curve.limits is None:
            self.low, self.high = self.y - error, self.y + error
        else:
            self.low, self.high = np.fmin(low[shown], self.y), np.fmax(high[shown], self.y)
        # A line is broken where a value is missing; points simply lack.
        self.line = np.where(shown, x, np.nan), np.where(shown, y, np.nan)

    def lower(self) -> _Float:
        """Lower ends of the error bars; on a log scale a bar that reaches zero runs down to the axis."""
        return np.where(self.low > 0, self.low, self.y * 1e-9) if self.log else self.low

    def ends(self) -> tuple[_Float, _Float]:
        """Lengths of the error bars below and above."""
        return self.y - self.lower(), self.high - self.y

    @property
    def uncertain(self) -> bool:
        """Whether there is any error bar to draw."""
        return bool(np.any(self.high > self.low))

    def extent(self) -> _Float:
        """All heights the limits must include."""
        low = np.where(self.low > 0, self.low, self.y / 3) if self.log else self.low
        floor = np.zeros(int(self.curve.style == "bars" and not self.log and self.y.size > 0))
        return np.concatenate([low, self.high, floor])


def _numbers(values: Sequence[float]) -> _Float:
    return np.array([math.nan if v is None else float(v) for v in values], float)


def _drawable(value: float, scale: str) -> bool:
    return math.isfinite(value) and (scale == "linear" or value > 0)


def _dress(axes: Axes, panel: Panel, colours: Mapping[str, str]) -> None:
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=colours["frame"], linewidth=0.8)
    axes.grid(visible=True, color=colours["grid"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", color=colours["frame"], labelcolor=colours["muted"], labelsize=SMALL, width=0.8)
    axes.tick_params(which="major", length=3.5)
    axes.tick_params(which="minor", length=2)
    axes.set_xlabel(panel.x_label, fontsize=SMALL + 1, color=colours["ink"])
    axes.set_ylabel(panel.y_label, fontsize=SMALL + 1, color=colours["ink"])


def _limits(values: _Float, scale: str, pad: float) -> tuple[float, float]:
    if not values.size:
        return (1.0, 10.0) if scale == "log" else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if scale == "log":
        a, b = math.log10(low), math.log10(high)
        margin = pad * (b - a) if b > a else 0.3
        return 10 ** (a - margin), 10 ** (b + margin)
    margin = pad * (high - low)
    if margin <= 1e-12 * max(abs(low), abs(high)):
        margin = 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _draw_curve(axes: Axes, data: _Data, style: Style, colours: Mapping[str, str]) -> None:
    colour = colours[style.colour]
    kind = data.curve.style
    if kind == "points":
        axes.errorbar(data.x, data.y, yerr=data.ends(), fmt="none", ecolor=colour, elinewidth=1.1, capsize=0, zorder=3)
        face, edge, width = (colours["paper"], colour, 1.2) if style.hollow else (colour, colours["paper"], 0.5)
        axes.plot(data.x, data.y, linestyle="none", marker=SHAPES[style.shape], markersize=marker_size(style),
                  markerfacecolor=face, markeredgecolor=edge, markeredgewidth=width, zorder=4)  # fmt: skip
        return
    if data.uncertain:
        order = np.argsort(data.x, kind="stable")
        x, low, high = data.x[order], data.lower()[order], data.high[order]
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0, zorder=1)
    dashes = (0, (4.5, 2.5)) if kind == "dashed" else "-"
    width = 0.9 if kind == "band" else 1.5
    axes.plot(*data.line, color=colour, linewidth=width, linestyle=dashes, zorder=2, solid_capstyle="round")


def marker_size(style: Style) -> float:
    """Size in points that makes all markers look equally big: matplotlib scales each outline to its own extent."""
    return 5.2 * max(abs(c) for corner in SHAPES[style.shape] for c in corner)


def _bar_width(bars: Sequence[_Data], scale: str) -> float:
    """Width of one bar: together they fill 80 % of the smallest distance of two positions, in units of the axis."""
    places = np.unique(np.concatenate([*(d.x for d in bars), np.zeros(0)]))
    steps = np.diff(np.log10(places) if scale == "log" else places)
    if steps.size:
        return 0.8 * float(steps.min()) / len(bars)
    return 0.2 / max(1, len(bars))


def _bar_edges(data: _Data, bars: Sequence[_Data], width: float) -> tuple[_Float, _Float]:
    """Left and right edges of the bars of one curve, which stands beside the other curves of bars."""
    log = data.log_x
    centre = (np.log10(data.x) if log else data.x) + (bars.index(data) - (len(bars) - 1) / 2) * width
    left, right = centre - width / 2, centre + width / 2
    return (10**left, 10**right) if log else (left, right)


def _draw_bars(axes: Axes, data: _Data, edges: tuple[_Float, _Float], colour: str, ink: str) -> None:
    left, right = edges
    axes.bar(left, data.y, width=right - left, align="edge", color=colour, linewidth=0, zorder=2)
    if data.uncertain:
        centre = np.sqrt(left * right) if data.log_x else (left + right) / 2
        axes.errorbar(centre, data.y, yerr=data.ends(), fmt="none", ecolor=ink, elinewidth=1.0, capsize=0, zorder=3)


def _set_apart(curves: Sequence[_Data]) -> None:
    """Move the points of several curves beside each other, so that their intervals can be told apart."""
    step = min(0.7 / max(1, len(curves)), 0.2)
    for rank, data in enumerate(curves):
        data.x = data.x + (rank - (len(curves) - 1) / 2) * step


def _name_categories(axes: Axes, names: Sequence[str]) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator

    letters = max(6, 64 // len(names))
    steep = any(len(word) > letters for name in names for word in name.split())
    axes.xaxis.set_major_locator(FixedLocator(range(len(names))))
    axes.xaxis.set_major_formatter(FixedFormatter([n if steep else textwrap.fill(n, letters) for n in names]))
    if steep:
        for label in axes.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")


def _draw_marks(axes: Axes, panel: Panel, colours: Mapping[str, str]) -> int:
    """Draw labelled vertical lines, their labels above the axes in as many rows as they need; return the rows."""
    ends: list[float] = []
    for x, label in sorted(m for m in panel.marks if _drawable(m[0], panel.x_scale)):
        axes.axvline(x, color=colours["muted"], linewidth=1.0, linestyle=(0, (1.5, 2.0)), zorder=1.5)
        if not label:
            continue
        place = float(axes.transAxes.inverted().transform(axes.transData.transform((x, axes.get_ylim()[0])))[0])
        half = 0.0115 * len(label) + 0.01  # about half the width of the label in units of the axes
        place = min(max(place, half), 1 - half)
        row = next((r for r, end in enumerate(ends) if place - half > end), len(ends))
        ends[row : row + 1] = [place + half]
        axes.annotate(label, (place, 1.0), xycoords="axes fraction", xytext=(0, 3 + 10 * row), ha="center",
                      textcoords="offset points", fontsize=SMALL, color=colours["muted"])  # fmt: skip
    return len(ends)


def _say(axes: Axes, text: str, colours: Mapping[str, str]) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=colours["muted"], fontsize=9)


def _tick(axes: Axes, panel: Panel, measured: Sequence[_Float], *, labelled: bool) -> None:
    """Set the ticks; positions with bars are ``labelled`` themselves when they are few."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, ScalarFormatter

    places = np.unique(np.concatenate([*measured, np.zeros(0)]))
    for axis, scale, limits, own in (
        (axes.xaxis, panel.x_scale, axes.get_xlim(), places),
        (axes.yaxis, panel.y_scale, axes.get_ylim(), np.zeros(0)),
    ):
        large = max(abs(v) for v in limits)
        if scale == "log":
            major, minor = log_ticks(*limits, own)
            axis.set_major_locator(FixedLocator(major))
            axis.set_minor_locator(FixedLocator(minor))
            axis.set_minor_formatter(NullFormatter())
        elif labelled and 0 < len(own) <= 8:
            axis.set_major_locator(FixedLocator(own.tolist()))
        else:
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        if scale == "log" or not 1e-3 < large < 1e5:
            axis.set_major_formatter(FuncFormatter(lambda value, _: tick_label(value)))
        else:
            axis.set_major_formatter(ScalarFormatter(useOffset=False))


def log_ticks(low: float, high: float, measured: _Float) -> tuple[list[float], list[float]]:
    """Labelled and unlabelled ticks of a logarithmic axis.

    A handful of measured positions that are not crowded label themselves (lattice sizes 8, 16, 32); otherwise powers of
    ten, with 2 and 5 between them on a short axis and evenly spaced numbers on a very short one.

    Examples
    --------
    >>> log_ticks(7.0, 70.0, np.array([8.0, 16.0, 32.0, 64.0]))
    ([8.0, 16.0, 32.0, 64.0], [])
    >>> log_ticks(0.8, 130.0, np.zeros(0))[0]
    [1.0, 10.0, 100.0]
    """
    decades = math.log10(high / low)
    if 2 <= len(measured) <= 8 and float(np.diff(np.log10(measured)).min()) > 0.07 * decades:
        return [float(v) for v in measured], []
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if decades < 0.5:
        from matplotlib.ticker import MaxNLocator

        return _within([float(v) for v in MaxNLocator(5).tick_values(low, high)], low, high), []
    if decades < 1.6:
        labelled = _within([m * 10.0**e for e in powers for m in (1, 2, 5)], low, high)
    else:
        stride = math.ceil(decades / 7)
        labelled = _within([10.0**e for e in powers if e % stride == 0], low, high)
    between = [m * 10.0**e for e in powers for m in range(1, 10)] if decades < 6 else [10.0**e for e in powers]
    return labelled, [v for v in _within(between, low, high) if v not in labelled]


def _within(values: Sequence[float], low: float, high: float) -> list[float]:
    return [v for v in values if low <= v <= high]


def tick_label(value: float) -> str:
    """Short text of a tick: plain between 0.001 and 9999, otherwise with a power of ten.

    Examples
    --------
    >>> tick_label(32.0), tick_label(1e4), tick_label(-2e-5)
    ('32', '10⁴', '−2·10⁻⁵')
    """
    if value < 0:
        return f"\N{MINUS SIGN}{tick_label(-value)}"
    if value == 0 or 1e-3 <= value < 1e4:
        return f"{value:.6g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    mantissa = f"{value / 10.0**exponent:.6g}"
    power = "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if mantissa == "1" else f"{mantissa}·{power}"
