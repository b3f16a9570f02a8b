"""The sections of the demo about forgeries that are made on the spot: of fields, and by a trained synthesizer."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.chain import sample
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.protocols import Cell, Findings, Monitor, Table
from pyqmc_art.rng import Stream
from pyqmc_art.stats.hits import show_p_value

if TYPE_CHECKING:
    from pyqmc_art.appraise.appraisal import Appraisal

SHIFT: Final = 0.99
"""The forged ensemble is made at so much of the critical beta."""
STEPS: Final = 4000
"""Of each of two chains."""
SURE: Final = 1e-3
"""The demo fails when two ensembles of one target are told apart at this level: once in a thousand seeds."""
SYNTHESIS: Final = {
    "kinds": ("diffusion",), "pictures": 160, "kimg": 7.0, "few_kimg": 1.0, "snapshots": 1, "early": 0.1, "made": 140,
}  # fmt: skip
"""Of the study of synthesizers: what a minute affords."""


def appraise_ensembles(out: Path, seed: int, monitor: Monitor) -> tuple[Findings, bool]:
    """Appraise two ensembles of one target, and one that was made slightly too hot."""
    from pyqmc_art.appraise.appraisal import DIFFERENT
    from pyqmc_art.appraise.ensembles import appraise_fields
    from pyqmc_art.appraise.fields import open_fields
    from pyqmc_art.appraise.findings import tell

    begun = time.perf_counter()
    stream = Stream.from_seed(seed).fold("ensembles of the demo")
    genuine, again, forged = (
        replace(open_fields(make_ensemble(out / f"{name}.h5", share, stream.fold(f"{name} run"), monitor)), name=name)
        for name, share in (("genuine", 1.0), ("again", 1.0), ("forged", SHIFT))
    )
    same, other = (appraise_fields(genuine, one, stream.fold(one.name), seed=seed) for one in (again, forged))
    found = tell(other)
    answer = (
        f"Two runs of critical Ising spins: p = {show_p_value(same.p_value)}, {_say(same)}. Such a run and a forged "
        f"one, made at {SHIFT:g} of the critical beta: p = {show_p_value(other.p_value)}, {_say(other)}. The tables "
        f"are those of the forgery.\n\n{found.answer}"
    )
    findings = replace(
        found, question="Is an ensemble of fields what it claims to be, and would a forged one be noticed?",
        answer=answer, tables=(_compare(same, other), *found.tables), seconds=time.perf_counter() - begun,
    )  # fmt: skip
    return findings, same.p_value > SURE and other.verdict == DIFFERENT


def make_ensemble(path: Path, share: float, stream: Stream, monitor: Monitor) -> Path:
    """Sample 24 x 24 Ising spins at a share of the critical beta and keep every fifth of the fields."""
    action = Ising(Lattice((24, 24)), beta=share * ISING_CRITICAL_BETA)
    sample(
        action, SwendsenWang(action), steps=STEPS, warmup=200, replicas=2, seed=stream.key >> 1, save_every=5, out=path,
        force=True, monitor=monitor,
    )  # fmt: skip
    return path


def train_synthesizer(out: Path, seed: int, monitor: Monitor) -> tuple[Findings, bool]:
    """Train a small diffusion model on simulated originals: its pictures early and late, and whether it copies."""
    from pyqmc_art import options
    from pyqmc_art.studies import catalogue

    study = catalogue.configure("synthesis", "quick", SYNTHESIS, options.parse)
    return catalogue.answer(study, out, seed=seed, monitor=monitor), True


def _say(found: Appraisal) -> str:
    from pyqmc_art.appraise.appraisal import DIFFERENT

    return "told apart" if found.verdict == DIFFERENT else "not told apart"


def _compare(*appraisals: Any) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (title, str(one.contest.hits), *(show_p_value(p) for p in one.p_values.values()), show_p_value(one.p_value))
        for title, one in zip(("the same target, run again", f"made at {SHIFT:g} beta"), appraisals, strict=True)
    ]
    columns = ("against a genuine run", "members recognised", *(f"p, {name}" for name in appraisals[0].p_values), "p")
    caption = "0.5 is chance. The last p is that of all tests together, by Holm's rule, for as many tests."
    return Table("pairs", "Two pairs of ensembles", columns, tuple(rows), caption)
