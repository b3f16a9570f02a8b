"""The harness itself: wrong peers are named and not timed, chains cost what they cost, interrupted runs go on."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.testing.cases import Case

ROOT = Path(__file__).resolve().parents[1]
CASE = Case("metropolis", Ising(Lattice((16, 16)), ISING_CRITICAL_BETA))


@pytest.fixture(autouse=True)
def checkout(monkeypatch):
    """Benchmarks are not installed: they are found in a checkout only."""
    if not (ROOT / "benchmarks" / "race.py").is_file():
        pytest.skip("these tests lie outside a checkout: there are no benchmarks")
    monkeypatch.syspath_prepend(str(ROOT))


def load(name):
    return importlib.import_module(f"benchmarks.{name}")


class Clock:
    """The benchmark fixture as far as the harness asks it: everything is done, every round takes a second."""

    def __init__(self):
        self.disabled, self.group, self.extra_info = False, "", {}
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=[]))

    def pedantic(self, run, arguments=(), rounds=1, **_):
        self.stats.stats.data = [1.0] * rounds
        return [run(*arguments) for _ in range(rounds)][-1]


@pytest.fixture
def paddock(monkeypatch):
    race = load("race")
    monkeypatch.setattr(race, "SITES_TO_JUDGE", 2**16)
    monkeypatch.setattr(race, "SECONDS_PER_ROUND", 1e-3)
    return race.Paddock()


class Planted:
    """A peer that samples at another temperature than it says."""

    def __init__(self, factor):
        self.name, self._factor = f"planted {factor}", factor

    def supports(self, case):
        return True

    def load(self, case, fields, stream):
        action = replace(case.action, beta=self._factor * case.action.beta)
        return load("contenders").Ours().load(replace(case, action=action), fields, stream)


def test_wrong_peer_is_listed_as_wrong_and_not_timed(paddock):
    with pytest.raises(pytest.skip.Exception, match=r"planted 0\.9 is wrong"):
        load("race").race(paddock, Clock(), "metropolis", Planted(0.9), CASE)
    (row,) = paddock.measurements
    assert (row.contender, row.median, row.verdict.passed) == ("planted 0.9", None, False)


def test_right_peer_is_timed(paddock):
    load("race").race(paddock, Clock(), "metropolis", Planted(1.0), CASE)
    (row,) = paddock.measurements
    assert row.verdict.passed
    assert row.median > 0


def test_our_own_mistake_fails(paddock, monkeypatch):
    contenders = load("contenders")
    monkeypatch.setattr(contenders.OurRunner, "run", lambda self, steps: float(steps))
    with pytest.raises(pytest.fail.Exception, match="pyqmc_art is wrong"):
        load("race").race(paddock, Clock(), "metropolis", contenders.Ours(), CASE)


def test_setup_and_overhead_are_taken_off(paddock, monkeypatch):
    race, judgement = load("race"), load("judgement")
    monkeypatch.setattr(race, "steps_per_round", lambda *_: 5)
    monkeypatch.setattr(race, "CLOCKS", {"cpu": count().__next__})
    runner = SimpleNamespace(overhead=0.05, setup=0.25, run=lambda steps: 2.0)
    runners = {"x": (runner, judgement.Verdict(True, ""))}
    race.time_in_turn(paddock, Clock(), "wolff", CASE.name, "flipped site", runners)
    assert paddock.measurements[0].median == pytest.approx(0.25e9)


def test_contenders_take_turns_round_by_round(paddock, monkeypatch):
    race, verdict = load("race"), load("judgement").Verdict(True, "")
    monkeypatch.setattr(race, "steps_per_round", lambda *_: 1)
    monkeypatch.setattr(race, "ROUNDS", 3)
    order = []

    def repeat(name):
        return race.Repeated(lambda: order.append(name) or 1.0), verdict

    race.time_in_turn(paddock, Clock(), "x", "a case", "call", {"one": repeat("one"), "two": repeat("two")})
    assert order == ["one", "two"] * 3
    assert [m.contender for m in paddock.measurements] == ["one", "two"]
    assert all(len(m.costs) == 3 for m in paddock.measurements)


@pytest.mark.parametrize(("name", "module"), [("Openjij", "openjij"), ("DwaveSamplers", "dwave.samplers")])
@pytest.mark.parametrize("kernel", ["metropolis", "heat-bath", "swendsen-wang"])
def test_annealers_at_one_temperature_are_right(paddock, name, module, kernel):
    pytest.importorskip(module)
    peer, case = getattr(load("annealers"), name)(), replace(CASE, kernel=kernel)
    if not peer.supports(case):
        pytest.skip(f"{name} has no {kernel}")
    verdict = paddock.judge(peer, case)
    assert verdict.passed, verdict.summary


def autoregressive(rho, seed):
    """Steps of x' = rho x + noise, whose tau_int is (1 + rho) / (1 - rho) / 2, for 16 replicas."""
    random, state = np.random.default_rng(seed), np.zeros(16)

    def advance(n):
        nonlocal state
        rows = np.empty((n, 16))
        for k in range(n):
            state = rho * state + random.normal(size=16)
            rows[k] = state
        return {"x": rows}

    return advance


def test_cost_of_an_effective_sample_is_time_over_samples():
    effective = load("effective")
    chain = effective.run_chain(autoregressive(0.8, 1), 1, seconds=10.0, most=4096)
    cost, error, found = chain.cost("x")
    assert found.n == 16 * 4096
    assert abs(found.tau_int - 4.5) < 4 * found.tau_int_error
    assert cost == pytest.approx(1e9 * chain.seconds * 2 * found.tau_int / found.n)
    assert error / cost == pytest.approx(found.tau_int_error / found.tau_int)


def test_too_few_effective_samples_are_no_figure(paddock):
    effective, judgement = load("effective"), load("judgement")
    chain = effective.run_chain(autoregressive(0.99, 2), 1, seconds=10.0, most=300)
    with pytest.raises(pytest.skip.Exception, match="effective samples"):
        effective.note_chain(paddock, Clock(), "effective", "c", "k", "x", chain, judgement.Verdict(True, ""))
    assert paddock.measurements == []


@pytest.mark.parametrize(("bug", "right"), [(0.0, True), (0.1, False)], ids=["as it is", "a force that is off"])
def test_hmc_by_hand_is_exact_and_a_planted_bug_is_not(monkeypatch, bug, right):
    bench, by_hand = load("bench_hmc"), load("numpy_by_hand")
    before = by_hand.action
    # The decision is what makes it exact, so the bug is there.
    monkeypatch.setattr(by_hand, "action", lambda phi, m2, lam: before(phi, m2, (1 + bug) * lam))
    verdict = bench.judge.__wrapped__(bench.ByHand(), Phi4(Lattice((8, 8)), -4.0, 8.0), 6)
    assert verdict.passed is right


def test_force_by_hand_is_the_gradient():
    by_hand, action = load("numpy_by_hand"), Phi4(Lattice((4, 6)), -4.0, 5.0)
    phi = np.random.default_rng(1).normal(size=(3, 4, 6))
    assert by_hand.action(phi, -4.0, 5.0) == pytest.approx(action(phi))
    assert by_hand.force(phi, -4.0, 5.0) == pytest.approx(action.force(phi))


def make_row(record, judgement, **changes):
    row = record.Measurement("effective", "c", "k", "u", "cpu", judgement.Verdict(True, "x"), 3.0, 2.0, 4.0, 1)
    return replace(row, **changes)


def make_record(record, *rows):
    return record.Record({"load": [None, None]}, {}, "date", "0" * 40, rows)


@pytest.mark.parametrize(("after", "word"), [(3.3, "same"), (9.0, "slower"), (1.0, "faster")])
def test_effective_samples_are_compared_within_their_errors(after, word):
    compare, record, judgement = load("compare"), load("record"), load("judgement")
    one = make_record(record, make_row(record, judgement, error=0.3))
    two = make_record(record, make_row(record, judgement, median=after, error=0.1 * after))
    ((ratio,), left) = compare.compare(one, two)
    assert ratio.change() == word
    assert ratio.low < after / 3 < ratio.high
    assert left == []


def test_what_is_counted_is_compared_as_it_is():
    compare, record, judgement = load("compare"), load("record"), load("judgement")
    rows = [make_row(record, judgement, quantity="bytes", clock="none", median=m) for m in (1.0, 1.2)]
    ((ratio,), _) = compare.compare(*(make_record(record, row) for row in rows))
    assert (ratio.low, ratio.high, ratio.change()) == (1.2, 1.2, "slower")


def test_journal_goes_on_where_it_stood(tmp_path):
    journal, record, judgement = load("journal"), load("record"), load("judgement")
    row = make_row(record, judgement, costs=(1.0, 2.0), tau_int=4.0)
    path, here = tmp_path / "a.partial", {"here": ["machine", {"numpy": "2"}]}
    first = journal.Journal(path, here)
    first.add("one", [row])
    first.add("two", [])
    with path.open("a") as file:
        file.write('["three", [{"sec')
    again = journal.Journal(path, here, resume=True)
    assert again.done == {"one": [row], "two": []}
    again.add("three", [row])
    assert list(journal.Journal(path, here, resume=True).done) == ["one", "two", "three"]
    with pytest.raises(InputError, match="another machine"):
        journal.Journal(path, {"here": ["other"]}, resume=True)
    again.close()
    with pytest.raises(InputError, match="no interrupted run"):
        journal.Journal(path, here, resume=True)


def test_files_are_selected_by_name():
    main = load("__main__")
    assert [Path(path).name for path in main.select(["hmc", "local"])] == ["bench_hmc.py", "bench_local.py"]
    with pytest.raises(InputError, match="did you mean 'cluster'"):
        main.select(["clusters"])
    assert main.main(["--only", "clusters"]) == 2
    assert main.main(["--only", "hmc", "--resume"]) == 2


def test_traffic_and_issue_are_parts_of_what_was_measured(tmp_path):
    rooflines, record, judgement = load("rooflines"), load("record"), load("judgement")
    case = "metropolis on ising(beta=0.440687) square 64x64"
    rows = [
        make_row(record, judgement, section=section, case=case, contender=contender, median=median)
        for section, case, contender, median in (
            ("metropolis", case, "pyqmc_art", 0.5),
            ("bandwidth", "copy 16 KiB", "1 thread", 0.01),
            ("machine", "integer addition, 64 bits a lane", "scalar", 0.1),
        )
    ]
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"loops": [{"name": "metropolis", "isa": "avx2", "instructions": 2.0}]}))
    one = replace(make_record(record, *rows), machine={"isa": "avx2"})
    assert rooflines.render(one, profile) == [
        ["metropolis, 64 x 64", "0.5", "0.375", "0.75", "100", "1%", "2", "4", "40%"]
    ]
    other = replace(one, machine={"isa": "avx512"})
    assert rooflines.render(other, profile)[0][-3:] == ["-", "-", "-"]


def test_every_picture_of_the_page_is_there_and_every_loop_has_a_paragraph():
    table, page, loops = load("table"), load("profile_page"), load("hot_loops")
    text = table.PAGE.read_text(encoding="utf-8")
    names = [line.partition("](")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert names
    assert [name for name in names if not (table.PAGE.parent / name).is_file()] == []
    assert set(loops.HOT_LOOPS) == set(page.PARAGRAPHS) == set(page.TITLES)


def test_profile_page_is_what_was_counted():
    page = load("profile_page")
    figures = ROOT / "benchmarks" / "profile.json"
    assert page.PAGE.read_text(encoding="utf-8") == page.render(json.loads(figures.read_text(encoding="utf-8")))


def test_pillow_simd_answers_from_its_own_process(monkeypatch):
    """Pillow stands in for it: the protocol is the same, and so are the bytes."""
    import sys

    pytest.importorskip("PIL")
    simd, resamplers = load("pillow_simd"), load("resamplers")
    monkeypatch.setenv("PYQMC_PILLOW_SIMD", sys.executable)
    case = resamplers.Pyramid(60, 40, 3, 16, levels=(1, 2))
    picture, peer = case.draw(), simd.PillowSimd()
    result = peer.load(case, picture)()
    assert np.array_equal(result, resamplers.Pillow().load(case, picture)())
    assert peer.clock() > 0
    assert load("record").list_versions()["pillow-simd"] == sys.modules["PIL"].__version__
    monkeypatch.setenv("PYQMC_PILLOW_SIMD", str(ROOT / "no such interpreter"))
    assert "pillow-simd" not in load("record").list_versions()
    wrong = result.copy()
    wrong[0, 0, 0, 0] ^= 64
    assert not resamplers.judge(peer, case, picture, wrong).passed
