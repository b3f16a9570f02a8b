"""The catalogue that tests, ``verify`` and benchmarks share: kernels x actions x lattices.

``EXACT`` holds lattices small enough to enumerate (chi-square from exact starts), ``IRREDUCIBLE`` those with a small
transition matrix, ``ENERGIES`` larger ones of exactly known energy, ``TIMED`` the sizes benchmarks run at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Final

import numpy as np

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.enumeration import SpinAction, configuration_count, exact_moments
from pyqmc_art.lattice.exact import exact_energy, exact_magnetization
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA, potts_critical_beta
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.kernels.stepwise import DiscreteKernel
from pyqmc_art.rng import Stream

LOCAL: Final = ("metropolis", "heat-bath")
CLUSTER: Final = ("swendsen-wang", "wolff")
EXCHANGES: Final = ("local", "long-range", "mixed")


@dataclass(frozen=True)
class Case:
    """A kernel, or a composition, on an action.

    Parameters
    ----------
    kernel : a name as ``--kernel`` takes it
    action : the target
    options : kernel options by the names the command line uses

    Examples
    --------
    >>> case = Case("wolff", Ising(Lattice((4, 6)), beta=0.4, h=0.1), {"clusters": 3})
    >>> case.name
    'wolff(clusters=3) on ising(beta=0.4, h=0.1) square 4x6'
    >>> case.build(threads=1).name
    'wolff'
    """

    kernel: str
    action: Any
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Kernel, target and lattice in words; unique in the catalogue."""
        return f"{self.title} on {self.target}"

    @property
    def title(self) -> str:
        """The kernel with its options."""
        return self.kernel + _listed(self.options)

    @property
    def target(self) -> str:
        """The action with its couplings, and the lattice."""
        usual = {"J": 1.0, "h": 0.0}
        couplings = {k: v for k, v in self.action.couplings().items() if usual.get(k) != v}
        lattice = self.action.lattice
        boundary = "" if all(lattice.periodic) else " " + ",".join(dict.fromkeys(lattice.boundary))
        extents = "x".join(map(str, lattice.shape))
        return f"{self.action.name}{_listed(couplings)} {lattice.kind} {extents}{boundary}"

    @property
    def spin_sum(self) -> int | None:
        """Sum of the spins where the kernel conserves it, else None."""
        if "constrained" not in (self.kernel, self.options.get("inner")):
            return None
        return round(int(self.action.lattice.sites) * float(self.options.get("magnetization", 0.0)))

    def build(self, backend: str | None = None, threads: int | None = None) -> DiscreteKernel:
        """Build the kernel."""
        return compose.build(self.kernel, self.action, self.options, backend=backend, threads=threads)

    @property
    def configurations(self) -> int:
        """Number of configurations of one rung, at the conserved spin sum if there is one."""
        return configuration_count(self.action, self.spin_sum)

    @property
    def targets(self) -> tuple[SpinAction, ...]:
        """The action of each rung; without a ladder the action alone."""
        ladder = self.options.get("ladder", (self.action.beta,))
        return tuple(replace(self.action, beta=beta) for beta in ladder)

    def exact_values(self) -> dict[str, tuple[float, ...]]:
        """Exact expectation values: name of the observable -> one for each rung.

        Always ``energy``; ``magnetization`` too for Ising spins in a field. A kernel that conserves M samples the
        ensemble of fixed M.

        Raises
        ------
        InputError
            If no exact method applies.
        """
        if self.spin_sum is not None:
            return {"energy": tuple(exact_moments(action, self.spin_sum).energy for action in self.targets)}
        values = {"energy": tuple(exact_energy(action) for action in self.targets)}
        in_field = [action for action in self.targets if isinstance(action, Ising) and action.h != 0]
        if in_field:
            values["magnetization"] = tuple(exact_magnetization(action) for action in in_field)
        return values


def _listed(options: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, (tuple, list)):
            return "/".join(map(text, value))
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    return f"({', '.join(f'{k}={text(v)}' for k, v in options.items())})" if options else ""


def legal_kernels(action: SpinAction) -> tuple[str, ...]:
    """Plain kernels of the full ensemble that are defined for an action on its lattice.

    Examples
    --------
    >>> legal_kernels(Ising(Lattice((3, 5)), beta=0.4))
    ('swendsen-wang', 'wolff')
    """
    try:
        local = LOCAL if action.lattice.colours else ()
    except InputError:
        local = ()
    return local + (CLUSTER if isinstance(action, Ising) or action.J >= 0 else ())


def on_all_kernels(actions: Iterable[SpinAction]) -> tuple[Case, ...]:
    """Every legal plain kernel on every action."""
    return tuple(Case(kernel, action) for action in actions for kernel in legal_kernels(action))


_PERIODIC_OPEN: Final = ("periodic", "open")

_CORE: Final[tuple[SpinAction, ...]] = (
    Ising(Lattice((4, 4)), 0.44),
    Ising(Lattice((4, 4)), 0.4, J=-1.0, h=-0.3),
    Ising(Lattice((2, 6)), 0.3, h=-0.1),
    Ising(Lattice((3, 3), kind="triangular"), 0.4, J=-1.0, h=0.3),
    Ising(Lattice((4, 4), kind="honeycomb"), 0.6, h=0.1),
    Ising(Lattice((2, 2, 2, 2)), 0.1),
    Ising(Lattice((2, 2, 4)), 0.2),
    Potts(Lattice((2, 4)), 3, 0.6),
    Potts(Lattice((2, 2, 2)), 4, 0.3),
)

ENUMERABLE: Final[tuple[SpinAction, ...]] = (
    *_CORE,
    Ising(Lattice((4, 4)), 0.35, h=0.2),
    Ising(Lattice((4, 4)), 0.0),
    Ising(Lattice((3, 5), boundary="open"), 0.5, J=-1.0),
    Ising(Lattice((2, 2)), 0.25),
    Ising(Lattice((3, 5)), 0.4, h=0.15),
    Ising(Lattice((3, 3)), 0.5, J=-1.0, h=0.2),
    Ising(Lattice((4, 3), boundary=_PERIODIC_OPEN), 0.6, J=0.7, h=0.1),
    Ising(Lattice((3, 3), kind="triangular"), 0.25),
    Ising(Lattice((2, 5), kind="triangular"), 0.2, h=0.1),
    Ising(Lattice((4, 3), kind="triangular", boundary=("open", "periodic")), 0.3),
    Ising(Lattice((3, 4), kind="honeycomb", boundary=("open", "periodic")), 0.7, J=-1.0),
    Ising(Lattice((2, 2, 2)), 0.15, h=0.1),
    Ising(Lattice((2, 3, 2), boundary=("periodic", "open", "open")), 0.3, J=-1.0),
    Ising(Lattice((2, 2, 2, 2), boundary="open"), 0.3, h=-0.2),
    Ising(Lattice((2,)), 0.5),
    Ising(Lattice((6,)), 0.7, h=0.2),
    Ising(Lattice((7,), boundary="open"), 0.8, J=-1.0, h=0.2),
    Potts(Lattice((4, 4)), 2, 0.88),
    Potts(Lattice((2, 4)), 3, 0.5, J=-1.0),
    Potts(Lattice((3, 3)), 3, 0.9),
    Potts(Lattice((2, 3), boundary="open"), 5, 1.2),
    Potts(Lattice((3, 3), kind="triangular"), 3, 0.5),
    Potts(Lattice((2, 4), kind="honeycomb"), 3, 1.1),
    Potts(Lattice((2, 2, 2), boundary="open"), 4, 0.5, J=-0.8),
    Potts(Lattice((2,)), 200, 2.5),
)
"""At most 2^16 configurations each: every kind, boundary, sign and dimension; fields, odd extents, extent 2."""

_COMPOSED: Final = (
    Case("metropolis+2*wolff", Ising(Lattice((4, 4)), 0.44)),
    Case("2*metropolis", Ising(Lattice((4, 4)), 0.3, h=0.1)),
    Case("wolff", Ising(Lattice((4, 4)), 0.35), {"clusters": 3}),
    Case("heat-bath+swendsen-wang", Potts(Lattice((2, 4)), 3, 0.6)),
)

_CONSTRAINED: Final = tuple(
    Case("constrained", action, {"magnetization": m, "exchange": exchange})
    for (action, m), exchange in product(
        (
            (Ising(Lattice((4, 4)), 0.44), 0.0),
            (Ising(Lattice((4, 4)), 0.4, J=-1.0, h=0.3), 0.5),
            (Ising(Lattice((2, 5)), 0.35), -0.2),
            (Ising(Lattice((3, 4), kind="triangular", boundary="open"), 0.4), 0.0),
            (Ising(Lattice((4, 4), kind="honeycomb"), 0.7), 0.25),
        ),
        EXCHANGES,
    )
)

EXACT: Final = on_all_kernels(ENUMERABLE) + _COMPOSED + _CONSTRAINED
"""Cases of at most 2^16 configurations."""

REPRESENTATIVE: Final = on_all_kernels(_CORE) + _COMPOSED + _CONSTRAINED[:6]
"""The part of them that ``verify`` has time for: every kernel on every kind of model."""

PORTABLE: Final = (
    *on_all_kernels((Ising(Lattice((6, 4)), 0.4, h=0.1), Potts(Lattice((4, 6)), 3, 0.9))),
    *(Case("constrained", Ising(Lattice((6, 4)), 0.4), {"exchange": exchange}) for exchange in EXCHANGES),
    Case("tempering", Ising(Lattice((6, 4)), 0.4), {"ladder": (0.3, 0.4), "inner": "metropolis"}),
)
"""Small cases that every backend, plain Python too, runs in an instant."""

LADDERS: Final = (
    Case("tempering", Ising(Lattice((2, 2)), 0.2), {"ladder": (0.1, 0.25), "inner": "metropolis"}),
    Case("tempering", Ising(Lattice((2, 2)), 0.2, J=-1.0, h=0.4), {"ladder": (0.3, 0.15), "inner": "heat-bath"}),
    Case("tempering", Ising(Lattice((4,)), 0.4), {"ladder": (0.2, 0.5), "inner": "swendsen-wang"}),
    Case("tempering", Ising(Lattice((3,)), 0.4, h=0.3), {"ladder": (0.2, 0.3, 0.5), "inner": "wolff"}),
    Case("tempering", Potts(Lattice((4,)), 3, 0.4), {"ladder": (0.3, 0.6), "inner": "heat-bath+wolff"}),
    Case("tempering", Ising(Lattice((2, 3), boundary="open"), 0.4),
         {"ladder": (0.3, 0.6), "inner": "constrained", "magnetization": 0.0}),
)  # fmt: skip
"""Ladders on lattices so small that the joint configurations of all rungs can be counted."""

IRREDUCIBLE: Final = (
    *on_all_kernels(
        (
            Ising(Lattice((4,)), 0.4),
            Ising(Lattice((2, 4)), 0.1, J=-1.0, h=0.2),
            Ising(Lattice((3, 3), kind="triangular"), 0.1, J=-1.0),
            Ising(Lattice((2, 4), kind="honeycomb"), 0.2, h=-0.1),
            Ising(Lattice((2, 2, 2)), 0.1, J=0.1, h=0.6),  # a field that cancels six neighbours but for rounding
            Ising(Lattice((2, 5)), 0.2, h=0.3),
            Ising(Lattice((3, 3), boundary="open"), 0.2),
            Potts(Lattice((4,)), 3, 0.5),
            Potts(Lattice((2, 2)), 5, 0.2),
            Potts(Lattice((2, 3), boundary="open"), 3, 0.4, J=-1.0),
        )
    ),
    # A single cluster of an infinite temperature is one site, so Wolff alternates there; the others must not.
    *(Case(name, a) for a in (Ising(Lattice((2, 4)), 0.0), Ising(Lattice((4,)), 1e-12)) for name in LOCAL),
    *(Case(name, Potts(Lattice((4,)), 2, 0.0)) for name in (*LOCAL, "swendsen-wang")),
    *(Case("constrained", Ising(Lattice((3, 3), boundary="open"), 0.2), {"magnetization": 1 / 9, "exchange": e})
      for e in EXCHANGES),
    *(Case("constrained", Ising(Lattice((2, 4)), 0.0), {"exchange": e}) for e in EXCHANGES),
    Case("metropolis+wolff", Ising(Lattice((2, 4)), 0.1)),
)  # fmt: skip
"""Cases of at most 4096 configurations."""

ENERGIES: Final = (
    Case("metropolis", Ising(Lattice((16, 16)), 0.4)),
    Case("metropolis", Ising(Lattice((6, 20)), 0.35, h=0.05)),
    Case("metropolis", Ising(Lattice((36, 132)), 0.41)),
    Case("metropolis", Ising(Lattice((2, 2, 70)), 0.25, J=-1.0)),
    Case("metropolis", Potts(Lattice((6, 16)), 3, 0.9)),
    Case("heat-bath", Ising(Lattice((10, 24)), 0.38)),
    Case("heat-bath", Ising(Lattice((12, 4, 2)), 0.2, h=0.05)),
    Case("heat-bath", Ising(Lattice((8, 14), boundary=("open", "periodic")), 0.5, J=-1.0, h=0.4)),
    Case("heat-bath", Potts(Lattice((4, 18)), 5, 1.0)),
    Case("swendsen-wang", Ising(Lattice((32, 32)), ISING_CRITICAL_BETA)),
    Case("swendsen-wang", Ising(Lattice((7, 30)), 0.42, h=-0.03)),
    Case("swendsen-wang", Potts(Lattice((6, 24)), 3, potts_critical_beta(3))),
    Case("wolff", Ising(Lattice((24, 17)), ISING_CRITICAL_BETA), {"clusters": 5}),
    Case("wolff", Ising(Lattice((3, 2, 11)), 0.2, h=0.1), {"clusters": 3}),
    Case("wolff", Potts(Lattice((5, 15)), 4, 1.05), {"clusters": 5}),
    Case("constrained", Ising(Lattice((4, 5)), 0.44), {"magnetization": 0.0}),
    Case("constrained", Ising(Lattice((4, 5)), 0.44), {"magnetization": 0.8, "exchange": "mixed"}),
    Case("tempering", Ising(Lattice((12, 12)), 0.4), {"ladder": (0.36, 0.4, 0.44, 0.48), "inner": "metropolis"}),
    Case("heat-bath+2*wolff", Ising(Lattice((20, 20)), 0.43)),
)
"""Cases of exactly known energy: Kaufman's tori, transfer matrices, enumeration at fixed magnetization."""

TIMED: Final = (
    *(Case(kernel, Ising(Lattice((size, size)), ISING_CRITICAL_BETA))
      for kernel in (*LOCAL, *CLUSTER) for size in (64, 256, 1024)),
    *(Case(kernel, Potts(Lattice((256, 256)), 3, potts_critical_beta(3))) for kernel in (*LOCAL, *CLUSTER)),
    Case("constrained", Ising(Lattice((64, 64)), 0.44), {"magnetization": 0.0}),
)  # fmt: skip
"""The sizes benchmarks run at."""


def draw_cases(stream: Stream, count: int = 2) -> tuple[Case, ...]:
    """Draw cases of exactly known energy: shapes, couplings and kernels by chance, so that no document names them.

    Ising tori without a field at couplings on either side of the transition, then tori in a field, in turn.

    Examples
    --------
    >>> draw_cases(Stream.from_seed(1)) == draw_cases(Stream.from_seed(1))
    True
    """
    return tuple(_draw_case(stream.fold("case", i), in_field=bool(i % 2)) for i in range(count))


def _draw_case(stream: Stream, in_field: bool) -> Case:
    chance = stream.uniform("user", np.arange(6), 1)[0].tolist()

    def pick(index: int, options: Sequence[Any]) -> Any:
        return options[int(chance[index] * len(options))]

    shape = (pick(0, range(3, 8) if in_field else range(8, 25)), pick(1, range(8, 25)))
    h = pick(2, (-1, 1)) * round(0.05 + 0.25 * chance[3], 4) if in_field else 0.0
    action = Ising(Lattice(shape), round(0.2 + 0.3 * chance[4], 4), h=h)
    return Case(pick(5, legal_kernels(action)), action)
