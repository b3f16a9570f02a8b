"""Monitors: what a long computation tells a person while it runs. They never change what is computed."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TextIO

from pyqmc_art.protocols import Monitor

if TYPE_CHECKING:
    from tqdm import tqdm

_BROKEN: Final = (OSError, ValueError, AttributeError)
"""What a closed, full or vanished terminal raises."""


class Silent:
    """Says nothing."""

    def start(self, label: str, total: int, done: int = 0) -> None:
        """Ignore the beginning."""

    def advance(self, n: int, **facts: float | str) -> None:
        """Ignore the progress."""

    def finish(self) -> None:
        """Ignore the end."""


@dataclass
class _Task:
    """A task inside the one whose bar is shown."""

    label: str
    total: int
    done: int


class Bar:
    """One progress bar with an ETA, on a terminal; anywhere else it says nothing.

    The first task that starts owns the bar. A task that starts before it is finished is shown beside it, with its
    percentage, until it finishes: a study with many runs has one bar. The line is cleared at the end.

    Parameters
    ----------
    stream : where to draw, standard error by default
    interval : least time in seconds between two redraws

    Examples
    --------
    >>> import io
    >>> bar = Bar(io.StringIO())
    >>> bar.start("metropolis", 1000)
    >>> bar.advance(100, energy=-1.4336)
    >>> bar.finish()
    >>> bar.stream.getvalue()
    ''
    """

    def __init__(self, stream: TextIO | None = None, interval: float = 0.1) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.interval = interval
        self._bar: tqdm[Any] | None = None
        self._depth = 0
        self._inner: list[_Task] = []

    def start(self, label: str, total: int, done: int = 0) -> None:
        """Begin a task; on resume, ``done`` units are already there and do not count for the speed."""
        self._depth += 1
        if self._depth > 1:
            self._inner.append(_Task(label, total, done))
            self._tell(0, {})
        elif _is_terminal(self.stream):
            self._open(label, total, done)

    def advance(self, n: int, **facts: float | str) -> None:
        """Move on by ``n`` units and show ``facts``."""
        if self._inner:
            self._inner[-1].done += n
            self._tell(0, facts)
        else:
            self._tell(n, facts)

    def finish(self) -> None:
        """End the task that started last; the end of the first one clears the line."""
        if self._inner:
            self._inner.pop()
        self._depth = max(0, self._depth - 1)
        if self._depth or self._bar is None:
            return
        try:
            self._bar.close()
        except _BROKEN:
            self._drop()
        self._bar = None

    def _open(self, label: str, total: int, done: int) -> None:
        from tqdm import tqdm

        # Some containers' terminals say that they are 0 wide and 0 high; tqdm would then show nothing at all.
        sized = _knows_size(self.stream)
        try:
            self._bar = tqdm(
                total=total if total > 0 else None,
                initial=done,
                desc=label,
                file=self.stream,
                leave=False,
                mininterval=self.interval,
                miniters=0,
                ncols=None if sized else shutil.get_terminal_size().columns,
                nrows=None if sized else shutil.get_terminal_size().lines,
                dynamic_ncols=sized,
                unit_scale=total >= 10_000,
                smoothing=0.1,
            )
        except _BROKEN:
            self._bar = None

    def _tell(self, n: int, facts: dict[str, float | str]) -> None:
        if self._bar is None:
            return
        inner = [f"{t.label} {_percent(t)}" for t in self._inner[-1:]]
        said = [f"{name} {_short(value)}" for name, value in facts.items()]
        try:
            self._bar.set_postfix_str(", ".join(inner + said), refresh=False)
            self._bar.update(n)
        except _BROKEN:
            self._drop()

    def _drop(self) -> None:
        """Give up a bar whose terminal is gone; the computation goes on."""
        if self._bar is not None:
            self._bar.disable = True
        self._bar = None


def choose_monitor(stream: TextIO | None = None) -> Monitor:
    """Choose a bar when ``stream`` (standard error by default) is a terminal, otherwise silence.

    Examples
    --------
    >>> import io
    >>> type(choose_monitor(io.StringIO())).__name__
    'Silent'
    """
    chosen = sys.stderr if stream is None else stream
    return Bar(chosen) if _is_terminal(chosen) else Silent()


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except _BROKEN:
        return False


def _knows_size(stream: TextIO) -> bool:
    try:
        return min(os.get_terminal_size(stream.fileno())) > 0
    except _BROKEN:
        return False


def _percent(task: _Task) -> str:
    return f"{min(1.0, task.done / task.total):.0%}" if task.total > 0 else str(task.done)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
