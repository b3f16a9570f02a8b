"""Learned local updates beside the others: effective measurements for each CPU-second, training counted apart.

Run ``python -m benchmarks.local_updates`` for the table of docs/theory/local-updates.md; ``--seconds`` is the CPU time
spent on every kernel.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pyqmc_art as qa
from pyqmc_art.lattice.kernels.blocked import Blocked
from pyqmc_art.lattice.kernels.compose import build
from pyqmc_art.lattice.observables import find
from pyqmc_art.proposals.block_flow import BlockShape
from pyqmc_art.proposals.block_training import BlockTraining, train_block_flow
from pyqmc_art.proposals.vae import VaeShape
from pyqmc_art.proposals.vae_models import export_network
from pyqmc_art.proposals.vae_training import VaeTraining, train_vae
from pyqmc_art.rng import Stream
from pyqmc_art.stats.autocorrelation import gamma_method

TARGETS: Final[tuple[Any, ...]] = (
    qa.Phi4(qa.Lattice((8, 8)), -4.0, 6.008),
    qa.Phi4(qa.Lattice((20, 20)), -4.0, 4.807),
    qa.Phi4(qa.Lattice((8, 8, 8)), -4.0, 9.0),
    qa.Phi4(qa.Lattice((6, 6, 6, 6)), -4.0, 14.0),
    qa.ON(qa.Lattice((16, 16)), 2, 0.9),
)
"""Two and more dimensions, all on the symmetric side; in the first two the correlation length is L/4."""

_MD_STEPS: Final = {2: 10, 3: 14, 4: 20}
_CHAINS: Final = 4
_MANY_CHAINS: Final = 64
"""For what runs in torch, where every call has its price."""
_WARMUP: Final = 200


@dataclass(frozen=True)
class Line:
    """One kernel on one target: what it costs and what it gives."""

    kernel: str
    acceptance: float | None
    ns_per_site: float
    tau: float
    tau_error: float
    per_second: float
    per_second_error: float
    training: float


def measure(action: Any, kernel: Any, seconds: float, seed: int, training: float = 0.0, chains: int = _CHAINS) -> Line:
    """Run a kernel for about so many CPU-seconds and measure the squared mean field, its slowest mode."""
    stream = Stream.from_seed(seed)
    state = kernel.init(kernel.start(stream, chains))
    warm = kernel.warming() if hasattr(kernel, "warming") else kernel
    state, _, _ = warm.advance(stream, state, _WARMUP)
    begun = time.process_time()
    state, _, _ = kernel.advance(stream, state, 20)
    steps = max(200, int(seconds * 20 / max(1e-4, time.process_time() - begun)))
    begun = time.process_time()
    state, series, info = kernel.advance(stream, state, steps, 1, find(("magnetization",)))
    spent = time.process_time() - begun
    found = gamma_method(series["magnetization"] ** 2)
    tau, error = float(found.tau_int or 0.5), float(found.tau_int_error or 0.0)
    rate = float(found.ess or 0.0) / spent
    sites = chains * steps * action.lattice.sites
    accepted = next((value for key, value in info.items() if key.endswith("acceptance")), None)
    return Line(kernel.name, accepted, 1e9 * spent / sites, tau, error, rate, rate * error / tau, training)


def compare(action: Any, seconds: float, seed: int) -> Iterator[Line]:
    """Yield a line for every local kernel, and HMC beside them."""
    is_vector = isinstance(action, qa.ON)
    names = ["metropolis", "heat-bath"] + (["heat-bath+4*overrelaxation"] if is_vector else ["hmc"])
    options = {"md_steps": _MD_STEPS[action.lattice.dimension], "randomise": 0.3}
    for name in names:
        yield measure(action, build(name, action, options if name == "hmc" else {}, threads=1), seconds, seed)
    one, dimension = (1,) * action.lattice.dimension, action.lattice.dimension
    two = (2, 2, *one[2:]) if dimension > 1 else (2,)
    for plan in (VaeShape(one, 0, (4,)), VaeShape(one, 1, (6,)), VaeShape(two, 4, (24,))):
        if any(n % (2 * b) for n, b in zip(action.lattice.shape, plan.block, strict=True)):
            continue
        begun = time.process_time()
        found = train_vae(action, VaeTraining(plan, seed=seed, device="cpu"), threads=1)
        training = time.process_time() - begun
        kernel: Any = qa.VaeLocal(action, network=export_network(found.vae), block=plan.block, threads=1)
        line = measure(action, kernel, seconds, seed, training)
        label = f"vae-local, block {'x'.join(map(str, plan.block))}, {plan.latents} latents"
        yield replace(line, kernel=label)
    if not is_vector and dimension == 2:
        yield measure_blocks(action, seconds, seed)


def measure_blocks(action: Any, seconds: float, seed: int) -> Line:
    """Train a flow of blocks of about four by four sites, and measure the domain-wise updates."""
    block = tuple(4 if n % 8 == 0 else 5 for n in action.lattice.shape)
    begun = time.process_time()
    found = train_block_flow(action, BlockTraining(BlockShape(block), seed=seed, device="cpu"), threads=1)
    training = time.process_time() - begun
    return replace(
        measure(action, Blocked(action, found.flow), seconds, seed, training, _MANY_CHAINS),
        kernel=f"blocked-flow, block {'x'.join(map(str, block))}",
    )


def main() -> None:
    """Print a table for every target, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for action in TARGETS:
        shape = "x".join(map(str, action.lattice.shape))
        print(f"\n**{action.name}** {shape}, {', '.join(f'{k} {v}' for k, v in action.couplings().items())}\n")
        print(
            "| kernel | accepted | ns per site, step | tau of M^2, steps | effective M^2 per CPU-s | training, CPU-s |"
        )
        print("|---|---|---|---|---|---|")
        for line in compare(action, chosen.seconds, chosen.seed):
            rate, tau = qa.Estimate(line.per_second, line.per_second_error), qa.Estimate(line.tau, line.tau_error)
            accepted = "-" if line.acceptance is None else f"{line.acceptance:.3f}"
            training = f"{line.training:.1f}" if line.training else "-"
            print(f"| {line.kernel} | {accepted} | {line.ns_per_site:.0f} | {tau} | {rate} | {training} |", flush=True)


if __name__ == "__main__":
    main()
