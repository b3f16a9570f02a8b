"""Sphinx configuration: MyST pages, numpydoc docstrings, formulas as MathML, nothing fetched from the network."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
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
nitpicky = False

myst_enable_extensions = ["dollarmath", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = "pyqmc_art"
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
pygments_style = "friendly"
pygments_dark_style = "monokai"


def write_inline_math(translator: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def write_displayed_math(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    translator.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
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
            heading = "" if module == package else f"\n## {module.removeprefix(package + '.')}\n"
            source[0] += f"{heading}\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"


def setup(app: Sphinx) -> None:
    """Register the renderer of formulas and the reference pages."""
    inline, block = (write_inline_math, None), (write_displayed_math, None)
    app.add_html_math_renderer("mathml", inline_renderers=inline, block_renderers=block)
    app.connect("source-read", describe_modules)
