"""The benchmark for whoever has a GPU, on the emulator: it judges before it times, and says what it did."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("this copy of the tests lies outside a checkout: there are no benchmarks")
    monkeypatch.syspath_prepend(str(ROOT))
    module = importlib.import_module("benchmarks.gpu")
    monkeypatch.setattr(module, "ROUNDS", 2)
    return module


@pytest.fixture
def built(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "list_available", lambda: ("cuda", "cpp", "python"))
    monkeypatch.setattr("pyqmc_art.backends._require", lambda name, origin: name)


@pytest.mark.usefixtures("emulated", "built")
def test_every_case_is_judged_and_timed(gpu: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--quick", "--out", str(tmp_path / "gpu.json")]) == 0
    assert "3 of 3 cases right and timed" in capsys.readouterr().out
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert results["device"] == "emulated on the processor (sm_00)"
    assert results["quick"] is True
    for row in results["rows"]:
        assert row["bytes_agree"] is True
        assert row["ns_per_unit"]["least"] <= row["ns_per_unit"]["median"] <= row["ns_per_unit"]["most"]


@pytest.mark.usefixtures("emulated", "built")
def test_who_is_wrong_is_not_timed(
    gpu: Any, emulated: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Wrong:
        def __getattr__(self, name: str) -> Any:
            return getattr(emulated, name)

        def multispin_steps(self, batch: Any, table: Any) -> None:
            emulated.multispin_steps(batch, table + (table > 0) * table.dtype.type(2**58))

    monkeypatch.setitem(sys.modules, "pyqmc_art._cuda", Wrong())
    assert gpu.main(["--quick", "--out", str(tmp_path / "gpu.json")]) == 1
    out = capsys.readouterr().out
    assert out.count("WRONG: the bytes differ") == 1
    assert "2 of 3 cases right and timed" in out
    first, *others = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert "ns_per_unit" not in first
    assert all("ns_per_unit" in row for row in others)


@pytest.mark.usefixtures("emulated", "built")
def test_a_failing_device_is_named(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYQMC_EMULATED_FAULT", "malloc 1")
    assert gpu.main(["--quick", "--out", str(tmp_path / "gpu.json")]) == 1
    assert "FAILED: the device has no room for" in capsys.readouterr().out


@pytest.mark.usefixtures("emulated", "built")
def test_without_a_device_nothing_is_measured(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYQMC_EMULATED_FAULT", "devices 100")
    assert gpu.main(["--out", str(tmp_path / "gpu.json")]) == 2
    assert "no device: no CUDA-capable device is detected" in capsys.readouterr().err
    monkeypatch.setattr(gpu, "list_available", lambda: ("cpp", "python"))
    assert gpu.main(["--out", str(tmp_path / "gpu.json")]) == 2
    assert "PYQMC_CUDA=1 pip install ." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
