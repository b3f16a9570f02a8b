"""What a run has measured so far, benchmark by benchmark, so that one that was interrupted can go on.

A journal is a file of JSON lines beside the record it will become: the circumstances first, then one line for each
benchmark that is done. It is removed when the record is written.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import Measurement, restore, rounded
from pyqmc_art.errors import InputError


class Journal:
    """Measurements by the name of the benchmark that made them, on disk as soon as they are there.

    Parameters
    ----------
    path : the file
    circumstances : machine, versions, commit; a journal of others is not continued
    resume : go on with what the file holds; else it is begun anew

    Raises
    ------
    InputError
        To resume a journal that is not there, or one of other circumstances.
    """

    def __init__(self, path: Path, circumstances: Mapping[str, Any], resume: bool = False) -> None:
        self.path = path
        self.done: dict[str, list[Measurement]] = {}
        if resume:
            self._load(dict(circumstances))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(circumstances) + "\n", encoding="utf-8")

    def _load(self, circumstances: dict[str, Any]) -> None:
        if not self.path.is_file():
            raise InputError(f"there is no interrupted run in {self.path}; run without --resume")
        text = self.path.read_text(encoding="utf-8")
        # A line without its end was being written when the run died.
        head, *lines = text[: text.rfind("\n") + 1].splitlines() or ["null"]
        if json.loads(head) != circumstances:
            raise InputError(f"{self.path} is of another machine, version or commit; run without --resume")
        for line in lines:
            name, rows = json.loads(line)
            self.done[name] = [restore(row) for row in rows]
        self.path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")

    def add(self, name: str, measurements: Sequence[Measurement]) -> None:
        """Note what a benchmark measured, nothing included."""
        self.done[name] = list(measurements)
        rows = [rounded(dataclasses.asdict(m)) for m in measurements]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, rows]) + "\n")

    def close(self) -> None:
        """Remove the file: its record is written."""
        self.path.unlink()
