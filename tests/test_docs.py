"""What the documentation says is so: its blocks run, its links lead somewhere, its flags and files exist."""

import ast
import doctest
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pyqmc_art
from pyqmc_art import rng
from pyqmc_art.cli import main

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        *(page for page in DOCS.rglob("*.md") if "_build" not in page.parts),
    ]
)
# The C interface has blocks that are files of another project (its own tests build them); the benchmarks are generated.
ELSEWHERE = {DOCS / "c-interface.md", DOCS / "benchmarks.md"}
COMMANDS = (
    "sample",
    "analyze",
    "verify",
    "study",
    "demo",
    "data scan",
    "data check",
    "data fetch",
    "train detector",
    "train flow",
    "train gan",
    "train diffusion",
    "train autoencoder",
    "train lora",
    "generate",
    "train vae",
    "train block-flow",
    "judge",
    "appraise",
    "info",
)
LARGEST_PICTURE = 300_000

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="this copy of the tests lies outside a checkout: no docs")


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks_of(page, *languages):
    """Yield language, content and first line of the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if match[1] in languages:
            yield match[1], match[2], text.count("\n", 0, match.start(2))


def prose_of(page):
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def code_spans(page):
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose_of(page))


def flags_of(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main([*command.split(), "--help"]) == 0
    listed = re.findall(r"(?<![\w-])--[A-Za-z][\w-]*", "\n".join(first_columns(capsys.readouterr().out)))
    return set(listed) - {"--help"}


def first_columns(text):
    """The part of each line of a help page before the description: what stands left of two spaces behind a flag."""
    for line in text.splitlines():
        found = re.match(r"^│\s*\*?\s*((?:\S+ ?)+)", line)
        if found and "--" in found[1]:
            yield found[1]


def shell_commands(page):
    """Words of each call of pyqmc-art in the shell blocks of a page, comments left out."""
    for _, content, _ in blocks_of(page, "sh", "console"):
        for line in content.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if "pyqmc-art" in words:
                yield words[words.index("pyqmc-art") + 1 :]


def run_shell(script, folder):
    command = folder / "bin" / "pyqmc-art"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pyqmc_art "$@"\n')
    command.chmod(0o755)
    package = str(Path(pyqmc_art.__file__).parents[1])
    search = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": search}
    ended = subprocess.run(
        ["bash", "-eu", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, f"{script}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"


def run_python(code, line, page, namespace):
    if ">>>" not in code:
        exec(compile("\n" * line + code, str(page), "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), line)
    test.globs = namespace  # shared by all blocks of the page
    complaints = []
    doctest.DocTestRunner(verbose=False).run(test, out=complaints.append, clear_globs=False)
    assert not complaints, "".join(complaints)


RUNNABLE = [p for p in PAGES if p not in ELSEWHERE and p.exists() and any(blocks_of(p, "python", "sh"))]


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_blocks_run_as_printed(page, tmp_path, monkeypatch):
    """One folder and one namespace for each page, its blocks in their order."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "docs"}
    for language, content, line in blocks_of(page, "python", "sh"):
        if language == "sh":
            run_shell(content, tmp_path)
        else:
            run_python(content, line, page, namespace)


def test_a_wrong_block_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match="Expected"):
        run_python(">>> 1 + 1\n3\n", 0, tmp_path / "page.md", {})
    with pytest.raises(AssertionError, match="at least 2"):
        run_shell("pyqmc-art sample ising --shape 1 1 --beta 0.4 --kernel wolff --steps 5", tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", prose_of(page)):
        if re.match(r"[a-z]+://", target):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            text = there.read_text(encoding="utf-8")
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}
            assert anchor in slugs, f"{name_of(page)} links to {target}#{anchor}; there are {sorted(slugs)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page):
    suffixes = "py|pyi|pyx|pxd|md|hpp|cpp|toml|png|run"
    for span in code_spans(page):
        is_file = re.fullmatch(rf"(?!DIR/|demo/)[\w.-]+(/[\w.-]+)+\.({suffixes})", span)
        is_folder = re.fullmatch(r"(pyqmc_art|csrc|tests|docs|benchmarks)(/\w+)*/", span)
        if is_file or is_folder:
            assert any((base / span).exists() for base in (ROOT, ROOT / "csrc")), f"{name_of(page)} names {span}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_speak_of_no_machine(page):
    assert not re.search(r"(?<![\w.])/(work|root|home|tmp|opt|mnt)/", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_shown_exist(page, capsys, monkeypatch):
    for words in shell_commands(page):
        command = " ".join(words[: 2 if words[0] in ("data", "train") else 1])
        assert command in COMMANDS, f"{name_of(page)} shows pyqmc-art {' '.join(words)}"
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= flags_of(command, capsys, monkeypatch) | {"--help"}, f"{name_of(page)}: {' '.join(words)}"


def test_flags_named_in_the_text_exist(capsys, monkeypatch):
    known = set().union(*(flags_of(command, capsys, monkeypatch) for command in COMMANDS)) | {"--help"}
    for page in PAGES:
        if page not in ELSEWHERE:
            named = {flag for span in code_spans(page) for flag in re.findall(r"(?<![\w-])--[A-Za-z][\w-]*", span)}
            assert named <= known, f"{name_of(page)} names {sorted(named - known)}"


@pytest.mark.parametrize("command", COMMANDS)
def test_command_reference_is_complete(command, capsys, monkeypatch):
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {command}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/commands.md has no section {command}"
    described = set(re.findall(r"`(--[A-Za-z][\w-]*)", text[: text.index("\n## ")] + section[1]))
    flags = flags_of(command, capsys, monkeypatch)
    assert flags, "no flag was found in the help"
    assert described >= flags, f"not described: {sorted(flags - described)}"


def test_architecture_names_every_module():
    ((_, tree, _),) = list(blocks_of(DOCS / "architecture.md", "text"))[:1]
    words = set(re.findall(r"\w+", tree))
    modules = [m for m in (ROOT / "pyqmc_art").rglob("*.py") if not m.stem.startswith("_") and "studies" not in m.parts]
    sources = [s for s in (ROOT / "csrc").rglob("*.[ch]pp") if "_avx" not in s.stem]
    missing = [str(path.relative_to(ROOT)) for path in (*modules, *sources) if path.stem not in words]
    assert modules
    assert sources
    assert not missing


def test_architecture_has_the_layers_that_are_enforced():
    there = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    (layers,) = (ast.literal_eval(n.value) for n in there.body if isinstance(n, ast.Assign) and names_layers(n))
    table = list(blocks_of(DOCS / "architecture.md", "text"))[1][1]
    shown = [set(re.findall(r"\w+", re.split(r" {3,}", line)[0])) for line in table.splitlines()]
    assert shown == [set(layer) - {"", "__main__"} for layer in layers]


def names_layers(node):
    return [target.id for target in node.targets if isinstance(target, ast.Name)] == ["LAYERS"]


def test_cross_references_name_what_exists():
    for page in PAGES:
        for target in re.findall(r"\{py:\w+\}`[^`<]*<([\w.]+)>`", page.read_text(encoding="utf-8")):
            assert pkgutil.resolve_name(target) is not None


def test_reference_lists_every_public_name():
    text = (DOCS / "reference" / "index.md").read_text(encoding="utf-8")
    assert set(pyqmc_art.__all__) <= set(re.findall(r"`qa\.(\w+)`", text))


def test_environment_variables_exist():
    sources = [*(ROOT / "pyqmc_art").rglob("*.py"), *(ROOT / "csrc").rglob("*.[ch]pp"), ROOT / "setup.py"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for page in PAGES:
        if page not in ELSEWHERE:
            for variable in re.findall(r"PYQMC_[A-Z]+(?:_[A-Z]+)*", page.read_text(encoding="utf-8")):
                assert variable in code, f"{name_of(page)} names {variable}"


def test_change_log_knows_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{version}]" in text
    assert int(re.findall(r"`STREAM_VERSION` is (\d+)", text)[0]) == rng.STREAM_VERSION


def test_pictures_are_small():
    pictures = [*(DOCS / "images").glob("*.png"), *(DOCS / "images").glob("*.svg")]
    assert pictures
    assert all(picture.stat().st_size < LARGEST_PICTURE for picture in pictures)
