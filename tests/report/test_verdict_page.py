"""The page of verdicts: whole in itself, every word escaped, every cell of the map on it, the same numbers as JSON."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from pyqmc_art.errors import InputError

pytest.importorskip("jinja2", reason="Jinja2 is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from pyqmc_art.art.detectors.catalogue import load_detector
from pyqmc_art.art.judgement import judge
from pyqmc_art.report.verdict_parts import Scale
from pyqmc_art.report.verdicts import LIMITS, choose_place, write_report

ODD = '<b>odd & "quoted".png'


@pytest.fixture(scope="module")
def written(model, painted, tmp_path_factory):
    """Report on the new works, on one with a name that wants to be HTML, on a training work and on a broken file."""
    folder = tmp_path_factory.mktemp("pictures")
    shutil.copytree(painted / "new", folder / "new")
    shutil.copy(painted / "new/proxy/proxy-0001.png", folder / ODD)
    shutil.copy(painted / "train/original/original-0004.png", folder / "known.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    done = judge(model, folder)
    place = write_report(done, choose_place(folder.parent / f"report of {folder.name}"))
    return done, place, place.read_text(encoding="utf-8")


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.open = []
        self.wrong = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def named(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_is_whole_in_itself(written):
    _, place, text = written
    tags = Tags(text)
    assert tags.wrong == [] and tags.open == []
    assert tags.named("script") == []
    for name, attributes in tags.found:
        for key in ("src", "href", "xlink:href"):
            if key in attributes and name != "a":
                assert attributes[key].startswith(("data:", "#")), f"{name} asks for {attributes[key]}"
    assert "http:" not in text and "https:" not in re.sub(r"data:[^\"]*", "", text)
    assert place.name == "index.html"


def test_links_lead_somewhere(written):
    _, place, text = written
    tags = Tags(text)
    own = {attributes["id"] for _, attributes in tags.found if "id" in attributes}
    for attributes in tags.named("a"):
        target = attributes["href"]
        if target.startswith("#"):
            assert target[1:] in own
        else:
            assert (place.parent / unquote(target)).exists()
    for attributes in tags.named("use"):
        assert attributes["href"][1:] in own


def test_every_work_and_every_cell_is_there(written):
    done, _, text = written
    tags = Tags(text)
    assert len(done.opinions) == 10
    cells = [a for a in tags.named("rect") if a.get("class", "").startswith("cell-")]
    assert len(cells) == sum(len(one.patches) for one in done.opinions) == 50
    toned = sum(a["class"] == "cell-for" for a in cells)
    assert toned == sum(patch.evidence > 0 for one in done.opinions for patch in one.patches)
    assert len(tags.named("image")) == 10, "each picture is embedded once"
    for one in done.opinions:
        said = done.explain(one)
        assert html.escape(said[0].upper() + said[1:], quote=False).replace('"', "&#34;") in text
        for warning in one.verdict.warnings:
            assert html.escape(warning.removeprefix("no verdict: "), quote=False) in text


def test_names_are_escaped(written):
    _, _, text = written
    assert "<b>odd" not in text
    assert "&lt;b&gt;odd &amp;" in text


def test_what_it_rests_on_stands_there(written, model):
    done, _, text = written
    assert "The model was trained on this very work." in text
    assert "broken.jpg" in text
    for limit in LIMITS:
        assert html.escape(limit, quote=False) in text
    for role, own in done.judge.rehearsal.counts.items():
        assert str(done.judge.rehearsal.rate(role, "the hand")) in text, "no rate without n and interval"
        assert sum(own.values())
    for one in done.judge.detector.facts["claims"]:
        assert one["status"] in text
    assert done.digest in text
    assert "Prior probability of the hand" in text
    assert "simulated" in text, "simulated works say so"


def test_the_json_beside_it_has_all_numbers(written):
    done, place, _ = written
    told = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
    assert [one["log_odds"] for one in told["works"]] == [one.verdict.log_odds for one in done.opinions]
    assert told["model"]["sha256"] == done.digest
    assert told["model"]["rehearsal"] == done.judge.rehearsal.to_json()
    assert [one["path"] for one in told["problems"]] == [str(one.path) for one in done.problems]
    assert {"stability", "distance", "human", "patches", "nearest", "capture", "sha256"} <= set(told["works"][0])
    assert {"version", "commit", "date", "machine"} <= set(told["made"])


def test_a_single_work_needs_no_overview(model, painted, tmp_path):
    done = judge(model, painted / "new/original/original-0002.png")
    text = write_report(done, tmp_path / "one.html").read_text(encoding="utf-8")
    assert "All works on one scale" not in text
    assert Tags(text).wrong == []
    assert (tmp_path / "one.json").exists()


def test_a_refused_model_is_distrusted_at_the_top(model, painted, tmp_path):
    known = load_detector(model)
    for number, status in enumerate(("refused", "supported")):
        claim = known.facts["claims"][0] | {"status": status, "reasons": ["the <subject> does as well"]}
        place = tmp_path / f"model {number}"
        dataclasses.replace(known, facts=known.facts | {"claims": [claim]}).save_pretrained(place)
        done = judge(place, painted / "new/original/original-0002.png")
        text = write_report(done, tmp_path / f"{number}.html").read_text(encoding="utf-8")
        top = text[text.index("<body>") : text.index("<main>")]
        assert ("may not be relied on:</strong> the &lt;subject&gt; does as well." in top) == (status == "refused")


def test_where_it_may_go(tmp_path):
    assert choose_place(tmp_path / "new folder") == tmp_path / "new folder" / "index.html"
    assert choose_place(tmp_path / "page.html") == tmp_path / "page.html"
    (tmp_path / "page.html").write_text("something")
    (tmp_path / "other.json").write_text("{}")
    for name in ("page.html", "other.html"):
        with pytest.raises(InputError, match="--force"):
            choose_place(tmp_path / name)
        assert choose_place(tmp_path / name, force=True) == tmp_path / name
    with pytest.raises(InputError, match="is a file"):
        choose_place(tmp_path / "page.html" / "below")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        choose_place(tmp_path / "folder.html")


def test_the_scale_is_even_and_holds_everything():
    scale = Scale.of([-4.0, 2.0])
    assert scale.place(0.0) == 50
    assert scale.place(1.3) - 50 == pytest.approx(50 - scale.place(-1.3))
    assert 0 < scale.place(-4.0) < scale.place(2.0) < 100
    assert scale.bar(-1.0, 1.0)["left"] == scale.place(-1.0)
    labels = [label for _, label in scale.ticks()]
    assert labels[len(labels) // 2] == "1 : 1"
    assert [place for place, _ in scale.ticks()] == sorted(place for place, _ in scale.ticks())
    assert Scale.of([]).limit > 0
