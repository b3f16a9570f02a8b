"""The command ``pyqmc-art train flow``: proposals of fields."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pyqmc_art import options
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import choose_monitor
from pyqmc_art.train.flags import ALL, MANY, FieldFlags, needing, require, show

if TYPE_CHECKING:
    from pyqmc_art.proposals.shapes import FlowShape
    from pyqmc_art.proposals.training import FlowTraining, TrainedFlow


@dataclass(frozen=True, kw_only=True)
class FlowFlags(FieldFlags):
    """What ``train flow`` takes beside what all trainings on fields take.

    Parameters
    ----------
    anchor
        A documented training that sets all other options and says what to expect: 6x6, 8x8 or 14x14.
    action
        phi4.
    kind
        affine or spline couplings, or continuous.
    layers
        Couplings; of a continuous flow the steps of its integrator.
    hidden
        Widths of the hidden layers of each network.
    network
        conv or dense.
    bins
        Pieces of each spline, or sines of a continuous flow.
    fourier
        Train a spectrum before the first layer and one behind the last.
    no_symmetry
        Let the layers break phi -> -phi.
    mixture
        The density is the mean of the layers' own and of its mirror image.
    mass
        Squared mass of the free field it starts from; default: about as wide as the target.
    range_m2
        One flow for all m2 from the first number to the second.
    range_lam
        One flow for all lam from the first number to the second.
    train_batch_size
        Draws of one step.
    ema
        Decay of averaged weights, which are then the result.
    forward
        Share of the forward divergence, over fields of the target; 0 to 1.
    samples
        Fields of the target that hybrid Monte Carlo makes for it.
    data
        A run of sample with --save-every to take them from instead.
    path_gradient
        Follow the gradient along the paths of the draws alone.
    from_m2
        m2 of the first step; a ramp leads to --m2.
    from_lam
        lam of the first step; a ramp leads to --lam.
    ramp
        Share of the steps that the ramp takes.
    init
        A flow of the same layers and lattice whose weights are the first ones.
    draws
        By which the result is judged.
    """

    anchor: str | None = None
    action: str = "phi4"
    kind: str = "affine"
    layers: Annotated[int, options.WHOLE] = 8
    hidden: Annotated[tuple[int, ...], MANY, options.WHOLE] = (12, 12)
    network: str = "conv"
    bins: Annotated[int, options.WHOLE] = 8
    fourier: bool = False
    no_symmetry: bool = False
    mixture: bool = False
    mass: float | None = None
    range_m2: Annotated[tuple[float, ...] | None, MANY] = None
    range_lam: Annotated[tuple[float, ...] | None, MANY] = None
    ema: float | None = None
    forward: float = 0.0
    samples: Annotated[int, options.WHOLE] = 8192
    data: Path | None = None
    path_gradient: bool = False
    from_m2: float | None = None
    from_lam: float | None = None
    ramp: float = 0.5
    init: Path | None = None
    draws: Annotated[int, options.WHOLE] = 65_536


_FREE: Final = ("anchor", "out", "threads", "resume", "force", "device", "checkpoint_every")
"""Options beside which an anchor is still itself."""


def flow(
    *,
    config: options.ConfigFile = None,
    print_config: options.PrintConfig = False,
    settings: Annotated[FlowFlags, ALL] = FlowFlags(),
) -> int:
    """Train a flow that proposes fields: a model directory for sample --kernel flow, and how good it is."""
    given, _ = options.settle(settings, config)
    chosen = dataclasses.replace(FlowFlags(), **{**_of_anchor(given), **given})
    require(chosen, {"shape": "6 6", "m2": "-4", "lam": "8", "out": "model"})
    if chosen.action != "phi4":
        raise InputError(f"the action is {chosen.action!r}; flows are trained for phi4")
    if print_config:
        return show(chosen)
    changed = sorted(set(given) - set(_FREE))
    return _train_flow(chosen, changed)


def _of_anchor(given: dict[str, Any]) -> dict[str, Any]:
    if "anchor" not in given:
        return {}
    from pyqmc_art.proposals.anchors import find_anchor

    return dict(find_anchor(given["anchor"]).flags)


def _train_flow(chosen: FlowFlags, changed: list[str]) -> int:
    with needing("train flow", "learn"):
        from pyqmc_art.proposals.training import train_flow
    found = train_flow(
        chosen.scalar, _training(chosen), str(chosen.out), resume=chosen.resume, force=chosen.force,
        threads=chosen.cores, monitor=choose_monitor(),
    )  # fmt: skip
    _tell(found, chosen, changed)
    return 0


def _plan(chosen: FlowFlags) -> FlowShape:
    from pyqmc_art.proposals.shapes import FlowShape

    ranges = None
    if chosen.range_m2 is not None or chosen.range_lam is not None:
        m2, lam = chosen.m2 or 0.0, chosen.lam or 0.0
        ends = {"m2": chosen.range_m2 or (m2, m2), "lam": chosen.range_lam or (lam, lam)}
        for name, pair in ends.items():
            if len(pair) != 2:
                raise InputError(f"range-{name} has {len(pair)} numbers; expected two, for instance -5 -3")
        ranges = ((ends["m2"][0], ends["m2"][1]), (ends["lam"][0], ends["lam"][1]))
    return FlowShape(
        chosen.layers, chosen.hidden, chosen.network, not (chosen.no_symmetry or chosen.mixture), chosen.mass,
        chosen.kind, chosen.bins, chosen.fourier, chosen.mixture, ranges,
    )  # fmt: skip


def _training(chosen: FlowFlags) -> FlowTraining:
    from pyqmc_art.proposals.training import FlowTraining

    begin = {"m2": chosen.from_m2, "lam": chosen.from_lam}
    return FlowTraining(
        _plan(chosen), chosen.steps, chosen.train_batch_size, chosen.learning_rate, chosen.draws, chosen.seed,
        chosen.checkpoint_every, chosen.device, chosen.ema, chosen.forward, chosen.samples,
        None if chosen.data is None else str(chosen.data), chosen.path_gradient,
        {name: value for name, value in begin.items() if value is not None}, chosen.ramp,
        None if chosen.init is None else str(chosen.init),
    )  # fmt: skip


def _tell(found: TrainedFlow, chosen: FlowFlags, changed: list[str]) -> None:
    print(f"{found.weights}\nln Z is not below {found.weights.lower_bound} (mean of the log weights)")
    for warning in found.weights.log_partition.warnings:
        print(f"pyqmc-art: {warning}", file=sys.stderr)
    print(f"trained in {found.seconds:.0f} s")
    if chosen.anchor is not None and not changed:
        from pyqmc_art.proposals.anchors import find_anchor

        print(find_anchor(chosen.anchor).compare(found.weights.acceptance))
    elif chosen.anchor is not None:
        print(f"not the anchor {chosen.anchor}, because of --{' --'.join(changed)}: nothing is expected of it")
    print(f"wrote {chosen.out}")
