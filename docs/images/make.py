"""Draw the picture of the README from real runs: python docs/images/make.py (about half a minute)."""

from __future__ import annotations

from pathlib import Path

import pyqmc_art as qa
from pyqmc_art.lattice.infinite import ISING_CRITICAL_BETA
from pyqmc_art.protocols import Curve, Figure, Panel, Picture
from pyqmc_art.report.figures import draw_file

SIZE = 128
EXTENTS = (8, 12, 16, 24, 32, 48)
STEPS = {"metropolis": 120_000, "swendsen-wang": 6_000, "wolff": 40_000}


def draw_configuration(beta: float) -> Picture:
    """One equilibrium configuration."""
    action = qa.Ising(qa.Lattice((SIZE, SIZE)), beta=beta)
    run = qa.sample(action, qa.SwendsenWang(action), steps=1, warmup=500, seed=3, save_every=1)
    return Picture(f"β = {beta:.4g}", run.fields[-1][0])


def measure_times(name: str) -> Curve:
    """tau_int of m^2 against L at the critical point, in steps."""
    times = []
    for extent in EXTENTS:
        action = qa.Ising(qa.Lattice((extent, extent)), beta=ISING_CRITICAL_BETA)
        kernel = qa.build(name, action)
        run = qa.sample(action, kernel, steps=STEPS[name], replicas=4, seed=5, measure=("magnetization2",))
        times.append(run.analyze()["magnetization2"])
    return Curve(name, EXTENTS, [t.tau_int for t in times], [t.tau_int_error for t in times])


def main() -> None:
    """Write sampling.png beside this file."""
    figure = Figure(
        "sampling",
        "",
        "",
        (
            *(draw_configuration(beta) for beta in (0.40, ISING_CRITICAL_BETA, 0.48)),
            Panel(
                "β = β_c",
                "L",
                "τ_int of m², in steps",
                tuple(measure_times(name) for name in STEPS),
                x_scale="log",
                y_scale="log",
            ),
        ),
    )
    draw_file(figure, Path(__file__).with_name("sampling.png"), dpi=120)


if __name__ == "__main__":
    main()
