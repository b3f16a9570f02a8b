"""The phi^4 model in its four conventions, with exact conversions of couplings, fields and ln Z."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError, unknown
from pyqmc_art.lattice.couplings import finite
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.spaces import Reals, reals
from pyqmc_art.protocols import Field

CONVENTIONS: Final = ("A", "B", "C", "D")
_HOPPING: Final = ("B", "C")


@dataclass(frozen=True)
class Phi4:
    r"""Scalar field with a quartic potential, in one of four conventions.

    Convention A, ours: S = sum_x [ sum_mu (phi_{x+mu} - phi_x)^2 + m2 phi_x^2 + lam phi_x^4 ].
    D: S = sum_x [ (1/2) sum_mu (phi_{x+mu} - phi_x)^2 + (m2/2) phi_x^2 + (lam/4) phi_x^4 ], phi_D = sqrt(2) phi_A.
    B: S = sum_x [ -2 kappa sum_mu phi_x phi_{x+mu} + (1 - 2 l) phi_x^2 + l phi_x^4 ], phi_A = sqrt(kappa) phi_B.
    C: S = sum_x [ -beta sum_mu phi_x phi_{x+mu} + phi_x^2 + l (phi_x^2 - 1)^2 ], beta = 2 kappa, S_C = S_B + l V.

    ``m2`` and ``lam`` are those of A and D in every convention; B and C have the kappa (beta) and l that belong to
    them, kappa > 0 solving 2 lam kappa^2 + (m2 + z) kappa = 1 and l = lam kappa^2, z being the neighbours of a site.

    Parameters
    ----------
    lattice : where the field lives
    m2 : squared bare mass, finite
    lam : quartic coupling, not negative; positive where m2 is not
    convention : ``"A"``, ``"B"``, ``"C"`` or ``"D"``: how the field is normalized and which constant S contains

    Raises
    ------
    InputError
        For couplings that are not finite numbers, a potential that is not bounded from below, an unknown convention, or
        B and C on a lattice whose sites do not all have the same number of neighbours.

    References
    ----------
    A: Albergo, Kanwar, Shanahan, Phys. Rev. D 100 (2019) 034515, eq. 25. B: Luescher, Weisz, Nucl. Phys. B 290 (1987)
    25. C: Del Debbio, Marsh Rossney, Wilson, Phys. Rev. D 104 (2021) 094507. D: Schaich, Loinaz, Phys. Rev. D 79 (2009)
    056008.

    Examples
    --------
    >>> action = Phi4(Lattice((4, 4)), m2=-4, lam=8)
    >>> action(np.full((1, 4, 4), 0.5))
    array([-8.])
    >>> action.to("D")(np.full((1, 4, 4), 0.5 * np.sqrt(2)))
    array([-8.])
    """

    name: ClassVar[str] = "phi4"
    components: ClassVar[int] = 1
    lattice: Lattice
    m2: float
    lam: float
    convention: str = "A"

    def __post_init__(self) -> None:
        for name in ("m2", "lam"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        if self.convention not in CONVENTIONS:
            raise unknown("convention", self.convention, CONVENTIONS)
        if self.lam < 0:
            raise InputError(f"lam is {self.lam}; S is not bounded from below, expected lam >= 0")
        if self.lam == 0 and self.m2 <= 0:
            raise InputError(
                f"lam is 0 and m2 is {self.m2}: a constant field costs nothing, and exp(-S) has no finite integral; "
                "expected lam > 0 or m2 > 0"
            )
        if self.convention in _HOPPING and np.any(self._degree() != self.lattice.coordination):
            raise InputError(
                f"convention {self.convention} has one hopping parameter for all sites, but the sites of "
                f"{self.lattice.shape} with boundary {self.lattice.boundary} do not all have the same number of "
                "neighbours; use convention A or D, or periodic boundaries"
            )

    @classmethod
    def from_hopping(cls, lattice: Lattice, kappa: float, l: float, convention: str = "B") -> Self:  # noqa: E741
        """Build the action from the parameters of convention B (kappa, l) or C (beta = 2 kappa in place of kappa, l).

        Raises
        ------
        InputError
            For another convention, a kappa that is not positive, or couplings the action refuses.

        Examples
        --------
        >>> action = Phi4.from_hopping(Lattice((8, 8)), kappa=0.25, l=0.5)
        >>> action.m2, action.lam
        (-4.0, 8.0)
        """
        if convention not in _HOPPING:
            raise InputError(f"convention is {convention!r}; hopping parameters belong to B (kappa, l) and C (beta, l)")
        kappa = finite("kappa" if convention == "B" else "beta", kappa) / (1.0 if convention == "B" else 2.0)
        if kappa <= 0:
            raise InputError(f"the hopping parameter is {kappa}; expected a positive number")
        quartic = finite("l", l)
        return cls(lattice, (1 - 2 * quartic) / kappa - lattice.coordination, quartic / kappa**2, convention)

    @property
    def hopping(self) -> tuple[float, float]:
        """kappa and l of convention B; C has beta = 2 kappa and the same l."""
        diagonal = self.m2 + self.lattice.coordination
        root = math.sqrt(diagonal**2 + 8 * self.lam)
        # The positive root of 2 lam kappa^2 + diagonal kappa = 1, in the form without cancellation.
        kappa = 2 / (diagonal + root) if diagonal > 0 else (root - diagonal) / (4 * self.lam)
        return kappa, self.lam * kappa**2

    @property
    def normalization(self) -> float:
        """The field of this convention is so many times the field of convention A."""
        if self.convention in _HOPPING:
            return float(1 / math.sqrt(self.hopping[0]))
        return math.sqrt(2) if self.convention == "D" else 1.0

    @property
    def shift(self) -> float:
        """S of this convention less S of convention A, for the same field: l V in convention C, else 0."""
        return self.hopping[1] * self.lattice.sites if self.convention == "C" else 0.0

    @property
    def log_partition_shift(self) -> float:
        """ln Z of this convention less ln Z of convention A: the Jacobian of the field and the constant in S."""
        return self.lattice.sites * math.log(self.normalization) - self.shift

    def to(self, convention: str) -> Self:
        """Return the same physics in another convention."""
        return replace(self, convention=convention)

    def convert(self, field: Field, convention: str) -> NDArray[np.float64]:
        """Return a field of this convention as the same field of another one."""
        return np.asarray(field * (self.to(convention).normalization / self.normalization), np.float64)

    @property
    def space(self) -> Reals:
        """Real numbers as float64."""
        return reals()

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """g, a, b of S = sum_<xy> g (phi_x - phi_y)^2 + sum_x (a phi_x^2 + b phi_x^4) + shift."""
        square = 1 / self.normalization**2 if self.convention in _HOPPING else 0.5 if self.convention == "D" else 1.0
        return square, self.m2 * square, self.lam * square**2

    @property
    def width(self) -> float:
        """About how far the field fluctuates at a site whose neighbours vanish (Gaussian approximation)."""
        g, a, b = self.coefficients
        diagonal = a + g * self.lattice.coordination
        return math.sqrt(1 / (diagonal + math.sqrt(diagonal**2 + 12 * b)))

    def __call__(self, field: Field) -> NDArray[np.float64]:
        """S of each replica, shape ``(replica,)``."""
        g, a, b = self.coefficients
        flat = field.reshape(len(field), self.lattice.sites)
        square = flat * flat
        gradient = np.zeros(len(field))
        for target in self.lattice.forward.T:
            here = np.flatnonzero(target >= 0)
            gradient += ((flat[:, target[here]] - flat[:, here]) ** 2).sum(axis=1)
        return np.asarray(g * gradient + (square * (a + b * square)).sum(axis=1) + self.shift, np.float64)

    def force(self, field: Field) -> NDArray[np.float64]:
        """-dS/dphi at every site, in the shape of the field."""
        g, a, b = self.coefficients
        flat = field.reshape(len(field), self.lattice.sites)
        pull = np.zeros_like(flat)
        for target in self.lattice.neighbours.T:
            here = np.flatnonzero(target >= 0)
            pull[:, here] += flat[:, target[here]]
        out = 2 * g * pull - flat * (2 * g * self._degree() + 2 * a + 4 * b * flat * flat)
        return np.asarray(out, np.float64).reshape(field.shape)

    def _degree(self) -> NDArray[np.int64]:
        return np.asarray((self.lattice.neighbours >= 0).sum(axis=1), np.int64)

    def couplings(self) -> dict[str, Any]:
        """The parameters by the names the command line uses."""
        return {"m2": self.m2, "lam": self.lam, "convention": self.convention}

    def native(self) -> tuple[str, tuple[float, ...]]:
        """Name and parameters of the compiled model."""
        return self.name, self.coefficients
