"""A training in plain text: held-out scores beside the baselines, what may be claimed, verdicts on held-out works."""

from __future__ import annotations

from collections.abc import Sequence

from pyqmc_art.art.claims import SUPPORTED, Claim
from pyqmc_art.art.detectors.scoreboard import ALL, Contrast
from pyqmc_art.art.detectors.training import Training
from pyqmc_art.art.rehearsal import Rehearsal
from pyqmc_art.art.verdicts import HAND, VERDICTS
from pyqmc_art.art.wording import align, show_hand
from pyqmc_art.stats.calibration import Calibration
from pyqmc_art.stats.ranking import Score


def summarise(training: Training) -> str:
    """Say what held-out works show: every score with its interval and the numbers of works."""
    hand = show_hand(str(training.detector.facts["options"]["hand"]))
    parts = [
        f"Held-out AUC, {hand} against others; 95 % intervals over works. Every work was scored by a model that had "
        "seen none of its pictures.",
        tabulate(training.contrasts),
        *(f"Claim against {_name(one.statement)}: {one.status}{_because(one)}" for one in training.claims),
    ]
    if training.rehearsal is not None:
        parts += [
            "Verdicts on held-out works (calibrated without them; the checks of distance and stability come later):",
            tabulate_rehearsal(training.rehearsal),
        ]
    line = Calibration.from_json(training.detector.facts["calibration"])
    parts.append(line.reason or f"calibration supported: {line.positives} v {line.negatives} works")
    return "\n".join(parts)


def tabulate(contrasts: Sequence[Contrast]) -> str:
    """Set the detector and its baselines beside each other, a row for each contrast."""
    names = list(dict.fromkeys(one.detector for one in contrasts))
    rows = [("against", "works", *names)]
    for against in dict.fromkeys(one.against for one in contrasts):
        own = {one.detector: one.auc for one in contrasts if one.against == against}
        first = own[names[0]]
        works = f"{first.positives} v {first.negatives}"
        rows.append((_name(against), works, *(_cell(own[name]) for name in names)))
    return align(rows)


def tabulate_rehearsal(rehearsal: Rehearsal) -> str:
    """Count the verdicts on held-out works of each role."""
    rows: list[tuple[str, ...]] = [("role", "works", *VERDICTS, f"share called {HAND}")]
    for role, own in rehearsal.counts.items():
        counts = (str(own.get(name, 0)) for name in VERDICTS)
        rows.append((role, str(sum(own.values())), *counts, str(rehearsal.rate(role, HAND))))
    return align(rows)


def _because(claim: Claim) -> str:
    if not claim.reasons:
        return ""
    return f"{', but' if claim.status == SUPPORTED else ':'} {'; '.join(claim.reasons)}"


def _name(against: str) -> str:
    return "all contrast" if against == ALL else f"{against} alone"


def _cell(score: Score) -> str:
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
