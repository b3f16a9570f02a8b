"""One session: what the benchmarks share, which clock they run on, and the record they leave."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from benchmarks import record
from benchmarks.journal import Journal
from benchmarks.race import CLOCKS, Paddock
from pyqmc_art.errors import InputError
from pyqmc_art.store import provenance

_SHARED = pytest.StashKey[Paddock]()
_LOAD = pytest.StashKey[float | None]()
_JOURNAL = pytest.StashKey[Journal | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", metavar="NAME", help="write the figures to benchmarks/results/NAME.json")
    parser.addoption("--resume-record", action="store_true", help="go on with the run of that name")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SHARED] = Paddock()
    config.stash[_LOAD] = record.read_load()
    config.stash[_JOURNAL] = None
    name = config.getoption("--record")
    try:
        path = record.path_of(name or "unnamed")
        if name and not config.getoption("--collect-only"):
            here = [record.describe_machine(), record.list_versions(), provenance.collect()["commit"]]
            journal = path.with_suffix(".partial")
            config.stash[_JOURNAL] = Journal(journal, {"here": here}, config.getoption("--resume-record"))
    except InputError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """CPU time, unless a benchmark says otherwise; what an interrupted run has done is left out."""
    for item in items:
        if "benchmark" in getattr(item, "fixturenames", ()) and item.get_closest_marker("benchmark") is None:
            item.add_marker(pytest.mark.benchmark(timer=CLOCKS["cpu"]))
    journal = config.stash[_JOURNAL]
    if journal is not None and journal.done:
        done = [item for item in items if item.nodeid in journal.done]
        items[:] = [item for item in items if item.nodeid not in journal.done]
        config.hook.pytest_deselected(items=done)
        config.stash[_SHARED].measurements += [m for rows in journal.done.values() for m in rows]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what a benchmark measured into the journal, and forget it if the benchmark failed."""
    report = yield
    journal = item.config.stash[_JOURNAL]
    if journal is not None and report.when != "teardown":
        measured = item.config.stash[_SHARED].measurements
        known = sum(len(rows) for rows in journal.done.values())
        if report.failed:
            del measured[known:]
        elif report.when == "call" or report.skipped:
            journal.add(item.nodeid, measured[known:])
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    name = session.config.getoption("--record")
    measurements = session.config.stash[_SHARED].measurements
    journal = session.config.stash[_JOURNAL]
    if journal is not None and exitstatus == 0 and measurements:
        record.write(record.collect(measurements, session.config.stash[_LOAD]), record.path_of(name))
        journal.close()


@pytest.fixture(scope="session")
def paddock(pytestconfig: pytest.Config) -> Paddock:
    return pytestconfig.stash[_SHARED]
