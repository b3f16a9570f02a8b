"""Figures: the same bytes for the same data, both themes, hostile labels, missing and impossible values."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Curve, Figure, Panel, Picture
from pyqmc_art.report.figures import draw, draw_file, draw_part, legends
from pyqmc_art.report.palette import DARK, LIGHT, SERIES, STATES, assign, identity, paint
from pyqmc_art.report.panels import draw_panel, log_ticks, tick_label
from pyqmc_art.report.svg import swatch

SIZES = [8, 16, 32, 64]
SVG = "{http://www.w3.org/2000/svg}"


def one(*curves: Curve, **options: object) -> Figure:
    return Figure("fig", "A figure", "What to see.", (Panel("", "L", "tau", curves, **options),))  # type: ignore[arg-type]


@pytest.fixture
def figure() -> Figure:
    metropolis = Curve("metropolis", SIZES, [5.0, 21.0, 90.0, 400.0], [0.1, 1.0, 6.0, 40.0], group="m")
    fit = Curve("fit", SIZES, [5.0, 22.0, 95.0, 410.0], style="line", group="m")
    wolff = Curve("wolff", SIZES, [1.9, 2.3, 2.8, 3.4], [0.1, 0.1, 0.2, 0.2])
    panel = Panel("times", "L", "τ_int", (metropolis, fit, wolff), "log", "log", ((20.0, "here"),))
    spins = np.where(np.arange(36).reshape(6, 6) % 5 < 2, 1, -1)
    return Figure("times", "Times", "Clusters win.", (panel, Picture("spins", spins)))


def relative_luminance(colour: str) -> float:
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_series_stand_out_from_the_page(theme: dict[str, str]) -> None:
    """WCAG 2.1, criterion 1.4.11: contrast of graphics at least 3; 1.4.3: of text at least 4.5."""
    for role, least in [(c, 3.0) for c in SERIES] + [("ink", 4.5), ("muted", 4.5)]:
        pair = sorted((relative_luminance(theme["paper"]), relative_luminance(theme[role])))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= least, role


def test_roles_have_distinct_colours() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT) == len(DARK) == len(set(DARK.values()))
    assert len(set(STATES)) == len(STATES)


def test_same_data_same_bytes(figure: Figure, tmp_path: Path) -> None:
    assert draw(figure) == draw(figure)
    for suffix in ("png", "svg", "pdf"):
        first, second = (draw_file(figure, tmp_path / f"{k}.{suffix}").read_bytes() for k in "ab")
        assert first == second
    assert "date" not in draw(figure).lower()


def test_same_bytes_in_another_process(figure: Figure) -> None:
    code = (
        "from pyqmc_art.protocols import *; from pyqmc_art.report.figures import draw; import hashlib;"
        "c = Curve('a', [1, 2], [3, 4], [.1, .2]);"
        "print(hashlib.sha256(draw(Figure('f', 't', 'c', (Panel('p', 'x', 'y', (c,)),))).encode()).hexdigest())"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 1


def test_is_wellformed_and_scales(figure: Figure) -> None:
    root = ElementTree.fromstring(draw(figure))
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox", "").startswith("0 0 ")
    assert root.get("width") is None
    assert root.get("role") == "img" and root.get("aria-label") == "Times"
    assert not list(root.iter(f"{SVG}style")) and not list(root.iter(f"{SVG}metadata"))


def test_identifiers_are_unique_to_the_figure_and_all_used(figure: Figure) -> None:
    parts = [draw_part(figure, k) for k in range(2)]
    ids = [i for part in parts for i in re.findall(r' id="([^"]*)"', part)]
    assert len(ids) == len(set(ids)) and all(i.startswith("times-") for i in ids)
    for part in parts:
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', part)) <= set(re.findall(r' id="([^"]*)"', part))


def test_themes(figure: Figure) -> None:
    auto, light, dark = (draw(figure, theme=t) for t in ("auto", "light", "dark"))
    assert f"var(--qa-c1,{LIGHT['c1']})" in auto
    assert "var(" not in light and LIGHT["c1"] in light and DARK["c1"] not in light
    assert DARK["c1"] in dark and LIGHT["c1"] not in dark
    plain = re.sub(r"var\(--qa-\w+,(#\w{6})\)", r"\1", auto)
    assert plain == light
    with pytest.raises(InputError, match="did you mean 'dark'"):
        draw(figure, theme="darc")


def test_hostile_labels_stay_text() -> None:
    evil = '<script>alert("1")</script> --> id="x" $\\frac$ & #2a6fcb'
    curve = Curve(evil, [1, 2], [1, 2])
    figure = Figure(evil, evil, evil, (Panel(evil, evil, evil, (curve,), marks=((1.5, evil),)),))
    svg = draw(figure)
    assert "<script" not in svg
    texts = ["".join(t.itertext()) for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert sum(t == evil for t in texts) == 4  # two axes, a mark, the legend; the title is wrapped


def test_points_have_error_bars_and_missing_values_are_left_out() -> None:
    def markers(*curves: Curve, **options: object) -> int:
        return draw_part(one(*curves, **options), 0).count("stroke-width: 0.5")

    whole = markers(Curve("a", [1, 2, 3, 4], [1, 2, 3, 4]))
    holes = markers(Curve("a", [1, 2, 3, 4], [1, None, float("nan"), float("inf")]))  # type: ignore[list-item]
    empty = markers(Curve("a", [], []))
    assert whole - holes == 3 and holes - empty >= 1
    with_bars = draw(one(Curve("a", [1, 2], [1, 2], [0.1, 0.2])))
    without = draw(one(Curve("a", [1, 2], [1, 2], [float("nan"), None])))  # type: ignore[list-item]
    assert with_bars != without


def test_what_a_log_scale_cannot_show_is_said() -> None:
    curve = Curve("a", [1, 2, 3], [1.0, -1.0, 0.0], [2.0, 1.0, 1.0])
    assert "2 points are not positive" in draw(one(curve, y_scale="log"))
    assert "not positive" not in draw(one(curve))


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_nothing_to_draw(scale: str) -> None:
    for curves in ((), (Curve("a", [], []),), (Curve("a", [1.0], [float("nan")]),)):
        assert "no data" in draw(one(*curves, x_scale=scale, y_scale=scale))
    assert draw(Figure("f", "t", "c", ())).startswith("<svg")
    assert "no data" in draw(Figure("f", "t", "c", (Picture("p", np.zeros((0, 0))),)))


@pytest.mark.parametrize("style", ["points", "line", "dashed", "band", "bars"])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_every_style_on_every_scale(style: str, scale: str) -> None:
    curves = [Curve(n, [8, 16, 32], [1.0, 5.0, 2.0], [0.1, 6.0, 0.2], style=style) for n in "ab"]
    same = Curve("c", [4.0], [5.0], style=style)
    assert LIGHT["c2"] in draw(one(*curves, x_scale=scale, y_scale=scale), theme="light")
    assert draw(one(same, x_scale=scale, y_scale=scale)).startswith("<svg")


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        (one(Curve("a", [1, 2], [1])), "2 x, 1 y"),
        (one(Curve("a", [1, 2], [1, 2], [0.1])), "1 errors"),
        (one(Curve("a", [1], [1], style="pionts")), "did you mean 'points'"),
        (one(x_scale="logg"), "did you mean 'log'"),
        (Figure("f", "t", "c", (Picture("p", np.zeros(3)),)), r"shape \(3,\)"),
    ],
)
def test_impossible_data_is_refused(figure: Figure, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw(figure)


def test_groups_share_colours_and_labels_differ() -> None:
    a, b = Curve("data", [1], [1], group="g"), Curve("fit", [1], [1], style="line", group="g")
    other, second = Curve("other", [1], [1]), Curve("more data", [1], [1], group="g")
    styles = assign(one(a, b, other, second))
    colours = [styles[identity(c)].colour for c in (a, b, second, other)]
    assert colours[0] == colours[1] == colours[2] != colours[3]
    assert styles[identity(a)] != styles[identity(second)]


def test_many_curves_differ_in_colour_or_marker() -> None:
    curves = [Curve(f"c{k}", [1], [1]) for k in range(40)]
    assert len(set(assign(one(*curves)).values())) == 40


def test_legend_is_common_when_all_panels_share_it() -> None:
    a, b = Curve("a", [1], [1]), Curve("b", [1], [1])
    same = Figure("f", "t", "c", (Panel("1", "", "", (a, b)), Panel("2", "", "", (b, a))))
    common, own = legends(same)
    assert [k.label for k in common] == ["a", "b"] and own == ((), ())
    different = Figure("f", "t", "c", (Panel("1", "", "", (a,)), Panel("2", "", "", (b,))))
    common, own = legends(different)
    assert common == () and [[k.label for k in o] for o in own] == [["a"], ["b"]]
    assert len({swatch(k) for o in own for k in o}) == 2


def test_a_state_has_its_colour_whatever_else_is_there() -> None:
    up, down, mixed = (Picture("", np.array([v])) for v in ([1, 1], [-1, -1], [-1, 1]))
    colour = {tuple(paint(p, (p,))[0, k]) for p, k in ((up, 0), (mixed, 1))}
    assert len(colour) == 1
    assert tuple(paint(down, (down,))[0, 0]) == tuple(paint(mixed, (mixed,))[0, 0])
    potts = Picture("", np.array([[0, 1, 2, 3]]))
    assert len({tuple(c) for c in paint(potts, (potts,))[0]}) == 4
    hole = Picture("", np.array([[0.25, np.nan, 0.5]]))
    assert len({tuple(c) for c in paint(hole, (hole,))[0]}) == 3


def test_ticks_are_sane() -> None:
    assert log_ticks(0.5, 2e9, np.zeros(0))[0] == [1e0, 1e2, 1e4, 1e6, 1e8]
    assert log_ticks(1.5, 30.0, np.zeros(0))[0] == [2, 5, 10, 20]
    assert 2 <= len(log_ticks(100.0, 130.0, np.zeros(0))[0]) <= 7
    assert [tick_label(v) for v in (0.001, 0.5, 1000.0, 1e6, 3e6, 0.0, -2.5)] == [
        "0.001", "0.5", "1000", "10⁶", "3·10⁶", "0", "−2.5",
    ]  # fmt: skip


def test_files(figure: Figure, tmp_path: Path) -> None:
    assert draw_file(figure, tmp_path / "deep" / "a.png", dpi=50).read_bytes().startswith(b"\x89PNG")
    assert draw_file(figure, tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert draw_file(figure, tmp_path / "A.SVG").read_text(encoding="utf-8").startswith("<svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["A.SVG", "a.pdf", "deep"]
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        draw_file(figure, tmp_path / "a.jpeg2")
    (tmp_path / "plain").write_text("kept")
    with pytest.raises(InputError, match="cannot write"):
        draw_file(figure, tmp_path / "plain" / "a.png")
    assert (tmp_path / "plain").read_text() == "kept"


def test_global_settings_are_left_alone(figure: Figure) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    reference = draw(figure)
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "lines.linewidth": 9}):
        assert draw(figure) == reference


def test_importing_draws_nothing_in() -> None:
    code = (
        "import sys, pyqmc_art.report.figures, pyqmc_art.report.page, pyqmc_art.monitor;"
        "sys.exit(any(m in sys.modules for m in ('matplotlib', 'jinja2', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = "import sys; from pyqmc_art.report.figures import draw; from pyqmc_art.protocols import *;"
    code += "draw(Figure('f', 't', 'c', ())); sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_photograph_keeps_its_colours_and_has_no_legend(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 0] = 250
    figure = Figure("photo", "", "", (Picture("red", pixels), Picture("spins", np.array([[1, -1], [-1, 1]]))))
    common, _ = legends(figure)
    assert [key.label for key in common] == ["\N{MINUS SIGN}1", "+1"]
    assert draw(figure).count("data:image/png") == 2
    with pytest.raises(InputError, match="uint8"):
        draw(Figure("photo", "", "", (Picture("floats", pixels / 255),)))


def test_categories_are_named_and_intervals_need_not_be_symmetric() -> None:
    axes = Canvas().subplots()
    panel = Panel(
        "", "", "AUC",
        (Curve("a", [0, 1], [0.9, 0.5], limits=([0.7, 0.5], [0.95, 0.8])), Curve("b", [0, 1], [0.4, 0.6])),
        categories=("forgeries of hands", "proxies"),
    )  # fmt: skip
    draw_panel(axes, panel, assign(Figure("f", "", "", (panel,))), LIGHT)
    assert [text.get_text().replace("\n", " ") for text in axes.get_xticklabels()] == list(panel.categories)
    bars = [line.get_segments() for line in axes.collections]
    assert np.allclose([segment[:, 1] for segment in bars[0]], [[0.7, 0.95], [0.5, 0.8]])
    first, second = (line.get_xdata() for line in axes.lines[:2])
    assert np.all(np.asarray(first) < np.asarray(second))
    low, high = axes.get_ylim()
    assert low < 0.4 and high > 0.95


def test_categories_need_a_linear_axis_and_intervals_as_many_ends_as_points() -> None:
    curve = Curve("a", [0, 1], [0.9, 0.5], limits=([0.7], [0.95]))
    with pytest.raises(InputError, match="1 and 1 limits"):
        draw(Figure("f", "", "", (Panel("", "", "", (curve,), categories=("x", "y")),)))
    with pytest.raises(InputError, match="expected a linear one"):
        draw(Figure("f", "", "", (Panel("", "", "", (), x_scale="log", categories=("x",)),)))
