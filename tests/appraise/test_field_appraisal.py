"""Field ensembles appraised: equal ones pass, planted forgeries are found, wrong files are refused."""

import numpy as np
import pytest

from pyqmc_art.appraise.ensembles import appraise, appraise_fields, find_kind
from pyqmc_art.appraise.field_features import describe_fields
from pyqmc_art.appraise.fields import look_at, open_fields
from pyqmc_art.appraise.findings import tell
from pyqmc_art.appraise.spectra import find_rings, take_spectrum
from pyqmc_art.errors import InputError, NumericalError
from pyqmc_art.lattice.actions import Ising, Potts
from pyqmc_art.lattice.chain import sample
from pyqmc_art.lattice.geometry import Lattice
from pyqmc_art.lattice.kernels.cluster import SwendsenWang
from pyqmc_art.lattice.kernels.local import HeatBath
from pyqmc_art.rng import Stream
from pyqmc_art.store.ensemble import Ensemble


def run(beta, seed, out=None, **more):
    action = Ising(Lattice((6, 6)), beta=beta)
    return sample(action, SwendsenWang(action, threads=1), steps=240, warmup=50, every=4, save_every=4, replicas=12,
                  seed=seed, out=out, **more)  # fmt: skip


def fields(raw, name="x", **told):
    return look_at(Ensemble.in_memory(told, {}, {}, np.asarray(raw)), name)


@pytest.fixture(scope="module")
def genuine():
    return look_at(run(0.4, 1), "genuine")


def test_another_run_of_the_same_target_is_not_told_apart(genuine):
    found = appraise_fields(genuine, look_at(run(0.4, 2), "other"), Stream.from_seed(1))
    assert found.verdict == "not told apart"
    assert not found.memory.flagged
    assert abs(found.kid.value) < 5 * found.kid.error
    assert set(found.p_values) == {"c2st", "spectrum", "observables"}
    told = tell(found)
    assert [t.name for t in told.tables] == ["tests", "judges", "observables", "distances"]
    assert "no proof" in told.answer


def test_another_temperature_is_told_apart_by_everything(genuine):
    found = appraise_fields(genuine, look_at(run(0.44, 3), "hotter"), Stream.from_seed(1))
    assert found.verdict == "different"
    assert max(found.p_values.values()) < 0.01
    by_name = {one.name: one for one in found.observables}
    assert by_name["energy"].sigmas < -5
    assert any("different targets" in note for note in found.notes)


def test_copies_are_flagged_where_equal_fields_do_not_come_by_chance(genuine):
    generator = np.random.default_rng(4)
    raw = generator.normal(size=(40, 4, 6, 6))
    shuffled = raw.reshape(-1, 6, 6)[generator.permutation(160)].reshape(raw.shape)
    copies = np.roll(shuffled, 2, axis=3)
    found = appraise_fields(fields(raw), fields(copies), Stream.from_seed(1))
    assert found.memory.flagged
    assert found.verdict == "not told apart"
    small = appraise_fields(genuine, look_at(run(0.4, 2), "other"), Stream.from_seed(1))
    assert not small.memory.flagged
    assert any("cannot be told" in note for note in small.notes)


def test_fields_without_an_action_are_compared_by_what_describes_any_field():
    generator = np.random.default_rng(4)
    a = fields(generator.normal(size=(40, 4, 6, 6)))
    b = fields(generator.normal(size=(40, 4, 6, 6)) ** 3 / 15**0.5)
    found = appraise_fields(a, b, Stream.from_seed(1))
    assert found.verdict == "different"
    worst = max(found.observables, key=lambda one: abs(one.sigmas))
    assert worst.name in ("power 4", "power 6", "squares of neighbours")
    assert found.p_values["spectrum"] > 1e-3, "white noise of the same variance has the same spectrum"


def test_colours_are_names_and_vectors_have_components():
    action = Potts(Lattice((4, 4)), q=3, beta=0.8)
    ran = sample(action, HeatBath(action, threads=1), steps=200, warmup=20, every=4, save_every=4, replicas=8, seed=1)
    potts = look_at(ran, "potts")
    assert potts.values.shape[1:] == (4, 4, 3)
    # A permutation of the colours changes no number but the means of single colours.
    numbers, _ = describe_fields(potts.values)
    turned, _ = describe_fields(potts.values[..., [1, 2, 0]])
    for name in numbers:
        if not name.startswith("mean "):
            assert turned[name] == pytest.approx(numbers[name])


def test_numbers_of_a_field_do_not_change_with_translations():
    values = np.random.default_rng(1).normal(size=(3, 6, 4, 1))
    here, spectrum = describe_fields(values)
    there, moved = describe_fields(np.roll(values, (2, 1), (1, 2)))
    for name in here:
        assert there[name] == pytest.approx(here[name]), name
    assert moved.radial == pytest.approx(spectrum.radial)


@pytest.mark.parametrize("shape", [(8,), (6, 6), (5, 8), (4, 4, 4)])
def test_rings_hold_all_power(shape):
    values = np.random.default_rng(1).normal(size=(2, *shape, 1))
    found = take_spectrum(values)
    ring, frequency = find_rings(shape, 16)
    counts = np.bincount(ring)
    assert found.radial @ counts == pytest.approx((values**2).sum(axis=tuple(range(1, values.ndim))))
    assert counts[0] == 1
    assert frequency[0] == 0
    assert np.all(np.diff(frequency) > 0)


def test_short_chains_are_units_of_their_own():
    generator = np.random.default_rng(1)
    found = fields(np.repeat(generator.normal(size=(1, 30, 4, 4)), 3, axis=0))
    assert found.table.unit_count == 30


def test_many_fields_are_thinned(monkeypatch):
    generator = np.random.default_rng(1)
    raw = generator.normal(size=(100, 4, 4, 4))
    found = look_at(Ensemble.in_memory({}, {}, {}, raw), "x", most=120)
    assert found.stride == 4
    assert np.array_equal(found.raw, raw[::4])
    monkeypatch.setattr("pyqmc_art.appraise.fields.MOST_SITES", 16 * 80)
    assert len(look_at(Ensemble.in_memory({}, {}, {}, raw), "x").table) == 80


def test_files_and_what_is_wrong_with_them(tmp_path):
    run(0.4, 1, tmp_path / "a.h5")
    run(0.4, 2, tmp_path / "b.h5")
    assert appraise(tmp_path / "a.h5", tmp_path / "b.h5").kind == "fields"
    action = Ising(Lattice((4, 4)), beta=0.4)
    sample(action, SwendsenWang(action), steps=100, save_every=1, seed=1, out=tmp_path / "small.h5")
    sample(action, SwendsenWang(action), steps=100, seed=1, out=tmp_path / "series.h5")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "noise.h5").write_bytes(b"nothing")
    for other, message in (
        ("small.h5", "one shape"), ("series.h5", "save-every"), ("pictures", "two of a kind"),
        ("absent.h5", "does not exist"), ("noise.h5", "noise.h5"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            appraise(tmp_path / "a.h5", tmp_path / other)
    with pytest.raises(InputError, match="is for pictures"):
        appraise(tmp_path / "a.h5", tmp_path / "b.h5", equalise="64")
    with pytest.raises(InputError, match="did you mean 'mh'"):
        appraise(tmp_path / "a.h5", tmp_path / "b.h5", correct="mc")


def test_a_folder_of_draws_is_its_file(tmp_path):
    (tmp_path / "fields.h5").write_bytes(b"")
    assert find_kind(tmp_path) == ("fields", tmp_path / "fields.h5")


def test_numbers_that_are_not_finite_and_fields_that_do_not_belong():
    raw = np.zeros((20, 2, 4, 4))
    raw[3, 1, 2, 2] = np.inf
    with pytest.raises(NumericalError, match="not finite"):
        fields(raw)
    with pytest.raises(InputError, match="several targets"):
        fields(np.zeros((20, 2, 3, 4, 4)), shape=[4, 4], action="ising", beta=0.4)
    with pytest.raises(InputError, match="no fields"):
        look_at(Ensemble.in_memory({}, {}, {"energy": np.zeros((9, 1))}), "x")


def test_a_file_that_names_an_unknown_target_is_read_all_the_same(tmp_path):
    run(0.4, 1, tmp_path / "a.h5")
    found = open_fields(tmp_path / "a.h5")
    assert found.action.name == "ising"
    assert fields(found.raw, action="something", shape=[6, 6]).action is None


@pytest.mark.slow
def test_a_network_judges_when_asked(tmp_path):
    pytest.importorskip("torch")
    run(0.4, 1, tmp_path / "a.h5")
    run(0.48, 2, tmp_path / "b.h5")
    found = appraise(tmp_path / "a.h5", tmp_path / "b.h5", network=True)
    assert set(found.contest.each) == {"line", "curve", "network"}
    assert found.contest.each["network"].p_value < 0.01
