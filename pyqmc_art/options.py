"""Command-line options as frozen dataclasses, and configuration files in which the keys are spelled like the flags."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import cyclopts
import yaml
from cyclopts import Parameter

from pyqmc_art.errors import InputError, unknown

_Options = TypeVar("_Options")
_Many = Parameter(consume_multiple=True)


@dataclass(frozen=True)
class SampleOptions:
    """What ``sample`` takes; None means the default, or with ``--resume`` what the file says.

    Parameters
    ----------
    shape
        Extents of the lattice, for instance 64 64.
    lattice
        square, triangular, honeycomb or hypercubic.
    boundary
        periodic or open: one for all axes, or one for each.
    beta
        Inverse temperature.
    J
        Coupling; ferromagnetic when positive.
    h
        External field (ising).
    q
        Number of colours (potts).
    kernel
        metropolis, heat-bath, swendsen-wang, wolff, constrained or tempering, joined by + and with counts:
        metropolis+2*wolff.
    clusters
        Clusters in one step (wolff).
    magnetization
        The magnetization that is kept (constrained).
    exchange
        long-range, local or mixed (constrained).
    ladder
        Betas of the rungs (tempering).
    inner
        Kernel on each rung (tempering).
    steps
        Steps behind the warm-up; with --resume the new total.
    warmup
        Steps before the first measurement, not stored.
    every
        Measure after every so many steps.
    save_every
        Keep the fields after every so many steps, a multiple of --every.
    replicas
        Independent chains.
    seed
        Of all random numbers, 0 to 2^63 - 1.
    measure
        Names of observables.
    start
        hot or cold.
    threads
        Default: OMP_NUM_THREADS, or else all cores. The results do not depend on it.
    backend
        cpp, numba or python. The results do not depend on it.
    out
        File to write (HDF5).
    resume
        File to carry on with.
    force
        Replace an existing file.
    """

    shape: Annotated[tuple[int, ...] | None, _Many] = None
    lattice: str | None = None
    boundary: Annotated[tuple[str, ...] | None, _Many] = None
    beta: float | None = None
    J: Annotated[float | None, Parameter(name="--J")] = None
    h: Annotated[float | None, Parameter(name="--h")] = None
    q: Annotated[int | None, Parameter(name="--q")] = None
    kernel: str | None = None
    clusters: int | None = None
    magnetization: float | None = None
    exchange: str | None = None
    ladder: Annotated[tuple[float, ...] | None, _Many] = None
    inner: str | None = None
    steps: int | None = None
    warmup: int | None = None
    every: int | None = None
    save_every: int | None = None
    replicas: int | None = None
    seed: int | None = None
    measure: Annotated[tuple[str, ...] | None, _Many] = None
    start: str | None = None
    threads: int | None = None
    backend: str | None = None
    out: Path | None = None
    resume: Path | None = None
    force: bool = False


def given(options: Any) -> dict[str, Any]:
    """Return the options that were given, by field name."""
    return {
        f.name: getattr(options, f.name) for f in dataclasses.fields(options) if getattr(options, f.name) != f.default
    }


def read_configuration(path: Path, known: Sequence[str]) -> dict[str, Any]:
    """Read a flat TOML, YAML or JSON file; its keys are spelled like the flags, with - or _.

    Raises
    ------
    InputError
        If the file cannot be read, is not flat, or holds an unknown key (the nearest one is named).
    """
    readers: dict[str, Callable[[str], Any]] = {
        ".toml": tomllib.loads,
        ".json": json.loads,
        ".yaml": yaml.safe_load,
        ".yml": yaml.safe_load,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"configuration {path} ends in {path.suffix!r}; expected .toml, .yaml, .yml or .json")
    try:
        content = reader(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"configuration {path} cannot be read: {error}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"configuration {path} is not valid {path.suffix[1:].upper()}: {error}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"configuration {path} holds {type(content).__name__}; expected keys with values")
    settings: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name not in known:
            raise unknown("configuration key", str(key), [k.replace("_", "-") for k in known])
        parts = value if isinstance(value, list) else [value]
        if any(isinstance(part, (list, Mapping)) for part in parts):
            raise InputError(f"configuration key {key!r} holds {value!r}; expected a number, a text or a flat list")
        if value is not None:
            settings[name] = value
    return settings


def as_tokens(settings: Mapping[str, Any]) -> list[str]:
    """Spell settings as command-line words, so that one parser checks both."""
    tokens: list[str] = []
    for key, value in settings.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            tokens += [flag] if value else []
        elif isinstance(value, (list, tuple)):
            tokens += [flag, *map(str, value)]
        else:
            tokens.append(f"{flag}={value}")
    return tokens


def parse(kind: type[_Options], settings: Mapping[str, Any]) -> _Options:
    """Build an options dataclass from settings, checked by the command line's parser.

    Raises
    ------
    InputError
        For a key the dataclass does not have, or a value of the wrong type.
    """
    names = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in settings:
        if key not in names:
            raise unknown("configuration key", key, names)
    app = cyclopts.App(default_parameter=Parameter(negative=(), consume_multiple=True), help_flags=(), version_flags=())
    built: list[_Options] = []

    def take(*, options: _Options) -> None:
        built.append(options)

    # The annotation is made here because the dataclass is known only here.
    take.__annotations__["options"] = Annotated[kind, Parameter(name="*")]
    take.__kwdefaults__ = {"options": kind()}
    app.default(take)
    try:
        app(as_tokens(settings), exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        raise InputError(str(error)) from error
    return built[0]


def as_toml(settings: Mapping[str, Any]) -> str:
    """Write settings as a TOML file that ``--config`` reads back; what is None is left out."""
    lines = []
    for key, value in settings.items():
        if value is not None:
            plain = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
            lines.append(f"{key.replace('_', '-')} = {json.dumps(plain)}")
    return "\n".join(lines)
