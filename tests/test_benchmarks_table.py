"""The page of benchmarks says what the records say; the judgement before each time can fail."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.rng import Stream
from pyqmc_art.testing.cases import Case

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def checkout(monkeypatch):
    """Benchmarks are not installed: they are found in a checkout only."""
    if not (ROOT / "benchmarks" / "table.py").is_file():
        pytest.skip("these tests lie outside a checkout: there are no benchmarks")
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def record():
    return importlib.import_module("benchmarks.record")


@pytest.fixture
def table():
    return importlib.import_module("benchmarks.table")


@pytest.fixture
def judgement():
    return importlib.import_module("benchmarks.judgement")


def make_record(record, judgement, *rows):
    right = judgement.Verdict(True, "Kaufman", -1.42394, -1.425, 0.003, -0.353, 0.72, 0.5)
    wrong = judgement.Verdict(False, "Kaufman", -1.42394, -1.9, 0.003, -158.7, 0.0)
    machine = {
        "processor": "P",
        "architecture": "a",
        "system": "S",
        "cores": 2,
        "backend": "cpp",
        "isa": "avx2",
        "load": [0.5, None],
    }
    measurements = tuple(
        record.Measurement(
            section, case, contender, unit, "cpu", right if cost else wrong,
            cost, cost and 0.9 * cost, cost and 1.5 * cost, 9 if cost else 0,
        )
        for section, case, contender, unit, cost in rows
    )  # fmt: skip
    return record.Record(machine, {"pyqmc_art": "1", "peer": "2"}, "2025-01-01T00:00:00+00:00", "0" * 40, measurements)


def two_contenders(ours, theirs):
    return [
        ("metropolis", METROPOLIS, name, "spin update", cost) for name, cost in (("pyqmc_art", ours), ("peer", theirs))
    ]


METROPOLIS = "metropolis on ising(beta=0.440687) square 64x64"


def test_page_is_what_the_records_give(record, table):
    """Whoever edits the page or the records alone is caught."""
    assert table.PAGE.read_text(encoding="utf-8") == table.render(record.read_all())


def test_page_changes_with_every_figure(record, table, judgement):
    one = make_record(record, judgement, ("metropolis", METROPOLIS, "pyqmc_art", "spin update", 4.0))
    other = make_record(record, judgement, ("metropolis", METROPOLIS, "pyqmc_art", "spin update", 4.1))
    assert table.render({"a": one}) != table.render({"a": other})


def test_rates_and_ratios(record, table, judgement):
    rows = two_contenders(4.0, 10.0)
    page = table.render({"a": make_record(record, judgement, *rows)})
    assert "| ising(beta=0.440687) square 64x64 | 0.25 | 0.1 (2.5) |" in page


def test_costs_are_shown_as_they_are_and_missing_ones_by_a_dash(record, table, judgement):
    costs = ((8, "pyqmc_art", 20.0), (8, "peer", 30.0), (16, "pyqmc_art", 25.0))
    rows = [("wolff", f"wolff on ising square {n}", name, "flipped site", cost) for n, name, cost in costs]
    page = table.render({"a": make_record(record, judgement, *rows)})
    assert "| ising square 8 | 20 | 30 (1.5) |" in page
    assert "| ising square 16 | 25 | - |" in page


def test_wrong_peer_is_listed_as_wrong_without_a_time(record, table, judgement):
    rows = two_contenders(4.0, None)
    page = table.render({"a": make_record(record, judgement, *rows)})
    assert "| 0.25 | wrong (-159 sigma) |" in page


@pytest.mark.parametrize(("cost", "word"), [(1 / 10.1, "reached"), (1 / 9.9, "**missed**")])
def test_cost_that_is_asked_is_reached_or_missed(record, table, judgement, cost, word):
    row = ("isa", METROPOLIS.replace("64x64", "1024x1024"), "avx2", "spin update", cost)
    page = table.render({"a": make_record(record, judgement, row)})
    asked = "with avx2 alone, one core: at least 10 updates per ns on square 1024x1024"
    assert f"{asked}: {word} ({1 / cost:.3g} per ns)." in page
    assert "avx512" not in page
    of_machine = ("metropolis", row[1], "pyqmc_art", "spin update", cost)
    assert "avx512" not in table.render({"a": make_record(record, judgement, of_machine)})


@pytest.mark.parametrize(("cycle", "figure"), [(0.25, "2.5 a cycle"), (0.4, "4 a cycle")])
def test_rate_that_is_asked_is_said_in_cycles_of_the_same_run(record, table, judgement, cycle, figure):
    rows = (
        ("machine", "addition that waits for the one before (a cycle)", "scalar", "instruction", cycle),
        ("isa", METROPOLIS.replace("64x64", "1024x1024"), "avx2", "spin update", 0.1),
        ("swendsen-wang", "swendsen-wang on ising(beta=0.440687) square 256x256", "pyqmc_art", "site", 4.0),
    )
    page = table.render({"a": make_record(record, judgement, *rows)})
    assert f"square 1024x1024: reached (10 per ns; {figure})." in page
    assert f"Swendsen-Wang: at most 5 ns per site at L = 256: reached (4 ns; {4 / cycle:.3g} cycles)." in page
    assert f"a cycle {cycle} ns" in page


@pytest.mark.parametrize(("cost", "word"), [(5.9, "reached"), (6.1, "**missed**")])
def test_cost_beside_another_row_is_reached_or_missed(record, table, judgement, cost, word):
    cases = {"ising(beta=0.440687) square 256x256": 4.0, "potts(q=10, beta=1.42606) square 256x256": cost}
    rows = [("swendsen-wang", f"swendsen-wang on {case}", "pyqmc_art", "site", c) for case, c in cases.items()]
    page = table.render({"a": make_record(record, judgement, *rows)})
    assert f"at most 1.5 times Ising at L = 256: {word} ({cost / 4:.3g} times)." in page


@pytest.mark.parametrize(("cost", "word"), [(80.1, "reached"), (79.9, "**missed**")])
def test_ratio_that_is_asked_is_reached_or_missed(record, table, judgement, cost, word):
    case = METROPOLIS.replace("64x64", "1024x1024")
    rows = [("metropolis", case, who, "spin update", c) for who, c in (("pyqmc_art", 1.0), ("mcising", cost))]
    assert f"80 times mcising at L = 1024: {word}" in table.render({"a": make_record(record, judgement, *rows)})


@pytest.mark.parametrize(("cost", "word"), [(3.5, "reached"), (3.7, "**missed**")])
def test_cost_beside_another_column_is_said_as_asked(record, table, judgement, cost, word):
    case = "swendsen-wang on ising(beta=0.440687) square 256x256"
    rows = [("averages", case, column, "site", c) for column, c in (("step alone", 3.0), ("moments", cost))]
    asked = "with moments of clusters: at most 1.2 times the step alone at L = 256"
    assert f"{asked}: {word} ({cost / 3:.3g} times)." in table.render({"a": make_record(record, judgement, *rows)})


def test_table_of_an_unknown_section_is_shown_too(record, table, judgement):
    row = ("planted", "planted case", "pyqmc_art", "thing", 3.0)
    page = table.render({"a": make_record(record, judgement, row)})
    assert "### Planted" in page
    assert "| planted case | 3 |" in page


def test_record_survives_the_file(record, judgement, tmp_path):
    rows = two_contenders(4.0, None)
    before = make_record(record, judgement, *rows)
    record.write(before, tmp_path / "a.json")
    assert record.read_all(tmp_path) == {"a": before}


def test_foreign_record_and_bad_name_are_refused(record, tmp_path):
    (tmp_path / "a.json").write_text('{"schema": 0}')
    with pytest.raises(InputError, match="schema"):
        record.read_all(tmp_path)
    with pytest.raises(InputError, match="letters"):
        record.path_of("../elsewhere")


@pytest.fixture(scope="module")
def critical():
    """Equilibrium configurations at the critical coupling, 2^18 sites in all."""
    case = Case("metropolis", Ising(Lattice((32, 32)), ISING_CRITICAL_BETA))
    kernel = replace(case, kernel="swendsen-wang").build()
    stream = Stream.from_seed(5)
    state = kernel.init(kernel.start(stream, 256))
    return case, kernel.advance(stream, state, 60)[0].field


class Frozen:
    """A planted bug: nothing moves."""

    overhead = setup = 0.0

    def __init__(self, fields):
        self._fields = fields

    def run(self, steps):
        return float(steps)

    def fields(self):
        return self._fields.copy()


def test_right_kernel_passes_and_planted_bugs_do_not(judgement, critical):
    contenders = importlib.import_module("benchmarks.contenders")
    case, fields = critical
    reference = judgement.exact_reference(case)

    def judged(action):
        runner = contenders.Ours().load(replace(case, action=action), fields, Stream.from_seed(6))
        return judgement.judge(case, runner, reference)

    assert judged(case.action).passed
    assert not judged(replace(case.action, beta=1.02 * case.action.beta)).passed
    assert not judged(replace(case.action, beta=0.98 * case.action.beta)).passed
    assert not judgement.judge(case, Frozen(fields), reference).passed


def test_spread_of_the_reference_is_that_of_the_configurations(judgement, critical):
    case, fields = critical
    spread = judgement.energies_per_site(case, fields).std(ddof=1)
    # The standard deviation of 256 nearly normal numbers is known to 1 / sqrt(2 * 255) = 4.4 %; five of those.
    assert spread == pytest.approx(judgement.exact_reference(case).spread, rel=0.22)


@pytest.mark.parametrize("kernel", ["metropolis", "swendsen-wang", "wolff"])
def test_numba_by_hand_is_right(judgement, critical, kernel):
    peers = importlib.import_module("benchmarks.peers")
    pytest.importorskip("numba")
    case, fields = critical
    case = replace(case, kernel=kernel)
    runner = peers.NumbaByHand().load(case, fields, Stream.from_seed(8))
    verdict = judgement.judge(case, runner, judgement.exact_reference(case))
    assert verdict.passed, verdict.summary
    assert np.isin(runner.fields(), (-1, 1)).all()


@pytest.fixture
def compare():
    return importlib.import_module("benchmarks.compare")


def with_rounds(record, judgement, scale, seed):
    one = make_record(record, judgement, ("metropolis", "ising 64x64", "pyqmc_art", "spin update", 3.0))
    costs = 3.0 * scale * np.random.default_rng(seed).normal(1, 0.03, 9)
    timed = replace(one.measurements[0], median=float(np.median(costs)), costs=tuple(costs.tolist()))
    return replace(one, measurements=(timed,))


def test_the_interval_of_a_ratio_inverts_the_rank_sum_test(compare):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    for m, n in ((9, 9), (4, 7), (12, 5), (2, 2)):
        before, after = rng.lognormal(0, 0.2, m), 1.3 * rng.lognormal(0, 0.2, n)
        value, low, high = compare.estimate_ratio(before, after)
        assert low <= value <= high
        for limit, inside in ((low, 1.000001), (high, 0.999999)):
            assert stats.mannwhitneyu(after, before * limit * inside, method="exact").pvalue > 0.05
            if m > 3:  # with two rounds of each no interval reaches 95 %
                assert stats.mannwhitneyu(after, before * limit / inside, method="exact").pvalue <= 0.05


def test_a_planted_slowdown_is_found_and_noise_is_not(compare, record, judgement, tmp_path, capsys):
    paths = []
    for name, scale in (("before", 1.0), ("again", 1.0), ("slow", 1.4)):
        record.write(with_rounds(record, judgement, scale, len(name)), tmp_path / f"{name}.json")
        paths.append(str(tmp_path / f"{name}.json"))
    before, again, slow = paths
    assert compare.main([before, again]) == 0 and "1 same" in capsys.readouterr().out
    assert compare.main([before, slow]) == 1 and "1 slower" in capsys.readouterr().out
    assert compare.main([slow, before]) == 0 and "1 faster" in capsys.readouterr().out


def test_records_that_cannot_be_compared_are_one_line(compare, record, judgement, tmp_path, capsys):
    record.write(with_rounds(record, judgement, 1.0, 1), tmp_path / "a.json")
    other = make_record(record, judgement, ("wolff", "ising 64x64", "pyqmc_art", "flipped site", 3.0))
    record.write(other, tmp_path / "b.json")
    assert compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert compare.main([str(tmp_path / "a.json"), str(tmp_path / "absent.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    old = replace(other, measurements=(replace(other.measurements[0], section="metropolis"),))
    record.write(old, tmp_path / "c.json")
    assert compare.main([str(tmp_path / "a.json"), str(tmp_path / "c.json")]) == 0
    assert "recorded without its rounds" in capsys.readouterr().out
