from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pyqmc_art import demo, demo_forgeries, options
from pyqmc_art.demo_art import show_paintings
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Findings
from pyqmc_art.report import page
from pyqmc_art.store.ensemble import open_ensemble
from pyqmc_art.studies import catalogue

SAMPLE = demo.SECTIONS[0]


def test_sampling_section_makes_a_run_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SECTIONS", (SAMPLE,))
    for _ in range(2):  # an earlier demo is replaced
        target, passed = demo.run_demo(tmp_path, seed=0, monitor=Silent())
    assert passed and target == tmp_path / "index.html"
    with open_ensemble(tmp_path / "run.h5") as run:
        assert run.replicas == 4 and run.fields is not None
    (findings,) = page.read_findings_json(target)
    energy = next(row for row in findings["tables"][0]["rows"] if row[0] == "energy")
    assert abs(energy[3]) < 4
    assert findings["answer"].startswith("Yes")


def test_one_section_that_fails_fails_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(SAMPLE, make=lambda *given: (SAMPLE.make(*given)[0], False))
    monkeypatch.setattr(demo, "SECTIONS", (broken, SAMPLE))
    assert not demo.run_demo(tmp_path, seed=0, monitor=Silent())[1]


def test_sections_of_the_page() -> None:
    assert [section.name for section in demo.SECTIONS] == [
        "sample",
        "certificate",
        "ising-dynamics",
        "phase-transition",
        "appraise",
        "paintings",
        "synthesis",
        "forgery",
        "unseen-generators",
        "unsupervised",
        "leakage",
        "confounds",
    ]


def test_without_the_art_extra_the_demo_says_what_would_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SECTIONS", (SAMPLE, replace(SAMPLE, name="closed", gallery=True)))
    monkeypatch.setattr(demo, "gallery_is_open", lambda: False)
    target, passed = demo.run_demo(tmp_path, seed=0, monitor=Silent())
    assert passed and len(page.read_findings_json(target)) == 1
    assert "The gallery is closed here" in target.read_text(encoding="utf-8")


def test_the_gallery_begins_with_its_painters(tmp_path: Path) -> None:
    findings, passed = show_paintings(tmp_path, 0, Silent())
    pictures = findings.figures[0].panels
    assert passed and len(pictures) == 8 and "Simulated" in findings.figures[0].caption
    assert not np.array_equal(pictures[0].values, pictures[2].values)  # another hand, the same motif


def test_a_forged_ensemble_is_told_from_a_genuine_one_and_a_second_genuine_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings, passed = demo_forgeries.appraise_ensembles(tmp_path, 0, Silent())
    pairs = findings.tables[0]
    assert passed and "not told apart" in findings.answer
    assert [row[0] for row in pairs.rows] == ["the same target, run again", "made at 0.99 beta"]
    assert str(tmp_path) not in findings.answer
    # A judge that is given two genuine ensembles and calls one of them forged fails the demo, and so does a blind one.
    monkeypatch.setattr(demo_forgeries, "STEPS", 1000)
    monkeypatch.setattr(demo_forgeries, "SHIFT", 1.0)
    assert not demo_forgeries.appraise_ensembles(tmp_path, 0, Silent())[1]
    monkeypatch.setattr(demo_forgeries, "SURE", 1.0)
    monkeypatch.setattr(demo_forgeries, "SHIFT", 0.99)
    assert not demo_forgeries.appraise_ensembles(tmp_path, 0, Silent())[1]


def test_the_synthesizer_of_the_demo_is_a_study_that_there_is() -> None:
    study = catalogue.configure("synthesis", "quick", demo_forgeries.SYNTHESIS, options.parse)
    assert study.kinds == ("diffusion",) and study.kimg + study.few_kimg <= 10


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="another --out"):
        demo.run_demo(tmp_path / "file" / "demo", seed=0, monitor=Silent())


def test_the_gallery_is_made_in_a_process_beside_and_stands_where_it_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    paintings = next(section for section in demo.SECTIONS if section.name == "paintings")
    beside = replace(paintings, make=lambda *given: pytest.fail("made here"))
    first, second = demo.make_sections([beside, SAMPLE], tmp_path, 0, Silent())
    assert first[0].study == "paintings" and second[0].study == "sample"
    here = paintings.make(tmp_path, 0, Silent())[0]
    assert np.array_equal(first[0].figures[0].panels[5].values, here.figures[0].panels[5].values)


def test_an_interrupt_here_ends_the_process_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*given: object) -> tuple[Findings, bool]:
        raise KeyboardInterrupt

    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    long = [section for section in demo.SECTIONS if section.name in ("forgery", "leakage")]
    with pytest.raises(KeyboardInterrupt):
        demo.make_sections([*long, replace(SAMPLE, make=interrupt)], tmp_path, 0, Silent())
    assert not multiprocessing.active_children()
