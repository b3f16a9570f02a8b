"""What tests of trainings share: pictures of discs to learn from, and a checkpoint that forgets a part."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from pyqmc_art.art.synthesis.pool import Pool
from pyqmc_art.errors import InputError
from pyqmc_art.learning.checkpoints import list_checkpoints, read_state, write_state


def make_discs(count: int = 12, size: int = 16, seed: int = 0) -> Pool:
    """Paint bright discs of various places, sizes and colours on dark plain ground.

    Parameters
    ----------
    count, size : of the pictures, and their side in pixels
    seed : of everything random; pools of different seeds share no picture

    Examples
    --------
    >>> make_discs(3, 32).images.shape
    (3, 32, 32, 3)
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    images = np.empty((count, size, size, 3), np.uint8)
    for image in images:
        centre, radius = rng.uniform(size / 4, 3 * size / 4, 2), rng.uniform(size / 8, size / 3)
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2
        image[:] = np.where(inside[..., None], rng.integers(150, 256, 3), rng.integers(0, 100, 3))
    names = tuple(f"{number}.png" for number in range(count))
    return Pool(images, np.arange(count), names, tuple(f"{seed}-{number}" for number in range(count)))


def forget_part(work: str | os.PathLike[str], part: str) -> None:
    """Plant a bug: the newest checkpoint of an interrupted training holds zeros in place of one part of its state.

    Parameters
    ----------
    work : folder of the checkpoints
    part : how the names of its tensors begin

    Raises
    ------
    InputError
        When there is no such part, or it holds nothing but zeros anyway.
    """
    place = Path(work)
    state = read_state(list_checkpoints(place)[-1])
    known = {name: value for name, value in state.tensors.items() if name.startswith(part) and value.any()}
    if not known:
        raise InputError(f"no tensor of the checkpoint begins with {part!r} and could be forgotten")
    zeros = {name: value * 0 for name, value in known.items()}
    write_state(place, dataclasses.replace(state, tensors={**state.tensors, **zeros}))
