"""Networks of couplings: convolutions that wrap round the torus, or dense ones, odd in the field where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise, product
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from pyqmc_art.backends import resolve
from pyqmc_art.errors import InputError, unknown
from pyqmc_art.ops import readers

NETWORKS: Final = ("conv", "dense")

_CONVOLUTIONS: Final = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_MOST_AXES: Final = 4
_LAST_GAIN: Final = 0.3
_LEAK: Final = 0.01


class Convolution4d(nn.Module):
    """Circular convolution of three sites along each of four axes: torch has none.

    Parameters
    ----------
    first, last : channels that are read and written
    bias : whether a constant is added to each
    """

    def __init__(self, first: int, last: int, bias: bool) -> None:
        super().__init__()
        reach = (3 * 3 * 3 * 3 * first) ** -0.5
        self.weight = nn.Parameter(torch.empty(last, first, 3, 3, 3, 3).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(last).uniform_(-reach, reach)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, first, *shape) to (n, last, *shape)."""
        flat = self.weight.flatten(2)
        total = torch.zeros((), dtype=x.dtype)
        for number, tap in enumerate(product((1, 0, -1), repeat=4)):
            total = total + torch.einsum("oi,ni...->no...", flat[:, :, number], x.roll(tap, dims=(2, 3, 4, 5)))
        return total if self.bias is None else total + self.bias.reshape(-1, 1, 1, 1, 1)


class Reader(nn.Sequential):
    """What a coupling reads off the sites that it leaves alone: ``outputs`` numbers at every site.

    Parameters
    ----------
    shape : of the lattice, one to four axes
    hidden : channels (``"conv"``) or numbers (``"dense"``) of the hidden layers
    outputs : numbers at each site
    network : ``"conv"`` or ``"dense"``
    odd : without constants and with tanh, so that the outputs change sign with the field
    """

    def __init__(
        self, shape: Sequence[int], hidden: Sequence[int], outputs: int, network: str = "conv", odd: bool = True
    ) -> None:
        if network not in NETWORKS:
            raise unknown("network", network, NETWORKS)
        if network == "conv" and len(shape) > _MOST_AXES:
            raise InputError(f"the lattice has {len(shape)} axes; convolutions have up to 4, use network 'dense'")
        if not hidden or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in hidden):
            raise InputError(f"hidden is {tuple(hidden)}; expected the widths of the hidden layers, for instance 12 12")
        sites = int(np.prod(shape))
        dense = network == "dense"
        widths = (sites, *hidden, outputs * sites) if dense else (1, *hidden, outputs)
        layers: list[nn.Module] = []
        for one, two in pairwise(widths):
            layers.append(nn.Linear(one, two, bias=not odd) if dense else _convolution(len(shape), one, two, not odd))
            layers.append(nn.Tanh() if odd else nn.LeakyReLU(_LEAK))
        layers.pop()
        with torch.no_grad():
            for weight in layers[-1].parameters():
                weight.mul_(_LAST_GAIN)
        super().__init__(*layers)
        self.shape, self.dense, self.odd, self.outputs = tuple(shape), dense, odd, outputs

    def read(self, field: Tensor, read: Tensor, moved: Tensor, scales: Sequence[Tensor] = ()) -> Tensor:
        """Map the sites of a field that are read to the outputs at the others, shape (n, outputs, moved).

        Parameters
        ----------
        field : shape (n, *shape)
        read, moved : numbers of the sites that are read, and of the others
        scales : multiply the channels of each hidden layer
        """
        kind = next(self.parameters()).dtype
        if not self.dense and kind == torch.float32 and field.device.type == "cpu" and resolve() == "cpp":
            return self._read_compiled(field, read, scales)
        picked = field.flatten(1).index_select(1, read).to(kind)
        given = picked.new_zeros(len(field), int(np.prod(self.shape))).index_copy(1, read, picked)
        x = given if self.dense else given.reshape(len(field), 1, *self.shape)
        for number, layer in enumerate(self):
            x = layer(x)
            if number % 2 and scales:
                x = x * scales[number // 2].reshape(-1, *[1] * (x.ndim - 2))
        return x.reshape(len(given), self.outputs, -1).index_select(2, moved)

    def _read_compiled(self, field: Tensor, read: Tensor, scales: Sequence[Tensor]) -> Tensor:
        """The same by the compiled loops, which leave out what is not read and not wanted."""
        layers: list[Any] = list(self)[::2]
        weights = [layer.weight.flatten(2).permute(2, 1, 0) for layer in layers]
        for number, scale in enumerate(scales):
            weights[number + 1] = weights[number + 1] * scale[:, None]
        biases = [weights[k].new_zeros(weights[k].shape[2]) if self.odd else layers[k].bias for k in range(len(layers))]
        given = field.flatten(1).index_select(1, read).float()
        tables = _find_tables(self.shape, tuple(read.tolist()), len(layers))
        out: Tensor = _Reading.apply(given, tables, -1.0 if self.odd else _LEAK, len(weights), *weights, *biases)
        return out


@lru_cache(maxsize=64)
def _find_tables(shape: tuple[int, ...], read: tuple[int, ...], depth: int) -> readers.ReaderTables:
    chosen = np.zeros(int(np.prod(shape)), bool)
    chosen[list(read)] = True
    return readers.make_tables(shape, chosen, depth)


class _Reading(torch.autograd.Function):
    """The compiled network and its gradient."""

    @staticmethod
    def forward(
        ctx: Any, given: Tensor, tables: readers.ReaderTables, slope: float, depth: int, *free: Tensor
    ) -> Tensor:
        arrays = [np.ascontiguousarray(t.detach().numpy()) for t in (given, *free)]
        ctx.arrays, ctx.tables, ctx.slope, ctx.depth = arrays, tables, slope, depth
        found = readers.read_sites(
            arrays[0], tables, arrays[1 : 1 + depth], arrays[1 + depth :], slope, torch.get_num_threads()
        )
        return torch.from_numpy(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        arrays, depth = ctx.arrays, ctx.depth
        pull = np.ascontiguousarray(gradients[0].numpy())
        given, weights, biases = readers.read_sites_backward(
            arrays[0], ctx.tables, arrays[1 : 1 + depth], arrays[1 + depth :], ctx.slope, pull, torch.get_num_threads()
        )
        slopes = [torch.from_numpy(a) for a in (given, *weights, *biases)]
        return slopes[0], None, None, None, *slopes[1:]


def _convolution(axes: int, first: int, last: int, bias: bool) -> nn.Module:
    if axes == _MOST_AXES:
        return Convolution4d(first, last, bias)
    return _CONVOLUTIONS[axes](first, last, 3, padding=1, padding_mode="circular", bias=bias)
