"""pillow-simd in an environment and a process of its own: ``python -m benchmarks.pillow_simd`` makes the environment.

Its module has Pillow's name, so the two cannot be installed together. ``PYQMC_PILLOW_SIMD`` may name the interpreter of
an environment that has it. There are no wheels: the compiler and the headers of libjpeg and zlib are needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import weakref
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from benchmarks.resamplers import Bytes, Pyramid, Run

ENVIRONMENT: Final = Path(__file__).resolve().parents[1] / ".pillow-simd"
WORKER: Final = Path(__file__).resolve().with_name("pillow_simd_worker.py")
MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}


class PillowSimd:
    """Pillow with hand-written SSE4 and AVX2, by ``resize`` with a box, patch by patch."""

    name = "pillow-simd"
    tolerance = 1
    beyond_the_box = True

    @staticmethod
    def interpreter() -> str | None:
        """The interpreter that has pillow-simd, None if there is none."""
        own = ENVIRONMENT / "bin" / "python"
        return os.environ.get("PYQMC_PILLOW_SIMD") or (str(own) if own.exists() else None)

    @classmethod
    def find_version(cls) -> str | None:
        """Version of pillow-simd in that environment, None if it is not there or does not start."""
        interpreter = cls.interpreter()
        if interpreter is None:
            return None
        command = [interpreter, "-I", "-c", "import PIL; print(PIL.__version__)"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return None

    def __init__(self) -> None:
        self._spent: list[float] = []

    def clock(self) -> float:
        """CPU time that the other processes have spent so far."""
        return sum(self._spent)

    def load(self, case: Pyramid, picture: Bytes) -> Run:
        """Start the process and hand the picture over."""
        return Elsewhere(str(self.interpreter()), case, picture, self._spent)


class Elsewhere:
    """A run whose work is done, and timed, by another process."""

    def __init__(self, interpreter: str, case: Pyramid, picture: Bytes, spent: list[float]) -> None:
        self._shape = (len(case.boxes()), case.size, case.size, case.channels)
        self._process = subprocess.Popen([interpreter, "-I", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        weakref.finalize(self, stop, self._process)
        task = {
            "mode": MODES[case.channels],
            "shape": [case.width, case.height],
            "bytes": picture.nbytes,
            "size": case.size,
            "boxes": case.boxes().tolist(),
        }
        self._given, self._answers = cast(Any, self._process.stdin), cast(Any, self._process.stdout)
        self._given.write(json.dumps(task).encode() + b"\n" + picture.tobytes())
        self._spent = spent

    def __call__(self) -> Bytes:
        """Make the patches and fetch them; only the making counts as spent."""
        given, answers = self._given, self._answers
        given.write(b"run\n")
        given.flush()
        self._spent.append(float(answers.readline()))
        given.write(b"show\n")
        given.flush()
        return np.frombuffer(answers.read(int(np.prod(self._shape))), np.uint8).reshape(self._shape)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Let the other process end with its input."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()


def main() -> int:
    """Make the environment."""
    venv.create(ENVIRONMENT, with_pip=True)
    flags = {**os.environ, "CFLAGS": f"{os.environ.get('CFLAGS', '')} -O3 -mavx2"}
    # Compiled here and now: a wheel in pip's cache may have been compiled with other flags.
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--no-cache-dir", "--no-binary", "pillow-simd"]
    command = [*pip, "pillow-simd"]
    return subprocess.run(command, env=flags, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
