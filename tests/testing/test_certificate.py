"""The certificate holds for what is right and fails for what is broken."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import KERNELS
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.testing import certificate as module
from pyqmc_art.testing.cases import Case
from pyqmc_art.testing.certificate import COLUMNS, Certificate, Effort, Row, certify

SMALL = Effort(draws=100_000, moves=8, replicas=16, warmup=300, steps=1500, drawn=1)
CATALOGUE = (
    Case("metropolis", Ising(Lattice((4, 4)), 0.44)),
    Case("wolff", Ising(Lattice((4, 4)), 0.35, h=0.2)),
    Case("heat-bath", Ising(Lattice((12, 10)), 0.4)),
    Case("tempering", Ising(Lattice((8, 8)), 0.4), {"ladder": (0.3, 0.4), "inner": "swendsen-wang"}),
)


class Recorder:
    """A monitor that keeps what it heard."""

    def __init__(self) -> None:
        self.total, self.done, self.finished = 0, 0, False

    def start(self, label: str, total: int, done: int = 0) -> None:
        self.total = total

    def advance(self, n: int, **facts: float | str) -> None:
        self.done += n

    def finish(self) -> None:
        self.finished = True


def test_what_is_right_passes() -> None:
    monitor = Recorder()
    certificate = certify(seed=5, monitor=monitor, catalogue=CATALOGUE, effort=SMALL)
    assert certificate.passed, certificate.render_text()
    assert monitor.finished and monitor.done == monitor.total
    kernels = [row.kernel for row in certificate.rows]
    assert kernels[: kernels.index("metropolis")] == 5 * ["(oracle)"]
    assert kernels[-5:] == ["metropolis", "wolff", "heat-bath", *2 * ["tempering(ladder=0.3/0.4, inner=swendsen-wang)"]]


def test_a_seed_gives_one_certificate_and_another_seed_another() -> None:
    brief = replace(SMALL, draws=5000, steps=200)
    one, again, other = (certify(seed=seed, catalogue=CATALOGUE[1:3], effort=brief).rows for seed in (5, 5, 6))
    assert one == again
    assert all(a.p_value != b.p_value for a, b in zip(one[5:], other[5:], strict=True))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda a: replace(a, beta=1.01 * a.beta), id="beta off by one percent"),
        pytest.param(lambda a: replace(a, h=-a.h - 0.02), id="a field of the wrong sign"),
        pytest.param(lambda a: replace(a, J=-a.J), id="J of the wrong sign"),
    ],
)
def test_what_is_broken_fails(wrong: Any) -> None:
    def build(case: Case) -> Any:
        return replace(case, action=wrong(case.action)).build()

    certificate = certify(seed=5, build=build, catalogue=CATALOGUE[:3], effort=SMALL)
    assert not certificate.passed
    assert all(certificate.holds(row) for row in certificate.rows[:5])  # the oracle is not to blame
    assert not certificate.holds(certificate.rows[5])
    assert "FAILED" in certificate.render_text()
    assert "FAILED" in certificate.answer


def test_a_ladder_that_forgets_its_betas_fails() -> None:
    def build(case: Case) -> Any:
        kernel: Any = case.build()
        kernel.inner = kernel.inner.on_ladder([case.action] * kernel.rungs)
        return kernel

    assert not certify(seed=5, build=build, catalogue=CATALOGUE[3:], effort=SMALL).passed


def test_an_oracle_that_contradicts_itself_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = module.kaufman
    monkeypatch.setattr(module, "kaufman", lambda action: right(replace(action, beta=action.beta + 1e-8)))
    assert not certify(catalogue=(), effort=SMALL).passed


def test_backends_that_differ_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    right = module.run_variant

    def run(case: Case, variant: Any, *rest: Any) -> bytes:
        return right(case, variant, *rest) + (b"!" if variant.backend == "python" else b"")

    case, stream = CATALOGUE[0], module.Stream.from_seed(1)
    assert module._judge_bytes(case, stream)[0].sound
    monkeypatch.setattr(module, "run_variant", run)
    assert not module._judge_bytes(case, stream)[0].sound


ROWS = (
    Row("(oracle)", "a", exact=1.5, measured=1.5),
    Row("wolff", "b", 1.0, Estimate(1.02, 0.01), 2.0, 0.0455),
    Row("metropolis", "c", p_value=1e-9),
    Row("heat-bath", "d", sound=False),
    Row("heat-bath", "e", 1.0, Estimate(math.nan, 0.01), math.inf, 0.0),
)


def test_verdicts() -> None:
    certificate = Certificate(ROWS)
    assert [certificate.holds(row) for row in ROWS] == [True, True, False, False, False]
    assert certificate.budget.alpha == pytest.approx(1e-6 / 3)
    assert not certificate.passed
    assert Certificate(ROWS[:2]).passed
    assert not Certificate((Row("wolff", "x", p_value=math.nan),)).passed


def test_text_is_aligned() -> None:
    lines = Certificate(ROWS).render_text().splitlines()
    verdict = lines[0].index("verdict")
    assert [line[verdict:] for line in lines[2:7]] == ["ok", "ok", "FAILED", "FAILED", "FAILED"]
    assert [lines[0].index(name) for name in ("kernel", "target")] == [0, lines[2].index("a", 9)]
    end = lines[0].index("exact value") + len("exact value")
    assert lines[2][:end].endswith(" 1.50000000")
    assert "1.020(10)" in lines[3] and "+2.00" in lines[3]


def test_findings_are_one_table() -> None:
    findings = Certificate(ROWS, {"seed": 1}, 2.5).findings
    (table,) = findings.tables
    assert table.columns == COLUMNS
    assert [row[-1] for row in table.rows] == ["ok", "ok", "FAILED", "FAILED", "FAILED"]
    assert findings.seconds == 2.5


def test_json_is_json() -> None:
    text = json.dumps(Certificate(ROWS, {"seed": 1}).to_json(), allow_nan=False)
    back = json.loads(text)
    assert back["passed"] is False
    assert back["rows"][1]["measured"] == 1.02
    assert back["rows"][1]["error"] == 0.01
    assert back["rows"][4]["measured"] is None
    assert [row["verdict"] for row in back["rows"]] == ["ok", "ok", "failed", "failed", "failed"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_whole_certificate(seed: int) -> None:
    certificate = certify(seed=seed)
    assert certificate.passed, certificate.render_text()
    judged = [row.kernel.split("(")[0] for row in certificate.rows if row.p_value is not None]
    named = {part.split("*")[-1] for kernel in judged for part in kernel.split("+")}  # 2*a+b names a and b
    # A flow is Independence with a trained model, blocks likewise, and both are judged with proposals that need none.
    assert named >= set(KERNELS) - {"flow", "blocked-flow"} | {"independence", "blocked"}


@pytest.mark.slow
def test_the_whole_certificate_fails_on_broken_kernels() -> None:
    def build(case: Case) -> Any:
        coupling = "beta" if hasattr(case.action, "beta") else "lam"
        wrong = 1.02 * getattr(case.action, coupling)
        return replace(case, action=replace(case.action, **{coupling: wrong})).build()

    effort = replace(module.QUICK, draws=50_000, steps=2000)
    assert not certify(build=build, effort=effort).passed
