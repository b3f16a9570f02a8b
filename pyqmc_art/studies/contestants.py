"""The kernels that race on one phi^4 target: how each is set up, and what it costs to train those that learn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyqmc_art.errors import InputError
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.blocked import Blocked
from pyqmc_art.lattice.kernels.compose import Composition, build
from pyqmc_art.lattice.kernels.field_vae import VaeLocal
from pyqmc_art.lattice.kernels.independence import Independence
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.rng import Stream

M2: Final = -4.0
"""Mass term of all targets, convention A."""

DIAGONAL: Final = {6: 6.975, 8: 6.008, 10: 5.55, 12: 5.276, 14: 5.113, 20: 4.807, 32: 4.572, 64: 4.398}
"""L -> lam at which the correlation length is L / 4 (Albergo, Kanwar, Shanahan, Phys. Rev. D 100 (2019) 034515)."""

BLOCK: Final = 4
"""Wanted side of the blocks of domain-wise updates; it must divide L / 2."""

FEW: Final = 16
"""Chains side by side of compiled kernels."""

HALF: Final = 32
"""Of updates by blocks, each of which is a batch in itself."""

MANY: Final = 64
"""Of other kernels whose every call has its price."""

DEEP: Final = 12
"""Lattice size from which on a flow gets twelve couplings and not eight."""


@dataclass(frozen=True)
class Lessons:
    """How long the learned kernels train.

    Parameters
    ----------
    flow, blocks, local : steps of the optimiser for the flow, the flow of blocks and the local updates
    """

    flow: int
    blocks: int
    local: int


@dataclass(frozen=True)
class Entrant:
    """A kernel ready to race.

    Attributes
    ----------
    kernel : built for one thread
    training : CPU-seconds of its training; None for a kernel that learns nothing
    weights : bytes of its trained weights
    """

    kernel: Any
    training: float | None = None
    weights: int = 0


Teach = Callable[[Phi4, Lessons, Stream, bool], Entrant]


@dataclass(frozen=True)
class Contestant:
    """One way of updating a phi^4 field.

    Attributes
    ----------
    label : its name in tables and figures
    price : rough cost of an update of a site in units of a Metropolis update: how its budget is shared out
    chains : how many run side by side
    prepare : builds it for an action, training it first if it learns; the last argument says whether the symmetry of
        the target is broken
    learns : whether it is trained
    flow : whether it needs the flow of the whole lattice, whose training is the longest
    """

    label: str
    price: float
    chains: int
    prepare: Teach
    learns: bool = False
    flow: bool = False


def diagonal_action(size: int) -> Phi4:
    """The target on L x L whose correlation length is L / 4.

    Raises
    ------
    InputError
        For a size whose coupling is not known.

    Examples
    --------
    >>> diagonal_action(8).lam
    6.008
    """
    if size not in DIAGONAL:
        raise InputError(
            f"the coupling with L / xi = 4 is not known for L = {size}; expected {', '.join(map(str, DIAGONAL))}"
        )
    return Phi4(Lattice((size, size)), M2, DIAGONAL[size])


def tune_hmc(size: int) -> dict[str, Any]:
    """Options of hybrid Monte Carlo on L x L: a trajectory as long as the correlation length, L / 4.

    The step shrinks as L^(-1/2), so that the energy error of a second-order integrator stays about the same.
    """
    length = size / 4
    step = min(0.22, 0.18 * math.sqrt(14 / size))
    return {
        "trajectory": length, "md_steps": max(3, round(length / step)), "integrator": "omelyan2", "randomise": 0.3
    }  # fmt: skip


def find_block(size: int) -> int:
    """Side of the blocks on L x L: the divisor of L / 2 nearest to four.

    Examples
    --------
    >>> [find_block(size) for size in (6, 8, 14, 20)]
    [3, 4, 7, 5]
    """
    half = size // 2
    return min((b for b in range(2, half + 1) if half % b == 0), key=lambda b: (abs(b - BLOCK), -b))


def _named(name: str, options: Callable[[int], Mapping[str, Any]] = lambda size: {}) -> Teach:
    def prepare(action: Phi4, lessons: Lessons, stream: Stream, broken: bool) -> Entrant:
        return Entrant(build(name, action, options(action.lattice.shape[0]), threads=1))

    return prepare


def _fourier(size: int) -> dict[str, Any]:
    """All modes of a free field of this correlation length move alike; the step shrinks as that of plain HMC does."""
    length, step = 2.5, 0.18 * min(1.0, math.sqrt(10 / size))
    return {
        "trajectory": length, "md_steps": round(length / step), "integrator": "leapfrog", "randomise": 0.3,
        "acceleration": 16 / size**2,
    }  # fmt: skip


def train_contestant_flow(action: Phi4, lessons: Lessons, stream: Stream, broken: bool) -> Entrant:
    """Train a flow of the whole lattice by the reverse divergence with path gradients.

    Where the symmetry is broken it is a mixture of a flow and its mirror image: layers that commute with
    phi -> -phi would have to tear one peak in two.
    """
    from pyqmc_art.proposals.flow import FlowShape
    from pyqmc_art.proposals.training import FlowTraining, train_flow

    layers = 12 if action.lattice.shape[0] >= DEEP else 8
    plan = FlowShape(layers, fourier=True, equivariant=not broken, mixture=broken)
    training = FlowTraining(
        plan, steps=lessons.flow, learning_rate=6e-3, path_gradient=True, draws=2048, seed=_seed(stream), device="cpu"
    )  # fmt: skip
    begun = time.process_time()
    flow = train_flow(action, training, threads=1).flow
    return Entrant(Independence(action, flow, "flow"), time.process_time() - begun, _weigh(flow))


def with_hmc(entrant: Entrant) -> Entrant:
    """Compose a flow with hybrid Monte Carlo: a global proposal, then a trajectory, in every step."""
    action = entrant.kernel.action
    hmc = build("hmc", action, tune_hmc(action.lattice.shape[0]), threads=1)
    return Entrant(Composition([(1, entrant.kernel), (1, hmc)]), entrant.training, entrant.weights)


def _blocked(action: Phi4, lessons: Lessons, stream: Stream, broken: bool) -> Entrant:
    from pyqmc_art.proposals.block_flow import BlockShape
    from pyqmc_art.proposals.block_training import BlockTraining, train_block_flow

    side = find_block(action.lattice.shape[0])
    training = BlockTraining(
        BlockShape((side, side)), fields=128, steps=lessons.blocks, seed=_seed(stream), device="cpu"
    )  # fmt: skip
    begun = time.process_time()
    flow = train_block_flow(action, training, threads=1).flow
    flow.threads = 1
    return Entrant(Blocked(action, flow, "blocked-flow"), time.process_time() - begun, _weigh(flow))


def _local(action: Phi4, lessons: Lessons, stream: Stream, broken: bool) -> Entrant:
    from pyqmc_art.proposals.vae import VaeShape
    from pyqmc_art.proposals.vae_models import export_network
    from pyqmc_art.proposals.vae_training import VaeTraining, train_vae

    plan = VaeShape((1, 1), 0, (4,))
    begun = time.process_time()
    training = VaeTraining(plan, fields=128, steps=lessons.local, seed=_seed(stream), device="cpu")
    vae = train_vae(action, training, threads=1).vae
    spent = time.process_time() - begun
    return Entrant(VaeLocal(action, network=export_network(vae), block=plan.block, threads=1), spent, _weigh(vae))


def _seed(stream: Stream) -> int:
    return stream.key >> 2


def _weigh(model: Any) -> int:
    return sum(p.numel() * p.element_size() for p in model.parameters())


METROPOLIS: Final = Contestant("Metropolis", 1, FEW, _named("metropolis"))
HEAT_BATH: Final = Contestant("heat bath", 2.5, FEW, _named("heat-bath"))
CLUSTER: Final = Contestant("clusters", 3, MANY, _named("metropolis+swendsen-wang"))
HMC: Final = Contestant("HMC", 1, FEW, _named("hmc", tune_hmc))
FOURIER: Final = Contestant("Fourier HMC", 300, 4, _named("hmc", _fourier))
FLOW: Final = Contestant("flow", 60, MANY, train_contestant_flow, learns=True, flow=True)
BLOCKED: Final = Contestant("blocked flow", 100, HALF, _blocked, learns=True)
FLOW_HMC: Final = Contestant("flow + HMC", 120, MANY, train_contestant_flow, learns=True, flow=True)
VAE_LOCAL: Final = Contestant("VAE-local", 1, FEW, _local, learns=True)

CONTESTANTS: Final = (METROPOLIS, HEAT_BATH, CLUSTER, HMC, FOURIER, FLOW, BLOCKED, FLOW_HMC, VAE_LOCAL)
