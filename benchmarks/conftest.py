"""One session: what the benchmarks share, which clock they run on, and the record they leave."""

from __future__ import annotations

import pytest

from benchmarks import record
from benchmarks.race import CLOCKS, Paddock
from pyqmc_art.errors import InputError

_SHARED = pytest.StashKey[Paddock]()
_LOAD = pytest.StashKey[float | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", metavar="NAME", help="write the figures to benchmarks/results/NAME.json")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SHARED] = Paddock()
    config.stash[_LOAD] = record.read_load()
    try:
        record.path_of(config.getoption("--record") or "unnamed")
    except InputError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CPU time, unless a benchmark says otherwise."""
    for item in items:
        if "benchmark" in getattr(item, "fixturenames", ()) and item.get_closest_marker("benchmark") is None:
            item.add_marker(pytest.mark.benchmark(timer=CLOCKS["cpu"]))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    name = session.config.getoption("--record")
    measurements = session.config.stash[_SHARED].measurements
    if name and exitstatus == 0 and measurements:
        record.write(record.collect(measurements, session.config.stash[_LOAD]), record.path_of(name))


@pytest.fixture(scope="session")
def paddock(pytestconfig: pytest.Config) -> Paddock:
    return pytestconfig.stash[_SHARED]
