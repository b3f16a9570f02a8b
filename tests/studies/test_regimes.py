from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqmc_art.art.audit import audit_split
from pyqmc_art.art.detectors.features import FeatureTable
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.rows import Row
from pyqmc_art.art.scorecard import count_recalls, score_contrast
from pyqmc_art.art.splits import Split
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.studies import regimes as module
from pyqmc_art.studies.gallery import Gallery
from pyqmc_art.studies.regimes import REGIMES, Exhibits, Judge, find_regimes, score_works

STREAM = Stream.from_seed(11)
ONE = (1e-2,)


def table(values: Any, works: Sequence[str]) -> FeatureTable:
    rows = np.asarray(values, np.float32)
    return FeatureTable(rows, np.arange(len(rows)), np.ones(len(rows), np.int64), tuple(works))


def hang(rows: Sequence[Row], values: Any) -> Gallery:
    """A gallery whose only detector sees the given vectors, one a picture."""
    manifest = Manifest(tuple(rows))
    seen = table(values, manifest.works)
    blind = table(np.zeros((len(rows), 1)), manifest.works)
    return Gallery(manifest, "master", {"residual": seen, "metadata": blind}, blind, True)


def collect(counts: dict[str, int], photographs: int = 1) -> list[Row]:
    hands = {"original": "master", "proxy": "painter", "forgery": "forger"}
    return [
        Row(f"{role}-{k}-{p}.png", role, hands.get(role, ""), group=f"{role} {k}")
        for role, count in counts.items()
        for k in range(count)
        for p in range(photographs)
    ]


def planted(counts: dict[str, int], shifts: dict[str, tuple[float, ...]], noise: float = 1.0) -> Gallery:
    """Each role lies at its own place in a few dimensions, originals at 0."""
    rows = collect(counts)
    size = max(map(len, shifts.values()))
    places = np.array([np.pad(shifts.get(row.role, ()), (0, size - len(shifts.get(row.role, ())))) for row in rows])
    return hang(rows, places + noise * np.random.default_rng(1).standard_normal(places.shape))


COUNTS = {"original": 24, "proxy": 24, "forgery": 18, "diffusion": 12}
SHIFTS = {"proxy": (3.0,), "forgery": (0.0, 3.0), "diffusion": (0.0, 2.0, 2.0)}


def test_there_are_ten_regimes() -> None:
    assert len(REGIMES) == 10 and len({regime.name for regime in REGIMES}) == 10
    assert [regime.forgeries for regime in REGIMES] == [False] * 5 + [True] * 5
    assert [one.synthetic for one in REGIMES[:5]] == [one.synthetic for one in REGIMES[5:]]
    shown = planted(COUNTS, SHIFTS)
    assert [regime.name for regime in find_regimes(shown)] == [
        "no synthetic", "diffusion", "forgeries", "forgeries + diffusion",
    ]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_work_is_on_both_sides(data: st.DataObject) -> None:
    """Whatever pictures share a work, even under different roles, one fold tests all of them."""
    roles = data.draw(st.lists(st.sampled_from(["original", "proxy", "forgery"]), min_size=12, max_size=30))
    works = data.draw(st.lists(st.integers(0, 9), min_size=len(roles), max_size=len(roles)))
    rows = [Row(f"{i}.png", role, "master" if role == "original" else "other", group=f"work {work}")
            for i, (role, work) in enumerate(zip(roles, works, strict=True))]  # fmt: skip
    shown = Exhibits.of(hang(rows, np.zeros((len(rows), 1))))
    assert sorted(i for members in shown.members for i in members) == list(range(len(rows)))
    try:
        folds = shown.assign(STREAM.fold("property", len(rows)), 2)
    except InputError:
        return  # too few works of a class, which is said
    for fold in (0, 1):
        split = Split("fold", np.flatnonzero(folds != fold), np.array([], int), np.flatnonzero(folds == fold))
        assert audit_split(split, shown.works) == ()


def test_noise_scores_one_half_although_photographs_are_alike() -> None:
    """Three photographs of each work, alike to the bit: with one of them in training the others would be known."""
    counts = {"original": 30, "proxy": 30}
    rows = collect(counts, photographs=3)
    noise = np.random.default_rng(3).standard_normal((60, 40))
    found = score_works(hang(rows, np.repeat(noise, 3, axis=0)), "residual", (), STREAM, strengths=(1.0,))
    assert len(found.works) == 60
    area = score_contrast(found, ("proxy",), STREAM, samples=200).auc
    assert area.low < 0.5 < area.high and area.value < 0.75


def test_what_is_planted_is_found_and_the_rest_is_not() -> None:
    shown = planted(COUNTS, SHIFTS)
    without = score_works(shown, "residual", (), STREAM, strengths=ONE)
    within = score_works(shown, "residual", ("forgery",), STREAM, strengths=ONE)
    assert score_contrast(without, ("proxy",), STREAM, samples=200).auc.low > 0.8
    # Forgeries differ along another axis, which proxies do not teach.
    blind, taught = (score_contrast(one, ("forgery",), STREAM, samples=200).auc for one in (without, within))
    assert blind.low < 0.5 < blind.high
    assert taught.low > 0.8
    assert count_recalls(within)["forgery / forger"].k > count_recalls(without)["forgery / forger"].k
    # Diffusion pictures lie partly on the forgeries' side and teach it.
    helped = score_works(shown, "residual", ("diffusion",), STREAM, strengths=ONE)
    assert score_contrast(helped, ("forgery",), STREAM, samples=200).auc.value > blind.high
    assert within.trained == ("original", "proxy", "forgery") and helped.trained[-1] == "diffusion"


def test_a_role_that_is_not_trained_on_reaches_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = planted(COUNTS, SHIFTS)
    seen: set[str] = set()
    fit = module.fit_head

    def spy(features: FeatureTable, labels: Any, stream: Stream, **rest: Any) -> Any:
        seen.update(rest["kinds"])
        return fit(features, labels, stream, **rest)

    monkeypatch.setattr(module, "fit_head", spy)
    score_works(shown, "residual", (), STREAM, strengths=ONE)
    assert seen == {"original", "proxy"}
    score_works(shown, "residual", ("forgery", "diffusion"), STREAM, without=("diffusion|diffusion",), strengths=ONE)
    assert seen == {"original", "proxy", "forgery"}


def test_labels_of_tested_works_move_nothing() -> None:
    """What a fold concludes of its own works is the same to the bit whatever these works are said to be."""
    shown = planted(COUNTS, SHIFTS)
    rows = shown.manifest.rows
    fold = Exhibits.of(shown).assign(STREAM, 6)
    test, train = np.flatnonzero(fold == 0), np.flatnonzero(fold != 0)
    lying = [
        Row(row.path, "proxy" if row.role == "original" else "original", "master", group=row.group)
        if fold[i] == 0 else row
        for i, row in enumerate(rows)
    ]  # fmt: skip
    found = []
    for listed in (rows, tuple(lying)):
        gallery = Gallery(Manifest(listed), "master", shown.tables, shown.files, True)
        judge = Judge(Exhibits.of(gallery), gallery.table("residual"), "kind", ONE, STREAM)
        scores, _ = judge.score_fold(train, test, STREAM)
        found.append(scores)
    assert found[0].tobytes() == found[1].tobytes()
    # The labels of training works do move it.
    turned = tuple(Row(r.path, "proxy", "painter", group=r.group) if i == train[0] else r for i, r in enumerate(rows))
    gallery = Gallery(Manifest(turned), "master", shown.tables, shown.files, True)
    other, _ = Judge(Exhibits.of(gallery), gallery.table("residual"), "kind", ONE, STREAM).score_fold(
        train, test, STREAM
    )
    assert other.tobytes() != found[0].tobytes()


def test_every_work_is_judged_once_in_every_repeat_and_order_does_not_matter() -> None:
    shown = planted(COUNTS, SHIFTS)
    two = score_works(shown, "residual", ("forgery",), STREAM, repeats=2, strengths=ONE)
    assert np.all(np.isfinite(np.asarray(two.scores))) and len(two.works) == len(set(two.works)) == len(shown)
    again = score_works(shown, "residual", ("forgery",), STREAM, repeats=2, strengths=ONE)
    assert np.array_equal(np.asarray(two.scores), np.asarray(again.scores))
    order = np.random.default_rng(2).permutation(len(shown))
    mixed = score_works(shown.keep(order), "residual", ("forgery",), STREAM, repeats=2, strengths=ONE)
    scores = dict(zip(two.works, np.asarray(two.scores), strict=True))
    assert np.allclose(np.asarray(mixed.scores), [scores[work] for work in mixed.works], atol=1e-4)


def test_pictures_of_one_work_are_judged_as_one() -> None:
    rows = collect({"original": 12, "proxy": 12}, photographs=2)
    values = np.random.default_rng(5).standard_normal((48, 3)) + 2 * np.array([[row.role == "proxy"] for row in rows])
    found = score_works(hang(rows, values), "residual", (), STREAM, strengths=ONE)
    assert len(found.works) == 24 and found.roles.count("original") == 12


def test_what_cannot_be_trained_is_refused() -> None:
    shown = planted(COUNTS, SHIFTS)
    with pytest.raises(InputError, match="no picture has the role raw-gan"):
        score_works(shown, "residual", ("raw-gan",), STREAM)
    with pytest.raises(InputError, match="unknown role"):
        score_works(shown, "residual", ("forgerie",), STREAM)
    with pytest.raises(InputError, match="table of features"):
        score_works(shown, "swin", (), STREAM)
    with pytest.raises(InputError, match="at least"):
        score_works(planted({"original": 3, "proxy": 24}, SHIFTS), "residual", (), STREAM)
    with pytest.raises(InputError, match="nothing is left"):
        score_works(planted({"original": 12, "forgery": 12}, SHIFTS), "residual", (), STREAM)
