"""What is asked of the kernels, and what a record says about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from benchmarks.machine import OPERATIONS
from benchmarks.record import Measurement, Record


@dataclass(frozen=True)
class Target:
    """A cost that must not be exceeded, a ratio that must be reached beside a rival, or one that must not beside a row.

    Parameters
    ----------
    words : what is asked, in a sentence
    section, case : the table, and a part of the row's name
    bound : largest cost in ns for each unit of work; beside a rival the smallest ratio (below 1: the
        contender may cost more, by 1 / bound at most), beside a row the largest
    rival : the column whose cost is divided by the contender's
    row : a part of the name of the row in the same column by whose cost the contender's is divided
    contender : the column
    isa : the instruction set of the machine it is asked on; any if empty
    rate : what one divided by the cost is called, if that is said in its place
    """

    words: str
    section: str
    case: str
    bound: float
    rival: str | None = None
    contender: str = "pyqmc_art"
    isa: str = ""
    rate: str = ""
    row: str | None = None

    def judge(self, record: Record) -> str | None:
        """Say whether it is reached; None where the record has nothing to say."""
        if self.isa and record.machine["isa"] != self.isa:
            return None
        mine = find(record.measurements, self.section, self.case, self.contender)
        if mine is None:
            return None
        if self.rival is None and self.row is None:
            return self._say(mine <= self.bound, self._tell(mine, find_cycle(record)))
        other = find(
            record.measurements, self.section, self.row or self.case, self.contender if self.row else str(self.rival)
        )
        if other is None:
            return None
        if self.row is not None:
            return self._say(mine / other <= self.bound, f"{mine / other:.3g} times")
        ratio = other / mine if self.bound >= 1 else mine / other
        return self._say(other / mine >= self.bound, f"{ratio:.3g} times")

    def _tell(self, cost: float, cycle: float | None) -> str:
        """In ns, as the bound is, and in cycles, which another clock leaves as they are."""
        if self.rate:
            unit = " bytes" if self.rate == "GB/s" else ""
            cycles = f"; {cycle / cost:.3g}{unit} a cycle" if cycle else ""
            return f"{1 / cost:.3g} {self.rate}{cycles}"
        cycles = f"; {cost / cycle:.3g} cycles" if cycle else ""
        return f"{cost:.3g} ns{cycles}"

    def _say(self, reached: bool, figure: str) -> str:
        return f"* {self.words}: {'reached' if reached else '**missed**'} ({figure})."


def find(rows: Iterable[Measurement], section: str, case: str, contender: str) -> float | None:
    """Median cost of the first row of a table whose name holds ``case``."""
    return next(
        (r.median for r in rows if (r.section, r.contender) == (section, contender) and case in r.case and r.median),
        None,
    )


def find_cycle(record: Record) -> float | None:
    """Length of a cycle of the core in ns, as measured in the run; None where it was not."""
    return find(record.measurements, "machine", OPERATIONS["chain"], "scalar")


def _metropolis(isa: str, size: int, rate: float, section: str = "metropolis") -> Target:
    words = f"Metropolis, {isa}, one core: at least {rate:g} updates per ns on square {size}x{size}"
    case = f"metropolis on ising(beta=0.440687) square {size}x{size}"
    return Target(words, section, case, 1 / rate, isa=isa, rate="per ns")


def _with_isa(isa: str, rate: float) -> Target:
    """On the machine of the record, whatever else it has."""
    words = f"Metropolis with {isa} alone, one core: at least {rate:g} updates per ns on square 1024x1024"
    case = "metropolis on ising(beta=0.440687) square 1024x1024"
    return Target(words, "isa", case, 1 / rate, contender=isa, rate="per ns")


def _normals(isa: str) -> Target:
    words = f"Normal numbers with {isa}, one core: at least 0.5 per ns"
    return Target(words, "random", "normal numbers", 1 / 0.5, contender=isa, rate="per ns")


def _philox(isa: str, rate: float) -> Target:
    words = f"Philox with {isa}, one core: at least {rate:g} GB/s"
    return Target(words, "random", "Philox", 1 / rate, contender=f"in bulk, {isa}", rate="GB/s")


def _glass(words: str, case: str) -> Target:
    words = f"Spin glass, couplings {words}, avx512, one core: at least 10 updates per ns"
    return Target(words, "heat-bath", case, 1 / 10, contender="avx512", rate="per ns")


def _two_threads(words: str, case: str, ratio: float) -> Target:
    return Target(words, "threads", case, ratio, "1 thread", "2 threads")


def _averages(size: int, column: str) -> Target:
    words = f"Swendsen-Wang with {column} of clusters: at most 1.2 times the step alone at L = {size}"
    return Target(words, "averages", f"square {size}x{size}", 1 / 1.2, "step alone", column)


_LARGEST: Final = "metropolis on ising(beta=0.440687) square 4096"

TARGETS: Final = (
    _metropolis("avx512", 64, 2),
    _metropolis("avx512", 256, 8),
    _metropolis("avx512", 1024, 20),
    _metropolis("avx512", 4096, 20, "size"),
    Target(
        "Metropolis, avx512, one core: at least 8 updates per ns on cubic 256x256x256", "size",
        "metropolis on ising(beta=0.221655) hypercubic 256x256x256", 1 / 8, isa="avx512", rate="per ns",
    ),
    Target(
        "Metropolis, avx512, one core: at least 8 updates per ns on 64 replicas of 64x64", "threads",
        "metropolis on ising(beta=0.440687) square 64x64", 1 / 8, contender="1 thread", isa="avx512", rate="per ns",
    ),
    _with_isa("avx2", 10),
    _with_isa("baseline", 1.5),
    Target("Metropolis: 80 times mcising at L = 1024", "metropolis", "1024x1024", 80, "mcising"),
    Target("Swendsen-Wang: at most 5 ns per site at L = 256", "swendsen-wang", "440687) square 256x256", 5),
    Target("Swendsen-Wang: at most 5 ns per site at L = 1024", "swendsen-wang", "square 1024x1024", 5),
    Target("Swendsen-Wang: at most 9 ns per site at 128^3", "swendsen-wang", "128x128x128", 9),
    *(_averages(size, column) for size in (256, 1024) for column in ("moments", "correlation", "modes")),
    Target("Wolff: at most 12 ns per flipped site at L = 256", "wolff", "440687) square 256x256", 12),
    Target("Wolff: at most 16 ns per flipped site at L = 1024", "wolff", "square 1024x1024", 16),
    Target(
        "Swendsen-Wang: Potts with 10 colours at most 1.5 times Ising at L = 256", "swendsen-wang",
        "potts(q=10, beta=1.42606) square 256x256", 1.5, row="440687) square 256x256",
    ),
    _two_threads("Metropolis: two threads 1.8 times one at L = 4096", _LARGEST, 1.8),
    _two_threads("Swendsen-Wang: two threads 1.6 times one at L = 1024", "g on ising(beta=0.440687) square 1024", 1.6),
    Target("Patches: 5 times Pillow", "resampling", "4000 x 3000 RGB to 1 + 4 + 16 of 224", 5, "Pillow"),
    Target("Patches: 1.3 times torch", "resampling", "4000 x 3000 RGB to 1 + 4 + 16 of 224", 1.3, "torch"),
    _two_threads("Patches: two threads 1.8 times one", "4000 x 3000 RGB", 1.8),
    _philox("avx512", 15),
    _philox("avx2", 6),
    _normals("avx512"),
    _normals("avx2"),
    *(
        _glass(f"{words}, {shape}", f"{case} spin glass {shape}")
        for shape in ("64 x 64", "16 x 16 x 16")
        for words, case in (("of one strength", "bimodal"), ("normal", "gaussian"))
    ),
    Target("Force of phi^4: 1.2 ns per site at 14 x 14", "force", "14x14", 1.2, contender="1 thread"),
    Target("Force of phi^4: two threads 1.7 times one at 512 x 512", "force", "512x512", 1.7, "1 thread", "2 threads"),
    Target("Draws of a flow: 3 times plain torch", "flow draws", "couplings", 3, "plain torch"),
    Target("Training of a flow: 2 times plain torch", "flow training", "couplings", 2, "plain torch"),
    Target("HMC: 10 times plain NumPy in effective samples of M", "hmc", "14x14", 10, "numpy by hand"),
)  # fmt: skip


def render_targets(record: Record) -> str:
    """One line for each target that the record says something about."""
    lines = [line for target in TARGETS if (line := target.judge(record)) is not None]
    return "\n".join([*lines, ""]) if lines else ""
