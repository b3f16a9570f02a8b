"""LoRA: small changes to the attention of a Stable Diffusion network, trained on pictures with one sentence."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.art.diffusion.stable import Request, StableSynthesizer, open_stable
from pyqmc_art.art.synthesis.course import Craft, History, Plan, Terms, check_sides, follow_course
from pyqmc_art.art.synthesis.pool import Pool, as_tensor
from pyqmc_art.errors import InputError
from pyqmc_art.learning.options import FitOptions
from pyqmc_art.learning.pretrained import Pretrained, write_pretrained
from pyqmc_art.learning.turns import Turn
from pyqmc_art.rng import Stream

KIND: Final = "lora"
WEIGHTS: Final = "pytorch_lora_weights"
_TARGETS: Final = ("to_q", "to_k", "to_v", "to_out.0")
_WARMUP: Final = 10


@dataclass(frozen=True)
class LoraTraining(Plan):
    """How to train a LoRA; the other fields are those of :class:`pyqmc_art.art.synthesis.course.Plan`.

    Parameters
    ----------
    prompt : sentence that will mean such pictures
    size : side of the pictures in pixels
    rank : of the changes
    steps_shown, guidance_shown : how pictures are made for snapshots
    """

    prompt: str = ""
    size: int = 512
    rank: int = 4
    steps_shown: int = 20
    guidance_shown: float = 7.5
    kimg: float = field(default=0.5, kw_only=True)
    batch: int = field(default=2, kw_only=True)
    learning_rate: float = field(default=1e-4, kw_only=True)
    snapshot_kimg: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.rank, bool) or not isinstance(self.rank, int) or self.rank < 1:
            raise InputError(f"rank is {self.rank!r}; expected a whole number of at least 1")
        _ = self.request

    @property
    def request(self) -> Request:
        """What is asked for at snapshots."""
        return Request(self.prompt, steps=self.steps_shown, guidance=self.guidance_shown, size=(self.size, self.size))

    @property
    def sheet(self) -> int:
        """Pictures of a snapshot: few, they are dear."""
        return 4

    @property
    def fit_options(self) -> FitOptions:
        """For the one training loop: a short warm-up, and gradients no longer than 1."""
        return dataclasses.replace(super().fit_options, warmup=_WARMUP, clip=1.0)


class LoraLearner(nn.Module):
    """Small changes in training; the network they change is no part of it, so that checkpoints stay small.

    Parameters
    ----------
    pipeline : frozen
    rank : of the changes
    prompt : sentence that is learned
    stream : of their first weights

    Attributes
    ----------
    changes : the layers that learn
    images : real images shown so far
    """

    images: Tensor

    def __init__(self, pipeline: Any, rank: int, prompt: str, stream: Stream) -> None:
        super().__init__()
        from diffusers import DDPMScheduler
        from peft import LoraConfig

        self.outside: dict[str, Any] = {"pipeline": pipeline}
        unet = pipeline.unet.requires_grad_(False)
        with torch.random.fork_rng([]):
            torch.manual_seed(stream.fold("weights").key)
            unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(_TARGETS)))
        learning = [module for name, module in unet.named_modules() if name.endswith((".lora_A", ".lora_B"))]
        self.changes = nn.ModuleList(learning)
        self.register_buffer("images", torch.zeros((), dtype=torch.int64))
        schedulers: Any = DDPMScheduler
        self.scheduler = schedulers.from_config(pipeline.scheduler.config)
        self.told = _understand(pipeline, prompt)

    def turns(self) -> tuple[Turn, ...]:
        """The one loss."""
        return (Turn("", "changes", _loss),)

    def tensors(self) -> dict[str, Any]:
        """The changes under the names that diffusers gives them."""
        from peft.utils import get_peft_model_state_dict

        found = get_peft_model_state_dict(self.outside["pipeline"].unet)
        return {f"unet.{name}": value.detach().cpu().numpy() for name, value in found.items()}


def _understand(pipeline: Any, prompt: str) -> dict[str, Tensor]:
    """What the text encoders make of a sentence, once and for all."""
    with torch.no_grad():
        found = pipeline.encode_prompt(prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
    return {"words": found[0]} | ({"whole": found[2]} if len(found) == 4 else {})


def _loss(learner: Any, x: Tensor) -> Tensor:
    """Mean square of what the changed network lacks at random levels of noise."""
    scheduler = learner.scheduler
    t = torch.randint(0, scheduler.config.num_train_timesteps, (len(x),)).to(x.device)
    e = torch.randn(x.shape).to(x.device)
    answer = answer_with(learner, scheduler.add_noise(x, e, t), t)
    wanted = scheduler.get_velocity(x, e, t) if scheduler.config.prediction_type == "v_prediction" else e
    loss: Tensor = (answer - wanted).square().mean()
    return loss


def answer_with(learner: LoraLearner, x: Tensor, t: Tensor) -> Tensor:
    """Let the changed network answer for the sentence: x is a mixture (n, channels, side, side), t its times (n,)."""
    unet, n = learner.outside["pipeline"].unet.to(x.device), len(x)
    words = learner.told["words"].to(x.device).expand(n, -1, -1)
    more: dict[str, Any] = {}
    if "whole" in learner.told:
        side = float(x.shape[-1] * learner.outside["pipeline"].vae_scale_factor)
        times = torch.tensor([[side, side, 0, 0, side, side]]).to(x.device).expand(n, -1)
        more["added_cond_kwargs"] = {"text_embeds": learner.told["whole"].to(x.device).expand(n, -1), "time_ids": times}
    answer: Tensor = unet(x, t, encoder_hidden_states=words, return_dict=False, **more)[0]
    return answer


@dataclass(frozen=True)
class TrainedLora:
    """What a training gave: pictures of the changed network, and what it came from."""

    synthesizer: StableSynthesizer
    learner: LoraLearner
    loss: float
    seconds: float


def train_lora(
    base: str | os.PathLike[str],
    pool: Pool,
    training: LoraTraining,
    out: str | os.PathLike[str] | None = None,
    **terms: Unpack[Terms],
) -> TrainedLora:
    """Train a LoRA on pictures.

    Parameters
    ----------
    base : local directory of a Stable Diffusion pipeline, which stays as it is
    pool : training images of ``training.size``
    training : how
    out : model directory to write, for ``generate --lora``; checkpoints lie in ``OUT.training`` until it is complete
    terms : see :class:`pyqmc_art.art.synthesis.course.Terms`

    Raises
    ------
    InputError
        For a pipeline or images that cannot be used, without peft, another plan on resume, or an ``out`` in use.
    Interrupted
        After Ctrl-C.
    NumericalError
        When the loss stops being finite.
    """
    check_sides(pool, training.size, "the training takes")
    made = open_base(base, training)
    stream = Stream.from_seed(training.seed).fold("train lora")
    learner = LoraLearner(made.pipeline, training.rank, training.prompt, stream)
    latents = LatentBatches(made.pipeline, pool, training, stream)

    def follow(step: int) -> Mapping[str, float | str]:
        learner.images += training.batch
        return {}

    def save(history: History, folder: Path, log: str, replace: bool) -> None:
        about = {"base": made.digest, "prompt": training.prompt, "rank": training.rank, "history": list(history)}
        write_pretrained(folder, Pretrained(KIND, about, {WEIGHTS: learner.tensors()}, {"log.jsonl": log}), replace)

    def show(history: History) -> StableSynthesizer:
        # All parts where the changes are: the text encoders had no part in the training.
        made.pipeline.to(learner.images.device)
        return made

    craft = Craft("lora", learner, learner.turns(), latents, follow, dict, show, save)
    result, _ = follow_course(craft, training, pool, out, stream=stream, tune=made.digest, **terms)
    made.pipeline.to("cpu")
    return TrainedLora(made, learner, result.loss, result.seconds)


def open_base(base: str | os.PathLike[str], training: LoraTraining) -> StableSynthesizer:
    """Open the pipeline that is changed.

    Raises
    ------
    InputError
        For a pipeline that cannot be used, or without peft.
    """
    if find_spec("peft") is None:
        raise InputError("LoRA needs peft; pip install 'pyqmc-art[text]'")
    made = open_stable(base, training.request)
    made.pipeline.to("cpu")
    kind = made.pipeline.scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        raise InputError(f"the network of {base} answers {kind!r}; a LoRA is trained for epsilon or v_prediction")
    return made


class LatentBatches:
    """Batches of what the autoencoder of a pipeline makes of pictures, looked at once and for all."""

    def __init__(self, pipeline: Any, pool: Pool, training: LoraTraining, stream: Stream) -> None:
        self.order = pool.order(training.batch, training.mirror, stream)
        self.plain = _encode(pipeline, pool.images)
        self.turned = _encode(pipeline, pool.images[:, :, ::-1]) if training.mirror else self.plain

    def __call__(self, number: int) -> Tensor:
        """Batch of a number, (batch, channels, side, side)."""
        chosen, mirrored = (torch.from_numpy(x) for x in self.order(number))
        return torch.where(mirrored.view(-1, 1, 1, 1), self.turned[chosen], self.plain[chosen])


def _encode(pipeline: Any, images: np.ndarray[Any, Any]) -> Tensor:
    vae = pipeline.vae
    with torch.no_grad():
        found = [vae.encode(as_tensor(image[None])).latent_dist.mode() for image in images]
    scaled: Tensor = torch.cat(found) * vae.config.scaling_factor
    return scaled
