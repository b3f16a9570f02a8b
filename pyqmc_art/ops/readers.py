"""The networks of couplings in compiled form: tables of sites, and the calls."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Table = NDArray[np.int32]


@dataclass(frozen=True)
class ReaderTables:
    """Which inputs each output of each layer reads.

    Attributes
    ----------
    tables : of each layer, shape (outputs, taps); the number of inputs stands for none
    backward : of each layer, shape (inputs, taps): the output that reads an input by a tap; their number for none
    """

    tables: tuple[Table, ...]
    backward: tuple[Table, ...]


def make_tables(shape: Sequence[int], read: NDArray[np.bool_], depth: int) -> ReaderTables:
    """Tables of circular convolutions of three sites along each axis, from the sites that are read to all others.

    Parameters
    ----------
    shape : of the lattice
    read : which sites are the input of the first layer, flat; the last layer is wanted at the others only
    depth : layers

    Examples
    --------
    >>> tables = make_tables((4,), np.array([True, False, True, False]), 1)
    >>> tables.tables[0].tolist()  # sites 1 and 3 read 0 and 2 to the left and right, and nothing at themselves
    [[0, 2, 1], [1, 2, 0]]
    """
    places = np.indices(tuple(shape)).reshape(len(shape), -1)
    extents = np.array(shape)[:, None]
    taps = [np.ravel_multi_index(tuple((places + np.array(t)[:, None]) % extents), tuple(shape))
            for t in product((-1, 0, 1), repeat=len(shape))]  # fmt: skip
    full = np.stack(taps, axis=1)
    sites = len(full)
    everything = np.arange(sites)
    forward, backward = [], []
    for layer in range(depth):
        inputs = np.flatnonzero(read) if layer == 0 else everything
        outputs = np.flatnonzero(~read) if layer == depth - 1 else everything
        number = np.full(sites, len(inputs), np.int32)
        number[inputs] = np.arange(len(inputs))
        table = number[full[outputs]]
        reverse = np.full((len(inputs) + 1, table.shape[1]), len(outputs), np.int32)
        # A tap is a shift, so no input is read twice by one.
        for tap in range(table.shape[1]):
            reverse[table[:, tap], tap] = np.arange(len(outputs))
        forward.append(np.ascontiguousarray(table, np.int32))
        backward.append(np.ascontiguousarray(reverse[:-1], np.int32))
    return ReaderTables(tuple(forward), tuple(backward))


def read_sites(
    given: Floats, tables: ReaderTables, weights: Sequence[Floats], biases: Sequence[Floats], slope: float, threads: int
) -> Floats:
    """Run the network.

    Parameters
    ----------
    given : values at the sites that are read, shape (n, inputs)
    weights : of each layer, shape (taps, inputs, outputs)
    biases : of each layer
    slope : of the curve max(x, slope x) between layers; a negative number stands for tanh

    Returns
    -------
    Shape (n, outputs, sites)
    """
    result = np.empty((len(given), weights[-1].shape[2], len(tables.tables[-1])), np.float32)
    core: Any = importlib.import_module("pyqmc_art._core")
    core.read_sites(given, list(tables.tables), list(weights), list(biases), slope, result, threads)
    return result


def read_sites_backward(
    given: Floats, tables: ReaderTables, weights: Sequence[Floats], biases: Sequence[Floats], slope: float,
    pull: Floats, threads: int,
) -> tuple[Floats, list[Floats], list[Floats]]:  # fmt: skip
    """Gradients of sum(pull * result) with respect to ``given``, the weights and the biases."""
    slopes = np.empty_like(given)
    weight_slopes = [np.zeros_like(w) for w in weights]
    bias_slopes = [np.zeros_like(b) for b in biases]
    transposed = [np.ascontiguousarray(w.transpose(0, 2, 1)) for w in weights]
    core: Any = importlib.import_module("pyqmc_art._core")
    core.read_sites_backward(
        given, list(tables.tables), list(tables.backward), list(weights), transposed, list(biases), slope, pull, slopes,
        weight_slopes, bias_slopes, threads,
    )  # fmt: skip
    return slopes, weight_slopes, bias_slopes
