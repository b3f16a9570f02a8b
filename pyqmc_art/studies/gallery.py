"""The pictures of an art study: who made them, and what each detector and baseline sees in them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.collection import MASTER, Commission, paint_all, plan_collection
from pyqmc_art.art.degrade import Equaliser, common_downscale
from pyqmc_art.art.detectors.baselines import MetadataExtractor
from pyqmc_art.art.detectors.catalogue import PLAIN, make_extractor
from pyqmc_art.art.detectors.features import Extractor, FeatureTable, collect_tables, make_table
from pyqmc_art.art.detectors.linear import Preparation
from pyqmc_art.art.duplicates import merge_duplicates
from pyqmc_art.art.layouts import open_manifest, read_zenodo
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Picture, read_picture
from pyqmc_art.art.roles import hand_key, resolve_hand
from pyqmc_art.art.rows import Row
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies.shelf import Shelf, make_key

DETECTORS: Final = ("residual", "tf_efficientnet_lite0")
BASELINES: Final = ("metadata", "subject")
FILES: Final = "files"
"""Name of the metadata baseline on the files as they came."""
SIZE: Final = 256
"""Side of the equalised pictures in pixels, where the smallest picture affords it."""
SMALLEST: Final = 64
"""A picture with a shorter side than this is refused: all others would be cut down to it."""
LAYOUTS: Final = ("auto", "zenodo")
_PARTICLES: Final = frozenset(("van", "de", "der", "den", "von", "di", "da", "del", "della", "le", "la", "du"))
"""Words of names that are written small."""


@dataclass(frozen=True)
class Gallery:
    """Pictures with their makers, and what is seen in them.

    Attributes
    ----------
    manifest : one row a picture, near-duplicates in one group
    hand : whose originals are the positive class
    tables : detector or baseline -> features of every row, made from the equalised pictures
    files : what the metadata baseline sees in the files as they came
    simulated : whether the pictures come from the procedural painter
    notes : what a reader must know about the pictures, in words
    reserved : works that may be trained on and are never judged
    learned : checksums of the pictures that synthesizers learned from, none of which may be judged
    samples : pictures to show, with titles
    """

    manifest: Manifest
    hand: str
    tables: Mapping[str, FeatureTable]
    files: FeatureTable
    simulated: bool
    notes: tuple[str, ...] = ()
    reserved: frozenset[str] = frozenset()
    learned: frozenset[str] = frozenset()
    samples: tuple[tuple[str, NDArray[np.uint8]], ...] = ()

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def labels(self) -> NDArray[np.bool_]:
        """True for the originals of the hand."""
        return np.array([row.role == "original" and hand_key(row.hand) == hand_key(self.hand) for row in self.manifest])

    @property
    def roles(self) -> tuple[str, ...]:
        """Role of each row; an original by any other hand is a proxy here."""
        own = self.labels
        return tuple(
            "proxy" if row.role == "original" and not own[i] else row.role for i, row in enumerate(self.manifest)
        )

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the tables that are no baselines."""
        return tuple(name for name in self.tables if name not in BASELINES)

    def judged(self) -> Gallery:
        """Keep the rows whose works are judged.

        Raises
        ------
        InputError
            When a synthesizer learned from one of them.
        """
        rows = [i for i, row in enumerate(self.manifest) if row.work not in self.reserved]
        leaks = [self.manifest.rows[i].path for i in rows if self.manifest.rows[i].sha256 in self.learned]
        if leaks:
            raise InputError(
                f"synthesizers learned from {len(leaks)} pictures that would be judged, {leaks[0]} among them; train "
                "them on other works"
            )
        return self.keep(rows)

    def table(self, name: str) -> FeatureTable:
        """Features by the name of a detector or baseline, ``"files"`` for those of the files as they came.

        Raises
        ------
        InputError
            For any other name.
        """
        known = {**self.tables, FILES: self.files}
        if name not in known:
            raise unknown("table of features", name, known)
        return known[name]

    def keep(self, rows: Iterable[int]) -> Gallery:
        """Keep the rows of these numbers, in this order."""
        chosen = [int(i) for i in rows]
        return dataclasses.replace(
            self,
            manifest=self.manifest.keep(chosen),
            tables={name: table.take(chosen) for name, table in self.tables.items()},
            files=self.files.take(chosen),
        )


def hand_name(hand: str) -> str:
    """A hand as a sentence calls it: manifests also write ``vincent_van_gogh``.

    Examples
    --------
    >>> hand_name("vincent_van_gogh"), hand_name("J. M. W. Turner")
    ('Vincent van Gogh', 'J. M. W. Turner')
    """
    words = hand.replace("_", " ")
    if words != words.lower():
        return words
    return " ".join(word if word in _PARTICLES else word.capitalize() for word in words.split())


def paint_gallery(
    counts: Mapping[str, int],
    stream: Stream,
    *,
    size: int = SIZE,
    gap: float = 1.0,
    proxy_gap: float = 1.0,
    traces: float = 1.0,
    proxies: int = 8,
    forgers: int = 3,
    detectors: Sequence[str] = DETECTORS,
    cache: Path | None = None,
    monitor: Monitor | None = None,
) -> Gallery:
    """Paint a collection whose makers are known, in memory, and describe it.

    Parameters
    ----------
    counts : role -> number of pictures
    stream : of the collection, see :func:`pyqmc_art.art.collection.plan_collection`, and of the equalisation
    size : side in pixels
    gap, proxy_gap, traces, proxies, forgers : as in :func:`pyqmc_art.art.collection.plan_collection`
    detectors : names of extractors
    cache : folder in which features are kept; None keeps none
    monitor : hears the progress

    Raises
    ------
    InputError
        For a collection that cannot be planned, or an unknown detector.
    """
    plan = plan_collection(
        stream, counts, size, gap, proxy_gap=proxy_gap, traces=traces, proxies=proxies, forgers=forgers
    )
    manifest = Manifest(tuple(describe_commission(one, k) for k, one in enumerate(plan)))
    # One picture of each role is painted for the key: another painter must not find the features of this one.
    firsts = {one.role: one for one in reversed(plan)}
    drawn = [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels, _ in paint_all(list(firsts.values()))]
    content = [drawn, [repr(one) for one in plan]]
    extractors, notes = make_extractors(detectors)
    preparation = Preparation(Equaliser(size=size), stream.fold("equalise").key)
    tables, files = describe_pictures(
        lambda: _painted(plan), extractors, preparation, content, manifest.works, Shelf(cache), monitor
    )
    return Gallery(manifest, MASTER, tables, files, True, ("All pictures are simulated.", *notes))


def open_gallery(
    source: Manifest | str | os.PathLike[str],
    hand: str,
    stream: Stream,
    *,
    equaliser: Equaliser | None = None,
    layout: str = "auto",
    detectors: Sequence[str] = DETECTORS,
    cache: Path | None = None,
    monitor: Monitor | None = None,
) -> Gallery:
    """Read somebody's pictures, merge near-duplicates, equalise all of them by one plan and describe them.

    Parameters
    ----------
    source : a manifest, its file, or a folder whose sub-folders are named after roles
    hand : whose originals are the positive class; empty when only one hand has originals
    stream : of the equalisation
    equaliser : the plan; None takes the one of :func:`choose_equaliser`
    layout : of a folder: ``"auto"``, or ``"zenodo"`` for the user's copy of Zenodo record 10276928
    detectors : names of extractors
    cache : folder in which features are kept; None keeps none
    monitor : hears the progress

    Raises
    ------
    InputError
        For pictures that cannot be read (all are named), an unknown hand, or an unknown layout.
    """
    checked = read_manifest(source, hand, layout).attribute(hand).check()
    if checked.problems:
        raise InputError(f"{len(checked.problems)} pictures cannot be used:\n" + "\n".join(map(str, checked.problems)))
    name = choose_hand(checked.manifest, hand)
    merged = merge_duplicates(checked.manifest)
    manifest = merged.manifest
    plan = equaliser or choose_equaliser(manifest)
    preparation = Preparation(plan, stream.fold("equalise").key)
    extractors, notes = make_extractors(detectors)
    tables, files = describe_pictures(
        lambda: map(read_picture, manifest.paths), extractors, preparation, [row.sha256 for row in manifest],
        manifest.works, Shelf(cache), monitor,
    )  # fmt: skip
    said = [_describe_plan(plan), *notes]
    if merged.pairs:
        said.append(f"Pairs of pictures of one work: {len(merged.pairs)}; each stays on one side of every split.")
    if merged.mixed:
        said.append(f"{len(merged.mixed)} works have pictures with different labels; look at the manifest.")
    return Gallery(manifest, name, tables, files, False, tuple(said))


def choose_equaliser(manifest: Manifest) -> Equaliser:
    """Plan one size and one downscale factor that all pictures afford without being enlarged.

    Raises
    ------
    InputError
        When a picture is too small, naming it.
    """
    sizes = [(row.width, row.height) for row in manifest]
    row = min(manifest, key=lambda one: min(one.width, one.height))
    shortest = min(row.width, row.height)
    if shortest < SMALLEST:
        raise InputError(
            f"{manifest.path(row)} is {row.width} x {row.height}; all pictures are cut to the size of the smallest, "
            f"and below {SMALLEST} pixels nothing is left to judge: leave it out, or set factor = 'whole'"
        )
    side = min(SIZE, shortest)
    return Equaliser(size=side, factor=common_downscale(sizes, side))


def describe_commission(one: Commission, number: int) -> Row:
    """Make the row of a planned picture; its path is a name only, for nothing is written."""
    width, height = one.size
    return Row(
        path=f"{one.role}/{number + 1:04d}.png", role=one.role, hand=one.hand, title=one.title, style="simulated",
        genre=one.motif.kind, source="simulated", licence="CC0-1.0", basis="simulated: the maker is known",
        group=one.group, generator=one.generator, seed=f"{one.seed:016x}", width=width, height=height, format="PNG",
        extra=(("truth", json.dumps(one.truth, sort_keys=True)),),
    )  # fmt: skip


def _painted(plan: list[Commission]) -> Iterator[Picture]:
    for pixels, one in paint_all(plan):
        yield Picture(pixels, Path(one.title), "PNG", hashlib.sha256(pixels.tobytes()).hexdigest())


def make_extractors(names: Sequence[str], size: int | None = None) -> tuple[dict[str, Extractor], tuple[str, ...]]:
    """Extractors of the detectors and the baselines; a network that is not installed is left out with a note.

    Parameters
    ----------
    names : of the detectors
    size : side in pixels at which residuals are taken; None takes the usual one
    """
    made: dict[str, Extractor] = {}
    notes: list[str] = []
    for name in (*names, *BASELINES):
        try:
            made[name] = make_extractor(name, size=size if name in PLAIN else None)
        except (ImportError, InputError) as error:
            if name in PLAIN or name not in DETECTORS:
                raise
            notes.append(f"Without {name}: {error}.")
    return made, tuple(notes)


def describe_pictures(
    pictures: Callable[[], Iterable[Picture]],
    extractors: Mapping[str, Extractor],
    preparation: Preparation,
    content: object,
    works: Sequence[str],
    shelf: Shelf,
    monitor: Monitor | None,
) -> tuple[dict[str, FeatureTable], FeatureTable]:
    """Collect what is not on the shelf, in one pass over the pictures, and put it there."""
    kinds = {name: make_key(one.kind, one.configuration(), preparation.to_json(), content)
             for name, one in extractors.items()}  # fmt: skip
    keys = {**kinds, FILES: make_key("metadata of the files", content)}
    found = {name: table for name, key in keys.items() if (table := shelf.find(key, works)) is not None}
    missing = [name for name in extractors if name not in found]
    if missing or FILES not in found:
        eye, files = MetadataExtractor(), []

        def prepared() -> Iterator[Picture]:
            for picture in pictures():
                files.append(eye.extract(picture))
                yield preparation.apply(picture)

        seers = [extractors[name] for name in missing] or [eye]
        seen = dict(zip(missing, collect_tables(seers, prepared(), works, monitor), strict=False))
        seen[FILES] = make_table(files, works)
        for name, table in seen.items():
            found[name] = table
            shelf.keep(keys[name], table)
    return {name: found[name] for name in extractors}, found[FILES]


def read_manifest(source: Manifest | str | os.PathLike[str], hand: str, layout: str) -> Manifest:
    """Read a manifest or folder in one of ``LAYOUTS``.

    Raises
    ------
    InputError
        For an unknown layout, or when there is nothing.
    """
    if layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    if isinstance(source, Manifest):
        return source
    if layout == "auto":
        return open_manifest(source)
    return read_zenodo(source, hand) if hand else read_zenodo(source)


def choose_hand(manifest: Manifest, hand: str = "") -> str:
    """Name of the hand as the manifest writes it; an empty one is the only hand that has originals.

    Raises
    ------
    InputError
        For an unknown hand, or none where several have originals.
    """
    known = Manifest(tuple(row for row in manifest if row.role == "original")).hands()
    if not known:
        raise InputError("the manifest names no hand of any original; give hand = NAME, or fill in the column hand")
    if not hand and len(known) > 1:
        raise InputError(f"there are originals by {', '.join(list(known)[:8])}; say whose with hand = NAME")
    return resolve_hand(hand, known) if hand else next(iter(known))


def _describe_plan(plan: Equaliser) -> str:
    how = "its whole shorter side" if isinstance(plan.factor, str) else f"a downscale factor of {plan.factor:.3g}"
    quality = f"one JPEG of random quality {plan.quality[0]} to {plan.quality[1]}" if plan.quality else "no JPEG"
    return f"Every picture was equalised: the middle, by {how}, at {plan.size} pixels, then {quality}."
