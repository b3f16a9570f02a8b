"""The main job on one page: sample, check against exact results, answer two questions."""

from __future__ import annotations

import importlib.util
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Final

from pyqmc_art import options
from pyqmc_art.backends import default_threads, use_threads
from pyqmc_art.demo_art import show_paintings
from pyqmc_art.demo_forgeries import appraise_ensembles, train_synthesizer
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.chain import sample
from pyqmc_art.lattice.exact import exact_thermodynamics
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Cell, Figure, Findings, Monitor, Picture, Table
from pyqmc_art.report import page
from pyqmc_art.report.run import describe_run
from pyqmc_art.store import provenance
from pyqmc_art.studies import catalogue
from pyqmc_art.testing.certificate import certify

AGREEMENT: Final = 4.0
"""Sigmas up to which a measured and an exact value are said to agree."""

LEAD: Final = (
    "Something proposes, something exact judges, everything measured carries an error bar. This page was made by "
    "one command. On the lattice it samples the Ising model at its critical point, checks every update on this "
    "machine against exact results, answers two questions about dynamics and phase transitions, and lets a judge "
    "tell a forged ensemble from a genuine one. In the gallery a synthesizer learns to paint, and simulated paintings "
    "are put on trial, whose makers are known: which training finds forgeries, what leaks, and which claims have to "
    "be refused."
)

CLOSED: Final = "\n\nThe gallery is closed here: pip install 'pyqmc-art[art]' brings the libraries it needs."


@dataclass(frozen=True)
class Section:
    """One section of the page, and whether it must come out well for the demo to pass.

    Attributes
    ----------
    make : gives the findings and whether they are as they should be
    gallery : whether it needs the extra "art"
    """

    name: str
    make: Callable[[Path, int, Monitor], tuple[Findings, bool]]
    gallery: bool = False


def run_demo(out: Path, *, seed: int, monitor: Monitor) -> tuple[Path, bool]:
    """Run all sections and write ``out/index.html`` and ``out/run.h5``; an earlier demo in ``out`` is replaced.

    Parameters
    ----------
    out : folder, made if need be
    seed : of all random numbers; the sampling run has 7 + seed
    monitor : hears the progress

    Returns
    -------
    the page, and whether everything that is compared with exact results agrees

    Raises
    ------
    InputError
        If the folder cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise InputError(f"cannot make the folder {out}: {reason.strerror}; give another --out") from reason
    closed = not gallery_is_open()
    made = make_sections([one for one in SECTIONS if not (one.gallery and closed)], out, seed, monitor)
    facts = {**provenance.collect(), "seed": seed}
    lead = LEAD + (CLOSED if closed else "")
    target = page.write(
        out / "index.html", "pyqmc_art on this machine", [found for found, _ in made], lead=lead, provenance=facts
    )
    return target, all(fine for _, fine in made)


def make_sections(sections: Sequence[Section], out: Path, seed: int, monitor: Monitor) -> list[tuple[Findings, bool]]:
    """Make the sections of the lattice here and those of the gallery in a process beside this one; in their order."""
    made: dict[int, tuple[Findings, bool]] = {}
    gallery = {place: section.name for place, section in enumerate(sections) if section.gallery}
    with _beside(len(gallery)) as pool:
        waiting = {k: pool.submit(make_section, name, out, seed) for k, name in gallery.items()} if pool else {}
        for place, section in enumerate(sections):
            if place not in waiting:
                made[place] = section.make(out, seed, monitor)
        monitor.start("gallery", len(waiting))
        try:
            for place, future in waiting.items():
                made[place] = future.result()
                monitor.advance(1, section=gallery[place])
        finally:
            monitor.finish()
    return [made[place] for place in range(len(sections))]


def make_section(name: str, out: Path, seed: int) -> tuple[Findings, bool]:
    """Make one section by its name, unseen."""
    section = next(one for one in SECTIONS if one.name == name)
    with use_threads(1):
        return section.make(out, seed, Silent())


@contextmanager
def _beside(tasks: int) -> Iterator[ProcessPoolExecutor | None]:
    """A process beside this one, which Ctrl-C here ends too; None where there is nothing to do or but one core."""
    if not tasks or default_threads() < 2:
        yield None
        return
    ignore = (signal.SIGINT, signal.SIG_IGN)
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=signal.signal, initargs=ignore)
    try:
        yield pool
    except BaseException:
        for child in active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def gallery_is_open() -> bool:
    """Whether the libraries of the art wing are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("PIL", "sklearn", "timm", "torch"))


def sample_critical_ising(out: Path, seed: int, monitor: Monitor) -> tuple[Findings, bool]:
    """Sample 64 x 64 Ising spins at beta_c, compare the energy with Kaufman's, and show the run."""
    begun = time.perf_counter()
    action = Ising(Lattice((64, 64)), beta=ISING_CRITICAL_BETA)
    run = sample(
        action,
        SwendsenWang(action),
        steps=5000,
        warmup=500,
        replicas=4,
        seed=7 + seed,
        measure=("energy", "abs_magnetization"),
        save_every=5000,
        out=out / "run.h5",
        force=True,
        monitor=monitor,
    )
    exact = exact_thermodynamics(action)
    rows: list[tuple[Cell, ...]] = []
    for name, value in run.analyze().items():
        known = exact.energy if name == "energy" else None
        deviation = None if known is None else round(value.deviation(known), 2)
        rate = round(value.ess / run.seconds) if value.ess and run.seconds else None
        rows.append((name, value, known, deviation, round(value.tau_int or 0.0, 2), round(value.ess or 0.0), rate))
    energy = run.analyze()["energy"]
    deviation = energy.deviation(exact.energy)
    agrees = abs(deviation) < AGREEMENT
    figures: tuple[Figure, ...] = (describe_run(run),)
    if run.fields is not None:
        pictures = tuple(Picture(f"replica {r}", spins) for r, spins in enumerate(run.fields[-1]))
        caption = "At the critical point there are domains of every size; each replica has its own."
        figures = (Figure("spins", "Four critical configurations", caption, pictures), *figures)
    return (
        Findings(
            study="sample",
            question="Does the sampler reproduce the exact energy of the critical Ising model on a 64 × 64 torus?",
            answer=f"{'Yes' if agrees else 'No'}: E/V = {energy}, exact {exact.energy:.7f} (Kaufman), "
            f"{deviation:+.1f} sigma away, from {run.measurements} Swendsen-Wang steps of {run.replicas} replicas. "
            "The run itself is beside this page: run.h5.",
            tables=(
                Table(
                    "sample",
                    "What was measured",
                    ("observable", "value(error)", "exact", "deviation in σ", "τ in steps", "ESS", "ESS/s"),
                    tuple(rows),
                    "Errors and integrated autocorrelation times by the Gamma method; ESS: effective number of "
                    "independent samples of all replicas.",
                ),
            ),
            figures=figures,
            configuration=run.configuration,
            seconds=time.perf_counter() - begun,
        ),
        agrees,
    )


def certify_kernels(out: Path, seed: int, monitor: Monitor) -> tuple[Findings, bool]:
    """Judge every kernel on this machine against exact targets."""
    certificate = certify(all=False, seed=seed, monitor=monitor)
    return certificate.findings, certificate.passed


def _study(name: str) -> Callable[[Path, int, Monitor], tuple[Findings, bool]]:
    """Answer a study in its quick form."""

    def answer(out: Path, seed: int, monitor: Monitor) -> tuple[Findings, bool]:
        study = catalogue.configure(name, "quick", {}, options.parse)
        # Studies report deviations; whether the kernels are right is the certificate's judgement.
        return catalogue.answer(study, out, seed=seed, monitor=monitor), True

    return answer


GALLERY: Final = ("forgery", "unseen-generators", "unsupervised", "leakage", "confounds")

SECTIONS: Final[tuple[Section, ...]] = (
    Section("sample", sample_critical_ising),
    Section("certificate", certify_kernels),
    Section("ising-dynamics", _study("ising-dynamics")),
    Section("phase-transition", _study("phase-transition")),
    Section("appraise", appraise_ensembles),
    Section("paintings", show_paintings, gallery=True),
    Section("synthesis", train_synthesizer, gallery=True),
    *(Section(name, _study(name), gallery=True) for name in GALLERY),
)
