"""The oracle validates itself: enumeration = transfer matrix = Kaufman, and Onsager is the limit."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from pyqmc_art.errors import InputError
from pyqmc_art.lattice import transfer
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.enumeration import SpinAction, exact_moments
from pyqmc_art.lattice.exact import (
    exact_energy,
    exact_magnetization,
    exact_specific_heat,
    exact_thermodynamics,
    log_partition,
)
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import (
    ISING_CRITICAL_BETA,
    ising_critical_beta,
    onsager_energy,
    potts_critical_beta,
    spontaneous_magnetization,
)
from pyqmc_art.lattice.kaufman import kaufman
from pyqmc_art.lattice.thermodynamics import Thermodynamics
from pyqmc_art.lattice.transfer import transfer_cumulants, transfer_matrix

BETAS = (0.0, 1e-4, 0.1, 0.3, 0.4406868, ISING_CRITICAL_BETA, 0.6, 1.0, 3.0, 30.0, 1000.0)
TIGHT = 1e-11


def assert_same(one: Thermodynamics, other: Thermodynamics, tolerance: float = TIGHT) -> None:
    assert one.log_partition == pytest.approx(other.log_partition, rel=tolerance, abs=tolerance)
    assert one.energy == pytest.approx(other.energy, rel=tolerance, abs=tolerance)
    assert one.specific_heat == pytest.approx(other.specific_heat, rel=tolerance, abs=tolerance)


def by_enumeration(action: SpinAction) -> Thermodynamics:
    moments = exact_moments(action)
    return Thermodynamics(moments.log_partition, moments.energy, moments.specific_heat, "enumeration")


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2), (3, 3), (2, 4), (4, 3), (3, 5), (4, 4), (2, 7)], ids=str)
def test_kaufman_is_enumeration(shape: tuple[int, int]) -> None:
    for beta, J in itertools.product(BETAS, (1.0, 0.7)):
        action = Ising(Lattice(shape), beta, J)
        assert_same(kaufman(action), by_enumeration(action))


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2), (3, 3), (4, 3), (3, 5), (5, 2), (4, 4), (2, 6)], ids=str)
def test_kaufman_of_an_antiferromagnet_is_enumeration_or_refused(shape: tuple[int, int]) -> None:
    answered = 0
    for beta in BETAS:
        action = Ising(Lattice(shape), beta, J=-1.3)
        try:
            closed = kaufman(action)
        except InputError as refusal:
            assert "frustrated" in str(refusal)
            assert any(n % 2 for n in shape)
            assert beta > 0.5
            continue
        answered += 1
        assert_same(closed, by_enumeration(action))
    assert answered >= 7


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    ("shape", "J"), [((5, 6), 1.0), ((6, 6), -1.0), ((7, 4), 1.0), ((2, 40), 1.0), ((4, 300), -0.8)]
)
def test_kaufman_is_the_transfer_matrix(shape: tuple[int, int], J: float, beta: float) -> None:
    action = Ising(Lattice(shape), beta, J)
    assert_same(kaufman(action), transfer_matrix(action), 1e-10)


def test_frustrated_tori_of_any_size_where_the_terms_do_not_cancel() -> None:
    for shape in ((5, 4), (5, 7), (3, 8)):
        action = Ising(Lattice(shape), 0.3, J=-1.0)
        assert_same(kaufman(action), transfer_matrix(action), 1e-10)
    hot = Ising(Lattice((33, 65)), 0.2, J=-1.0)
    assert kaufman(hot).energy == pytest.approx(onsager_energy(0.2), abs=1e-6)
    with pytest.raises(InputError, match="frustrated"):
        kaufman(Ising(Lattice((33, 65)), 1.0, J=-1.0))


@pytest.mark.parametrize(("extent", "energy", "digits"), [(32, -1.43365853, 8), (64, -1.42394, 5)])
def test_kaufman_known_values(extent: int, energy: float, digits: int) -> None:
    assert round(kaufman(Ising(Lattice((extent, extent)), 0.4406868)).energy, digits) == energy


def test_kaufman_is_symmetric_in_its_axes() -> None:
    for beta in BETAS:
        assert_same(kaufman(Ising(Lattice((6, 31)), beta)), kaufman(Ising(Lattice((31, 6)), beta)))


@pytest.mark.parametrize("beta", [1e-200, 1e-9, 0.1, 0.3, 0.4, 0.5, 1.0, 20.0, 1e4])
def test_kaufman_tends_to_onsager(beta: float) -> None:
    large = kaufman(Ising(Lattice((4096, 4096)), beta))
    assert large.energy == pytest.approx(onsager_energy(beta), rel=1e-9)
    assert math.isfinite(large.log_partition)
    assert large.specific_heat >= 0


def test_kaufman_tends_to_onsager_at_the_critical_point_as_one_over_the_size() -> None:
    distance = [kaufman(Ising(Lattice((n, n)), ISING_CRITICAL_BETA)).energy + math.sqrt(2) for n in (512, 1024, 2048)]
    assert distance[0] / distance[1] == pytest.approx(2, abs=1e-4)
    assert distance[1] / distance[2] == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize(
    ("beta", "shape"), [(0.2, (6, 8)), (0.44, (16, 16)), (ISING_CRITICAL_BETA, (9, 12)), (0.9, (5, 64))]
)
def test_derivatives_are_those_of_ln_z(beta: float, shape: tuple[int, int]) -> None:
    """Central differences of ln Z: the energy; of the energy: the specific heat."""
    step, action = 1e-4, Ising(Lattice(shape), beta)
    above, below = (kaufman(replace(action, beta=beta + d)) for d in (step, -step))
    sites = action.lattice.sites
    here = kaufman(action)
    assert here.energy == pytest.approx((below.log_partition - above.log_partition) / (2 * step * sites), abs=1e-6)
    assert here.specific_heat == pytest.approx(beta**2 * (below.energy - above.energy) / (2 * step), abs=1e-5)


SMALL = [
    ((2,), ("periodic",)),
    ((5,), ("periodic",)),
    ((6,), ("open",)),
    ((2, 2), ("periodic", "periodic")),
    ((3, 3), ("periodic", "open")),
    ((2, 5), ("open", "periodic")),
    ((4, 3), ("open", "open")),
    ((3, 2, 2), ("periodic", "open", "periodic")),
    ((2, 2, 2, 2), ("periodic", "open", "open", "periodic")),
]


@pytest.mark.parametrize(("shape", "boundary"), SMALL, ids=str)
@pytest.mark.parametrize("dense", [True, False])
def test_transfer_matrix_is_enumeration(
    shape: tuple[int, ...], boundary: tuple[str, ...], dense: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_DENSE_STATES", 64 if dense else 0)
    lattice = Lattice(shape, "hypercubic", boundary)
    actions: list[SpinAction] = [
        Ising(lattice, beta, J, h) for beta, J, h in itertools.product((0.0, 0.3, 40.0), (1.0, -0.7), (0.0, 0.4))
    ]
    if lattice.sites <= 9:
        actions += [Potts(lattice, 3, beta, J) for beta, J in itertools.product((0.5, 30.0), (1.0, -1.0))]
    for action in actions:
        moments = exact_moments(action)
        assert_same(transfer_matrix(action), by_enumeration(action), 1e-12)
        if isinstance(action, Ising):
            _, mean, variance = transfer_cumulants(action, "magnetization")
            assert mean / lattice.sites == pytest.approx(moments.magnetization, abs=1e-12)
            spread = moments.magnetization2 - moments.magnetization**2
            assert variance / lattice.sites**2 == pytest.approx(spread, abs=1e-12)


def test_chain_in_closed_form() -> None:
    """ln Z = ln(l+^N + l-^N) with l+- = e^K cosh B +- sqrt(e^2K sinh^2 B + e^-2K)."""
    beta, J, h, sites = 0.6, 0.8, 0.3, 10**6 + 3
    K, B = beta * J, beta * h
    root = math.sqrt(math.exp(2 * K) * math.sinh(B) ** 2 + math.exp(-2 * K))
    larger = math.exp(K) * math.cosh(B) + root
    action = Ising(Lattice((sites,)), beta, J, h)
    assert log_partition(action) == pytest.approx(sites * math.log(larger), rel=1e-12)
    assert exact_magnetization(action) == pytest.approx(math.exp(K) * math.sinh(B) / root, rel=1e-10)


def test_open_potts_chain_in_closed_form() -> None:
    action = Potts(Lattice((1000,), boundary="open"), 4, 0.7)
    assert log_partition(action) == pytest.approx(math.log(4) + 999 * math.log(math.exp(0.7) + 3), rel=1e-13)


def test_tall_strips_are_no_matter_of_length() -> None:
    strips = [Ising(Lattice((4, n)), 0.44, h=0.1) for n in (100_000, 200_000)]
    free_energy = [log_partition(strip) / strip.lattice.sites for strip in strips]
    assert free_energy[0] == pytest.approx(free_energy[1], rel=1e-12)


@pytest.mark.parametrize(
    ("action", "method"),
    [
        (Ising(Lattice((128, 96)), 0.44), "kaufman"),
        (Ising(Lattice((6, 6)), 0.44, h=0.1), "transfer matrix"),
        (Ising(Lattice((5, 4)), 2.0, J=-1.0), "transfer matrix"),
        (Ising(Lattice((8, 100), boundary="open"), 0.44), "transfer matrix"),
        (Ising(Lattice((3, 3, 6)), 0.22), "transfer matrix"),
        (Potts(Lattice((5, 5)), 3, 1.0), "transfer matrix"),
        (Ising(Lattice((3, 4), "triangular"), 0.27), "enumeration"),
        (Potts(Lattice((2, 4), "honeycomb"), 3, 0.9), "enumeration"),
    ],
)
def test_the_entry_point_picks_a_method_that_applies(action: SpinAction, method: str) -> None:
    known = exact_thermodynamics(action)
    assert known.method == method
    assert (exact_energy(action), exact_specific_heat(action), log_partition(action)) == (
        known.energy,
        known.specific_heat,
        known.log_partition,
    )


def test_the_entry_point_says_why_nothing_applies() -> None:
    with pytest.raises(InputError, match=r"no exact method.*Kaufman.*states per slice.*configurations"):
        exact_energy(Potts(Lattice((32, 32)), 3, 1.0))
    with pytest.raises(InputError, match="not triangular"):
        log_partition(Ising(Lattice((12, 12), "triangular"), 0.2))
    with pytest.raises(InputError, match="not for str"):
        exact_energy("ising")
    with pytest.raises(InputError, match="not for Potts"):
        exact_magnetization(Potts(Lattice((3, 3)), 3, 1.0))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="observable is 'spin'"):
        transfer_cumulants(Ising(Lattice((3, 3)), 1.0), "spin")
    with pytest.raises(InputError, match="h = 0"):
        kaufman(Ising(Lattice((3, 3)), 1.0, h=0.1))
    with pytest.raises(InputError, match="periodic square"):
        kaufman(Ising(Lattice((3, 3), boundary="open"), 1.0))


def test_magnetization_in_a_field() -> None:
    for lattice in (Lattice((3, 3)), Lattice((3, 3), "triangular")):
        action = Ising(lattice, 0.3, h=0.2)
        assert exact_magnetization(action) == pytest.approx(exact_moments(action).magnetization, rel=1e-12)
    assert exact_magnetization(Ising(Lattice((64, 64)), 0.6)) == 0.0


def test_magnetization_is_the_derivative_by_the_field() -> None:
    step, action = 1e-5, Ising(Lattice((6, 5), boundary=("open", "periodic")), 0.4, h=0.1)
    above, below = (log_partition(replace(action, h=0.1 + d)) for d in (step, -step))
    slope = (above - below) / (2 * step * action.beta * action.lattice.sites)
    assert exact_magnetization(action) == pytest.approx(slope, abs=1e-8)


def test_onsager() -> None:
    assert onsager_energy(ISING_CRITICAL_BETA) == pytest.approx(-math.sqrt(2), abs=1e-12)
    assert onsager_energy(0.5, J=-1.0) == onsager_energy(0.5)
    assert onsager_energy(0.25, J=2.0) == pytest.approx(2 * onsager_energy(0.5), rel=1e-14)
    assert onsager_energy(0.0) == 0.0
    assert onsager_energy(1e-7) == pytest.approx(-2e-7, rel=1e-12)
    for beta in (0.005, 0.00999999, 0.01):  # on both sides of the switch to the series
        assert onsager_energy(beta) == pytest.approx(kaufman(Ising(Lattice((64, 64)), beta)).energy, rel=1e-10)
    assert onsager_energy(400.0) == -2.0
    for bad in (-1.0, math.nan):
        with pytest.raises(InputError, match="beta"):
            onsager_energy(bad)


def test_spontaneous_magnetization() -> None:
    assert spontaneous_magnetization(0.44) == 0.0
    assert spontaneous_magnetization(1.0, J=-1.0) == 0.0
    assert spontaneous_magnetization(0.6) == pytest.approx((1 - math.sinh(1.2) ** -4) ** 0.125, rel=1e-14)
    assert spontaneous_magnetization(500.0) == 1.0


def test_critical_points() -> None:
    assert pytest.approx(0.44068679350977147, rel=1e-15) == ISING_CRITICAL_BETA
    assert ising_critical_beta("triangular") == pytest.approx(math.log(3) / 4, rel=1e-14)
    assert ising_critical_beta("honeycomb") == pytest.approx(math.log(2 + math.sqrt(3)) / 2, rel=1e-14)
    for q in (2, 3, 4, 10):
        assert potts_critical_beta(q) == pytest.approx(math.log(1 + math.sqrt(q)), rel=1e-15)
        # Duality: (e^K - 1)(e^K* - 1) = q exchanges the triangular and the honeycomb lattice.
        product = math.expm1(potts_critical_beta(q, "triangular")) * math.expm1(potts_critical_beta(q, "honeycomb"))
        assert product == pytest.approx(q, rel=1e-13)
    with pytest.raises(InputError, match="hypercubic"):
        ising_critical_beta("hypercubic")
    with pytest.raises(InputError, match="q is 1"):
        potts_critical_beta(1)
