"""The pages as a site: `make docs` builds them, and any warning fails it.

The pages stay plain Markdown that reads well as files too. What only a site wants is added here: a
menu, which is the tables of index.md, and what lies outside of docs/, shown as code.
"""

from __future__ import annotations

import re
from typing import Any

import rxfero

project = "rxfero"
author = "the authors of rxfero"
project_copyright = author
version = release = rxfero.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"rxfero {release}"
html_show_sphinx = False
nitpicky = False  # docstrings name types of other libraries, whose pages are not looked up
exclude_patterns = ["_build"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page may begin its sections at any level

# Docstrings: single backticks are code; fields of the signature keep their types there.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # an attribute that has a docstring of its own is not told twice


OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+([^)#]*)[^)]*\)")


def fit(app: Any, page: str, text: list[str]) -> None:
    """Give the first page a menu, which is its own tables, and show what is no page as code."""
    text[0] = OUTSIDE.sub(r"\1 (`\2`)", text[0])
    if page == "index":
        pages = re.findall(r"^\| \[[^\]]*\]\(([\w/.-]+)\.md\)", text[0], re.MULTILINE)
        text[0] += "\n".join(("", "```{toctree}", ":hidden:", "", *pages, "```", ""))
    elif page == "decisions/index":
        text[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n"


def draw(app: Any, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Show what is indented below a paragraph as it stands: marbles and examples."""
    for at in range(len(lines) - 1, 1, -1):
        above = next((line for line in reversed(lines[:at]) if line), "")
        begins = lines[at].startswith("    ") and not lines[at - 1]
        if begins and not above.startswith(" ") and not above.endswith(":"):
            lines[at:at] = ["::", ""]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", fit)
    app.connect("autodoc-process-docstring", draw, priority=400)  # before napoleon
