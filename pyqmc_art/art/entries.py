"""What a model remembers of its training pictures: one entry each, kept as JSONL beside its weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyqmc_art.art.familiarity import Capture, measure_sharpness
from pyqmc_art.art.pictures import Picture
from pyqmc_art.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One training picture.

    Attributes
    ----------
    work, sha256, path, role, hand, title, source, basis : as in the manifest
    label : 1 for the hand, 0 for its contrast
    score : held-out log-odds of the hand, by a model that saw no picture of this work
    human : held-out log-odds of human against machine-made; None where that was not judged
    capture : how the picture was captured; its sharpness is that of the prepared picture
    """

    work: str
    sha256: str
    path: str
    role: str
    hand: str
    title: str
    source: str
    basis: str
    label: int
    score: float
    human: float | None
    capture: Capture

    @property
    def name(self) -> str:
        """What a reader calls it: hand and title, or the file."""
        return ", ".join(filter(None, (self.hand.replace("_", " "), self.title))) or self.path


def write_entries(entries: Iterable[Entry]) -> str:
    """Write entries as JSONL, one line each."""
    lines = []
    for one in entries:
        record = dataclasses.asdict(one)
        record |= record.pop("capture")
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    return "".join(lines)


def read_entries(text: str) -> tuple[Entry, ...]:
    """Undo :func:`write_entries`.

    Raises
    ------
    InputError
        When a line lacks something: another release wrote it.
    """
    names = [f.name for f in dataclasses.fields(Capture)]
    entries = []
    # Not splitlines(): a title may hold one of the rarer line breaks, which JSON leaves as they are.
    for line in text.split("\n"):
        if line:
            try:
                record: dict[str, Any] = json.loads(line)
                capture = Capture(**{name: record.pop(name) for name in names})
                entries.append(Entry(**record, capture=capture))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f"the model's list of training works cannot be read ({error}); train it again"
                ) from error
    return tuple(entries)


def take_capture(found: Picture, prepared: Picture) -> Capture:
    """Say how a picture was captured: size and format of the file, sharpness of what a detector sees."""
    return Capture(found.width, found.height, found.format, found.quality, measure_sharpness(prepared.pixels))
