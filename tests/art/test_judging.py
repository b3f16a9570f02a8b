"""Judging pictures: maps lie where they belong, training works are recognised, doubtful pictures get no verdict."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest

from pyqmc_art.art.pictures import UnreadablePicture, encode_jpeg, read_picture, write_picture
from pyqmc_art.art.variants import QUALITIES, vary
from pyqmc_art.art.verdicts import HAND, NONE, VERDICTS
from pyqmc_art.errors import InputError
from pyqmc_art.stats.calibration import Calibration, Zone

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from pyqmc_art.art.detectors.baselines import MetadataDetector, MetadataExtractor
from pyqmc_art.art.detectors.catalogue import load_detector
from pyqmc_art.art.detectors.heads import Head
from pyqmc_art.art.judgement import explain, find_pictures, judge
from pyqmc_art.art.judging import Judge


@pytest.fixture(scope="module")
def bench(model):
    return Judge(load_detector(model))


@pytest.fixture(scope="module")
def one(painted):
    """A picture that the model has not seen."""
    return read_picture(painted / "new/original/original-0001.png")


def test_an_opinion_is_whole(bench, one):
    opinion = bench.judge(one)
    assert opinion.verdict.verdict in VERDICTS
    assert [patch.level for patch in opinion.patches] == [1, 2, 2, 2, 2]
    assert sum(opinion.verdict.votes) == 5
    assert opinion.match is None and not opinion.held_out
    assert set(opinion.verdict.stability.log_odds) == {name for name, _ in vary(one, bench.needed)}
    assert len(opinion.neighbours) == 5
    assert [n.distance for n in opinion.neighbours] == sorted(n.distance for n in opinion.neighbours)
    told = json.loads(json.dumps(opinion.to_json(), allow_nan=False))
    assert list(told)[:6] == ["work", "log_odds", "interval", "verdict", "votes", "warnings"]
    assert told["sha256"] == one.sha256


def test_the_map_lies_on_the_pictures_own_pixels(bench, one):
    """Of a wide picture the middle square is looked at: boxes are given in its pixels, not in the equalised ones."""
    wide = np.zeros((192, 400, 3), np.uint8)
    wide[:, 104:296] = one.pixels.repeat(2, axis=0).repeat(2, axis=1)
    opinion = bench.judge(dataclasses.replace(one, pixels=wide, sha256="wide"))
    assert opinion.region == (104.0, 0.0, 296.0, 192.0)
    assert opinion.patches[0].box == (104.0, 0.0, 296.0, 192.0)
    assert [patch.box for patch in opinion.patches[1:]] == [
        (104.0, 0.0, 200.0, 96.0), (200.0, 0.0, 296.0, 96.0), (104.0, 96.0, 200.0, 192.0), (200.0, 96.0, 296.0, 192.0),
    ]  # fmt: skip


def test_the_evidence_of_a_patch_is_that_of_what_lies_there(bench, one):
    """Only one quarter is changed: its cell moves, the cell across the corner does not."""
    sharp = dataclasses.replace(bench.detector.preparation.equaliser, quality=None)
    detector = dataclasses.replace(
        bench.detector, preparation=dataclasses.replace(bench.detector.preparation, equaliser=sharp)
    )
    before = Judge(detector).judge(one).patches
    own = 0.0
    for number, (top, left) in enumerate(((0, 0), (0, 50), (50, 0), (50, 50)), start=1):
        pixels = one.pixels.copy()
        pixels[top : top + 46, left : left + 46] //= 2
        after = Judge(detector).judge(dataclasses.replace(one, pixels=pixels)).patches
        assert after[5 - number].evidence == before[5 - number].evidence
        own += abs(after[number].evidence - before[number].evidence)
    assert own > 0


class TestTrainingWorks:
    def stored(self, bench, path):
        return next(entry for entry in bench.entries if entry.path == path)

    def expected(self, bench, entry):
        return bench.bench.hand.log_ratio(entry.score).value

    @pytest.mark.parametrize("number", [1, 5])
    def test_the_file_itself(self, bench, painted, number):
        path = f"original/original-{number:04d}.png"
        opinion = bench.judge(read_picture(painted / "train" / path))
        assert opinion.held_out
        assert any("was trained on this work" in one for one in opinion.verdict.warnings)
        entry = self.stored(bench, path)
        same = [one.score for one in bench.entries if (one.work, one.role) == (entry.work, "original")]
        human = [one.human for one in bench.entries if (one.work, one.role) == (entry.work, "original")]
        hand = bench.bench.hand.log_ratio(float(np.mean(same))).value
        made = bench.bench.human.log_ratio(float(np.mean(human))).value
        assert opinion.verdict.log_odds == pytest.approx(-np.logaddexp.reduce([-hand, -made, -hand - made]))

    def test_another_encoding_has_the_same_log_odds(self, bench, painted, tmp_path):
        path = painted / "train/original/original-0003.png"
        (tmp_path / "again.jpg").write_bytes(encode_jpeg(read_picture(path).pixels, 60))
        again, first = bench.judge(read_picture(tmp_path / "again.jpg")), bench.judge(read_picture(path))
        assert again.held_out
        assert again.sha256 != first.sha256
        assert again.verdict.log_odds == first.verdict.log_odds
        assert any("was trained on this work" in one for one in again.verdict.warnings)

    def test_a_crop_gets_no_verdict(self, bench, painted):
        whole = read_picture(painted / "train/proxy/proxy-0002.png")
        crop = dataclasses.replace(whole, pixels=whole.pixels[3:-3, 3:-3].copy(), sha256="crop")
        verdict = bench.judge(crop).verdict
        assert verdict.verdict == NONE
        assert any("a crop, another photograph or a copy" in one for one in verdict.warnings)

    def test_a_stranger_is_not_taken_for_one(self, bench, one):
        assert not any("trained on" in warning for warning in bench.judge(one).verdict.warnings)


class TestDoubts:
    def noise(self, tmp_path):
        pixels = np.random.default_rng(1).integers(0, 256, (120, 130, 3), np.uint8)
        return read_picture(write_picture(tmp_path / "noise.png", pixels))

    def test_noise_gets_no_verdict(self, bench, tmp_path):
        verdict = bench.judge(self.noise(tmp_path)).verdict
        assert verdict.verdict == NONE
        assert verdict.distance.far
        assert any("unlike the training works" in one for one in verdict.warnings)
        assert any("sharpened or noisy" in one for one in verdict.warnings)
        assert math.isfinite(verdict.log_odds)

    def test_a_flat_photograph_gets_no_verdict(self, bench, one):
        flat = dataclasses.replace(one, pixels=np.full((100, 100, 3), 90, np.uint8), sha256="flat")
        assert bench.judge(flat).verdict.verdict == NONE

    def test_how_it_was_captured_is_said(self, bench, one):
        small = dataclasses.replace(one, pixels=one.pixels[:60, :60].copy(), format="WEBP", sha256="small")
        warnings = " ".join(bench.judge(small).verdict.warnings)
        assert "format: WEBP, training works PNG" in warnings
        assert "size: shorter side 60" in warnings

    def test_a_small_picture_gets_no_verdict(self, bench, one):
        tiny = dataclasses.replace(one, pixels=one.pixels[:40, :40].copy(), sha256="tiny")
        verdict = bench.judge(tiny).verdict
        assert verdict.verdict == NONE
        assert any("too small" in warning for warning in verdict.warnings)

    def test_nobody_can_judge_a_dot(self, bench, one):
        with pytest.raises(UnreadablePicture, match="at least 32"):
            bench.judge(dataclasses.replace(one, pixels=one.pixels[:31].copy()))

    def test_verdicts_of_a_refused_model_say_so_first(self, bench, painted):
        facts = dict(bench.detector.facts)
        facts["claims"] = [facts["claims"][0] | {"status": "refused", "reasons": ["a baseline does as well"]}]
        refused = Judge(dataclasses.replace(bench.detector, facts=facts))
        pictures = sorted((painted / "new").rglob("*.png"))
        free = [bench.judge(read_picture(path)).verdict for path in pictures]
        bound = [refused.judge(read_picture(path)).verdict for path in pictures]
        assert any(one.verdict != NONE for one in free)
        assert [(one.verdict, one.log_odds) for one in bound] == [(one.verdict, one.log_odds) for one in free]
        said = [next(w for w in one.warnings if not w.startswith("no verdict")) for one in bound]
        assert all("may not be relied on: a baseline does as well" in one for one in said)


def format_detector():
    """A detector of file formats: it says "the hand" to what is no JPEG. Every verdict of it hangs on the encoding."""
    width = MetadataExtractor().extract(read_of_noise())[0].shape[1]
    line = np.zeros((1, width))
    line[0, 3] = 6.0  # whether the JPEG quality is unknown
    head = Head(np.zeros(width), np.ones(width), line, np.array([-3.0]), 1.0)
    steady = Calibration(1.0, 0.0, np.tile([1.0, 0.0], (100, 1)), 0.0, Zone(-0.1, 0.1, 0.1), 50, 50)
    facts = {"calibration": steady.to_json(), "options": {"hand": "The Master"}}
    return MetadataDetector(MetadataExtractor(), head, facts=facts)


def read_of_noise():
    from pathlib import Path

    from pyqmc_art.art.pictures import Picture

    pixels = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
    return Picture(pixels, Path("noise.png"), "PNG", "abcd")


def test_a_verdict_that_an_encoding_turns_round_is_none():
    opinion = Judge(format_detector()).judge(read_of_noise())
    assert opinion.verdict.log_odds > 0
    assert opinion.verdict.interval[0] > 0, "without the stability panel this were a verdict"
    assert opinion.verdict.verdict == NONE
    assert set(opinion.verdict.stability.flips) == {f"JPEG of quality {q}" for q in QUALITIES}
    assert "encoded or cropped otherwise" in explain(opinion, "The Master")


def test_priors_move_the_odds(model, one):
    detector = load_detector(model)
    even, sure = (Judge(detector, prior, prior_human=0.999999).judge(one).verdict for prior in (0.5, 0.9))
    assert sure.log_odds - even.log_odds == pytest.approx(math.log(9), abs=0.01)
    with pytest.raises(InputError, match=r"prior is 1\.5"):
        Judge(detector, 1.5)


def test_a_detector_without_calibration_cannot_judge(bench):
    with pytest.raises(InputError, match="no calibration"):
        Judge(dataclasses.replace(bench.detector, facts={}))


class TestMany:
    def test_folders_are_walked_in_order_and_nothing_stops_them(self, model, painted, tmp_path):
        folder = tmp_path / "b folder with ünïcode"
        shutil.copytree(painted / "new", folder)
        (folder / "aa.jpg").write_bytes(b"%PDF-1.4 no picture")
        (folder / "notes.txt").write_text("nobody takes this for a picture")
        (folder / "cut.png").write_bytes((folder / "original/original-0001.png").read_bytes()[:300])
        done = judge(model, folder, tmp_path / "missing.png", folder / "original/original-0001.png")
        names = [one.verdict.work for one in done.opinions]
        assert names == sorted(names)
        assert len(names) == 8, "each once"
        assert [problem.path.name for problem in done.problems] == ["aa.jpg", "cut.png", "missing.png"]
        assert [set(one) for one in done.to_json()] == [
            {"work", "log_odds", "interval", "verdict", "votes", "warnings"}
        ] * 8
        assert all(one["log_odds"] is not None for one in done.to_json())
        for name in names:
            assert done.summary().count(f"\n{name}") == 2, "a row in the table, and a sentence"

    def test_the_same_again(self, model, painted):
        first, again = (judge(model, painted / "new/forgery", threads=1).to_json() for _ in range(2))
        assert first == again

    def test_empty_folders(self, tmp_path, painted):
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="no pictures in this folder"):
            find_pictures([tmp_path / "empty"])
        found, problems = find_pictures([tmp_path / "empty", painted / "new"])
        assert len(found) == 8
        assert [str(one.path) for one in problems] == [str(tmp_path / "empty")]


def test_sentences(bench, painted):
    for path in sorted((painted / "new").rglob("*.png")):
        opinion = bench.judge(read_picture(path))
        said = explain(opinion, "The Master")
        if opinion.verdict.verdict == HAND:
            assert said.startswith("the evidence speaks for The Master (odds ")
        elif opinion.verdict.verdict == NONE:
            assert said.startswith("no verdict: ")
            assert ("are for The Master" in said) == (opinion.verdict.log_odds > 0)
        else:
            assert "against The Master" in said


def test_variants_stay_near(one):
    names = [name for name, _ in vary(one, 10)]
    assert len(names) == len(set(names)) == 7
    assert "scaled to 3/4" not in [name for name, _ in vary(one, 96)]
    streams = {other.sha256 for _, other in vary(one, 10)} | {one.sha256}
    assert len(streams) == 8
