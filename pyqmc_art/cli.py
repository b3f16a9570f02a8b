"""The command ``pyqmc-art``."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import cyclopts
from cyclopts import Parameter

from pyqmc_art import appraising, data, generate, judge, options, train
from pyqmc_art.allocator import keep_freed_memory
from pyqmc_art.errors import InputError, PyqmcError, unknown
from pyqmc_art.options import AnalyzeOptions, DemoOptions, InfoOptions, StudyOptions, VerifyOptions
from pyqmc_art.sample_options import SampleOptions
from pyqmc_art.store import provenance

if TYPE_CHECKING:
    from pyqmc_art.protocols import Proposal
    from pyqmc_art.store.ensemble import Ensemble

DEFAULT_SAMPLE: Final[Mapping[str, Any]] = {
    "lattice": "square",
    "boundary": ("periodic",),
    "warmup": 1000,
    "every": 1,
    "replicas": 1,
    "seed": 0,
    "measure": ("energy",),
    "start": "hot",
}
OPTIONAL: Final = ("PIL", "accelerate", "safetensors", "sklearn", "threadpoolctl", "timm", "torch", "torchvision")
"""Modules that the extra "art" brings."""

_RUN: Final = ("steps", "warmup", "every", "save_every", "replicas", "seed", "measure", "start", "out")

_All = Parameter(name="*")

app = cyclopts.App(
    name="pyqmc-art",
    help="Sample lattice fields exactly, with honest errors, and know whether the samples are genuine.",
    version=provenance.find_version,
    default_parameter=Parameter(negative=()),
    # Ctrl-C has its own exit status, see main.
    suppress_keyboard_interrupt=False,
)
app.command(data.app)
app.command(train.app)
app.command(judge.judge)
app.command(appraising.appraise)
app.command(generate.generate)


@app.command
def sample(
    action: str | None = None,
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[SampleOptions, _All] = SampleOptions(),  # noqa: B008 - frozen
) -> None:
    """Sample an action with a kernel and write run.h5; or carry on with --resume run.h5 --steps N.

    Parameters
    ----------
    action
        ising, potts, on, phi4 or spin-glass.
    """
    chosen, _ = options.settle(settings, config, word=("action", action))
    if "resume" in chosen:
        _resume(chosen, print_config)
    else:
        _sample(chosen, print_config)


def _sample(chosen: dict[str, Any], print_config: bool) -> None:
    from pyqmc_art.lattice import chain
    from pyqmc_art.lattice.actions import ACTIONS
    from pyqmc_art.lattice.observables import default_measure
    from pyqmc_art.monitor import choose_monitor

    full = {**DEFAULT_SAMPLE, **chosen}
    if "action" not in full:
        raise InputError(f"no action was given ({', '.join(ACTIONS)}); for instance pyqmc-art sample ising")
    if full["action"] not in ACTIONS:
        raise unknown("action", full["action"], ACTIONS)
    if "measure" not in chosen:
        full["measure"] = default_measure(full["action"])
    needed = {"shape": "64 64", "kernel": "metropolis"} | ({} if print_config else {"steps": "10000"})
    for key, example in needed.items():
        if key not in full:
            raise InputError(f"no {key} was given; for instance --{key} {example}")
    if len(full["boundary"]) == 1:
        full["boundary"] = full["boundary"][0]
    physics = {key: value for key, value in full.items() if key not in (*_RUN, "force", "backend", "threads")}
    load = partial(_load_model, full.get("threads"))
    kernel = chain.rebuild_kernel(physics, backend=full.get("backend"), threads=full.get("threads"), load=load)
    if print_config:
        print(options.as_toml({"action": full.pop("action"), **full}))
        return
    run = {key: full[key] for key in _RUN if key in full}
    force = bool(full.get("force"))
    _tell(chain.sample(kernel.action, kernel, **run, force=force, monitor=choose_monitor()))


def _resume(chosen: dict[str, Any], print_config: bool) -> None:
    from pyqmc_art.lattice import chain
    from pyqmc_art.monitor import choose_monitor
    from pyqmc_art.store.ensemble import open_ensemble

    path = chosen.pop("resume")
    free = {key: chosen.pop(key, None) for key in ("steps", "threads", "backend")}
    load = partial(_load_model, free["threads"])
    out = chosen.pop("out", path)
    chosen.pop("force", None)
    if out != path:
        raise InputError(f"--resume {path} carries on in the same file; leave out --out {out}")
    if chosen:
        chain.check_asked_for(open_ensemble(path).configuration, chosen, load)
    if print_config:
        stored = open_ensemble(path).configuration
        given = {key: value for key, value in free.items() if value is not None}
        print(options.as_toml({"resume": path, **stored, **given}))
        return
    _tell(chain.resume(path, **free, monitor=choose_monitor(), load=load))


def _load_model(threads: int | None, folder: Path, action: Any) -> Proposal:
    """Read a trained proposal; only then are its libraries needed."""
    try:
        from pyqmc_art.proposals.vae_models import load_model

        loaded: Proposal = load_model(folder, action, threads)
    except ImportError as reason:
        raise InputError(f"a trained model needs {reason.name}; pip install 'pyqmc-art[learn]'") from reason
    return loaded


def _tell(ensemble: Ensemble) -> None:
    """Print the summary of a run; one too short for errors is no failure."""
    from pyqmc_art.stats.autocorrelation import MINIMUM_MEASUREMENTS

    if ensemble.measurements < MINIMUM_MEASUREMENTS:
        where = "the run" if ensemble.path is None else str(ensemble.path)
        print(
            f"{where} has {ensemble.measurements} measurements in each replica; "
            f"errors need at least {MINIMUM_MEASUREMENTS}",
            file=sys.stderr,
        )
    else:
        print(ensemble.summary())


@app.command
def analyze(
    run: Path | None = None,
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[AnalyzeOptions, _All] = AnalyzeOptions(),  # noqa: B008 - frozen
) -> None:
    """Print value, error, tau_int, ESS and ESS/s of each observable of a run (Gamma method).

    Parameters
    ----------
    run
        File that ``sample`` wrote, or is still writing.
    """
    from pyqmc_art.store.ensemble import open_ensemble

    chosen, _ = options.settle(settings, config, word=("run", run))
    if "run" not in chosen:
        raise InputError("no run was given; for instance pyqmc-art analyze run.h5")
    if print_config:
        print(options.as_toml({**dataclasses.asdict(AnalyzeOptions()), **chosen}))
        return
    ensemble = open_ensemble(chosen["run"])
    text = json.dumps(ensemble.to_json(), indent=2, allow_nan=False) if chosen.get("json") else ensemble.summary()
    if "plot" in chosen:
        from pyqmc_art.report.figures import draw_file
        from pyqmc_art.report.run import describe_run

        draw_file(describe_run(ensemble), chosen["plot"])
        print(f"wrote {chosen['plot']}", file=sys.stderr)
    print(text)


@app.command
def verify(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[VerifyOptions, _All] = VerifyOptions(),  # noqa: B008 - frozen
) -> int:
    """Check every kernel on this machine against exact targets; exit status 1 if one fails."""
    chosen = VerifyOptions(**options.settle(settings, config)[0])
    if print_config:
        print(options.as_toml(dataclasses.asdict(chosen)))
        return 0
    from pyqmc_art.monitor import choose_monitor
    from pyqmc_art.testing.certificate import certify

    certificate = certify(all=chosen.all, seed=chosen.seed, monitor=choose_monitor())
    print(json.dumps(certificate.to_json(), indent=2) if chosen.json else certificate.render_text())
    return 0 if certificate.passed else 1


@app.command
def study(
    *names: str,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[StudyOptions, _All] = StudyOptions(),  # noqa: B008 - frozen
) -> None:
    """Answer a declared question and write DIR/index.html.

    Parameters
    ----------
    names
        ising-dynamics, phase-transition, universal-approximation, proposals, critical-slowing-down, mode-collapse,
        forged-fields, forgery, unseen-generators, unsupervised, leakage, confounds, synthesis, arms-race; several
        make one page.
    """
    from pyqmc_art.monitor import choose_monitor
    from pyqmc_art.report import page
    from pyqmc_art.studies import catalogue

    if not names:
        raise InputError(f"no study was named; known: {', '.join(sorted(catalogue.STUDIES))}")
    given, overrides = options.settle(settings, config, more=catalogue.keys(names))
    chosen = StudyOptions(**given)
    studies = [catalogue.configure(name, chosen.preset, overrides, options.parse) for name in names]
    if print_config:
        if len(studies) > 1:
            raise InputError(f"--print-config prints one study, but {len(names)} were named: {', '.join(names)}")
        print(options.as_toml({**dataclasses.asdict(chosen), **dataclasses.asdict(studies[0])}))
        return
    folder = chosen.out or Path("-".join(names))
    print(
        catalogue.run(studies, folder, seed=chosen.seed, force=chosen.force, monitor=choose_monitor(), write=page.write)
    )


@app.command
def demo(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[DemoOptions, _All] = DemoOptions(),  # noqa: B008 - frozen
) -> int:
    """Sample, verify and run the quick studies: one page that shows what this installation can do."""
    chosen = DemoOptions(**options.settle(settings, config)[0])
    if print_config:
        print(options.as_toml(dataclasses.asdict(chosen)))
        return 0
    from pyqmc_art.demo import run_demo
    from pyqmc_art.monitor import choose_monitor

    page, passed = run_demo(chosen.out, seed=chosen.seed, monitor=choose_monitor())
    print(page)
    return 0 if passed else 1


@app.command
def info(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[InfoOptions, _All] = InfoOptions(),  # noqa: B008 - frozen
) -> None:
    """Print versions, backends, instruction sets, threads and devices."""
    from pyqmc_art.ops import inventory

    chosen = InfoOptions(**options.settle(settings, config)[0])
    if print_config:
        print(options.as_toml(dataclasses.asdict(chosen)))
        return
    facts = {**provenance.collect(), **inventory.take()}
    if chosen.json:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f"{key:<{width}}  {', '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; exit status 0 done, 2 bad input, 3 interrupted and resumable, 1 anything else."""
    words = list(sys.argv[1:] if argv is None else argv)
    keep_freed_memory()
    try:
        status = app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except cyclopts.CycloptsError as error:
        command = " ".join(("pyqmc-art", *(error.command_chain or ())))
        where = " The settings of a study go into a file: --config FILE." if command.endswith(" study") else ""
        return _fail(f"{error}{where} See {command} --help", 2)
    except PyqmcError as error:
        return _fail(f"{error}", error.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was kept", 1)
    except BrokenPipeError:
        _silence_output()
        return 0
    except MemoryError:
        return _fail(
            "not enough memory for this; use a smaller lattice, fewer replicas, or --every for fewer measurements", 1
        )
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        return _fail(f"{error.name} is not installed; run: pip install 'pyqmc-art[art]'", 2)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _silence_output()
        return _fail(f"{error.strerror or error}{where}: input or output failed; make room or choose another place", 1)
    return status if isinstance(status, int) else 0


def _silence_output() -> None:
    """Point stdout elsewhere once whoever read it has gone, so that closing it does not complain again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.__stdout__.fileno() if sys.__stdout__ is not None else null)
    os.close(null)


def _fail(message: str, status: int) -> int:
    print(f"pyqmc-art: {' '.join(message.split())}", file=sys.stderr)
    return status
