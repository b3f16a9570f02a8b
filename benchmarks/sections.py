"""The tables of the page: their titles, their order, and what is said under each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Section:
    """One table.

    Parameters
    ----------
    title, text : its heading, and what is said under it
    rate : figures are units of work per ns, not ns for each unit
    scale : factor of the figures that are shown
    """

    title: str
    text: str
    rate: bool = False
    scale: float = 1.0


SECTIONS: Final[Mapping[str, Section]] = {
    "metropolis": Section("Metropolis", "Spin updates per ns.", rate=True),
    "heat-bath": Section("Heat bath", "Spin updates per ns.", rate=True),
    "swendsen-wang": Section("Swendsen-Wang", "ns per site, for bonds, clusters and flips together."),
    "wolff": Section("Wolff", "ns per flipped site."),
    "constrained": Section("Exchange at fixed magnetization", "ns per attempted exchange."),
    "effective": Section(
        "Cost of an effective sample",
        "Microseconds of one core for each effective sample of m² at the critical coupling, with the standard error "
        "that the autocorrelation time has; measurements included, the start not. An effective sample is 2 tau_int "
        "steps. *byte by byte* is the Metropolis sweep with a byte for each spin; multi-spin does the same updates, 64 "
        "to a word. Tempering pays for all rungs of its ladder and uses the critical one. A dash: fewer effective "
        "samples in the time given than an estimate of tau_int needs.",
        scale=1e-3,
    ),
    "hmc": Section(
        "HMC of phi^4",
        "Microseconds of one core for each effective sample of M, with the standard error that the autocorrelation "
        "time has, at the couplings where the lattice is four correlation lengths wide. *numpy by hand* is "
        "`benchmarks/numpy_by_hand.py`, vectorised over its chains; both integrate with the same leapfrog steps.",
        scale=1e-3,
    ),
    "force": Section("Force of phi^4", "ns on the wall per site and force evaluation in trajectories of HMC."),
    "vectors": Section(
        "HMC of unit vectors",
        "Microseconds of one core for each effective sample of m², with the standard error that the autocorrelation "
        "time has. HMC: trajectories of length 4 in 12 steps of the second order (Omelyan).",
        scale=1e-3,
    ),
    "resampling": Section(
        "Patches of a picture",
        "ns per source pixel and level. pyqmc_art and Pillow give the same bytes; who differs by more than one grey "
        "level, by another filter or none against aliasing, is listed as wrong. torch, torchvision, OpenCV and pyvips "
        "see the cuts without their surroundings. pillow-simd has Pillow's name, so it runs in a process of its own.",
    ),
    "isa": Section("Instruction sets", "ns per unit of work; every instruction set gives the same bytes."),
    "backends": Section("Backends", "ns per unit of work; every backend gives the same bytes."),
    "averages": Section(
        "Averages over the orientations of clusters",
        "ns per site, measured after every step: *moments* are those that give susceptibility and Binder cumulant, "
        "*correlation* also the correlation function of two sites, *modes* in its place those of smallest momentum.",
    ),
    "threads": Section(
        "Threads", "ns on the wall per unit of work; the same bytes. On a busy machine (see its load) this says little."
    ),
    "size": Section(
        "Size",
        "ns per unit of work. The configuration is cut from one of a judged size, or made of several side "
        "by side, and has moved for a while before the clock starts.",
    ),
    "memory": Section(
        "Memory",
        "Bytes per site, or per pixel of the source, that a process needs more at the peak of one step than before it: "
        "the field (a byte a site for spins, eight for phi^4), the picture and its patches are there already.",
    ),
    "chain": Section(
        "The sampling loop", "ns per unit of work; sample() measures energy and magnetization after every step."
    ),
    "flow layers": Section("Layers of a flow", "ns per site of a field, forwards; the same weights in plain torch."),
    "flow draws": Section("Draws of a flow", "ns per site of a field, with the log density."),
    "flow training": Section("Training of a flow", "ns per site of a field in a step of training, both ways through."),
    "random": Section("Random numbers", "ns per byte, or per normal number."),
    "statistics": Section("Statistics", "ns per unit of work, beside the library that does the same."),
    "machine": Section("This machine: instructions", "ns for each instruction of a loop that holds no other."),
    "bandwidth": Section(
        "This machine: memory",
        "Bytes per ns (GB/s) on the wall, read and written both counted, through arrays that together have that size.",
        rate=True,
    ),
    "latency": Section("This machine: random places", "ns for each read that waits for the one before."),
}
