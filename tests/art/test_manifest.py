"""Rows, synonyms, round trips, folders, and a check that names every bad file at once."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyqmc_art.art.commands import check_command, scan_command
from pyqmc_art.art.layouts import open_manifest, read_zenodo, scan_folder
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import read_picture, write_picture
from pyqmc_art.art.roles import MACHINE_ROLES, ROLES, find_role
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError, StoreError

DATA = os.environ.get("PYQMC_ART_DATA", "")
real = pytest.mark.skipif(not DATA, reason="PYQMC_ART_DATA names no folder with real pictures")


def paint(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_picture(path, np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8))


def by_path(manifest):
    return {row.path: row for row in manifest}


def test_a_table_with_synonyms(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("kind,artist,file,License,jpeg_quality_est,doubt\nPaintings,Ann,a b.png,CC0,~94,maybe\n")
    (row,) = Manifest.read(path)
    assert (row.role, row.hand, row.path, row.licence, row.quality) == ("original", "Ann", "a b.png", "CC0", 94)
    assert row.extra == (("doubt", "maybe"),)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_other_delimiters_and_a_byte_order_mark(tmp_path, delimiter):
    path = tmp_path / "m.csv"
    path.write_bytes(
        b"\xef\xbb\xbf" + delimiter.join(["path", "role"]).encode() + f"\na.png{delimiter}photo\n".encode()
    )
    assert Manifest.read(path).rows == (Row("a.png", "photo"),)


def test_json_lines(tmp_path):
    path = tmp_path / "m.csv"  # the content says what it is
    path.write_text('{"file_name": "x.png", "role": "diffusion", "model": "SD", "text": "a hat", "seed": 7}\n\n')
    assert Manifest.read(path).rows == (Row("x.png", "diffusion", generator="SD", prompt="a hat", seed="7"),)


def test_the_hand_of_a_machine_is_its_generator(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("file,kind,artist\na.png,ai,flux_dev\nb.png,diffusion,unknown\n")
    first, second = Manifest.read(path)
    assert (first.hand, first.generator, first.maker) == ("", "flux_dev", "flux_dev")
    assert (second.hand, second.generator, second.maker) == ("", "", "diffusion")


def test_all_bad_rows_are_named_at_once(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("path,role,width\na.png,orignal,\nb.png,photo,wide\n,photo,\nc.png,photo,\n")
    with pytest.raises(InputError) as caught:
        Manifest.read(path)
    text = str(caught.value)
    assert "3 bad rows" in text
    assert "a.png: unknown role 'orignal'; did you mean 'original'?" in text
    assert "b.png: width is 'wide'" in text
    assert "row 3: no path" in text
    loose = Manifest.read(path, strict=False)
    assert [row.path for row in loose] == ["c.png"]
    assert len(loose.problems) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "expected at least path and role"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"path,role\0\n", "not text"),
        (b'{"path": \n', "line 1: is no JSON"),
        (b'{"path": "a"}\n[1]\n', "line 2: is a list"),
        (b'path,role\n"a,b\n', "no CSV"),
    ],
)
def test_what_is_no_manifest(tmp_path, content, reason):
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        Manifest.read(path)


def test_a_missing_manifest_says_how_to_get_one(tmp_path):
    with pytest.raises(InputError, match="data scan"):
        Manifest.read(tmp_path / "m.csv")
    with pytest.raises(InputError, match="cannot read"):
        Manifest.read(tmp_path)


words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
makers = words.filter(lambda w: find_role(w) is None and w.strip() and any(c.isalnum() for c in w))
rows = st.builds(
    lambda role, maker, **rest: Row(
        role=role,
        hand="" if role in MACHINE_ROLES else f"hand {maker}",
        generator=maker if role in MACHINE_ROLES else "",
        **rest,
    ),
    role=st.sampled_from(ROLES),
    maker=makers,
    path=words.filter(lambda w: w.strip(" ./\\")).map(lambda w: "p/" + w.replace("/", "").replace(".", "")),
    title=words,
    prompt=words,
    seed=words,
    note=words,
    licence=words,
    group=words,
    width=st.integers(0, 9999),
    quality=st.integers(0, 100),
    extra=st.lists(st.just(("doubt", 'x, "y"\nz')), max_size=1).map(tuple),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(written=st.lists(rows, max_size=4), suffix=st.sampled_from([".csv", ".jsonl"]))
def test_what_is_written_is_read_again(tmp_path_factory, written, suffix):
    root = tmp_path_factory.mktemp("m")
    path = Manifest(tuple(written), root).write(root / f"m{suffix}")
    if suffix == ".jsonl" and not written:
        with pytest.raises(InputError, match="empty"):
            Manifest.read(path)
    else:
        assert Manifest.read(path).rows == tuple(written)


def test_writing_elsewhere_keeps_the_files_reachable(tmp_path):
    picture = paint(tmp_path / "pictures" / "original" / "a.png", 1)
    manifest = Manifest.scan(tmp_path / "pictures")
    inside = Manifest.read(manifest.write(tmp_path / "m.csv"))
    assert inside.rows[0].path == "pictures/original/a.png"
    (tmp_path / "other").mkdir()
    outside = Manifest.read(manifest.write(tmp_path / "other" / "m.csv"))
    assert outside.paths == (picture,)
    with pytest.raises(InputError, match="suffix"):
        manifest.write(tmp_path / "m.txt")
    with pytest.raises(StoreError, match="cannot write"):
        manifest.write(tmp_path / "none" / "m.csv")


def test_filters_and_counts():
    manifest = Manifest(
        (
            Row("a", "original", "Vincent van Gogh"),
            Row("b", "proxy", "Édouard Manet"),
            Row("c", "original", "vincent_van_gogh"),
            Row("d", "forgery"),
        )
    )
    assert manifest.hands() == {"Vincent van Gogh": 2, "Édouard Manet": 1}
    assert manifest.roles() == {"original": 2, "proxy": 1, "forgery": 1}
    assert [row.path for row in manifest.where(hand="manet")] == ["b"]
    assert [row.path for row in manifest.where(role=("forgery", "proxies"))] == ["b", "d"]
    assert manifest.authentic("Van Gogh").tolist() == [True, False, True, False]
    assert [row.path for row in manifest.keep([3, 0])] == ["d", "a"]
    with pytest.raises(InputError, match="did you mean 'forgery'"):
        manifest.where(role="forgry")
    with pytest.raises(InputError, match="did you mean 'Vincent van Gogh'"):
        manifest.where(hand="Vincent van Gock")
    assert "Vincent van Gogh" in manifest.summary()


def test_part_of_a_name_must_be_one_hands():
    manifest = Manifest((Row("a", "proxy", "Claude Monet"), Row("b", "proxy", "Claude Lorrain")))
    with pytest.raises(InputError, match="may be any of"):
        manifest.where(hand="claude")


def test_folders_named_after_roles(tmp_path):
    for number, path in enumerate(
        ["Originals/a.png", "van gogh/original/b.png", "van gogh/forgery/c.png", "forgeries/Wacker/d.png",
         "diffusion/SD 2/e.png", "proxy/Émile Bernard/ü ñ.png", "van gogh/raw_gan/f.png"]
    ):  # fmt: skip
        paint(tmp_path / path, number)
    (tmp_path / "Originals" / "README.md").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    paint(tmp_path / ".hidden" / "x.png", 99)
    found = by_path(Manifest.scan(tmp_path))
    said = {path: (row.role, row.hand, row.generator) for path, row in found.items()}
    assert said == {
        "Originals/a.png": ("original", "", ""),
        "van gogh/original/b.png": ("original", "van gogh", ""),
        "van gogh/forgery/c.png": ("forgery", "", ""),
        "forgeries/Wacker/d.png": ("forgery", "Wacker", ""),
        "diffusion/SD 2/e.png": ("diffusion", "", "SD 2"),
        "proxy/Émile Bernard/ü ñ.png": ("proxy", "Émile Bernard", ""),
        "van gogh/raw_gan/f.png": ("raw-gan", "", ""),
    }


def test_the_scanned_folder_may_itself_be_named_after_a_role(tmp_path):
    paint(tmp_path / "photos" / "a.png", 1)
    assert Manifest.scan(tmp_path / "photos").rows[0].role == "photo"


def test_manifests_inside_are_honoured(tmp_path):
    for number, path in enumerate(["x/1.png", "x/2.png", "proxy/3.png", "deep/original/4.png", "deep/5.png"]):
        paint(tmp_path / path, number)
    (tmp_path / "manifest.csv").write_text("file,kind,artist\nx/1.png,forgery,Ann\n")
    (tmp_path / "deep" / "metadata.jsonl").write_text(
        '{"file_name": "original/4.png", "title": "Four"}\n{"file_name": "5.png", "role": "photo"}\n'
    )
    manifest = Manifest.scan(tmp_path, strict=False)
    found = by_path(manifest)
    assert found["x/1.png"].hand == "Ann"
    assert (found["deep/original/4.png"].role, found["deep/original/4.png"].title) == ("original", "Four")
    assert found["deep/5.png"].role == "photo"
    assert found["proxy/3.png"].role == "proxy"
    assert [Path(p.path).name for p in manifest.problems] == ["2.png"]
    with pytest.raises(InputError, match=r"2\.png"):
        Manifest.scan(tmp_path)


def test_a_damaged_manifest_inside_does_not_hide_the_pictures(tmp_path):
    paint(tmp_path / "original" / "a.png", 1)
    (tmp_path / "manifest.csv").write_bytes(b"")
    manifest = scan_folder(tmp_path)
    assert len(manifest) == 1
    assert "empty" in manifest.problems[0].reason


def test_folders_without_pictures(tmp_path):
    for folder, reason in ((tmp_path, "no pictures"), (tmp_path / "none", "missing")):
        with pytest.raises(InputError, match=reason):
            Manifest.scan(folder)
    file = tmp_path / "f"
    file.write_text("x")
    with pytest.raises(InputError, match="a file"):
        Manifest.scan(file)


def test_a_name_that_is_not_utf8_is_a_problem(tmp_path):
    folder = tmp_path / "original"
    paint(folder / "a.png", 1)
    strange = os.fsencode(folder) + b"/\xff.png"
    try:
        os.link(folder / "a.png", strange)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    manifest = scan_folder(tmp_path)
    assert len(manifest) == 1
    assert "UTF-8" in manifest.problems[0].reason


def spoiled(tmp_path):
    """A folder with one good picture and every kind of bad one."""
    good = paint(tmp_path / "original" / "good.png", 1)
    (tmp_path / "original" / "zero.jpg").write_bytes(b"")
    (tmp_path / "original" / "paper.jpg").write_bytes(b"%PDF-1.4")
    (tmp_path / "original" / "half.png").write_bytes(good.read_bytes()[:300])
    paint(tmp_path / "orignals" / "nowhere.png", 2)
    paint(tmp_path / "original" / "one.png", 3)
    twin = tmp_path / "proxy" / "two.png"
    twin.parent.mkdir()
    twin.write_bytes((tmp_path / "original" / "one.png").read_bytes())
    return {"zero.jpg", "paper.jpg", "half.png", "nowhere.png", "one.png", "two.png"}


def test_a_check_names_every_bad_file(tmp_path):
    bad = spoiled(tmp_path)
    check = Manifest.scan(tmp_path, strict=False).check()
    assert {Path(p.path).name for p in check.problems} == bad
    assert [row.path for row in check.manifest] == ["original/good.png"]
    why = {Path(p.path).name: p.reason for p in check.problems}
    assert "zero bytes" in why["zero.jpg"]
    assert "PDF" in why["paper.jpg"]
    assert "did you mean 'original'" in why["nowhere.png"]
    assert "two labels" in why["one.png"]
    (row,) = check.manifest
    picture = read_picture(tmp_path / row.path)
    assert (row.sha256, row.width, row.height, row.format) == (picture.sha256, 30, 20, "PNG")


def test_a_check_compares_with_the_manifest(tmp_path):
    paint(tmp_path / "a.png", 1)
    rows = (
        Row("a.png", "photo", sha256="0" * 64),
        Row("a.png", "photo", width=30, height=21),
        Row("gone.png", "photo"),
    )
    check = Manifest(rows, tmp_path).check()
    first, second, third = (problem.reason for problem in check.problems)
    assert first.startswith("sha256 is ")
    assert second == "is 30 x 20, but the manifest says 30 x 21"
    assert third == "there is no such file"
    assert not check.manifest.rows


def test_two_files_of_one_content_and_one_label_are_no_clash(tmp_path):
    first = paint(tmp_path / "original" / "a.png", 1)
    (tmp_path / "original" / "b.png").write_bytes(first.read_bytes())
    assert Manifest.scan(tmp_path).check().problems == ()


def test_the_commands_say_all_and_end_with_two(tmp_path):
    bad = spoiled(tmp_path)
    outcome = check_command(tmp_path)
    assert outcome.status == 2
    assert {Path(line.split(": ")[0]).name for line in outcome.problems} == bad
    out = tmp_path / "manifest.csv"
    outcome = scan_command(tmp_path, out)
    assert outcome.status == 2
    assert len(outcome.problems) == len(bad)
    assert [row.path for row in Manifest.read(out)] == ["original/good.png"]
    assert "1 pictures" in outcome.report
    with pytest.raises(InputError, match="--force"):
        scan_command(tmp_path, out)
    assert check_command(out).status == 0


def test_commands_refuse_nothing_at_all(tmp_path):
    (tmp_path / "original").mkdir()
    (tmp_path / "original" / "a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="no readable picture"):
        scan_command(tmp_path, tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()
    empty = tmp_path / "e.csv"
    empty.write_text("path,role\n")
    with pytest.raises(InputError, match="names no picture"):
        check_command(empty)


ZENODO = {
    "Dataset/Originals/F123.jpg": ("original", "Vincent van Gogh", ""),
    "Dataset/proxies/gauguin_1.jpg": ("proxy", "", ""),
    "Dataset/Forgeries/Wacker/F385.jpg": ("forgery", "Otto Wacker", ""),
    "Dataset/Forgeries/Myatt/vangogh.jpg": ("forgery", "John Myatt", ""),
    "Dataset/synthetic/StyleGAN2 raw/seed1.png": ("raw-gan", "", "StyleGAN2"),
    "Dataset/synthetic/tuned_gan/seed2.png": ("tuned-gan", "", "StyleGAN2"),
    "Dataset/synthetic/stable_diffusion/apples.png": ("diffusion", "", "Stable Diffusion 2.0"),
    "Dataset/test/wacker_03.png": ("forgery", "Otto Wacker", ""),
}


def test_a_mimic_of_the_published_record(tmp_path):
    for number, path in enumerate(ZENODO):
        paint((tmp_path / path).with_suffix(".png"), number).rename(tmp_path / path)
    (tmp_path / "Dataset" / "README.txt").write_text("x")
    manifest = read_zenodo(tmp_path)
    assert {row.path: (row.role, row.hand, row.generator) for row in manifest} == ZENODO
    assert manifest.check().problems == ()
    paint(tmp_path / "Dataset" / "misc" / "a.png", 50)
    with pytest.raises(InputError, match=r"1 pictures are not recognised(.|\n)*a\.png"):
        read_zenodo(tmp_path)
    assert len(read_zenodo(tmp_path, strict=False)) == len(ZENODO)
    with pytest.raises(InputError, match="unpacked"):
        read_zenodo(tmp_path / "none")


@real
def test_the_real_manifests_are_clean():
    upper = Manifest.read(Path(DATA) / "manifest.csv")
    assert upper.check().problems == ()
    assert upper.roles()["original"] == 69
    assert "Katsushika Hokusai" in upper.hands()
    lower = Manifest.read(Path(DATA) / "van_gogh" / "manifest.csv")
    check = lower.check()
    assert check.problems == ()
    assert check.manifest.roles() == {"original": 152, "proxy": 186, "forgery": 10, "tuned-gan": 12, "diffusion": 22}
    declared = {row.path: (row.format, row.quality) for row in lower}
    assert {row.path: row.format for row in check.manifest} == {path: form for path, (form, _) in declared.items()}
    clear = [row for row in check.manifest if row.hand == "vincent_van_gogh"]
    assert all(row.quality == declared[row.path][1] for row in clear)


@real
def test_the_whole_folder_scans_like_its_manifests():
    manifest = open_manifest(DATA)
    upper = Manifest.read(Path(DATA) / "manifest.csv")
    lower = Manifest.read(Path(DATA) / "van_gogh" / "manifest.csv")
    assert len(manifest) == len(upper) + len(lower)
    moved = {dataclasses.replace(row, path=f"van_gogh/{row.path}") for row in lower}
    assert set(manifest) == set(upper) | moved


def test_originals_of_nobody_are_attributed_to_the_hand_that_is_asked_for():
    rows = (Row("a.png", "original", sha256="a"), Row("b.png", "proxy", "Claude Monet", sha256="b"))
    known = Manifest(rows).attribute("Vincent van Gogh")
    assert known.hands() == {"Vincent van Gogh": 1, "Claude Monet": 1}
    assert known.authentic("van Gogh").tolist() == [True, False]
    assert (
        Manifest((*rows, Row("c.png", "original", "Claude Monet", sha256="c"))).attribute("Vincent").rows[0].hand == ""
    )
    with pytest.raises(InputError, match="no row names a hand"):
        Manifest(rows[:1]).authentic("Vincent")
