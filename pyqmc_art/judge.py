"""The command ``pyqmc-art judge``: verdicts on works."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError


@dataclass(frozen=True)
class JudgeFlags:
    """What ``judge`` takes beside the model and the pictures.

    Parameters
    ----------
    json
        Print one JSON array instead of text.
    report
        HTML page to write (a .html file, or a folder for index.html), with all details as JSON beside it.
    prior
        Your probability, before looking, that a work by a human is by this hand.
    prior_human
        Your probability, before looking, that a work is by a human.
    threads
        Default: OMP_NUM_THREADS, or else all cores.
    force
        Replace a report that is there.
    """

    json: bool = False
    report: Path | None = None
    prior: float = 0.5
    prior_human: float = 0.5
    threads: Annotated[int | None, options.WHOLE] = None
    force: bool = False


def judge(
    model: Path | None = None,
    *pictures: Path,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[JudgeFlags, Parameter(name="*")] = JudgeFlags(),
) -> int:
    """Judge pictures by a trained detector: log-odds with interval, an outcome or none, and reasons to doubt.

    Parameters
    ----------
    model
        Directory that ``train detector`` wrote.
    pictures
        Files, and folders that are searched for pictures.
    """
    chosen, more = options.settle(settings, config, word=("model", model), more=("pictures",))
    flags = dataclasses.replace(JudgeFlags(), **{key: value for key, value in chosen.items() if key != "model"})
    listed = more.get("pictures", [])
    targets = pictures or tuple(Path(str(one)) for one in (listed if isinstance(listed, list) else [listed]))
    if "model" not in chosen:
        raise InputError("no model was given; for instance pyqmc-art judge model picture.jpg")
    if not targets:
        raise InputError("no picture was given; for instance pyqmc-art judge model picture.jpg")
    if print_config:
        print(options.as_toml({"model": Path(chosen["model"]), "pictures": tuple(map(str, targets)), **_asdict(flags)}))
        return 0
    return _judge(Path(chosen["model"]), targets, flags)


def _asdict(flags: JudgeFlags) -> dict[str, Any]:
    return dataclasses.asdict(flags)


def _judge(model: Path, targets: tuple[Path, ...], flags: JudgeFlags) -> int:
    from pyqmc_art.art.judgement import judge as judge_all
    from pyqmc_art.monitor import choose_monitor

    place = None
    if flags.report is not None:
        from pyqmc_art.report.verdicts import choose_place

        place = choose_place(flags.report, flags.force)
    judgement = judge_all(
        model, *targets, prior=flags.prior, prior_human=flags.prior_human, threads=flags.threads,
        monitor=choose_monitor(),
    )  # fmt: skip
    if place is not None:
        from pyqmc_art.report.verdicts import write_report

        write_report(judgement, place)
    if flags.json:
        print(json.dumps(judgement.to_json(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(judgement.summary())
    if place is not None:
        print(f"wrote {place} and {place.with_suffix('.json')}", file=sys.stderr)
    for problem in judgement.problems:
        print(f"pyqmc-art: {problem}", file=sys.stderr)
    return 2 if judgement.problems else 0
