"""Appraise two ensembles: what they are is found out, and everything that can be asked of both is asked."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.appraisal import FIELDS, PICTURES, Appraisal, Compared, SpectrumComparison
from pyqmc_art.appraise.contest import BASIC, Judge, hold_contest
from pyqmc_art.appraise.corrected import check_folder, write_corrected_fields
from pyqmc_art.appraise.correction import METHODS, Correction
from pyqmc_art.appraise.correction import correct as apply_correction
from pyqmc_art.appraise.fields import FieldSet, check_alike, measure_both, open_fields
from pyqmc_art.appraise.likeness import find_copies, find_kid
from pyqmc_art.appraise.showing import show_momenta
from pyqmc_art.art.sniffing import sniff_format
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.autocorrelation import gamma_method
from pyqmc_art.stats.profiles import average_units
from pyqmc_art.stats.selection import average_blocks

Floats = NDArray[np.float64]

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_START: Final = 32
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
        start = file.read(_START)
    found = sniff_format(start)
    if found is not None:
        raise InputError(f"{place} is one picture ({found}); expected a folder of pictures or a manifest")
    return (FIELDS if start.startswith(_HDF5) or place.suffix.lower() in (".h5", ".hdf5") else PICTURES), place


def appraise(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    seed: int = 0,
    correct: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    network: bool = False,
    monitor: Monitor | None = None,
    **more: Any,
) -> Appraisal:
    """Appraise two ensembles: are they the same distribution, and where do they differ.

    Parameters
    ----------
    a : the ensemble that counts as genuine: a run file with fields, or a folder or manifest of pictures
    b : the ensemble that is appraised, of the same kind
    seed : of all random numbers
    correct : ``"mh"``, ``"drs"`` or ``"reweight"``: correct B towards A by what a judge says
    out : folder to write the corrected ensemble into
    force : write into a folder that is not empty
    network : of fields on two axes: let a small network judge them as well; it needs torch
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
    if correct is not None and correct not in METHODS:
        raise unknown("method of correction", correct, METHODS)
    if out is not None and correct is None:
        raise InputError("out is for a corrected ensemble; give correct (mh, drs or reweight) as well, or leave it out")
    place = None if out is None else check_folder(Path(out), force)
    stream, heard = Stream.from_seed(seed).fold("appraise"), monitor or Silent()
    if kind == PICTURES:
        if network:
            raise InputError(f"network is for fields; {a} holds pictures, which a network looks at anyway")
        from pyqmc_art.appraise.galleries import appraise_pictures

        return appraise_pictures(first, second, stream, seed=seed, monitor=heard, correct=correct, out=place, **more)
    if more:
        raise InputError(f"{' and '.join(more)} is for pictures; {a} holds fields")
    judges = choose_judges(network)
    heard.start("appraise", 2)
    try:
        one, two = open_fields(first), open_fields(second)
        heard.advance(1)
        found = appraise_fields(one, two, stream, seed=seed, correct=correct, judges=judges)
        if place is not None and found.correction is not None:
            write_corrected_fields(place, one, two, found.correction, seed=seed, force=force)
        return found
    finally:
        heard.finish()


def appraise_fields(
    a: FieldSet,
    b: FieldSet,
    stream: Stream,
    *,
    seed: int = 0,
    correct: str | None = None,
    judges: Sequence[Judge] = BASIC,
) -> Appraisal:
    """Appraise two sets of fields; see :func:`appraise`. ``judges`` are those of the classifier two-sample test."""
    begun = time.perf_counter()
    check_alike(a, b)
    action = a.action if a.action is not None else b.action
    contest = hold_contest(a.table, b.table, judges, stream.fold("contest"))
    notes = []
    if a.action is not None and b.action is not None and a.action != b.action:
        targets = f"{_couplings(a)} and {_couplings(b)}"
        notes.append(f"the files name different targets: {targets}; observables are those of A")
    notes += [f"{one.name} is weighted, and its weights are not looked at here" for one in (a, b) if one.is_weighted]
    found = measure_both(a, b, action)
    observables = tuple(Compared(name, a.estimate(found[0][name]), b.estimate(found[1][name])) for name in found[0])
    for one in observables:
        for which, estimate in (("A", one.a), ("B", one.b)):
            notes += [f"{one.name} of {which}: {text}" for text in estimate.warnings]
    correction = None if correct is None else correct_fields(a, b, found, correct, stream.fold("correct"), judges)
    memory = find_copies(a.table, b.table, "features")
    if memory.threshold == 0:
        notes.append("equal fields occur by chance on so small a lattice: whether B copies A cannot be told")
    return Appraisal(
        kind=FIELDS, a=a.name, b=b.name, sizes=(a.describe(), b.describe()), contest=contest,
        spectrum=compare_spectra(a, b, stream.fold("spectrum")),
        kid=find_kid(a.table, b.table, "features", stream.fold("kid")), kid_features="field moments, standardised",
        memory=memory, observables=observables,
        figures=show_momenta(a, b), correction=correction, notes=tuple(dict.fromkeys(notes)), seed=seed,
        seconds=time.perf_counter() - begun,
    )  # fmt: skip


def choose_judges(network: bool) -> tuple[Judge, ...]:
    """Judges of fields; with ``network`` a small one of raw fields is among them.

    Raises
    ------
    InputError
        When torch is not installed.
    """
    if not network:
        return BASIC
    try:
        from pyqmc_art.proposals.field_critics import learn_critic
    except ImportError as reason:
        raise InputError(f"a network needs {reason.name}; pip install 'pyqmc-art[learn]'") from None
    return (*BASIC, Judge("network", "fields", learn_critic))


def correct_fields(
    a: FieldSet,
    b: FieldSet,
    measured: Sequence[Mapping[str, Floats]],
    method: str,
    stream: Stream,
    judges: Sequence[Judge] = BASIC,
) -> Correction:
    """Correct B towards A, and measure what was corrected beside the half of A that was kept apart.

    Parameters
    ----------
    measured : observables of each field of A and of B
    method : ``"mh"``, ``"drs"`` or ``"reweight"``
    judges : whose weights are taken
    """
    return find_corrected(a, b, measured, apply_correction(a.table, b.table, judges, method, stream))


def find_corrected(a: FieldSet, b: FieldSet, measured: Sequence[Mapping[str, Floats]], found: Correction) -> Correction:
    """Add to a correction what is measured of the half of A that was kept apart, of B, and of what was corrected."""
    kept, chosen, units = found.weighed.kept, found.chosen, b.table.units
    observables = {}
    for name in measured[0]:
        own = average_blocks(measured[0][name][kept], np.zeros(len(kept)), a.table.units[kept])
        values = measured[1][name][chosen]
        if found.method == "mh":
            after = gamma_method(values)
        else:
            logs = found.weighed.b[chosen] if found.method == "reweight" else np.zeros(len(chosen))
            after = average_blocks(values, logs, units[chosen])
        observables[name] = (own, b.estimate(measured[1][name]), after)
    return dataclasses.replace(found, observables=observables)


def compare_spectra(a: FieldSet, b: FieldSet, stream: Stream) -> SpectrumComparison:
    """Compare the structure factors of two sets of fields, block by block."""
    curves = [
        average_units(np.concatenate([one.spectrum.radial, one.spectrum.angular], axis=1), one.table.units)
        for one in (a, b)
    ]
    return SpectrumComparison.of(curves[0], curves[1], a.spectrum.frequency, a.spectrum.direction, "power", stream)


def _couplings(one: FieldSet) -> str:
    given = ", ".join(f"{key} = {value}" for key, value in one.action.couplings().items())
    return f"{one.action.name} with {given}"
