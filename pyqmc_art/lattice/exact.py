"""The exact oracle: one entry point that picks the exact method that applies to an action.

Kaufman's formula for the Ising torus without a field, else the transfer matrix on square and hypercubic lattices with
a small section, else enumeration of small lattices of any kind. The tests hold the three against each other.
"""

from __future__ import annotations

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.enumeration import SpinAction, exact_moments
from pyqmc_art.lattice.kaufman import kaufman
from pyqmc_art.lattice.thermodynamics import Thermodynamics
from pyqmc_art.lattice.transfer import transfer_cumulants, transfer_matrix, transfer_obstacle


def exact_thermodynamics(action: object) -> Thermodynamics:
    """Exact ln Z, energy and specific heat per site by whichever exact method applies.

    Parameters
    ----------
    action : Ising or Potts

    Returns
    -------
    Thermodynamics, with the method that was used

    Raises
    ------
    InputError
        If none applies; the message says why for each method.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> exact_thermodynamics(Ising(Lattice((64, 64)), beta=0.4406868)).method
    'kaufman'
    >>> exact_thermodynamics(Potts(Lattice((6, 40)), q=3, beta=0.9)).method
    'transfer matrix'
    """
    if not isinstance(action, (Ising, Potts)):
        raise InputError(f"exact values are known for Ising and Potts actions, not for {type(action).__name__}")
    reasons = []
    for method in (_closed_form, transfer_matrix, _by_enumeration):
        try:
            return method(action)
        except InputError as reason:
            reasons.append(str(reason))
    raise InputError(f"no exact method applies to {action}: {'; '.join(reasons)}")


def _closed_form(action: SpinAction) -> Thermodynamics:
    if not isinstance(action, Ising):
        raise InputError("Kaufman's formula is for Ising spins")
    return kaufman(action)


def _by_enumeration(action: SpinAction) -> Thermodynamics:
    moments = exact_moments(action)
    return Thermodynamics(moments.log_partition, moments.energy, moments.specific_heat, "enumeration")


def exact_energy(action: object) -> float:
    """Exact <H>/V.

    Raises
    ------
    InputError
        If no exact method applies.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> round(exact_energy(Ising(Lattice((64, 64)), beta=0.4406868)), 5)
    -1.42394
    """
    return exact_thermodynamics(action).energy


def exact_specific_heat(action: object) -> float:
    """Exact beta^2 (<H^2> - <H>^2)/V.

    Raises
    ------
    InputError
        If no exact method applies.
    """
    return exact_thermodynamics(action).specific_heat


def exact_magnetization(action: Ising) -> float:
    """Exact signed magnetization per site of the Ising model in a field; 0 without one.

    Raises
    ------
    InputError
        If neither the transfer matrix nor enumeration applies.

    Examples
    --------
    Without a coupling each spin follows the field:

    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> round(exact_magnetization(Ising(Lattice((8, 8)), beta=0.5, J=0.0, h=1.0)), 6)
    0.462117
    """
    if not isinstance(action, Ising):
        raise InputError(f"the exact signed magnetization is for Ising actions, not for {type(action).__name__}")
    if action.h == 0 or action.beta == 0:
        return 0.0
    if transfer_obstacle(action) is None:
        return transfer_cumulants(action, "magnetization")[1] / action.lattice.sites
    return exact_moments(action).magnetization


def log_partition(action: object) -> float:
    """Exact ln Z, the sum of exp(-S) over all configurations.

    Raises
    ------
    InputError
        If no exact method applies.

    Examples
    --------
    >>> from pyqmc_art.lattice.geometry import Lattice
    >>> round(log_partition(Potts(Lattice((3, 3), kind="triangular"), q=4, beta=0.0)), 10)  # 9 ln 4
    12.4766492501
    """
    return exact_thermodynamics(action).log_partition
