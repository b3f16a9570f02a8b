"""Galleries with trained synthesizers: what was learned from is never judged, and a leak is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("diffusers", reason="diffusers is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from pyqmc_art import options
from pyqmc_art.art.collection import MASTER, plan_collection
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.rng import Stream
from pyqmc_art.studies import catalogue, pupils
from pyqmc_art.studies.cuttings import Cuttings, paint_cuttings
from pyqmc_art.studies.gallery import Gallery
from pyqmc_art.studies.pupils import Lesson, teach
from pyqmc_art.studies.regimes import Exhibits, score_works
from pyqmc_art.studies.studio import GENERATORS, Course, hang_gallery

STREAM = Stream.from_seed(9)
COUNTS = {"original": 24, "proxy": 20, "forgery": 8}
TINY = Course(
    size=32, cells=2, width=4, diffusion_width=8, kimg=0.064, tuned_kimg=0.064, diffusion_kimg=0.064, share=0.5
)  # fmt: skip
WORKS = 10


@pytest.fixture(scope="module")
def pictures() -> Cuttings:
    return paint_cuttings(plan_collection(STREAM, COUNTS, 64), 32, 2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def gallery(pictures: Cuttings, place: Path) -> Gallery:
    return hang(pictures, place)


def hang(pictures: Cuttings, place: Path) -> Gallery:
    return hang_gallery(pictures, MASTER, TINY, WORKS, STREAM, place, detectors=("residual",))


def score(gallery: Gallery) -> Any:
    return score_works(gallery, "metadata", ["tuned-gan"], STREAM, folds=3, strengths=(1e-2,))


def test_half_of_the_works_of_each_studied_role_are_learned_from_and_no_other(
    gallery: Gallery, pictures: Cuttings
) -> None:
    roles = {row.sha256: row.role for row in pictures.manifest}
    assert Counter(roles[digest] for digest in gallery.learned) == {"original": 12, "proxy": 10}
    assert {row.work for row in pictures.manifest if row.sha256 in gallery.learned} == gallery.reserved
    judged = gallery.judged()
    assert Counter(row.role for row in judged.manifest if row.role not in GENERATORS) == {
        "original": 12 * 4, "proxy": 10 * 4, "forgery": 8 * 4,
    }  # fmt: skip


def test_machines_make_works_of_as_many_squares_as_people(gallery: Gallery) -> None:
    shown = Exhibits.of(gallery)
    for role in GENERATORS:
        sizes = [len(members) for members, one in zip(shown.members, shown.roles, strict=True) if one == role]
        assert sizes == [4] * WORKS
    assert {len(members) for members in shown.members} == {4}
    assert len({row.sha256 for row in gallery.manifest if row.role in GENERATORS}) == 3 * WORKS * 4


def test_reserved_works_are_trained_on_and_not_judged(gallery: Gallery) -> None:
    found = score(gallery)
    assert not set(found.works) & gallery.reserved
    assert set(found.works) | gallery.reserved == set(gallery.manifest.works)
    assert np.isfinite(found.scores).all()
    # They are in training: what a detector says changes when they are not there.
    assert not np.array_equal(score(gallery.judged()).scores, found.scores)


def test_a_judged_work_that_a_synthesizer_learned_from_is_refused(gallery: Gallery) -> None:
    with pytest.raises(InputError, match="learned from 88 pictures that would be judged"):
        score(replace(gallery, reserved=frozenset()))
    leak = next(row for row in gallery.judged().manifest if row.role == "original")
    with pytest.raises(InputError, match="learned from 4 pictures that would be judged"):
        score(replace(gallery, learned=gallery.learned | {leak.sha256}))


def test_a_synthesizer_that_saw_too_much_is_caught_by_its_own_checksums(
    gallery: Gallery, pictures: Cuttings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the studio is what it should be, but the trainings are given everybody's works."""
    from pyqmc_art.studies import studio

    real = studio.train_makers
    everything = pictures.where(["original", "proxy"])
    monkeypatch.setattr(studio, "train_makers", lambda course, _, *more: real(course, everything, *more))
    leaky = hang(pictures, tmp_path)
    assert leaky.reserved == gallery.reserved
    with pytest.raises(InputError, match="learned from 88 pictures that would be judged"):
        score(leaky)


def test_the_studio_does_not_depend_on_the_order_of_the_pictures(pictures: Cuttings) -> None:
    first, second = pictures.part(STREAM, 0.5)
    turned, _ = pictures.take(range(len(pictures.manifest))[::-1]).part(STREAM, 0.5)
    assert set(first.manifest.works) == set(turned.manifest.works)
    assert not set(first.manifest.works) & set(second.manifest.works)
    one = first.take([3])
    assert np.array_equal(one.pool.images, first.pool.images[12:16])
    with pytest.raises(InputError, match="share is 1"):
        pictures.part(STREAM, 1)


def test_what_was_trained_is_found_again(
    gallery: Gallery, pictures: Cuttings, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("trained again")

    frozen = {kind: replace(one, train=never) for kind, one in pupils.TEACHERS.items()}
    monkeypatch.setattr(pupils, "TEACHERS", frozen)
    again = hang(pictures, place)
    assert again.learned == gallery.learned
    assert again.table("residual").values.tobytes() == gallery.table("residual").values.tobytes()
    with pytest.raises(AssertionError, match="trained again"):
        teach(Lesson("dcgan", 32, 4, 0.032, 1), pictures.pool, place)


def test_a_tuned_pupil_remembers_both_trainings(pictures: Cuttings, place: Path) -> None:
    first = teach(Lesson("dcgan", 32, 4, 0.064, 1), pictures.where(["proxy"]).pool, place)
    second = teach(Lesson("dcgan", 32, 4, 0.064, 1), pictures.where(["original"]).pool, place, before=first)
    assert (first.synthesizer.role, second.synthesizer.role) == ("raw-gan", "tuned-gan")
    assert second.images == 2 * first.images == 128
    assert len(second.seen) == len(first.seen) + COUNTS["original"]
    assert [kimg for kimg, _ in second.sheets] == [0.128]
    with pytest.raises(InputError, match="cannot be tuned as a diffusion"):
        teach(Lesson("diffusion", 32, 8, 0.064, 1), pictures.pool, place, before=first)


@pytest.mark.parametrize("name", ["forgery", pytest.param("unseen-generators", marks=pytest.mark.slow)])
def test_studies_run_on_trained_synthesizers(name: str, tmp_path: Path) -> None:
    overrides = {
        "synthesizers": "trained", "originals": 24, "proxies": 20, "forgeries": 8, "machines": 8, "pixels": 32,
        "resolution": 32, "channels": 8, "raw_kimg": 0.064, "tuned_kimg": 0.064, "diffusion_kimg": 0.064,
        "detectors": ("residual",), "folds": 2, "studied": 0.5, "strengths": (1e-2,),
    }  # fmt: skip
    study = catalogue.configure(name, "quick", overrides, options.parse)
    found = catalogue.answer(study, tmp_path, seed=1, monitor=Silent())
    assert any("22 works of a studio" in note for note in found.notes)
    (sheets,) = [figure for figure in found.figures if figure.name == "samples"]
    assert len(sheets.panels) == 4
    if name == "forgery":
        (headline,) = [table for table in found.tables if table.name == "headline"]
        # Twelve of the 24 originals are learned from; the others are judged.
        assert headline.rows[0][2].split(" = ")[0].endswith("/8")
        assert headline.rows[0][3].split(" = ")[0].endswith("/12")
        assert {row[2] for table in found.tables if table.name == "talk" for row in table.rows}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"synthesizers": "train"}, "did you mean 'trained'"),
        ({"studied": 1.0}, "a share between"),
        ({"cells": 0}, "at least 1"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        catalogue.configure("forgery", "quick", overrides, options.parse)


def test_too_few_works_to_learn_from_are_refused(tmp_path: Path) -> None:
    few = paint_cuttings(plan_collection(STREAM, {"original": 10, "proxy": 20}, 32), 32)
    with pytest.raises(InputError, match=r"the studio has \{'original': 5\}"):
        hang_gallery(few, MASTER, TINY, 4, STREAM, tmp_path, detectors=("residual",))
