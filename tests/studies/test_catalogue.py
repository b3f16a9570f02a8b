from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyqmc_art import options
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.report import page
from pyqmc_art.studies import catalogue
from pyqmc_art.studies.ising_dynamics import IsingDynamics
from pyqmc_art.studies.phase_transition import PhaseTransition

WRITTEN_DOWN = Path(__file__).resolve().parents[2] / "docs" / "studies"
TINY_DYNAMICS = {
    "betas": [0.48],
    "sizes": [4, 6],
    "fixed_sizes": [10, 20],
    "exchange_sizes": [10],
    "tempering_sizes": [4],
    "replicas": 2,
    "length": 20.0,
    "updates": 2e6,
}
TINY_TRANSITION = {
    "ising_sizes": [4, 8],
    "potts_sizes": [4, 6],
    "window": 0.5,
    "replicas": 8,
    "measurements": 400,
    "every": 1,
}


def configure(name: str, **overrides: Any) -> Any:
    return catalogue.configure(name, "quick", overrides, options.parse)


def run(studies: list[Any], folder: Path, *, seed: int = 1, force: bool = False) -> Path:
    return catalogue.run(studies, folder, seed=seed, force=force, monitor=Silent(), write=page.write)


def numbers(value: Any) -> list[float | None]:
    """All numbers of tables: of an Estimate its value and error."""
    if isinstance(value, dict):
        return [value["value"], value["error"]]
    return [value] if isinstance(value, (int, float)) else []


def test_presets_and_overrides() -> None:
    assert catalogue.configure("ising-dynamics", "quick", {}, options.parse) == IsingDynamics()
    full = catalogue.configure("phase-transition", "full", {"replicas": 3}, options.parse)
    assert full == PhaseTransition(**{**PhaseTransition.presets["full"], "replicas": 3})
    # Keys of another study are left to it.
    assert configure("ising-dynamics", window=0.5) == IsingDynamics()
    assert {"betas", "window"} <= set(catalogue.keys(["ising-dynamics", "phase-transition"]))


@pytest.mark.parametrize("name", list(catalogue.STUDIES))
@pytest.mark.parametrize("preset", ["quick", "full"])
def test_every_preset_can_be_built_and_written_down(name: str, preset: str) -> None:
    study = catalogue.configure(name, preset, {}, options.parse)
    assert set(study.presets) == {"quick", "full"}
    assert study.name == name


@pytest.mark.skipif(not WRITTEN_DOWN.is_dir(), reason="this copy of the tests lies outside a checkout: no docs")
def test_configurations_of_the_documentation_are_understood() -> None:
    files = sorted(WRITTEN_DOWN.glob("*.toml"))
    assert [file.name for file in files] == ["painter.toml", "van-gogh.toml"]
    names = ("forgery", "unseen-generators")
    for file in files:
        found = options.read_configuration(file, catalogue.keys(names))
        for study in (configure(name, **found) for name in names):
            assert study.synthesizers == "trained"
            assert (study.manifest is None) == (file.name == "painter.toml")


@pytest.mark.parametrize(
    ("name", "preset", "overrides", "message"),
    [
        ("ising-dynamic", "quick", {}, "did you mean 'ising-dynamics'"),
        ("ising-dynamics", "fast", {}, "unknown preset 'fast'"),
        ("ising-dynamics", "quick", {"size": [10]}, "did you mean 'sizes'"),
        ("ising-dynamics", "quick", {"replicas": "many"}, "replicas"),
        ("ising-dynamics", "quick", {"sizes": [10]}, "at least two lattice sizes"),
        ("ising-dynamics", "quick", {"sizes": [9, 12]}, "colouring"),
        ("ising-dynamics", "quick", {"fixed_sizes": [12]}, "spins up"),
        ("ising-dynamics", "quick", {"betas": [-0.1]}, "above 0"),
        ("ising-dynamics", "quick", {"length": 0.0}, "positive"),
        ("phase-transition", "quick", {"ising_sizes": [8]}, "at least two different"),
        ("phase-transition", "quick", {"window": -1.0}, "positive number"),
        ("phase-transition", "quick", {"measurements": 10}, "at least 100"),
        ("phase-transition", "quick", {"every": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_runs(
    name: str, preset: str, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        catalogue.configure(name, preset, overrides, options.parse)


def test_an_existing_page_is_kept(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(InputError, match="--force"):
        run([configure("phase-transition", **TINY_TRANSITION)], tmp_path)
    assert (tmp_path / "index.html").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="another --out"):
        run([configure("phase-transition", **TINY_TRANSITION)], tmp_path / "file" / "folder")


@pytest.fixture(scope="module")
def tiny_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    studies = [configure("ising-dynamics", **TINY_DYNAMICS), configure("phase-transition", **TINY_TRANSITION)]
    return run(studies, tmp_path_factory.mktemp("studies"))


def test_tiny_studies_make_one_page_of_finite_numbers(tiny_page: Path) -> None:
    dynamics, transition = page.read_findings_json(tiny_page)
    assert [dynamics["study"], transition["study"]] == ["ising-dynamics", "phase-transition"]
    found = [
        n for f in (dynamics, transition) for t in f["tables"] for row in t["rows"] for c in row for n in numbers(c)
    ]
    assert len(found) > 100
    assert all(n is not None and math.isfinite(n) for n in found)
    names = [t["name"] for t in dynamics["tables"]]
    assert len([n for n in names if n.startswith("times")]) == 2 and "tunnelling" in names
    assert [f["name"] for f in dynamics["figures"]] == ["fields", "critical", "talk", "exchanges"]
    assert "as read off the talk" in dynamics["answer"]
    updates = {row[0] for t in dynamics["tables"] for row in t["rows"]}
    assert {"Metropolis", "heat bath", "Swendsen-Wang", "Wolff, in V flips", "m = 0.8, any two"} <= updates
    assert [f["name"] for f in transition["figures"]] == ["ising-scaling", "potts-3-scaling"]


def test_a_study_does_not_depend_on_what_else_is_run(tiny_page: Path, tmp_path: Path) -> None:
    alone = run([configure("phase-transition", **TINY_TRANSITION)], tmp_path)
    assert page.read_findings_json(alone)[0]["tables"] == page.read_findings_json(tiny_page)[1]["tables"]


@pytest.mark.slow
def test_quick_presets_say_what_is_known(tmp_path: Path) -> None:
    studies = [configure("ising-dynamics"), configure("phase-transition")]
    dynamics, transition = page.read_findings_json(run(studies, tmp_path, seed=3))
    for table in transition["tables"]:
        if table["name"].endswith("-results"):
            assert [row[0] for row in table["rows"]] == ["β_c", "ν", "γ/ν"]
            assert all(abs(row[4]) < 4 for row in table["rows"]), table
        if table["name"].endswith("-sizes"):
            assert all(abs(row[6]) < 4 for row in table["rows"] if row[6] is not None), table
    fits = next(t for t in dynamics["tables"] if t["title"].endswith("β_c") and t["name"].startswith("fits"))
    z = {row[0]: row[3] for row in fits["rows"] if row[1] in ("m²", "|m(k)|²")}
    for local in ("Metropolis", "heat bath"):
        assert abs(z[local]["value"] - 2.17) < 4 * z[local]["error"] + 0.2
        for cluster in ("Swendsen-Wang", "Wolff, in V flips"):
            apart = math.hypot(z[local]["error"], z[cluster]["error"])
            assert z[local]["value"] - z[cluster]["value"] > 4 * apart
    assert z["m = 0, neighbours"]["value"] > z["m = 0, any two"]["value"]


def test_a_study_of_a_lattice_needs_no_library_of_pictures() -> None:
    script = (
        "import sys\n"
        "from pyqmc_art import options\n"
        "from pyqmc_art.studies import catalogue\n"
        "catalogue.configure('ising-dynamics', 'quick', {'replicas': 2}, options.parse)\n"
        "print(*(name for name in ('PIL', 'torch', 'sklearn', 'timm') if name in sys.modules))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'PIL'", name="PIL")

    monkeypatch.setattr(catalogue.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"forgery needs PIL; pip install 'pyqmc-art\[art\]'"):
        configure("forgery")
