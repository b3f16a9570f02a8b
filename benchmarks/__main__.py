"""Run the benchmarks, record the figures, write the page: ``python -m benchmarks [--record NAME] [pytest options]``.

A selection (``-k wolff``) is run and shown, but recorded only under a name that was given.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from benchmarks import table

FOLDER = Path(__file__).resolve().parent


def main(words: list[str]) -> int:
    """Return pytest's exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--record", metavar="NAME", help="name of the record; without a selection: latest")
    known, selection = parser.parse_known_args(words)
    name = known.record or (None if selection else "latest")
    options = ["--override-ini=python_files=bench_*.py", "--benchmark-columns=median,min,max,rounds"]
    if name:
        options.append(f"--record={name}")
    status = pytest.main([str(FOLDER), f"--rootdir={FOLDER.parent}", *options, *selection])
    if status == 0 and name:
        table.main()
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
