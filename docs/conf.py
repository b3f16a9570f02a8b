"""Sphinx configuration: MyST pages, numpydoc docstrings, formulas as MathML, nothing fetched from the network."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

project = "pyqmc_art"
author = "The pyqmc_art authors"
copyright = author  # the name Sphinx asks for
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]
smartquotes = False

myst_enable_extensions = ["dollarmath", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
# Type aliases, on which numpydoc stumbles; reference/pyqmc_art.md says what they are.
autodoc_default_options = {"exclude-members": "Field, Info, Pixels, Series"}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = "pyqmc_art"
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
pygments_style = "friendly"
pygments_dark_style = "monokai"


def to_mathml(tex: str, display: str = "inline") -> str:
    """Convert a formula; a function and an argument without brackets are set apart."""
    return convert(re.sub(r"\\(sinh|cosh|tanh|cos|ln)(\^\d)?(?=\s+[^\s(\[]|\\)", r"\\\1\2\\,", tex), display=display)


def write_inline_math(translator: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    translator.body.append(to_mathml(node.astext()))
    raise nodes.SkipNode


def write_displayed_math(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    style = "overflow-x: auto; overflow-y: hidden; padding: 0.3em 0"
    translator.body.append(f'<div style="{style}">{to_mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def list_modules(package: str) -> list[str]:
    """Return a package and its public modules; packages inside have pages of their own."""
    found = importlib.import_module(package)
    if not hasattr(found, "__path__"):
        return [package]
    inside = [m.name for m in pkgutil.iter_modules(found.__path__) if not m.ispkg and not m.name.startswith("_")]
    return [package, *(f"{package}.{name}" for name in inside if not is_compiled(f"{package}.{name}"))]


def is_compiled(module: str) -> bool:
    """Tell whether a module has no Python source; the C-level interface has a page of its own."""
    found = importlib.util.find_spec(module)
    return found is None or not str(found.origin).endswith(".py")


def describe_modules(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append to a page ``reference/PACKAGE`` the modules of that package, so that none can be forgotten."""
    folder, _, package = docname.partition("/")
    if folder != "reference" or not package.startswith("pyqmc_art"):
        return
    for module in list_modules(package):
        summary = (inspect.getdoc(importlib.import_module(module)) or "").strip()
        if summary:
            # What a package re-exports is described where it is defined.
            inside = module != package
            heading = f"\n## {module.removeprefix(package + '.')}\n" if inside else ""
            members = "   :members:\n" if inside else ""
            source[0] += f"{heading}\n```{{eval-rst}}\n.. automodule:: {module}\n{members}```\n"


def escape_marks(app: Sphinx, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Keep shapes such as (replica, *lattice.shape) and moduli such as |m| from being taken for markup."""
    in_formula = False
    for i, line in enumerate(lines):
        if line.strip():
            in_formula = line.startswith(".. math::") or (in_formula and line.startswith(" "))
        if in_formula or line.lstrip().startswith((">>>", "...")):
            continue
        parts = re.split(r"(``.*?``|`.*?`)", line)
        for k in range(0, len(parts), 2):
            parts[k] = re.sub(r"(?<![\w*\\])(\*)(?=[a-z_.]+[,)])|(\|)(?=\S)|(?<=\S)(\|)", r"\\\g<0>", parts[k])
        lines[i] = "".join(parts)


def setup(app: Sphinx) -> None:
    """Register the renderer of formulas and the reference pages."""
    inline, block = (write_inline_math, None), (write_displayed_math, None)
    app.add_html_math_renderer("mathml", inline_renderers=inline, block_renderers=block)
    app.connect("source-read", describe_modules)
    app.connect("autodoc-process-docstring", escape_marks, priority=900)
