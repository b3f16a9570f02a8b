"""The log of a training: one JSON object a line, cut back to where a resumed training starts."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from pyqmc_art.errors import StoreError


@dataclass
class Journal:
    """Writes ``log.jsonl``.

    Parameters
    ----------
    path : of the file; None writes nothing
    label : of the training, in each line
    """

    path: Path | None
    label: str
    begun: float = field(default_factory=time.perf_counter)

    def write(self, step: int, **facts: float | str | None) -> None:
        """Append a line.

        Raises
        ------
        StoreError
            When the disk refuses.
        """
        if self.path is None:
            return
        seconds = round(time.perf_counter() - self.begun, 3)
        line = json.dumps({"label": self.label, "step": step, **facts, "seconds": seconds})
        try:
            with self.path.open("a") as file:
                file.write(line + "\n")
        except OSError as error:
            raise StoreError(f"cannot write {self.path} ({error.strerror}); is there room?") from error

    def cut(self, step: int) -> None:
        """Forget the lines of steps that will be done again."""
        if self.path is None or not self.path.exists():
            return
        kept = []
        for line in self.path.read_text("utf-8").splitlines():
            # The last line of a killed process may be a part of one.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.write_text("".join(kept), "utf-8")
        os.replace(temporary, self.path)
