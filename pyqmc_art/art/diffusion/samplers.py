"""From noise to pictures along a path, step by step: ancestral, DDIM, and the flow's differential equation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final, TypeAlias

import torch
from torch import Tensor

from pyqmc_art.art.diffusion.path import NoisePath
from pyqmc_art.errors import InputError

Predict: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Answer of a network at mixtures (n, ...) and times (n,)."""
Noise: TypeAlias = Callable[[int], Tensor]
"""Fresh noise for one step of an ancestral sampler, of the shape of the mixtures."""

SAMPLERS: Final = {"epsilon": ("ddim", "ddpm"), "v": ("ddim", "ddpm"), "flow": ("heun", "euler")}
"""Objective -> its samplers, the usual one first."""


def choose_sampler(objective: str, sampler: str | None) -> str:
    """Give the sampler that was asked for, or the usual one.

    Raises
    ------
    InputError
        When it does not go with the objective.
    """
    known = SAMPLERS[objective]
    if sampler is None:
        return known[0]
    if sampler not in known:
        raise InputError(f"sampler is {sampler!r}; a model with objective {objective} takes {' or '.join(known)}")
    return sampler


def walk(
    path: NoisePath, predict: Predict, start: Tensor, steps: int, sampler: str, noise: Noise, limit: float | None = None
) -> Tensor:
    """Follow a path from noise back to pictures.

    ``ddim`` keeps the noise that the network sees: x(t') = a' x + s' e. ``ddpm`` draws from the posterior of x(t')
    given x(t) and x, whose variance is s'² - (a s'² / (a' s))². ``euler`` and ``heun`` solve dx/dt = e - x.

    Parameters
    ----------
    path : with its objective
    predict : the network
    start : standard normal noise (n, ...)
    steps : of the sampler; heun asks the network twice in each but the last
    sampler : see ``SAMPLERS``
    noise : for ``ddpm``, of step 0, 1, ...
    limit : pictures that the network sees are cut to plus and minus this by ``ddim`` and ``ddpm``

    References
    ----------
    J. Ho, A. Jain, P. Abbeel, NeurIPS 2020 (arXiv:2006.11239), equations 6 and 7.
    J. Song, C. Meng, S. Ermon, ICLR 2021 (arXiv:2010.02502), equation 12.
    """
    x, times = start, path.list_times(steps)
    for number, (t, later) in enumerate(itertools.pairwise(times)):
        now, then = torch.full((len(x),), t), torch.full((len(x),), later)
        now, then = now.to(x.device), then.to(x.device)
        answer = predict(x, now)
        if sampler == "euler" or (sampler == "heun" and later == 0):
            x = x + (later - t) * answer
        elif sampler == "heun":
            ahead = predict(x + (later - t) * answer, then)
            x = x + (later - t) * (answer + ahead) / 2
        else:
            picture, seen = _look(path, answer, x, now, limit)
            x = _step_back(path, picture, seen, t, later, noise(number) if sampler == "ddpm" else None)
    return x


def _look(path: NoisePath, answer: Tensor, x: Tensor, t: Tensor, limit: float | None) -> tuple[Tensor, Tensor]:
    """Picture and noise that the network sees; the noise is that of the picture after it was cut."""
    picture, seen = path.separate(answer, x, t)
    if limit is None:
        return picture, seen
    a, s = (float(c[0]) for c in path.coefficients(t))
    picture = picture.clamp(-limit, limit)
    return picture, (x - a * picture) / s


def _step_back(path: NoisePath, picture: Tensor, seen: Tensor, t: float, later: float, fresh: Tensor | None) -> Tensor:
    (a, a_later), (s, s_later) = path.coefficients(torch.tensor([t, later]))
    if fresh is not None:
        # Of the noise that is left, the posterior keeps this share and draws the rest anew.
        share = a * s_later / (a_later * s)
        seen = share * seen + (1 - share**2).clamp(min=0).sqrt() * fresh
    moved: Tensor = a_later * picture + s_later * seen
    return moved
