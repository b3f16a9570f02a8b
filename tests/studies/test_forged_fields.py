"""The study of forged fields: its exact weights are exact, its yardstick is the best judge."""

import math

import numpy as np
import pytest

pytest.importorskip("torch")

from pyqmc_art.appraise.fields import measure
from pyqmc_art.errors import InputError
from pyqmc_art.lattice.actions import Ising
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.scalar import Phi4
from pyqmc_art.monitor import Silent
from pyqmc_art.rng import Stream
from pyqmc_art.stats.importance import average_weighted
from pyqmc_art.studies.counterfeits import draw_scalar, draw_spins, forge_scalar, forge_spins, wrap
from pyqmc_art.studies.forged_fields import ForgedFields, find_best_accuracy

STREAM = Stream.from_seed(5)


@pytest.fixture(scope="module")
def scalar():
    action = Phi4(Lattice((4, 4)), -4.0, 6.0)
    genuine = wrap("phi^4", draw_scalar(action, 40, STREAM.fold("genuine")), action)
    return action, genuine, {one.name: one for one in forge_scalar(action, 40, 0.1, 15, STREAM.fold("forged"))}


@pytest.mark.parametrize("name", ["genuine", "wrong coupling", "smoothed", "Gaussian twin", "flow"])
def test_exact_weights_lead_from_the_forgery_to_the_target(scalar, name):
    action, genuine, forgeries = scalar
    forgery = forgeries[name]
    logs = forgery.weigh(forgery.fields.raw.reshape(-1, 4, 4))
    wanted, found = measure(genuine, action), measure(forgery.fields, action)
    for observable in ("phi2", "action", "abs_magnetization", "virial"):
        after = average_weighted(logs, found[observable])
        assert abs(after.deviation(genuine.estimate(wanted[observable]))) < 4.5, observable


def test_wrong_weights_would_be_noticed(scalar):
    action, genuine, forgeries = scalar
    twin = forgeries["Gaussian twin"]
    found = average_weighted(np.zeros(40 * 64), measure(twin.fields, action)["virial"])
    assert abs(found.deviation(genuine.estimate(measure(genuine, action)["virial"]))) > 8


def test_exact_weights_of_a_wrong_temperature():
    action = Ising(Lattice((4, 4)), beta=0.3)
    genuine = wrap("Ising", draw_spins(action, 40, STREAM.fold("spins")), action)
    forgery = forge_spins(action, 40, 0.1, STREAM.fold("hot"))
    logs = forgery.weigh(forgery.fields.raw.reshape(-1, 4, 4))
    after = average_weighted(logs, measure(forgery.fields, action)["energy"])
    assert abs(after.deviation(genuine.estimate(measure(genuine, action)["energy"]))) < 4


def test_the_best_accuracy_of_shifted_gaussians():
    """The best judge of N(delta; 1) and N(0; 1) is right with probability Phi(delta/2)."""
    x = np.random.default_rng(1).normal(size=(2, 200_000))
    for delta in (0.5, 1.5):
        best = 0.5 * math.erfc(-delta / 2 / math.sqrt(2))
        assert find_best_accuracy(delta * (x[0] + delta), delta * x[1]) == pytest.approx(best, abs=0.003)


@pytest.mark.slow
def test_quick_answers():
    study = ForgedFields(extent=4, lam=6.0, each=10, training=10, generators=10)
    found = study.run(None, stream=STREAM, monitor=Silent())
    assert [t.name for t in found.tables] == ["detection", "weights", "repair"]
    detected = {row[0]: dict(zip(found.tables[0].columns, row, strict=True)) for row in found.tables[0].rows}
    assert len(detected) == 9
    assert detected["one phase"]["verdict"] == detected["Gaussian twin"]["verdict"] == "different"
    assert detected["genuine"]["verdict"] == "not told apart"
    assert "one phase" in found.answer.partition("Not repaired")[2]
    assert all(row[0] in detected for table in found.tables for row in table.rows)


def test_what_cannot_be_judged_is_refused():
    for wrong in ({"extent": 2}, {"each": 3}, {"strength": 0.0}, {"heat": 1.5}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            ForgedFields(**wrong)
