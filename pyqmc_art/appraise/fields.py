"""Field ensembles: read, thinned, described, cut into independent blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.appraise.field_features import describe_fields
from pyqmc_art.appraise.spectra import Spectrum
from pyqmc_art.appraise.tables import Table, check_units, cut_chains, find_block
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.actions import build
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.observables import defined_for
from pyqmc_art.stats.autocorrelation import gamma_method
from pyqmc_art.stats.estimate import Estimate
from pyqmc_art.store.ensemble import Ensemble, open_ensemble

Floats = NDArray[np.float64]

MOST: Final = 4096
"""Fields of an ensemble that are looked at; of more, every second, third, ... one of each chain."""
MOST_SITES: Final = 2**24
"""Sites of all fields that are looked at: 128 MiB of them."""

_AT_ONCE: Final = 2**22
_SHORT: Final = 8
"""Saved fields of a chain below which nothing is known of its correlations: a chain is then one unit."""

LARGEST_PLANE: Final = 64
"""Sites along an axis up to which the plane of momenta is kept."""
_DRAWN: Final = "draws"
REWEIGHTED: Final = "corrected by reweight"


@dataclass(frozen=True, eq=False)
class FieldSet:
    """Fields of one ensemble, looked at once.

    Attributes
    ----------
    name : how it is called
    raw : the fields as they were stored, shape (measurements, replicas, *shape, ...)
    values : the same as real numbers with components, shape (measurements * replicas, *shape, components)
    action : the target of the file's configuration; None where it names none that can be built
    numbers : name -> one number a field, shape (measurements * replicas,)
    spectrum : of each field
    table : features, blocks and parts
    block, tau : length of the blocks, and tau_int, both in looked-at fields
    stride : every how many stored fields one was looked at
    configuration : of the file
    """

    name: str
    raw: NDArray[Any]
    values: Floats
    action: Any
    numbers: Mapping[str, Floats]
    spectrum: Spectrum
    table: Table
    block: int
    tau: float
    stride: int = 1
    configuration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chains(self) -> tuple[int, int]:
        """Measurements and replicas."""
        return self.raw.shape[0], self.raw.shape[1]

    @property
    def is_weighted(self) -> bool:
        """Whether the file says that its fields count by their weights."""
        return self.configuration.get("kernel") == REWEIGHTED

    def describe(self) -> str:
        """Say in a line what was looked at."""
        n, replicas = self.chains
        every = "" if self.stride == 1 else f", every {self.stride}th"
        tau = "independent" if self.tau <= 0.5 else f"tau_int {self.tau:.3g}"
        return f"{self.name}: {n} fields x {replicas} chains{every}; {tau}; {self.table.unit_count} independent blocks"

    def estimate(self, values: Floats) -> Estimate:
        """Mean of one number a field with its error by the Gamma method, or over chains where these are short."""
        series = values.reshape(self.chains)
        return gamma_method(series if len(series) >= _SHORT else series.mean(axis=0)[:, None])


def open_fields(path: str | os.PathLike[str], most: int = MOST) -> FieldSet:
    """Read the fields of a run file.

    Raises
    ------
    InputError
        When it is no run file, has no fields or too few, or those of several targets.
    NumericalError
        When a field is not finite.
    """
    place = Path(path)
    with open_ensemble(place) as ensemble:
        return look_at(ensemble, str(path), most)


def look_at(ensemble: Ensemble, name: str, most: int = MOST) -> FieldSet:
    """Look at the fields of an open ensemble; see :func:`open_fields`."""
    fields = ensemble.fields
    if fields is None or not len(fields):
        raise InputError(f"{name} holds no fields; sample with --save-every, or generate fields from a model")
    told = ensemble.configuration
    replicas = fields.shape[1]
    most = max(1, min(most, MOST_SITES // int(np.prod(fields.shape[2:]))))
    stride = max(1, -(-len(fields) * min(replicas, most) // most))
    raw = fields[::stride][:, : min(replicas, most)]
    if raw.dtype.kind not in "biuf":
        raise InputError(f"{name} holds fields of {raw.dtype}; expected real numbers")
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        raise NumericalError(f"{name} holds a field that is not finite; check how it was made")
    shape = tuple(int(one) for one in told.get("shape") or raw.shape[2:])
    if raw.shape[2 : 2 + len(shape)] != shape:
        raise InputError(
            f"{name} holds fields of shape {raw.shape[2:]} on a lattice {shape}; a run of tempering has several "
            "targets: give the fields of one rung"
        )
    values = _as_components(raw, shape, str(told.get("action", "")), int(told.get("q", 0) or 0))
    numbers, spectrum = _describe_all(values)
    series = {key: one.reshape(raw.shape[:2]) for key, one in numbers.items()}
    # Draws of a model are independent, whatever their order.
    block, tau = (1, 0.5) if told.get("kernel") == _DRAWN else find_block(series)
    if len(raw) < _SHORT and raw.shape[1] > 1:
        block = len(raw)
    views = {"features": np.stack(list(numbers.values()), axis=1), "fields": values}
    units, segments, spoken = cut_chains(len(raw), raw.shape[1], min(block, len(raw)))
    table = check_units(Table(name, views, units, segments, spoken))
    return FieldSet(name, raw, values, build_action(told), numbers, spectrum, table, block, tau, stride, told)


def build_action(told: Mapping[str, Any]) -> Any:
    """Build the action a configuration names; None where it names none."""
    if "action" not in told or "shape" not in told:
        return None
    known = {"h", "J", "beta", "m2", "lam", "q", "n", "convention", "disorder", "disorder_seed"}
    try:
        boundary = told.get("boundary") or "periodic"
        lattice = Lattice(
            tuple(told["shape"]), told.get("lattice") or "square",
            boundary if isinstance(boundary, str) else tuple(boundary),
        )  # fmt: skip
        return build(told["action"], lattice, {k: v for k, v in told.items() if k in known and v is not None})
    except InputError:
        return None


def check_alike(a: FieldSet, b: FieldSet) -> None:
    """Refuse to compare fields that cannot be of one distribution.

    Raises
    ------
    InputError
        For other shapes, types, or actions.
    """
    if a.values.shape[1:] != b.values.shape[1:] or (a.raw.dtype.kind == "f") != (b.raw.dtype.kind == "f"):
        raise InputError(
            f"{a.name} has fields {a.raw.shape[2:]} of {a.raw.dtype}, {b.name} has {b.raw.shape[2:]} of "
            f"{b.raw.dtype}; expected fields of one shape and type"
        )
    names = [one.action.name for one in (a, b) if one.action is not None]
    if len(set(names)) > 1:
        raise InputError(f"{a.name} is an ensemble of {names[0]}, {b.name} one of {names[1]}; expected one action")


def measure(fields: FieldSet, action: Any) -> dict[str, Floats]:
    """Observables of each field: those of the action, or what describes any field where none is known."""
    if action is None:
        return {name: one for name, one in fields.numbers.items() if not name.startswith("log")}
    flat = np.ascontiguousarray(fields.raw.reshape(-1, *fields.raw.shape[2:]))
    found: dict[str, Floats] = {}
    for observable in defined_for(action.name):
        try:
            values = np.asarray(_by_parts(partial(observable, action), flat), np.float64)
        except InputError:
            continue
        if values.ndim == 1:
            found[observable.name] = values
    return found


def measure_both(a: FieldSet, b: FieldSet, action: Any) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Observables of both; of those that differ by their unit alone in both ensembles the first is kept."""
    first, second = measure(a, action), measure(b, action)
    kept: list[str] = []
    for name in first:
        if not any(all(_same_up_to_units(one[name], one[other]) for one in (first, second)) for other in kept):
            kept.append(name)
    return {name: first[name] for name in kept}, {name: second[name] for name in kept}


def _same_up_to_units(one: Floats, other: Floats) -> bool:
    """Whether one is a line of the other: it would be the same test twice."""
    spread = float(one.std() * other.std())
    if spread == 0:
        return bool(one.std() == other.std())
    return abs(float(np.mean((one - one.mean()) * (other - other.mean())))) > (1 - 1e-9) * spread


def _as_components(raw: NDArray[Any], shape: tuple[int, ...], action: str, q: int) -> Floats:
    flat = raw.reshape(-1, *shape, int(np.prod(raw.shape[2 + len(shape) :], dtype=int)))
    if action != "potts":
        return flat.astype(np.float64)
    # Colours are names, not numbers: one indicator for each.
    return np.asarray((flat == np.arange(max(q, int(raw.max()) + 1))), np.float64)


def _describe_all(values: Floats) -> tuple[dict[str, Floats], Spectrum]:
    size = max(1, _AT_ONCE // int(np.prod(values.shape[1:])))
    parts = [describe_fields(values[k : k + size]) for k in range(0, len(values), size)]
    numbers = {name: np.concatenate([one[name] for one, _ in parts]) for name in parts[0][0]}
    first = parts[0][1]
    small = first.plane is not None and max(first.plane.shape[1:]) <= LARGEST_PLANE
    planes = np.concatenate([s.plane for _, s in parts if s.plane is not None]) if small else None
    radial, angular = (np.concatenate([getattr(s, key) for _, s in parts]) for key in ("radial", "angular"))
    return numbers, Spectrum(first.frequency, radial, first.direction, angular, planes)


def _by_parts(function: Callable[[NDArray[Any]], Floats], flat: NDArray[Any]) -> Floats:
    size = max(1, _AT_ONCE // int(np.prod(flat.shape[1:])))
    return np.concatenate([function(flat[k : k + size]) for k in range(0, len(flat), size)])
