"""Monitors: a bar on a terminal only, right on resume, a clean line at the end, and never an exception."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct

import pytest

from pyqmc_art.monitor import Bar, Silent, choose_monitor
from pyqmc_art.protocols import Monitor


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """Everything ever drawn, one entry for each redraw."""
        return [re.sub(r"\x1b\[\w", "", part) for part in re.split(r"[\r\n]", self.getvalue())]


class Broken(Terminal):
    """A terminal that goes away when ``gone`` is set."""

    gone = False

    def write(self, text: str) -> int:
        if self.gone:
            raise BrokenPipeError("gone")
        return super().write(text)


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def run(monitor: Monitor) -> None:
    monitor.start("metropolis", 100, 40)
    for _ in range(6):
        monitor.advance(10, energy=-1.43366, phase="warm-up")
    monitor.finish()


def test_a_bar_on_a_terminal_only() -> None:
    assert isinstance(choose_monitor(Terminal()), Bar)
    assert isinstance(choose_monitor(io.StringIO()), Silent)
    quiet = io.StringIO()
    run(Bar(quiet))
    run(Silent())
    assert quiet.getvalue() == ""


def test_a_closed_stream_is_no_terminal() -> None:
    closed = Terminal()
    closed.close()
    run(Bar(closed))
    assert isinstance(choose_monitor(closed), Bar)
    plain = io.StringIO()
    plain.close()
    assert isinstance(choose_monitor(plain), Silent)


def test_progress_and_facts() -> None:
    terminal = Terminal()
    run(Bar(terminal, interval=0))
    drawn = [line for line in terminal.lines() if line.startswith("metropolis")]
    counts = [int(m[1]) for line in drawn if (m := re.search(r"(\d+)/100", line))]
    assert counts[0] == 40 and max(counts) == 100 and counts == sorted(counts)
    assert any("energy -1.434" in line and "phase warm-up" in line for line in drawn)


def test_resume_does_not_count_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 units in 10 s after 80 that were there before: 10 s to go, not 1.1 s."""
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    terminal = Terminal()
    bar = Bar(terminal, interval=0)
    bar.start("resumed", 100, 80)
    now[0] += 10.0
    bar.advance(10)
    assert "90/100 [00:10<00:10" in terminal.getvalue()
    bar.finish()


@pytest.mark.parametrize("size", [(0, 0), (24, 100)])
def test_a_real_terminal(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also as standard error, and where the terminal does not know its size."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))
    with os.fdopen(slave, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        chosen = choose_monitor()
        assert isinstance(chosen, Bar)
        run(chosen)
    shown = read_all(master)
    assert "metropolis" in shown and "40/100" in shown and shown.endswith("\r")


def read_all(master: int) -> str:
    """Everything written to a terminal whose other end is closed (reading on raises EIO)."""
    pieces = []
    with os.fdopen(master, "rb", buffering=0) as source, contextlib.suppress(OSError):
        while piece := source.read(4096):
            pieces.append(piece)
    return b"".join(pieces).decode()


def test_the_line_is_clean_afterwards() -> None:
    terminal = Terminal()
    run(Bar(terminal, interval=0))
    assert terminal.getvalue().endswith("\r") and terminal.lines()[-2].strip() == ""


def test_an_inner_task_is_shown_beside_the_outer_one() -> None:
    terminal = Terminal()
    bar = Bar(terminal, interval=0)
    bar.start("study", 2)
    for size in (8, 16):
        run_inner(bar, f"wolff L={size}")
        bar.advance(1)
    bar.finish()
    text = terminal.getvalue()
    assert "wolff L=8 50%" in text and "wolff L=16 100%" in text and "2/2" in text
    assert all(line.startswith("study") or not line.strip() for line in terminal.lines())
    run(bar)
    assert "metropolis" in terminal.getvalue()


def run_inner(bar: Bar, label: str) -> None:
    bar.start(label, 10)
    bar.advance(5)
    bar.advance(5)
    bar.finish()


@pytest.mark.parametrize("when", ["start", "advance", "finish"])
def test_a_terminal_that_goes_away_stops_nothing(when: str) -> None:
    terminal = Broken()
    bar = Bar(terminal, interval=0)
    terminal.gone = when == "start"
    bar.start("metropolis", 10)
    terminal.gone |= when == "advance"
    bar.advance(5, energy=1.0)
    bar.advance(5)
    terminal.gone = True
    bar.finish()
    bar.finish()


def test_odd_numbers_are_no_errors() -> None:
    bar = Bar(Terminal(), interval=0)
    bar.advance(1)
    bar.finish()
    bar.start("empty", 0)
    bar.advance(0, fact=float("nan"))
    bar.finish()
    bar.start("more than all", 5, 5)
    bar.advance(5)
    bar.finish()
