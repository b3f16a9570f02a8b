"""Augmentation of what the discriminator sees, real and made alike, so that few pictures are not learned by heart.

The changes are differentiable, so that the generator learns through them, and drawn by torch's generator on the CPU.

References
----------
S. Zhao, Z. Liu, J. Lin, J.-Y. Zhu, S. Han, NeurIPS 2020 (arXiv:2006.10738): colour, translation, cutout. T. Karras,
M. Aittala, J. Hellsten, S. Laine, J. Lehtinen, T. Aila, NeurIPS 2020 (arXiv:2006.06676): each change of each image
with a probability that rises while the discriminator overfits.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from pyqmc_art.errors import unknown

AUGMENTATIONS: Final = ("none", "diff", "ada")
_CUT: Final = 0.5
_SHIFT: Final = 1 / 8


def augment(images: Tensor, kind: str, probability: float = 1.0) -> Tensor:
    """Change images at random.

    Parameters
    ----------
    images : (n, 3, h, w), from -1 to 1
    kind : ``"none"``, ``"diff"`` (colour, translation and cutout, always) or ``"ada"`` (geometry and colour, each
        change of each image with the probability)
    probability : of ``"ada"``

    Raises
    ------
    InputError
        For an unknown kind.
    """
    if kind not in AUGMENTATIONS:
        raise unknown("augmentation", kind, AUGMENTATIONS)
    if kind == "diff":
        return _cut_out(_translate(_recolour(images)))
    if kind == "ada" and probability > 0:
        return _tint(_warp(images, probability), probability)
    return images


def _recolour(images: Tensor) -> Tensor:
    """Brightness by up to a half, saturation from 0 to 2, contrast from 1/2 to 3/2, as the paper has them."""
    shift, saturation, contrast = (_uniform(images) for _ in range(3))
    x = images + (shift - 0.5)
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * (2 * saturation)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (x - mean) * (contrast + 0.5)


def _translate(images: Tensor) -> Tensor:
    """Move each image by up to an eighth of its side; what comes in is black."""
    n, _, height, width = images.shape
    reach = max(1, round(min(height, width) * _SHIFT))
    padded = functional.pad(images, (reach, reach, reach, reach), value=-1.0)
    moves = torch.randint(0, 2 * reach + 1, (2, n, 1))
    rows = (moves[0] + torch.arange(height)).to(images.device)
    columns = (moves[1] + torch.arange(width)).to(images.device)
    picked = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[picked, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut_out(images: Tensor) -> Tensor:
    """Grey out a square of half the side at a random place."""
    n, _, height, width = images.shape
    side = round(min(height, width) * _CUT)
    top = torch.randint(-side // 2, height - side // 2, (n, 1))
    left = torch.randint(-side // 2, width - side // 2, (n, 1))
    rows = (torch.arange(height) >= top) & (torch.arange(height) < top + side)
    columns = (torch.arange(width) >= left) & (torch.arange(width) < left + side)
    hole = rows[:, None, :, None] & columns[:, None, None, :]
    return images * (~hole).to(images)


def _warp(images: Tensor, probability: float) -> Tensor:
    """Mirror, quarter turns, scale, turn and translate, in one interpolation."""
    n = len(images)
    total = torch.eye(3).expand(n, 3, 3)
    angle = _chosen(torch.randint(0, 4, (n,)) * (math.pi / 2), probability)
    turn = _chosen((torch.rand(n) * 2 - 1) * math.pi, probability)
    mirror = 1 - _chosen(2.0 * torch.randint(0, 2, (n,)), probability)
    scale = torch.exp2(_chosen(0.2 * torch.randn(n), probability))
    move = _chosen(2 * _SHIFT * torch.randn(2, n), probability)
    for matrix in (_scaling(mirror, torch.ones(n)), _rotation(angle), _scaling(scale, scale), _rotation(turn)):
        total = total @ matrix
    total = total.clone()
    total[:, 0, 2], total[:, 1, 2] = move[0], move[1]
    grid = functional.affine_grid(total[:, :2].to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _tint(images: Tensor, probability: float) -> Tensor:
    """Brightness, contrast, and saturation about the grey axis, log-normal as the paper has them."""
    n = len(images)
    light = _chosen(0.2 * torch.randn(n), probability)
    contrast = torch.exp2(_chosen(0.5 * torch.randn(n), probability))
    colour = torch.exp2(_chosen(torch.randn(n), probability))
    light, contrast, colour = (value.view(n, 1, 1, 1).to(images) for value in (light, contrast, colour))
    x = (images + light) * contrast
    grey = x.mean(dim=1, keepdim=True)
    return grey + (x - grey) * colour


def _chosen(values: Tensor, probability: float) -> Tensor:
    """Keep each value with the probability; the others are 0, which changes nothing."""
    return values * (torch.rand(values.shape[-1]) < probability)


def _uniform(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1).to(images)


def _rotation(angle: Tensor) -> Tensor:
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    matrix[:, 0, 0], matrix[:, 1, 1] = torch.cos(angle), torch.cos(angle)
    matrix[:, 0, 1], matrix[:, 1, 0] = -torch.sin(angle), torch.sin(angle)
    return matrix


def _scaling(across: Tensor, down: Tensor) -> Tensor:
    matrix = torch.eye(3).repeat(len(across), 1, 1)
    matrix[:, 0, 0], matrix[:, 1, 1] = across, down
    return matrix
