"""What detectors and baselines see in the pictures of a study, as the files are and after equalisation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.art.degrade import Equaliser
from pyqmc_art.art.detectors.catalogue import PLAIN, make_extractor
from pyqmc_art.art.detectors.features import Extractor, FeatureTable, make_table
from pyqmc_art.art.detectors.linear import Preparation
from pyqmc_art.art.duplicates import merge_duplicates
from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import Picture
from pyqmc_art.errors import InputError, NumericalError, unknown
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies.gallery import DETECTORS, SIZE, choose_equaliser
from pyqmc_art.studies.shelf import Shelf, make_key

COMMON, WHOLE = "common", "whole"
FILES: Final = "file metadata"
"""Baseline on the files as they came: size, format, quality, bytes per pixel, spectral slope."""
BASELINES: Final = {"equalised metadata": "metadata", "subject": "subject"}
"""Baseline on the equalised pictures -> its extractor."""


@dataclass(frozen=True)
class Evidence:
    """Features of the same pictures, twice: as the files are, and equalised.

    Parameters
    ----------
    manifest : the pictures, near-duplicates merged into works
    raw : detector or ``"file metadata"`` -> features of the pictures as they came
    equal : detector or baseline -> features of the equalised pictures
    notes : what a reader of the results must know
    simulated : whether the pictures are painted, their truth known
    """

    manifest: Manifest
    raw: Mapping[str, FeatureTable]
    equal: Mapping[str, FeatureTable]
    notes: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors."""
        return tuple(name for name in self.raw if name != FILES)

    def take(self, rows: NDArray[np.int64]) -> Evidence:
        """Keep these rows, in this order."""
        raw, equal = ({name: one.take(rows) for name, one in tables.items()} for tables in (self.raw, self.equal))
        return Evidence(self.manifest.keep(rows.tolist()), raw, equal, self.notes, self.simulated)


def check_pictures(listed: Manifest) -> tuple[Manifest, tuple[str, ...]]:
    """Decode every picture; those that cannot be used are left out.

    Returns
    -------
    the manifest of the others, measured, and what a reader must know

    Raises
    ------
    InputError
        When there is no picture that can be used, with the first reasons.
    """
    checked = listed.check()
    problems = [str(one) for one in checked.problems]
    first = "; ".join(problems[:3]) + ("; ..." if len(problems) > 3 else "")
    if not checked.manifest.rows:
        raise InputError(f"no picture can be used ({first}); 'data check' names all of them")
    notes = [f"{len(problems)} problems, what they name was left out: {first}."] if problems else []
    if not any(row.source for row in checked.manifest):
        notes.append("The manifest names no source, so that no claim can be supported: fill in the column source.")
    return checked.manifest, tuple(notes)


def merge_works(manifest: Manifest) -> tuple[Manifest, tuple[str, ...]]:
    """Put near-duplicates into one work, and say which."""
    merged = merge_duplicates(manifest)
    if not merged.pairs:
        return merged.manifest, ()
    rows = merged.manifest.rows
    named = "; ".join(f"{rows[i].path} and {rows[j].path}" for i, j in merged.pairs[:3])
    more = "; ..." if len(merged.pairs) > 3 else ""
    count = f"{len(merged.pairs)} pairs of pictures are one work each and stay"
    one = "1 pair of pictures is one work and stays"
    said = f"{one if len(merged.pairs) == 1 else count} together: {named}{more}."
    return merged.manifest, (said,)


def plan_equalisation(manifest: Manifest, factor: str) -> tuple[Equaliser, str]:
    """Choose the plan for all pictures, and say what it does.

    Parameters
    ----------
    manifest : of measured pictures
    factor : ``"common"``: all are reduced by the largest factor that the smallest affords, and the middle is kept;
        ``"whole"``: the shorter side of each becomes as long, so that the factors differ; or a number

    Raises
    ------
    InputError
        For another word, or a factor that the smallest picture does not afford.
    """
    sides = sorted(min(row.width, row.height) for row in manifest)
    if factor == WHOLE:
        span = f"{sides[0] / SIZE:.2f} to {sides[-1] / SIZE:.2f}"
        return Equaliser(SIZE, WHOLE), f"the shorter side of each became {SIZE} pixels (reduced {span} times)"
    plan = choose_equaliser(manifest)
    if factor != COMMON:
        plan = Equaliser(plan.size, _read_factor(factor, sides[0] / plan.size))
    return (
        plan,
        f"all were reduced {float(plan.factor):.3g} times and cut to the middle {plan.size} x {plan.size} pixels",
    )


def _read_factor(text: str, most: float) -> float:
    try:
        factor = float(text)
    except ValueError:
        raise unknown("factor", text, (COMMON, WHOLE, "a number")) from None
    if not 0 < factor <= most:
        raise InputError(f"factor is {text}; expected a number above 0 up to {most:.4g}, which is what the smallest "
                         "picture affords")  # fmt: skip
    return factor


def choose_extractors(names: Iterable[str]) -> tuple[dict[str, Extractor], tuple[str, ...]]:
    """Make the extractors of detectors; a network of the studies' own that is not installed is left out with a note.

    Raises
    ------
    InputError
        For an unknown name, or when nothing is left.
    """
    made: dict[str, Extractor] = {}
    notes = []
    for name in names:
        try:
            made[name] = make_extractor(name, levels=(1,))
        except (ImportError, InputError) as error:
            if name in PLAIN or name not in DETECTORS:
                raise
            notes.append(f"Without {name}: {error}.")
    if not made:
        raise InputError(f"no detector is left; expected one or more of {', '.join(DETECTORS)}")
    return made, tuple(notes)


def collect_evidence(
    manifest: Manifest,
    pictures: Callable[[], Iterable[Picture]],
    extractors: Mapping[str, Extractor],
    equaliser: Equaliser,
    stream: Stream,
    monitor: Monitor,
    *,
    shelf: Shelf | None = None,
    notes: tuple[str, ...] = (),
    simulated: bool = False,
) -> Evidence:
    """Describe every picture as it is and equalised; no more than one is held in memory.

    Parameters
    ----------
    manifest : of the pictures
    pictures : begins to read them, in the order of the manifest
    extractors : of the detectors
    equaliser : plan of the equalisation
    stream : of its draws
    monitor : hears the progress
    shelf : where tables are kept and looked for
    notes, simulated : see :class:`Evidence`

    Raises
    ------
    NumericalError
        When a feature is not finite, naming the picture.
    """
    preparation = Preparation(equaliser, stream.fold("equalise").key)
    seers = (
        {**extractors, FILES: make_extractor("metadata")},
        {**extractors, **{name: make_extractor(kind) for name, kind in BASELINES.items()}},
    )
    store = shelf or Shelf()
    content = [row.sha256 for row in manifest]
    keys = [
        {name: make_key("confounds", name, one.configuration(), done, content) for name, one in group.items()}
        for group, done in zip(seers, (None, preparation.to_json()), strict=True)
    ]
    kept = [{name: store.find(key, manifest.works) for name, key in group.items()} for group in keys]
    tables = [{name: table for name, table in group.items() if table is not None} for group in kept]
    if any(len(group) < len(all_) for group, all_ in zip(tables, seers, strict=True)):
        tables = _describe(manifest, pictures(), seers, preparation, monitor)
        for group, named in zip(tables, keys, strict=True):
            for name, table in group.items():
                store.keep(named[name], table)
    return Evidence(manifest, tables[0], tables[1], notes, simulated)


def _describe(
    manifest: Manifest,
    pictures: Iterable[Picture],
    seers: tuple[Mapping[str, Extractor], ...],
    preparation: Preparation,
    monitor: Monitor,
) -> list[dict[str, FeatureTable]]:
    """Show every picture, then the same equalised, to its extractors."""
    seen: list[dict[str, list[tuple[NDArray[np.float32], NDArray[np.int64]]]]] = [
        {name: [] for name in group} for group in seers
    ]
    monitor.start("pictures", len(manifest))
    try:
        for picture in pictures:
            for group, shown, found in zip(seers, (picture, preparation.apply(picture)), seen, strict=True):
                for name, extractor in group.items():
                    found[name].append(extractor.extract(shown))
                    if not np.all(np.isfinite(found[name][-1][0])):
                        raise NumericalError(f"{picture.path}: a {name} feature is not finite; check the picture")
            monitor.advance(1)
    finally:
        monitor.finish()
    return [{name: make_table(one, manifest.works) for name, one in found.items()} for found in seen]
