"""Appraise two sets of pictures: judges of residuals, of subjects and of network features; spectra; copies; maps."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.appraisal import PICTURES, Appraisal, SpectrumComparison
from pyqmc_art.appraise.contest import Judge, hold_contest, learn_line
from pyqmc_art.appraise.corrected import write_corrected_pictures
from pyqmc_art.appraise.correction import correct as apply_correction
from pyqmc_art.appraise.likeness import find_copies, find_kid
from pyqmc_art.appraise.maps import show_fingerprint, show_maps
from pyqmc_art.appraise.pictures import Pair, PictureSet, open_pictures, prepare
from pyqmc_art.appraise.spectra import take_spectrum
from pyqmc_art.art.residuals import split_channels
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.stats.profiles import average_units

Floats = NDArray[np.float64]

JUDGES: Final = (Judge("residuals", "residuals", learn_line), Judge("subject", "subject", learn_line))
NETWORK: Final = Judge("network", "network", learn_line)
FILES: Final = Judge("files", "files", learn_line)
MOST_RINGS: Final = 64
SECTORS: Final = 16


def appraise_pictures(
    a: Path,
    b: Path,
    stream: Stream,
    *,
    seed: int = 0,
    monitor: Monitor,
    equalise: str = "auto",
    correct: str | None = None,
    out: Path | None = None,
) -> Appraisal:
    """Appraise two folders or manifests of pictures; see :func:`pyqmc_art.appraise.ensembles.appraise`.

    Parameters
    ----------
    a, b : where they are
    stream : of all random numbers
    seed : that it came of
    monitor : hears of progress
    equalise : ``"auto"``, ``"none"``, or a side in pixels
    correct : method of correction
    out : folder for the corrected pictures
    """
    begun = time.perf_counter()
    monitor.start("pictures", 0)
    try:
        pair = prepare(open_pictures(a, monitor), open_pictures(b, monitor), stream, equalise)
    finally:
        monitor.finish()
    pair, seeing = add_network(pair)
    found = judge_pair(pair, seeing, stream, seed)
    if correct is not None:
        own = apply_correction(pair.a.table, pair.b.table, _choose_judges(seeing), correct, stream.fold("correct"))
        found = dataclasses.replace(found, correction=own)
        if out is not None:
            write_corrected_pictures(out, pair.b, own, a_name=pair.a.files.name, seed=seed)
    return dataclasses.replace(found, seconds=time.perf_counter() - begun)


def _choose_judges(seeing: str) -> tuple[Judge, ...]:
    return (*JUDGES, NETWORK) if seeing else JUDGES


def judge_pair(pair: Pair, seeing: str, stream: Stream, seed: int = 0) -> Appraisal:
    """Appraise two sets of pictures that were made comparable.

    Parameters
    ----------
    pair, seeing : from :func:`add_network`
    stream : of all random numbers
    seed : that it came of
    """
    one, two = pair.a, pair.b
    judges = _choose_judges(seeing)
    view = "network" if seeing else "residuals"
    notes = [f"equalisation: {pair.plan}"]
    if not seeing:
        notes.append("torch is not installed: no network looks at the pictures (pip install 'pyqmc-art[art]')")
    if pair.shared:
        notes.append(f"{pair.shared} works are in both A and B: B holds pictures of A, or near-duplicates of them")
    return Appraisal(
        kind=PICTURES, a=one.files.name, b=two.files.name, sizes=(one.describe(), two.describe()),
        contest=hold_contest(one.table, two.table, judges, stream.fold("contest")),
        spectrum=compare_spectra(one, two, stream.fold("spectrum")),
        kid=find_kid(one.table, two.table, view, stream.fold("kid"), standard=not seeing),
        kid_features=seeing or "residuals, standardised", memory=find_copies(one.table, two.table, view),
        baseline=hold_contest(one.table, two.table, (FILES,), stream.fold("files")).hits,
        figures=(*show_fingerprint(one, two), *show_maps(one, two, stream.fold("maps"))), notes=tuple(notes),
        seed=seed, problems=(*one.files.problems, *two.files.problems),
    )  # fmt: skip


def add_network(pair: Pair) -> tuple[Pair, str]:
    """Add what a network sees, and its name; empty where torch is not installed."""
    try:
        from pyqmc_art.art.metrics.vision import choose_vision
    except ImportError:
        return pair, ""
    vision = choose_vision("auto", 64)
    sets = []
    for one in (pair.a, pair.b):
        views = {**one.table.views, "network": vision.features(one.pixels)}
        sets.append(dataclasses.replace(one, table=dataclasses.replace(one.table, views=views)))
    return dataclasses.replace(pair, a=sets[0], b=sets[1]), vision.name


def compare_spectra(a: PictureSet, b: PictureSet, stream: Stream) -> SpectrumComparison:
    """Compare the logarithms of the mean power of windowed luma in rings and sectors, work by work."""
    curves = []
    for one in (a, b):
        rows = [_take_curve(image) for image in one.pixels]
        curves.append(average_units(np.stack(rows), one.table.units))
    sample = take_spectrum(np.zeros((1, *a.pixels.shape[1:3], 1)), _rings(a), SECTORS)
    return SpectrumComparison.of(curves[0], curves[1], sample.frequency, sample.direction, "log power", stream)


def _rings(one: PictureSet) -> int:
    return int(min(MOST_RINGS, one.pixels.shape[1] // 4))


def _take_curve(image: NDArray[np.uint8]) -> Floats:
    found = take_spectrum(window_luma(image)[None, :, :, None], min(MOST_RINGS, len(image) // 4), SECTORS)
    return np.log(np.concatenate([found.radial[0], found.angular[0]]) + 1e-3)


def window_luma(image: NDArray[np.uint8]) -> Floats:
    """Luma without its mean under a Hann window, so that the borders of the picture make no cross."""
    luma = split_channels(image)[0].astype(np.float64)
    window = np.hanning(len(luma) + 2)[1:-1]
    return np.asarray((luma - luma.mean()) * np.outer(window, window), np.float64)
