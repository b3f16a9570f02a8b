"""Sampling: ``sample`` runs the one loop into memory or a file, ``resume`` carries on with a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pyqmc_art.errors import InputError
from pyqmc_art.lattice import actions
from pyqmc_art.lattice.blocks import BLOCK_SECONDS, Block, Pace, chain
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels import compose
from pyqmc_art.lattice.kernels.trained import Load
from pyqmc_art.lattice.observables import default_measure, find
from pyqmc_art.lattice.run import Run
from pyqmc_art.monitor import Silent
from pyqmc_art.protocols import Monitor, Observable, State
from pyqmc_art.rng import Stream, find_stream_version
from pyqmc_art.store.checkpoint import read_checkpoint, state_path
from pyqmc_art.store.configuration import check_same_configuration, check_stream_version
from pyqmc_art.store.ensemble import Ensemble, open_ensemble
from pyqmc_art.store.provenance import collect
from pyqmc_art.store.writer import EnsembleWriter, check_output

_KEYS_OF_LATTICE: Final = ("shape", "lattice", "boundary")
_COUNTS: Final = ("steps", "warmup", "every", "save_every", "replicas")
_KEYS_OF_CHAIN: Final = ("action", "kernel", *_COUNTS, "seed", "start", "measure")
_NEEDED_OF_KERNEL: Final = (
    "action",
    "name",
    "rungs",
    "ladder",
    "backend",
    "init",
    "start",
    "step",
    "advance",
    "measure",
    "using",
    "configuration",
)
_MOST: Final = 2**32


def sample(
    action: Any,
    kernel: Any,
    *,
    steps: int,
    warmup: int = 1000,
    replicas: int = 1,
    seed: int = 0,
    every: int = 1,
    measure: Sequence[str | Observable] | None = None,
    out: str | Path | None = None,
    save_every: int | None = None,
    start: str = "hot",
    threads: int | None = None,
    force: bool = False,
    monitor: Monitor | None = None,
) -> Ensemble:
    """Sample exp(-S) with a kernel and return the ensemble, in memory or as a file.

    Parameters
    ----------
    action : the target; the kernel must have been built for it
    kernel : for instance ``SwendsenWang(action)``
    steps, warmup : steps behind the warm-up, and the warm-up, which is not stored
    replicas : independent chains, the first axis of every field
    seed : 0 to 2^63 - 1
    every : measure after every ``every``-th step
    measure : names of observables, or observables; None measures the energy (phi2 of phi^4)
    out : HDF5 file to write; None keeps the series (and saved fields) in memory
    save_every : keep the field after every ``save_every``-th step, a multiple of ``every``
    start : ``"hot"`` or ``"cold"``
    threads : overrides the kernel's
    force : replace an existing file
    monitor : hears the progress

    Raises
    ------
    InputError
        For arguments that cannot be used, or an existing ``out`` without ``force``.
    Interrupted
        After Ctrl-C or SIGTERM; the file can be resumed.
    StoreError
        If the file cannot be written any further; what it holds stays readable.

    Examples
    --------
    >>> import pyqmc_art as qa
    >>> action = qa.Ising(qa.Lattice((8, 8)), beta=0.3)
    >>> run = qa.sample(action, qa.SwendsenWang(action), steps=200, warmup=50, replicas=2, seed=7)
    >>> run.series["energy"].shape
    (200, 2)
    """
    _check_kernel(kernel)
    if kernel.action != action:
        raise InputError(f"the kernel {kernel.name!r} was built for another action than the one given")
    counts = {"steps": steps, "warmup": warmup, "every": every, "save_every": save_every, "replicas": replicas}
    counts = _checked_counts(counts, kernel.rungs)
    if start not in ("hot", "cold"):
        raise InputError(f"start is {start!r}; expected 'hot' or 'cold'")
    observables = _find(default_measure(action.name) if measure is None else measure, action)
    stream = Stream.from_seed(seed)
    configuration = {
        **describe(kernel),
        **counts,
        "seed": int(seed),
        "start": start,
        "measure": [o.name for o in observables],
    }
    kernel = _using(kernel, threads)
    state = kernel.init(kernel.start(stream.fold("start"), replicas, start))
    target = check_output(out, force) if out is not None else None
    run = Run(kernel, stream, state, observables, configuration)
    return run.to_file(target, force, monitor or Silent()) if target else run.in_memory(monitor or Silent())


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    kernel: Any = None,
    measure: Sequence[str | Observable] | None = None,
    threads: int | None = None,
    backend: str | None = None,
    monitor: Monitor | None = None,
    load: Load | None = None,
) -> Ensemble:
    """Carry on with a file to a total of ``steps``: bit for bit what one uninterrupted run would have given.

    Parameters
    ----------
    steps : total number of steps behind the warm-up; None means the number the file was started with
    kernel : needed only if the file was sampled with a kernel of your own
    measure : needed only if the file has observables of your own; the same ones, in the same order
    load : reads the model directory of a learned proposal

    Raises
    ------
    InputError
        If the file is no ensemble, was written with another use of random numbers or another configuration, is already
        longer than ``steps``, or has a kernel or an observable that must be given.
    """
    path = Path(path)
    with open_ensemble(path) as stored:
        configuration = dict(stored.configuration)
        check_stream_version(path, stored.attributes)
    missing = [key for key in _KEYS_OF_CHAIN if key not in configuration]
    if missing:
        raise InputError(f"{path} was not written by sample: its configuration lacks {', '.join(missing)}")
    if steps is not None:
        configuration["steps"] = steps
    if kernel is None:
        kernel = _rebuilt(configuration, backend, load)
    else:
        _check_kernel(kernel)
        check_same_configuration(configuration, {**configuration, **describe(kernel)})
    configuration.update(_checked_counts({k: configuration[k] for k in _COUNTS}, kernel.rungs))
    observables = _find(configuration["measure"] if measure is None else measure, kernel.action)
    check_same_configuration(configuration, {**configuration, "measure": [o.name for o in observables]})
    done = read_checkpoint(state_path(path.resolve()))[0].step - configuration["warmup"]
    if done > configuration["steps"]:
        raise InputError(
            f"{path} already stands at step {done}, beyond a total of {configuration['steps']}; ask for a larger total"
        )
    kernel = _using(kernel, threads)
    version = find_stream_version(configuration["kernel"], configuration.get("inner", ""))
    origin = {**collect(), "stream_version": version, "backend": kernel.backend}
    writer, checkpoint = EnsembleWriter.resume(path, configuration=configuration, provenance=origin)
    arrays = dict(checkpoint.arrays)
    state = State(arrays.pop("field"), checkpoint.step, arrays)
    stream = Stream.from_seed(int(configuration["seed"]))
    run = Run(kernel, stream, state, observables, configuration, checkpoint)
    return run.continue_file(path, writer, monitor or Silent())


def describe(kernel: Any) -> dict[str, Any]:
    """Action, lattice, couplings, kernel and its options by the names the command line uses."""
    action = kernel.action
    return {
        "action": action.name,
        **action.lattice.configuration(),
        **action.couplings(),
        **kernel.configuration(),
    }


def check_asked_for(stored: Mapping[str, Any], chosen: Mapping[str, Any], load: Load | None = None) -> None:
    """Refuse to go on with a run when what was asked for beside it means another configuration.

    Raises
    ------
    InputError
        Naming each entry that differs, with both values.
    """
    asked = {**stored, **chosen}
    check_same_configuration(stored, {**asked, **describe(rebuild_kernel(asked, load=load))})


def rebuild_kernel(
    configuration: Mapping[str, Any],
    *,
    backend: str | None = None,
    threads: int | None = None,
    load: Load | None = None,
) -> Any:
    """Build the kernel, its action and its lattice from a stored or written configuration."""
    lattice = Lattice(
        tuple(configuration["shape"]),
        configuration.get("lattice") or "square",
        _boundary(configuration.get("boundary") or "periodic"),
    )
    rest = {k: v for k, v in configuration.items() if k not in (*_KEYS_OF_LATTICE, *_KEYS_OF_CHAIN) and v is not None}
    options = {k: rest.pop(k) for k in list(rest) if any(k in cls.options for cls in compose.KERNELS.values())}
    action = actions.build(configuration["action"], lattice, rest)
    return compose.build(configuration["kernel"], action, options, backend=backend, threads=threads, load=load)


def _rebuilt(configuration: Mapping[str, Any], backend: str | None, load: Load | None) -> Any:
    """Rebuild the kernel of a stored run, or say that it must be given."""
    own = [name for name in re.findall(r"[A-Za-z][\w-]*", configuration["kernel"]) if name not in compose.KERNELS]
    if own:
        raise InputError(
            f"the run has a kernel that is not built in ({', '.join(own)}); give it: resume(..., kernel=...)"
        )
    return rebuild_kernel(configuration, backend=backend, load=load)


def _check_kernel(kernel: Any) -> None:
    lacking = [name for name in _NEEDED_OF_KERNEL if not hasattr(kernel, name)]
    if lacking:
        raise InputError(
            f"kernel is {kernel!r}, which has no {', '.join(lacking)}; expected a kernel such as "
            "SwendsenWang(action), build('heat-bath+wolff', action), or your own CustomKernel"
        )


def _using(kernel: Any, threads: int | None) -> Any:
    if threads is None:
        return kernel
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
        raise InputError(f"threads is {threads!r}; expected a whole number of at least 1")
    return kernel.using(int(threads))


def _find(measure: Sequence[str | Observable], action: Any) -> tuple[Observable, ...]:
    """Find observables by name; one name alone is a list of one."""
    wanted = [measure] if isinstance(measure, str) else list(measure)
    for item in wanted:
        if not isinstance(item, str) and not (callable(item) and isinstance(getattr(item, "name", None), str)):
            raise InputError(f"measure holds {item!r}; expected names, or functions of (action, field) with a name")
    observables = find(wanted, action)
    names = [o.name for o in observables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"measure names {', '.join(twice)} twice; each observable has one series, name it once")
    return observables


def _checked_counts(counts: Mapping[str, Any], rungs: int) -> dict[str, int | None]:
    """Counts as plain integers, or what is wrong with them."""
    for name, value in counts.items():
        if name == "save_every" and value is None:
            continue
        least = 0 if name in ("steps", "warmup") else 1
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"{name.replace('_', '-')} is {value!r}; expected a whole number of at least {least}")
    if counts["save_every"] is not None and counts["save_every"] % counts["every"]:
        raise InputError(
            f"save-every is {counts['save_every']}, which is no multiple of every ({counts['every']}); "
            "fields are saved together with a measurement"
        )
    # The counter of the random stream has 32 bits for the step and 32 for the replica.
    for what, value in (("warmup + steps", counts["warmup"] + counts["steps"]), ("replicas", counts["replicas"])):
        most = _MOST // rungs if what == "replicas" else _MOST
        if value > most:
            raise InputError(f"{what} is {value}; at most {most}, or the random stream would repeat itself")
    return {name: None if value is None else int(value) for name, value in counts.items()}


def _boundary(boundary: Any) -> str | tuple[str, ...]:
    return boundary if isinstance(boundary, str) else tuple(boundary)


__all__ = [
    "BLOCK_SECONDS",
    "Block",
    "Pace",
    "chain",
    "check_asked_for",
    "describe",
    "rebuild_kernel",
    "resume",
    "sample",
]
