"""Where the pictures of an art study come from: the configuration that all of these studies share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyqmc_art.art.collection import MASTER, plan_collection
from pyqmc_art.art.degrade import Equaliser
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.protocols import Monitor
from pyqmc_art.rng import Stream
from pyqmc_art.studies.gallery import (
    DETECTORS,
    LAYOUTS,
    Gallery,
    choose_hand,
    open_gallery,
    paint_gallery,
    read_manifest,
)
from pyqmc_art.studies.regimes import FOLDS

FACTORS: Final = ("common", "whole")
CACHE: Final = "features"
"""Folder under a study's ``out`` in which features are kept for the next study of the same pictures."""
MACHINES: Final = ("raw-gan", "tuned-gan", "diffusion")
PEOPLE: Final = ("original", "proxy", "forgery")
SYNTHESIZERS: Final = ("simulated", "trained")
FULL: Final[Mapping[str, Any]] = {
    "originals": 120,
    "proxies": 160,
    "forgeries": 40,
    "machines": 30,
    "repeats": 5,
    "strengths": (1e-4, 1e-3, 1e-2, 1e-1),
    "synthesizers": "trained",
}
"""The full preset of the studies that compare training sets."""


@dataclass(frozen=True)
class GallerySource:
    """Pictures from a manifest or folder, or, without one, from the procedural painter.

    Parameters
    ----------
    manifest
        Manifest, or folder whose sub-folders are named after roles; none: simulated pictures.
    hand
        Whose originals are judged; may be left out when only one hand has originals.
    layout
        Of a folder: auto, or zenodo for your copy of Zenodo record 10276928.
    factor
        common: every picture is reduced by one factor and its middle taken; whole: by its own factor, so that nothing
        of the shorter side is lost. Only for pictures of a manifest.
    detectors
        residual, or networks whose weights are installed.
    folds
        Parts of the outer cross-validation.
    repeats
        How often it is done, each time in another order.
    strengths
        Of the data against the penalty, from which a head chooses by held-out training works.
    originals, proxies, forgeries, machines
        Simulated pictures of the hand, of other hands, of forgers, and of each of three generators.
    forgers
        Simulated forgers.
    gap
        Distance of simulated forgers' hands from the master's; 0: a forgery is an original.
    proxy_gap
        Share of the way from the master's hand to that of another painter.
    traces
        Strength of the traces of simulated generators.
    pixels
        Side of a simulated picture.
    collection
        Number of the simulated collection, and of the equalisation's random JPEG qualities; the seed draws the splits.
    synthesizers
        trained: raw GAN, tuned GAN and diffusion model are trained here, on works that are never judged, and take the
        place of all other machine-made pictures; simulated: traces on painted pictures, or what a manifest has.
    gan
        Kind of the trained GAN: dcgan, light or stylegan2.
    resolution
        Side in pixels to which all pictures are reduced for trained synthesizers.
    cells
        Squares along each side into which they are cut before.
    channels
        Of the GAN at its largest size; the diffusion model has half as many.
    raw_kimg, tuned_kimg, diffusion_kimg
        Thousands of images shown: to the GAN, of proxies; to the same, of originals; to the diffusion model, of
        proxies, and half as many of originals.
    studied
        Share of the originals and proxies that synthesizers learn from, and that nobody judges.
    """

    manifest: str | None = None
    hand: str = ""
    layout: str = "auto"
    factor: str = "common"
    detectors: tuple[str, ...] = DETECTORS
    folds: int = FOLDS
    repeats: int = 1
    strengths: tuple[float, ...] = (1e-3, 1e-2)
    originals: int = 45
    proxies: int = 45
    forgeries: int = 30
    machines: int = 16
    forgers: int = 3
    gap: float = 1.0
    proxy_gap: float = 1.0
    traces: float = 1.0
    pixels: int = 256
    collection: int = 1
    synthesizers: str = "simulated"
    gan: str = "dcgan"
    resolution: int = 64
    cells: int = 1
    channels: int = 32
    raw_kimg: float = 20.0
    tuned_kimg: float = 8.0
    diffusion_kimg: float = 8.0
    studied: float = 0.4

    def __post_init__(self) -> None:
        """Refuse what would only fail after the pictures were described."""
        if self.layout not in LAYOUTS:
            raise unknown("layout", self.layout, LAYOUTS)
        if self.factor not in FACTORS:
            raise unknown("factor", self.factor, FACTORS)
        if self.folds < 2 or self.repeats < 1:
            raise InputError(f"folds is {self.folds} and repeats {self.repeats}; expected at least 2 and 1")
        if not self.strengths or not all(one > 0 for one in self.strengths):
            raise InputError(f"strengths is {self.strengths}; expected numbers above 0")
        if self.hand and self.manifest is None:
            raise InputError(f"hand is {self.hand!r}, but there is no manifest; give manifest = FILE or FOLDER")
        if self.synthesizers not in SYNTHESIZERS:
            raise unknown("synthesizers", self.synthesizers, SYNTHESIZERS)
        if not 0 < self.studied < 1 or min(self.cells, self.machines) < 1:
            raise InputError(
                f"studied is {self.studied}, cells {self.cells} and machines {self.machines}; expected a share between "
                "0 and 1, and at least 1 of the others"
            )

    def open_gallery(self, out: Path, monitor: Monitor) -> Gallery:
        """Read or paint the pictures, and describe them unless that was done under ``out`` before."""
        stream = Stream.from_seed(self.collection).fold("collection")
        cache = out / CACHE
        if self.synthesizers == "trained":
            return self._open_trained(out, stream, cache, monitor)
        if self.manifest is not None:
            return open_gallery(
                self.manifest, self.hand, stream, equaliser=Equaliser() if self.factor == "whole" else None,
                layout=self.layout, detectors=self.detectors, cache=cache, monitor=monitor,
            )  # fmt: skip
        return paint_gallery(
            {**self._people, **dict.fromkeys(MACHINES, self.machines)}, stream, size=self.pixels, gap=self.gap,
            proxy_gap=self.proxy_gap, traces=self.traces, forgers=self.forgers, detectors=self.detectors,
            cache=cache, monitor=monitor,
        )  # fmt: skip

    @property
    def _people(self) -> dict[str, int]:
        return {"original": self.originals, "proxy": self.proxies, "forgery": self.forgeries}

    def _open_trained(self, out: Path, stream: Stream, cache: Path, monitor: Monitor) -> Gallery:
        # Loaded here: whoever trains nothing needs no torch.
        from pyqmc_art.studies.cuttings import paint_cuttings, read_cuttings
        from pyqmc_art.studies.studio import Course, hang_gallery

        course = Course(
            self.gan, self.resolution, self.cells, self.channels, max(8, self.channels // 2), self.raw_kimg,
            self.tuned_kimg, self.diffusion_kimg, self.studied,
        )  # fmt: skip
        if self.manifest is None:
            plan = plan_collection(
                stream, self._people, self.pixels, self.gap, proxy_gap=self.proxy_gap, proxies=8, forgers=self.forgers
            )
            pictures, hand = paint_cuttings(plan, course.size, course.cells, monitor), MASTER
        else:
            listed = read_manifest(self.manifest, self.hand, self.layout)
            listed = listed.attribute(self.hand) if self.hand else listed
            pictures = read_cuttings(listed, PEOPLE, course.size, course.cells, monitor=monitor)
            hand = choose_hand(pictures.manifest, self.hand)
        return hang_gallery(
            pictures, hand, course, self.machines, stream, out, detectors=self.detectors, cache=cache, monitor=monitor
        )
