"""The page: parsed as a browser would, nothing fetched, nothing unescaped, every number there and readable back."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.protocols import Curve, Figure, Findings, Panel, Picture, Table
from pyqmc_art.report.cells import cell_text, columns, show
from pyqmc_art.report.page import as_json, read_findings_json, render, write
from pyqmc_art.stats.estimate import Estimate

EVIL = "<script>alert('x')</script><img src=https://evil.example/a.png onerror=x>\"'&amp;"
PROVENANCE = {"version": "0.1", "commit": "abc", "seed": 7, "threads": 2, "date": "2025-01-01"}
VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass(frozen=True)
class Pair:
    """A measured number of somebody else."""

    value: float
    error: float


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    text: str = ""
    ancestors: tuple[str, ...] = ()


class Page(HTMLParser):
    """All elements of a page in order, each with the text inside it; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self.open, [e.tag for e in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), ancestors=tuple(e.tag for e in self.open))
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs), ancestors=tuple(e.tag for e in self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1].tag == tag, f"</{tag}> closes {self.open[-1].tag if self.open else None}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        return [e for e in self.elements if e.tag == tag]

    def classed(self, name: str) -> list[Element]:
        return [e for e in self.elements if name in (e.attributes.get("class") or "").split()]


@pytest.fixture
def findings() -> Findings:
    table = Table(
        "check",
        "Energies",
        ("kernel", "L", "exact", "measured", "other", "verdict"),
        (
            ("metropolis", 16, -1.45306, Estimate(-1.4531, 0.0002), Pair(2.5, 0.1), "ok"),
            ("wolff", 128, np.float64("nan"), None, Pair(12.25, 0.03), "FAILED"),
        ),
        "Kernels against exact energies.",
    )
    curve = Curve("metropolis", [8, 16], np.array([1.5, np.nan]), [0.1, 0.2], group="m")
    panel = Panel("left", "L", "τ_int", (curve,), "log", "log", ((10.0, "here"),))
    figure = Figure("tau", "Times", "They grow.", (panel, Picture("spins", np.array([[1, -1], [-1, 1]]))))
    return Findings(
        "ising-dynamics", "How slow?", "As L^2.17.\n\nNot more.", (table,), (figure,),
        {"sizes": (8, 16), "path": Path("a/b"), "beta": 0.44}, ("A note.",), 83.0,
    )  # fmt: skip


def page_of(*findings: Findings, lead: str = "") -> Page:
    return Page(render("A report", findings, lead=lead, provenance=PROVENANCE))


def test_structure(findings: Findings) -> None:
    page = page_of(findings, replace(findings, study="phase transition"), lead="First.\n\nSecond.")
    assert [e.text.strip() for e in page.all("h1")] == ["A report"]
    assert [e.text for e in page.all("h2")] == ["How slow?"] * 2
    assert [e.text for e in page.classed("lead")] == ["First.", "Second."]
    assert [e.text for e in page.all("p") if "div" in e.ancestors] == ["As L2.17.", "Not more."] * 2
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1
    sections = {e.attributes["id"] for e in page.all("section")}
    links = [e.attributes["href"] for e in page.all("a")]
    assert {f"#{s}" for s in sections} == set(links) and len(sections) == 2
    provenance = page.all("footer")[0].text
    assert all(str(k) in provenance and str(v) in provenance for k, v in PROVENANCE.items())
    assert "1 min" in page.all("summary")[0].text
    assert '"beta"' not in page.all("details")[0].text and "[8, 16]" in page.all("details")[0].text


def test_contents_only_when_there_are_several(findings: Findings) -> None:
    assert not page_of(findings).all("nav")
    assert page_of(findings, findings).all("nav")


def test_every_figure_has_its_caption_and_drawings(findings: Findings) -> None:
    page = page_of(findings)
    figures = page.all("figure")
    captions = [e.text for e in page.all("figcaption")]
    assert len(figures) == 2 and captions == ["They grow.", "Kernels against exact energies."]
    drawings = [e for e in page.all("svg") if e.attributes.get("role") == "img"]
    assert len(drawings) == 2 and all(e.attributes["aria-label"] for e in drawings)
    assert {e.text for e in page.all("li") if "figure" in e.ancestors} == {"metropolis", "−1", "+1"}


def test_every_cell_is_there(findings: Findings) -> None:
    page = page_of(findings)
    assert [e.text for e in page.all("th")] == list(findings.tables[0].columns)
    assert [e.text for e in page.all("td")] == [
        "metropolis", "16", "−1.45306", "−1.4531(2)", "2.50(10)", "ok",
        "wolff", "128", "–", "–", "12.25(3)", "FAILED",
    ]  # fmt: skip
    assert [e.text for e in page.classed("good")] == ["ok"] and [e.text for e in page.classed("bad")] == ["FAILED"]
    style = page.all("style")[0].text
    assert ".verdict.bad::before" in style and ".verdict.good::before" in style  # a sign beside the colour
    assert all(e.ancestors[-1] == "div" for e in page.all("table"))


def test_nothing_is_fetched(findings: Findings) -> None:
    page = page_of(findings, findings)
    for element in page.elements:
        for name, value in element.attributes.items():
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                assert (value or "").startswith(("#", "data:")), (element.tag, name, value)
            assert not name.startswith("on")
    style = "".join(e.text for e in page.all("style")) + "".join(e.attributes.get("style") or "" for e in page.elements)
    assert "@import" not in style and "http" not in style and "@font-face" not in style
    assert [e.attributes.get("type") for e in page.all("script")] == ["application/json"]
    policy = next(e.attributes["content"] for e in page.all("meta") if "http-equiv" in e.attributes)
    assert policy is not None and policy.startswith("default-src 'none'")


def test_light_dark_and_print(findings: Findings) -> None:
    style = page_of(findings).all("style")[0].text
    assert style.count("prefers-color-scheme: dark") == 2 and "@media print" in style and "max-width" in style
    used = {p.split(")")[0].split(",")[0] for p in render("t", [findings], provenance={}).split("var(")[1:]}
    assert not [u for u in used if f"{u}:" not in style]


def test_identifiers_are_unique(findings: Findings) -> None:
    page = page_of(findings, findings)
    count = Counter(e.attributes["id"] for e in page.elements if "id" in e.attributes)
    assert max(count.values()) == 1


def test_hostile_text_is_escaped_everywhere() -> None:
    curve, panel_marks = Curve(EVIL, [1, 2], [1, 2], group=EVIL), ((1.5, EVIL),)
    figure = Figure(EVIL, EVIL, EVIL, (Panel(EVIL, EVIL, EVIL, (curve,), marks=panel_marks), Picture(EVIL, np.eye(2))))
    table = Table(EVIL, EVIL, (EVIL,), ((EVIL,),), EVIL)
    hostile = Findings(EVIL, EVIL, EVIL, (table,), (figure,), {EVIL: EVIL}, (EVIL,))
    page = Page(render(EVIL, [hostile, hostile], lead=EVIL, provenance={EVIL: EVIL, "version": EVIL}))
    assert [e.attributes.get("id") for e in page.all("script")] == ["findings"]
    assert not page.all("img") and not [e for e in page.elements if any(a.startswith("on") for a in e.attributes)]
    for tag in ("h1", "h2", "h3", "th", "td", "figcaption", "dt", "dd"):
        assert [e.text for e in page.all(tag) if EVIL in e.text], tag


def test_numbers_come_back(findings: Findings, tmp_path: Path) -> None:
    hostile = replace(findings, answer=f"{EVIL}</script><!--\u2028", study="second")
    path = write(tmp_path / "deep" / "index.html", "t", [findings, hostile], provenance=PROVENANCE)
    first, second = read_findings_json(path)
    assert second["answer"] == hostile.answer
    assert first == as_json(findings)
    assert first["tables"][0]["rows"][0] == [
        "metropolis", 16, -1.45306, {"value": -1.4531, "error": 0.0002, "text": "-1.4531(2)"},
        {"value": 2.5, "error": 0.1, "text": "2.50(10)"}, "ok",
    ]  # fmt: skip
    assert first["tables"][0]["rows"][1][2:4] == [None, None]
    curve = first["figures"][0]["panels"][0]["curves"][0]
    assert (curve["x"], curve["y"], curve["error"]) == ([8, 16], [1.5, None], [0.1, 0.2])
    assert first["figures"][0]["panels"][1]["picture"] == [2, 2]
    assert first["configuration"] == {"sizes": [8, 16], "path": "a/b", "beta": 0.44} and first["seconds"] == 83.0
    json.dumps(first, allow_nan=False)


def test_the_same_findings_give_the_same_bytes(findings: Findings) -> None:
    assert render("t", [findings], provenance=PROVENANCE) == render("t", [findings], provenance=PROVENANCE)


def test_writing_is_all_or_nothing(findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "index.html", "first", [findings], provenance={})
    before = path.read_bytes()
    bad = replace(findings, tables=(Table("t", "t", ("a", "b"), ((1,),)),))
    with pytest.raises(InputError, match="2 columns, but a row has 1"):
        write(path, "second", [bad], provenance={})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StoreError, match="No space left"):
        write(path, "second", [findings], provenance={})
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_reading_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_findings_json(tmp_path / "none.html")
    (tmp_path / "other.html").write_text("<p>hello")
    with pytest.raises(InputError, match="holds no findings"):
        read_findings_json(tmp_path / "other.html")
    with pytest.raises(StoreError, match="cannot read"):
        read_findings_json(tmp_path)


def test_an_empty_report() -> None:
    page = page_of(Findings("s", "q?", ""))
    assert not page.all("figure") and not page.all("table") and page.all("h2")[0].text == "q?"
    assert page_of().all("main")


def test_cells() -> None:
    cells = [None, True, 3, np.int64(4), 0.1234567, float("inf"), float("nan"), Pair(0.44063, 0.0003), "wolff"]
    assert [cell_text(c) for c in cells] == ["–", "yes", "3", "4", "0.123457", "inf", "–", "0.4406(3)", "wolff"]
    shown = show(Pair(-12.34, 1.24))
    assert (shown.head, shown.tail) == ("−12", ".3(1.2)")
    assert [show(w).verdict for w in ("ok", "FAILED", " passed", "okay?")] == ["good", "bad", "good", ""]


def test_numeric_columns() -> None:
    table = Table("t", "t", ("name", "n", "x", "mixed"), (("a", 1, None, 1), ("b", 20, Pair(1.5, 0.1), "many")))
    assert [c.numeric for c in columns(table)] == [False, True, True, False]


@pytest.mark.parametrize(("rows", "bad", "shown"), [(24, 0, ""), (25, 0, "<details>"), (25, 1, "<details open>")])
def test_a_long_table_is_folded_unless_something_went_wrong(rows: int, bad: int, shown: str) -> None:
    cells = tuple((k, "failed" if k < bad else "ok") for k in range(rows))
    table = Table("t", "Judgements", ("number", "verdict"), cells)
    text = render("Page", [Findings("s", "Q?", "A.", tables=(table,))], provenance={}).replace(' class="rows"', "")
    body = text[text.index("Judgements") :]
    start = body[: body.index("<table>")]
    assert (shown in start) if shown else ("<details" not in start)
    assert (f"{rows} rows<span>" in start) == bool(shown)
    if bad:
        assert "1 failed, 24 ok" in start
