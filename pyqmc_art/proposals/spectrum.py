"""Fourier layers: every mode of the field is multiplied by a trained positive number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


class SpectralScale(nn.Module):
    """y = F^-1 exp(a(p)) F x with the same a for all momenta that the symmetries of the torus turn into one another.

    ln |det dy/dx| is the sum of a over all momenta. It commutes with all translations, reflections and phi -> -phi, and
    gives a free field any spectrum; so it can correct the mass of the base. Everything is float64.

    Parameters
    ----------
    shape : of the lattice
    condition : couplings that a depends on, none for 0
    """

    orbits: Tensor

    def __init__(self, shape: Sequence[int], condition: int = 0) -> None:
        super().__init__()
        self.shape = tuple(shape)
        orbits = find_orbits(self.shape)
        self.register_buffer("orbits", torch.from_numpy(orbits), persistent=False)
        count = int(orbits.max()) + 1
        self.log_scale = nn.Parameter(torch.zeros(count, dtype=torch.float64))
        self.drift = nn.Parameter(torch.zeros(count, condition, dtype=torch.float64)) if condition else None

    def _scales(self, condition: Tensor | None) -> Tensor:
        a: Tensor = self.log_scale
        if self.drift is not None and condition is not None:
            a = a + self.drift @ condition.double()
        return a[self.orbits]

    def _apply_scales(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        axes = tuple(range(1, x.ndim))
        half = self.shape[-1] // 2 + 1
        modes = torch.fft.rfftn(x, dim=axes) * a[..., :half].exp()
        return torch.fft.irfftn(modes, s=self.shape, dim=axes), a.sum().expand(len(x))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map x, float64 of shape (n, *shape), to y; and ln |det dy/dx|, shape (n,)."""
        return self._apply_scales(x, self._scales(condition))

    def inverse(self, y: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map y to x, and ln |det dx/dy|."""
        return self._apply_scales(y, -self._scales(condition))


def find_orbits(shape: Sequence[int]) -> np.ndarray:
    """Number the displacements of a torus so that those alike by reflections and exchanges of equal axes share one.

    Examples
    --------
    >>> find_orbits((4,)).tolist(), find_orbits((2, 2)).tolist()
    ([0, 1, 2, 1], [[0, 1], [1, 2]])
    """
    extents = np.array(shape)
    place = np.indices(tuple(shape)).reshape(len(shape), -1)
    folded = np.minimum(place, extents[:, None] - place)
    for extent in set(shape):
        same = np.flatnonzero(extents == extent)
        folded[same] = np.sort(folded[same], axis=0)
    return np.unique(folded, axis=1, return_inverse=True)[1].reshape(tuple(shape))
