"""Configuration files: keys spelled like the flags, read and printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import pyqmc_art as qa
from pyqmc_art import options
from pyqmc_art.errors import InputError

SAMPLE = "sample ising --shape 4 6 --beta 0.4 --kernel metropolis --steps 40 --warmup 5"


def as_toml(settings):
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())


def as_yaml(settings):
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in settings.items())


CONFIGURATION = {"action": "ising", "shape": [4, 6], "beta": 0.4, "kernel": "wolff", "steps": 30, "warmup": 4}
CONFIGURATION |= {"save-every": 10, "every": 5, "clusters": 2, "measure": ["energy", "kmin2"], "seed": 2**62}
FLAGS = "sample ising --shape 4 6 --beta 0.4 --kernel wolff --steps 30 --warmup 4 --save-every 10 --every 5 "
FLAGS += f"--clusters 2 --measure energy kmin2 --seed {2**62}"


@pytest.mark.parametrize(
    ("suffix", "write"), [("toml", as_toml), ("json", json.dumps), ("yaml", as_yaml), ("yml", as_yaml)]
)
def test_a_configuration_file_stands_for_its_flags(call, tmp_path, suffix, write, numbers):
    call(f"{FLAGS} --out flags.h5")
    Path(f"run.{suffix}").write_text(write(CONFIGURATION))
    status, _, err = call(f"sample --config run.{suffix} --out file.h5")
    assert (status, err) == (0, "")
    assert numbers(tmp_path / "file.h5") == numbers(tmp_path / "flags.h5")
    underscored = {key.replace("-", "_"): value for key, value in CONFIGURATION.items()}
    Path(f"run.{suffix}").write_text(write(underscored | {"out": "third.h5"}))
    assert call(f"sample --config run.{suffix}")[0] == 0
    assert numbers(tmp_path / "third.h5") == numbers(tmp_path / "flags.h5")


PRINTED = [
    FLAGS,
    "sample potts --q 3 --shape 4 4 --lattice honeycomb --boundary open periodic --beta 0.5 --J 0.5 --steps 30 "
    "--kernel heat-bath+2*swendsen-wang --warmup 2 --start cold --replicas 2 --backend python",
    "sample ising --shape 4 4 --beta 0.3 --kernel tempering --ladder 0.2 0.4 --inner metropolis --steps 20 --warmup 2",
    "sample ising --shape 4 4 --beta 3e-1 --h -0.25 --kernel constrained --magnetization -0.5 --steps 20 --warmup 2",
]


@pytest.mark.parametrize("words", PRINTED)
def test_a_printed_configuration_can_be_fed_back(call, tmp_path, words, numbers):
    words += " --save-every 10 --out" if "--save-every" not in words else " --out"
    call(f"{words} flags.h5")
    status, out, err = call(f"{words} file.h5 --print-config")
    assert (status, err) == (0, "")
    assert not (tmp_path / "file.h5").exists()
    Path("run.toml").write_text(out)
    assert call("sample --config run.toml")[0] == 0
    assert numbers(tmp_path / "file.h5") == numbers(tmp_path / "flags.h5")
    assert call("sample --config run.toml --print-config")[1] == out


def test_flags_win_over_the_file(call):
    Path("run.toml").write_text(as_toml(CONFIGURATION))
    status, out, _ = call("sample potts --q 3 --config run.toml --beta 0.7 --shape 2 2 2 --print-config")
    assert status == 0
    lines = out.splitlines()
    assert {'action = "potts"', "q = 3", "beta = 0.7", "shape = [2, 2, 2]", 'kernel = "wolff"'} <= set(lines)
    Path("run.toml").write_text(as_toml(CONFIGURATION | {"force": False}))
    assert call("sample --config run.toml --print-config --force")[0] == 0


def test_a_file_that_says_resume(call, one_run):
    Path("go-on.yaml").write_text("resume: run.h5\nsteps: 55\n")
    assert call("sample --config go-on.yaml")[0] == 0
    assert qa.open_ensemble(one_run / "run.h5").measurements == 55
    printed = call("sample --resume run.h5 --steps 60 --print-config")[1]
    assert 'resume = "run.h5"' in printed
    Path("go-on.toml").write_text(printed)
    assert call("sample --config go-on.toml")[0] == 0
    assert qa.open_ensemble(one_run / "run.h5").measurements == 60


def test_other_commands_take_a_file_and_print_it_too(call, one_run):
    Path("analyze.toml").write_text('run = "run.h5"\njson = true\n')
    status, out, _ = call("analyze --config analyze.toml")
    assert status == 0
    assert json.loads(out)["energy"]["n"] == 40
    assert set(call("analyze --config analyze.toml --print-config")[1].splitlines()) == {
        'run = "run.h5"',
        "json = true",
    }
    Path("info.json").write_text('{"json": true}')
    assert "version" in json.loads(call("info --config info.json")[1])
    assert call("info --config info.json --print-config")[1] == "json = true\n"
    assert call("demo --seed 3 --print-config")[1].splitlines() == ['out = "demo"', "seed = 3"]


def test_the_file_of_a_study_holds_its_own_keys_too(call):
    printed = call("study phase-transition --seed 3 --print-config")[1]
    Path("study.toml").write_text(printed + "out = 'there'\n")
    lines = call("study phase-transition --config study.toml --print-config --seed 4")[1].splitlines()
    assert sorted(lines) == sorted([*printed.replace("seed = 3", "seed = 4").splitlines(), 'out = "there"'])
    Path("study.toml").write_text("replicaz = 3")
    status, out, err = call("study phase-transition --config study.toml")
    assert (status, out) == (2, "")
    assert "unknown configuration key 'replicaz'; did you mean 'replicas'?" in err
    assert call("study ising-dynamics phase-transition --print-config")[0] == 2


BAD_FILES = [
    ("a.toml", "bta = 0.4", "unknown configuration key 'bta'", "did you mean 'beta'?"),
    ("a.yaml", "save-evry: 3", "unknown configuration key 'save-evry'", "did you mean 'save-every'?"),
    ("a.json", '{"config": "a.json"}', "unknown configuration key 'config'"),
    ("a.toml", "[lattice]\nshape = [4, 4]", "'lattice' holds", "flat list"),
    ("a.yaml", "shape: [[4, 4]]", "'shape' holds [[4, 4]]"),
    ("a.json", '{"shape": []}', "'shape' holds []"),
    ("a.json", "[1, 2]", "holds list", "expected keys with values"),
    ("a.yaml", "just words", "holds str"),
    ("a.toml", "beta = nan", "beta is nan", "finite number"),
    ("a.yaml", "beta: .inf", "beta is inf", "finite number"),
    ("a.json", '{"beta": NaN}', "beta is nan", "finite number"),
    ("a.toml", 'beta = "hot"', "--beta", "hot"),
    ("a.toml", "beta = true", "--beta"),
    ("a.toml", "beta = [0.1, 0.2]", "--beta"),
    ("a.toml", "steps = 10.5", "--steps", '"10.5" is not a whole number'),
    ("a.toml", "steps = 1e3", "--steps", '"1000.0" is not a whole number'),
    ("a.toml", "steps = false", "--steps", '"False" is not a whole number'),
    ("a.toml", "kernel = true", "'kernel' holds True", "expected a text"),
    ("a.toml", 'force = "yes"', "'force' holds 'yes'", "expected true or false"),
    ("a.toml", "force = 1", "'force' holds 1", "expected true or false"),
    ("a.toml", 'action = "isin"', "did you mean 'ising'?"),
    ("a.toml", "save-every = 2\nsave_every = 3", "twice"),
    ("a.toml", "beta = ", "is not valid TOML"),
    ("a.json", "{", "is not valid JSON"),
    ("a.yaml", "a: [\nb: {", "is not valid YAML"),
    ("a.ini", "beta = 1", "expected .toml, .yaml, .yml or .json"),
    ("noend", "beta = 1", "expected .toml, .yaml, .yml or .json"),
    ("a.toml", b"beta = \xff", "is not valid TOML"),
]


FLAGS_OF_SAMPLE = {
    "action": ["ising"],
    "shape": ["--shape", "4", "6"],
    "beta": ["--beta", "0.4"],
    "kernel": ["--kernel", "metropolis"],
    "steps": ["--steps", "40"],
}


@pytest.mark.parametrize(("name", "text", "needles"), [(row[0], row[1], row[2:]) for row in BAD_FILES])
def test_a_bad_configuration_file(call, tmp_path, contents, name, text, needles):
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    before = contents(tmp_path)
    given = str(text).strip('{"').replace('"', "").split(" ")[0].rstrip(":")
    flags = [word for key, words in FLAGS_OF_SAMPLE.items() if key != given for word in words]
    status, out, err = call(["sample", *flags, "--config", name, "--out", "run.h5"])
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    for needle in needles:
        assert needle in err
    assert contents(tmp_path) == before


def test_a_configuration_file_that_is_not_there(call):
    status, _, err = call("sample --config missing.toml")
    assert status == 2
    assert "missing.toml cannot be read: No such file or directory" in err
    Path("folder.toml").mkdir()
    assert "folder.toml cannot be read" in call("sample --config folder.toml")[2]
    Path("empty.yaml").touch()
    assert "no action was given" in call("sample --config empty.yaml")[2]


# --- the functions behind it


@dataclass(frozen=True)
class Study:
    """Options as a study may have them: names with capitals, lists, texts."""

    L: tuple[int, ...] = (4, 8)
    beta_c: float = 0.44
    kernel: str = "wolff"
    quick: bool = True
    steps: int = 100


def test_any_dataclass_can_be_read():
    assert options.parse(Study, {}) == Study()
    given = {"L": [2, 4, 6], "beta_c": 1, "kernel": "heat-bath", "quick": False, "steps": 7}
    assert options.parse(Study, given) == Study((2, 4, 6), 1.0, "heat-bath", False, 7)
    assert options.given(options.parse(Study, {"L": [4, 8], "steps": 7})) == {"steps": 7}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stepz": 1}, "unknown configuration key 'stepz'; did you mean 'steps'"),
        ({"steps": 1.5}, "'steps' holds 1.5; expected a whole number"),
        ({"L": [4, 6.5]}, r"'L' holds \[4, 6.5\]; expected a whole number"),
        ({"steps": "many"}, "many"),
        ({"quick": "perhaps"}, "perhaps"),
        ({"quick": 3}, "3"),
        ({"kernel": False}, "expected a text"),
        ({"kernel": ["a", "b"]}, "kernel"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        options.parse(Study, given)


def test_words_of_texts_cannot_become_flags():
    assert options.parse(Study, {"kernel": "--steps=3"}).kernel == "--steps=3"
    assert options.parse(Study, {"kernel": "a b --quick"}).kernel == "a b --quick"


def test_toml_is_written_as_it_is_read(tmp_path):
    settings = {"out": Path("a b/ü.h5"), "text": 'say "hi"\n', "beta": 1e22, "seed": 2**62, "shape": (4, 6), "no": None}
    (tmp_path / "a.toml").write_text(options.as_toml(settings), encoding="utf-8")
    read = options.read_configuration(tmp_path / "a.toml", list(settings))
    assert read == {"out": "a b/ü.h5", "text": 'say "hi"\n', "beta": 1e22, "seed": 2**62, "shape": [4, 6]}
