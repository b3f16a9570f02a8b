"""Libraries that resample pictures, under the interface of :mod:`benchmarks.resamplers`.

None of them takes a box: each is given the cut, so that its filter does not see what lies around it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any, Final

import numpy as np

from benchmarks.pillow_simd import PillowSimd
from benchmarks.resamplers import Bytes, Ours, Pillow, Pyramid, Resampler, Run


class Torch:
    """torch's antialiased ``interpolate`` of bytes, channels last; it sees the cut alone, not what lies beyond."""

    name = "torch"
    tolerance = 1
    beyond_the_box = False

    def load(self, case: Pyramid, picture: Bytes) -> Run:
        """One call for each cut, which is a view."""
        torch: Any = importlib.import_module("torch")
        torch.set_num_threads(1)
        whole = torch.from_numpy(picture).permute(2, 0, 1)[None]
        cuts = [whole[:, :, t:b, left:right] for left, t, right, b in case.boxes().astype(int).tolist()]
        size = (case.size, case.size)

        def run() -> Bytes:
            interpolate = torch.nn.functional.interpolate
            done = [interpolate(cut, size=size, mode="bicubic", antialias=True) for cut in cuts]
            result: Bytes = torch.cat(done).permute(0, 2, 3, 1).numpy()
            return result

        return run


class Torchvision:
    """torchvision's ``resize`` of tensors of bytes, channels first as it documents them."""

    name = "torchvision"
    tolerance = 1
    beyond_the_box = False

    def load(self, case: Pyramid, picture: Bytes) -> Run:
        """One call for each cut, a view of a picture that lies channels last in memory."""
        torch: Any = importlib.import_module("torch")
        functional: Any = importlib.import_module("torchvision.transforms.v2.functional")
        transforms: Any = importlib.import_module("torchvision.transforms.v2")
        torch.set_num_threads(1)
        whole = torch.from_numpy(picture).permute(2, 0, 1)
        cuts = [whole[:, t:b, left:right] for left, t, right, b in case.boxes().astype(int).tolist()]
        bicubic = transforms.InterpolationMode.BICUBIC

        def run() -> Bytes:
            done = [functional.resize(cut, [case.size, case.size], bicubic, antialias=True) for cut in cuts]
            result: Bytes = torch.stack(done).permute(0, 2, 3, 1).numpy()
            return result

        return run


class OpenCV:
    """OpenCV's ``resize``; its cubic filter is not widened when a picture shrinks, its areas are a box."""

    tolerance = 1
    beyond_the_box = False

    def __init__(self, name: str, interpolation: str) -> None:
        self.name = name
        self._interpolation = interpolation

    def load(self, case: Pyramid, picture: Bytes) -> Run:
        """One call for each cut, a view."""
        cv2: Any = importlib.import_module("cv2")
        cv2.setNumThreads(1)
        cuts = [picture[t:b, left:right] for left, t, right, b in case.boxes().astype(int).tolist()]
        how, size = getattr(cv2, self._interpolation), (case.size, case.size)
        shape = (*size, case.channels)

        def run() -> Bytes:
            return np.stack([cv2.resize(cut, size, interpolation=how).reshape(shape) for cut in cuts])

        return run


class Pyvips:
    """libvips through pyvips: ``resize`` with the cubic kernel and without shrinking first."""

    name = "pyvips"
    tolerance = 1
    beyond_the_box = False

    def load(self, case: Pyramid, picture: Bytes) -> Run:
        """One pipeline for each cut; libvips reads the number of its threads when it is loaded."""
        os.environ.setdefault("VIPS_CONCURRENCY", "1")
        vips: Any = importlib.import_module("pyvips")
        vips.cache_set_max(0)
        whole = vips.Image.new_from_memory(picture, case.width, case.height, case.channels, "uchar")
        cuts = [whole.crop(left, t, right - left, b - t) for left, t, right, b in case.boxes().astype(int).tolist()]
        shape = (case.size, case.size, case.channels)

        def run() -> Bytes:
            done = [
                cut.resize(case.size / cut.width, vscale=case.size / cut.height, kernel="cubic", gap=0) for cut in cuts
            ]
            return np.stack([np.frombuffer(one.write_to_memory(), np.uint8).reshape(shape) for one in done])

        return run


MODULES: Final = {
    "Pillow": "PIL",
    "torch": "torch",
    "torchvision": "torchvision",
    "OpenCV cubic": "cv2",
    "OpenCV area": "cv2",
    "pyvips": "pyvips",
}


def find_resamplers() -> list[Resampler]:
    """Ours first, then the libraries that are installed."""
    cubic, area = OpenCV("OpenCV cubic", "INTER_CUBIC"), OpenCV("OpenCV area", "INTER_AREA")
    candidates: tuple[Resampler, ...] = (Ours(), Pillow(), Torch(), Torchvision(), cubic, area, Pyvips())
    found = [r for r in candidates if r.name not in MODULES or importlib.util.find_spec(MODULES[r.name])]
    return [*found, *([PillowSimd()] if PillowSimd.interpreter() else [])]
