"""Tiny random Stable Diffusion pipelines (the classes of the large ones, a tokenizer of letters), and one thread."""

from __future__ import annotations

import json
import string

import pytest


@pytest.fixture(scope="module")
def one_thread():
    """Networks of tests are so small that threads only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_tokenizer(folder):
    from transformers import CLIPTokenizer

    letters = string.ascii_lowercase + string.digits + ",."
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16), len(words)


def make_encoder(kind, words, projection=16):
    from transformers import CLIPTextConfig

    return kind(
        CLIPTextConfig(
            vocab_size=words, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=16, bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=words - 1,
            projection_dim=projection,
        )
    )  # fmt: skip


def make_parts(channels=4, **more):
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=4, **{"cross_attention_dim": 16, "attention_head_dim": 2, **more},
    )  # fmt: skip
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4,
        sample_size=16,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1,
        set_alpha_to_one=False,
    )  # fmt: skip
    return {"unet": unet, "vae": vae, "scheduler": scheduler}


def write_stable(folder, channels=4):
    """Save a pipeline like Stable Diffusion 1.x or 2.x; nine channels make one for inpainting."""
    import torch
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTextModel

    tokenizer, words = write_tokenizer(folder.with_name(f"{folder.name}-words"))
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        parts = make_parts(channels)
        encoder = make_encoder(CLIPTextModel, words)
    pipeline = StableDiffusionPipeline(
        text_encoder=encoder, tokenizer=tokenizer, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False, **parts,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def write_large(folder):
    """Save a pipeline like Stable Diffusion XL, with its two encoders."""
    import torch
    from diffusers import StableDiffusionXLPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    tokenizer, words = write_tokenizer(folder.with_name(f"{folder.name}-words"))
    with torch.random.fork_rng([]):
        torch.manual_seed(2)
        parts = make_parts(
            cross_attention_dim=32, attention_head_dim=(2, 4), use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=1,
            projection_class_embeddings_input_dim=6 * 8 + 16,
        )  # fmt: skip
        one, two = make_encoder(CLIPTextModel, words), make_encoder(CLIPTextModelWithProjection, words)
    pipeline = StableDiffusionXLPipeline(
        text_encoder=one, text_encoder_2=two, tokenizer=tokenizer, tokenizer_2=tokenizer, add_watermarker=False, **parts
    )
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def stable(tmp_path_factory):
    """A tiny pipeline like Stable Diffusion 1.x or 2.x; tests copy it before they change it."""
    for needed in ("diffusers", "transformers", "accelerate"):
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    return write_stable(tmp_path_factory.mktemp("stable") / "tiny")


@pytest.fixture(scope="session")
def stable_inpainting(tmp_path_factory, stable):
    """The same with the nine channels of networks for inpainting."""
    return write_stable(tmp_path_factory.mktemp("stable") / "inpainting", channels=9)


@pytest.fixture(scope="session")
def stable_large(tmp_path_factory, stable):
    """A tiny pipeline like Stable Diffusion XL."""
    return write_large(tmp_path_factory.mktemp("stable") / "large")
