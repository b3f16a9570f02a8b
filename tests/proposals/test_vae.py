"""Training local updates, their directories, the kernel and the command that are built from one."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

import pyqmc_art as qa  # noqa: E402
from pyqmc_art.errors import InputError  # noqa: E402
from pyqmc_art.lattice.geometry import Lattice  # noqa: E402
from pyqmc_art.lattice.kernels.compose import build  # noqa: E402
from pyqmc_art.lattice.kernels.field_vae import VaeLocal  # noqa: E402
from pyqmc_art.lattice.scalar import Phi4  # noqa: E402
from pyqmc_art.lattice.vector import ON  # noqa: E402
from pyqmc_art.ops import plain_patches  # noqa: E402
from pyqmc_art.proposals import vae_training as module  # noqa: E402
from pyqmc_art.proposals.patch_data import collect_patches, make_fields  # noqa: E402
from pyqmc_art.proposals.vae import LocalVae, VaeShape  # noqa: E402
from pyqmc_art.proposals.vae_models import export_network, load_model, load_vae  # noqa: E402
from pyqmc_art.proposals.vae_training import VaeTraining, elbo, patch_batches, train_vae  # noqa: E402
from pyqmc_art.rng import Stream  # noqa: E402
from pyqmc_art.testing.fields import draw_fields  # noqa: E402
from pyqmc_art.testing.torus import TORUS, torus_p_value  # noqa: E402
from pyqmc_art.testing.verdict import BUDGET  # noqa: E402

STREAM = Stream.from_seed(3)
SMALL = VaeTraining(
    VaeShape(latents=1, hidden=(6,)), fields=64, steps=150, batch=256, device="cpu", checkpoint_every=50
)
SCALAR, VECTORS = Phi4(Lattice((4, 4)), -4.0, 6.0, "D"), ON(Lattice((4, 4)), 2, 1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train local updates of the torus once."""
    place = tmp_path_factory.mktemp("vaes") / "a model"
    train_vae(TORUS, SMALL, place, threads=1)
    return place


@pytest.mark.parametrize(
    ("action", "plan"),
    [(SCALAR, VaeShape((2, 1), 2, (5,))), (VECTORS, VaeShape((), 1, (4, 3))), (SCALAR, VaeShape((), 0, ()))],
)
def test_exported_weights_say_what_torch_says(action: Any, plan: VaeShape) -> None:
    """Decoder, encoder and density of the compiled form against the module, in units of the fields."""
    vae = LocalVae(action, plan, STREAM)
    data = collect_patches(action, vae.block, make_fields(action, 4, STREAM))
    noise = torch.randn(len(data.values), plan.latents, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    surprise, divergence = vae(torch.from_numpy(data.around), torch.from_numpy(data.values), noise)
    network = export_network(vae)
    for k in range(5):
        around, values = data.around[k], data.values[k]
        given, z = around.ravel(), noise[k].numpy().copy()
        expected = 0.0
        if plan.latents:
            code = plain_patches.apply_network(
                network.encoder.sizes, network.encoder.weights, np.concatenate([given, values.ravel()])
            )
            mean, spread = code[: plan.latents], code[plan.latents :]
            z = mean + np.exp(spread) * z
            expected = float((0.5 * (mean**2 + np.exp(2 * spread) - 1) - spread).sum())
        out = plain_patches.apply_network(network.decoder.sizes, network.decoder.weights, np.concatenate([given, z]))
        constant = math.log(2 * math.pi) * vae.size / (2 if vae.components == 1 else 1)
        assert surprise[k].item() == pytest.approx(plain_patches.weigh(out, values, 0.0) + constant, rel=1e-10)
        assert divergence[k].item() == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_the_frame_is_that_of_the_loops() -> None:
    for action in (SCALAR, VECTORS):
        fields = make_fields(action, 2, STREAM)
        data = collect_patches(action, (1, 1), fields)
        for around in data.around[:10]:
            assert plain_patches.find_frame(around) == pytest.approx((1.0, 0.0), abs=1e-12)


def test_every_parameter_has_a_gradient() -> None:
    for action in (SCALAR, VECTORS):
        vae = LocalVae(action, VaeShape((2, 1), 2, (5,)), STREAM)
        data = collect_patches(action, vae.block, make_fields(action, 16, STREAM))
        elbo()(vae, patch_batches(vae, data, 64, STREAM)(0)).backward()
        for name, parameter in vae.named_parameters():
            assert parameter.grad is not None and bool((parameter.grad != 0).any()), name


def test_the_bound_is_a_bound() -> None:
    """-E[log p] + KL is not below the entropy of a site given its neighbours, known for a free field."""
    free = Phi4(Lattice((8, 8)), 1.0, 0.0)
    found = train_vae(free, replace(SMALL, steps=300, fields=256), threads=1)
    precision = 2 * (free.m2 + free.lattice.coordination)
    entropy = 0.5 * math.log(2 * math.pi * math.e / precision)
    # A normal conditional is within reach: the gap that is left is small, and of one sign up to noise.
    # 8 standard errors of the mean of -log p of a normal number over the held-out patches.
    noise = 8 * math.sqrt(0.5 / (32 * free.lattice.sites))
    assert -noise < -found.bound - entropy < 0.1
    assert found.acceptance.value > 0.9


def test_training_raises_the_acceptance_and_stays_exact(model: Path) -> None:
    facts = json.loads((model / "config.json").read_text())["configuration"]["training"]
    before = LocalVae(TORUS, SMALL.plan)
    starts = draw_fields(TORUS, 20_000, STREAM)
    rates = []
    for arguments in ({"network": export_network(before), "block": (1, 1)}, load_vae(model).kernel_arguments()):
        kernel = VaeLocal(TORUS, **arguments)
        state, _, info = kernel.advance(STREAM, kernel.init(starts), 4)
        assert BUDGET.passes(torus_p_value(TORUS, state.field))
        rates.append(info["acceptance"])
    assert rates[1] > rates[0]
    assert facts["acceptance"]["value"] == pytest.approx(rates[1], abs=5 * facts["acceptance"]["error"] + 0.01)
    assert facts["acceptance"]["n"] > 0
    assert not model.with_name("a model.training").exists()


def test_a_run_and_its_resume(model: Path, tmp_path: Path) -> None:
    for steps in (60, 30):
        kernel = VaeLocal(TORUS, model, load=load_model)
        qa.sample(TORUS, kernel, steps=steps, warmup=10, replicas=3, seed=5, out=tmp_path / f"{steps}.h5")
    from pyqmc_art.lattice import chain

    chain.resume(tmp_path / "30.h5", steps=60, load=load_model)
    one, two = (qa.open_ensemble(tmp_path / f"{steps}.h5") for steps in (60, 30))
    np.testing.assert_array_equal(one.series["phi2"], two.series["phi2"])
    assert one.configuration["kernel"] == "vae-local" and one.configuration["model_digest"]
    mixed: Any = build("hmc+vae", TORUS, {"model": model, "md_steps": 4}, load=load_model)
    assert mixed.name == "hmc+vae-local"


def test_what_is_learnt_serves_other_extents(model: Path) -> None:
    larger = replace(TORUS, lattice=Lattice((6, 4)))
    kernel: Any = build("vae-local", larger, {"model": model}, load=load_model)
    info = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 4)), 50)[2]
    assert info["acceptance"] > 0.5


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (replace(TORUS, lam=7.0), r"lam 8.0 -> 7.0"),
        (TORUS.to("D"), "convention A -> D"),
        (VECTORS, "action phi4 -> on"),
        (replace(TORUS, lattice=Lattice((4,))), "trained in 2 dimensions"),
        (replace(TORUS, lattice=Lattice((3, 4))), "extent 3"),
        (replace(TORUS, lattice=Lattice((4, 4), boundary="open")), "boundary periodic -> open"),
    ],
)
def test_another_target_is_refused(model: Path, action: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        VaeLocal(action, model, load=load_model)


def test_damaged_and_foreign_directories(model: Path, tmp_path: Path) -> None:
    from pyqmc_art.learning.pretrained import Pretrained, write_pretrained

    with pytest.raises(InputError, match="does not exist"):
        VaeLocal(TORUS, tmp_path / "nothing", load=load_model)
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    (copy / "vae.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="checksum"):
        load_vae(copy)
    empty = write_pretrained(tmp_path / "empty", Pretrained("local vae", {}))
    with pytest.raises(InputError, match="no complete model"):
        load_vae(empty)
    with pytest.raises(InputError, match="expected a local vae"):
        load_vae(write_pretrained(tmp_path / "other", Pretrained("residual detector", {})))


def test_bad_plans() -> None:
    for plan, message in (
        ({"latents": 17}, "from 0 to 16"),
        ({"hidden": (0,)}, "widths from 1"),
        ({"hidden": (65,)}, "64"),
    ):
        with pytest.raises(InputError, match=message):
            VaeShape(**plan)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="n 2"):
        LocalVae(ON(Lattice((4, 4)), 3, 1.0))
    with pytest.raises(InputError, match="extent 5"):
        LocalVae(Phi4(Lattice((5, 4)), 1, 1))
    with pytest.raises(InputError, match="at most 16"):
        LocalVae(Phi4(Lattice((48, 2)), 1, 1), VaeShape((24, 1)))
    with pytest.raises(InputError, match="fields is 3"):
        VaeTraining(fields=3)
    with pytest.raises(InputError, match="at least 8"):
        train_vae(TORUS, SMALL, fields=np.zeros((4, 2, 2)))


def test_resumed_training_gives_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(SMALL, steps=60, checkpoint_every=20)
    whole = export_network(train_vae(TORUS, short, tmp_path / "whole", threads=1).vae)
    right = module.fit
    monkeypatch.setattr(module, "fit", lambda *a, **k: right(*a, **k, until=30))
    monkeypatch.setattr(module, "save_vae", stop)
    with pytest.raises(KeyboardInterrupt):
        train_vae(TORUS, short, tmp_path / "part", threads=1)
    monkeypatch.undo()
    with pytest.raises(InputError, match="holds an interrupted training"):
        train_vae(TORUS, short, tmp_path / "part")
    part = export_network(train_vae(TORUS, short, tmp_path / "part", threads=1, resume=True).vae)
    assert part.decoder.weights.tobytes() == whole.decoder.weights.tobytes()
    assert part.encoder.weights.tobytes() == whole.encoder.weights.tobytes()


def stop(*_: Any) -> None:
    raise KeyboardInterrupt


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from pyqmc_art.cli import main

    monkeypatch.chdir(tmp_path)
    words = ["train", "vae", "--shape", "4", "4", "--m2", "-4", "--lam", "8", "--fields", "32", "--steps", "30"]
    assert main([*words, "--out", "m", "--hidden", "4", "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert "accepted 0." in said and "KL term" in said and "wrote m" in said
    sample = ["sample", "phi4", "--m2", "-4", "--shape", "8", "4", "--kernel", "vae", "--model", "m", "--steps", "20"]
    assert main([*sample, "--lam", "8", "--warmup", "5", "--threads", "1"]) == 0
    capsys.readouterr()
    on = "train vae --action on --shape 4 4 --beta 1 --m2 1 --out o".split()  # noqa: SIM905
    for wrong, message in (
        ([*sample, "--lam", "7"], "lam 8.0 -> 7.0"),
        (on, "m2 is a coupling of phi4"),
        (["train", "vae", "--action", "ising", "--out", "o"], "phi4 and on"),
        (["train", "vae", "--shape", "4", "4", "--m2", "1", "--out", "o"], "no lam"),
        (words, "no out"),
        ([*words, "--out", "m"], "exists"),
    ):  # fmt: skip
        assert main(wrong) == 2
        assert message in capsys.readouterr().err
