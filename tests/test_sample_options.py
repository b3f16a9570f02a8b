"""Options of ``sample`` that choose a disorder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pyqmc_art as qa

GLASS = "sample spin-glass --shape 4 6 --beta 0.7 --kernel heat-bath --steps 40 --warmup 5"


@pytest.mark.parametrize(("disorder", "seed"), [("bimodal", 0), ("bimodal", 3), ("gaussian", 3)])
def test_the_flags_choose_the_couplings(call, tmp_path, numbers, disorder, seed):
    status, _, err = call(f"{GLASS} --disorder {disorder} --disorder-seed {seed} --out flags.h5")
    assert (status, err) == (0, "")
    action = qa.SpinGlass(qa.Lattice((4, 6)), beta=0.7, disorder=disorder, disorder_seed=seed)
    qa.sample(action, qa.HeatBath(action), steps=40, warmup=5, out=tmp_path / "python.h5").close()
    assert numbers(tmp_path / "flags.h5") == numbers(tmp_path / "python.h5")


def test_without_flags_couplings_are_signs_of_seed_0(call, tmp_path, numbers):
    call(f"{GLASS} --out plain.h5")
    call(f"{GLASS} --disorder bimodal --disorder-seed 0 --seed 0 --out same.h5")
    call(f"{GLASS} --disorder-seed 1 --out other.h5")
    assert numbers(tmp_path / "plain.h5") == numbers(tmp_path / "same.h5")
    assert numbers(tmp_path / "plain.h5") != numbers(tmp_path / "other.h5")


def test_the_seed_of_the_run_leaves_the_couplings_alone(call, tmp_path):
    for seed in (1, 2):
        call(f"{GLASS} --disorder gaussian --disorder-seed 5 --seed {seed} --save-every 40 --out {seed}.h5")
    couplings = []
    for seed in (1, 2):
        with qa.open_ensemble(tmp_path / f"{seed}.h5") as run:
            stored = run.configuration
        assert (stored["disorder"], stored["disorder_seed"]) == ("gaussian", 5)
        couplings.append(qa.SpinGlass(qa.Lattice((4, 6)), 0.7, stored["disorder"], stored["disorder_seed"]).strengths)
    np.testing.assert_array_equal(*couplings)


def test_a_printed_configuration_and_a_resumed_run_keep_them(call, tmp_path, numbers):
    words = f"{GLASS} --disorder gaussian --disorder-seed 9"
    _, out, _ = call(f"{words} --print-config")
    assert {'disorder = "gaussian"', "disorder-seed = 9"} <= set(out.splitlines())
    Path("run.toml").write_text(out)
    call("sample --config run.toml --steps 80 --out long.h5")
    call(f"{words} --out short.h5")
    assert call("sample --resume short.h5 --steps 80")[0] == 0
    assert numbers(tmp_path / "short.h5") == numbers(tmp_path / "long.h5")
    status, _, err = call("sample --resume short.h5 --steps 90 --disorder-seed 8")
    assert status == 2
    assert "disorder" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (f"{GLASS} --disorder gauss", "did you mean 'gaussian'"),
        (f"{GLASS} --disorder-seed 1.5", '"1.5" is not a whole number'),
        (f"{GLASS} --disorder-seed -1", "disorder_seed is -1; expected a whole number from 0 to"),
        (f"{GLASS} --disorder-seed 9007199254740993", "expected a whole number from 0 to 9007199254740992"),
        (f"{GLASS} --disorder-seeds 1", "--disorder-seed"),
        (f"{GLASS} --J 2", "has no coupling 'J'"),
        (GLASS.replace("--beta 0.7", ""), "needs beta"),
        (GLASS.replace("heat-bath", "wolff"), "wolff"),
        (GLASS.replace("spin-glass", "ising") + " --disorder bimodal", "has no coupling 'disorder'"),
    ],
)
def test_bad_input_is_refused_before_a_file_is_begun(call, tmp_path, words, message):
    status, out, err = call(f"{words} --out bad.h5")
    assert (status, out) == (2, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []
