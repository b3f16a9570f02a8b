"""Bad input of continuous fields and trained models: one line that says what to do, or a defined answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.errors import NumericalError
from pyqmc_art.lattice.kernels.compose import build

PHI4 = "--m2 -4 --lam 8"
FIELD = f"sample phi4 {PHI4} --steps 9 --warmup 3"
VECTORS = "sample on --n 3 --beta 1 --steps 9 --warmup 3"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"{FIELD} --shape 1 4 --kernel hmc", "extent of 1; every extent must be at least 2"),
        (f"{VECTORS} --shape 4 1 --kernel hmc", "extent of 1"),
        (f"train flow --shape 1 4 {PHI4} --out m", "extent of 1"),
        (f"train vae --shape 1 4 {PHI4} --out m", "extent of 1"),
        (f"train block-flow --shape 1 4 {PHI4} --block 1 2 --out m", "extent of 1"),
        (f"{FIELD} --shape 3 4 --kernel heat-bath", "extent 3 (shape (3, 4)); use extents divisible by 2"),
        (f"{VECTORS} --shape 3 4 --kernel heat-bath", "or a cluster kernel (swendsen-wang, wolff)"),
        (f"train vae --shape 3 4 {PHI4} --out m", "extent 3"),
        (f"train block-flow --shape 3 4 {PHI4} --block 1 2 --out m", "extent 3"),
        (f"{VECTORS} --shape 4 4 --kernel hmc --acceleration 1", "leave --acceleration out"),
        (f"{VECTORS} --shape 4 4 --kernel hmc --integrator omelyan2b", "did you mean 'omelyan2'"),
    ],
)
def test_shapes_and_options_that_are_refused(call: Any, tmp_path: Any, words: str, said: str) -> None:
    status, out, err = call(words)
    assert (status, out) == (2, "")
    assert said in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", ["2 2", "3 5", "2 3 2", "2"])
@pytest.mark.parametrize("action", ["phi4 --m2 -1 --lam 1", "on --n 2 --beta 0.7", "on --n 5 --beta 0.7"])
def test_extent_two_and_odd_extents_are_sampled_by_hmc(call: Any, action: str, shape: str) -> None:
    status, out, _ = call(f"sample {action} --shape {shape} --kernel hmc --integrator omelyan4 --steps 60 --warmup 10")
    assert status == 0
    assert "nonfinite 0" in out


@pytest.mark.parametrize("action", [f"phi4 {PHI4}", "on --n 3 --beta 1e200"])
def test_trajectories_that_blow_up_are_counted_and_reported(call: Any, action: str) -> None:
    run = f"sample {action} --shape 4 4 --kernel hmc --trajectory 400 --md-steps 20 --steps 9 --warmup 3"
    status, out, _ = call(run)
    assert status == 0
    assert "acceptance 0; nonfinite 1" in out


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["metropolis", "heat-bath", "wolff", "swendsen-wang", "hmc", "heat-bath+hmc"])
def test_fields_that_are_not_finite_are_refused_by_every_kernel(name: str, value: float) -> None:
    actions: list[Any] = [qa.Phi4(qa.Lattice((4, 4)), -1, 1), qa.ON(qa.Lattice((4, 4)), 3, 1.0)]
    for action in actions:
        kernel: Any = build(name if action.name == "on" or name.endswith("hmc") else f"heat-bath+{name}", action)
        field = kernel.start(qa.Stream.from_seed(1), 2)
        field[1, 2, 3] = value
        with pytest.raises(NumericalError, match="not finite"):
            kernel.init(field)


@pytest.fixture
def models(call: Any) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    for words in (
        f"train flow --shape 4 4 {PHI4} --steps 3 --draws 200 --layers 2 --hidden 3 --out whole --threads 1",
        f"train vae --shape 4 4 {PHI4} --fields 16 --steps 3 --out local --threads 1",
        f"train block-flow --shape 4 4 {PHI4} --block 1 2 --fields 16 --steps 3 --layers 2 --hidden 3 --out block "
        "--threads 1",
    ):
        assert call(words)[0] == 0


def test_models_of_another_kind_or_target_are_refused(call: Any, models: None) -> None:
    trained = {"flow": "whole", "vae-local": "local", "blocked-flow": "block"}
    here = f"{FIELD} --shape 4 4 --threads 1"
    for kernel, own in trained.items():
        assert call(f"{here} --kernel {kernel} --model {own}")[0] == 0
        for other in {*trained.values()} - {own}:
            status, _, err = call(f"{here} --kernel {kernel} --model {other}")
            assert status == 2
            assert f"{other} holds no model for the kernel '{kernel}'; give a directory that train " in err
        for change, said in (
            ("--lam 7", "lam 8.0 -> 7.0"),
            ("--convention D", "convention A -> D"),
            ("--boundary open", "boundary periodic -> open"),
        ):
            words = here.replace("--lam 8", change) if change.startswith("--lam") else f"{here} {change}"
            status, _, err = call(f"{words} --kernel {kernel} --model {own}")
            assert status == 2
            assert f"was trained for another target ({said}); train one for this" in err
        status, _, err = call(f"{VECTORS} --n 2 --shape 4 4 --kernel {kernel} --model {own}".replace("--n 3 ", ""))
        assert status == 2
        assert "action phi4 -> on" in err
    status, _, err = call(f"{FIELD} --shape 4 6 --kernel flow --model whole")
    assert status == 2
    assert "shape [4, 4] -> [4, 6]" in err
