"""Is a generator, or a forger, recognised that was not in training? The matrix of training sets and tested makers."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pyqmc_art.art.roles import MACHINE_ROLES
from pyqmc_art.art.scorecard import POSITIVE
from pyqmc_art.errors import InputError
from pyqmc_art.protocols import Findings, Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies import unseen_report as report
from pyqmc_art.studies.forgery_report import draw_samples
from pyqmc_art.studies.gallery import Gallery
from pyqmc_art.studies.grids import judge_grid
from pyqmc_art.studies.regimes import Exhibits, Regime
from pyqmc_art.studies.sources import FULL, GallerySource
from pyqmc_art.studies.unseen_report import Maker

QUESTION = "Is a generator recognised that was not in training, and a forger whose other works were not?"
FORGERY = "forgery"


@dataclass(frozen=True)
class UnseenGenerators(GallerySource):
    """Training sets x tested generators, and each generator and each known forger left out of training in turn."""

    name: ClassVar[str] = "unseen-generators"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {"strengths": (1e-2,)},
        "full": FULL,
    }

    def run(self, out: Path, *, stream: Stream, monitor: Monitor) -> Findings:
        """Judge every work by models that were trained on each set of makers."""
        begun = time.perf_counter()
        gallery = self.open_gallery(out, monitor)
        makers = find_makers(gallery)
        grid = judge_grid(
            gallery, plan_regimes(makers, self.folds), stream, folds=self.folds, repeats=self.repeats,
            strengths=self.strengths, monitor=monitor,
        )  # fmt: skip
        matrix = report.Matrix(grid, makers)
        return Findings(
            study=self.name,
            question=QUESTION,
            answer=report.answer(matrix),
            tables=report.tables(matrix),
            figures=(*report.figures(matrix), *draw_samples(gallery)),
            configuration=dataclasses.asdict(self),
            notes=(*gallery.notes, *notes(makers)),
            seconds=time.perf_counter() - begun,
        )


def find_makers(gallery: Gallery) -> tuple[Maker, ...]:
    """Generators and forgers of a gallery, the generators first.

    Raises
    ------
    InputError
        Without a generator, or without proxies to train on beside the originals.
    """
    shown = Exhibits.of(gallery)
    found: dict[str, list[int]] = {}
    for number, (role, stratum) in enumerate(zip(shown.roles, shown.strata, strict=True)):
        if role in MACHINE_ROLES or role == FORGERY:
            found.setdefault(stratum, []).append(number)
    makers = tuple(
        Maker(stratum, shown.roles[numbers[0]], shown.makers[numbers[0]], len(numbers))
        for stratum, numbers in sorted(found.items(), key=lambda item: (shown.roles[item[1][0]] == FORGERY, item[1][0]))
    )
    if not any(one.role in MACHINE_ROLES for one in makers):
        raise InputError(f"no picture was made by a machine; this study needs one of {', '.join(MACHINE_ROLES)}")
    if "proxy" not in shown.roles or POSITIVE not in shown.roles:
        raise InputError("originals and proxies are needed to train on; one of them is missing")
    return makers


def plan_regimes(makers: tuple[Maker, ...], folds: int) -> tuple[Regime, ...]:
    """Training sets: no maker, each alone, each left out, all; generators and forgers apart."""
    generators = tuple(one for one in makers if one.role in MACHINE_ROLES)
    forgers = tuple(one for one in makers if one.role == FORGERY)
    planned = [Regime(report.NOBODY, ())]
    for group, everybody in ((generators, report.MACHINES), (forgers, report.FORGERS)):
        planned += _plan_group(group, everybody, folds)
    return tuple(planned)


def notes(makers: tuple[Maker, ...]) -> tuple[str, ...]:
    """What could not be asked, and why."""
    forgers = [one for one in makers if one.role == FORGERY]
    known = [one for one in forgers if one.name]
    said = ["Beside the makers named, originals and proxies are always in training."]
    if forgers and len(known) < 2:
        said.append("No forger could be left out: the manifest names fewer than two. The other forgeries say less.")
    elif len(known) < len(forgers):
        said.append("Forgeries by unknown hands are left out of training with every forger, whose they may be.")
    return tuple(said)


def _plan_group(group: tuple[Maker, ...], everybody: str, folds: int) -> Iterator[Regime]:
    roles = tuple(dict.fromkeys(one.role for one in group))
    for one in group:
        others = tuple(other.stratum for other in group if other is not one and other.role == one.role)
        # With fewer works than folds some folds would train on none of them.
        if one.count >= folds and len(group) > 1 and one.role != FORGERY:
            yield Regime(report.alone(one), (one.role,), others)
    known = [one for one in group if one.name or one.role != FORGERY]
    unknown = tuple(one.stratum for one in group if one not in known)
    for one in known if len(known) > 1 else ():
        left = {other.role for other in group if other.stratum not in (one.stratum, *unknown)}
        yield Regime(report.without(one), tuple(role for role in roles if role in left), (one.stratum, *unknown))
    if group:
        yield Regime(everybody, roles)
