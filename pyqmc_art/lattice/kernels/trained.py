"""What kernels with a trained model share: the model is read from its directory, and a run stays with its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from pyqmc_art.errors import InputError

Load: TypeAlias = Callable[[Path, Any], Any]
"""Reads a directory for an action; whoever builds a kernel hands it in, for models live above this layer."""


def load_model(
    kernel: str,
    load: Load | None,
    model: str | Path,
    digest: str,
    action: Any,
    *,
    trainer: str,
    instead: str,
    needs: tuple[str, ...],
) -> tuple[Any, dict[str, str]]:
    """Read the model of a kernel that ``--model DIR`` builds.

    Parameters
    ----------
    kernel : its name
    load : reads a directory
    model : the directory
    digest : of the weights that a run was started with; empty for a new run
    action : the target
    trainer : the command that writes such directories
    instead : what to write in Python, where a kernel takes its model and no directory
    needs : what a model of this kind has and others lack

    Returns
    -------
    The model, and what the kernel's configuration says of it: the directory and the digest of its weights.

    Raises
    ------
    InputError
        Without a model or a loader, for a model of another kind, or one that the run was not started with.
    """
    if not str(model):
        raise InputError(f"the kernel {kernel!r} needs a model: --model DIR, as {trainer} writes it")
    if load is None:
        raise InputError(
            f"the kernel {kernel!r} is built from a directory by the command line; in Python give {instead}"
        )
    loaded = load(Path(model), action)
    found = str(getattr(loaded, "digest", ""))
    if digest and digest != found:
        raise InputError(
            f"the model {model} has other weights than the run was started with (digest {digest} -> {found}); "
            "bring back the old one, or start a new run"
        )
    if not all(hasattr(loaded, name) for name in needs):
        raise InputError(f"{model} holds no model for the kernel {kernel!r}; give a directory that {trainer} wrote")
    return loaded, {"model": str(Path(model).resolve()), "model_digest": found}
