from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from pyqmc_art import backends
from pyqmc_art.errors import BackendUnavailable, InputError


@pytest.fixture(autouse=True)
def no_request(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start every test without a request from outside, and leave none behind."""
    for name in ("PYQMC_BACKEND", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    with backends.use_backend(None):
        yield


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    """Pretend that exactly the named backends are installed."""

    def pretend(*names: str) -> None:
        installed = {backends._MODULES[name] for name in names if name in backends._MODULES}
        monkeypatch.setattr(
            backends.importlib.util, "find_spec", lambda module: object() if module in installed else None
        )

    return pretend


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [(("cuda", "cpp", "numba"), "cpp"), (("numba",), "numba"), (("cuda", "numba"), "numba"), ((), "python")],
)
def test_first_available_is_chosen_and_cuda_only_on_request(install, installed, chosen):
    install(*installed)
    assert backends.resolve() == chosen
    assert backends.list_available() == (*installed, "python")


def test_argument_beats_context_beats_environment(install, monkeypatch):
    install("cpp", "numba")
    monkeypatch.setenv("PYQMC_BACKEND", "python")
    assert backends.resolve() == "python"
    with backends.use_backend("numba"):
        assert backends.resolve() == "numba"
        assert backends.resolve("cpp") == "cpp"
    assert backends.resolve() == "python"
    monkeypatch.setenv("PYQMC_BACKEND", "")
    assert backends.resolve() == "cpp"


@pytest.mark.parametrize(
    ("name", "command"),
    [("cuda", "PYQMC_CUDA=1"), ("cpp", "PYQMC_REQUIRE_NATIVE=1 pip install ."), ("numba", "pip install numba")],
)
@pytest.mark.parametrize("origin", ["argument", "use_backend", "PYQMC_BACKEND"])
def test_a_request_never_falls_back(install, monkeypatch, name, command, origin):
    install()
    with pytest.raises(BackendUnavailable, match=origin) as caught:
        if origin == "argument":
            backends.resolve(name)
        elif origin == "use_backend":
            backends.use_backend(name)
        else:
            monkeypatch.setenv("PYQMC_BACKEND", name)
            backends.resolve()
    assert command in str(caught.value)
    assert caught.value.exit_status == 2
    monkeypatch.delenv("PYQMC_BACKEND", raising=False)
    assert backends.resolve() == "python", "a refused request must leave no trace"


@pytest.mark.parametrize("name", ["pyton", "CPP", ""])
def test_unknown_name_is_refused(name, monkeypatch):
    with pytest.raises(InputError, match="unknown backend"):
        backends.resolve(name)
    with pytest.raises(InputError, match="unknown backend"):
        backends.use_backend(name)
    monkeypatch.setenv("PYQMC_BACKEND", "pyton")
    with pytest.raises(InputError, match="did you mean 'python'"):
        backends.resolve()


def test_setter_holds_until_taken_back(install):
    install("cpp", "numba")
    backends.use_backend("numba")
    assert backends.resolve() == "numba"
    with backends.use_backend("python"), backends.use_backend(None):
        assert backends.resolve() == "cpp"
    assert backends.resolve() == "numba"


def test_context_ends_with_an_error(install):
    install("cpp", "numba")
    with pytest.raises(KeyError), backends.use_backend("numba"):
        raise KeyError
    assert backends.resolve() == "cpp"


def test_another_thread_keeps_its_own_request(install):
    install("cpp", "numba")
    seen: list[str] = []
    with backends.use_backend("python"):
        thread = threading.Thread(target=lambda: seen.append(backends.resolve()))
        thread.start()
        thread.join()
    assert seen == ["cpp"]


def test_a_hidden_numba_is_not_available(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert "numba" not in backends.list_available()
    with pytest.raises(BackendUnavailable, match="pip install numba"):
        backends.resolve("numba")


def test_threads_follow_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", " 3 ")
    assert backends.default_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5}, raising=False)
    assert backends.default_threads() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert backends.default_threads() == 1


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "nan", "4,2", "1_0", "²"])
def test_threads_refuse_what_is_no_positive_integer(monkeypatch, given):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    with pytest.raises(InputError, match=r"OMP_NUM_THREADS is .* expected a positive integer"):
        backends.default_threads()


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_package_import_is_light():
    loaded = set(run_python("import sys, pyqmc_art; print(*sys.modules)").split())
    heavy = {"torch", "matplotlib", "jinja2", "numba", "gradio", "diffusers", "timm", "mpi4py", "dask"}
    assert "pyqmc_art" in loaded
    assert not loaded & heavy


def test_asking_for_a_backend_imports_none():
    code = "import sys; from pyqmc_art.backends import resolve; resolve(); print(*sys.modules)"
    assert not {"numba", "pyqmc_art._core"} & set(run_python(code).split())


def test_threads_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with backends.use_threads(3):
        assert backends.default_threads() == 3
        with backends.use_threads(None):
            assert backends.default_threads() == 3
    assert backends.default_threads() == 2
    with pytest.raises(InputError, match="threads is 0"):
        backends.use_threads(0)
