"""Flows in the certificate: they hold, a forgotten determinant does not, and without torch the row says so."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pyqmc_art.rng import Stream
from pyqmc_art.testing.certificate import Certificate
from pyqmc_art.testing.flow_trials import FLOW_CASES, TRAINED, FlowCase, judge_flows
from pyqmc_art.testing.verdict import BUDGET

STREAM = Stream.from_seed(23)


def test_flows_hold_however_they_are_trained() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    rows = judge_flows(STREAM, 10_000, 4)
    assert len(rows) == 2 * len(FLOW_CASES) + 1
    for row in rows:
        assert row.sound and row.p_value is not None and BUDGET.passes(row.p_value), row
    accepted: dict[str, Any] = {row.kernel: row.measured for row in rows if row.kernel.startswith("flow(")}
    assert accepted["flow(badly trained)"] < 0.9


def test_a_forgotten_determinant_fails() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")

    def broken(case: FlowCase) -> Any:
        flow = case.build()
        for name in ("forward", "inverse"):
            right = getattr(flow, name)
            setattr(flow, name, lambda x, c=None, right=right: (right(x)[0], torch.zeros(len(x), dtype=torch.float64)))
        return flow

    rows = judge_flows(STREAM, 20_000, 6, broken)
    failed = {row.kernel for row in rows if row.p_value is not None and not BUDGET.passes(row.p_value)}
    assert {"flow(crooked)", f"flow({TRAINED})"} <= failed


def test_without_torch_the_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyqmc_art.proposals.flow", None)
    rows = judge_flows(STREAM, 100, 1)
    assert len(rows) == 1
    certificate = Certificate(tuple(rows), {"backend": "cpp"})
    assert certificate.passed
    assert certificate.answer == "All 0 judgements hold on the backend cpp. Skipped: 1."
    assert "skipped: import of pyqmc_art.proposals.flow halted" in certificate.render_text()
    assert certificate.to_json()["rows"][0]["verdict"] == "skipped"
