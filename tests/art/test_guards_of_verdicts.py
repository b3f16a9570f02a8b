"""Acceptance tests of the guards that concern numbers and verdicts; those of pictures and splits stand in test_guards.

The table in ``docs/theory/guards.md`` names the tests; the last test here holds it to that.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pyqmc_art.art.audit import audit_labels
from pyqmc_art.art.collection import plan_collection, write_collection
from pyqmc_art.art.degrade import Degradation
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import decode_picture, encode_jpeg, read_picture, write_picture
from pyqmc_art.art.rows import Row
from pyqmc_art.art.scorecard import Outcomes, score_contrast, tabulate_recalls
from pyqmc_art.art.verdicts import HAND, NONE, TOLERANCE, Bench, PatchScores, judge_work, score_work
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.stats.calibration import Calibration, calibrate, choose_threshold
from pyqmc_art.stats.comparisons import adjust_holm, mcnemar
from pyqmc_art.stats.crossvalidation import calibrate_nested, score_out_of_fold
from pyqmc_art.stats.proportions import Rate

STREAM = Stream.from_seed(61)
ROOT = Path(__file__).resolve().parents[2]


def texture(seed: int, blur: float = 0.7, size: int = 64) -> np.ndarray:
    """Noise as rough as somebody's brush."""
    drawn = np.random.default_rng(seed).normal(128, 50, (size, size, 3))
    return np.clip(np.rint(gaussian_filter(drawn, (blur, blur, 0))), 0, 255).astype(np.uint8)


# Imbalance


def test_every_recall_has_its_sublabel_n_and_interval_and_proxies_are_never_pooled_with_forgeries() -> None:
    """Two hundred easy proxies and two forgeries, none caught: 99 % are right all the same, and the table shows it."""
    roles = ["original"] * 50 + ["proxy"] * 200 + ["forgery"] * 2
    makers = [""] * 250 + ["Wacker", "Myatt"]
    outcomes = Outcomes(np.repeat([1.0, -1.0, 1.0], [50, 200, 2]), roles, makers)
    table = tabulate_recalls(outcomes)
    assert [str(row[2]) for row in table.rows] == [
        "50/50 = 1.00 [0.93, 1.00]",
        "200/200 = 1.00 [0.98, 1.00]",
        "0/1 = 0.00 [0.00, 0.79]",
        "0/1 = 0.00 [0.00, 0.79]",
    ]
    with pytest.raises(InputError, match="would hide the few forgeries"):
        score_contrast(outcomes, ["proxy", "forgery"], STREAM)


# Thresholds and calibration


def difference_of_means(features: np.ndarray) -> Callable[..., np.ndarray]:
    def learn(train: np.ndarray, known: np.ndarray, test: np.ndarray) -> np.ndarray:
        line = features[train][known].mean(axis=0) - features[train][~known].mean(axis=0)
        return np.asarray(features[test] @ line)

    return learn


def test_planted_threshold_on_test_is_caught() -> None:
    """Thresholds and scores of the package keep every bit when tested labels change; the planted fault moves."""
    generator = np.random.default_rng(6)
    labels, outer = np.arange(60) % 2 == 0, np.arange(60) // 15
    learn = difference_of_means(generator.normal(size=(60, 5)) + labels[:, None])

    def nested(known: np.ndarray) -> np.ndarray:
        found = calibrate_nested(learn, known, outer, lambda train: np.arange(train.size) % 4, STREAM, samples=100)
        return np.stack([found.thresholds, found.scores, found.log_ratios], axis=1)

    def on_test(known: np.ndarray) -> np.ndarray:
        scores = score_out_of_fold(learn, np.arange(60), known, outer)
        return np.array([choose_threshold(scores[(outer == k) & known], scores[(outer == k) & ~known]) for k in outer])

    assert audit_labels(nested, labels, outer, STREAM) == ()
    assert audit_labels(on_test, labels, outer, STREAM) == (0, 1, 2, 3)


@pytest.mark.parametrize(("forgeries", "supported"), [(3, False), (19, False), (40, True)])
def test_too_few_forgeries_are_not_called_calibrated(forgeries: int, supported: bool) -> None:
    """Three of three found is [0.44, 1.00]; a calibration on so few is called what it is, in every verdict."""
    assert str(Rate.of(3, 3)) == "3/3 = 1.00 [0.44, 1.00]"
    generator = np.random.default_rng(7)
    line: Calibration = calibrate(generator.normal(2, 1, 126), generator.normal(-2, 1, forgeries), STREAM)
    verdict = judge_work("a", PatchScores([2.0], [1]), Bench(line))
    assert line.supported is supported
    assert any("calibration not supported" in one for one in verdict.warnings) is not supported


# Verdicts


def bench() -> Bench:
    """Judges of well separated classes."""
    generator = np.random.default_rng(2)
    return Bench(calibrate(generator.normal(2, 1, 200), generator.normal(-2, 1, 200), STREAM))


def at_sizes(pixels: np.ndarray, score: Callable[[np.ndarray], float]) -> dict[str, PatchScores]:
    side = pixels.shape[0]
    box = (0.0, 0.0, float(side), float(side))
    sizes = {"three quarters": 3 * side // 4, "half": side // 2}
    shown = {name: Degradation(box, (size, size)).apply(pixels) for name, size in sizes.items()}
    return {name: PatchScores([score(one)], [1]) for name, one in shown.items()}


def test_one_picture_at_three_sizes_is_stable_or_called_unstable() -> None:
    """A score of colours hardly moves with the size; a score of grain does, and the verdict says so or abstains."""
    judges = {
        "colour": lambda pixels: (float(pixels.mean()) - 127) / 2,
        "grain": lambda pixels: float(np.abs(np.diff(pixels.astype(float), axis=0)).mean() - 20) / 5,
    }
    shifts: dict[str, list[float]] = {name: [] for name in judges}
    for name, score in judges.items():
        for seed in range(12):
            pixels = texture(seed, 0.5 + seed / 10)
            verdict = judge_work("a", PatchScores([score(pixels)], [1]), bench(), at_sizes(pixels, score))
            assert verdict.stability is not None
            shifts[name].append(verdict.stability.shift)
            said = " ".join(verdict.warnings)
            if verdict.stability.flips:
                assert verdict.verdict == NONE
            elif verdict.stability.shift > TOLERANCE:
                assert "unstable" in said
            else:
                assert "unstable" not in said
    assert max(shifts["colour"]) <= TOLERANCE < max(shifts["grain"])


def test_nine_votes_against_seven_are_about_a_half() -> None:
    work = score_work([1.0] * 9 + [-1.0] * 7, [4] * 16)
    assert work.votes == (9, 7)
    assert 1 / (1 + math.exp(-work.score)) == pytest.approx(0.5, abs=0.05)


def test_a_picture_that_flips_under_reencoding_gets_no_verdict() -> None:
    """The score counts fine detail, which a poor JPEG takes away: one file is for the hand, the other against it."""
    pixels = texture(3, 0.5)

    def score(shown: np.ndarray) -> float:
        fine = shown.astype(float) - gaussian_filter(shown.astype(float), (1, 1, 0))
        return (float(fine.std()) - 16) / 2

    def judge(qualities: tuple[int, ...]) -> str:
        files = {f"JPEG {q}": decode_picture(encode_jpeg(pixels, q)).pixels for q in qualities}
        variants = {name: PatchScores([score(one)], [1]) for name, one in files.items()}
        return judge_work("a", PatchScores([score(pixels)], [1]), bench(), variants).verdict

    assert score(pixels) > 0 > score(decode_picture(encode_jpeg(pixels, 5)).pixels)
    assert judge((95, 90)) == HAND
    assert judge((95, 90, 5)) == NONE


# Intervals and comparisons


def test_at_most_five_percent_of_true_nulls_are_rejected() -> None:
    """Nine regimes that are no better than the reference, on the same 145 works: verdicts by McNemar, then Holm."""
    generator, rejected, families = np.random.default_rng(8), [], []
    for _ in range(400):
        hard = generator.normal(size=145)
        right = [hard + generator.normal(size=145) < 0.8 for _ in range(10)]
        p = np.array([mcnemar(right[0], one).p_value for one in right[1:]])
        rejected += (p <= 0.05).tolist()
        families.append(bool(np.any(adjust_holm(p) <= 0.05)))
    print(f"rejections under the null: McNemar {Rate.count(rejected)}, any of nine by Holm {Rate.count(families)}")
    assert Rate.count(rejected).value <= 0.05
    assert Rate.count(families).low <= 0.05
    # Without Holm the families would be rejected far more often.
    assert np.mean(np.array(rejected).reshape(-1, 9).any(axis=1)) > 0.06


# Labels


def test_a_row_says_whose_picture_it_is_and_how_anybody_knows(tmp_path: Path) -> None:
    plan = plan_collection(STREAM, {"original": 2, "forgery": 1, "diffusion": 1}, 48)
    manifest = Manifest.read(write_collection(tmp_path, plan))
    for row in manifest:
        assert re.fullmatch("[0-9a-f]{64}", row.sha256)
        assert all((row.source, row.licence, row.basis, row.group))
        assert row.hand or row.generator
    twice = write_picture(tmp_path / "other.png", read_picture(manifest.paths[0]).pixels)
    clash = Manifest((*manifest.rows, Row(twice.name, "forgery", "Somebody")), manifest.root).check()
    assert clash.problems
    assert "other.png" in " ".join(map(str, clash.problems))


def test_the_documented_table_names_tests_that_exist() -> None:
    page = ROOT / "docs" / "theory" / "guards.md"
    if not page.is_file():
        pytest.skip("this copy of the tests lies outside a checkout: no docs")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))
    assert len(named) >= 17
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
