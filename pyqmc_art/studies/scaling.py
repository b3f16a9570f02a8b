"""Finite-size scaling: from the curves of several lattice sizes to beta_c, nu and gamma/nu, beside the exact values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.exact import exact_energy
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA, potts_critical_beta
from pyqmc_art.protocols import Cell, Curve, Figure, Panel, Table
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.studies.binder import Crossing, SizeCurves, extrapolate, find_crossings
from pyqmc_art.studies.fits import LinearFit, PowerLaw, fit_power_law

AGREEMENT: Final = 4.0
"""Sigmas up to which a measured and an exact value are said to agree."""

SIZES_FOR_CORRECTION: Final = 5
"""Fewest sizes that a correction to scaling is fitted to; with fewer the fit is a pure power."""

LARGEST_TRANSFER_MATRIX: Final = 1000
"""Most rows of a transfer matrix that is diagonalised only to check an energy."""


@dataclass(frozen=True)
class Model:
    """A model with a continuous transition and what is known exactly about it.

    Attributes
    ----------
    name, label : for random numbers, and for people
    action : makes the action from L and beta
    beta_c, nu, gamma_over_nu : exact
    omega : exponent of the leading correction to scaling; used for the form of the fits only
    """

    name: str
    label: str
    action: Callable[[int, float], Ising | Potts]
    beta_c: float
    exact: str
    nu: float
    gamma_over_nu: float
    omega: float


def _ising(size: int, beta: float) -> Ising:
    return Ising(Lattice((size, size)), beta=beta)


def _potts(size: int, beta: float) -> Potts:
    return Potts(Lattice((size, size)), q=3, beta=beta)


ISING: Final = Model("ising", "Ising", _ising, ISING_CRITICAL_BETA, "ln(1 + √2)/2", 1.0, 7 / 4, 2.0)
POTTS: Final = Model("potts-3", "Potts q = 3", _potts, potts_critical_beta(3), "ln(1 + √3)", 5 / 6, 26 / 15, 4 / 5)
"""Exponents of the Potts model: den Nijs (1979), Nienhuis (1982); for both, F. Y. Wu, Rev. Mod. Phys. 54 (1982) 235."""


@dataclass(frozen=True)
class Scaling:
    """What finite-size scaling of one model gave.

    Attributes
    ----------
    beta_c : from the crossings, with ``fit`` (None if it is the crossing of the largest sizes alone)
    nu : from the slopes of the cumulants at the measured beta_c
    gamma_over_nu : from V <m^2> there
    """

    model: Model
    curves: tuple[SizeCurves, ...]
    crossings: tuple[Crossing, ...]
    beta_c: Estimate
    fit: LinearFit | None
    slopes: tuple[Estimate, ...]
    slope_law: PowerLaw
    nu: Estimate
    gamma_law: PowerLaw

    @property
    def shift_power(self) -> float:
        """1/nu + omega, the power of 1/L with which crossings approach beta_c."""
        return 1 / self.model.nu + self.model.omega


def analyse(model: Model, curves: Sequence[SizeCurves]) -> Scaling:
    """Find the crossings, extrapolate them, and fit the slopes and susceptibilities at the measured beta_c.

    ``beta_x = beta_c + c L^-(1/nu + omega)``, ``dU/dbeta = a L^(1/nu) exp(b L^-omega)``,
    ``V <m^2> = a L^(gamma/nu) exp(b L^-omega)``; the error of beta_c goes into the latter two as a common one.

    Raises
    ------
    NumericalError
        If cumulants do not cross within the runs.

    References
    ----------
    K. Binder, Z. Phys. B 43 (1981) 119, eqs. (23) to (30); A. M. Ferrenberg, D. P. Landau, Phys. Rev. B 44 (1991) 5081.
    """
    ordered = tuple(sorted(curves, key=lambda one: one.size))
    crossings = tuple(find_crossings(ordered))
    beta_c, fit = extrapolate(crossings, 1 / model.nu + model.omega)
    omega = model.omega if len(ordered) >= SIZES_FOR_CORRECTION else None
    sizes = [float(one.size) for one in ordered]

    def law(kind: str) -> tuple[tuple[Estimate, ...], PowerLaw]:
        of_sizes = [getattr(one, kind) for one in ordered]
        values = tuple(curve(beta_c.value) for curve in of_sizes)
        common = [c.derivative(beta_c.value) / v.value * beta_c.error for c, v in zip(of_sizes, values, strict=True)]
        return values, fit_power_law(sizes, values, omega=omega, common=common)

    slopes, slope_law = law("slope")
    _, gamma_law = law("susceptibility")
    inverse = slope_law.exponent
    if not inverse.value > 0:
        raise InputError(
            f"1/nu came out as {inverse}: the runs are too short to say anything; ask for more measurements"
        )
    nu = Estimate(1 / inverse.value, inverse.error / inverse.value**2)
    return Scaling(model, ordered, crossings, beta_c, fit, slopes, slope_law, nu, gamma_law)


def answer(result: Scaling) -> str:
    """Say what was found and how far it is from the exact values."""
    model, sizes = result.model, [one.size for one in result.curves]
    how = (
        f"extrapolated from {len(result.crossings)} pairs of sizes"
        if result.fit
        else f"the crossing of L = {result.crossings[-1].sizes[0]} and {result.crossings[-1].sizes[1]}"
    )
    rows = [result.beta_c.deviation(model.beta_c), result.nu.deviation(model.nu)]
    verdict = "Both agree" if all(abs(d) < AGREEMENT for d in rows) else "They do not both agree"
    return (
        f"{model.label}: the Binder cumulants of L = {sizes[0]} … {sizes[-1]} cross at β_c = {result.beta_c} "
        f"({how}); exact is {model.exact} = {model.beta_c:.6f}, {rows[0]:+.1f} sigma away. Their slopes there grow "
        f"as L^y, y = 1/ν, with ν = {result.nu}; exact is {_fraction(model.nu)}, {rows[1]:+.1f} sigma away. "
        f"{verdict} within {AGREEMENT:g} sigma."
    )


def tables(result: Scaling) -> tuple[Table, ...]:
    """Results beside the exact values, the crossings, and what each size says at the measured beta_c."""
    model = result.model
    return (
        Table(
            f"{model.name}-results",
            f"{model.label}: measured and exact",
            ("quantity", "measured", "exact", "exact value", "deviation in σ", "χ²/dof", "verdict"),
            (
                _compared("β_c", result.beta_c, model.beta_c, model.exact, result.fit),
                _compared("ν", result.nu, model.nu, _fraction(model.nu), result.slope_law.fit),
                _compared(
                    "γ/ν",
                    result.gamma_law.exponent,
                    model.gamma_over_nu,
                    _fraction(model.gamma_over_nu),
                    result.gamma_law.fit,
                ),
            ),
            "Statistical errors by jackknife, propagated through the fits. χ²/dof: of the fit the number comes "
            "from; a dash where nothing is left over to test it.",
        ),
        Table(
            f"{model.name}-crossings",
            f"{model.label}: where the cumulants of two sizes cross",
            ("L", "L′", "β of the crossing", "U there", "deviation from β_c in σ"),
            tuple(
                (*one.sizes, one.beta, round(one.value, 4), round(one.beta.deviation(model.beta_c), 1))
                for one in result.crossings
            ),
            f"Crossings approach β_c as L^{-result.shift_power:.3g}: the small ones may lie many sigma off it, the "
            "large ones not.",
        ),
        _sizes(result),
    )


def _sizes(result: Scaling) -> Table:
    model, beta = result.model, result.beta_c.value
    rows: list[tuple[Cell, ...]] = []
    for one, slope in zip(result.curves, result.slopes, strict=True):
        energy, exact = one.energy(model.beta_c), _exact_energy(model, one.size)
        deviation = None if exact is None else round(energy.deviation(exact), 1)
        rows.append((one.size, one.binder(beta), slope, one.susceptibility(beta), energy, exact, deviation))
    return Table(
        f"{model.name}-sizes",
        f"{model.label}: each lattice",
        ("L", "U", "dU/dβ", "V<m²>", "energy at exact β_c", "exact energy", "deviation in σ"),
        tuple(rows),
        "U, its slope and V<m²> at the measured β_c. The energy per site is a check of sampling and reweighting: "
        "it is known exactly on the finite lattice (Kaufman for Ising; for Potts only where the transfer matrix "
        "is small enough).",
    )


def _exact_energy(model: Model, size: int) -> float | None:
    """Energy of the finite lattice; None where it would take a transfer matrix too large to wait for."""
    action = model.action(size, model.beta_c)
    if isinstance(action, Potts) and action.q**size > LARGEST_TRANSFER_MATRIX:
        return None
    return exact_energy(action)


def _compared(what: str, value: Estimate, exact: float, words: str, fit: LinearFit | None) -> tuple[Cell, ...]:
    deviation = value.deviation(exact)
    reduced = None if fit is None or fit.reduced is None else round(fit.reduced, 2)
    verdict = "agrees" if abs(deviation) < AGREEMENT else "disagrees"
    return what, value, words, round(exact, 6), round(deviation, 1), reduced, verdict


def figure(result: Scaling) -> Figure:
    """Crossing, its approach to beta_c, slopes, and the collapse of all curves on one."""
    return Figure(
        f"{result.model.name}-scaling",
        f"{result.model.label}: crossing, extrapolation, slopes and collapse",
        "First: U = 1 − <m⁴>/(3<m²>²) of every size passes through one point; the dotted line is the exact β_c. "
        "Second: the crossings of two sizes against the power of 1/L with which they must approach β_c, and the "
        "fit. Third: the slope of U at the measured β_c grows as L^y, y = 1/ν. Fourth: with the measured β_c and "
        "ν all sizes fall on one curve; where small ones stand apart, corrections to scaling are seen at work.",
        (_crossing_panel(result), _extrapolation_panel(result), _slope_panel(result), _collapse_panel(result)),
    )


def _crossing_panel(result: Scaling) -> Panel:
    model = result.model
    half = 0.5 * float(np.ptp(result.curves[-1].beta))
    low, high = result.beta_c.value - half, result.beta_c.value + half
    curves = []
    for one in result.curves:
        beta = np.linspace(max(low, one.beta[0]), min(high, one.beta[-1]), 25)
        at = [one.binder(float(b)) for b in beta]
        curves.append(Curve(f"L = {one.size}", beta.tolist(), [e.value for e in at], [e.error for e in at], "line"))
    return Panel("Binder cumulants", "β", "U", tuple(curves), marks=((model.beta_c, "exact β_c"),))


def _extrapolation_panel(result: Scaling) -> Panel:
    power = result.shift_power
    x = [one.sizes[0] ** -power for one in result.crossings]
    y, errors = [one.beta.value for one in result.crossings], [one.beta.error for one in result.crossings]
    line = np.linspace(0.0, max(x), 2)
    curves = [Curve("crossings of L and the next size from 2L on", x, y, errors)]
    if result.fit is not None:
        fitted = result.fit.parameters[0] + result.fit.parameters[1] * line
        curves.append(Curve("fit", line.tolist(), fitted.tolist(), style="line"))
    curves.append(Curve("exact β_c", line.tolist(), [result.model.beta_c] * 2, style="dashed"))
    curves.append(Curve("measured β_c", [0.0], [result.beta_c.value], [result.beta_c.error]))
    return Panel("where they cross", f"L^{-power:.3g}", "β", tuple(curves))


def _slope_panel(result: Scaling) -> Panel:
    sizes = [float(one.size) for one in result.curves]
    line = np.geomspace(sizes[0], sizes[-1], 40)
    values, errors = [e.value for e in result.slopes], [e.error for e in result.slopes]
    curves = (
        Curve("dU/dβ at β_c", sizes, values, errors, group="slope"),
        Curve("fit", line.tolist(), result.slope_law(line).tolist(), style="line", group="slope"),
    )
    return Panel(f"slopes: ν = {result.nu}", "L", "dU/dβ", curves, "log", "log")


def _collapse_panel(result: Scaling) -> Panel:
    curves = []
    for k, one in enumerate(result.curves):
        # Each size has its points between those of the others; on top of each other they would hide.
        share = (np.arange(5) + (k + 0.5) / len(result.curves)) / 5
        beta = one.beta[0] + share * (one.beta[-1] - one.beta[0])
        x = (beta - result.beta_c.value) * one.size ** (1 / result.nu.value)
        at = [one.binder(float(b)) for b in beta]
        curves.append(Curve(f"L = {one.size}", x.tolist(), [e.value for e in at], [e.error for e in at]))
    return Panel("collapse", "(β − β_c) L^y, y = 1/ν", "U", tuple(curves))


def notes(results: Sequence[Scaling]) -> tuple[str, ...]:
    """How corrections to scaling are treated, and what the runs themselves complain about."""
    said = [
        "m of the Potts model is (q max_a n_a/V − 1)/(q − 1), which is never negative; the same ratio of its "
        "moments is used.",
        "The runs lie around a given center; reweighting makes the results independent of where exactly.",
        "The error of β_c enters ν and γ/ν as if it were independent of the slopes, which come from the same "
        "runs; repeated with other seeds, these two scatter less than their errors say.",
    ]
    for result in results:
        model = result.model
        if result.slope_law.fit.parameters.size == 3:
            said.append(
                f"{model.label}: the fits of ν and γ/ν include a correction exp(b L^-ω) with ω = {model.omega:g} "
                "from theory and b fitted; crossings are extrapolated with the power 1/ν + ω = "
                f"{result.shift_power:.3g}."
            )
        else:
            said.append(
                f"{model.label}: too few sizes to fit a correction to scaling; the exponents are those of a pure power."
            )
        said += [f"{model.label}, L = {one.size}: {w}." for one in result.curves for w in one.reweighting.warnings]
    return tuple(said)


def _fraction(number: float) -> str:
    for below in range(1, 20):
        if math.isclose(number * below, round(number * below), abs_tol=1e-9):
            return f"{round(number * below)}/{below}" if below > 1 else f"{round(number)}"
    return f"{number:.6g}"
