"""The art sections of the demo: what the simulated painters paint, and pictures on trial."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from pyqmc_art.protocols import Figure, Findings, Monitor, Picture
from pyqmc_art.rng import Stream

SHOWN: Final = (
    (("original", "the master"), ("proxy", "another painter"), ("forgery", "a forger"), ("tuned-gan", "tuned GAN")),
    (("original", "the master"), ("forgery", "a forger"), ("raw-gan", "raw GAN"), ("diffusion", "diffusion")),
)
"""Rows of pictures of one motif each: role, and what it is called."""

SIDE: Final = 320
"""Side of a picture on show, in pixels."""


def show_paintings(out: Path, seed: int, monitor: Monitor) -> tuple[Findings, bool]:
    """Paint two motifs, each by four kinds of makers."""
    from pyqmc_art.art.collection import plan_collection

    begun = time.perf_counter()
    stream = Stream.from_seed(seed).fold("paintings on show")
    pictures = []
    monitor.start("paintings", sum(map(len, SHOWN)))
    try:
        for number, makers in enumerate(SHOWN):
            plan = plan_collection(stream, {role: number + 1 for role, _ in makers}, SIDE)
            by_role = {one.role: one for one in plan}
            for role, name in makers:
                one = replace(by_role[role], motif=by_role["original"].motif)
                pictures.append(Picture(name, one.paint()))
                monitor.advance(1, role=role)
    finally:
        monitor.finish()
    caption = (
        "Simulated. Strokes are laid down by hidden habits: length, width, curvature, pressure, palette, order. A "
        "forger's habits are the master's, slightly shifted; a generator adds its traces (an up-sampling lattice, or "
        "an eight-pixel lattice and smoothing)."
    )
    findings = Findings(
        study="paintings",
        question="What do the simulated pictures look like, on which the art studies below are tried?",
        answer="Like small landscapes and portraits by one hand, by other hands, by forgers and by machines. "
        "Who made each is known, so that the studies can be marked right or wrong; no museum's pictures are needed.",
        figures=(Figure("makers", "Two motifs, each by four makers", caption, tuple(pictures)),),
        configuration={"size": SIDE, "gap": 1.0, "traces": 1.0},
        seconds=time.perf_counter() - begun,
    )
    return findings, True
