"""Command-line options as frozen dataclasses, and configuration files in which the keys are spelled like the flags."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import cyclopts
import yaml
from cyclopts import Parameter

from pyqmc_art.errors import InputError, unknown

_Options = TypeVar("_Options")


def _whole(kind: Any, tokens: Sequence[cyclopts.Token]) -> Any:
    """Convert words to whole numbers; cyclopts itself would round 4.6 to 5 without a word."""
    numbers: list[int] = []
    for token in tokens:
        try:
            numbers.append(int(token.value))
        except ValueError:
            where = "" if kind is int else f"Invalid value for {token.keyword}: "
            raise ValueError(f'{where}"{token.value}" is not a whole number.') from None
    return numbers[0] if kind is int else tuple(numbers)


WHOLE: Final = Parameter(converter=_whole)
"""Of an option that takes whole numbers."""

MANY: Final = Parameter(consume_multiple=True)
"""Of an option that takes several words."""

ConfigFile = Annotated[Path | None, Parameter(help="TOML, YAML or JSON file with the flags as keys; flags win.")]
PrintConfig = Annotated[bool, Parameter(help="Print the resolved configuration and stop.")]
_KINDS: Final = {int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class AnalyzeOptions:
    """What ``analyze`` takes beside the file.

    Parameters
    ----------
    json
        Print one JSON object: observable -> value, error, tau_int, tau_int_error, n, ess, ess_per_second.
    plot
        Draw history, autocorrelation and histogram to a .png, .svg or .pdf file.
    """

    json: bool = False
    plot: Path | None = None


@dataclass(frozen=True)
class VerifyOptions:
    """What ``verify`` takes.

    Parameters
    ----------
    all
        More targets and more samples; several minutes instead of one.
    seed
        Another one draws other random numbers, shapes and couplings.
    json
        Print JSON instead of a table.
    """

    all: bool = False
    seed: Annotated[int, WHOLE] = 0
    json: bool = False


@dataclass(frozen=True)
class StudyOptions:
    """What every study takes; a configuration file may also hold the keys of the study itself.

    Parameters
    ----------
    preset
        quick (a minute or two) or full.
    out
        Folder to write; default: the study's name.
    seed
        Of all random numbers.
    force
        Write into a folder that already holds a report.
    """

    preset: str = "quick"
    out: Path | None = None
    seed: Annotated[int, WHOLE] = 0
    force: bool = False


@dataclass(frozen=True)
class DemoOptions:
    """What ``demo`` takes.

    Parameters
    ----------
    out
        Folder to write; an earlier demo in it is replaced.
    seed
        Of all random numbers.
    """

    out: Path = Path("demo")
    seed: Annotated[int, WHOLE] = 0


@dataclass(frozen=True)
class InfoOptions:
    """What ``info`` takes.

    Parameters
    ----------
    json
        Print JSON.
    """

    json: bool = False


def given(options: Any) -> dict[str, Any]:
    """Return the options that were given, by field name."""
    return {
        f.name: getattr(options, f.name) for f in dataclasses.fields(options) if getattr(options, f.name) != f.default
    }


def settle(
    options: Any, config: Path | None, *, word: tuple[str, Any] | None = None, more: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Join what flags and a configuration file say; flags win.

    Parameters
    ----------
    options : the flags, an options dataclass
    config : the file, or None
    word : name and value of the argument that has no flag; None is no value
    more : further keys that the file may hold

    Returns
    -------
    What was given, and the further keys with their values.

    Raises
    ------
    InputError
        As :func:`read_configuration` and :func:`parse`.
    """
    own = [f.name for f in dataclasses.fields(options)]
    words = {} if word is None else {word[0]: word[1]}
    flags = {**{key: value for key, value in words.items() if value is not None}, **given(options)}
    if config is None:
        return flags, {}
    found = read_configuration(config, [*words, *own, *more])
    in_file = given(parse(type(options), {key: value for key, value in found.items() if key in own}))
    named = {key: str(found[key]) for key in words if key in found}
    return {**named, **in_file, **flags}, {key: found[key] for key in more if key in found and key not in own}


def read_configuration(path: Path, known: Sequence[str]) -> dict[str, Any]:
    """Read a flat TOML, YAML or JSON file; its keys are spelled like the flags, with - or _.

    Raises
    ------
    InputError
        If the file cannot be read, is not flat, or holds an unknown key (the nearest one is named).
    """
    content = _read(path)
    if not isinstance(content, Mapping):
        raise InputError(f"configuration {path} holds {type(content).__name__}; expected keys with values")
    settings: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name not in known:
            raise unknown("configuration key", str(key), [k.replace("_", "-") for k in known])
        if name in settings:
            raise InputError(f"configuration {path} gives {key!r} twice, once with - and once with _; keep one")
        parts = value if isinstance(value, list) else [value]
        if not parts or any(isinstance(part, (list, Mapping)) for part in parts):
            raise InputError(f"configuration key {key!r} holds {value!r}; expected a number, a text or a flat list")
        if value is not None:
            settings[name] = value
    return settings


def _read(path: Path) -> Any:
    readers: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".json": json.loads, ".yaml": yaml.safe_load}
    reader = readers.get(path.suffix.lower().replace(".yml", ".yaml"))
    if reader is None:
        raise InputError(f"configuration {path} ends in {path.suffix!r}; expected .toml, .yaml, .yml or .json")
    try:
        content = reader(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"configuration {path} cannot be read: {error.strerror}; give an existing file") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"configuration {path} is not valid {path.suffix[1:].upper()}: {error}") from error
    # An empty YAML file holds null.
    return {} if content is None else content


def as_tokens(settings: Mapping[str, Any]) -> list[str]:
    """Spell settings as command-line words, so that one parser checks both.

    Examples
    --------
    >>> as_tokens({"shape": [4, 6], "save_every": 10})
    ['--shape=4', '--shape=6', '--save-every=10']
    """
    tokens: list[str] = []
    for key, value in settings.items():
        flag = f"--{key.replace('_', '-')}"
        parts = value if isinstance(value, (list, tuple)) else [value]
        tokens += [f"{flag}={part}" for part in parts]
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
    plain = Parameter(negative=(), name_transform=lambda name: name.replace("_", "-"))
    app = cyclopts.App(default_parameter=plain, help_flags=(), version_flags=())
    built: list[_Options] = []

    def take(*, options: _Options) -> None:
        built.append(options)

    # The annotation is made here because the dataclass is known only here.
    take.__annotations__["options"] = Annotated[kind, Parameter(name="*")]
    take.__kwdefaults__ = {"options": kind()}
    app.default(take)
    try:
        app(as_tokens(settings), exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        raise InputError(" ".join(str(error).split())) from error
    for key, value in settings.items():
        _check_kept(key, value, getattr(built[0], key))
    return built[0]


def _check_kept(key: str, value: Any, taken: Any) -> None:
    """Refuse a number that the parser changed: a fraction where a whole number belongs."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    kept = taken if isinstance(taken, (list, tuple)) else [taken]
    for part, number in zip(parts, kept, strict=False):
        changed = isinstance(part, float) and isinstance(number, int) and part != number
        if changed or isinstance(part, bool) != isinstance(number, bool):
            raise InputError(
                f"configuration key {key!r} holds {value!r}; expected {_KINDS.get(type(number), 'a text')}"
            )


def as_toml(settings: Mapping[str, Any]) -> str:
    """Write settings as a TOML file that ``--config`` reads back; what is None is left out."""
    lines = []
    for key, value in settings.items():
        if value is not None:
            plain = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
            lines.append(f"{key.replace('_', '-')} = {json.dumps(plain, ensure_ascii=False)}")
    return "\n".join(lines)
