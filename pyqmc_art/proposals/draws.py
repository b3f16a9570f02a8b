"""Independent draws of a flow with their log weights, as a run file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.proposals.flow import Flow
from pyqmc_art.proposals.models import describe_action
from pyqmc_art.protocols import Draw, Monitor
from pyqmc_art.rng import STREAM_VERSION, Stream
from pyqmc_art.stats.importance import Weights, summarize_weights
from pyqmc_art.store.checkpoint import Checkpoint
from pyqmc_art.store.provenance import collect
from pyqmc_art.store.writer import EnsembleWriter

FILE: Final = "fields.h5"
_BLOCK: Final = 4096


def draw_fields(flow: Flow, n: int, seed: int, seeds: Sequence[int] | None = None) -> Iterator[Draw]:
    """Draw fields in blocks.

    Parameters
    ----------
    n : draws, all from ``seed``; the first k of n are those of k
    seeds : in their place one draw of each; a seed always gives the same draw
    """
    if seeds is not None:
        for first in range(0, len(seeds), _BLOCK):
            single = [flow.draw(Stream.from_seed(s).fold("generate"), 1) for s in seeds[first : first + _BLOCK]]
            yield Draw(np.concatenate([d.field for d in single]), None, np.concatenate([d.log_ratio for d in single]))
        return
    stream = Stream.from_seed(seed).fold("generate")
    for first in range(0, n, _BLOCK):
        yield flow.draw(stream.shifted(first), min(_BLOCK, n - first))


def write_draws(
    folder: Path,
    flow: Flow,
    blocks: Iterator[Draw],
    count: int,
    *,
    seed: int = 0,
    force: bool = False,
    monitor: Monitor | None = None,
) -> tuple[Path, Weights | None]:
    """Write draws to ``folder/fields.h5``: /fields, and the series log_weight = -S - log q and action = S.

    Parameters
    ----------
    folder : made if it is not there
    blocks : what :func:`draw_fields` yields, ``count`` draws in all
    seed : of the decisions behind the acceptance that is told
    force : replace the file

    Returns
    -------
    The file, and what the weights say; None for a single draw.

    Raises
    ------
    InputError
        If there is such a file already, or the folder is none.
    StoreError
        If the disk refuses.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a folder to write {FILE} into")
    folder.mkdir(parents=True, exist_ok=True)
    target, action, logs = folder / FILE, flow.action, []
    told: dict[str, Any] = {**describe_action(action), "kernel": "draws", "measure": ["log_weight", "action"]}
    origin = {**collect(), "seed": seed, "model_digest": flow.digest, "stream_version": STREAM_VERSION}
    rows: dict[str, tuple[int, ...]] = {"log_weight": (1,), "action": (1,)}
    writer = EnsembleWriter.create(
        target, configuration=told, provenance=origin, series=rows,
        fields=((1, *action.lattice.shape), np.float64), state=Checkpoint(0), force=force,
    )  # fmt: skip
    done, monitor = 0, monitor or Silent()
    monitor.start("draws", count)
    with writer:
        for block in blocks:
            values = action(block.field)
            weight = -values - block.log_ratio
            done += len(values)
            series: dict[str, NDArray[np.float64]] = {"log_weight": weight[:, None], "action": values[:, None]}
            writer.append(series, block.field[:, None], Checkpoint(done, {}, done, done))
            logs.append(weight)
            monitor.advance(len(values))
    monitor.finish()
    if count < 2:
        return target, None
    chance = Stream.from_seed(seed).fold("judge").uniform("user", np.arange(count), 1)[0]
    return target, summarize_weights(np.concatenate(logs), chance)
