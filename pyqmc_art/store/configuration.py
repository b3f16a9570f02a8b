"""What a run was asked for and what made it: how both are stored, and compared before a run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pyqmc_art.errors import InputError
from pyqmc_art.rng import find_stream_version

MAY_DIFFER: Final = ("steps", "out", "threads", "force", "resume")
"""Entries of a configuration that do not change which numbers a run gives."""


def check_same_configuration(
    stored: Mapping[str, Any], given: Mapping[str, Any], ignore: tuple[str, ...] = MAY_DIFFER
) -> None:
    """Refuse to go on with a run of another configuration.

    Raises
    ------
    InputError
        Naming each entry that differs, with both values.

    Examples
    --------
    >>> check_same_configuration({"beta": 0.4, "shape": [4, 4]}, {"beta": 0.4, "shape": (4, 4), "steps": 9})
    >>> check_same_configuration({"beta": 0.4}, {"beta": 0.5})
    Traceback (most recent call last):
    pyqmc_art.errors.InputError: the run has another configuration: beta is 0.4 in the file, but 0.5 was given; ...
    """
    ours, theirs = json.loads(_as_json(stored)), json.loads(_as_json(given))
    differing = [
        f"{key} is {ours.get(key, 'absent')!r} in the file, but {theirs.get(key, 'absent')!r} was given"
        for key in sorted({*ours, *theirs} - {*ignore})
        if key not in ours or key not in theirs or ours[key] != theirs[key]
    ]
    if differing:
        raise InputError(
            f"the run has another configuration: {'; '.join(differing)}; resume with the configuration of the file, "
            "or start a new run in another file"
        )


def describe_run(configuration: Mapping[str, Any], provenance: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Attributes of a run file: the configuration as JSON, and each simple entry of it and of the provenance."""
    single = {k: v for k, v in {**configuration, **provenance}.items() if _is_simple(v)}
    return {**single, "configuration": _as_json(configuration), "run": run}


def check_stream_version(path: Path, attributes: Mapping[str, Any]) -> None:
    """Refuse to go on with a run whose random numbers were used in another way (InputError says why)."""
    version = attributes.get("stream_version")
    kernels = [str(attributes[name]) for name in ("kernel", "inner") if name in attributes]
    current = find_stream_version(*kernels)
    if version != current:
        raise InputError(
            f"{path} was made with stream version {version} of {' and '.join(kernels) or 'its kernel'}, but this "
            f"program has {current}: it uses its "
            "random numbers in another way and would not give the numbers of one long run; go on with the version that "
            f"made it ({attributes.get('version', 'unknown')}), or start a new run"
        )


def note_resumption(
    configuration: Mapping[str, Any], attributes: Mapping[str, Any], provenance: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what made a run, without its configuration, and with the program that goes on in the list ``resumed``."""
    kept = {
        name: value for name, value in attributes.items() if name not in configuration or configuration[name] != value
    }
    if provenance is not None:
        kept["resumed"] = _as_json([*json.loads(attributes.get("resumed", "[]")), dict(provenance)])
    return kept


def _is_simple(value: object) -> bool:
    if isinstance(value, list | tuple):
        flat = all(_is_simple(v) and not isinstance(v, list | tuple) for v in value)
        return flat and len({type(v) for v in value}) == 1
    if isinstance(value, str):
        return value.isprintable()
    return isinstance(value, bool | float) or (isinstance(value, int) and -(2**63) <= value < 2**63)


def _as_json(value: object) -> str:
    try:
        return json.dumps(dict(value) if isinstance(value, Mapping) else value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"a configuration must be made of JSON values, finite numbers included: {error}") from error
