"""Repairing an ensemble: exact weights as the yardstick, missing support told, files that say where they come from."""

import math

import numpy as np
import pytest

from pyqmc_art.appraise.contest import BASIC, Judge, learn_line
from pyqmc_art.appraise.corrected import check_folder, write_corrected_fields
from pyqmc_art.appraise.correction import Weighed, correct, weigh
from pyqmc_art.appraise.ensembles import appraise, correct_fields
from pyqmc_art.appraise.fields import look_at, measure_both, open_fields
from pyqmc_art.appraise.tables import Table, cut_chains
from pyqmc_art.errors import InputError
from pyqmc_art.rng import Stream
from pyqmc_art.store.ensemble import Ensemble, open_ensemble

LINE = (Judge("line", "features", learn_line),)
STREAM = Stream.from_seed(3)


def table(x):
    units, segments, spoken = cut_chains(len(x), 1, 1)
    return Table("t", {"features": x}, units, segments, spoken)


def gaussians(n, shift, seed, dimension=2):
    x = np.random.default_rng(seed).normal(size=(n, dimension))
    x[:, 0] += shift
    return x


@pytest.mark.parametrize("shift", [0.3, 1.0])
def test_the_judges_weights_of_shifted_gaussians_are_the_exact_ones(shift):
    """ln N(x; shift) / N(x; 0) = shift x - shift^2 / 2."""
    b = gaussians(3000, 0.0, 1)
    found = weigh(table(gaussians(3000, shift, 2)), table(b), BASIC, STREAM)
    exact = shift * b[:, 0]
    slope = np.polyfit(exact, found.b, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.25 if shift < 1 else 0.15)
    assert np.corrcoef(exact, found.b)[0, 1] > 0.97


def test_weights_of_a_member_come_of_judges_that_have_not_seen_it():
    """Labels that mean nothing: a judge that remembers its members would weigh them far apart."""
    both = gaussians(400, 0.0, 3, dimension=100)
    found = weigh(table(both[:200]), table(both[200:]), LINE, STREAM)
    assert abs(found.b.mean()) < 0.3
    assert abs(found.a.mean()) < 0.3


@pytest.mark.parametrize("method", ["mh", "drs", "reweight"])
def test_all_methods_move_the_mean(method):
    a, b = table(gaussians(2400, 0.6, 4)), table(gaussians(2400, 0.0, 5))
    found = correct(a, b, LINE, method, STREAM)
    values = b.views["features"][found.chosen, 0]
    weights = np.exp(found.weighed.b[found.chosen]) if method == "reweight" else np.ones(len(values))
    assert np.average(values, weights=weights) == pytest.approx(0.6, abs=0.15)
    assert found.contest is not None
    assert found.contest.hits.p_value > 1e-3
    assert not found.misses


def test_the_exact_weights_can_be_given():
    a, b = table(gaussians(1200, 0.6, 4)), table(gaussians(1200, 0.0, 5))
    exact = Weighed(0.6 * b.views["features"][:, 0], np.arange(10), np.zeros(10), ("exact",))
    found = correct(a, b, LINE, "mh", STREAM, exact)
    # ln w' - ln w is normal with mean -shift^2 and variance 2 shift^2: the mean of min(1, w'/w) is erfc(shift / 2).
    assert found.acceptance.value == pytest.approx(math.erfc(0.3), abs=0.06)
    assert found.weights.effective / found.weights.count == pytest.approx(np.exp(-0.36), abs=0.08)


def test_a_part_of_a_that_b_lacks_is_told():
    a, b = gaussians(1200, 0.0, 6), np.abs(gaussians(1200, 0.0, 7))
    found = correct(table(a), table(b), LINE, "mh", STREAM)
    assert found.misses
    assert found.unseen.low > 0.3
    assert any("missing in B" in line for line in found.lines())
    healthy = correct(table(a), table(gaussians(1200, 0.0, 8)), LINE, "mh", STREAM)
    assert not healthy.misses
    assert not any("missing in B" in line for line in healthy.lines())


def write(path, raw):
    from pyqmc_art.store.checkpoint import Checkpoint
    from pyqmc_art.store.provenance import collect
    from pyqmc_art.store.writer import EnsembleWriter

    told = {"action": "phi4", "shape": [4, 4], "m2": -4.0, "lam": 6.0, "kernel": "draws"}
    writer = EnsembleWriter.create(
        path, configuration=told, provenance=collect(), series={"energy": (raw.shape[1],)},
        fields=(raw.shape[1:], raw.dtype), state=Checkpoint(0),
    )  # fmt: skip
    with writer:
        writer.append({"energy": np.zeros(raw.shape[:2])}, raw, Checkpoint(len(raw), {}, len(raw), len(raw)))
    return path


@pytest.mark.parametrize("method", ["mh", "drs", "reweight"])
def test_corrected_fields_say_where_they_come_from(tmp_path, method):
    generator = np.random.default_rng(1)
    a = write(tmp_path / "a.h5", generator.normal(size=(150, 1, 4, 4)))
    b = write(tmp_path / "b.h5", 1.1 * generator.normal(size=(150, 1, 4, 4)))
    found = appraise(a, b, correct=method, out=tmp_path / "out")
    with open_ensemble(tmp_path / "out" / "fields.h5") as made:
        members = made.series["member"][:, 0].astype(int)
        assert np.array_equal(np.asarray(made.fields), open_fields(b).raw[members])
        assert made.attributes["corrected_by"] == method
        assert made.attributes["towards"] == str(a)
        assert len(str(made.attributes["digest_of_corrected"])) == 64
        assert made.attributes["acceptance"] == pytest.approx(found.correction.acceptance.value)
        logs = made.series["log_weight"][:, 0]
        assert logs == pytest.approx(found.correction.weighed.b[members])
    record = found.to_json()["correction"]
    assert set(record) >= {"method", "acceptance", "ess", "largest_share", "k_hat", "unseen", "c2st_after"}
    assert record["offered"] >= record["accepted"]
    again = appraise(a, tmp_path / "out")
    assert any("weighted" in note for note in again.notes) == (method == "reweight")


def test_an_out_that_is_in_use_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        check_folder(tmp_path / "file", False)
    with pytest.raises(InputError, match="not empty"):
        check_folder(tmp_path, False)
    assert check_folder(tmp_path, True) == tmp_path
    generator = np.random.default_rng(1)
    a, b = (write(tmp_path / f"{name}.h5", generator.normal(size=(40, 1, 4, 4))) for name in "ab")
    with pytest.raises(InputError, match="give correct"):
        appraise(a, b, out=tmp_path / "new")


def test_observables_come_back(tmp_path):
    generator = np.random.default_rng(2)
    a, b = (
        look_at(Ensemble.in_memory({}, {}, {}, width * generator.normal(size=(600, 1, 4, 4))), name)
        for name, width in (("a", 1.0), ("b", 1.15))
    )
    found = correct_fields(a, b, measure_both(a, b, None), "reweight", STREAM)
    before, after = (
        max(abs(one[k].deviation(one[0])) for one in found.observables.values()) for k in (1, 2)
    )  # fmt: skip
    assert before > 5
    assert after < 4
    path = write_corrected_fields(tmp_path / "out", a, b, found)
    with pytest.raises(InputError, match="exists"):
        write_corrected_fields(tmp_path / "out", a, b, found)
    assert path.is_file()
