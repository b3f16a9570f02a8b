"""The kernels for devices, run on the processor, write the bytes of the processor's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pyqmc_art.errors import BackendUnavailable, DeviceError, InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang, Wolff
from pyqmc_art.lattice.kernels.constrained import Constrained
from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
from pyqmc_art.lattice.observables import find
from pyqmc_art.ops import devices, images, inventory
from pyqmc_art.rng import Stream

STREAM = Stream.from_seed(11)
SUMS = ("energy", "magnetization")
ORDERS = ("0", "1", "2")  # of the threads; 0 as numbered

# Extents around whole words, strips and blocks: a word has 64 sites (of one colour, where spins are packed), a tile of
# clusters 8192; (128, 128) and larger are too large for one thread block, (2, 2) is the smallest there is.
EVEN = ((2, 2), (4, 6), (64, 64), (6, 130), (10, 258), (34, 36), (128, 128), (4, 4, 4), (2, 6, 70), (12, 10, 8))
ANY = ((2, 2), (3, 5), (7,), (64, 64), (37, 61), (129, 67), (4, 5, 6), (3, 3, 3, 2))


def trace(
    kernel: Any, names: tuple[str, ...] = SUMS, replicas: int = 3, steps: int = 4, every: int = 2
) -> dict[str, Any]:
    """All bytes that a few steps from the middle of a run produce."""
    stream = STREAM.shifted(2)
    state = kernel.init(kernel.start(stream.fold("start"), replicas))
    state.step = 5
    state, series, info = kernel.advance(stream, state, steps, every, find(list(names)))
    return {"field": state.field.tobytes(), "info": info} | {k: v.tobytes() for k, v in series.items()}


def ladder(kernel: Any) -> Any:
    """The kernel for three copies at different beta."""
    return kernel.on_ladder([replace(kernel.action, beta=kernel.action.beta + 0.1 * k) for k in range(3)])


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("shape", EVEN, ids=str)
def test_sweeps(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    cases = ((Metropolis, Ising(Lattice(shape), 0.4)), (HeatBath, Ising(Lattice(shape), 0.3, h=0.1)))
    for kernel, action in (
        *cases,
        (Metropolis, Ising(Lattice(shape), 0.3, J=-1.0)),
        (HeatBath, Ising(Lattice(shape), 0.4)),
    ):
        expected = trace(kernel(action, backend="cpp", threads=1))
        for order in ORDERS:
            monkeypatch.setenv("PYQMC_EMULATED_ORDER", order)
            assert trace(kernel(action, backend="cuda")) == expected, (kernel.name, action, order)


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("shape", ANY, ids=str)
def test_clusters(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    lattice = Lattice(shape)
    actions = (Ising(lattice, 0.44), Ising(lattice, 0.44, h=-0.1), Ising(lattice, 0.44, J=-1.0), Potts(lattice, 5, 1.0))
    for action in actions:
        expected = trace(SwendsenWang(action, backend="cpp", threads=1))
        for order in ORDERS:
            monkeypatch.setenv("PYQMC_EMULATED_ORDER", order)
            assert trace(SwendsenWang(action, backend="cuda")) == expected, (action, order)


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize(
    "action",
    [
        Ising(Lattice((6, 66), kind="triangular"), 0.25),
        Ising(Lattice((5, 67), kind="triangular", boundary=("periodic", "open")), 0.25, h=0.1),
        Potts(Lattice((4, 50), kind="honeycomb", boundary="open"), 300, 1.2),
        Potts(Lattice((70, 70)), 2, 0.9),
        Ising(Lattice((5000,), boundary="open"), 1.5),
    ],
    ids=str,
)
def test_clusters_of_other_lattices(action: Any) -> None:
    assert trace(SwendsenWang(action, backend="cuda")) == trace(SwendsenWang(action, backend="cpp", threads=1))


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("shape", [(3, 5), (40, 41), (100, 130)], ids=str)
def test_averages_over_clusters(shape: tuple[int, ...]) -> None:
    names = (*SUMS, "improved_magnetization2", "improved_magnetization4")
    for action in (Ising(Lattice(shape), 0.44), Ising(Lattice(shape), 0.44, J=-1.0), Ising(Lattice(shape), 0.7)):
        one, other = (trace(SwendsenWang(action, backend=b, threads=1), names) for b in ("cpp", "cuda"))
        assert one == other


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("name", ["improved_kmin2", "improved_correlation"])
def test_modes_and_pairs_of_clusters_are_refused(name: str) -> None:
    kernel = SwendsenWang(Ising(Lattice((6, 6)), 0.44), backend="cuda")
    with pytest.raises(InputError, match="no kernel for Fourier modes and pairs of sites of clusters"):
        kernel.advance(STREAM, kernel.init(kernel.start(STREAM, 1)), 2, 1, find([name]))


@pytest.mark.usefixtures("emulated")
def test_ladders_measurements_and_long_runs() -> None:
    for shape, kernel in (((6, 10), Metropolis), ((130, 128), Metropolis), ((9, 11), SwendsenWang)):
        action = Ising(Lattice(shape), 0.3)
        for steps, every in ((7, 3), (5, 1), (2, 5)):
            one, other = (
                trace(ladder(kernel(action, backend=b, threads=1)), replicas=2, steps=steps, every=every)
                for b in ("cpp", "cuda")
            )
            assert one == other
        one, other = (kernel(action, backend=b, threads=1) for b in ("cpp", "cuda"))
        field = one.start(STREAM, 5)
        for name, values in one.measure(field, find(list(SUMS))).items():
            np.testing.assert_array_equal(values, other.measure(field, find(list(SUMS)))[name])


@pytest.mark.parametrize("filter_name", list(images.FILTERS))
def test_resampling(emulated: Any, pictures: Any, filter_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for picture, boxes, size in pictures:
        expected = np.zeros((len(boxes), *size, picture.shape[2]), np.uint8)
        images.resample("cpp")(picture, boxes, expected, filter_name, 1)
        for order in ORDERS:
            monkeypatch.setenv("PYQMC_EMULATED_ORDER", order)
            out = np.zeros_like(expected)
            images.resample("cuda")(picture, boxes, out, filter_name, 1)
            np.testing.assert_array_equal(out, expected)


@pytest.mark.slow  # everything is compiled once more
def test_more_fields_than_rows_of_a_grid(emulator: Any, install_module: Any) -> None:
    """The fields of a batch share the rows; two rows stand for the 65535 there are."""
    install_module(emulator.build("rows", ("launch.hpp", "most_rows = 65535", "most_rows = 2", 0)))
    for kernel, action in (
        (Metropolis, Ising(Lattice((64, 130)), 0.4)),
        (SwendsenWang, Potts(Lattice((40, 65)), 3, 1.0)),
    ):
        one, other = (trace(kernel(action, backend=b, threads=1), replicas=5) for b in ("cpp", "cuda"))
        assert one == other


@pytest.mark.usefixtures("emulated")
def test_what_there_is_no_kernel_for_is_refused_before_a_file_is_begun() -> None:
    ising, potts = Ising(Lattice((4, 4)), 0.4), Potts(Lattice((4, 4)), 3, 0.4)
    for kernel, options in (
        (Wolff, {"action": ising}),
        (Metropolis, {"action": potts}),
        (HeatBath, {"action": Ising(Lattice((4, 4), boundary="open"), 0.4)}),
        (Constrained, {"action": ising, "magnetization": 0.0}),
    ):
        with pytest.raises(InputError, match=r"the backend 'cuda' has no kernel for .* use backend='cpp'"):
            kernel(**options, backend="cuda")


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("fault", ["devices 35", "devices 100", "none"])
def test_without_a_device(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old driver answers 35 where there is no GPU, a new one 100."""
    monkeypatch.setenv("PYQMC_EMULATED_FAULT", fault)
    number = fault.partition(" ")[2]
    with pytest.raises(BackendUnavailable, match=rf"no device: .*{number}.*use backend='cpp'") as caught:
        Metropolis(Ising(Lattice((4, 4)), 0.4), backend="cuda")
    assert caught.value.exit_status == 2
    with pytest.raises(BackendUnavailable, match="no device"):
        images.resample("cuda")
    names, reason = devices.list_devices()
    assert (names, reason[:9]) == ([], "no device")


@pytest.mark.usefixtures("emulated")
def test_what_is_installed_names_devices_and_their_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyqmc_art.backends.list_available", lambda: ("cuda", "cpp", "python"))
    facts = inventory.take()
    assert facts["devices"] == ["cpu", "emulated on the processor (sm_00)"]
    assert facts["cuda"] == "compiled and emulated, not yet run on a GPU"
    assert facts["backend_in_use"] == "cpp"
    monkeypatch.setenv("PYQMC_EMULATED_FAULT", "devices 100")
    facts = inventory.take()
    assert facts["devices"] == ["cpu"]
    assert facts["cuda"].startswith("compiled and emulated, not yet run on a GPU; no device: no CUDA-capable device")


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("kernel", [Metropolis, SwendsenWang], ids=lambda k: k.name)
def test_a_full_or_failing_device(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every allocation and every launch may fail: an error of ours, and the field is as it was."""
    one = kernel(Ising(Lattice((6, 10)), 0.4), backend="cuda")
    state = one.init(one.start(STREAM, 2))
    before = state.field.copy()
    for fault, message in (
        ("malloc", "has no room for .* more bytes"),
        ("launch", "the launch of .* failed: unspecified"),
    ):
        failures = 0
        for number in range(1, 40):
            monkeypatch.setenv("PYQMC_EMULATED_FAULT", f"{fault} {number}")
            try:
                one.advance(STREAM, one.init(before), 2, 1, find(list(SUMS)))
                break
            except DeviceError as error:
                failures += 1
                assert error.exit_status == 1
                with pytest.raises(DeviceError, match=message):
                    raise
            np.testing.assert_array_equal(state.field, before)
        assert 3 <= failures < 39, fault
    monkeypatch.delenv("PYQMC_EMULATED_FAULT")
    one.advance(STREAM, state, 2)
    assert state.field.tobytes() != before.tobytes()


def test_bad_arguments_are_refused(emulated: Any) -> None:
    picture, box = np.zeros((4, 4, 3), np.uint8), np.array([[0, 0, 4, 4]], np.float32)
    out = np.zeros((1, 2, 2, 3), np.uint8)
    for arguments, message in (
        ((picture[:, ::2], box, out, 2), "picture is not C-contiguous"),
        ((picture, box + np.float32(1), out, 2), "box 0 does not lie inside"),
        ((picture, box, out, 4), "filter is 0 to 3"),
        ((picture, box, out[..., :2].copy(), 2), r"out has shape \(1, 2, 2, 2\)"),
        ((np.zeros((4, 4, 5), np.uint8), box, np.zeros((1, 2, 2, 5), np.uint8), 2), "1 to 4 channels"),
    ):
        with pytest.raises(InputError, match=message):
            emulated.resample(*arguments)
    tally, sums = np.zeros(1, np.int64), np.zeros((0, 1, 2), np.int64)
    for shape, table, message in (
        ([3, 5], np.zeros((1, 18), np.uint64), "axes of even extent"),
        ([4, 4], np.zeros((1, 17), np.uint64), r"table has shape \(1, 17\)"),
    ):
        field = np.ones((1, shape[0] * shape[1]), np.int8)
        batch = emulated.Batch(
            emulated.Lattice("square", shape, [True, True]), field, rungs=1, q=0, key=1, first_replica=0, first_step=0,
            steps=1, every=1, sums=sums, tally=tally, threads=1,
        )  # fmt: skip
        with pytest.raises(InputError, match=message):
            emulated.multispin_steps(batch, table)
