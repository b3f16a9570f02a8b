"""Stable Diffusion 1.x, 2.x and XL from a local directory: pictures from words, from a picture, into a hole of one."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyqmc_art.art.diffusion.stable_folder import StableFolder, open_folder
from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import read_picture
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.rng import Stream

CHUNK: Final = 4
_LARGEST: Final = 4096
_LORA: Final = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True)
class Request:
    """What is asked of Stable Diffusion.

    Parameters
    ----------
    prompt, negative : words for what shall be seen, and for what shall not
    steps : of the sampler that the directory names
    guidance : 1 for the words as they are, above to follow them more closely
    image : picture to start from, cut to the size about its centre; None starts from noise
    mask : picture of the same cut: what is white is painted anew, what is black stays
    strength : share of the way from the picture to noise that is walked back
    size : (width, height) in pixels; None takes what the network was trained for
    lora : directory with ``pytorch_lora_weights.safetensors``, small changes to the network
    """

    prompt: str
    negative: str = ""
    steps: int = 30
    guidance: float = 7.5
    image: Path | None = None
    mask: Path | None = None
    strength: float = 0.8
    size: tuple[int, int] | None = None
    lora: Path | None = None

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise InputError("the prompt is empty; say what shall be seen, for instance --prompt 'a harbour at dusk'")
        if isinstance(self.steps, bool) or not 1 <= self.steps <= 1000:
            raise InputError(f"steps is {self.steps!r}; expected a whole number from 1 to 1000")
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise InputError(f"guidance is {self.guidance}; expected a number of at least 0, 1 for none")
        if not 0 < self.strength <= 1:
            raise InputError(f"strength is {self.strength}; expected above 0 to 1")
        if self.image is not None and int(self.steps * self.strength) < 1:
            raise InputError(f"strength {self.strength} of {self.steps} steps is no step; take more of either")
        if self.mask is not None and self.image is None:
            raise InputError("a mask was given without an image; say what the hole is in with --image")

    @property
    def task(self) -> str:
        """``"text"``, ``"image"`` or ``"inpaint"``."""
        return "inpaint" if self.mask is not None else "text" if self.image is None else "image"


@dataclass(frozen=True, eq=False)
class StableSynthesizer:
    """Makes pictures of one request from seeds.

    Attributes
    ----------
    pipeline : of diffusers, for the task of the request
    request : what is asked for
    kind, digest : of the directory
    size : width and height in pixels
    """

    pipeline: Any
    request: Request
    kind: str
    digest: str
    size: tuple[int, int]

    @property
    def role(self) -> str:
        """What its pictures are in a manifest."""
        return "diffusion"

    @property
    def name(self) -> str:
        """Name of the generator in a manifest."""
        return self.kind

    @property
    def kimg(self) -> float:
        """Not known of weights that were trained elsewhere: not a number."""
        return math.nan

    @property
    def manner(self) -> tuple[tuple[str, str], ...]:
        """How it makes pictures: further columns of a manifest."""
        asked = self.request
        found = [
            ("prompt", asked.prompt), ("negative", asked.negative), ("task", asked.task),
            ("sampler", type(self.pipeline.scheduler).__name__), ("steps", str(asked.steps)),
            ("guidance", f"{asked.guidance:g}"),
        ]  # fmt: skip
        if asked.image is not None:
            found += [("image", asked.image.name), ("strength", f"{asked.strength:g}")]
        return (*found, *((("lora", asked.lora.name),) if asked.lora is not None else ()))

    def sample(self, stream: Stream, n: int) -> Tensor:
        """Images float32 (n, 3, height, width) in [0, 1]; image k depends on the stream and k alone."""
        made = self._make([stream.fold("image", k) for k in range(n)])
        return torch.from_numpy(made).permute(0, 3, 1, 2).contiguous()

    def draw(self, seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Pictures uint8 (n, height, width, 3), one for each seed, whatever other seeds are asked for.

        Company may change the rounding of sums: a grey level here and there.
        """
        made = self._make([Stream.from_seed(seed) for seed in seeds])
        return np.asarray((made * 255).round(), np.uint8)

    def _make(self, streams: Sequence[Stream]) -> NDArray[np.float32]:
        width, height = self.size
        made = [np.empty((0, height, width, 3), np.float32)]
        for begin in range(0, len(streams), CHUNK):
            made.append(self._ask(streams[begin : begin + CHUNK]))
            if not np.isfinite(made[-1]).all():
                raise NumericalError("the pictures are not finite; these weights do not work in float32")
        return np.concatenate(made)

    def _ask(self, streams: Sequence[Stream]) -> NDArray[np.float32]:
        asked, n, (width, height) = self.request, len(streams), self.size
        more: dict[str, Any] = {}
        if asked.image is None:
            more |= {"width": width, "height": height}
        else:
            more |= {"image": _repeat(_open_image(asked.image, self.size), n), "strength": asked.strength}
        if asked.mask is not None:
            mask = _open_image(asked.mask, self.size).mean(1, keepdim=True)
            more |= {"mask_image": _repeat((mask > 0.5).float(), n), "width": width, "height": height}
        with torch.no_grad():
            found = self.pipeline(
                [asked.prompt] * n, negative_prompt=[asked.negative] * n, num_inference_steps=asked.steps,
                guidance_scale=asked.guidance, output_type="np",
                generator=[torch.Generator().manual_seed(stream.fold("stable").key % 2**63) for stream in streams],
                **more,
            )  # fmt: skip
        return np.asarray(found.images, np.float32)


def open_stable(folder: str | os.PathLike[str], request: Request) -> StableSynthesizer:
    """Load a pipeline from a local directory; nothing is ever fetched, and no pickle is read.

    The directory's safety checker, if it has one, is left aside.

    Raises
    ------
    InputError
        For a directory that is missing, partial, damaged or of another kind, and for a request that does not suit it.
    """
    found = open_folder(folder)
    if find_spec("transformers") is None:
        raise InputError("Stable Diffusion needs transformers; pip install 'pyqmc-art[text]'")
    if found.inpaints and request.task != "inpaint":
        raise InputError(f"{found.path} was made for inpainting alone; give --image and --mask")
    with _quiet():
        pipeline = _load(found, request)
        if request.lora is not None:
            add_lora(pipeline, request.lora)
    factor = pipeline.vae_scale_factor
    size = request.size or (found.size, found.size)
    if any(not factor <= side <= _LARGEST or side % factor for side in size):
        raise InputError(f"resolution is {size[0]} x {size[1]}; expected multiples of {factor} up to {_LARGEST}")
    return StableSynthesizer(pipeline, request, found.kind, found.digest(), size)


def add_lora(pipeline: Any, folder: Path) -> None:
    """Apply small changes to a pipeline's networks.

    Raises
    ------
    InputError
        When they cannot be had, or do not fit.
    """
    from safetensors import SafetensorError

    if find_spec("peft") is None:
        raise InputError("LoRA needs peft; pip install 'pyqmc-art[text]'")
    weights = folder / _LORA
    if not weights.is_file():
        raise InputError(f"{folder} holds no {weights.name}; give the directory that a LoRA training wrote")
    try:
        pipeline.load_lora_weights(folder, weight_name=weights.name, local_files_only=True, use_safetensors=True)
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"{weights} does not fit this pipeline ({_first_line(error)})") from None


def _load(found: StableFolder, request: Request) -> Any:
    import diffusers

    start = "StableDiffusionXL" if found.kind == "stable-diffusion-xl" else "StableDiffusion"
    ending = {"text": "Pipeline", "image": "Img2ImgPipeline", "inpaint": "InpaintPipeline"}[request.task]
    plain = {"safety_checker": None, "requires_safety_checker": False}
    more = {"add_watermarker": False} if found.kind == "stable-diffusion-xl" else plain
    try:
        pipeline = getattr(diffusers, start + ending).from_pretrained(
            found.path, local_files_only=True, use_safetensors=True, variant=found.variant, **more,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise InputError(f"{found.path} cannot be loaded ({_first_line(error)}); copy the whole directory") from None
    pipeline.set_progress_bar_config(disable=True)
    # Half precision on disk is still computed with in float32: the same pictures everywhere.
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.float()
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep bars and advice of the libraries off the terminal while they load."""
    import diffusers.utils.logging
    import transformers.utils.logging

    talkers: tuple[Any, ...] = (diffusers.utils.logging, transformers.utils.logging)
    levels = [one.get_verbosity() for one in talkers]
    for one in talkers:
        one.disable_progress_bar()
        one.set_verbosity_error()
    try:
        yield
    finally:
        for one, level in zip(talkers, levels, strict=True):
            one.set_verbosity(level)
            one.enable_progress_bar()


def _open_image(path: Path, size: tuple[int, int]) -> Tensor:
    """Read a picture, cut it about its centre to the shape of the size, and resample: (1, 3, h, w) in [0, 1]."""
    pixels = read_picture(path).pixels
    height, width = pixels.shape[:2]
    scale = min(width / size[0], height / size[1])
    across, down = size[0] * scale, size[1] * scale
    left, top = (width - across) / 2, (height - down) / 2
    cut = resample(pixels, size, (left, top, left + across, top + down))
    return torch.from_numpy(cut.copy()).permute(2, 0, 1)[None].float() / 255


def _repeat(image: Tensor, n: int) -> Tensor:
    return image.repeat(n, 1, 1, 1)
