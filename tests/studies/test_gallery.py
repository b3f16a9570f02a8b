from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyqmc_art.art.collection import MASTER, plan_collection, write_collection
from pyqmc_art.art.degrade import Equaliser
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import read_picture, write_picture
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError, StoreError
from pyqmc_art.rng import Stream
from pyqmc_art.studies import gallery as module
from pyqmc_art.studies.gallery import (
    DETECTORS,
    FILES,
    Gallery,
    choose_equaliser,
    open_gallery,
    paint_gallery,
)
from pyqmc_art.studies.shelf import Shelf, make_key
from pyqmc_art.studies.sources import GallerySource

COUNTS = {"original": 3, "proxy": 3, "forgery": 2, "diffusion": 2}
STREAM = Stream.from_seed(5)


def painted(**options: Any) -> Gallery:
    return paint_gallery(COUNTS, STREAM, size=96, detectors=("residual",), **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("painted") / "pictures"
    write_collection(place, plan_collection(STREAM, COUNTS, size=96))
    return place


@pytest.fixture(scope="module")
def shown() -> Gallery:
    return painted()


def opened(folder: Path, hand: str = "", **options: Any) -> Gallery:
    return open_gallery(folder, hand, STREAM, detectors=("residual",), **options)


def same(one: Gallery, other: Gallery) -> bool:
    names = (*one.tables, FILES)
    return all(one.table(n).values.tobytes() == other.table(n).values.tobytes() for n in names)


def no_extraction(*_: Any) -> Any:
    raise AssertionError("features were extracted again")


def test_a_painted_gallery_describes_every_picture(shown: Gallery) -> None:
    found = shown
    assert found.simulated and found.hand == MASTER and "simulated" in found.notes[0]
    assert found.roles == ("original",) * 3 + ("proxy",) * 3 + ("forgery",) * 2 + ("diffusion",) * 2
    assert found.labels.tolist() == [True] * 3 + [False] * 7
    assert set(found.tables) == {"residual", "metadata", "subject"} and found.detectors == ("residual",)
    for name in (*found.tables, FILES):
        assert len(found.table(name)) == len(found) == 10
    # The files as they came are no JPEG yet.
    assert not np.array_equal(found.files.values, found.table("metadata").values)
    with pytest.raises(InputError, match="did you mean 'residual'"):
        found.table("residuals")


def test_rows_are_kept_together_with_what_is_seen_in_them(shown: Gallery) -> None:
    found = shown
    some = found.keep([7, 0, 4])
    assert some.roles == ("forgery", "original", "proxy")
    assert some.labels.tolist() == [False, True, False]
    for name in (*found.tables, FILES):
        whole, part = found.table(name), some.table(name)
        assert part.works == tuple(whole.works[i] for i in (7, 0, 4))
        assert np.array_equal(part.values[part.owners == 0], whole.values[whole.owners == 7])


def test_an_original_by_another_hand_is_a_proxy(shown: Gallery) -> None:
    found = shown
    rows = list(found.manifest.rows)
    rows[0] = Row(rows[0].path, "original", "Somebody Else", group=rows[0].group)
    other = Gallery(Manifest(tuple(rows)), found.hand, found.tables, found.files, True)
    assert other.roles[:2] == ("proxy", "original") and other.labels[:2].tolist() == [False, True]


def test_features_are_extracted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = painted(cache=tmp_path)
    kept = sorted(tmp_path.glob("*.npz"))
    assert len(kept) == 4
    for path in kept:
        with np.load(path, allow_pickle=False) as stored:
            assert set(stored) == {"values", "owners", "levels"}
    with monkeypatch.context() as patch:
        patch.setattr(module, "collect_tables", no_extraction)
        assert same(painted(cache=tmp_path), first)
        # Other pictures, another equalisation and another extractor are none of these.
        with pytest.raises(AssertionError, match="again"):
            painted(cache=tmp_path, gap=2.0)
        with pytest.raises(AssertionError, match="again"):
            paint_gallery(COUNTS, Stream.from_seed(6), size=96, detectors=("residual",), cache=tmp_path)
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    assert same(painted(cache=tmp_path), first)


def test_a_shelf_gives_nothing_that_does_not_fit(shown: Gallery, tmp_path: Path) -> None:
    found = shown.table("subject")
    shelf = Shelf(tmp_path / "new")
    shelf.keep("key", found)
    kept = shelf.find("key", found.works)
    assert kept is not None and np.array_equal(kept.values, found.values)
    assert shelf.find("key", found.works[:-1]) is None
    assert shelf.find("other", found.works) is None
    assert Shelf().find("key", found.works) is None
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot keep features"):
        Shelf(tmp_path / "file" / "inside").keep("key", found)
    assert make_key("a", [1]) != make_key("a", [2])


def test_files_are_read_equalised_and_described(folder: Path, shown: Gallery) -> None:
    found = opened(folder)
    assert not found.simulated and found.hand == MASTER
    assert sorted(found.roles) == sorted(shown.roles)
    assert "at 96 pixels" in found.notes[0]
    # Opened by its manifest, in another order of the rows, it is the same.
    listed = open_gallery(folder / "manifest.csv", MASTER, STREAM, detectors=("residual",))
    order = [row.path for row in listed.manifest]
    assert same(listed.keep([order.index(row.path) for row in found.manifest]), found)


def test_the_second_opening_extracts_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(folder, cache=tmp_path)
    monkeypatch.setattr(module, "collect_tables", no_extraction)
    assert same(opened(folder, cache=tmp_path), first)
    with pytest.raises(AssertionError, match="again"):
        opened(folder, cache=tmp_path, equaliser=Equaliser(size=64))


def test_a_photograph_of_the_same_work_joins_its_group(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "pictures"
    shutil.copytree(folder, place)
    original = read_picture(place / "original" / "original-0001.png")
    (place / "original" / MASTER).mkdir()
    write_picture(place / "original" / MASTER / "again.jpg", original.pixels[2:-1, 1:-2], 80)
    found = opened(place)
    works = [row.work for row in found.manifest if row.path.endswith(("original-0001.png", "again.jpg"))]
    assert len(works) == 2 and len(set(works)) == 1
    assert any("one side of every split" in note for note in found.notes)


def test_the_equaliser_is_one_that_all_afford(folder: Path) -> None:
    def sized(*sizes: tuple[int, int]) -> Manifest:
        return Manifest(tuple(Row(f"{i}.png", "original", width=w, height=h) for i, (w, h) in enumerate(sizes)))

    assert choose_equaliser(sized((2000, 1024), (512, 600))) == Equaliser(size=256, factor=2.0)
    assert choose_equaliser(sized((2000, 1024), (100, 600))) == Equaliser(size=100, factor=1.0)
    with pytest.raises(InputError, match=r"1\.png is 30 x 600"):
        choose_equaliser(sized((2000, 1024), (30, 600)))


def test_the_published_layout_is_read_from_a_mimic(folder: Path, tmp_path: Path) -> None:
    """Zenodo 10276928: what its folders are called was not at hand; words in names decide."""
    parts = {"original": "Van Gogh/originals", "proxy": "similar_artists", "forgery": "forgeries/Wacker",
             "diffusion": "stable-diffusion"}  # fmt: skip
    for role, name in parts.items():
        shutil.copytree(folder / role, tmp_path / "zenodo" / name)
    found = open_gallery(tmp_path / "zenodo", "", STREAM, layout="zenodo", detectors=("residual",))
    assert found.hand == "Vincent van Gogh"
    assert {role: found.roles.count(role) for role in COUNTS} == COUNTS
    assert {row.hand for row in found.manifest if row.role == "forgery"} == {"Otto Wacker"}
    assert {row.generator for row in found.manifest if row.role == "diffusion"} == {"Stable Diffusion 2.0"}


def test_bad_pictures_are_all_named(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "pictures"
    shutil.copytree(folder, place)
    (place / "proxy" / "proxy-0001.png").write_bytes(b"")
    (place / "forgery" / "forgery-0001.png").write_text("no picture")
    with pytest.raises(InputError) as caught:
        opened(place)
    assert "2 pictures" in str(caught.value)
    assert "proxy-0001.png" in str(caught.value) and "forgery-0001.png" in str(caught.value)


def test_whose_originals_must_be_clear(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown hand"):
        opened(folder, "Hokusai")
    with pytest.raises(InputError, match="layout"):
        opened(folder, layout="zendo")
    manifest = Manifest.read(folder / "manifest.csv")
    rows = [row if row.role != "proxy" else Row(row.path, "original", row.hand) for row in manifest]
    with pytest.raises(InputError, match="say whose"):
        open_gallery(Manifest(tuple(rows), folder), "", STREAM, detectors=("residual",))
    nobody = [Row(row.path, row.role) for row in manifest]
    with pytest.raises(InputError, match="column hand"):
        open_gallery(Manifest(tuple(nobody), folder), "", STREAM, detectors=("residual",))


def test_a_network_that_is_not_installed_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    made = module.make_extractor

    def without(name: str, size: int | None = None) -> Any:
        if name == DETECTORS[1]:
            raise InputError("the weights are not installed")
        return made(name, size=size)

    monkeypatch.setattr(module, "make_extractor", without)
    found = paint_gallery({"original": 1, "proxy": 1}, STREAM, size=64)
    assert found.detectors == ("residual",)
    assert any("not installed" in note for note in found.notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "flat"}, "layout"),
        ({"factor": "half"}, "factor"),
        ({"folds": 1}, "folds"),
        ({"repeats": 0}, "repeats"),
        ({"strengths": (0.0,)}, "strengths"),
        ({"hand": "Hokusai"}, "no manifest"),
    ],
)
def test_sources_refuse_what_cannot_be_used(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GallerySource(**settings)


def test_a_source_opens_both_kinds(folder: Path, tmp_path: Path) -> None:
    from pyqmc_art.monitor import Silent

    small = {"detectors": ("residual",), "originals": 2, "proxies": 2, "forgeries": 1, "machines": 1, "pixels": 64}
    assert GallerySource(**small).open_gallery(tmp_path, Silent()).simulated
    found = GallerySource(manifest=str(folder), factor="whole", detectors=("residual",)).open_gallery(
        tmp_path, Silent()
    )
    assert not found.simulated and "whole shorter side" in found.notes[0]
    assert len(list((tmp_path / "features").glob("*.npz"))) == 8
