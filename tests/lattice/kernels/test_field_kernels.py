"""Local and cluster kernels of continuous fields: bytes, tuning, compositions, what they keep."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pyqmc_art as qa
from pyqmc_art.backends import list_available
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.kernels.field_cluster import FieldWolff
from pyqmc_art.lattice.kernels.field_local import WIDTH, FieldHeatBath, FieldMetropolis, Overrelaxation
from pyqmc_art.lattice.observables import OBSERVABLES, defined_for, find
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.lattice.vector import ON
from pyqmc_art.rng import Stream
from pyqmc_art.testing.trials import estimate_means, list_variants, run_variant_of
from pyqmc_art.testing.verdict import BUDGET, compare

STREAM = Stream.from_seed(31)
LATTICES = (
    Lattice((4, 6)),
    Lattice((2, 2)),
    Lattice((3, 2, 5), boundary=("open", "periodic", "open")),
    Lattice((2, 2, 2, 2)),
    Lattice((3, 3), kind="triangular"),
    Lattice((4, 4), kind="honeycomb"),
)
KERNELS = ("metropolis", "heat-bath", "heat-bath+swendsen-wang", "heat-bath+wolff")


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize("components", [1, 2, 3, 5])
def test_every_variant_writes_the_same_bytes(lattice: Lattice, components: int) -> None:
    action = Phi4(lattice, -1.0, 1.0) if components == 1 else ON(lattice, components, 0.9)
    names = KERNELS if components == 1 else (*KERNELS, "heat-bath+2*overrelaxation")
    for name in names:
        written = {
            run_variant_of(build(name, action, backend=v.backend, threads=v.threads), v, STREAM, replicas=2, steps=2)
            for v in list_variants()
        }
        assert len(written) == 1, name


@pytest.mark.parametrize("backend", list_available())
@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_compiled_sums_of_vectors_are_those_of_numpy(backend: str, lattice: Lattice) -> None:
    for n in (2, 3):
        action = ON(lattice, n, 0.7)
        kernel: Any = qa.HeatBath(action, backend=backend, threads=1)
        field = kernel.start(STREAM, 3)
        wanted = [o for o in defined_for("on") if n == 2 or o.name != "helicity"]
        for name, values in kernel.measure(field, wanted).items():
            np.testing.assert_allclose(values, OBSERVABLES[name](action, field), rtol=1e-12, atol=1e-13)


def test_threads_share_large_lattices_with_the_same_bytes() -> None:
    for action in (Phi4(Lattice((64, 96)), -1.0, 1.0), ON(Lattice((64, 96)), 3, 0.9)):
        for name in ("metropolis", "heat-bath"):
            fields = []
            for threads in (1, 3):
                kernel = build(name, action, threads=threads)
                state, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 1)), 12)
                fields.append(state.field.tobytes())
            assert fields[0] == fields[1]


def test_names_give_the_kernels_of_fields() -> None:
    scalar, vectors = Phi4(Lattice((4, 4)), 1, 1), ON(Lattice((4, 4)), 3, 1)
    assert type(qa.Metropolis(scalar)) is FieldMetropolis
    assert type(qa.HeatBath(vectors)) is FieldHeatBath
    wolff: Any = qa.Wolff(vectors, clusters=3)
    assert type(wolff) is FieldWolff and wolff.clusters == 3
    with pytest.raises(InputError, match="defined for on actions, not for 'phi4'"):
        Overrelaxation(scalar)
    with pytest.raises(InputError, match="'constrained' is defined for ising actions"):
        build("constrained", scalar)


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("wolff", Phi4(Lattice((4, 4)), 1, 1)),
        ("2*swendsen-wang", Phi4(Lattice((4, 4)), 1, 1)),
        ("overrelaxation", ON(Lattice((4, 4)), 3, 1)),
    ],
)
def test_a_kernel_that_cannot_reach_every_field_is_not_built_alone(name: str, action: Any) -> None:
    with pytest.raises(InputError, match="for ever; compose it"):
        build(name, action)
    assert build(f"heat-bath+{name}", action).name == f"heat-bath+{name}"


def test_coloured_sweeps_need_a_colouring() -> None:
    for name in ("metropolis", "heat-bath"):
        with pytest.raises(InputError, match="extent 3"):
            build(name, Phi4(Lattice((3, 4)), 1, 1))
    assert build("wolff", ON(Lattice((3, 5)), 2, 1)).name == "wolff"


def test_what_clusters_and_overrelaxation_keep() -> None:
    scalar: Any = qa.Wolff(Phi4(Lattice((6, 6)), -1, 1), clusters=5)
    state = scalar.init(scalar.start(STREAM, 2))
    moduli = np.abs(state.field)
    state, _, _ = scalar.advance(STREAM, state, 5)
    np.testing.assert_array_equal(np.abs(state.field), moduli)
    action = ON(Lattice((6, 6)), 3, 1.3)
    over = Overrelaxation(action)
    state = over.init(over.start(STREAM, 2))
    before, moved = action(state.field), state.field.copy()
    state, _, _ = over.advance(STREAM, state, 50)
    np.testing.assert_allclose(action(state.field), before, rtol=1e-12)
    assert np.abs(state.field - moved).max() > 0.5
    np.testing.assert_allclose((state.field**2).sum(axis=-1), 1, rtol=1e-14)


def test_proposals_are_tuned_in_the_warm_up_and_then_stand_still() -> None:
    for action in (Phi4(Lattice((6, 6)), -4, 8), ON(Lattice((6, 6)), 3, 4.0)):
        kernel: Any = qa.Metropolis(action, threads=1)
        state = kernel.init(kernel.start(STREAM, 2))
        first = state.extra[WIDTH].copy()
        state, _, _ = kernel.advance(STREAM, state, 20)
        np.testing.assert_array_equal(state.extra[WIDTH], first)
        state, _, _ = kernel.warming().advance(STREAM, state, 400)
        tuned = state.extra[WIDTH].copy()
        assert np.all(tuned != first)
        state, _, info = kernel.advance(STREAM, state, 200)
        np.testing.assert_array_equal(state.extra[WIDTH], tuned)
        assert info["acceptance"] == pytest.approx(0.5, abs=0.06)


def test_tuning_does_not_depend_on_how_a_run_is_cut() -> None:
    kernel: Any = qa.Metropolis(Phi4(Lattice((4, 4)), -4, 8), threads=1).warming()
    whole, _, _ = kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 3)), 30)
    state = kernel.init(kernel.start(STREAM, 3))
    for n in (1, 22, 7):
        state, _, _ = kernel.advance(STREAM, state, n)
    np.testing.assert_array_equal(state.extra[WIDTH], whole.extra[WIDTH])
    np.testing.assert_array_equal(state.field, whole.field)
    part, _, _ = kernel.advance(STREAM.shifted(1), kernel.init(kernel.start(STREAM.shifted(1), 2)), 30)
    np.testing.assert_array_equal(part.extra[WIDTH], whole.extra[WIDTH][1:])


@pytest.mark.parametrize("name", ["metropolis", "hmc", "metropolis+wolff", "heat-bath"])
def test_a_resumed_run_is_one_long_run(name: str, tmp_path: Path) -> None:
    action = Phi4(Lattice((4, 4)), -4, 8)
    given = {"warmup": 15, "replicas": 2, "seed": 3, "measure": ("phi2", "correlator")}
    long = qa.sample(action, build(name, action), steps=40, **given)  # type: ignore[arg-type]
    qa.sample(action, build(name, action), steps=17, out=tmp_path / "run.h5", **given).close()  # type: ignore[arg-type]
    with qa.resume(tmp_path / "run.h5", steps=40) as resumed:
        for key in given["measure"]:  # type: ignore[union-attr]
            assert resumed.series[key].tobytes() == long.series[key].tobytes()
        assert resumed.configuration["convention"] == "A"


@pytest.mark.parametrize(
    ("action", "names", "observable"),
    [
        (Phi4(Lattice((6, 6)), -4, 6.975), ("hmc", "metropolis", "heat-bath", "heat-bath+wolff"), "phi2"),
        (
            Phi4(Lattice((4, 4, 2)), -2, 1.5, "C"),
            ("hmc", "metropolis", "heat-bath", "metropolis+swendsen-wang"),
            "phi2",
        ),
        (ON(Lattice((6, 6)), 2, 0.9), ("metropolis", "heat-bath+2*overrelaxation", "wolff", "swendsen-wang"), "energy"),
        (ON(Lattice((4, 4, 2)), 3, 0.6), ("metropolis", "heat-bath", "wolff", "swendsen-wang"), "energy"),
    ],
    ids=str,
)
def test_all_kernels_agree_on_one_target(action: Any, names: tuple[str, ...], observable: str) -> None:
    found = [
        estimate_means(build(name, action, threads=1), STREAM.fold(name), [observable], 16, 300, 1500)[observable][0]
        for name in names
    ]
    for other in found[1:]:
        both = SimpleNamespace(value=other.value, error=float(np.hypot(found[0].error, other.error)))
        assert BUDGET.passes(compare(both, found[0].value).p_value)


def test_observables_are_found_for_every_kernel() -> None:
    assert [o.name for o in find(["energy", "helicity"], ON(Lattice((4, 4)), 2, 1))] == ["energy", "helicity"]
