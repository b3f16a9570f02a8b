"""The grammar of contrasts: what a text selects from a manifest, and what is no contrast."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError
from pyqmc_art.studies.contrasts import parse_contrast, propose_contrasts, read_groups

ROWS = (
    Row("a.png", "original", "Katsushika Hokusai", sha256="a", title="Salt & Pepper", source="Met: open access"),
    Row("b.png", "original", "Katsushika Hokusai", sha256="b", title="Kramer v Kramer", source="Met: open access"),
    Row("c.png", "original", "Édouard Manet", sha256="c", source="Louvre", style="Realism"),
    Row("d.png", "original", "Claude Monet", sha256="d", source="Louvre", extra=(("technique", "oil"),)),
    Row("e.png", "other-machine", generator="flux", sha256="e", source="web"),
    Row("f.png", "photo", sha256="f", source="web"),
)
MANIFEST = Manifest(ROWS)


def chosen(text: str, manifest: Manifest = MANIFEST) -> tuple[str, str]:
    sides = parse_contrast(text).select(manifest)
    positive, negative = (
        "".join(row.path[0] for row, own in zip(manifest, side, strict=True) if own) for side in sides
    )
    return positive, negative


@pytest.mark.parametrize(
    ("text", "positive", "negative"),
    [
        ("hand=Katsushika Hokusai v rest", "ab", "cdef"),
        ("hand=hokusai vs rest & role=original", "ab", "cd"),
        ("rest & role=original v hand=Hokusai", "cd", "ab"),
        ("Machines: role=ai v role=painting", "e", "abcd"),
        ("hand=Edouard manet | Monet v hand != manet & hand!=monet & role=original", "cd", "ab"),
        ("source=met* v source=Louvre", "ab", "cd"),
        ("title=Kramer v Kramer v title=Salt & Pepper", "b", "a"),
        ("technique=OIL v style=realism", "d", "c"),
        ("artist=Monet against kind=photo", "d", "f"),
    ],
)
def test_a_contrast_selects_what_it_says(text: str, positive: str, negative: str) -> None:
    assert chosen(text) == (positive, negative)


def test_the_label_stands_before_a_colon_and_else_the_contrast_is_its_own() -> None:
    assert parse_contrast("Japanese prints: hand=a | b v rest").label == "Japanese prints"
    plain = parse_contrast("source=deb:gcompris 3.1 v rest")
    assert plain.label == str(plain) == "source=deb:gcompris 3.1 v rest"
    assert parse_contrast(str(plain)) == plain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hand=Hokusai", "1 sides; expected two"),
        ("hand=a v hand=b v hand=c", "3 sides"),
        ("rest v rest", "'rest' on both sides"),
        ("hand= v rest", "cannot be read"),
        ("", "expected two"),
        ("hand=a | v rest", "cannot be read"),
    ],
)
def test_what_is_no_contrast_is_refused_with_an_example(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_contrast(text)
    assert "Katsushika Hokusai" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hand=Hokusay v rest", "unknown hand 'Hokusay'"),
        ("hand=Katsushika Hokusay v rest", "did you mean 'Katsushika Hokusai'"),
        ("role=paintng v rest", "unknown role"),
        ("source=Luvre v rest", "did you mean 'Louvre'"),
        ("genre=portrait v rest", "no row has a genre.*columns with something in them: role"),
        ("hand=Hokusai v role=original", r"2 pictures are on both sides.*a.png.*write 'rest &'"),
        ("hand=Hokusai & role=photo v rest", "positive side.*selects none of 6"),
    ],
)
def test_what_selects_nothing_or_too_much_says_so(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_contrast(text).select(MANIFEST)


def test_without_contrasts_the_manifest_proposes_them() -> None:
    proposed = propose_contrasts(MANIFEST)
    assert [one.label for one in proposed] == ["Katsushika Hokusai", "other-machine", "photo"]
    assert propose_contrasts(MANIFEST, "Manet")[0].label == "Édouard Manet"
    with pytest.raises(InputError, match=r"no contrast with 5 works.*contrasts"):
        propose_contrasts(MANIFEST, fewest=5)
    with pytest.raises(InputError, match="no contrast"):
        propose_contrasts(MANIFEST.where(role="photo"))


def test_sources_that_name_files_are_cut_to_what_they_share() -> None:
    rows = [replace(ROWS[0], source=f"some/repository: folder/{k}.jpg") for k in range(4)]
    assert set(read_groups(Manifest(tuple(rows)), "source")) == {"some/repository"}
    shared = Manifest((ROWS[0], ROWS[0], ROWS[2], ROWS[2]))
    assert read_groups(shared, "source") == ("Met: open access",) * 2 + ("Louvre",) * 2
