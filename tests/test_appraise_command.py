"""The command appraise: its JSON contract, its page, and what it says of wrong input."""

import json

import numpy as np
import pytest

from pyqmc_art.cli import main
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.chain import sample
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.report.page import read_findings_json


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, beta, seed in (("a", 0.4, 1), ("b", 0.4, 2), ("c", 0.44, 3)):
        action = Ising(Lattice((6, 6)), beta=beta)
        sample(action, SwendsenWang(action, threads=1), steps=240, warmup=50, every=4, save_every=4, replicas=8,
               seed=seed, out=folder / f"{name}.h5")  # fmt: skip
    return folder


def test_json_keeps_its_contract(runs, capsys):
    assert main(["appraise", str(runs / "a.h5"), str(runs / "b.h5"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["c2st"]) >= {"accuracy", "n_eff", "p_value"}
    assert set(found) >= {"c2st", "spectrum", "kid", "nearest", "observables", "verdict"}
    assert found["verdict"] == "not told apart"
    assert 0 <= found["spectrum"]["p_value"] <= 1
    assert len(found["spectrum"]["radial"]["a"]) == len(found["spectrum"]["radial"]["x"])
    assert set(found["observables"]["energy"]) == {"a", "b", "sigmas"}


def test_the_same_seed_gives_the_same_numbers(runs, capsys):
    texts = []
    for _ in range(2):
        assert main(["appraise", str(runs / "a.h5"), str(runs / "c.h5"), "--json", "--seed", "3"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["verdict"] == "different"


def test_the_page_and_the_corrected_ensemble(runs, tmp_path, capsys):
    words = ["appraise", str(runs / "a.h5"), str(runs / "c.h5"), "--report", str(tmp_path / "page"), "--correct", "mh",
             "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(words) == 0
    said = capsys.readouterr()
    assert "corrected by Metropolis chain" in said.out
    assert "cannot repair" in said.out
    assert (tmp_path / "out" / "fields.h5").is_file()
    (findings,) = read_findings_json(tmp_path / "page" / "index.html")
    assert [t["name"] for t in findings["tables"]][-2:] == ["correction", "corrected"]
    assert main(words) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0


def test_a_configuration_file_says_the_same(runs, tmp_path, capsys):
    words = ["appraise", str(runs / "a.h5"), str(runs / "b.h5"), "--seed", "4", "--correct", "drs"]
    assert main([*words, "--print-config"]) == 0
    (tmp_path / "c.toml").write_text(capsys.readouterr().out)
    assert main(["appraise", "--config", str(tmp_path / "c.toml"), "--print-config"]) == 0
    assert capsys.readouterr().out == (tmp_path / "c.toml").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "two ensembles are needed"),
        (("a.h5",), "two ensembles are needed"),
        (("a.h5", "absent.h5"), "does not exist"),
        (("a.h5", "b.h5", "--correct", "mc"), "did you mean"),
        (("a.h5", "b.h5", "--out", "x"), "give correct"),
        (("a.h5", "b.h5", "--equalise", "64"), "for pictures"),
        (("a.h5", "b.h5", "--sed", "1"), "--seed"),
        (("a.h5", "short.h5"), "independent members"),
    ],
)
def test_wrong_input_is_told_in_a_line(runs, monkeypatch, capsys, words, message):
    monkeypatch.chdir(runs)
    if "short.h5" in words:
        action = Ising(Lattice((6, 6)), beta=0.4)
        sample(action, SwendsenWang(action), steps=8, save_every=1, seed=1, out=runs / "short.h5", force=True)
    assert main(["appraise", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_pictures_by_the_command(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("PIL")
    from pyqmc_art.art.pictures import write_picture

    generator = np.random.default_rng(1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(14):
            write_picture(tmp_path / name / f"{k}.png", generator.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    (tmp_path / "b" / "broken.png").write_bytes(b"nothing")
    assert main(["appraise", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert set(found) >= {"c2st", "spectrum", "kid", "nearest", "files_alone"}
    assert "broken.png" in said.err
