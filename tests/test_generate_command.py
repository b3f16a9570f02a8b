"""The commands around flows: training options, anchors, and draws of a model as files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

import pyqmc_art as qa  # noqa: E402
from pyqmc_art.lattice.geometry import Lattice  # noqa: E402
from pyqmc_art.lattice.scalar import Phi4  # noqa: E402
from pyqmc_art.learning.pretrained import Pretrained, write_pretrained  # noqa: E402
from pyqmc_art.proposals.anchors import ANCHORS, find_anchor  # noqa: E402

TORUS = "--shape 2 2 --m2 -4 --lam 8 --layers 2 --hidden 4 --steps 6 --train-batch-size 32 --draws 500 --threads 1"
LN_Z = 0.914433978


@pytest.fixture
def model(call: Any) -> str:
    assert call(f"train flow {TORUS} --out m")[0] == 0
    return "m"


def test_draws_and_their_weights(call: Any, model: str, tmp_path: Path) -> None:
    status, out, err = call(f"generate {model} --n 5000 --out draws --threads 1")
    assert (status, err) == (0, "")
    for said in ("of N = 5000", "longest rejection run", "Pareto k", "wrote draws/fields.h5"):
        assert said in out, said
    run = qa.open_ensemble("draws/fields.h5")
    assert run.fields is not None
    fields, weights = np.asarray(run.fields), run.series["log_weight"]
    assert fields.shape == (5000, 1, 2, 2)
    assert (weights.shape, run.configuration["kernel"]) == ((5000, 1), "draws")
    action = Phi4(Lattice((2, 2)), -4.0, 8.0)
    np.testing.assert_array_equal(run.series["action"][:, 0], action(fields[:, 0]))
    ratio = np.exp(weights)
    assert abs(math.log(ratio.mean()) - LN_Z) < 5 * ratio.std() / ratio.mean() / math.sqrt(5000)
    # The first of many are those of few; another seed draws others.
    assert call(f"generate {model} --n 7 --out few")[0] == call(f"generate {model} --n 7 --seed 1 --out other")[0] == 0
    few, other = (np.asarray(qa.open_ensemble(f"{name}/fields.h5").fields) for name in ("few", "other"))
    np.testing.assert_array_equal(few, fields[:7])
    assert not np.array_equal(few, other)


def test_a_seed_always_gives_the_same_draw(call: Any, model: str) -> None:
    assert call(f"generate {model} --seeds 0-4 9 --out one")[0] == 0
    assert call(f"generate {model} --seeds 9 3 --out two")[0] == 0
    one, two = (np.asarray(qa.open_ensemble(f"{name}/fields.h5").fields) for name in ("one", "two"))
    np.testing.assert_array_equal(one[[5, 3]], two)


def test_a_flow_for_a_range_draws_at_any_point_of_it(call: Any) -> None:
    assert call(f"train flow {TORUS} --range-lam 7 9 --fourier --out m")[0] == 0
    assert call("generate m --n 20 --lam 7.5 --out draws")[0] == 0
    assert qa.open_ensemble("draws/fields.h5").configuration["lam"] == 7.5
    run = "sample phi4 --m2 -4 --lam 8.5 --shape 2 2 --kernel flow --model m --warmup 2 --steps 20 --threads 1"
    assert call(run)[0] == 0
    status, _, err = call("generate m --n 20 --lam 9.5 --out other")
    assert status == 2
    assert "this flow was made for lam from 7.0 to 9.0" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("generate --n 3 --out d", "no model was given"),
        ("generate m --n 3", "no out was given"),
        ("generate m --out d", "give either --n"),
        ("generate m --n 3 --seeds 1 --out d", "give either --n"),
        ("generate m --n 0 --out d", "n is 0"),
        ("generate m --seeds 5-2 --out d", "the range of seeds 5-2 is empty"),
        ("generate m --seeds one --out d", "expected numbers and ranges"),
        ("generate nothing --n 3 --out d", "does not exist"),
        ("generate stranger --n 3 --out d", "stranger holds a detector; generate draws from a flow"),
        ("generate m --n 3 --out m/config.json", "is a file"),
        ("generate m --n 3 --lam 7 --out d", "this flow is for"),
        ("generate m --n 3 --out d --sede 3", "sede"),
    ],
)
def test_bad_generate(call: Any, model: str, words: str, said: str) -> None:
    write_pretrained("stranger", Pretrained("detector", {}))
    status, _, err = call(words)
    assert status == 2
    assert said in err
    assert not Path("d").exists()


def test_draws_are_not_overwritten(call: Any, model: str) -> None:
    assert call(f"generate {model} --n 3 --out d")[0] == 0
    status, _, err = call(f"generate {model} --n 4 --out d")
    assert status == 2
    assert "exists already" in err
    assert call(f"generate {model} --n 4 --out d --force")[0] == 0


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        ("--kind spline --bins 3 --fourier", {"kind": "spline", "bins": 3, "fourier": True}),
        ("--kind continuous --bins 2 --layers 8", {"kind": "continuous", "layers": 8}),
        ("--mixture --forward 0.5 --samples 128 --ema 0.9", {"mixture": True, "equivariant": False}),
        ("--path-gradient --from-lam 5 --ramp 0.4", {"kind": "affine"}),
    ],
)
def test_training_options(call: Any, more: str, facts: dict[str, Any]) -> None:
    base = TORUS.replace("--layers 2 ", "") if "--layers" in more else TORUS
    assert call(f"train flow {base} --out m {more}")[0] == 0
    stored = json.loads(Path("m/config.json").read_text())["configuration"]
    assert facts.items() <= stored["plan"].items()
    assert {"ess", "draws", "acceptance", "lower", "upper", "round_trip"} <= stored["training"]["history"][-1].keys()
    for name, value in (("forward", 0.5), ("ema", 0.9), ("path_gradient", True), ("ramp", 0.4)):
        if f"--{name.replace('_', '-')}" in more:
            assert stored["training"]["options"][name] == value


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"train flow {TORUS} --out m --kind afine", "did you mean 'affine'"),
        (f"train flow {TORUS} --out m --range-m2 -4", "range-m2 has 1 numbers"),
        (f"train flow {TORUS} --out m --range-m2 -3 -5", "the range of m2 is"),
        (f"train flow {TORUS} --out m --range-lam 9 10", "lam is 8.0; this flow was made for lam from 9.0 to 10.0"),
        (f"train flow {TORUS} --out m --data run.h5", "data is for the forward divergence"),
        (f"train flow {TORUS} --out m --forward 1 --data run.h5", "run.h5"),
        (f"train flow {TORUS} --out m --init nothing", "does not exist"),
        ("train flow --anchor 6x7 --out m", "unknown anchor '6x7'; did you mean '6x6'"),
    ],
)
def test_bad_training_options(call: Any, words: str, said: str) -> None:
    status, _, err = call(words)
    assert status == 2
    assert said in err


def test_an_anchor_sets_the_options_and_changing_one_ends_it(call: Any) -> None:
    status, out, _ = call("train flow --anchor 6x6 --out m --print-config")
    assert status == 0
    assert "lam = 6.975" in out
    status, out, _ = call(f"train flow --anchor 6x6 {TORUS} --fourier --out m")
    assert status == 0
    assert "not the anchor 6x6" in out
    assert "NOT as expected" in find_anchor("8x8").compare(0.01)
    assert all(0 < anchor.low < anchor.high < 1 for anchor in ANCHORS)
