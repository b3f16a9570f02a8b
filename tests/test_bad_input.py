"""Bad input: exit status 2 and one line that says what was given, expected and to do; nothing is changed."""

from __future__ import annotations

import json
import os

import pytest

import pyqmc_art as qa
from pyqmc_art.store.checkpoint import state_path

SAMPLE = "sample ising --shape 4 6 --beta 0.4 --kernel metropolis --steps 40 --warmup 5"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A finished run, one whose state is lost, and things that are no runs."""
    folder = tmp_path_factory.mktemp("files")
    action = qa.Ising(qa.Lattice((4, 6)), beta=0.4)
    kernel = qa.Metropolis(action)
    for name in ("run.h5", "stateless.h5", "cut.h5", "torn.h5"):
        qa.sample(action, kernel, steps=40, warmup=5, out=folder / name, save_every=20).close()
    scalar = qa.Phi4(qa.Lattice((4, 4)), m2=1, lam=1)
    qa.sample(scalar, qa.HMC(scalar, md_steps=3), steps=40, warmup=5, out=folder / "field.h5").close()
    state_path(folder / "stateless.h5").unlink()
    for path in (folder / "cut.h5", state_path(folder / "torn.h5")):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "text.h5").write_text("no HDF5 at all")
    (folder / "empty.h5").touch()
    (folder / "folder.h5").mkdir()
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def here(files, tmp_path):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.h5").mkdir()
    return tmp_path


BASE = "sample ising --shape 4 6 --beta 0.4 --kernel metropolis --steps 40"
FIELD = "sample phi4 --shape 4 4 --kernel hmc --steps 9"
BAD = [
    # unknown names: the nearest one is named
    ("sampel ising", "sampel", 'Did you mean "sample"?'),
    ("sample isin --shape 4 6", "unknown action 'isin'", "did you mean 'ising'?", "potts"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel metropilis --steps 9", "'metropilis'", "did you mean 'metropolis'?"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel metropolis+wolf --steps 9", "'wolf'", "did you mean 'wolff'?"),
    (f"{BASE} --measure enrgy", "unknown observable 'enrgy'", "did you mean 'energy'?", "magnetization"),
    (f"{BASE} --bta 3", "--bta", "Did you mean --beta?"),
    (f"{BASE} --lattice sqare", "unknown lattice 'sqare'", "did you mean 'square'?"),
    (f"{BASE} --boundary peroidic", "unknown boundary", "did you mean 'periodic'?"),
    (f"{BASE} --backend nmba", "unknown backend 'nmba'", "did you mean 'numba'?"),
    (f"{BASE} --start warm", "start is 'warm'", "'hot' or 'cold'"),
    ("analyze run.h5 --jsn", "--jsn", "Did you mean --json?"),
    ("info --jsn", "--jsn", "Did you mean --json?"),
    ("verify --sed 3", "--sed", "Did you mean --seed?"),
    ("study ising-dynamics --perset full", "--perset", "Did you mean --preset?"),
    ("demo --sed 3", "--sed", "Did you mean --seed?"),
    ("study phase-transitoin", "unknown study 'phase-transitoin'", "did you mean 'phase-transition'?"),
    ("train detektor", "detektor", 'Did you mean "detector"?'),
    ("train detector --manifest m.csv --hand x --out m --epohcs 3", "--epohcs", "Did you mean --epochs?"),
    ("train detector --hand x --out m", "no manifest was given", "--manifest pictures/manifest.csv"),
    ("train detector --manifest m.csv --out m", "no hand was given", '--hand "Vincent van Gogh"'),
    ("train detector --manifest m.csv --hand x", "no out was given", "--out model"),
    ("train detector --manifest missing.csv --hand x --out m", "missing.csv"),
    ("train detector --manifest m.csv --hand x --out run.h5", "run.h5 exists"),
    ("train detector --manifest m.csv --hand x --out m --folds 2.5", "--folds", '"2.5" is not a whole number'),
    ("train detector --manifest m.csv --hand x --out m --warmup 5", "--warmup", "add --tune"),
    ("judge", "no model was given", "pyqmc-art judge model picture.jpg"),
    ("judge folder.h5", "no picture was given"),
    ("judge missing a.jpg", "missing does not exist"),
    ("judge run.h5 a.jpg", "run.h5 is a file"),
    ("judge folder.h5 a.jpg", "folder.h5 is no model directory"),
    ("judge folder.h5 a.jpg --prior-humn 0.5", "--prior-humn", "Did you mean --prior-human?"),
    ("study", "no study was named", "ising-dynamics", "phase-transition"),
    ("study forgery --manifest pictures.csv", "Unknown option", "--config FILE"),
    ("study phase-transition --preset fast", "unknown preset 'fast'", "full, quick"),
    # shapes
    ("sample ising --shape -4 6 --beta 0.4 --kernel metropolis --steps 9", "shape (-4, 6)", "at least 2"),
    ("sample ising --shape 1 6 --beta 0.4 --kernel metropolis --steps 9", "shape (1, 6)", "at least 2"),
    ("sample ising --shape 4 4 4 4 4 --beta 0.4 --kernel metropolis --steps 9", "5 dimensions", "1 to 4"),
    ("sample ising --shape 4 6.5 --beta 0.4 --kernel metropolis --steps 9", "--shape", '"6.5" is not a whole number'),
    ("sample ising --shape 4x6 --beta 0.4 --kernel metropolis --steps 9", "--shape", '"4x6" is not a whole number'),
    ("sample ising --shape 99999 99999 --beta 0.4 --kernel wolff --steps 9", "9999800001 sites", "at most"),
    ("sample ising --shape 5 6 --beta 0.4 --kernel metropolis --steps 9", "extent 5", "swendsen-wang"),
    ("sample ising --shape 4 6 --lattice triangular --beta 0.4 --kernel heat-bath --steps 9", "3-colouring", "wolff"),
    ("sample ising --shape 3 4 --lattice honeycomb --beta 0.4 --kernel wolff --steps 9", "honeycomb", "even"),
    (f"{BASE} --boundary open open open", "3 axes", "has 2"),
    # couplings
    ("sample ising --shape 4 6 --beta nan --kernel metropolis --steps 9", "beta is nan", "finite number"),
    ("sample ising --shape 4 6 --beta inf --kernel metropolis --steps 9", "beta is inf", "finite number"),
    ("sample ising --shape 4 6 --beta -1 --kernel metropolis --steps 9", "beta is -1", "J = -1"),
    ("sample ising --shape 4 6 --beta cold --kernel metropolis --steps 9", "--beta", "cold"),
    ("sample ising --shape 4 6 --kernel metropolis --steps 9", "needs beta", "--beta"),
    (f"{BASE} --h nan", "h is nan", "finite number"),
    (f"{BASE} --q 3", "no coupling 'q'", "beta, J, h"),
    ("sample potts --shape 4 6 --beta 0.4 --kernel metropolis --steps 9", "needs q", "--q"),
    ("sample potts --shape 4 6 --beta 0.4 --q 1 --kernel metropolis --steps 9", "q is 1", "2 to 32767"),
    ("sample potts --shape 4 6 --beta 0.4 --q 2.5 --kernel metropolis --steps 9", "--q", '"2.5" is not a whole number'),
    ("sample potts --shape 4 6 --beta 0.4 --q 3 --h 1 --kernel metropolis --steps 9", "no coupling 'h'"),
    # kernels
    ("sample potts --shape 4 6 --beta 0.4 --q 3 --kernel constrained --steps 9", "'constrained'", "ising", "'potts'"),
    ("sample potts --shape 4 6 --beta 0.4 --q 3 --J -1 --kernel wolff --steps 9", "needs J >= 0", "use metropolis"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel constrained --magnetization 0.3 --steps 9", "15.6 of 24 spins"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel constrained --exchange far --steps 9", "unknown exchange 'far'"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel wolff --clusters 0 --steps 9", "clusters is 0"),
    (f"{BASE} --clusters 2", "no option 'clusters'", "belongs to wolff"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel tempering --steps 9", "needs a ladder", "--ladder"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel tempering --ladder 0.3 --steps 9", "at least two different betas"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel tempering --ladder 0.3 nan --steps 9", "ladder is nan"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel 3metropolis --steps 9", "cannot be read", "heat-bath+4*wolff"),
    ("sample ising --shape 4 6 --beta 0.4 --kernel metropolis+constrained --steps 9", "share one target"),
    # continuous fields
    (f"{FIELD} --m2 1 --lam -1", "lam is -1", "bounded from below"),
    (f"{FIELD} --m2 -1 --lam 0", "m2 is -1", "lam > 0 or m2 > 0"),
    (f"{FIELD} --m2 nan --lam 1", "m2 is nan", "finite number"),
    (f"{FIELD} --m2 1", "needs lam", "--lam"),
    (f"{FIELD} --m2 1 --lam 1 --beta 2", "no coupling 'beta'", "m2, lam, convention"),
    (f"{FIELD} --m2 1 --lam 1 --convention E", "unknown convention 'E'", "A, B, C, D"),
    (f"{FIELD} --m2 1 --lam 1 --convention B --boundary open", "same number of neighbours", "periodic"),
    (f"{FIELD} --m2 1 --lam 1 --measure energy", "'energy' is not defined for phi4", "phi2"),
    (f"{FIELD} --m2 1 --lam 1 --trajectory -1", "trajectory is -1", "positive"),
    (f"{FIELD} --m2 1 --lam 1 --md-steps 0", "md-steps is 0", "from 1"),
    (f"{FIELD} --m2 1 --lam 1 --integrator leapfog", "'leapfog'", "did you mean 'leapfrog'?"),
    (f"{FIELD} --m2 1 --lam 1 --randomise 1", "randomise is 1", "below 1"),
    (f"{FIELD} --m2 1 --lam 1 --clusters 2", "no option 'clusters'", "belongs to wolff"),
    ("sample phi4 --shape 1 4 --kernel hmc --steps 9 --m2 1 --lam 1", "shape (1, 4)", "at least 2"),
    ("sample phi4 --shape 3 4 --kernel metropolis --steps 9 --m2 1 --lam 1", "extent 3", "wolff"),
    ("sample phi4 --shape 4 4 --kernel wolff --steps 9 --m2 1 --lam 1", "keeps |phi|", "heat-bath+wolff"),
    ("sample on --shape 4 4 --n 3 --beta 1 --kernel overrelaxation --steps 9", "keeps S", "heat-bath+overrelaxation"),
    ("sample phi4 --shape 4 4 --kernel constrained --steps 9 --m2 1 --lam 1", "'constrained'", "ising", "'phi4'"),
    ("sample ising --shape 4 4 --beta 0.4 --kernel hmc --steps 9", "'hmc'", "phi4", "'ising'"),
    ("sample on --shape 4 4 --beta 0.4 --n 1 --kernel metropolis --steps 9", "n is 1", "from 2 to 64"),
    ("sample on --shape 4 4 --beta -0.4 --n 3 --kernel metropolis --steps 9", "beta is -0.4", "beta >= 0"),
    ("sample on --shape 4 4 --beta 0.4 --kernel metropolis --steps 9", "needs n", "--n"),
    ("sample --resume field.h5 --steps 50 --convention B", "convention is 'A' in the file"),
    ("sample --resume field.h5 --steps 50 --md-steps 9", "md_steps is 3 in the file"),
    # counts
    ("sample ising --shape 4 6 --beta 0.4 --kernel metropolis", "no steps was given", "--steps"),
    ("sample ising --beta 0.4 --kernel metropolis --steps 9", "no shape was given", "--shape 64 64"),
    ("sample ising --shape 4 6 --beta 0.4 --steps 9", "no kernel was given", "--kernel metropolis"),
    ("sample", "no action was given", "pyqmc-art sample ising"),
    (f"{BASE} --warmup -5", "warmup is -5", "at least 0"),
    (f"{BASE} --replicas 0", "replicas is 0", "at least 1"),
    (f"{BASE} --replicas 99999999999999999999", "at most 4294967296"),
    (f"{BASE} --every 0", "every is 0", "at least 1"),
    (f"{BASE} --every 3 --save-every 4", "save-every is 4", "multiple"),
    (f"{BASE} --seed -1", "seed is -1", "0 to 2^63 - 1"),
    (f"{BASE} --seed 1.5", "--seed", '"1.5" is not a whole number'),
    (f"{BASE} --threads 0", "threads is 0", "at least 1"),
    (f"{BASE} --measure energy energy", "energy twice"),
    (f"{BASE} --steps", "--steps", "requires an argument"),
    (f"{BASE} surplus", "surplus", "pyqmc-art sample --help"),
    # files
    (f"{BASE} --out run.h5", "run.h5 exists already", "--force", "--resume"),
    (f"{BASE} --out folder.h5", "is not a file"),
    (f"{BASE} --out folder.h5 --force", "is not a file"),
    (f"{BASE} --out missing/run.h5", "is not an existing folder", "make it first"),
    (f"{BASE} --out run.h5/run.h5", "is not an existing folder"),
    (f"{BASE} --out run.h5 --force --h nan", "h is nan"),
    (f"{BASE} --out run.h5 --force --measure enrgy", "unknown observable"),
    (f"{BASE} --beta 0.5", "--beta specified multiple times"),
    ("analyze", "no run was given", "pyqmc-art analyze run.h5"),
    ("analyze missing.h5", "missing.h5 cannot be read", "No such file"),
    ("analyze text.h5", "is not an HDF5 file", "written by pyqmc-art sample"),
    ("analyze empty.h5", "is not an HDF5 file"),
    ("analyze run.h5 --plot out.txt", "out.txt", ".png, .svg, .pdf"),
    ("analyze folder.h5", "folder.h5 cannot be read", "directory"),
    ("analyze run.h5 run.h5", "run.h5", "pyqmc-art analyze --help"),
    # going on with a file
    ("sample --resume missing.h5 --steps 50", "missing.h5 cannot be read"),
    ("sample --resume text.h5 --steps 50", "is not an HDF5 file"),
    ("sample --resume run.h5 --steps 39", "already stands at step 40", "larger total"),
    ("sample --resume run.h5 --steps x", "--steps", '"x" is not a whole number'),
    ("sample --resume run.h5 --steps 50 --beta 0.5", "beta is 0.4 in the file, but 0.5 was given"),
    ("sample --resume run.h5 --steps 50 --seed 1", "seed is 0 in the file, but 1 was given"),
    ("sample --resume run.h5 --steps 50 --kernel heat-bath", "kernel is 'metropolis' in the file", "'heat-bath'"),
    ("sample potts --resume run.h5 --steps 50 --q 3", "has no coupling 'h'"),
    ("sample --resume run.h5 --steps 50 --shape 6 4", "shape is [4, 6] in the file, but [6, 4] was given"),
    ("sample --resume run.h5 --steps 50 --measure magnetization", "measure is ['energy'] in the file"),
    ("sample --resume run.h5 --steps 50 --save-every 10", "save_every is 20 in the file, but 10 was given"),
    ("sample --resume run.h5 --steps 50 --warmup 6 --replicas 2", "replicas is 1 in", "warmup is 5 in the file"),
    ("sample --resume run.h5 --steps 50 --out other.h5", "carries on in the same file"),
    ("sample --resume run.h5 --steps 50 --backend nmba", "did you mean 'numba'?"),
    ("sample --resume run.h5 --steps 50 --threads -1", "threads is -1"),
]


@pytest.mark.parametrize(("words", "needles"), [(row[0], row[1:]) for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_one_line_and_changes_nothing(call, here, contents, words, needles):
    before = contents(here)
    status, out, err = call(words)
    assert (status, out) == (2, "")
    assert err.startswith("pyqmc-art: ")
    assert err.count("\n") == 1, "one message, on one line"
    assert "Traceback" not in err
    for needle in needles:
        assert needle in err
    assert contents(here) == before


DAMAGED = [
    ("analyze cut.h5", "cut.h5 is truncated or damaged", "restore it"),
    ("sample --resume cut.h5 --steps 50", "cut.h5 is truncated or damaged", "restore it"),
    ("sample --resume stateless.h5 --steps 50", "stateless.h5.state cannot be read", "cannot go on"),
    ("sample --resume torn.h5 --steps 50", "torn.h5.state is not an intact kernel state", "still be analyzed"),
]


@pytest.mark.parametrize(("words", "needles"), [(row[0], row[1:]) for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_damaged_files_are_named_and_left_alone(call, here, contents, words, needles):
    before = contents(here)
    status, out, err = call(words)
    assert (status, out, err.count("\n")) == (1, "", 1)
    for needle in needles:
        assert needle in err
    assert contents(here) == before


@pytest.mark.parametrize("name", ["stateless.h5", "torn.h5"])
def test_a_run_without_its_state_can_still_be_analyzed(call, here, name):
    status, out, err = call(f"analyze {name} --json")
    assert (status, err) == (0, "")
    assert json.loads(out)["energy"]["n"] == 40


@pytest.mark.parametrize(
    ("name", "value", "needle"),
    [
        ("OMP_NUM_THREADS", "0", "OMP_NUM_THREADS is '0'"),
        ("OMP_NUM_THREADS", "many", "expected a positive integer"),
        ("PYQMC_BACKEND", "cdp", "did you mean 'cpp'?"),
        ("PYQMC_BACKEND", "cuda", "PYQMC_BACKEND"),
    ],
)
def test_bad_environment(call, monkeypatch, tmp_path, name, value, needle):
    monkeypatch.setenv(name, value)
    status, out, err = call(f"{SAMPLE} --out run.h5")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert needle in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_must_not_be_written(call, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    status, out, err = call(f"{SAMPLE} --out locked/run.h5")
    assert (status, out) == (2, "")
    assert "cannot be written" in err
