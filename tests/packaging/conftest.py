"""The package built and installed in every way it promises, once per session; all of it is slow.

An installation with its libraries takes 6 GiB, so parallel workers share one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", ".venv", "build", "dist", "demo", "_build", "__pycache__", "*.egg-info", "*.so", ".*_cache")

SMOKE = """
import hashlib, sys, h5py, pyqmc_art
from pyqmc_art.backends import resolve
from pyqmc_art.cli import main
command = "sample ising --shape 8 8 --beta 0.44 --kernel metropolis --steps 20 --warmup 10 --save-every 10 --seed 3"
sys.argv = ["pyqmc-art", *command.split(), "--out", "run.h5", "--force"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
with h5py.File("run.h5") as file:
    print(resolve(), pyqmc_art.__file__, hashlib.sha256(file["fields"][()].tobytes()).hexdigest())
"""


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without anything that points at this checkout or its switches."""
    hidden = ("PYQMC_", "PYTEST_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden) and k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return {**kept, **more}


def run(*command: str | Path, cwd: Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a clean environment; a failure shows the end of what it printed."""
    ended = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=clean_environment(**environment), capture_output=True, text=True
    )
    if check and ended.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}\n{ended.stdout[-6000:]}\n{ended.stderr[-3000:]}")
    return ended


@dataclass(frozen=True)
class Installation:
    """A virtual environment and an empty folder to work in, both away from the checkout."""

    home: Path

    @property
    def python(self) -> Path:
        return self.home / "venv" / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.home / "venv" / "lib" / version / "site-packages"

    def run(
        self, *command: str | Path, cwd: Path | None = None, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return run(*command, cwd=cwd or self.home, check=check, **environment)

    def pip_install(self, *what: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        pip = (self.python, "-m", "pip", "install", "--disable-pip-version-check")
        return self.run(*pip, *what, check=check, **environment)

    def execute(self, code: str) -> str:
        return self.run(self.python, "-c", code).stdout

    def smoke(self) -> list[str]:
        """Sample a little: the backend chosen, where the package lies, a digest of the fields."""
        return self.execute(SMOKE).splitlines()[-1].split()


def create_installation(home: Path, borrow: Installation | None = None) -> Installation:
    """Create a virtual environment; one that borrows links to another's libraries, but not to the package."""
    venv.create(home / "venv", with_pip=True)
    installation = Installation(home)
    for library in borrow.site_packages.iterdir() if borrow is not None else ():
        link = installation.site_packages / library.name
        if not link.exists() and not library.name.startswith("pyqmc_art"):
            link.symlink_to(library)
    return installation


def copy_checkout(target: Path) -> Path:
    """Copy the source files, nothing built among them."""
    if not (ROOT / "setup.py").exists():
        pytest.skip("this copy of the tests lies outside a checkout: there is nothing to package")
    return Path(shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*LEFT_OUT)))


def share(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Give a folder of the whole run, made by the first worker that asks for it."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if parallel else base) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            # What an attempt has left that failed in the other worker.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build the sdist, and the wheel from the sdist."""

    def make(folder: Path) -> None:
        run(sys.executable, "-m", "build", cwd=copy_checkout(folder / "source"), PYQMC_REQUIRE_NATIVE="1")

    dist = share(tmp_path_factory, "built", make) / "source" / "dist"
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


@pytest.fixture(scope="session")
def installed_wheel(tmp_path_factory: pytest.TempPathFactory, distributions: dict[str, Path]) -> Installation:
    """Install the wheel with every library it declares, and those of the tests, into a fresh environment."""

    def make(folder: Path) -> None:
        create_installation(folder).pip_install("--quiet", f"{distributions['wheel']}[test,art]")

    return Installation(share(tmp_path_factory, "wheel", make))


@pytest.fixture(scope="session")
def without_compiler(tmp_path_factory: pytest.TempPathFactory, installed_wheel: Installation) -> Installation:
    """Create an environment, and a copy of the checkout beside it, in which nothing is installed yet."""
    installation = create_installation(tmp_path_factory.mktemp("no_compiler"), borrow=installed_wheel)
    copy_checkout(installation.home / "source")
    return installation


@pytest.fixture(scope="session")
def editable(tmp_path_factory: pytest.TempPathFactory, installed_wheel: Installation) -> Installation:
    """Install a copy of the checkout, ``source`` beside the environment, in editable mode."""
    installation = create_installation(tmp_path_factory.mktemp("editable"), borrow=installed_wheel)
    copy_checkout(installation.home / "source")
    installation.pip_install("--quiet", "--no-deps", "--editable", "./source", PYQMC_REQUIRE_NATIVE="1")
    return installation
