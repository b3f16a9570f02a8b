"""The options of ``sample``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pyqmc_art.options import MANY, WHOLE


@dataclass(frozen=True)
class SampleOptions:
    """What ``sample`` takes; None means the default, or with ``--resume`` what the file says.

    Parameters
    ----------
    shape
        Extents of the lattice, for instance 64 64.
    lattice
        square, triangular, honeycomb or hypercubic.
    boundary
        periodic or open: one for all axes, or one for each.
    beta
        Inverse temperature.
    J
        Coupling; ferromagnetic when positive.
    h
        External field (ising).
    q
        Number of colours (potts).
    n
        Number of components (on).
    m2
        Squared bare mass (phi4).
    lam
        Quartic coupling (phi4).
    convention
        A, B, C or D: normalization of the field (phi4).
    disorder
        bimodal or gaussian: what the couplings are drawn from (spin-glass).
    disorder_seed
        Of the couplings, 0 to 2^53; independent of --seed (spin-glass).
    kernel
        metropolis, heat-bath, overrelaxation, swendsen-wang, wolff, hmc, flow, constrained or tempering, joined by +
        and with counts: metropolis+2*wolff.
    clusters
        Clusters in one step (wolff).
    magnetization
        The magnetization that is kept (constrained).
    exchange
        long-range, local or mixed (constrained).
    trajectory
        Length of a trajectory (hmc).
    md_steps
        Integration steps in a trajectory (hmc).
    integrator
        leapfrog, omelyan2 or omelyan4 (hmc).
    randomise
        Lengths vary by this fraction (hmc).
    acceleration
        Squared mass of Fourier acceleration; default none (hmc).
    ladder
        Betas of the rungs (tempering), or values of --parameter.
    parameter
        Coupling of the ladder: beta; for phi4 m2 or lam (tempering).
    inner
        Kernel on each rung (tempering).
    model
        Model directory (flow).
    steps
        Steps behind the warm-up; with --resume the new total.
    warmup
        Steps before the first measurement, not stored.
    every
        Measure after every so many steps.
    save_every
        Keep the fields after every so many steps, a multiple of --every.
    replicas
        Independent chains.
    seed
        Of all random numbers, 0 to 2^63 - 1.
    measure
        Names of observables.
    start
        hot or cold.
    threads
        Default: OMP_NUM_THREADS, or else all cores. The results do not depend on it.
    backend
        cpp, numba or python. The results do not depend on it.
    out
        File to write (HDF5).
    resume
        File to carry on with.
    force
        Replace an existing file.
    """

    shape: Annotated[tuple[int, ...] | None, MANY, WHOLE] = None
    lattice: str | None = None
    boundary: Annotated[tuple[str, ...] | None, MANY] = None
    beta: float | None = None
    J: Annotated[float | None, Parameter(name="--J")] = None
    h: Annotated[float | None, Parameter(name="--h")] = None
    q: Annotated[int | None, Parameter(name="--q", converter=WHOLE.converter)] = None
    n: Annotated[int | None, Parameter(name="--n", converter=WHOLE.converter)] = None
    m2: float | None = None
    lam: float | None = None
    convention: str | None = None
    disorder: str | None = None
    disorder_seed: Annotated[int | None, WHOLE] = None
    kernel: str | None = None
    trajectory: float | None = None
    md_steps: Annotated[int | None, WHOLE] = None
    integrator: str | None = None
    randomise: float | None = None
    acceleration: float | None = None
    clusters: Annotated[int | None, WHOLE] = None
    magnetization: float | None = None
    exchange: str | None = None
    ladder: Annotated[tuple[float, ...] | None, MANY] = None
    parameter: str | None = None
    inner: str | None = None
    model: Path | None = None
    steps: Annotated[int | None, WHOLE] = None
    warmup: Annotated[int | None, WHOLE] = None
    every: Annotated[int | None, WHOLE] = None
    save_every: Annotated[int | None, WHOLE] = None
    replicas: Annotated[int | None, WHOLE] = None
    seed: Annotated[int | None, WHOLE] = None
    measure: Annotated[tuple[str, ...] | None, MANY] = None
    start: str | None = None
    threads: Annotated[int | None, WHOLE] = None
    backend: str | None = None
    out: Path | None = None
    resume: Path | None = None
    force: bool = False
