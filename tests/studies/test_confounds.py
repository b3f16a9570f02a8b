"""Contrasts and their controls: constructed tables, planted biases, and real pictures where there are."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyqmc_art import options
from pyqmc_art.art.claims import REFUSED, SUPPORTED, UNDECIDED
from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.rng import Stream
from pyqmc_art.stats.ranking import Score, auc
from pyqmc_art.studies import plantings
from pyqmc_art.studies.chance import LEVEL, areas_of_chance, shuffle_labels
from pyqmc_art.studies.confounds import Confounds
from pyqmc_art.studies.contrasts import parse_contrast
from pyqmc_art.studies.controls import Effort, Task, Trial, average_areas, control_within, standardise, try_contrast
from pyqmc_art.studies.evidence import (
    BASELINES,
    FILES,
    Evidence,
    choose_extractors,
    collect_evidence,
    plan_equalisation,
)


def table(values: np.ndarray, works: tuple[str, ...]) -> FeatureTable:
    one = np.asarray(values, np.float32).reshape(len(works), -1)
    return FeatureTable(one, np.arange(len(works)), np.ones(len(works), np.int64), works)


def constructed(seed: int, **given: Any) -> Evidence:
    """Evidence of 20 works of A and 30 of B; every table is noise unless it is given, with the columns given."""
    rng = np.random.default_rng(seed)
    columns = {name: given.pop(name) for name in ("source", "genre") if name in given}
    count = 50
    rows = [Row(f"{k:02d}.png", "original", "A" if k < 20 else "B", sha256=f"{k:02d}") for k in range(count)]
    for name, texts in columns.items():
        rows = [replace(row, **{name: text}) for row, text in zip(rows, texts, strict=True)]
    manifest = Manifest(tuple(rows))
    noise = {name: table(rng.normal(size=(count, 6)), manifest.works) for name in ("d", FILES, *BASELINES)}
    own = {name: table(values, manifest.works) for name, values in given.items()}
    raw = {"d": own.get("raw", own.get("equal", noise["d"])), FILES: own.get("files", noise[FILES])}
    equal = {"d": own.get("equal", noise["d"]), **{name: own.get(name, noise[name]) for name in BASELINES}}
    return Evidence(manifest, raw, equal)


TRUTH = np.arange(50) < 20


def signal(seed: int, strength: float = 3.0, on: np.ndarray = TRUTH) -> np.ndarray:
    values = np.random.default_rng(1000 + seed).normal(size=(50, 6))
    values[:, 0] += strength * on
    return values


def trial(evidence: Evidence, text: str = "A: hand=A v hand=B") -> Trial:
    return try_contrast(evidence, parse_contrast(text), Effort(4, 1), Stream.from_seed(3))


ONE = ["s"] * 50
BOTH = ["s", "t"] * 25


@pytest.mark.parametrize(("seed", "source"), [(0, ONE), (1, BOTH), (2, BOTH)])
def test_a_true_contrast_survives(seed: int, source: list[str]) -> None:
    found = trial(constructed(seed, equal=signal(seed), source=source))
    assert found.status == SUPPORTED, found.rulings
    assert found.works == (20, 30)


@pytest.mark.parametrize("baseline", ["files", *BASELINES])
def test_a_baseline_that_does_as_well_refuses(baseline: str) -> None:
    found = trial(constructed(1, equal=signal(1), source=ONE, **{baseline: signal(2)}))
    assert found.status == REFUSED
    named = FILES if baseline == "files" else baseline
    assert any(f"{named} does as well" in reason for reason in found.rulings["d"].reasons)


def test_what_is_gone_after_equalisation_is_refused() -> None:
    found = trial(constructed(4, raw=signal(4), equal=signal(40, 0.0), source=ONE))
    assert found.status == REFUSED
    assert any("format control" in reason for reason in found.rulings["d"].reasons)


@pytest.mark.parametrize("column", ["source", "genre"])
def test_a_bias_of_a_column_is_gone_within_its_values(column: str) -> None:
    # Three quarters of A and one fifth of B come from x, and x is all that is seen.
    inside = np.array([k % 4 != 0 if k < 20 else k % 5 == 0 for k in range(50)])
    given = {"source": ONE, column: np.where(inside, "x", "y").tolist()}
    found = trial(constructed(5, equal=signal(5, 6.0, inside), **given))
    assert found.status == REFUSED
    control = found.within[column]
    assert control.values == ("x", "y") and control.scores["d"].low <= 0.5 < control.scores["d"].high
    assert any(f"{column} control: only" in reason for reason in found.rulings["d"].reasons)


def test_no_source_with_both_sides_refuses_and_no_source_at_all_decides_nothing() -> None:
    apart = trial(constructed(6, equal=signal(6), source=np.where(TRUTH, "x", "y").tolist()))
    assert apart.status == REFUSED
    assert "no source has both, and the source alone does as well" in apart.rulings["d"].reasons[0]
    silent = trial(constructed(6, equal=signal(6)))
    assert silent.status == UNDECIDED
    assert silent.rulings["d"].reasons == ("source control not possible: the manifest names no source",)


def test_few_works_and_noise_decide_nothing() -> None:
    evidence = constructed(7, source=ONE)
    rows = np.array([0, 1, 2, 3, *range(20, 50)])
    few = trial(evidence.take(rows))
    assert few.status == UNDECIDED and "4 v 30 works are too few" in few.rulings["d"].reasons[0]
    assert not few.claims


@pytest.mark.slow
def test_noise_is_not_supported() -> None:
    """Each of 12 has a chance of 2.5 % to beat shuffled labels, and must beat the baselines besides."""
    assert [trial(constructed(seed, source=ONE)).status for seed in range(12)].count(SUPPORTED) <= 1


def test_shuffled_labels_reach_further_than_an_interval_over_works_says() -> None:
    """Held-out scores share their training works; 20 v 30 independent scores would stay below 0.66."""
    found = []
    for seed in range(4):
        task = Task.of(constructed(seed), parse_contrast("hand=A v hand=B"), Effort(4, 1), Stream.from_seed(seed), ())
        found.append(float(np.quantile(task.shuffle(task.evidence.equal["d"]), LEVEL)))
    assert all(0.66 < limit < 0.85 for limit in found)


def test_labels_that_mean_nothing_stay_below_their_limit_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(40) < 16
    folds = np.array([k % 4 for k in range(40)])
    above = []
    for k in range(40):
        features = rng.normal(size=(40, 12))
        areas = areas_of_chance(features, labels, folds, Stream.from_seed(k), count=200)
        fresh = areas_of_chance(features, labels, folds, Stream.from_seed(1000 + k), count=50)
        above.append(float(np.mean(fresh > np.quantile(areas, LEVEL))))
        assert abs(np.mean(areas) - 0.5) < 0.05
    # 2000 fresh shufflings, 2.5 % expected above; those of one table are judged by one limit.
    assert 0.01 < np.mean(above) < 0.05


def test_shuffling_keeps_the_numbers_of_every_fold() -> None:
    labels, folds = np.arange(30) < 12, np.arange(30) % 3
    shuffled = shuffle_labels(labels, folds, 5, Stream.from_seed(1))
    for fold in range(3):
        assert (shuffled[folds == fold].sum(axis=0) == labels[folds == fold].sum()).all()
    assert len({tuple(column) for column in shuffled.T}) == 5


def test_scores_of_folds_that_lean_apart_are_brought_together() -> None:
    folds = np.repeat(np.arange(5), 10)
    rng = np.random.default_rng(2)
    labels = rng.permuted(np.repeat([True, False], 25))
    # What cross-validation does to noise: the offset of a fold leans against the works that are tested in it.
    share = np.bincount(folds, labels) / 10
    scores = rng.normal(size=50) - 8 * share[folds]
    pooled, fair = scores, standardise(scores, folds)
    assert auc(pooled[labels], pooled[~labels]) < auc(fair[labels], fair[~labels])
    assert np.allclose(np.bincount(folds, fair), 0)


def test_areas_of_several_sources_are_averaged_by_their_works() -> None:
    small, large = Score("AUC", 1.0, 0.5, 1.0, 2, 2), Score("AUC", 0.6, 0.5, 0.7, 20, 20)
    joined = average_areas([small, large])
    assert joined.value == pytest.approx((1 * 1.0 + 10 * 0.6) / 11)
    assert joined.low == pytest.approx(joined.value - np.hypot(0.5 / 11, 0.1 * 10 / 11))
    assert (joined.positives, joined.negatives) == (22, 22)


def test_works_stay_together() -> None:
    """Two pictures of one work that only memory could match: no AUC above chance, and 20 v 30 stays 20 v 30."""
    evidence = constructed(9, source=ONE)
    twins = np.repeat(np.arange(50), 2)
    own = evidence.take(twins)
    rows = [replace(row, path=f"{k}.png", group=row.sha256) for k, row in enumerate(own.manifest)]
    doubled = replace(own, manifest=Manifest(tuple(rows)))
    found = trial(doubled)
    assert found.works == (20, 30)
    assert found.claims["d"].score.value <= found.chance["d"]
    assert (found.claims["d"].score.positives, found.claims["d"].score.negatives) == (20, 30)


def test_a_control_is_not_needed_where_all_have_one_source() -> None:
    evidence = constructed(9, source=ONE)
    task = Task.of(evidence, parse_contrast("hand=A v hand=B"), Effort(4, 1), Stream.from_seed(1), ("source",))
    found = control_within(task, "source")
    assert not found.needed and "all pictures have one source" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_planted_biases_are_refused_and_the_other_hand_is_found(seed: int) -> None:
    """The power test, with the detector that needs no network; every verdict has to be right."""
    stream = Stream.from_seed(seed).fold("planted")
    planted = plantings.plant(stream, 30)
    extractors, _ = choose_extractors(["residual"])
    equaliser, _ = plan_equalisation(planted.manifest, "common")
    evidence = collect_evidence(
        planted.manifest, planted.pictures, extractors, equaliser, stream, Silent(), simulated=True
    )
    for contrast, expected in planted.expected.items():
        found = try_contrast(evidence, contrast, Effort(5, 1), stream)
        assert found.status in expected, (contrast.label, found.rulings)


def test_a_twin_differs_from_the_master_in_nothing_but_the_bias() -> None:
    planted = plantings.plant(Stream.from_seed(1), 12)
    hands: dict[str, set[Any]] = {}
    for row, job in zip(planted.manifest, planted.jobs, strict=True):
        hands.setdefault(row.hand, set()).add(job.hand)
    assert all(len(own) == 1 for own in hands.values())
    master = hands.pop("Simulated Master")
    rival = hands.pop("Simulated Rival")
    assert rival != master and all(own == master for own in hands.values()) and len(hands) == 4
    archived = [sum(row.source == plantings.ARCHIVE for row in planted.manifest.where(hand=h)) for h in hands]
    assert sorted(archived) == [3, 3, 3, 10]


def parse(**settings: Any) -> Confounds:
    return options.parse(Confounds, settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"manifest": "m.csv", "contrasts": ["hand=a"]}, "expected two"),
        ({"manifest": "m.csv", "contrasts": ["x: hand=a v rest", "x: hand=b v rest"]}, "two contrasts are called 'x'"),
        ({"contrasts": ["hand=a v rest"]}, "add manifest"),
        ({"works": 5}, "at least 10"),
        ({"folds": 1}, "folds is 1"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_read(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(**settings)


def test_bad_places_and_names_are_refused(tmp_path: Path) -> None:
    def run(**settings: Any) -> None:
        parse(detectors=["residual"], **settings).run(tmp_path, stream=Stream.from_seed(1), monitor=Silent())

    with pytest.raises(InputError, match="no manifest"):
        run(manifest=str(tmp_path / "none.csv"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no pictures"):
        run(manifest=str(empty))
    for name in ("original", "photo"):
        (tmp_path / name).mkdir()
        for k in range(5):
            (tmp_path / name / f"{k}.jpg").write_bytes(b"%PDF-1.4 not a picture")
    with pytest.raises(InputError, match=r"no picture can be used.*data check"):
        run(manifest=str(tmp_path))
    with pytest.raises(InputError, match="no detector is left"):
        choose_extractors([])
    with pytest.raises(InputError, match="did you mean 'whole'"):
        plan_equalisation(Manifest((Row("a.png", "original", "A", sha256="a", width=300, height=300),)), "hole")
    with pytest.raises(InputError, match="up to 2"):
        plan_equalisation(Manifest((Row("a.png", "original", "A", sha256="a", width=512, height=600),)), "3")


def test_a_folder_of_pictures_becomes_a_page_of_findings(tmp_path: Path) -> None:
    """The whole path on a few small painted files, one of them damaged, one copied: no claim is made of so few."""
    from pyqmc_art.art.collection import plan_collection, write_collection

    plan = plan_collection(Stream.from_seed(5), {"original": 6, "diffusion": 6}, size=96)
    folder = tmp_path / "my pictures"
    write_collection(folder, plan)
    (folder / "manifest.csv").unlink()
    first = folder / "original" / "original-0001.png"
    (folder / "original" / "the same again.png").write_bytes(first.read_bytes())
    (folder / "original" / "broken é.png").write_bytes(first.read_bytes()[:400])
    findings = parse(manifest=str(folder), detectors=["residual"], folds=3).run(
        tmp_path / "out", stream=Stream.from_seed(1), monitor=Silent()
    )
    verdicts = findings.tables[0]
    assert [row[0] for row in verdicts.rows] == ["diffusion"]
    assert verdicts.rows[0][2] == "6 v 6"
    assert verdicts.rows[0][3] in (REFUSED, UNDECIDED)
    assert any("broken é.png" in note for note in findings.notes)
    assert any("1 pair of pictures is one work" in note for note in findings.notes)
    assert len(findings.figures[0].panels) == 1


DATA = os.environ.get("PYQMC_ART_DATA", "")


@pytest.mark.slow
@pytest.mark.skipif(not DATA or not (Path(DATA) / "manifest.csv").exists(), reason="PYQMC_ART_DATA is not set")
def test_real_contrasts_that_are_confounded_are_refused(tmp_path: Path) -> None:
    """Hokusai's works and the prints come from one source for the most part, machines and photographs from others."""
    study = parse(
        manifest=str(Path(DATA) / "manifest.csv"),
        detectors=["residual"],
        contrasts=[
            "prints: hand=Katsushika Hokusai | Utagawa Hiroshige v rest & role=original",
            "Hokusai: hand=Katsushika Hokusai v rest & role=original",
            "AI: role=other-machine v role=original",
            "photographs: role=photo v role=original",
        ],
    )
    findings = study.run(tmp_path, stream=Stream.from_seed(0), monitor=Silent())
    verdicts = {str(row[0]): row for row in findings.tables[0].rows}
    assert [row[3] for row in verdicts.values()] == [REFUSED] * 4
    # Two of the eight Hokusai are one design.
    assert verdicts["Hokusai"][2] == "7 v 61"
    assert "source control: only" in str(verdicts["Hokusai"][1])
    assert "no source has both" in str(verdicts["AI"][1])
