"""The updates whose dynamics are compared, and what prepares equilibrium for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.kernels.compose import build


@dataclass(frozen=True)
class Update:
    """One way of updating an Ising field.

    Attributes
    ----------
    label : its name in tables and figures
    kernel, options : by the names the command line uses
    companion : kernel (with options) of the same target that equilibrates faster, or nothing
    sizes : which list of lattice sizes of the configuration it takes part in
    """

    label: str
    kernel: str
    options: Mapping[str, Any] = field(default_factory=dict)
    companion: tuple[str, Mapping[str, Any]] | None = ("swendsen-wang", {})
    sizes: str = "sizes"

    @property
    def special(self) -> bool:
        """Whether it is run at fewer beta than the others."""
        return self.sizes in ("exchange_sizes", "tempering_sizes")

    @property
    def constrained(self) -> bool:
        """Whether the magnetization is fixed."""
        return self.kernel == "constrained"

    def build(self, action: Ising, ladder: tuple[float, ...]) -> tuple[Any, Any]:
        """Build the kernel and its companion; ``ladder`` holds the rungs below the action's beta."""
        options = {**self.options, "ladder": (*ladder, action.beta)} if self.kernel == "tempering" else self.options
        kernel = build(self.kernel, action, options)
        if self.companion is None:
            return kernel, None
        companion: Any = build(self.companion[0], action, self.companion[1])
        return kernel, companion.on_ladder(kernel.targets) if kernel.rungs > 1 else companion


def _exchange(magnetization: float, exchange: str, words: str) -> Update:
    swift = {"magnetization": magnetization, "exchange": "long-range"}
    near = exchange == "local"
    return Update(
        f"m = {magnetization:g}, {words}",
        "constrained",
        {"magnetization": magnetization, "exchange": exchange},
        ("constrained", swift) if near else None,
        "exchange_sizes" if near else "fixed_sizes",
    )


METROPOLIS: Final = Update("Metropolis", "metropolis")
HEAT_BATH: Final = Update("heat bath", "heat-bath")
SWENDSEN_WANG: Final = Update("Swendsen-Wang", "swendsen-wang", companion=None)
WOLFF: Final = Update("Wolff, in clusters", "wolff")
WOLFF_FLIPS: Final = "Wolff, in V flips"
"""The same runs as WOLFF with tau in units of V turned spins: tau times the mean share of the lattice in a cluster."""

TEMPERING: Final = Update("tempering of Metropolis", "tempering", sizes="tempering_sizes")
FIXED_ZERO: Final = _exchange(0.0, "long-range", "any two")
FIXED_EIGHTY: Final = _exchange(0.8, "long-range", "any two")
NEAR_ZERO: Final = _exchange(0.0, "local", "neighbours")
NEAR_EIGHTY: Final = _exchange(0.8, "local", "neighbours")

UPDATES: Final = (
    METROPOLIS,
    HEAT_BATH,
    SWENDSEN_WANG,
    WOLFF,
    TEMPERING,
    FIXED_ZERO,
    FIXED_EIGHTY,
    NEAR_ZERO,
    NEAR_EIGHTY,
)
