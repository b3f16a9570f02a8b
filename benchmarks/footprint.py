"""How much memory a kernel needs, asked of a process of its own: ``python -m benchmarks.footprint NAME``.

The process runs the kernel on something tiny, so that everything is loaded, and makes the field (or the picture); then
it notes what is resident, works, and asks for the peak. The difference is divided by the sites (or pixels).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.hot_loops import isa_environment
from pyqmc_art.errors import BackendUnavailable
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream

LATTICE_SIDE: Final = 4096
FIELD_SIDE: Final = 1024


def of_kernel(name: str, model: Callable[[Lattice], Any], side: int) -> float:
    """Bytes per site of one step on one configuration, beyond the configuration."""
    stream = Stream.from_seed(1)

    def make(size: int) -> Callable[[], Any]:
        action = model(Lattice((size, size)))
        kernel = compose.build(name, action, {}, threads=1)
        state = kernel.init(kernel.start(stream, 1, "cold"))
        return lambda: kernel.advance(stream, state, 1)

    make(16)()
    return grown_by(make(side)) / side**2


def of_resampling(_: str) -> float:
    """Bytes per source pixel beyond the picture and its patches."""
    from pyqmc_art.ops import images

    resample = images.resample("cpp")
    width, height = 4000, 3000
    picture = np.ones((height, width, 3), np.uint8)
    cuts = [
        (width * i / k, height * j / k, width / k, height / k) for k in (1, 2, 4) for j in range(k) for i in range(k)
    ]
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in cuts], np.float32)
    out = np.ones((len(boxes), 224, 224, 3), np.uint8)
    resample(picture[:8, :8].copy(), np.array([[0, 0, 8, 8]], np.float32), out[:1, :8, :8].copy(), "bicubic", 1)
    return grown_by(lambda: resample(picture, boxes, out, "bicubic", 1)) / (width * height)


def _ising(lattice: Lattice) -> Ising:
    return Ising(lattice, ISING_CRITICAL_BETA)


def _phi4(lattice: Lattice) -> Phi4:
    return Phi4(lattice, -4.0, 4.398)


FOOTPRINTS: Final[dict[str, Callable[[str], float]]] = {
    **dict.fromkeys(
        ("metropolis", "heat-bath", "swendsen-wang", "wolff"), lambda name: of_kernel(name, _ising, LATTICE_SIDE)
    ),
    "hmc": lambda name: of_kernel(name, _phi4, FIELD_SIDE),
    "resampling": of_resampling,
}


def grown_by(work: Callable[[], Any]) -> int:
    """Resident bytes at the peak of some work beyond those before it (Linux)."""
    # 5 sets the peak back to what is resident now: see proc_pid_clear_refs(5).
    Path("/proc/self/clear_refs").write_text("5")
    before = read_status("VmRSS")
    work()
    return read_status("VmHWM") - before


def read_status(name: str) -> int:
    """Bytes of an entry of the process's status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return 1024 * int(value.split()[0])
    raise BackendUnavailable(f"this system does not tell {name} of a process; memory is measured on Linux")


def measure(name: str) -> float:
    """Bytes for each site or pixel, measured in another process."""
    command = [sys.executable, "-m", "benchmarks.footprint", name]
    done = subprocess.run(command, env=isa_environment(), capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(FOOTPRINTS[sys.argv[1]](sys.argv[1])))
