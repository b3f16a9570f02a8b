"""The command that trains: what it says before and after, what it refuses, and how an interrupted training goes on."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pytest

from pyqmc_art.art.manifest import Manifest
from pyqmc_art.art.pictures import write_picture

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

QUICK = ["--backbone", "residual", "--size", "48", "--folds", "3"]


@pytest.fixture
def gallery(tmp_path):
    """Ten originals, ten proxies, four machine-made pictures: noise of another roughness for each."""
    from scipy.ndimage import gaussian_filter

    folder = tmp_path / "my pictures"
    for role, blur, count in (("original/The Master", 0.5, 10), ("proxy", 0.9, 10), ("diffusion", 1.4, 4)):
        (folder / role).mkdir(parents=True)
        for number in range(count):
            noise = np.random.default_rng([number, *role.encode()]).normal(128, 50, (64, 64, 3))
            smooth = gaussian_filter(noise, (blur, blur, 0))
            write_picture(folder / role / f"{number}.png", np.clip(np.rint(smooth), 0, 255).astype(np.uint8))
    return folder


def words(gallery, *more):
    return ["train", "detector", "--manifest", str(gallery), "--hand", "master", "--out", "a model", *QUICK, *more]


def test_it_says_what_held_out_works_show(call, gallery, tmp_path):
    status, out, err = call(words(gallery))
    assert (status, err) == (0, "")
    for said in (
        "24 pictures of 24 works", "equalised: every picture is shown whole, to 64 x 64", "The Master against others",
        "all contrast     10 v 14", "proxy alone      10 v 10", "diffusion alone  10 v 4", "metadata baseline",
        "subject baseline", "Claim against all contrast:", "Claim against diffusion alone: not decided",
        "calibration not supported: 10 v 14 works", "Verdicts on held-out works", "wrote a model",
    ):  # fmt: skip
        assert said in out, said
    table = next(line for line in out.splitlines() if line.startswith("all contrast"))
    assert table.count("[") == 4, "no score without its interval"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a model", "my pictures"], "no checkpoints are left"
    facts = json.loads((tmp_path / "a model/config.json").read_text())["configuration"]["training"]
    assert facts["options"]["hand"] == "The Master", "the name as the manifest writes it"
    assert facts["options"]["equaliser"]["size"] == 64
    assert facts["claims"][0]["against"] == "all"
    assert sum(facts["rehearsal"]["original"].values()) == 10


@pytest.mark.slow
def test_the_same_again(call, gallery, tmp_path):
    assert call(words(gallery))[0] == 0
    first = (tmp_path / "a model/works.jsonl").read_bytes()
    assert call([*words(gallery), "--force", "--threads", "1"])[0] == 0
    assert (tmp_path / "a model/works.jsonl").read_bytes() == first


def test_contrast_is_chosen(call, gallery):
    status, out, _ = call(words(gallery, "--contrast", "proxy"))
    assert status == 0
    assert "20 pictures" in out
    assert "diffusion" not in out


@pytest.mark.parametrize(("more", "said"), [
    (["--equalise", "none"], "not equalised: the pictures are taken as they are (PNG)"),
    (["--equalise", "32", "--downscale", "2", "--jpeg-quality", "50", "60"], "reduced 2 times, to 32 x 32"),
])  # fmt: skip
def test_equalisation_is_chosen(call, gallery, more, said):
    status, out, _ = call(words(gallery, "--dry-run", *more))
    assert status == 0
    assert said in out


def test_near_duplicates_are_merged_first(call, gallery):
    again = gallery / "original/The Master/again.jpg"
    from pyqmc_art.art.pictures import encode_jpeg, read_picture

    again.write_bytes(encode_jpeg(read_picture(gallery / "original/The Master/3.png").pixels, 85))
    status, out, _ = call(words(gallery, "--dry-run"))
    assert status == 0
    assert "25 pictures of 24 works" in out
    assert "1 pair of near-duplicates" in out


def test_a_dry_run_tells_the_cost_and_writes_nothing(call, gallery, tmp_path, contents):
    pytest.importorskip("timm", reason="timm is not installed")
    before = contents(tmp_path)
    line = ["train", "detector", "--manifest", str(gallery), "--hand", "master", "--out", "m", "--dry-run"]
    status, out, err = call([*line, "--backbone", "test_efficientnet", "--weights", "random"])
    assert (status, err) == (0, "")
    assert "M parameters, frozen" in out and "GFLOP" in out and "24 images in about" in out
    assert "nothing was trained" in out
    status, out, _ = call([*line, "--backbone", "test_efficientnet", "--weights", "random", "--tune", "--epochs", "2"])
    assert status == 0
    assert "6 trainings of 2 epochs" in out
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["swin_base_patch4_window7_224", "efficientnet_b0"])
def test_presets_without_weights_say_what_they_need(call, gallery, name):
    pytest.importorskip("timm", reason="timm is not installed")
    status, _, err = call([*words(gallery)[:-6], "--backbone", name])
    assert (status, err.count("\n")) == (2, 1)
    assert name in err
    assert "--weights FILE" in err and "--weights random" in err


def test_bad_pictures_are_all_named_and_nothing_is_trained(call, gallery, tmp_path):
    (gallery / "proxy/cut.png").write_bytes((gallery / "proxy/1.png").read_bytes()[:200])
    (gallery / "proxy/a text.jpg").write_text("no picture")
    shutil.copy(gallery / "proxy/2.png", gallery / "diffusion/twice.png")
    status, out, err = call(words(gallery))
    assert (status, out) == (2, "")
    lines = err.splitlines()
    assert all(line.startswith("pyqmc-art: ") for line in lines)
    assert len(lines) == 5
    for name in ("cut.png", "a text.jpg", "twice.png", "proxy/2.png"):
        assert sum(name in line.split(": ")[1] for line in lines) == 1
    assert "two labels" in err
    assert lines[-1].endswith("let data scan leave them out")
    assert not (tmp_path / "a model").exists()


BAD = [
    (["--manifest", ""], "no manifest was given"),
    (["--hand", ""], "no hand was given"),
    (["--out", ""], "no out was given"),
    (["--manifest", "nowhere.csv"], "nowhere.csv"),
    (["--manifest", "empty"], "no pictures in empty"),
    (["--hand", "Mster"], "unknown hand 'Mster'", "did you mean 'The Master'"),
    (["--contrast", "forgery"], "no row of role forgery", "proxy 10"),
    (["--contrast", "forgrey"], "unknown role 'forgrey'", "did you mean 'forgery'"),
    (["--backbone", "residul"], "unknown backbone"),
    (["--weights", "random"], "residual has no weights"),
    (["--folds", "1"], "folds is 1"),
    (["--folds", "40"], "40"),
    (["--balance", "role"], "unknown balance 'role'"),
    (["--equalise", "large"], "equalise is 'large'"),
    (["--levels", "1", "x"], "levels is 1 x"),
    (["--levels", "0"], "levels is 0"),
    (["--square", "round"], "unknown square 'round'"),
    (["--jpeg-quality", "90", "70"], "quality"),
    (["--jpeg-quality", "0", "70"], "quality"),
    (["--jpeg-quality", "70"], "jpeg-quality has 1 numbers"),
    (["--threads", "0"], "threads is 0"),
    (["--seed", "-1"], "seed is -1"),
    (["--tune"], "residual has no network"),
    (["--pretrain"], "add --tune"),
    (["--epochs", "3"], "--epochs is for training a whole network; add --tune"),
    (["--learning-rate", "0.1"], "--learning-rate is for"),
    (["--out", "taken"], "taken exists", "--force"),
    (["--out", "a file/model"], "a file is a file"),
    (["--out", "taken", "--force"], "taken is no model directory"),
    (["--hnad", "x"], "--hnad", "Did you mean --hand"),
    (["--config", "wrong.toml"], "'leraning-rate'", "did you mean 'learning-rate'"),
]


@pytest.mark.parametrize(("more", "needles"), [(row[0], row[1:]) for row in BAD], ids=[" ".join(r[0]) for r in BAD])
def test_bad_input_is_one_line_and_changes_nothing(call, gallery, tmp_path, contents, more, needles):
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/something").touch()
    (tmp_path / "a file").touch()
    (tmp_path / "wrong.toml").write_text("leraning-rate = 1\n")
    line = words(gallery)
    for flag in ("--manifest", "--hand", "--out", "--backbone", "--folds"):
        if flag in more:
            at = line.index(flag)
            line = line[:at] + line[at + 2 :]
    before = contents(tmp_path)
    status, _, err = call(line + ([] if more[1:] == [""] else more))
    assert status == 2
    assert err.startswith("pyqmc-art: ")
    assert err.count("\n") == 1
    for needle in needles:
        assert needle in err
    assert contents(tmp_path) == before


def test_one_class_only(call, gallery):
    for role in ("proxy", "diffusion"):
        shutil.rmtree(gallery / role)
    status, _, err = call(words(gallery))
    assert (status, err.count("\n")) == (2, 1)
    assert "no row to set against master; the manifest holds original 10" in err


def test_what_print_config_prints_config_reads(call, gallery, tmp_path):
    status, out, err = call(words(gallery, "--contrast", "proxy", "diffusion", "--levels", "1", "2", "--print-config"))
    assert (status, err) == (0, "")
    told = tomllib.loads(out)
    assert told["levels"] == ["1", "2"] and told["contrast"] == ["proxy", "diffusion"]
    assert told["jpeg-quality"] == [70, 90]
    (tmp_path / "settings.toml").write_text(out)
    assert call(["train", "detector", "--config", "settings.toml", "--print-config"]) == (0, out, "")
    assert not (tmp_path / "a model").exists()


def test_an_interrupted_training_goes_on(call, gallery, tmp_path, monkeypatch):
    """Ctrl-C in the middle: exit status 3; with --resume no picture is looked at twice, and the model is the same."""
    from pyqmc_art.art.detectors.residual import ResidualExtractor

    looked = []
    extract = ResidualExtractor.extract

    def count(self, picture):
        if len(looked) == 9:
            raise KeyboardInterrupt
        looked.append(picture.sha256)
        return extract(self, picture)

    monkeypatch.setattr(ResidualExtractor, "extract", count)
    status, _, err = call(words(gallery))
    assert (status, err.count("\n")) == (3, 1)
    assert "--resume" in err
    assert not (tmp_path / "a model").exists()
    seen = set(looked)
    monkeypatch.setattr(ResidualExtractor, "extract", lambda self, p: looked.append(p.sha256) or extract(self, p))
    assert call(words(gallery, "--resume"))[0] == 0
    assert len(looked) == len(set(looked)) == 24
    assert seen < set(looked)
    resumed = (tmp_path / "a model/works.jsonl").read_bytes()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert call([*words(gallery)[:6], "--out", "b", *QUICK])[0] == 0
    assert (tmp_path / "b/works.jsonl").read_bytes() == resumed


@pytest.mark.slow
def test_a_tuning_goes_on(call, gallery, tmp_path, monkeypatch):
    """Ctrl-C between two steps of the optimiser: what was done is kept, and the end is that of an uninterrupted one."""
    pytest.importorskip("timm", reason="timm is not installed")
    from pyqmc_art.learning import fit

    line = ["train", "detector", "--manifest", str(gallery), "--hand", "master", "--backbone", "test_efficientnet",
            "--weights", "random", "--size", "32", "--folds", "2", "--threads", "1", "--tune", "--epochs", "2",
            "--train-batch-size", "8", "--learning-rate", "1e-3", "--device", "cpu"]  # fmt: skip
    advance, steps = fit._Session.advance, []

    def stop(self, *given):
        if len(steps) == 5:
            raise KeyboardInterrupt
        steps.append(self.step)
        return advance(self, *given)

    monkeypatch.setattr(fit._Session, "advance", stop)
    status, _, err = call([*line, "--out", "m", "--checkpoint-every", "1"])
    assert (status, err.count("\n")) == (3, 1)
    assert "the same command with --resume goes on" in err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert call([*line, "--out", "m", "--checkpoint-every", "1", "--resume"])[0] == 0
    assert call([*line, "--out", "n", "--checkpoint-every", "1"])[0] == 0
    assert (tmp_path / "m/works.jsonl").read_bytes() == (tmp_path / "n/works.jsonl").read_bytes()


def test_as_a_process(run_command, gallery, tmp_path):
    Manifest.scan(gallery).write(tmp_path / "list.csv")
    status, out, err = run_command(
        "train", "detector", "--manifest", "list.csv", "--hand", "The Master", "--out", "m", *QUICK, cwd=tmp_path
    )
    assert (status, err) == (0, "")
    assert out.endswith("wrote m\n")


def test_help(call):
    status, out, err = call("train detector --help")
    assert (status, err) == (0, "")
    for flag in ("--manifest", "--learning-rate", "--train-batch-size", "--dry-run", "--config"):
        assert flag in out
    assert "--no-" not in out
    assert call("train")[0] == 0


def test_a_missing_library_is_one_line_that_says_what_brings_it(monkeypatch, capsys):
    from pyqmc_art import cli

    def lack(*words: object, **more: object) -> None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")

    monkeypatch.setattr(cli, "app", lack)
    assert cli.main(["train", "detector"]) == 2
    assert capsys.readouterr().err == "pyqmc-art: timm is not installed; run: pip install 'pyqmc-art[art]'\n"
    monkeypatch.setattr(cli, "OPTIONAL", ())
    with pytest.raises(ModuleNotFoundError):  # a fault of ours is not hidden
        cli.main(["train", "detector"])
