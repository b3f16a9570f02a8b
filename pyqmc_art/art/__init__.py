"""Pictures, manifests, splits, patches, detectors and verdicts: the art wing.

Modules are loaded when a name is first used, so that resampling needs neither Pillow nor torch.

>>> from pyqmc_art import art
>>> art.choose_levels(1024, 2000)
(1, 2, 4)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyqmc_art.art.autoencoder.models import load_autoencoder
    from pyqmc_art.art.degrade import Degradation, Equaliser
    from pyqmc_art.art.diffusion.models import load_diffusion
    from pyqmc_art.art.duplicates import merge_duplicates
    from pyqmc_art.art.equalising import choose_equaliser
    from pyqmc_art.art.gan.models import load_gan
    from pyqmc_art.art.judgement import Judgement, judge
    from pyqmc_art.art.layouts import open_manifest, read_zenodo
    from pyqmc_art.art.manifest import Manifest
    from pyqmc_art.art.patches import choose_levels, make_patches, plan_patches, resample
    from pyqmc_art.art.pictures import Picture, UnreadablePicture, read_picture, write_picture
    from pyqmc_art.art.rows import Row
    from pyqmc_art.art.splits import Split, Works, split_folds, split_talk

_HOME = {
    "Degradation": "degrade",
    "Equaliser": "degrade",
    "Judgement": "judgement",
    "Manifest": "manifest",
    "Picture": "pictures",
    "Row": "rows",
    "Split": "splits",
    "UnreadablePicture": "pictures",
    "Works": "splits",
    "choose_equaliser": "equalising",
    "choose_levels": "patches",
    "judge": "judgement",
    "load_autoencoder": "autoencoder.models",
    "load_diffusion": "diffusion.models",
    "load_gan": "gan.models",
    "make_patches": "patches",
    "merge_duplicates": "duplicates",
    "open_manifest": "layouts",
    "plan_patches": "patches",
    "read_picture": "pictures",
    "read_zenodo": "layouts",
    "resample": "patches",
    "split_folds": "splits",
    "split_talk": "splits",
    "write_picture": "pictures",
}

__all__ = [
    "Degradation",
    "Equaliser",
    "Judgement",
    "Manifest",
    "Picture",
    "Row",
    "Split",
    "UnreadablePicture",
    "Works",
    "choose_equaliser",
    "choose_levels",
    "judge",
    "load_autoencoder",
    "load_diffusion",
    "load_gan",
    "make_patches",
    "merge_duplicates",
    "open_manifest",
    "plan_patches",
    "read_picture",
    "read_zenodo",
    "resample",
    "split_folds",
    "split_talk",
    "write_picture",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
