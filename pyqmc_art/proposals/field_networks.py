"""Small convolutional networks on fields of two periodic axes: maps of fields, and critics of fields."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from pyqmc_art.rng import Stream

HIDDEN: Final = (24, 24)


class FieldMap(nn.Sequential):
    """Maps channels at every site to channels at every site; translations of the torus commute with it.

    Parameters
    ----------
    inputs, outputs : channels
    hidden : channels of the hidden layers
    """

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int] = HIDDEN) -> None:
        layers: list[nn.Module] = []
        for one, two in pairwise((inputs, *hidden, outputs)):
            layers += [nn.Conv2d(one, two, 3, padding=1, padding_mode="circular"), nn.SiLU()]
        super().__init__(*layers[:-1])


class FieldCritic(nn.Module):
    """One number for each field: means of what a map finds, and of its squares, in a line.

    Parameters
    ----------
    inputs : channels of a field
    hidden : channels of the map
    """

    def __init__(self, inputs: int = 1, hidden: Sequence[int] = HIDDEN) -> None:
        super().__init__()
        self.map = FieldMap(inputs, hidden[-1], hidden[:-1])
        self.last = nn.Linear(2 * hidden[-1], 1)

    def forward(self, fields: Tensor) -> Tensor:
        """Map fields (n, inputs, rows, columns) to numbers (n,)."""
        found = self.map(fields)
        means = torch.cat([found.mean(dim=(2, 3)), found.square().mean(dim=(2, 3))], dim=1)
        out: Tensor = self.last(means)[:, 0]
        return out


def build(make: type[nn.Module], stream: Stream, *arguments: int) -> nn.Module:
    """Build a network whose first weights are a function of the stream."""
    with torch.random.fork_rng([]):
        torch.manual_seed(stream.fold("first weights").key)
        return make(*arguments)
