"""The command ``pyqmc-art appraise``: tells whether two ensembles are the same distribution."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError

if TYPE_CHECKING:
    from pyqmc_art.appraise.appraisal import Appraisal


@dataclass(frozen=True)
class AppraiseFlags:
    """What ``appraise`` takes beside the two ensembles.

    Parameters
    ----------
    json
        Print one JSON object instead of text.
    report
        HTML page to write (a .html file, or a folder for index.html).
    correct
        mh, drs or reweight: correct B towards A by what a judge says, and tell what that cannot repair.
    out
        Folder to write the corrected ensemble into.
    equalise
        For pictures: auto (default), none, or the side in pixels of the squares that are compared.
    network
        For fields on two axes: let a small network judge raw fields as well (needs torch).
    seed
        Of all random numbers.
    force
        Replace what is there.
    """

    json: bool = False
    report: Path | None = None
    correct: str | None = None
    out: Path | None = None
    equalise: str | None = None
    network: bool = False
    seed: Annotated[int, options.WHOLE] = 0
    force: bool = False


def appraise(
    a: Path | None = None,
    b: Path | None = None,
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[AppraiseFlags, Parameter(name="*")] = AppraiseFlags(),
) -> int:
    """Appraise two ensembles, of fields or of pictures: whether they can be told apart, by what, and where it shows.

    Parameters
    ----------
    a
        The ensemble that counts as genuine: a run file with fields, or a folder or manifest of pictures.
    b
        The ensemble that is appraised, of the same kind.
    """
    chosen, more = options.settle(settings, config, word=("a", a), more=("b",))
    second = b if b is not None else more.get("b")
    if "a" not in chosen or second is None:
        raise InputError("two ensembles are needed; for instance pyqmc-art appraise run.h5 draws.h5")
    flags = dataclasses.replace(AppraiseFlags(), **{key: value for key, value in chosen.items() if key != "a"})
    first, other = Path(chosen["a"]), Path(str(second))
    if print_config:
        print(options.as_toml({"a": first, "b": other, **dataclasses.asdict(flags)}))
        return 0
    return _appraise(first, other, flags)


def _appraise(a: Path, b: Path, flags: AppraiseFlags) -> int:
    from pyqmc_art.appraise.ensembles import appraise as judge_both
    from pyqmc_art.monitor import choose_monitor

    place = None if flags.report is None else _choose_place(flags.report, flags.force)
    asked: dict[str, Any] = {} if flags.equalise is None else {"equalise": flags.equalise}
    found = judge_both(
        a, b, seed=flags.seed, correct=flags.correct, out=flags.out, force=flags.force, network=flags.network,
        monitor=choose_monitor(), **asked,
    )  # fmt: skip
    if flags.out is not None:
        print(f"wrote the corrected ensemble into {flags.out}", file=sys.stderr)
    if place is not None:
        _write_report(found, place, flags)
        print(f"wrote {place}", file=sys.stderr)
    print(json.dumps(found.to_json(), indent=2, ensure_ascii=False, allow_nan=False) if flags.json else found.summary())
    for problem in found.problems:
        print(f"pyqmc-art: {problem}", file=sys.stderr)
    return 2 if found.problems else 0


def _choose_place(report: Path, force: bool) -> Path:
    place = report if report.suffix.lower() in (".html", ".htm") else report / "index.html"
    if place.exists() and not force:
        raise InputError(f"{place} exists; choose another --report, or --force to replace it")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise InputError(f"cannot make the folder {place.parent}: {reason.strerror}; choose another --report") from None
    return place


def _write_report(found: Appraisal, place: Path, flags: AppraiseFlags) -> None:
    from pyqmc_art.appraise.findings import tell
    from pyqmc_art.report import page
    from pyqmc_art.store import provenance

    page.write(
        place, f"{Path(found.a).name} and {Path(found.b).name}", [tell(found)],
        provenance={**provenance.collect(), "seed": flags.seed},
    )  # fmt: skip
