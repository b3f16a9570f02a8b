"""The action that a model was trained for, as its directory remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyqmc_art.errors import InputError
from pyqmc_art.lattice import actions
from pyqmc_art.lattice.geometry import Lattice


def describe_action(action: Any) -> dict[str, Any]:
    """Action, lattice and couplings, as a model directory and a run file name them."""
    return {"action": action.name, **action.lattice.configuration(), **action.couplings()}


def rebuild_action(target: Mapping[str, Any]) -> Any:
    """Build the action that :func:`describe_action` described.

    Examples
    --------
    >>> from pyqmc_art.lattice.scalar import Phi4
    >>> action = Phi4(Lattice((4, 6)), m2=-4, lam=8, convention="D")
    >>> rebuild_action(describe_action(action)) == action
    True
    """
    rest = dict(target)
    name, boundary = rest.pop("action"), rest.pop("boundary")
    boundary = boundary if isinstance(boundary, str) else tuple(boundary)
    lattice = Lattice(tuple(rest.pop("shape")), rest.pop("lattice"), boundary)
    return actions.build(name, lattice, rest)


def check_same_target(
    asked: Any, trained: Any, what: str, folder: object, *, free: tuple[str, ...] = (), dimension: bool = False
) -> None:
    """Refuse an action that is not the one a model was trained for.

    Parameters
    ----------
    what : the model is, in words
    free : what of the description may differ
    dimension : the number of axes must agree all the same

    Raises
    ------
    InputError
        Naming every difference.
    """
    axes = asked.lattice.dimension, trained.lattice.dimension
    if dimension and axes[0] != axes[1]:
        raise InputError(
            f"the {what} in {folder} was trained in {axes[1]} dimensions, and the lattice has {axes[0]}; "
            "train one for this"
        )
    given, known = describe_action(asked), describe_action(trained)
    keys = [key for key in {**known, **given} if key not in free and known.get(key) != given.get(key)]
    if keys:
        differs = ", ".join(f"{key} {known.get(key)} -> {given.get(key)}" for key in keys)
        raise InputError(f"the {what} in {folder} was trained for another target ({differs}); train one for this")
