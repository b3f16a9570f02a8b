"""A small run whose every number is known; executed as a script it writes that run in a process that can be killed."""

import os
import resource
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pyqmc_art.errors import StoreError
from pyqmc_art.rng import STREAM_VERSION
from pyqmc_art.store import checkpoint as checkpoint_module
from pyqmc_art.store.checkpoint import Checkpoint
from pyqmc_art.store.ensemble import EnsembleWriter
from pyqmc_art.store.hdf5 import SwmrFile

REPLICAS = 3
PER_BLOCK = 50
SAVED_PER_BLOCK = 4
CONFIGURATION = {"model": "ising", "beta": 0.4406868, "shape": [4, 6], "every": 2, "steps": 1000, "field": None}
PROVENANCE = {"version": "0", "stream_version": STREAM_VERSION, "backend": "cpp", "seed": 7}


def energy(first, last):
    return np.sin(np.arange(first * REPLICAS, last * REPLICAS, dtype=float)).reshape(-1, REPLICAS)


def rungs(first, last):
    return np.cos(np.arange(first * REPLICAS * 2, last * REPLICAS * 2, dtype=float)).reshape(-1, REPLICAS, 2)


def fields(first, last):
    sites = np.arange(first * REPLICAS * 24, last * REPLICAS * 24)
    return ((sites * 7919 % 251) - 125).astype(np.int8).reshape(-1, REPLICAS, 4, 6)


def state(block):
    arrays = {"field": fields(block, block + 1)[0], "weight": np.array(block / 3), "none": np.zeros((0, 2))}
    facts = {"seconds": 0.5 * block, "acceptance": 0.25}
    return Checkpoint(2 * PER_BLOCK * block, arrays, PER_BLOCK * block, SAVED_PER_BLOCK * block, facts)


def begin(path, **options):
    series = {"energy": (REPLICAS,), "rungs": (REPLICAS, 2)}
    layout = {"series": series, "fields": ((REPLICAS, 4, 6), np.int8), "state": state(0)}
    return EnsembleWriter.create(
        path, **({"configuration": CONFIGURATION, "provenance": PROVENANCE} | layout | options)
    )


def extend(writer, blocks):
    """Append blocks until there are ``blocks`` of them."""
    for block in range(writer.checkpoint.measurements // PER_BLOCK, blocks):
        first, saved = PER_BLOCK * block, SAVED_PER_BLOCK * block
        series = {name: make(first, first + PER_BLOCK) for name, make in (("energy", energy), ("rungs", rungs))}
        writer.append(series, fields(saved, saved + SAVED_PER_BLOCK), state(block + 1))


def write(path, blocks, **options):
    with begin(path, **options) as writer:
        extend(writer, blocks)


def check(ensemble, blocks):
    """Everything of so many blocks is there, and nothing else."""
    n, saved = PER_BLOCK * blocks, SAVED_PER_BLOCK * blocks
    assert (ensemble.measurements, ensemble.replicas, len(ensemble.fields)) == (n, REPLICAS, saved)
    np.testing.assert_array_equal(ensemble.series["energy"], energy(0, n))
    np.testing.assert_array_equal(ensemble.series["rungs"], rungs(0, n))
    np.testing.assert_array_equal(ensemble.fields[:], fields(0, saved))


def same_state(one, other):
    assert (one.step, one.measurements, one.saved, one.facts) == (
        other.step,
        other.measurements,
        other.saved,
        other.facts,
    )
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype
        np.testing.assert_array_equal(array, other.arrays[name])


@pytest.fixture
def known():
    """The functions above."""
    return SimpleNamespace(**{k: v for k, v in globals().items() if callable(v) or k.isupper()}, script=Path(__file__))


def die(*_ignored, **_options):
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(stage):
    """Let this process be killed at one moment of an append."""
    if stage == "between datasets":
        write_rows = SwmrFile.write

        def write_first(self, name, start, rows):
            if name.endswith("rungs"):
                self.file.flush()
                die()
            write_rows(self, name, start, rows)

        SwmrFile.write = write_first
    elif stage == "before flush":
        SwmrFile.flush = die
    elif stage == "before state":
        checkpoint_module._write = die
    elif stage == "before replacement":
        checkpoint_module.os.replace = die


def main(path, action, argument):
    if action == "loop":
        with begin(path) as writer:
            for block in range(1, 10**6):
                extend(writer, block)
                print(block, flush=True)
    elif action == "die":
        writer = begin(path)
        extend(writer, 3)
        die_at(argument)
        extend(writer, 4)
    elif action == "fill":
        if Path(path).exists():
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(argument), int(argument)))
            EnsembleWriter.resume(path)
        elif int(argument) < 10_000:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(argument), int(argument)))
        with begin(path) as writer:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(argument), int(argument)))
            try:
                extend(writer, 10**6)
            except StoreError as error:
                print(error)
                print(writer.checkpoint.measurements // PER_BLOCK)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except StoreError as failure:
        print(failure)
