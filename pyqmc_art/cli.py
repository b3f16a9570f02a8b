"""The command ``pyqmc-art``."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError, PyqmcError, unknown
from pyqmc_art.options import SampleOptions
from pyqmc_art.store import provenance

DEFAULT_SAMPLE = {
    "lattice": "square",
    "boundary": ("periodic",),
    "warmup": 1000,
    "every": 1,
    "replicas": 1,
    "seed": 0,
    "measure": ("energy",),
    "start": "hot",
}

app = cyclopts.App(
    name="pyqmc-art",
    help="Sample lattice fields exactly, with honest errors, and know whether the samples are genuine.",
    version=provenance.find_version,
    default_parameter=Parameter(negative=()),
)


@app.command
def sample(
    action: str | None = None,
    *,
    config: Path | None = None,
    print_config: bool = False,
    settings: Annotated[SampleOptions, Parameter(name="*")] = SampleOptions(),  # noqa: B008 - frozen
) -> None:
    """Sample an action (ising, potts) with a kernel and write run.h5; or carry on with --resume run.h5 --steps N.

    Parameters
    ----------
    action
        ising or potts.
    config
        TOML, YAML or JSON file with the flags as keys; flags win.
    print_config
        Print the resolved configuration and stop.
    """
    chosen = options.given(settings)
    if action is not None:
        chosen["action"] = action
    if config is not None:
        known = ["action", *(f.name for f in dataclasses.fields(SampleOptions))]
        in_file = options.read_configuration(config, known)
        named = in_file.pop("action", None)
        chosen = {
            **options.given(options.parse(SampleOptions, in_file)),
            **({"action": named} if named else {}),
            **chosen,
        }
    if "resume" in chosen:
        _resume(chosen, print_config)
    else:
        _sample(chosen, print_config)


def _sample(chosen: dict[str, Any], print_config: bool) -> None:
    from pyqmc_art.lattice import chain
    from pyqmc_art.lattice.actions import ACTIONS
    from pyqmc_art.monitor import choose_monitor

    full = {**DEFAULT_SAMPLE, **chosen}
    for key, example in (
        ("action", "pyqmc-art sample ising"),
        ("shape", "--shape 64 64"),
        ("kernel", "--kernel metropolis"),
    ):
        if key not in full:
            known = f" ({', '.join(ACTIONS)})" if key == "action" else ""
            raise InputError(f"no {key} was given{known}; for instance {example}")
    if len(full["boundary"]) == 1:
        full["boundary"] = full["boundary"][0]
    if full["action"] not in ACTIONS:
        raise unknown("action", full["action"], ACTIONS)
    if print_config:
        first = {"action": full.pop("action")}
        print(options.as_toml({**first, **full}))
        return
    if "steps" not in full:
        raise InputError("no steps was given; for instance --steps 10000")
    run = {
        key: full.pop(key, None) for key in ("steps", "warmup", "every", "save_every", "replicas", "seed", "measure")
    }
    where = {key: full.pop(key, None) for key in ("out", "force", "start")}
    backend, threads = full.pop("backend", None), full.pop("threads", None)
    kernel = chain.rebuild_kernel(full, backend=backend, threads=threads)
    ensemble = chain.sample(
        kernel.action,
        kernel,
        **run,
        out=where["out"],
        force=bool(where["force"]),
        start=where["start"],
        monitor=choose_monitor(),
    )
    print(ensemble.summary())


def _resume(chosen: dict[str, Any], print_config: bool) -> None:
    from pyqmc_art.lattice import chain
    from pyqmc_art.monitor import choose_monitor
    from pyqmc_art.store.configuration import check_same_configuration
    from pyqmc_art.store.ensemble import open_ensemble

    path = chosen.pop("resume")
    free = {key: chosen.pop(key, None) for key in ("steps", "threads", "backend", "out", "force")}
    if free["out"] is not None and Path(free["out"]) != path:
        raise InputError(f"--resume {path} carries on in the same file; leave out --out {free['out']}")
    stored = open_ensemble(path).configuration
    wanted = {key: list(value) if isinstance(value, tuple) else value for key, value in chosen.items()}
    if isinstance(wanted.get("boundary"), list) and len(wanted["boundary"]) == 1:
        wanted["boundary"] = wanted["boundary"][0]
    check_same_configuration({key: stored.get(key) for key in wanted}, wanted)
    if print_config:
        print(options.as_toml({**stored, **({"steps": free["steps"]} if free["steps"] is not None else {})}))
        return
    ensemble = chain.resume(
        path, steps=free["steps"], threads=free["threads"], backend=free["backend"], monitor=choose_monitor()
    )
    print(ensemble.summary())


@app.command
def analyze(run: Path, *, json_: Annotated[bool, Parameter(name="--json")] = False, plot: Path | None = None) -> None:
    """Print value, error, tau_int, ESS and ESS/s of each observable of a run (Gamma method).

    Parameters
    ----------
    run
        File that ``sample`` wrote, or is still writing.
    json_
        Print one JSON object: observable -> value, error, tau_int, tau_int_error, n, ess, ess_per_second.
    plot
        Draw history, autocorrelation and histogram to a .png, .svg or .pdf file.
    """
    from pyqmc_art.store.ensemble import open_ensemble

    ensemble = open_ensemble(run)
    if plot is not None:
        from pyqmc_art.report.figures import draw_file
        from pyqmc_art.report.run import describe_run

        draw_file(describe_run(ensemble), plot)
        print(f"wrote {plot}", file=sys.stderr)
    print(json.dumps(ensemble.to_json(), indent=2) if json_ else ensemble.summary())


@app.command
def verify(
    *,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    seed: int = 0,
    json_: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Check every kernel on this machine against exact targets; exit status 1 if one fails.

    Parameters
    ----------
    all_
        More targets and more samples; several minutes instead of one.
    seed
        Another one draws other random numbers, shapes and couplings.
    json_
        Print JSON instead of a table.
    """
    from pyqmc_art.monitor import choose_monitor
    from pyqmc_art.testing.certificate import certify

    certificate = certify(all=all_, seed=seed, monitor=choose_monitor())
    print(json.dumps(certificate.to_json(), indent=2) if json_ else certificate.render_text())
    return 0 if certificate.passed else 1


@app.command
def study(
    *names: str,
    preset: str = "quick",
    config: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    print_config: bool = False,
    force: bool = False,
) -> None:
    """Answer a declared question and write DIR/index.html.

    Parameters
    ----------
    names
        ising-dynamics, phase-transition; several make one page.
    preset
        quick (a minute or two) or full.
    config
        File with the study's own keys; see --print-config.
    out
        Folder to write; default: the study's name.
    seed
        Of all random numbers.
    print_config
        Print the resolved configuration and stop.
    force
        Write into a folder that already holds a report.
    """
    from pyqmc_art.monitor import choose_monitor
    from pyqmc_art.studies import catalogue

    if not names:
        raise InputError(f"no study was named; known: {', '.join(sorted(catalogue.STUDIES))}")
    overrides = options.read_configuration(config, catalogue.keys(names)) if config is not None else {}
    studies = [catalogue.configure(name, preset, overrides, options.parse) for name in names]
    if print_config:
        for each in studies:
            print(options.as_toml(dataclasses.asdict(each)))
        return
    folder = out or Path("-".join(names))
    page = catalogue.run(studies, folder, seed=seed, force=force, monitor=choose_monitor())
    print(page)


@app.command
def demo(*, out: Path = Path("demo"), seed: int = 0) -> int:
    """Sample, verify and run the quick studies: one page that shows what this installation can do.

    Parameters
    ----------
    out
        Folder to write; an earlier demo in it is replaced.
    seed
        Of all random numbers.
    """
    from pyqmc_art.demo import run_demo
    from pyqmc_art.monitor import choose_monitor

    page, passed = run_demo(out, seed=seed, monitor=choose_monitor())
    print(page)
    return 0 if passed else 1


@app.command
def info(*, json_: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Print versions, backends, instruction sets, threads and devices.

    Parameters
    ----------
    json_
        Print JSON.
    """
    from pyqmc_art.ops import inventory

    facts = {**provenance.collect(), **inventory.take()}
    if json_:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f"{key:<{width}}  {', '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; exit status 0 done, 2 bad input, 3 interrupted and resumable, 1 anything else."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        return _fail(f"{error}", 2)
    except PyqmcError as error:
        return _fail(f"{error}", error.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was kept", 1)
    except BrokenPipeError:
        # Whoever read our output has gone; point stdout elsewhere so that closing it does not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail(
            "not enough memory for this; use a smaller lattice, fewer replicas, or --every for fewer measurements", 1
        )
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int) -> int:
    print(f"pyqmc-art: {message}", file=sys.stderr)
    return status
