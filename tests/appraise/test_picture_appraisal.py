"""Folders of pictures appraised: equal ones pass, lattices of up-sampling are found, and files cannot mislead."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

pytest.importorskip("torch")
pytest.importorskip("PIL")

from pyqmc_art.appraise.ensembles import appraise
from pyqmc_art.appraise.findings import tell
from pyqmc_art.appraise.galleries import compare_spectra
from pyqmc_art.appraise.pictures import Files, PictureSet, open_pictures, prepare
from pyqmc_art.appraise.tables import Table
from pyqmc_art.art.collection import make_collection
from pyqmc_art.art.patches import resample
from pyqmc_art.art.pictures import write_picture
from pyqmc_art.errors import InputError
from pyqmc_art.monitor import Silent
from pyqmc_art.rng import Stream


def textures(count, seed, width=1.2, side=64):
    """Coloured smooth noise: pictures of one law, fast to make."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        smooth = gaussian_filter(generator.normal(size=(side, side, 3)), (width, width, 0), mode="wrap")
        yield np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def write(folder, pictures, suffix="png", quality=90):
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        write_picture(folder / f"{number:03}.{suffix}", pixels, quality)
    return folder


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures") / "a", textures(30, 1))


def test_pictures_of_one_law_are_not_told_apart(genuine, tmp_path):
    found = appraise(genuine, write(tmp_path / "b", textures(24, 2)))
    assert found.kind == "pictures"
    assert found.verdict == "not told apart"
    assert found.spectrum.peaks == ()
    assert not found.memory.flagged
    assert found.kid_features in found.summary()
    assert [f.name for f in tell(found).figures] == ["spectra", "fingerprint", "maps"]


def test_other_textures_are_told_apart_and_shown(genuine, tmp_path):
    found = appraise(genuine, write(tmp_path / "b", textures(30, 3, width=1.5)), correct="drs", out=tmp_path / "out")
    assert found.verdict == "different"
    assert found.contest.hits.accuracy.value > 0.9
    maps = next(f for f in found.figures if f.name == "maps")
    of_b = [p.values for p in maps.panels if p.title == "B: log-odds of B"]
    of_a = [p.values for p in maps.panels if p.title == "A: log-odds of B"]
    assert min(one.mean() for one in of_b) > max(one.mean() for one in of_a)
    kept = (tmp_path / "out" / "manifest.csv").read_text()
    assert "log_weight" in kept
    assert "corrected_by drs" in kept
    assert len(list((tmp_path / "out").glob("*.png"))) == found.correction.acceptance.k


def test_how_files_were_made_is_told_and_equalised(genuine, tmp_path):
    found = appraise(genuine, write(tmp_path / "b", textures(30, 4), "jpg", 60))
    assert found.baseline.accuracy.value == 1.0
    assert found.baseline.p_value < 1e-6
    assert any("quality 70 to 90" in note for note in found.notes)
    assert "nothing is claimed" in tell(found).answer


def test_pictures_of_one_work_stay_together_and_copies_are_told(genuine, tmp_path):
    twins = [*textures(20, 5), *textures(8, 1)]
    files = [open_pictures(path, Silent()) for path in (genuine, write(tmp_path / "b", twins))]
    pair = prepare(files[0], files[1], Stream.from_seed(1))
    assert pair.shared == 8
    for table in (pair.a.table, pair.b.table):
        for work in np.unique(table.units):
            assert np.unique(table.segments[table.units == work]).size == 1
            assert table.spoken[table.units == work].sum() == 1
    shared = np.intersect1d(pair.a.table.units, pair.b.table.units)
    parts = [{w: t.segments[t.units == w][0] for w in shared} for t in (pair.a.table, pair.b.table)]
    assert parts[0] == parts[1]


def test_files_that_cannot_be_read_are_told(genuine, tmp_path):
    folder = write(tmp_path / "b", textures(20, 6))
    (folder / "zz.png").write_bytes(b"nothing")
    found = appraise(genuine, folder)
    assert len(found.problems) == 1
    assert "zz.png" in found.to_json()["problems"][0]


def test_bad_folders(genuine, tmp_path):
    (tmp_path / "empty").mkdir()
    few, small = write(tmp_path / "few", textures(5, 1)), write(tmp_path / "small", textures(14, 1, side=16))
    for path, message in ((tmp_path / "empty", "no pictures"), (few, "5 pictures"), (small, "16 pixels")):
        with pytest.raises(InputError, match=message):
            appraise(genuine, path)
    with pytest.raises(InputError, match="is one picture"):
        appraise(genuine, genuine / "000.png")
    mixed = write(tmp_path / "mixed", [*textures(14, 1), *textures(4, 2, side=80)])
    with pytest.raises(InputError, match="2 sizes"):
        appraise(genuine, mixed, equalise="none")
    assert "reduced" in " ".join(appraise(genuine, mixed).notes)


def as_set(pixels):
    table = Table("x", {}, np.arange(len(pixels)), np.zeros(len(pixels), int), np.ones(len(pixels), bool))
    return PictureSet(Files("x", (), None, ()), pixels, table)


def test_nearest_neighbour_upsampling_leaves_its_peak_and_bicubic_does_not():
    """On pictures of the procedural painter (simulated), enlarged twice from half of their size."""
    painted = [pixels for pixels, _ in make_collection(Stream.from_seed(5), {"original": 32}, size=128)]
    real, rest = np.stack(painted[:16]), painted[16:]
    small = [resample(pixels, (64, 64)) for pixels in rest]
    nearest = np.stack([one.repeat(2, axis=0).repeat(2, axis=1) for one in small])
    bicubic = np.stack([resample(one, (128, 128)) for one in small])
    stream = Stream.from_seed(1)
    seen = {
        name: compare_spectra(as_set(real), as_set(other), stream)
        for name, other in (("nearest", nearest), ("bicubic", bicubic), ("untouched", np.stack(rest)))
    }
    # Copies of the spectrum stand around half a cycle per pixel; repeated pixels dampen them by cos(pi f)^2.
    assert len(seen["nearest"].peaks) == 1
    assert 0.3 < seen["nearest"].peaks[0] < 0.5
    assert seen["bicubic"].peaks == ()
    assert seen["untouched"].peaks == ()
    assert seen["bicubic"].profiles.p_value < 0.01
    assert seen["untouched"].profiles.p_value > 0.01
