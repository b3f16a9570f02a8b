"""Appraise two ensembles: what they are is found out, and everything that can be asked of both is asked."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.appraisal import FIELDS, PICTURES, Appraisal, Compared, SpectrumComparison
from pyqmc_art.appraise.contest import BASIC, hold_contest
from pyqmc_art.appraise.fields import FieldSet, check_alike, measure, open_fields
from pyqmc_art.appraise.likeness import find_copies, find_kid
from pyqmc_art.appraise.showing import show_momenta
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.profiles import average_units, compare_profiles

Floats = NDArray[np.float64]

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_DRAWS: Final = "fields.h5"


def find_kind(path: str | os.PathLike[str]) -> tuple[str, Path]:
    """Find out whether a path holds fields or pictures, by its content, and which file or folder it is.

    Raises
    ------
    InputError
        When there is nothing.
    """
    place = Path(path)
    if place.is_dir():
        return (FIELDS, place / _DRAWS) if (place / _DRAWS).is_file() else (PICTURES, place)
    if not place.exists():
        raise InputError(f"{place} does not exist; expected a run file with fields, a folder of pictures or a manifest")
    with place.open("rb") as file:
        start = file.read(len(_HDF5))
    return (FIELDS if start == _HDF5 or place.suffix.lower() in (".h5", ".hdf5") else PICTURES), place


def appraise(
    a: str | os.PathLike[str], b: str | os.PathLike[str], *, seed: int = 0, monitor: Monitor | None = None, **more: Any
) -> Appraisal:
    """Appraise two ensembles: are they the same distribution, and where do they differ.

    Parameters
    ----------
    a : the ensemble that counts as genuine: a run file with fields, or a folder or manifest of pictures
    b : the ensemble that is appraised, of the same kind
    seed : of all random numbers
    monitor : hears of progress
    more : of pictures, ``equalise``; see :func:`pyqmc_art.appraise.galleries.appraise_pictures`

    Raises
    ------
    InputError
        For paths that hold nothing, one of fields and one of pictures, fields that cannot be of one distribution, or
        ensembles with too few independent members.
    """
    (kind, first), (other, second) = find_kind(a), find_kind(b)
    if kind != other:
        raise InputError(f"{a} holds {kind} and {b} holds {other}; expected two of a kind")
    stream, heard = Stream.from_seed(seed).fold("appraise"), monitor or Silent()
    if kind == PICTURES:
        from pyqmc_art.appraise.galleries import appraise_pictures

        return appraise_pictures(first, second, stream, seed=seed, monitor=heard, **more)
    if more:
        raise InputError(f"{' and '.join(more)} is for pictures; {a} holds fields")
    heard.start("appraise", 2)
    try:
        one, two = open_fields(first), open_fields(second)
        heard.advance(1)
        return appraise_fields(one, two, stream, seed=seed)
    finally:
        heard.finish()


def appraise_fields(a: FieldSet, b: FieldSet, stream: Stream, *, seed: int = 0) -> Appraisal:
    """Appraise two sets of fields; see :func:`appraise`."""
    begun = time.perf_counter()
    check_alike(a, b)
    action = a.action if a.action is not None else b.action
    contest = hold_contest(a.table, b.table, BASIC, stream.fold("contest"))
    notes = []
    if a.action is not None and b.action is not None and a.action != b.action:
        targets = f"{_couplings(a)} and {_couplings(b)}"
        notes.append(f"the files name different targets: {targets}; observables are those of A")
    found = [measure(one, action) for one in (a, b)]
    observables = tuple(Compared(name, a.estimate(found[0][name]), b.estimate(found[1][name])) for name in found[0])
    for one in observables:
        for which, estimate in (("A", one.a), ("B", one.b)):
            notes += [f"{one.name} of {which}: {text}" for text in estimate.warnings]
    return Appraisal(
        kind=FIELDS, a=a.name, b=b.name, sizes=(a.describe(), b.describe()), contest=contest,
        spectrum=compare_spectra(a, b, stream.fold("spectrum")),
        kid=find_kid(a.table, b.table, "features", stream.fold("kid")), kid_features="field moments, standardised",
        memory=find_copies(a.table, b.table, "features"), observables=observables,
        figures=show_momenta(a, b), notes=tuple(dict.fromkeys(notes)), seed=seed,
        seconds=time.perf_counter() - begun,
    )  # fmt: skip


def compare_spectra(a: FieldSet, b: FieldSet, stream: Stream) -> SpectrumComparison:
    """Compare the structure factors of two sets of fields, block by block."""
    curves = [
        average_units(np.concatenate([one.spectrum.radial, one.spectrum.angular], axis=1), one.table.units)
        for one in (a, b)
    ]
    found = compare_profiles(curves[0], curves[1], stream)
    return SpectrumComparison(found, a.spectrum.frequency, a.spectrum.direction, "power")


def _couplings(one: FieldSet) -> str:
    given = ", ".join(f"{key} = {value}" for key, value in one.action.couplings().items())
    return f"{one.action.name} with {given}"
