"""The command ``pyqmc-art generate``: draws from a trained model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from pyqmc_art import options
from pyqmc_art.errors import InputError
from pyqmc_art.generate.flags import MOST, GenerateFlags, read_seeds
from pyqmc_art.generate.kinds import draw

_DEFAULTS: Final = GenerateFlags()


def generate(
    model: Path | None = None,
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[GenerateFlags, Parameter(name="*")] = _DEFAULTS,
) -> int:
    """Draw from a trained model into a folder: fields with their log weights, or pictures with a manifest.

    Parameters
    ----------
    model
        Directory that a training wrote.
    """
    given, _ = options.settle(settings, config, word=("model", model))
    chosen = dataclasses.replace(GenerateFlags(), **{key: value for key, value in given.items() if key != "model"})
    if "model" not in given:
        raise InputError("no model was given; for instance pyqmc-art generate model --n 30 --out draws")
    if chosen.out is None:
        raise InputError("no out was given; for instance --out draws")
    if (chosen.n is None) == (chosen.seeds is None):
        raise InputError("give either --n, for instance --n 30, or --seeds, for instance --seeds 0-29")
    if chosen.n is not None and not 1 <= chosen.n <= MOST:
        raise InputError(f"n is {chosen.n}; expected 1 to {MOST}")
    seeds = None if chosen.seeds is None else read_seeds(chosen.seeds)
    if print_config:
        print(options.as_toml({"model": Path(given["model"]), **dataclasses.asdict(chosen)}))
        return 0
    draw(Path(given["model"]), chosen, seeds)
    return 0
