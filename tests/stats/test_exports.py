"""Exports to pyerrors and ArviZ, and what they and we say about the same series."""

import importlib
import math
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import signal

from pyqmc_art.errors import InputError
from pyqmc_art.stats.autocorrelation import gamma_method, gamma_method_components, gamma_method_derived
from pyqmc_art.stats.exports import to_arviz, to_pyerrors
from pyqmc_art.stats.resampling import jackknife


def imported(name: str) -> ModuleType:
    """The optional library, or a skip; what it announces while it loads is not ours to fail for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


@pytest.fixture
def pyerrors() -> ModuleType:
    return imported("pyerrors")


@pytest.fixture
def arviz() -> ModuleType:
    return imported("arviz")


def ar1(seed: int, shape: tuple[int, ...], rho: float) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape) * math.sqrt(1 - rho**2)
    noise[0] /= math.sqrt(1 - rho**2)
    return signal.lfilter([1.0], [1.0, -rho], noise, axis=0)


@pytest.mark.parametrize("rho", [0.3, 0.8, 0.95])
def test_one_replica_against_pyerrors(pyerrors: ModuleType, rho: float) -> None:
    """The same formulas: errors agree to rounding, tau up to their different form of the bias correction (2 tau/N)."""
    series = ar1(1, (5000, 1), rho)
    ours = gamma_method(series)
    theirs = to_pyerrors(series, "ar1")
    theirs.gamma_method(S=1.5)
    assert ours.value == pytest.approx(theirs.value, abs=1e-12)
    assert ours.window == theirs.e_windowsize["ar1"]
    assert ours.error == pytest.approx(theirs.dvalue, rel=1e-10)
    assert ours.error_error == pytest.approx(theirs.ddvalue, rel=1e-10)
    bias = 2 * ours.tau_int / ours.n
    assert ours.tau_int == pytest.approx(theirs.e_tauint["ar1"], rel=2 * bias)
    # Theirs takes the error of tau before the correction by (2 W + 1)/N, which eq. (42) squares in part.
    assert ours.tau_int_error == pytest.approx(theirs.e_dtauint["ar1"], rel=3 * (2 * ours.window + 1) / ours.n)


def test_replicas_and_steps_against_pyerrors(pyerrors: ModuleType) -> None:
    """Pyerrors centres each replica about its own mean and loses (2 W + 1)/N of the variance for each of them."""
    series = ar1(2, (3000, 4), 0.8)
    ours = gamma_method(series, every=3)
    theirs = to_pyerrors(series, "ar1", every=3)
    theirs.gamma_method(S=1.5)
    assert sorted(theirs.names) == [f"ar1|r{r}" for r in range(4)]
    assert theirs.idl["ar1|r0"] == range(3, 9001, 3)
    tolerance = 2 * 4 * (2 * ours.window + 1) / ours.n
    assert ours.value == pytest.approx(theirs.value, abs=1e-12)
    assert ours.error == pytest.approx(theirs.dvalue, rel=tolerance)
    assert ours.tau_int / 3 == pytest.approx(theirs.e_tauint["ar1"], rel=2 * tolerance)


def test_derived_quantities_against_pyerrors(pyerrors: ModuleType) -> None:
    """A Binder cumulant: their gradient is exact, ours a difference over one standard error (off by order 1/N)."""
    m = ar1(3, (4000, 1), 0.7)
    ours = gamma_method_derived(lambda a: 1 - a[1] / (3 * a[0] ** 2), [m**2, m**4])
    m2, m4 = to_pyerrors(m**2, "ar1"), to_pyerrors(m**4, "ar1")
    theirs = 1 - m4 / (3 * m2**2)
    theirs.gamma_method(S=1.5)
    assert ours.value == pytest.approx(theirs.value, abs=1e-12)
    assert ours.error == pytest.approx(theirs.dvalue, rel=1e-2)


def test_effective_samples_against_arviz(arviz: ModuleType) -> None:
    """ArviZ sums adjacent pairs until they turn negative (Geyer) instead of choosing a window.

    Both estimators of tau have a relative error of sqrt(4 W/N) = 5 %, and they share the data: four sigmas.
    """
    series = ar1(4, (10_000, 4), 0.8)
    ours = gamma_method(series)
    theirs = float(arviz.ess(to_arviz({"x": series}), method="mean")["x"])
    assert ours.ess == pytest.approx(theirs, rel=4 * math.sqrt(4 * ours.window / ours.n))


def test_arviz_shapes(arviz: ModuleType) -> None:
    series = np.arange(60.0).reshape(10, 2, 3)
    data = to_arviz({"ladder": series, "energy": series[..., 0]})
    assert data.posterior["energy"].dims == ("chain", "draw")
    assert data.posterior["ladder"].shape == (2, 10, 3)
    assert np.array_equal(data.posterior["energy"].values.T, series[..., 0])


@pytest.fixture(scope="module")
def correlators() -> np.ndarray:
    """D_s correlators on 225 gauge configurations, folded about the middle, shape (225, 1, 33)."""
    folder = os.environ.get("PYQMC_ART_DATA")
    path = Path(folder or ".") / "lattice" / "Ds-Ds.h5"
    if not folder or not path.exists():
        pytest.skip("set PYQMC_ART_DATA to a folder with lattice/Ds-Ds.h5")
    h5py = pytest.importorskip("h5py")
    with h5py.File(path) as file:
        times = file["Ds"][:]
    extent = times.shape[1]
    mirrored = times[:, -np.arange(extent // 2 + 1) % extent]
    return (times[:, : extent // 2 + 1] + mirrored)[:, None] / 2


def test_real_correlators_against_pyerrors(pyerrors: ModuleType, correlators: np.ndarray) -> None:
    """Every time slice: the same value; the same error where the window is, as for synthetic data, the same."""
    for t, ours in enumerate(gamma_method_components(correlators)):
        theirs = to_pyerrors(correlators[..., t], "Ds")
        theirs.gamma_method(S=1.5)
        assert ours.value == pytest.approx(theirs.value, rel=1e-12)
        # Anticorrelated slices are summed further by us, and never below 1/2 by pyerrors: four errors of the error.
        same = ours.window == theirs.e_windowsize["Ds"] and ours.tau_int > 0.5
        assert ours.error == pytest.approx(theirs.dvalue, rel=1e-10 if same else 4 * ours.error_error / ours.error)


def test_real_effective_masses_against_the_jackknife(correlators: np.ndarray) -> None:
    """The effective mass arccosh((C(t+1) + C(t-1))/2C(t)): gradient against resampling, four errors of the error."""

    def mass(means: np.ndarray) -> float:
        return math.acosh((means[0] + means[2]) / (2 * means[1]))

    for t in range(8, 16):
        neighbours = [correlators[..., t + i] for i in (-1, 0, 1)]
        gamma, knife = gamma_method_derived(mass, neighbours), jackknife(mass, neighbours)
        assert abs(gamma.error - knife.error) < 4 * math.hypot(gamma.error_error, knife.error_error)
        assert abs(gamma.value - knife.value) < 0.5 * gamma.error


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyerrors", "arviz"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError):
            importlib.import_module(name)
    with pytest.raises(InputError, match="pip install pyerrors"):
        to_pyerrors(np.arange(10.0), "ensemble")
    with pytest.raises(InputError, match="pip install arviz"):
        to_arviz({"energy": np.ones((10, 2))})


def test_bad_input() -> None:
    for name in ("", "a|b"):
        with pytest.raises(InputError, match="name of the ensemble"):
            to_pyerrors(np.arange(10.0), name)
    with pytest.raises(InputError, match="pyerrors needs 5"):
        to_pyerrors(np.arange(4.0), "ensemble")
    with pytest.raises(InputError, match="every is 0"):
        to_pyerrors(np.arange(10.0), "ensemble", every=0)
    with pytest.raises(InputError, match="expected \\(measurements, replicas"):
        to_arviz({"energy": np.ones(10)})
    with pytest.raises(InputError, match="that agree"):
        to_arviz({"energy": np.ones((10, 2)), "m": np.ones((5, 2))})
    with pytest.raises(InputError, match="that agree"):
        to_arviz({})
