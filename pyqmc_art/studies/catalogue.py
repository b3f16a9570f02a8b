"""The studies by name: configured through one parser, run one after the other, written as one page."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.store import provenance

STUDIES: Final[dict[str, str]] = {
    "arms-race": "arms_race:ArmsRace",
    "confounds": "confounds:Confounds",
    "critical-slowing-down": "critical_slowing:CriticalSlowingDown",
    "forged-fields": "forged_fields:ForgedFields",
    "forgery": "forgery:Forgery",
    "ising-dynamics": "ising_dynamics:IsingDynamics",
    "leakage": "leakage:Leakage",
    "mode-collapse": "mode_collapse:ModeCollapse",
    "phase-transition": "phase_transition:PhaseTransition",
    "proposals": "proposals_race:ProposalsRace",
    "synthesis": "synthesis:Synthesis",
    "universal-approximation": "universal_approximation:UniversalApproximation",
    "unseen-generators": "unseen_generators:UnseenGenerators",
    "unsupervised": "unsupervised:Unsupervised",
}
"""Name of a study -> its module in this folder and its class, loaded when it is asked for: a study of a lattice needs
none of the libraries of pictures."""

Parse = Callable[[type[Any], Mapping[str, Any]], Any]


def keys(names: Sequence[str]) -> list[str]:
    """Configuration keys of the named studies together.

    Raises
    ------
    InputError
        For an unknown study.

    Examples
    --------
    >>> "sizes" in keys(["ising-dynamics"]), "sizes" in keys(["phase-transition"])
    (True, False)
    """
    found = (field.name for name in names for field in dataclasses.fields(_find(name)))
    return list(dict.fromkeys(found))


def configure(name: str, preset: str, overrides: Mapping[str, Any], parse: Parse) -> Any:
    """Build a study from a preset and settings that change it.

    Parameters
    ----------
    name, preset : ``"quick"`` or ``"full"``
    overrides : flat keys as in a configuration file; keys of other studies are left to them
    parse : builds a dataclass from settings and checks their types

    Raises
    ------
    InputError
        For an unknown study, preset or key, or a value that cannot be used.
    """
    study = _find(name)
    if preset not in study.presets:
        raise unknown("preset", preset, study.presets)
    own = keys([name])
    if not set(overrides) <= set(own):
        everywhere = keys(list(STUDIES))
        for key in overrides:
            if key not in everywhere:
                raise unknown("configuration key", key, everywhere)
    return parse(study, {**study.presets[preset], **{k: v for k, v in overrides.items() if k in own}})


def answer(study: Any, out: Path, *, seed: int, monitor: Monitor) -> Findings:
    """Run one study with its own random numbers, which do not depend on what else is run."""
    findings: Findings = study.run(out, stream=Stream.from_seed(seed).fold(study.name), monitor=monitor)
    return findings


def run(
    studies: Sequence[Any], folder: Path, *, seed: int, force: bool, monitor: Monitor, write: Callable[..., Path]
) -> Path:
    """Run studies and write ``folder/index.html``.

    Parameters
    ----------
    write : draws the page, with the arguments of :func:`pyqmc_art.report.page.write`; a study itself never draws

    Returns
    -------
    Path
        the page

    Raises
    ------
    InputError
        If the folder holds a page already and ``force`` is not set, or no folder can be made there.
    StoreError
        If the disk is full.
    """
    target = folder / "index.html"
    if target.exists() and not force:
        raise InputError(f"{target} exists; give another --out, or --force to replace it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise InputError(f"cannot make the folder {folder}: {reason.strerror}; give another --out") from reason
    findings = [answer(study, folder, seed=seed, monitor=monitor) for study in studies]
    title = " and ".join(study.name for study in studies)
    return write(target, title, findings, provenance={**provenance.collect(), "seed": seed})


def _find(name: str) -> Any:
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    module, _, kind = STUDIES[name].partition(":")
    try:
        return getattr(importlib.import_module(f"pyqmc_art.studies.{module}"), kind)
    except ImportError as reason:
        raise InputError(f"the study {name} needs {reason.name}; pip install 'pyqmc-art[art]'") from reason
