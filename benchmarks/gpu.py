"""The kernels for CUDA devices: first the processor's bytes, then the clock: ``python -m benchmarks.gpu [--out FILE]``.

For whoever has a GPU: nobody has run these kernels on one yet. Each case does a few steps on the device and on the
processor; where a byte differs it is listed as wrong and not timed. Then it is timed twice, with few steps and with
many, and the difference is the cost of a step without the copies to the device and back.

Status: 0 everything was right and timed; 1 something was wrong or failed; 2 nothing was done, because the module is not
built or there is no device.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.record import describe_machine
from benchmarks.resamplers import Pyramid
from pyqmc_art.backends import list_available
from pyqmc_art.errors import DeviceError, InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.lattice.kernels.local import HeatBath, Metropolis
from pyqmc_art.lattice.observables import find
from pyqmc_art.ops import devices, images
from pyqmc_art.rng import Stream
from pyqmc_art.store import provenance

SCHEMA: Final = 1
ROUNDS: Final = 5
CHECKED_STEPS: Final = 2
STREAM: Final = Stream.from_seed(2024)
BETA_C: Final = 0.44068679350977147


@dataclass(frozen=True)
class Chain:
    """A kernel on fields of one shape; the unit of work is the update of one site."""

    kernel: type[Any]
    action: Any
    replicas: int
    unit: str = "site update"

    @property
    def name(self) -> str:
        """What the case is called."""
        shape = " x ".join(map(str, self.action.lattice.shape))
        return f"{self.kernel.name}, {self.action.name}, {self.replicas} of {shape}"

    @property
    def units(self) -> int:
        """Sites updated in one step."""
        return self.replicas * int(self.action.lattice.sites)

    def run(self, backend: str, steps: int) -> tuple[bytes, float]:
        """Bytes of fields and measurements after some steps, and the seconds they took."""
        kernel = self.kernel(self.action, backend=backend)
        state = kernel.init(kernel.start(STREAM, self.replicas))
        begin = time.perf_counter()
        state, series, info = kernel.advance(STREAM, state, steps, steps, find(["energy", "magnetization"]))
        seconds = time.perf_counter() - begin
        return b"".join([state.field.tobytes(), *(v.tobytes() for v in series.values()), repr(info).encode()]), seconds


@dataclass(frozen=True)
class Cuts:
    """Patches of a picture; the unit of work is a source pixel, once for each level."""

    pyramid: Pyramid
    unit: str = "source pixel"

    @property
    def name(self) -> str:
        """What the case is called."""
        return f"resampling, {self.pyramid.name}"

    @property
    def units(self) -> int:
        """Pixels in one step."""
        return self.pyramid.pixels

    def run(self, backend: str, steps: int) -> tuple[bytes, float]:
        """Bytes of the patches, and the seconds of so many repetitions, copies included."""
        p = self.pyramid
        picture, boxes, resample = p.draw(), p.boxes(), images.resample(backend)
        out = np.empty((len(boxes), p.size, p.size, p.channels), np.uint8)
        begin = time.perf_counter()
        for _ in range(steps):
            resample(picture, boxes, out, "bicubic", 1)
        return out.tobytes(), time.perf_counter() - begin


def list_cases(quick: bool) -> list[Chain | Cuts]:
    """The cases; the quick ones are small enough for the emulator of the tests."""
    if quick:
        return [
            Chain(Metropolis, Ising(Lattice((16, 66)), BETA_C), 3),
            Chain(SwendsenWang, Ising(Lattice((17, 19)), BETA_C), 2),
            Cuts(Pyramid(60, 40, 3, 8)),
        ]
    square = [Ising(Lattice((n, n)), BETA_C) for n in (64, 1024, 4096, 16384)]
    cube = [Ising(Lattice((n, n, n)), 0.22165463) for n in (128, 256)]
    return [
        *(Chain(Metropolis, a, r) for a, r in zip(square, (16384, 64, 4, 1), strict=True)),
        Chain(Metropolis, cube[1], 4),
        Chain(HeatBath, dataclasses.replace(square[1], h=0.01), 16),
        *(Chain(SwendsenWang, a, r) for a, r in zip(square[:3], (1024, 16, 1), strict=True)),
        Chain(SwendsenWang, cube[0], 4),
        Chain(SwendsenWang, Potts(Lattice((1024, 1024)), 5, 1.1743590), 4),
        *(Cuts(Pyramid(4000, 3000, channels, 224)) for channels in (3, 1, 4)),
    ]


def time_step(case: Chain | Cuts, backend: str, few: int, many: int) -> dict[str, float]:
    """Nanoseconds for each unit of work: median, least and most of the rounds; copies do not count."""
    costs = []
    for _ in range(ROUNDS):
        short, long = (case.run(backend, steps)[1] for steps in (few, many))
        costs.append(1e9 * (long - short) / ((many - few) * case.units))
    return {"median": statistics.median(costs), "least": min(costs), "most": max(costs)}


def judge_and_time(case: Chain | Cuts, few: int, many: int, say: Callable[[str], None]) -> dict[str, Any]:
    """One row of the results: whether the bytes agree, and only then what a unit of work costs."""
    row: dict[str, Any] = {"case": case.name, "unit": case.unit, "units": case.units}
    try:
        row["bytes_agree"] = case.run("cuda", CHECKED_STEPS)[0] == case.run("cpp", CHECKED_STEPS)[0]
        if row["bytes_agree"]:
            row["ns_per_unit"] = time_step(case, "cuda", few, many)
    except DeviceError as error:
        row["failed"] = str(error)
    say(f"{case.name}: {describe(row)}")
    return row


def describe(row: dict[str, Any]) -> str:
    """One line about a row."""
    if "failed" in row:
        return f"FAILED: {row['failed']}"
    if not row["bytes_agree"]:
        return "WRONG: the bytes differ from the processor's; not timed"
    cost = row["ns_per_unit"]
    return (
        f"the processor's bytes; {cost['median']:.4g} ns per {row['unit']} ({cost['least']:.4g} to {cost['most']:.4g})"
    )


def main(words: list[str]) -> int:
    """Return the status that the head of this file explains."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="where the results go (default: gpu.json)")
    parser.add_argument("--quick", action="store_true", help="small cases: whether it works, not how fast it is")
    given = parser.parse_args(words)
    if "cuda" not in list_available():
        print("not built: run `PYQMC_CUDA=1 pip install .` in the source folder; nothing was measured", file=sys.stderr)
        return 2
    names, reason = devices.list_devices()
    if not names:
        print(f"{reason}; nothing was measured", file=sys.stderr)
        return 2
    if "cpp" not in list_available():
        raise InputError("the bytes of the backend cpp are the answer, and it is not installed")
    print(f"device: {names[0]}; each case: bytes against the processor's, then {ROUNDS} rounds")
    few, many = (1, 3) if given.quick else (10, 210)
    rows = [judge_and_time(case, few, many, print) for case in list_cases(given.quick)]
    origin = provenance.collect()
    versions = {name: str(origin[name]) for name in ("version", "python", "numpy", "date", "commit")}
    results = {"schema": SCHEMA, "device": names[0], "quick": given.quick, "machine": describe_machine(), **versions}
    given.out.write_text(json.dumps({**results, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    wrong = sum("ns_per_unit" not in row for row in rows)
    print(f"{len(rows) - wrong} of {len(rows)} cases right and timed; wrote {given.out}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
