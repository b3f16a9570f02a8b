"""The procedural painter: pictures of 512 x 512 by one core, each kind of motif."""

from __future__ import annotations

import numpy as np
import pytest

from pyqmc_art.art.hands import Hand
from pyqmc_art.art.motifs import Motif
from pyqmc_art.art.painter import paint
from pyqmc_art.art.scenes import SCENES
from pyqmc_art.backends import list_available
from pyqmc_art.rng import Stream

ROOT = Stream.from_seed(1)


@pytest.mark.skipif("numba" not in list_available(), reason="plain Python takes minutes a picture")
@pytest.mark.parametrize("kind", SCENES)
def test_paint(benchmark, kind):
    motif, hand = Motif.draw(ROOT, kind), Hand.draw(ROOT)
    first = paint(motif, hand, (512, 512), ROOT)
    again = benchmark.pedantic(paint, (motif, hand, (512, 512), ROOT), rounds=5, iterations=1)
    assert np.array_equal(first, again)
