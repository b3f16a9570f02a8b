"""The random stream: Philox blocks of given counters, compiled and by NumPy."""

from __future__ import annotations

import numpy as np

from benchmarks.catalogue import list_isas
from benchmarks.contenders import Ours
from benchmarks.judgement import Verdict
from benchmarks.race import Repeated, time_in_turn
from pyqmc_art.rng import philox

BLOCKS = 2**16
CALLS = 10
"""At each choice of an instruction set, which takes microseconds."""
KEY = 0xA4093822299F31D0
COUNTER = np.array([[0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]], np.uint32)
KNOWN_KEY = 0x299F31D0A4093822
KNOWN = [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
"""The third known answer of Random123 for philox4x32 with 10 rounds: counter and key are digits of pi."""


def compiled(counter, key, out):
    from pyqmc_art import _core

    _core.philox(counter, key, out)
    return out


def in_bulk(counter, key, out):
    """The same, for counters that follow one another."""
    from pyqmc_art import _core

    index, replica, step, last = map(int, counter[0])
    _core.fill_blocks(key, replica, step, last >> 24, last & 0xFFFFFF, index, out)
    return out


def by_numpy(counter, key, out):
    """The same without compiled code, into memory of its own."""
    return philox(counter, key)


def load(blocks, isa=None):
    """Calls that make the blocks, and whether they are right."""
    counter = np.zeros((BLOCKS, 4), np.uint32)
    counter[:, 0] = np.arange(BLOCKS)
    out = np.empty_like(counter)

    def work():
        with Ours(isa=isa).chosen():
            for _ in range(CALLS):
                blocks(counter, KEY, out)
        return CALLS * counter.nbytes

    with Ours(isa=isa).chosen():
        assert blocks(COUNTER, KNOWN_KEY, out[:1])[0].tolist() == KNOWN
        assert np.array_equal(blocks(counter, KEY, out), philox(counter, KEY))
    return Repeated(work), Verdict(True, "Random123's known answer")


def test_philox(benchmark, paddock):
    runners = {f"in bulk, {isa}": load(in_bulk, isa) for isa in list_isas()}
    if runners:
        runners["compiled"] = load(compiled)
    runners["NumPy"] = load(by_numpy)
    time_in_turn(paddock, benchmark, "random", f"Philox4x32-10 of {BLOCKS} counters", "byte", runners)
