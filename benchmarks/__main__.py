"""Run the benchmarks, record the figures, write the page: ``python -m benchmarks [--record NAME] [pytest options]``.

A selection (``--only wolff``, ``-k potts``) or a quick look is run and shown, but recorded only under a name that was
given. A run that was interrupted goes on where it stood with ``--resume``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyqmc_art.errors import InputError, unknown

FOLDER = Path(__file__).resolve().parent


def list_files() -> dict[str, Path]:
    """Files of benchmarks by the names that ``--only`` takes."""
    return {path.stem.removeprefix("bench_"): path for path in sorted(FOLDER.glob("bench_*.py"))}


def select(names: Sequence[str]) -> list[str]:
    """Files of the names, or the whole folder.

    Raises
    ------
    InputError
        For a name that is none of them.
    """
    files = list_files()
    for name in names:
        if name not in files:
            raise unknown("benchmark", name, files)
    return [str(files[name]) for name in names] or [str(FOLDER)]


def main(words: Sequence[str]) -> int:
    """Return pytest's exit status, 2 for a name that is unknown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", metavar="NAME", help="name of the record; without a selection: latest")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help=", ".join(list_files()))
    parser.add_argument("--quick", action="store_true", help="few short rounds; the judgements are the same")
    parser.add_argument("--resume", action="store_true", help="leave out what the interrupted run has done")
    known, selection = parser.parse_known_args(words)
    whole = not (selection or known.only or known.quick)
    name = known.record or ("latest" if whole else None)
    # The examples in docstrings are the tests' business: to look for them is to import peers that may be missing.
    options = ["--override-ini=python_files=bench_*.py", "--override-ini=addopts=--import-mode=importlib"]
    options += ["--benchmark-columns=median,min,max,rounds"]
    options += [f"--record={name}"] if name else []
    options += ["--resume-record"] if known.resume else []
    if known.quick:
        os.environ["PYQMC_BENCH_QUICK"] = "1"
    try:
        paths = select(known.only)
        if known.resume and not name:
            raise InputError("--resume is for a run that is recorded; give --record NAME too")
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    status = pytest.main([*paths, f"--rootdir={FOLDER.parent}", *options, *selection])
    if status == 0 and name:
        from benchmarks import table

        table.main()
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
