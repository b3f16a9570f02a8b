"""Learned local updates: exact whatever the network says; planted bugs are found; the same bytes everywhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.kernels.field_vae import VaeLocal
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.ops import continuous, plain_patches
from pyqmc_art.ops.jit import jitted
from pyqmc_art.ops.patches import LocalNetwork, Network
from pyqmc_art.rng import Stream
from pyqmc_art.testing.fields import draw_fields
from pyqmc_art.testing.networks import draw_network, fit_network
from pyqmc_art.testing.patch_trials import PATCH_CASES, PatchCase, patch_p_value
from pyqmc_art.testing.torus import TORUS
from pyqmc_art.testing.trials import list_variants, run_variant_of
from pyqmc_art.testing.verdict import BUDGET

STREAM = Stream.from_seed(4)
IDS = [f"{case.label}, {case.action.name}" for case in PATCH_CASES]


@pytest.mark.parametrize("case", PATCH_CASES, ids=IDS)
def test_exact_starts_stay_exact(case: PatchCase) -> None:
    assert BUDGET.passes(patch_p_value(case, case.build(), 20_000, STREAM, 4))


@pytest.mark.parametrize("case", PATCH_CASES, ids=IDS)
def test_every_variant_writes_the_same_bytes(case: PatchCase) -> None:
    variants = list_variants()
    written = {run_variant_of(case.build(backend=v.backend, threads=v.threads), v, STREAM, 2, 3) for v in variants}
    assert len(written) == 1


@pytest.mark.skipif("cpp" not in list_available(), reason="the compiled module is not installed")
@pytest.mark.parametrize("action", [Phi4(Lattice((24, 20)), -4.0, 6.0), ON(Lattice((24, 20)), 2, 1.0)])
def test_threads_and_parts_of_a_run_do_not_change_the_bytes(action: Any) -> None:
    network = draw_network(action, (2, 1), 2, (6,), 0.3, STREAM)
    fields = []
    for threads, parts in ((1, (6,)), (3, (6,)), (1, (1, 5))):
        kernel = VaeLocal(action, network=network, block=(2, 1), threads=threads, backend="cpp")
        kernel._passes = lambda: 10**6  # type: ignore[method-assign]  # else one thread does so little
        state = kernel.init(kernel.start(STREAM, 1))
        for n in parts:
            state, _, _ = kernel.advance(STREAM, state, n)
        fields.append(state.field.tobytes())
    assert len(set(fields)) == 1


BUGS = {
    "the way back is forgotten": (
        "    weight_from = weigh(out, start, weight_from)\n", "    weight_from = weight_to_forget(out, start)\n"
    ),
    "the latent is left out of the ratio": (
        "        weight += 0.5 * (z * z) - (0.5 * (noise * noise) + spread)\n", "        weight += 0.0\n"
    ),
    "the network reads the site itself": (
        "        around[e] = field[rim[e]]\n", "        around[e] = field[rim[e]] if e > 0 else field[members[0]]\n"
    ),
    "the old latent is not drawn anew": (
        "start, True, stale, weight_from)", "start, False, stale, weight_from)"
    ),
    "a bond is forgotten": (
        "for e in range(len(outer)):\n            off", "for e in range(len(outer) - 1):\n            off"
    ),
}  # fmt: skip


TELLING = LocalNetwork(
    Network.join([(np.array([[0.3, 0.1, 0.05, 0.0, 0.35], [0.0] * 5]), np.array([0.0, -1.4]))]),
    Network.join([(np.array([[0.1, 0.0, 0.0, 0.0, 1.4], [0.0] * 5]), np.array([0.1, -0.5]))]),
    1,
)
"""Latent, surroundings and the present value all matter."""


def planted(bug: str, folder: Path) -> Any:
    """Return the operations of the Numba backend with one bug planted in their text."""
    text = Path(plain_patches.__file__).read_text(encoding="utf-8")
    right, wrong = BUGS[bug]
    assert text.count(right) == 1, bug
    text = text.replace(right, wrong)
    text += "\n\ndef weight_to_forget(out: Array, values: Array) -> float:\n    return 0.0\n"
    path = folder / "planted_patches.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("planted_patches", path)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return continuous._Plain(None, None, jitted(module))


@pytest.mark.slow
@pytest.mark.skipif("numba" not in list_available(), reason="Numba is not installed")
@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_found(bug: str, tmp_path: Path) -> None:
    case = PATCH_CASES[1]
    kernel = VaeLocal(TORUS, network=TELLING, block=(1, 1), backend="numba")
    assert BUDGET.passes(patch_p_value(case, kernel, 20_000, STREAM, 6))
    kernel._operations = planted(bug, tmp_path)
    assert not BUDGET.passes(patch_p_value(case, kernel, 20_000, STREAM, 6))


def test_phi_and_minus_phi_are_proposed_alike() -> None:
    """The frame uses the symmetry up: mirrored fields move to mirrored fields."""
    case = PATCH_CASES[1]
    kernel, start = case.build(), draw_fields(TORUS, 50, STREAM)
    one, _, _ = kernel.advance(STREAM, kernel.init(start), 3)
    two, _, _ = kernel.advance(STREAM, kernel.init(-start), 3)
    np.testing.assert_array_equal(one.field, -two.field)


def test_unit_vectors_stay_unit_vectors() -> None:
    action = ON(Lattice((6, 6)), 2, 1.1)
    kernel = VaeLocal(action, network=draw_network(action, (1, 1), 1, (4,), 0.5, STREAM), block=(1, 1))
    state, _, info = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 100)
    np.testing.assert_allclose((state.field**2).sum(axis=-1), 1, rtol=1e-14)
    assert 0 < info["acceptance"] < 1


def test_a_network_that_fits_is_accepted_more_often() -> None:
    rates = []
    for network in (
        draw_network(TORUS, (1, 1), 0, (), 0.0, STREAM),
        fit_network(TORUS, draw_fields(TORUS, 2000, STREAM)),
    ):
        kernel = VaeLocal(TORUS, network=network, block=(1, 1))
        rates.append(kernel.advance(STREAM, kernel.init(draw_fields(TORUS, 2000, STREAM)), 5)[2]["acceptance"])
    assert rates[1] > rates[0] + 0.05


def test_tempering_and_compositions_carry_it() -> None:
    case = PATCH_CASES[1]
    kernel = qa.Tempering(TORUS, [-4.0, -3.5, -3.0], case.build(), "m2")
    state, _ = kernel.step(STREAM, kernel.init(kernel.start(STREAM, 2)))
    assert state.field.shape == (2, 3, 2, 2)
    mixed: Any = qa.Composition([(1, qa.HMC(TORUS)), (2, case.build())])
    assert mixed.name == "hmc+2*vae-local"
    assert BUDGET.passes(patch_p_value(case, mixed, 20_000, STREAM, 3))


def test_networks_out_of_range_are_refused_or_rejected() -> None:
    """Whatever the outputs are, the field stays finite: what is no number is not accepted."""
    for size in (1e3, 1e200):
        network = draw_network(TORUS, (1, 1), 1, (3,), size, STREAM)
        kernel = VaeLocal(TORUS, network=network, block=(1, 1), backend="python")
        state, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 2)), 3)
        assert np.isfinite(state.field).all()
    with pytest.raises(InputError, match="not finite"):
        Network.join([(np.array([[np.nan]]), np.zeros(1))])
    with pytest.raises(InputError, match="cannot follow"):
        Network.join([(np.ones((3, 2)), np.zeros(3)), (np.ones((2, 2)), np.zeros(2))])


def test_bad_input() -> None:
    network = draw_network(TORUS, (1, 1), 1, (3,), 0.1, STREAM)
    with pytest.raises(InputError, match="--model DIR"):
        build("vae", TORUS)
    with pytest.raises(InputError, match="in Python give"):
        VaeLocal(TORUS, "a model")
    with pytest.raises(InputError, match="other weights"):
        VaeLocal(TORUS, "a model", "abc", load=lambda *_: SimpleNamespace(digest="xyz"))
    with pytest.raises(InputError, match="no model for the kernel 'vae-local'"):
        VaeLocal(TORUS, "a model", load=lambda *_: SimpleNamespace(digest="xyz"))
    with pytest.raises(InputError, match="defined for"):
        VaeLocal(qa.Ising(Lattice((2, 2)), 0.4), network=network, block=(1, 1))
    with pytest.raises(InputError, match="not for n 3"):
        VaeLocal(ON(Lattice((2, 2)), 3, 0.4), network=network, block=(1, 1))
    with pytest.raises(InputError, match="extent 3"):
        VaeLocal(Phi4(Lattice((3, 4)), 1, 1), network=network, block=(1, 1))
    with pytest.raises(InputError, match="needs 7 to 4"):
        VaeLocal(Phi4(Lattice((4, 4)), 1, 1), network=network, block=(2, 1))
    with pytest.raises(InputError, match="24 sites"):
        VaeLocal(Phi4(Lattice((48,)), 1, 1), network=network, block=(24,))
    with pytest.raises(InputError, match="the encoder maps"):
        VaeLocal(TORUS, network=LocalNetwork(network.decoder, Network.join([]), 1), block=(1, 1))
    with pytest.raises(NumericalError):
        VaeLocal(TORUS, network=network, block=(1, 1)).init(np.full((1, 2, 2), np.nan))


@pytest.mark.skipif("cpp" not in list_available(), reason="the compiled module is not installed")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": np.full((2, 2, 1), 9, np.int32)}, "does not exist"),
        ({"outer": np.full(4, 1, np.int32)}, "does not exist"),
        ({"latents": 17}, "16 latent"),
        ({"decoder": (np.array([5, 2]), np.zeros(11))}, "decoder has shape"),
        ({"decoder": (np.array([4, 2]), np.zeros(10))}, "must map 5 numbers to 2"),
        ({"decoder": (np.array([5, 99, 2]), np.zeros(794))}, "at most 64"),
    ],
)
def test_memory_is_checked(change: dict[str, Any], message: str) -> None:
    from pyqmc_art import _core

    case = PatchCase("crooked", TORUS, (1, 1), 1, hidden=())
    kernel = case.build(backend="cpp")
    batch = kernel._batch(STREAM, 0, np.zeros((1, 2, 2)), 1, 1, np.zeros((0, 1, 5)), np.zeros(1, np.int64))
    own = {**vars(kernel._patches), "latents": 1}
    own |= {
        name: (getattr(kernel.network, name).sizes, getattr(kernel.network, name).weights)
        for name in ("decoder", "encoder")
    }
    with pytest.raises(InputError, match=message):
        _core.patch_steps(continuous._core_batch(_core, batch), **{**own, **change})
