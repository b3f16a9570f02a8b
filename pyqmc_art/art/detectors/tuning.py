"""Training a network as a whole: first on proxies if so wished, then on everything, stopped early by held-out works."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pyqmc_art.art.detectors.backbones import find_preset
from pyqmc_art.art.detectors.features import FeatureTable, Floats
from pyqmc_art.art.detectors.heads import Head, assign_folds, balance_classes, count_works
from pyqmc_art.art.detectors.network import NetworkExtractor, PooledNetwork, dense_head, normalise
from pyqmc_art.errors import InputError
from pyqmc_art.learning.fit import fit
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.schedules import Shuffled
from pyqmc_art.protocols import Monitor, PatchSpec
from pyqmc_art.rng import Stream

HELD_OUT: Final = 6
"""One in so many works decides when to stop and is not trained on."""


@dataclass(frozen=True)
class TuneOptions:
    """How a network is trained as a whole; None takes the preset of the network.

    Parameters
    ----------
    epochs : passes over all patches, in each phase
    learning_rate, batch : of the preset: 1e-5 and 32
    schedule, warmup : see :class:`pyqmc_art.learning.schedules.Schedule`
    patience : epochs without improvement on held-out works after which to stop; 0 never stops and holds nothing out
    ema, precision, device, checkpoint_every : see :class:`FitOptions`
    """

    epochs: int = 10
    learning_rate: float | None = None
    batch: int | None = None
    schedule: str = "cosine"
    warmup: int = 0
    patience: int = 3
    ema: float | None = None
    precision: str = "no"
    device: str = "auto"
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        limits = (("epochs", self.epochs, 1), ("batch", self.batch, 1), ("patience", self.patience, 0))
        for name, value, least in limits:
            if value is not None and value < least:
                raise InputError(f"{name} is {value}; expected at least {least}")

    def fit_options(self, name: str, patches: int) -> FitOptions:
        """Options of the training loop for so many patches."""
        preset = find_preset(name)
        epoch = math.ceil(patches / (self.batch or preset.batch))
        return FitOptions(
            steps=self.epochs * epoch, learning_rate=self.learning_rate or preset.learning_rate,
            schedule=self.schedule, warmup=self.warmup, ema=self.ema, precision=self.precision, device=self.device,
            checkpoint_every=self.checkpoint_every, log_every=1, evaluate_every=epoch if self.patience else 0,
            patience=self.patience,
        )  # fmt: skip


def hold_out_works(
    works: Sequence[str], labels: ArrayLike, stream: Stream, groups: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Choose the pictures that decide when to stop: whole works, a sixth of each class; none if works are too few."""
    parts = min(HELD_OUT, *count_works(works, labels))
    if parts < 2:
        return np.zeros(len(works), bool)
    return np.asarray(assign_folds(works, labels, stream.fold("held out"), parts, groups) == 0)


def tune_network(
    extractor: NetworkExtractor,
    patches: FeatureTable,
    labels: ArrayLike,
    options: TuneOptions,
    stream: Stream,
    *,
    first: ArrayLike | None = None,
    groups: Sequence[str] | None = None,
    out: Path | None = None,
    resume: bool = False,
    monitor: Monitor | None = None,
) -> tuple[NetworkExtractor, Head]:
    """Train backbone and one dense output by weighted binary cross-entropy; the given extractor stays as it is.

    Parameters
    ----------
    extractor : where to start
    patches : of the training pictures, from :class:`pyqmc_art.art.detectors.features.Pixels`
    labels : of the pictures, true for the hand
    options : how
    stream : of the order of the patches, of dropout and of the held-out works
    first : pictures of a first phase (originals and proxies), as booleans; None has one phase
    groups : sublabel of each picture, spread evenly over the held-out works
    out : folder of checkpoints and logs, one sub-folder a phase
    resume : go on from there
    monitor : what a person sees

    Returns
    -------
    the trained extractor and its head
    """
    truth = np.asarray(labels, bool)
    network = PooledNetwork(copy.deepcopy(extractor.backbone), extractor.channels)
    with torch.random.fork_rng([]):
        torch.manual_seed(stream.fold("dense").key)
        network.dense.reset_parameters()
    held = hold_out_works(patches.works, truth, stream, groups) if options.patience else np.zeros(len(truth), bool)
    phases = [("pre-training", np.asarray(first, bool))] if first is not None else []
    for name, members in [*phases, ("tuning", np.ones(len(truth), bool))]:
        _run_phase(
            name, network, extractor, patches, truth, members, held, options, stream.fold(name),
            None if out is None else out / name, resume, monitor,
        )  # fmt: skip
    trained = replace(extractor, backbone=network.backbone.cpu().eval(), source=f"{extractor.source}, tuned")
    return trained, dense_head(network.dense.cpu())


def _run_phase(
    name: str, network: PooledNetwork, extractor: NetworkExtractor, patches: FeatureTable, truth: NDArray[np.bool_],
    members: NDArray[np.bool_], held: NDArray[np.bool_], options: TuneOptions, stream: Stream, out: Path | None,
    resume: bool, monitor: Monitor | None,
) -> None:  # fmt: skip
    train, rest = np.flatnonzero(members & ~held), np.flatnonzero(members & held)
    table, spec = patches.take(train), extractor.spec
    rows = table.row_weights() * balance_classes(truth[train], table.works)[table.owners]
    # The mean weight of a patch is 1, so that the learning rate means the same for any pyramid.
    weights = torch.from_numpy((rows * len(rows) / rows.sum()).astype(np.float32))
    targets = torch.from_numpy(truth[train][table.owners].astype(np.float32))
    chosen = options.fit_options(extractor.name, len(rows))
    order = Shuffled(len(rows), options.batch or find_preset(extractor.name).batch, stream.fold("order"))
    held_table = patches.take(rest)
    both = bool(rest.size) and 0 < truth[rest].sum() < rest.size
    if not both:
        chosen = replace(chosen, evaluate_every=0, patience=0)

    def batches(number: int) -> tuple[Tensor, Tensor, Tensor]:
        index = order(number)
        return normalise(table.values[index], spec), targets[index], weights[index]

    def evaluate(model: nn.Module) -> float:
        scores = held_table.pool(patch_logits(model, held_table.values, spec))
        return -balanced_loss(scores, truth[rest], held_table.works)

    fit(
        network, _weighted_loss, batches, chosen, stream=stream, out=out, resume=resume,
        evaluate=evaluate if both else None, monitor=monitor, label=name,
    )  # fmt: skip


def balanced_loss(scores: ArrayLike, labels: ArrayLike, works: Sequence[str]) -> float:
    """Mean log-loss of works, both classes counting equally."""
    truth = np.asarray(labels, bool)
    weights = balance_classes(truth, works)
    margins = np.where(truth, 1, -1) * np.asarray(scores, np.float64)
    return float(weights @ np.logaddexp(0, -margins) / weights.sum())


def patch_logits(network: nn.Module, patches: NDArray[np.uint8], spec: PatchSpec, chunk: int = 32) -> Floats:
    """Log-odds of patches by a network that ends in one output, in pieces of bounded size."""
    device = next(network.parameters()).device
    parts = [np.empty(0)]
    with torch.no_grad():
        for start in range(0, len(patches), chunk):
            images = normalise(patches[start : start + chunk], spec).to(device)
            parts.append(network(images).double().cpu().numpy())
    return np.concatenate(parts)


def _weighted_loss(network: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    images, targets, weights = batch
    return binary_cross_entropy_with_logits(network(images), targets, weight=weights)
