"""What is asked of the kernels, and what a record says about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from benchmarks.record import Measurement, Record


@dataclass(frozen=True)
class Target:
    """A cost that must not be exceeded or, beside a rival, a ratio that must be reached.

    Parameters
    ----------
    words : what is asked, in a sentence
    section, case : the table, and a part of the row's name
    bound : largest cost in ns for each unit of work; beside a rival the smallest ratio
    rival : the column whose cost is divided by the contender's
    contender : the column
    isa : the instruction set of the machine it is asked on; any if empty
    """

    words: str
    section: str
    case: str
    bound: float
    rival: str | None = None
    contender: str = "pyqmc_art"
    isa: str = ""

    def judge(self, record: Record) -> str | None:
        """Say whether it is reached; None where the record has nothing to say."""
        if self.isa and record.machine["isa"] != self.isa:
            return None
        mine = find(record.measurements, self.section, self.case, self.contender)
        if mine is None:
            return None
        if self.rival is None:
            return self._say(mine <= self.bound, f"{1 / mine:.3g} per ns" if self.bound < 1 else f"{mine:.3g} ns")
        other = find(record.measurements, self.section, self.case, self.rival)
        return None if other is None else self._say(other / mine >= self.bound, f"{other / mine:.3g} times")

    def _say(self, reached: bool, figure: str) -> str:
        return f"* {self.words}: {'reached' if reached else '**missed**'} ({figure})."


def find(rows: Iterable[Measurement], section: str, case: str, contender: str) -> float | None:
    """Median cost of the first row of a table whose name holds ``case``."""
    return next(
        (r.median for r in rows if (r.section, r.contender) == (section, contender) and case in r.case and r.median),
        None,
    )


def _metropolis(isa: str, size: int, rate: float, section: str = "metropolis") -> Target:
    words = f"Metropolis, {isa}, one core: at least {rate:g} updates per ns on square {size}x{size}"
    return Target(words, section, f"metropolis on ising(beta=0.440687) square {size}x{size}", 1 / rate, isa=isa)


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
    _metropolis("avx2", 1024, 10),
    _metropolis("baseline", 1024, 1.5),
    Target("Metropolis: 80 times mcising at L = 1024", "metropolis", "1024x1024", 80, "mcising"),
    Target("Swendsen-Wang: at most 5 ns per site at L = 256", "swendsen-wang", "440687) square 256x256", 5),
    Target("Swendsen-Wang: at most 5 ns per site at L = 1024", "swendsen-wang", "square 1024x1024", 5),
    Target("Swendsen-Wang: at most 9 ns per site at 128^3", "swendsen-wang", "128x128x128", 9),
    *(_averages(size, column) for size in (256, 1024) for column in ("moments", "modes")),
    Target("Wolff: at most 12 ns per flipped site at L = 256", "wolff", "440687) square 256x256", 12),
    Target("Wolff: at most 16 ns per flipped site at L = 1024", "wolff", "square 1024x1024", 16),
    _two_threads("Metropolis: two threads 1.8 times one at L = 4096", _LARGEST, 1.8),
    _two_threads("Swendsen-Wang: two threads 1.6 times one at L = 1024", "g on ising(beta=0.440687) square 1024", 1.6),
    Target("Patches: 5 times Pillow", "resampling", "4000 x 3000 RGB to 1 + 4 + 16 of 224", 5, "Pillow"),
    Target("Patches: 1.3 times torch", "resampling", "4000 x 3000 RGB to 1 + 4 + 16 of 224", 1.3, "torch"),
    _two_threads("Patches: two threads 1.8 times one", "4000 x 3000 RGB", 1.8),
    Target("Philox: 15 GB/s", "random", "Philox", 1 / 15, contender="in bulk", isa="avx512"),
    Target("Philox: 6 GB/s", "random", "Philox", 1 / 6, contender="in bulk", isa="avx2"),
    Target("Normal numbers: 0.5 per ns", "random", "normal numbers", 1 / 4, contender="avx512", isa="avx512"),
    Target("Spin glass, signs: 10 updates per ns", "heat-bath", "bimodal", 1 / 10, contender="avx512", isa="avx512"),
    Target("Spin glass, normal: 10 updates per ns", "heat-bath", "gaussian", 1 / 10, contender="avx512", isa="avx512"),
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
